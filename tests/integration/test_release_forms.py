# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the code comes from, in the forms that people pack it in, on a host whose umask lets nobody else read."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.test_release_extra import prepared, wheel
from support import venvs
from support.quick import some

CODE = {"alembic.ini": "[alembic]\n", "shop/__init__.py": "", "shop/shop.py": "NAME = 'shop'\n"}


@pytest.fixture(autouse=True)
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def code(folder: Path) -> Path:
    for name, text in CODE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
        (folder / name).parent.chmod(0o755)
    return folder


def packed(path: Path, around: str, form: str) -> Path:
    """An archive of the code, in a folder of this name or in none, its names in the order of who packs by hand."""
    tree = code(path.parent / "tree")
    with zipfile.ZipFile(path, "w") if form == "zip" else tarfile.open(path, form) as archive:  # type: ignore[call-overload]
        for name in CODE:
            (archive.write if form == "zip" else archive.add)(tree / name, f"{around}{name}")
    return path


def of_archive(folder: Path, name: str, around: str, form: str) -> dict[str, Any]:
    return {"release_source": "archive", "release_archive": str(packed(folder / name, around, form))}


def of_git(folder: Path) -> dict[str, Any]:
    repository = code(folder / "shop.git")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-qm", "All"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    return {"release_source": "git", "release_git_repository": f"file://{repository}", "release_git_reference": "main"}


FORMS: dict[str, Any] = {
    "tar, in a folder": lambda folder: of_archive(folder, "shop.tar.gz", "shop/", "w:gz"),
    "tar, in none": lambda folder: of_archive(folder, "shop.tar.gz", "", "w:gz"),
    "tar, in the dot": lambda folder: of_archive(folder, "shop.tgz", "./", "w:gz"),
    "tar of xz": lambda folder: of_archive(folder, "shop.tar.xz", "shop-1.4/", "w:xz"),
    "zip, in a folder": lambda folder: of_archive(folder, "shop.zip", "shop/", "zip"),
    "zip, in none": lambda folder: of_archive(folder, "Shop.ZIP", "", "zip"),
    "git": of_git,
}


@pytest.mark.parametrize("form", some(FORMS, "tar, in none", "zip, in a folder", "git"))
def test_all_of_the_code_is_there_and_can_be_read_by_who_runs_it(tmp_path: Path, form: str) -> None:
    program = {"git": "git", "zip": "unzip"}.get(form.partition(",")[0])
    if program and not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    given = {
        **{"application_name": "shop", "release_version": "1.4", "release_root": str(tmp_path / "srv")},
        **{"release_install": "none", **FORMS[form](tmp_path)},
    }
    prepared(tmp_path, given).ok()
    built = tmp_path / "srv" / "releases" / "1.4"
    assert {name: (built / name).read_text() for name in CODE} == CODE
    assert sorted(path.name for path in built.iterdir() if not path.name.startswith(".")) == ["alembic.ini", "shop"]
    readable(built, CODE)


def test_the_packages_can_be_read_by_who_runs_them(tmp_path: Path) -> None:
    given = {
        **{"application_name": "shop", "release_version": "1.4", "release_root": str(tmp_path / "srv"), "release_source": "wheel"},
        "release_wheel": str(wheel(tmp_path / "dist", "orders", "1.4")),
        "release_virtualenv_command": [str(venvs.interpreter()), "-m", "venv"],
        "release_pip_arguments": ["--no-index"],
    }
    prepared(tmp_path, given).ok()
    built = tmp_path / "srv" / "releases" / "1.4"
    packages = next((built / "venv" / "lib").glob("python*/site-packages")).relative_to(built)
    readable(built, ["venv/pyvenv.cfg", f"{packages}/orders.py", f"{packages}/pip/__init__.py", "venv/bin/pip"])


def readable(built: Path, names: Any) -> None:
    for name in names:
        path = built / name
        assert path.stat().st_mode & 0o044 == 0o044, f"{name} is for its owner alone"
        while path != built.parents[1]:
            path = path.parent
            assert path.stat().st_mode & 0o055 == 0o055, f"{path} is for its owner alone"
