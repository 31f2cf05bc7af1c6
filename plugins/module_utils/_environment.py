# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The virtual environment of a release, with what the release needs.

``python -m venv`` starts a second Python that installs pip, and compiles all of it, in most of the time that a release takes. The
wheels that it would install are unpacked here instead, which is all that a wheel of pure Python asks for (PEP 427, "Installing a
wheel"); where they are not found, venv does it.
"""

from __future__ import annotations

import glob
import json
import os
import shlex
import zipfile
from typing import Any, Callable, Mapping, Sequence

from ._argspec import ArgumentSpec
from ._database import run_program

Run = Callable[..., Any]
#: Where a new environment keeps packages and scripts, and where its Python has the wheels for it: in a folder that whoever built
#: it chose (``--with-wheel-pkg-dir``), or in ensurepip itself.
_ASKED = """
import ensurepip, json, os, sys, sysconfig
print(json.dumps({
    "packages": sysconfig.get_path("purelib"), "scripts": sysconfig.get_path("scripts"), "version": list(sys.version_info[:2]),
    "wheels": [sysconfig.get_config_var("WHEEL_PKG_DIR") or "", os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")]}))
"""


def environment_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            path=dict(type="path", required=True),
            command=dict(type="list", elements="str", default=["python3", "-m", "venv"]),
            install=dict(type="str", choices=["auto", "requirements", "project"], default="auto"),
            requirements=dict(type="list", elements="str", default=[]),
            wheel=dict(type="str", default=""),
            extra=dict(type="list", elements="str", default=[]),
            pip_arguments=dict(type="list", elements="str", default=[]),
            environment=dict(type="dict", default={}, no_log=False),
        )
    )


def wanted(names: Sequence[str], install: str, requirements: Sequence[str], wheel: str) -> list[str]:
    """Return what pip is to install of a release, as its arguments.

    :param names: of the files in the release.
    """
    if wheel:
        listed, targets = list(requirements), [f"./{wheel}"]
    else:
        listed = list(requirements) or [name for name in names if name == "requirements.txt"]
        is_project = "pyproject.toml" in names or "setup.py" in names
        targets = ["."] if install == "project" or (not listed and is_project) else []
    return [f"--requirement={name}" for name in (listed if install != "project" else [])] + targets


def run_environment(params: Mapping[str, Any], run: Run, dry: bool = False) -> dict[str, Any]:
    """Do what the module ``release_environment`` was asked for and return its result.

    :param run: as AnsibleModule.run_command.
    :raises MigrationError: ``command_failed``, with what the program printed.
    """
    os.umask(0o022)  # the user that runs the application has to read it
    path = params["path"]
    place = os.path.join(path, "venv")
    python = os.path.join(place, "bin", "python")
    there = all(os.path.lexists(os.path.join(place, "bin", name)) for name in ("python", "pip"))
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    packages = wanted(names, params["install"], params["requirements"], params["wheel"]) + list(params["extra"])
    if not there and not dry:
        make(place, params["command"], run)
    if packages and not dry:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        run_program({"argv": [*pip, *params["pip_arguments"], *packages], "environment": params["environment"], "chdir": path}, run)
    return {"changed": bool(packages) or not there, "python": python, "installed": packages}


def make(place: str, command: Sequence[str], run: Run) -> None:
    """Make a virtual environment with pip.

    :raises MigrationError: ``command_failed``.
    """
    if list(command[1:]) == ["-m", "venv"]:
        run_program({"argv": [*command, "--without-pip", place], "environment": {}}, run)
        if _seed(place, run):
            return
    run_program({"argv": [*command, place], "environment": {}}, run)


def _seed(place: str, run: Run) -> bool:
    """Put there what venv would put there; return whether all of it was found."""
    python = os.path.join(place, "bin", "python")
    status, said, _errors = run([python, "-c", _ASKED])
    if status:
        return False
    asked = json.loads(said)
    projects = ["pip"] if asked["version"] >= [3, 12] else ["pip", "setuptools"]
    folder = next((folder for folder in asked["wheels"] if folder and os.path.isdir(folder)), "")
    wheels = [glob.glob(os.path.join(glob.escape(folder), f"{project}-*.whl")) for project in projects]
    if any(len(found) != 1 for found in wheels):
        return False
    packages = asked["packages"]
    for (wheel,) in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        info = os.path.join(packages, "{}-{}.dist-info".format(*os.path.basename(wheel).split("-")[:2]))
        names = ("pip", "pip3", "pip{}.{}".format(*asked["version"])) if os.path.basename(wheel).startswith("pip-") else ()
        scripts = [os.path.join(asked["scripts"], name) for name in names]
        for script in scripts:
            _write(script, f'#!/bin/sh\nexec {shlex.quote(python)} -m pip "$@"\n')
            os.chmod(script, 0o755)
        installer = os.path.join(info, "INSTALLER")
        _write(installer, "pip\n")
        listed = [os.path.relpath(path, packages) for path in [*scripts, installer]]  # so that pip can remove it again
        _write(os.path.join(info, "RECORD"), "".join(f"{name},,\n" for name in listed), "a")
    return True


def _write(path: str, text: str, mode: str = "w") -> None:
    with open(path, mode, encoding="utf-8") as file:
        file.write(text)
