# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Reads how a process manager starts what it is given: from which folder and files, and as whom. Changes nothing."""

from __future__ import annotations

import configparser
import glob
import os
import pwd
import re
from dataclasses import dataclass
from typing import Sequence

from .._errors import MigrationError
from .services import Limits
from .systemd import Systemd

_SHOWN = ("ExecStart", "WorkingDirectory", "Environment", "RootDirectory")
#: Where files are that something makes at the start of the host, or of the service.
_MADE_LATER = ("/run/", "/var/run/", "/tmp/", "/dev/")
_FILE = re.compile(r"(/.*) \(ignore_errors=no\)$")


@dataclass(frozen=True)
class Started:
    """How one service is started. ``text`` is what may name the release, ``absent`` is what it needs and is not there, in words."""

    name: str
    text: str
    absent: Sequence[str] = ()


def starts(manager: str, names: Sequence[str], scope: str, supervisor_config: str, link: str = "") -> list[Started]:
    """Return how services are started; what can not be read is left out.

    :param link: the link to the active release; what is below it comes with a release.
    """
    if manager == "supervisor":
        return _supervised(supervisor_config, names)
    return _units([name for name in names if name.endswith(".service")], scope, link)


def _units(names: Sequence[str], scope: str, link: str) -> list[Started]:
    properties = ",".join((*_SHOWN, "EnvironmentFiles", "User", "DynamicUser"))
    try:
        blocks = Systemd(names, scope, Limits(0, 0, 0)).show(names, properties).split("\n\n") if names else []
    except (MigrationError, UnicodeDecodeError):
        return []
    started = []
    for name, block in zip(names, blocks):
        found = [line.partition("=")[::2] for line in block.splitlines()]
        started.append(Started(name, " ".join(text for key, text in found if key in _SHOWN), _absent(name, found, link)))
    return started


def _absent(unit: str, found: Sequence[tuple[str, str]], link: str) -> list[str]:
    """Return what would make the start fail: systemd tells of it only then."""
    told = []
    for file in (match.group(1) for key, text in found if key == "EnvironmentFiles" for match in [_FILE.match(text)] if match):
        comes_later = file.startswith((*_MADE_LATER, *([link.rstrip("/") + "/"] if link else [])))
        if not comes_later and not glob.has_magic(file) and _is_absent(file):
            told.append(f"{unit} reads its environment from {file}, which is not there. Make it, or it can not start.")
    properties = dict(found)
    user = properties.get("User", "")
    if user and properties.get("DynamicUser") != "yes" and not _is_user(user):
        told.append(f"{unit} runs as {user}, and there is no such user. Make it, or it can not start.")
    return told


def _is_absent(path: str) -> bool:
    """Return whether a file is known not to be there; in a folder that can not be looked into it may be."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _is_user(name: str) -> bool:
    try:
        pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return name.isdigit()  # a number needs no name
    return True


def _supervised(path: str, names: Sequence[str]) -> list[Started]:
    """Read supervisor's own configuration, with what it includes."""
    read = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    try:
        read.read(path)
        patterns = read.get("include", "files", fallback="").split()
        read.read([file for pattern in patterns for file in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern)))])
    except (configparser.Error, OSError, UnicodeDecodeError):
        return []
    return [
        Started(name, " ".join(read.get(section, key, fallback="") for key in ("command", "directory", "environment")))
        for name in names
        for section in [f"program:{part}" for part in reversed(name.split(":")) if read.has_section(f"program:{part}")][:1]
    ]
