#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what the tools run in, below .cache (or DBOPS_CACHE), and only what is missing or out of date.

environments.py dev    .cache/venvs/dev, from tests/requirements/dev.txt
environments.py tree   .cache/tree/ansible_collections: the collections that ours depends on, and dbops/alembic as a link
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import CACHE, REQUIREMENTS, ROOT, TREE, VENVS
from support.venvs import NoInterpreter, interpreter

# The community bundle on PyPI, for the collections in it: no other host than PyPI's has to be reached.
BUNDLE = "ansible==12.3.0"
WANTED = ("community.general", "community.postgresql", "kubernetes.core")
# ansible-core → the Pythons that its controller side runs with, newest first
CORES = {
    "2.17": ("3.12", "3.11", "3.10"),
    "2.18": ("3.13", "3.12", "3.11"),
    "2.19": ("3.13", "3.12", "3.11"),
    "2.20": ("3.14", "3.13", "3.12"),
    "2.21": ("3.14", "3.13", "3.12"),
}
DEV_CORE = "2.19"  # the one in requirements/dev.txt


class Failed(Exception):
    """A command that makes an environment failed; the message holds what it printed."""


def controller_python(versions: tuple[str, ...] = CORES[DEV_CORE]) -> Path:
    """The machine's own Python if it will do, else the newest that will; DBOPS_PYTHON names another."""
    if os.environ.get("DBOPS_PYTHON"):
        return Path(os.environ["DBOPS_PYTHON"])
    found = []
    for version in (None, *versions):
        with contextlib.suppress(NoInterpreter):
            found.append(interpreter(version))
    for path in found:
        if version_of(path) in versions:
            return path
    raise NoInterpreter(f"no Python {', '.join(versions)} with venv and ensurepip (Debian: python3-venv) on this machine")


def version_of(python: Path) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


@contextlib.contextmanager
def made_once(folder: Path, recipe: str) -> Iterator[bool]:
    """True when the folder has to be made: it isn't there, or was made from another recipe. One process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamped, stamp = folder / ".made-from", hashlib.sha256(recipe.encode()).hexdigest()
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        current = stamped.exists() and stamped.read_text() == stamp
        yield not current
        if not current:
            stamped.write_text(stamp)


def virtual_environment(name: str, python: Path, requirements: str | None = None) -> Path:
    """The Python of .cache/venvs/<name>, from tests/requirements/<name>.txt or the requirements given."""
    folder = (VENVS / name).resolve()  # its programs name it, and a link to it may be gone tomorrow
    if requirements is None:
        requirements = (REQUIREMENTS / f"{name}.txt").read_text()
    with made_once(folder, f"{python}\n{requirements}") as missing:
        if missing:
            say(f"making {folder} with {python}")
            shutil.rmtree(folder, ignore_errors=True)
            run(str(python), "-m", "venv", str(folder))
            wanted = folder / "requirements.txt"
            wanted.write_text(requirements)
            pip(folder / "bin" / "python", "install", "-r", str(wanted))
    return folder / "bin" / "python"


def core_programs(core: str) -> Path:
    """The folder with the programs of that ansible-core."""
    python = controller_python(CORES[core])
    if core == DEV_CORE:
        return virtual_environment("dev", python).parent
    return virtual_environment(f"core-{core}", python, f"ansible-core=={core}.*\n").parent


def tree(python: Path | None = None) -> Path:
    """The folder above ansible_collections; `python` is one with pip to fetch with, that of the dev environment unless given."""
    collections = TREE / "ansible_collections"
    with made_once(TREE, f"{BUNDLE} {WANTED}") as missing:
        if missing:
            say(f"fetching {', '.join(WANTED)} from {BUNDLE}")
            shutil.rmtree(TREE, ignore_errors=True)
            unpack(download(BUNDLE, python or virtual_environment("dev", controller_python())), collections)
    link = collections / "dbops" / "alembic"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink() or link.resolve() != ROOT:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT)
    return TREE


def apart(collection: str) -> Path:
    """The folder above ansible_collections with one that ours uses and does not depend on."""
    folder = CACHE / "apart" / collection
    with made_once(folder, BUNDLE) as missing:
        if missing:
            shutil.rmtree(folder, ignore_errors=True)
            found = download(BUNDLE, virtual_environment("dev", controller_python()))
            unpack(found, folder / "ansible_collections", (collection,))
    return folder


def download(requirement: str, python: Path) -> Path:
    folder = CACHE / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    pattern = requirement.replace("==", "-") + "-*.whl"
    if not list(folder.glob(pattern)):
        any_python = ("--only-binary=:all:", "--python-version=3.12")  # the file is the same for all
        pip(python, "download", "--no-deps", *any_python, "--dest", str(folder), requirement)
    return next(folder.glob(pattern))


def unpack(bundle: Path, collections: Path, wanted: tuple[str, ...] = WANTED) -> None:
    folders = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in wanted)
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(collections.parent, [name for name in archive.namelist() if name.startswith(folders)])


def pip(python: Path, action: str, *arguments: str) -> None:
    run(str(python), "-m", "pip", action, "--quiet", "--disable-pip-version-check", *arguments)


def run(*command: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    for what in sys.argv[1:]:
        if what == "tree":
            tree()
        else:
            virtual_environment(what, controller_python())


if __name__ == "__main__":
    try:
        main()
    except (NoInterpreter, Failed) as problem:
        sys.exit(str(problem))
