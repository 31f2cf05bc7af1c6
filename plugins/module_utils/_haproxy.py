# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A server of HAProxy: whether it gets requests, told through the socket of HAProxy's administrator.

Commands, columns and the bits of a state are those of HAProxy's management guide, section 9.3 (``set server``, ``show servers
state``, ``show stat``, ``show cli level``).
"""

from __future__ import annotations

import csv
import socket
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from ._argspec import ArgumentSpec
from ._core.diff import text_diff
from ._errors import MigrationError

#: state → the command for it, and the bits of the administrator that it sets, of those that count: forced MAINT and forced DRAIN.
STATES = {"ready": 0, "drain": 8, "maint": 1}
#: The operational state of a server that gets no requests since it does not answer.
_STOPPED = 0
#: Seconds between two looks, and until an answer of HAProxy is given up.
POLL, PATIENCE = 0.05, 10.0
_TOLD = 20


def haproxy_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            server=dict(type="str", required=True),
            backend=dict(type="str", default=""),
            socket=dict(type="path", default="/run/haproxy/admin.sock"),
            state=dict(type="str", choices=list(STATES), default="ready"),
            timeout=dict(type="float", default=60.0),
        )
    )


@dataclass(frozen=True)
class Server:
    """A server in one backend.

    :param forced: what its administrator forces, one of :data:`STATES`.
    :param sessions: requests that are running there.
    :param up: whether HAProxy holds it for working; without health checks it does.
    """

    backend: str
    name: str
    forced: str
    sessions: int
    up: bool

    @property
    def full(self) -> str:
        return f"{self.backend}/{self.name}"

    def shown(self) -> dict[str, Any]:
        return {"backend": self.backend, "state": self.forced, "sessions": self.sessions, "up": self.up}


def servers_from(states: str, statistics: str) -> list[Server]:
    """Return the servers of two answers: of ``show servers state``, and of ``show stat``."""
    lines = [line for line in states.splitlines() if line.strip()]
    head = next((line[1:].split() for line in lines if line.startswith("#")), [])
    rows = [dict(zip(head, line.split())) for line in lines if not line.startswith("#") and " " in line]
    counted = csv.DictReader(statistics.lstrip("# \n").splitlines())
    sessions = {(row["pxname"], row["svname"]): int(row.get("scur") or 0) for row in counted if row.get("svname")}
    return [
        Server(
            backend=row["be_name"],
            name=row["srv_name"],
            forced=_forced(int(row["srv_admin_state"])),
            sessions=sessions.get((row["be_name"], row["srv_name"]), 0),
            up=int(row["srv_op_state"]) != _STOPPED,
        )
        for row in rows
        if "srv_admin_state" in row
    ]


def _forced(bits: int) -> str:
    if bits & STATES["maint"]:
        return "maint"
    return "drain" if bits & STATES["drain"] else "ready"


class Haproxy:
    """:param path: of the socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(self, command: str) -> str:
        """Return the answer to a command.

        :raises MigrationError: ``balancer_unreachable``.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(self.path)
                connection.sendall(f"{command}\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as exc:
            raise MigrationError(
                f"HAProxy can not be reached at {self.path}: {exc.strerror or exc}.",
                "balancer_unreachable",
                "Does HAProxy run, may this user write to the socket, and has HAProxy's configuration"
                f" 'stats socket {self.path} level admin'?",
            ) from exc
        return answer.decode(errors="replace").strip()

    def servers(self, name: str, backend: str) -> list[Server]:
        """Return the server in each backend that has it.

        :param backend: only this one; empty is every one.
        :raises MigrationError: ``server_unknown``, ``balancer_unreachable``.
        """
        everything = servers_from(self.ask("show servers state"), self.ask("show stat -1 4 -1"))
        found = [server for server in everything if server.name == name and backend in ("", server.backend)]
        if not found:
            there = [server.full for server in everything]
            names = ", ".join(there[:_TOLD]) + (f" and {len(there) - _TOLD} more" if len(there) > _TOLD else "")
            raise MigrationError(
                f"HAProxy at {self.path} knows no server {name}{f' in the backend {backend}' if backend else ''}. It has"
                f" {names or 'no servers'}.",
                "server_unknown",
                "Name it as HAProxy's configuration does.",
            )
        return found

    def may_set(self) -> None:
        """:raises MigrationError: ``balancer_unreachable``, for a socket that only answers questions."""
        level = self.ask("show cli level")
        if level in ("user", "operator"):
            self._refused(f"its level is {level}")

    def set(self, server: Server, state: str) -> None:
        """:raises MigrationError: ``balancer_unreachable``."""
        answer = self.ask(f"set server {server.full} state {state}")
        if answer:
            self._refused(answer.rstrip("."))

    def _refused(self, why: str) -> None:
        raise MigrationError(
            f"HAProxy does not take commands at {self.path}: {why}.",
            "balancer_unreachable",
            f"Its configuration needs 'stats socket {self.path} level admin'.",
        )


def run_haproxy(
    params: Mapping[str, Any], dry: bool, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Do what the module ``haproxy_server`` was asked for and return its result.

    :raises MigrationError: ``balancer_unreachable``, ``server_unknown``, ``not_drained``, ``unhealthy``.
    """
    balancer, state, deadline = Haproxy(params["socket"]), params["state"], now() + params["timeout"]
    before = balancer.servers(params["server"], params["backend"])
    others = [server for server in before if server.forced != state]
    balancer.may_set()
    for server in others if not dry else []:
        balancer.set(server, state)
    servers = before
    while not dry:
        servers = balancer.servers(params["server"], params["backend"])
        left = [server for server in servers if not _is_so(server, state)]
        if not left:
            break
        if now() >= deadline:
            _too_late(left, state, params)
        sleep(POLL)
    after = [(server.full, state) for server in before]
    shown = _lines([(server.full, server.forced) for server in before]), _lines(after)
    return {
        "changed": bool(others),
        "servers": [server.shown() for server in servers],
        "diff": text_diff(f"servers of HAProxy at {params['socket']}", *shown),
    }


def _is_so(server: Server, state: str) -> bool:
    return server.up if state == "ready" else server.sessions == 0 or state == "maint"


def _too_late(left: Sequence[Server], state: str, params: Mapping[str, Any]) -> None:
    names, seconds = ", ".join(server.full for server in left), f"{params['timeout']:g} s"
    if state == "ready":
        raise MigrationError(
            f"HAProxy has not found {names} working after {seconds}, so it gets no requests.",
            "unhealthy",
            "Look at the health check of the backend in HAProxy's configuration, and ask the server what HAProxy asks.",
        )
    sessions = sum(server.sessions for server in left)
    raise MigrationError(
        f"{sessions} {'request is' if sessions == 1 else 'requests are'} still running on {names} after {seconds}.",
        "not_drained",
        "New ones do not come any more. Give them more time, or let HAProxy end them with 'timeout server' or 'timeout tunnel'.",
    )


def _lines(servers: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{name} {state}\n" for name, state in servers)
