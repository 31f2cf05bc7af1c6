# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said while a module waits: for what, for how long, until when."""

from __future__ import annotations

import re
import threading

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _background
from ansible_collections.dbops.alembic.plugins.plugin_utils import _waits

from support.paths import ROOT

ACTIONS, MODULES = ROOT / "plugins" / "action", ROOT / "plugins" / "modules"
HEALTH = {"url": "https://me:hunter2@127.0.0.1:8000/health?full=1"}


@pytest.mark.parametrize(
    ("action", "arguments", "what"),
    [
        ("application_host", {"state": "stopped", "services": ["web", "worker"]}, "web, worker to stop"),
        ("application_host", {"services": ["web"]}, "web to run"),
        (
            "application_host",
            {"services": ["web"], "health": HEALTH},
            "web to run, and for https://127.0.0.1:8000/health?full=1 to be right",
        ),
        (
            "application_host",
            {"health": {"command": ["/srv/check", "--token=hunter2"]}},
            "the services to run, and for /srv/check to be right",
        ),
        ("kubernetes_workload", {"name": "shop", "state": "stopped"}, "the pods of deployment shop to be gone"),
        ("kubernetes_workload", {"name": "shop", "kind": "statefulset"}, "the pods of statefulset shop to be ready"),
        ("database_sessions", {"url": "postgresql://u:p@h/d"}, "the sessions of the application to go"),
        ("database_snapshot", {"state": "present"}, "the copy of the database"),
        ("database_snapshot", {"state": "restored"}, "the copy to take the database's place"),
        ("haproxy_server", {"server": "app1", "state": "drain"}, "the server app1 of HAProxy to have no request left"),
        ("haproxy_server", {"server": "app1"}, "the server app1 of HAProxy to be up"),
        ("kubernetes_archive", {"name": "x"}, "the Job that writes the archive"),
        ("kubernetes_archive", {"state": "restored"}, "the Job that restores the archive"),
    ],
)
def test_what_is_waited_for_is_told_without_secrets(action: str, arguments: dict[str, object], what: str) -> None:
    assert _waits.waited_for(f"dbops.alembic.{action}", arguments) == what


def test_each_action_that_waits_says_for_what() -> None:
    """And where its module has an option with the seconds until it gives up, the action knows it."""
    actions = [path for path in sorted(ACTIONS.glob("*.py")) if "WaitingAction" in path.read_text()]
    assert len(actions) > 5
    for path in actions:
        assert _waits.waited_for(f"dbops.alembic.{path.stem}", {}), path.stem
        limit = re.search(r'limit = "(\w+)"', path.read_text())
        assert not limit or re.search(rf"\n  {limit[1]}:\n", (MODULES / path.name).read_text()), path.stem


@pytest.mark.parametrize("limit", [60.0, None])
def test_a_long_wait_is_told_again_and_again_and_a_short_one_never(monkeypatch: pytest.MonkeyPatch, limit: float | None) -> None:
    monkeypatch.setattr(_background, "PAUSES", (0.001, 0.002))
    shown: list[str] = []
    thrice = threading.Event()

    def show(line: str) -> None:
        shown.append(line)
        if len(shown) == 3:
            thrice.set()

    with _waits.told("it", limit, show):
        assert thrice.wait(60)
    said = re.compile(r"waiting for it: [\d.]+ s so far" + (r", until \d\d:\d\d:\d\d at most" if limit else ""))
    count = len(shown)
    assert count >= 3 and all(said.fullmatch(line) for line in shown), shown
    monkeypatch.setattr(_background, "PAUSES", (3600.0,))
    with _waits.told("it", limit, show):
        pass
    assert len(shown) == count
