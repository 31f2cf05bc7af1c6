# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Programs that a project starts while it is only looked at: one that migrates has connections that nobody keeps from writing."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Callable

#: Event of the interpreter → which of its arguments are the program and its words.
_EVENTS = {"subprocess.Popen": (0, 1), "os.system": (0,), "os.exec": (0, 1), "os.posix_spawn": (0, 1), "os.spawn": (1, 2)}
_WORD = r"[\s'\";&|()]"
#: alembic upgrade, python -m alembic upgrade, flask db upgrade, python manage.py db upgrade
_MIGRATES = re.compile(
    rf"(?:^|{_WORD}|/)(?:alembic|flask{_WORD}(?:.*{_WORD})?db|manage\.py{_WORD}(?:.*{_WORD})?db){_WORD}"
    rf"(?:.*{_WORD})?(?:upgrade|downgrade|stamp|ensure_version)(?:{_WORD}|$)",
    re.S,
)
_ONLY_SHOWS = re.compile(rf"{_WORD}--sql(?:{_WORD}|$)")


def migrates(command: str) -> bool:
    """Tell whether a command is one of the usual ones that migrate."""
    return bool(_MIGRATES.search(command)) and not _ONLY_SHOWS.search(command)


def words(event: str, args: Any) -> str:
    """Return the command that an event of the interpreter is about."""
    found: list[str] = []
    for place in _EVENTS[event]:
        part = args[place] if place < len(args) else None
        several = part if isinstance(part, (list, tuple)) else [part]
        found += [os.fsdecode(one) for one in several if isinstance(one, (str, bytes, os.PathLike))]
    # the program stands before its own words, of which it is the first
    return " ".join(found[1:] if len(found) > 1 and os.path.basename(found[0]) == os.path.basename(found[1]) else found)


def install(stop: Callable[[str], None]) -> None:
    """Call ``stop`` with each command that would migrate, before it is started; what it raises keeps it from that."""

    def hook(event: str, args: Any) -> None:
        if event in _EVENTS:
            command = words(event, args)
            if migrates(command):
                stop(command)

    sys.addaudithook(hook)
