#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-test sanity over a copy of what ships, with a home of its own in .cache.

sanity.py [CORE…] [-- ARGUMENT…]     CORE: releases of ansible-core (2.17 2.18 …), 2.19 unless given; `all` is every one supported,
                                     `ends` is 2.19 on this machine's oldest and newest Python alone.
                                     Arguments go to ansible-test sanity: -- --test validate-modules plugins/modules/alembic_info.py
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from checkout import files
from environments import CORES, DEV_CORE, core_programs, say
from support.paths import CACHE, ROOT
from support.venvs import NoInterpreter, interpreter

TARGET_PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
# Rules of style that later releases gave up: they forbid what the formatter writes, and a package that says what it is
OUTDATED = {"2.17": ("empty-init", "pep8"), "2.18": ("pep8",)}
NOT_SHIPPED = (".ci/", "demo/", "molecule/", "tests/")
ANSIBLE_TEST = ("tests/config.yml", "tests/sanity/")
HOME = CACHE / "home"
# ansible-test names the script after the pip that it wants: core 2.17; 2.18 and 2.19; 2.20 and 2.21
GET_PIP = ("get_pip_23_1_2.py", "get_pip_24_2.py", "get_pip_25_2.py")


def main() -> int:
    arguments = sys.argv[1:]
    extra = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    cores = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with open(CACHE / "sanity.lock", "w") as lock:  # one copy, one home: one run at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        return run(cores, extra)


def run(cores: list[str], extra: list[str]) -> int:
    copy = copy_of_checkout()
    home()
    pythons, versions = links_to_pythons()
    where = ["--local"]
    if cores == ["ends"]:  # what asks for no certain Python runs on ansible-test's own
        few = ends(versions)
        where = [part for version in few for part in ("--target-python", version)]
        for version in versions:
            if version not in few:
                say(f"SKIPPED sanity on Python {version}: make test-all has it")
    chosen = CORES if cores == ["all"] else [DEV_CORE] if cores == ["ends"] else cores or [DEV_CORE]
    failed = [core for core in chosen if not sanity(core, copy, pythons, [*where, *extra])]
    return 1 if failed else 0


def sanity(core: str, copy: Path, pythons: Path, extra: list[str]) -> bool:
    try:
        program = core_programs(core)
    except NoInterpreter as why:
        say(f"SKIPPED sanity with ansible-core {core}: {why}")
        return True
    say(f"ansible-test sanity of ansible-core {core}")
    for test in OUTDATED.get(core, ()):
        say(f"SKIPPED sanity {test} with ansible-core {core}: a later one asks for the opposite or no longer asks")
        extra = [*extra, "--skip-test", test]
    path = os.pathsep.join([str(program), str(pythons), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    environment = {"HOME": str(HOME), "PATH": path, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    command = ["ansible-test", "sanity", "--color", "no", *extra]
    return subprocess.run([str(program / command[0]), *command[1:]], cwd=copy, env=environment, check=False).returncode == 0


def copy_of_checkout() -> Path:
    """ansible-test wants a real path that ends in ansible_collections/dbops/alembic, not a link.

    What does not ship stays out: modules have rules of their own, and some of what tests feed to Alembic is wrong on purpose.
    """
    copy = CACHE / "sanity" / "ansible_collections" / "dbops" / "alembic"
    shutil.rmtree(copy, ignore_errors=True)
    for name in files():
        if name.startswith(NOT_SHIPPED) and not name.startswith(ANSIBLE_TEST):
            continue
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    if shutil.which("git"):  # otherwise ansible-test asks the repository around .cache, where all of this is ignored
        subprocess.run(["git", "init", "--quiet", str(copy)], check=True)
    return copy


def home() -> None:
    """A home for ansible-test, which keeps its environments there; the user's pip configuration goes with it."""
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in GET_PIP:
        shutil.copy(Path(__file__).with_name("get_pip.py"), cache / name)
    for name in (".pip", ".config/pip"):
        theirs, ours = Path.home() / name, HOME / name
        if theirs.exists() and not ours.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.symlink_to(theirs)


def links_to_pythons() -> tuple[Path, list[str]]:
    """A folder with python3.8, python3.9 … of this machine: real ones, since shims that choose by folder break ansible-test."""
    folder = CACHE / "pythons"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = []
    for version in TARGET_PYTHONS:
        try:
            (folder / f"python{version}").symlink_to(interpreter(version))
            found.append(version)
        except NoInterpreter:
            say(f"SKIPPED sanity on Python {version}: not on this machine")
    return folder, found


def ends(versions: list[str]) -> list[str]:
    """The first and the last of them that ansible-test of DEV_CORE knows."""
    newest = TARGET_PYTHONS.index(CORES[DEV_CORE][0])
    known = [version for version in versions if TARGET_PYTHONS.index(version) <= newest]
    return list(dict.fromkeys([*known[:1], *known[-1:]]))


if __name__ == "__main__":
    sys.exit(main())
