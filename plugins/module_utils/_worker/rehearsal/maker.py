# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Who made a copy, and when: in its name, and in full in the comment of the database or in a file of the folder.

What was made is removed by any later run that finds its maker dead, so both have to be beyond doubt: that it is ours, by a name
that nobody gives by hand and by what is written in it, and that the run is gone, by a lock or a session that ended with it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from typing import Any

PREFIX = "dbops_rehearsal_"
_KEY = "dbops.alembic.rehearsal"
_NAME = re.compile(PREFIX + r"[0-9a-f]{8}_(?:[0-9]{14}_[0-9]{1,10}_)?[0-9a-f]{8}(?:_back)?")
_FOLDER = re.compile(PREFIX + r"[0-9a-f]{8}_[A-Za-z0-9_]{8}")


def new_name(family: str) -> str:
    """Return a name for a database: ``<family><UTC time>_<process>_<random>``; with ``_back`` it is within 63 characters."""
    return f"{family}{time.strftime('%Y%m%d%H%M%S', time.gmtime())}_{os.getpid()}_{os.urandom(4).hex()}"


def is_copy(name: str) -> bool:
    """Tell whether a database of this name was made by a rehearsal of whatever database."""
    return bool(_NAME.fullmatch(name))


def is_folder(name: str) -> bool:
    return bool(_FOLDER.fullmatch(name))


def written(of: str, **more: Any) -> str:
    """Return what is written down in a copy of the database ``of``.

    :param more: what tells whether this run is still there.
    """
    process = os.getpid()
    mark = {"of": of, "host": socket.gethostname(), "pid": process, "started": _started(process)}
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({_KEY: dict(mark, created=created, **more)}, sort_keys=True)


def parsed(text: str | None) -> dict[str, Any] | None:
    """Return what :func:`written` wrote, or None for anything else."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    mark = found.get(_KEY) if isinstance(found, dict) else None
    return mark if isinstance(mark, dict) and isinstance(mark.get("of"), str) else None


def _started(process: int) -> int | None:
    """Return when a process was started, in the kernel's ticks since the boot: its number may be given to another one later."""
    try:
        with open(f"/proc/{process}/stat") as handle:
            return int(handle.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
