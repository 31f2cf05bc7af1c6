# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module waits for while it works, and what is said of that: for what, how long, until when. Plain Python."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Iterator, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._background import now_and_then
from ansible_collections.dbops.alembic.plugins.module_utils._host.health import shown
from ansible_collections.dbops.alembic.plugins.module_utils._worker.printable import printable

from ._follow import seconds

Arguments = Mapping[str, Any]


def waited_for(action: str, arguments: Arguments) -> str:
    """Return what a module of this name waits for, in words that follow "waiting for"."""
    return _WAITS[action.rpartition(".")[2]](arguments)


def _host(arguments: Arguments) -> str:
    names = ", ".join(map(str, arguments.get("services") or ())) or "the services"
    if arguments.get("state") == "stopped":
        return f"{names} to stop"
    health: Arguments = arguments.get("health") or {}
    asked = shown(str(health.get("url") or "")) or " ".join(map(str, (health.get("command") or ())[:1]))
    return f"{names} to run" + (f", and for {asked} to be right" if asked else "")


def _workload(arguments: Arguments) -> str:
    deed = {"stopped": "be gone", "restarted": "be replaced"}.get(str(arguments.get("state")), "be ready")
    return f"the pods of {arguments.get('kind') or 'deployment'} {arguments.get('name')} to {deed}"


def _sessions(arguments: Arguments) -> str:
    return "the sessions of the application to go"


def _balanced(arguments: Arguments) -> str:
    deed = {"drain": "have no request left", "maint": "be in maintenance"}.get(str(arguments.get("state")), "be up")
    return f"the server {arguments.get('server')} of HAProxy to {deed}"


def _snapshot(arguments: Arguments) -> str:
    deeds = {
        "restored": "the copy to take the database's place",
        "absent": "the copy to be removed",
        "pruned": "old copies to be removed",
    }
    return deeds.get(str(arguments.get("state")), "the copy of the database")


def _archive_job(arguments: Arguments) -> str:
    deed = {"restored": "restores", "present": "writes"}.get(str(arguments.get("state") or "present"), "looks after")
    return f"the Job that {deed} the archive"


_WAITS: Mapping[str, Callable[[Arguments], str]] = {
    "application_host": _host,
    "kubernetes_workload": _workload,
    "database_sessions": _sessions,
    "database_snapshot": _snapshot,
    "haproxy_server": _balanced,
    "kubernetes_archive": _archive_job,
}


@contextlib.contextmanager
def told(what: str, limit: float | None, show: Callable[[str], None], clock: Callable[[], float] = time.time) -> Iterator[None]:
    """Say from time to time that something is waited for, while the block goes on.

    :param limit: seconds until the wait is given up, where that is known.
    """
    began = clock()
    end = f", until {time.strftime('%H:%M:%S', time.localtime(began + limit))} at most" if limit else ""

    with now_and_then(lambda: show(f"waiting for {printable(what)}: {seconds(round(clock() - began))} so far{end}")):
        yield
