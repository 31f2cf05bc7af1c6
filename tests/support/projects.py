# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic projects for tests: copies of the folders in tests/fixtures/projects, pointed at a database.

A fixture folder holds only what is peculiar about it. The rest comes from _base (alembic.ini, env.py, script.py.mako) and, for
one that brings no revisions, from the versions of another (linear unless told). A file _without lists what to leave out.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .paths import FIXTURES

PLACEHOLDER = "driver://user:pass@localhost/dbname"


@dataclass(frozen=True)
class Project:
    name: str
    folder: Path

    def parameters(self, **more: Any) -> dict[str, Any]:
        """The options of a module that mean this project."""
        return {"chdir": str(self.folder), **more}

    def set_url(self, url: str, second: str | None = None) -> None:
        """Write the URL into each ini, as a careful person would: with each % doubled."""
        for ini in self.folder.glob("*.ini"):
            text = ini.read_text()
            for placeholder, value in ((PLACEHOLDER + "2", second), (PLACEHOLDER, url)):
                if value:
                    text = text.replace(placeholder, value.replace("%", "%%"))
            ini.write_text(text)

    def versions(self) -> Path:
        return self.folder / "migrations" / "versions"


def build(name: str, folder: Path, url: str | None = None, second_url: str | None = None, versions: str | None = None) -> Project:
    """Copy the fixture `name` to `folder`; `versions` names the fixture whose revisions it gets."""
    source = FIXTURES / name
    shutil.copytree(FIXTURES / "_base", folder, dirs_exist_ok=True)
    if versions or not list(source.rglob("versions/*.py")):
        shutil.copytree(FIXTURES / (versions or "linear") / "migrations" / "versions", folder / "migrations" / "versions")
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("versions", "_*") if versions else None)
    unwanted = source / "_without"
    for line in unwanted.read_text().split() if unwanted.exists() else []:
        path = folder / line
        if not (source / line).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "_without").unlink(missing_ok=True)
    project = Project(name, folder)
    if url:
        project.set_url(url, second_url)
    return project


def long_chain(folder: Path, count: int, url: str | None = None) -> Project:
    """A project with `count` revisions in a line, each of which adds a row to a table; r00001 is the first."""
    project = build("linear", folder, url)
    shutil.rmtree(project.versions())
    project.versions().mkdir()
    for number in range(1, count + 1):
        down = f'"r{number - 1:05}"' if number > 1 else None
        first = '    op.execute("CREATE TABLE steps (number INTEGER)")\n' if number == 1 else ""
        undo = (
            '    op.execute("DROP TABLE steps")' if number == 1 else f'    op.execute("DELETE FROM steps WHERE number = {number}")'
        )
        (project.versions() / f"r{number:05}_step.py").write_text(
            f'"""step {number}"""\nfrom alembic import op\n\nrevision = "r{number:05}"\ndown_revision = {down}\n\n\n'
            f'def upgrade():\n{first}    op.execute("INSERT INTO steps VALUES ({number})")\n\n\ndef downgrade():\n{undo}\n'
        )
    return project
