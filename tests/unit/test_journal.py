# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal takes for committed, which is what a retry depends on."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker.journal import Journal


def start(revision):
    return {"event": "revision_start", "context": 0, "revision": revision, "message": ""}


def end(held):
    return {"event": "revision_end", "held": held, "seconds": 0.1}


def committed(running=True):
    return {"event": "committed", "running": running}


CASES = [
    pytest.param([start("a1")], False, [False], id="nothing committed"),
    pytest.param([start("a1"), committed()], True, [True], id="a part of the running one"),
    pytest.param([start("a1"), end(False), start("a2")], False, [False, False], id="each by itself"),
    pytest.param([start("a1"), committed(), end(False), start("a2")], False, [True, False], id="each by itself, in parts"),
    pytest.param([start("a1"), end(True), start("a2")], False, [False, False], id="together"),
    pytest.param([start("a1"), end(True), start("a2"), committed()], True, [True, True], id="a part of the second of two"),
    pytest.param([start("a1"), end(True), start("a2"), committed(False)], False, [True, False], id="the first of two as a whole"),
    pytest.param(
        [start("a1"), committed(), end(True), start("a2")], True, [True, False], id="a part of the first of two, the rest is open"
    ),
    pytest.param(
        [start("a1"), committed(), end(True), start("a2"), committed(False)], False, [True, False], id="now it is there as a whole"
    ),
]


KEPT = [
    pytest.param([start("a1")], [False], id="it runs"),
    pytest.param([start("a1"), committed(), end(False)], [True], id="by itself"),
    pytest.param([start("a1"), end(True), start("a2"), end(True)], [False, False], id="nobody has committed"),
    pytest.param([start("a1"), end(True), dict(committed(False), context=0)], [True], id="env.py has"),
    pytest.param([start("a1"), end(True), dict(committed(False), context=7)], [False], id="in another database"),
    pytest.param([start("a1"), committed(), end(True)], [False], id="a part of it"),
]


@pytest.mark.parametrize("events, kept", KEPT)
def test_what_is_there_as_a_whole(events, kept):
    journal = Journal()
    journal.take(
        dict.fromkeys(("initialised", "before", "planned", "invalid_before", "lock"))
        | {"event": "context", "number": 0, "database": {}}
    )
    for event in events:
        journal.take(event)
    assert [entry["kept"] for entry in journal.contexts[0]["ran"]] == kept


@pytest.mark.parametrize("events, dirty, ran", CASES)
def test_what_is_committed(events, dirty, ran):
    journal = Journal()
    database = {"dialect": "postgresql"}
    known = {
        "number": 0,
        "database": database,
        "initialised": True,
        "before": [],
        "planned": [],
        "invalid_before": [],
        "lock": None,
    }
    for event in [{"event": "context", **known}, *events]:
        journal.take(event)
    assert journal.dirty is dirty
    assert [entry["committed"] for entry in journal.contexts[0]["ran"]] == ran
    journal.begin_attempt()
    assert not journal.dirty, "what an attempt left open was rolled back with it"
