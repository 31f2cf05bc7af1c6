#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation as a site, in .cache/docs/html: antsibull-docs writes the pages, Sphinx makes HTML of them.

A warning is an error. It needs no network but for its virtual environment, the first time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import environments
from support.paths import CACHE, ROOT, TREE
from support.venvs import NoInterpreter

COLLECTION = "dbops.alembic"
PAGES = "collection"  # the folder of the site that antsibull-docs writes


class Site:
    """A site in a folder: ``source`` is what it is made of, ``html`` what it is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.source, self.html = folder, folder / "source", folder / "html"
        self._programs = environments.virtual_environment("docs", environments.controller_python()).parent

    def write(self) -> None:
        """Make the source anew."""
        shutil.rmtree(self.source, ignore_errors=True)
        shutil.copytree(ROOT / "docs" / "site", self.source, ignore=shutil.ignore_patterns("__pycache__"))
        pages = self.source / PAGES
        pages.mkdir()
        pages.chmod(0o755)  # it takes none that others may write to
        config = ("--config-file", str(self.source / "antsibull-docs.cfg"))
        options = ("--use-current", "--squash-hierarchy", "--no-indexes", "--dest-dir", str(pages))
        self._run("antsibull-docs", *config, "collection", *options, COLLECTION).check_returncode()
        shutil.copytree(ROOT / "docs" / "docsite" / "rst" / "images", pages / "docsite" / "images")

    def render(self) -> subprocess.CompletedProcess[str]:
        """Make HTML of it; what was made before and has not changed stays."""
        doctrees = ("-d", str(self.folder / "doctrees"))
        return self._run("sphinx-build", "-q", "-W", "--keep-going", *doctrees, str(self.source), str(self.html), show=False)

    def _run(self, program: str, *arguments: str, show: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ANSIBLE"))},
            "PATH": f"{self._programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
        }
        command = [str(self._programs / program), *arguments]
        output = None if show else subprocess.PIPE
        return subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True, check=False)


def main() -> int:
    environments.tree()
    site = Site(CACHE / "docs")
    site.write()
    done = site.render()
    print(done.stdout, end="")
    if done.returncode == 0:
        environments.say(f"The documentation is in {site.html}/index.html")
    return done.returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NoInterpreter, environments.Failed, subprocess.CalledProcessError) as problem:
        sys.exit(str(problem))
