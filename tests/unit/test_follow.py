# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a job over several calls: tables of what the host answers, and of what is shown."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._steps.run import LASTING
from ansible_collections.dbops.alembic.plugins.plugin_utils import _follow
from ansible_collections.dbops.alembic.plugins.plugin_utils._follow import ConnectionLost, HostLost

LOST = ConnectionLost("no route")


def start(number, revision="ae1027a6acf5", database=None, context=0):
    names = {"context": context, "number": number, "total": 12, "revision": revision, "database": database}
    return {"event": "revision_start", "message": "add orders.total", **names}


def end(number, seconds=2.1, **names):
    return {**start(number, **names), "event": "revision_end", "seconds": seconds}


def unfinished(cursor, *events):
    return {"changed": False, "job": "j", "finished": False, "progress": list(events), "cursor": cursor}


class Host:
    """Answers each call with the next of its answers, and remembers what it was asked, shown and how long it was left alone."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked, self.shown, self.slept = [], [], []

    def call(self, options):
        self.asked.append(dict(options))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def follow(self, reconnect=60):
        return _follow.follow(self.call, "j", reconnect, self.shown.append, self.slept.append)


def test_a_short_run_is_one_call():
    host = Host({"changed": True})
    assert host.follow() == {"changed": True}
    assert host.asked == [{"job": "j", "wait": 4.0}]
    assert host.shown == [] and host.slept == []


def test_a_long_run_is_asked_for_what_is_new():
    host = Host(unfinished(100, end(1), start(2)), unfinished(250, end(2, 75)), {"changed": True})
    assert host.follow() == {"changed": True}
    assert host.asked == [
        {"job": "j", "wait": 4.0},
        {"job": "j", "wait": 15.0, "cursor": 100},
        {"job": "j", "wait": 15.0, "cursor": 250},
    ]
    assert host.shown == [
        "[1/12] ae1027a6acf5 add orders.total … 2.1 s",
        "[2/12] ae1027a6acf5 add orders.total …",
        "[2/12] ae1027a6acf5 add orders.total … 75 s",
    ]


def test_what_ended_between_the_last_two_calls_is_shown_from_the_result():
    steps = [{"revision": name, "message": f"does {name}", "seconds": 0.25} for name in ("r1", "r2", "r3")]
    result = {"databases": [{"database": {"name": None}, "planned": [*steps, {"revision": "r4"}], "applied": steps}]}
    host = Host(unfinished(7, {**end(1), "revision": "r1"}), result)
    host.follow()
    assert host.shown == ["[1/12] r1 add orders.total … 2.1 s", "[2/4] r2 does r2 … 0.25 s", "[3/4] r3 does r3 … 0.25 s"]


def test_a_tenant_has_its_own_revisions():
    step = {"revision": "r1", "message": "", "seconds": 1}
    entry = {"database": {"name": None}, "planned": [step], "applied": [step]}
    host = Host(unfinished(7, end(1, revision="r1", context=0)), {"databases": [entry, entry]})
    host.follow()
    assert host.shown == ["[1/12] r1 add orders.total … 2.1 s", "[1/1] r1 … 1.0 s"]


def test_a_lost_connection_is_tried_again_with_the_same_question():
    host = Host(unfinished(40, start(1)), LOST, LOST, LOST, unfinished(90, end(1)), {"changed": True})
    assert host.follow() == {"changed": True}
    assert host.asked[1] == host.asked[2] == host.asked[4] == {"job": "j", "wait": 15.0, "cursor": 40}
    assert host.slept == [1, 2, 4]
    assert host.shown == [
        "[1/12] ae1027a6acf5 add orders.total …",
        "connection lost; what runs there goes on by itself, trying to reach the host again",
        "connected again",
        "[1/12] ae1027a6acf5 add orders.total … 2.1 s",
    ]


def test_each_loss_has_the_whole_time():
    host = Host(LOST, LOST, unfinished(1), LOST, LOST, {"changed": True})
    host.follow(reconnect=3)
    assert host.slept == [1, 2, 1, 2]


def test_a_host_that_stays_away_is_given_up_after_the_time_allowed():
    host = Host(*[LOST] * 20)
    with pytest.raises(HostLost) as caught:
        host.follow(reconnect=40)
    assert (caught.value.reason, caught.value.seconds) == ("no route", 40)
    assert host.slept == [1, 2, 4, 8, 15, 10]
    assert len(host.asked) == 7


def test_without_time_there_is_no_second_attempt():
    host = Host(LOST)
    with pytest.raises(HostLost):
        host.follow(reconnect=0)
    assert host.slept == []


CUT_OFF = [
    ({"unreachable": True, "msg": "no route"}, True),
    ({"failed": True, "module_stdout": "", "rc": 255}, True),
    ({"failed": True, "module_stdout": " \n", "rc": -1}, True),
    ({"failed": True, "module_stdout": "", "module_stderr": "Killed", "rc": 137}, True),
    ({"failed": True, "module_stdout": "", "module_stderr": "", "rc": -9}, True),
    ({"failed": True, "module_stdout": "", "module_stderr": "Traceback", "rc": 1}, False),
    ({"failed": True, "module_stdout": "", "module_stderr": "not found", "rc": 127}, False),
    ({"failed": True, "module_stdout": "banner", "rc": 255}, False),
    ({"failed": True, "module_stdout": ""}, False),
    ({"failed": True, "msg": "Revision r1 failed", "error_kind": "migration_failed"}, False),
    ({"failed": True, "rc": 137, "msg": "an answer"}, False),
    ({"changed": True}, False),
]


@pytest.mark.parametrize(("result", "expected"), CUT_OFF)
def test_was_cut_off(result, expected):
    assert _follow.was_cut_off(result) is expected


WHO = "pid 4711 (deploy@10.0.0.7, dbops.alembic web1:33, since 12:01)"
HOLDER = {"pid": 4711, "user": "deploy", "client": "10.0.0.7", "application": "dbops.alembic web1:33", "since": "12:01"}
LINES = [
    ([start(3)], ["[3/12] ae1027a6acf5 add orders.total …"]),
    ([end(3)], ["[3/12] ae1027a6acf5 add orders.total … 2.1 s"]),
    ([start(3), end(3)], ["[3/12] ae1027a6acf5 add orders.total … 2.1 s"]),
    ([{**start(3), "message": ""}], ["[3/12] ae1027a6acf5 …"]),
    ([{**start(3), "message": "first line\nsecond"}], ["[3/12] ae1027a6acf5 first line …"]),
    ([{**start(3), "revision": "a" * 40}], ["[3/12] aaaaaaaaaaaa add orders.total …"]),
    ([end(3, None)], ["[3/12] ae1027a6acf5 add orders.total …"]),
    (
        [start(1, database="engine1"), end(1, database="engine2", context=1)],
        ["engine1: [1/12] ae1027a6acf5 add orders.total …", "engine2: [1/12] ae1027a6acf5 add orders.total … 2.1 s"],
    ),
    (
        [start(1, context=1), end(1, context=0)],
        ["[1/12] ae1027a6acf5 add orders.total …", "[1/12] ae1027a6acf5 add orders.total … 2.1 s"],
    ),
    (
        [{"event": "lock_wait", "holder": HOLDER, "wait_seconds": 300.0}],
        [f"waiting for the migration lock, for 300 s at most; it is held by {WHO}"],
    ),
    ([{"event": "lock_wait", "holder": None}], ["waiting for the migration lock"]),
    (
        [
            {
                "event": "retry",
                "attempt": 1,
                "error_kind": "lock_timeout",
                "revision": "ae10",
                "blockers": [HOLDER, {"pid": 5}],
                "delay": 1.24,
            }
        ],
        [f"attempt 1 ended with lock_timeout in ae10, blocked by {WHO}; pid 5; trying again in 1.2 s"],
    ),
    (
        [{"event": "retry", "attempt": 2, "error_kind": "deadlock", "revision": None, "blockers": [], "delay": 12}],
        ["attempt 2 ended with deadlock; trying again in 12.0 s"],
    ),
    ([{"event": "initialise", "context": 0}], ["the database is new: running the application's own initialisation command"]),
    ([{"event": "of a later version"}], []),
    ([], []),
]


@pytest.mark.parametrize(("events", "expected"), LINES)
def test_lines(events, expected):
    assert list(_follow.lines(events)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.00 s"),
        (0.043, "0.04 s"),
        (2.14, "2.1 s"),
        (59.94, "59.9 s"),
        (75.4, "75 s"),
        (599, "599 s"),
        (725.2, "12 min 5 s"),
        (None, "? s"),
    ],
)
def test_seconds(value, expected):
    assert _follow.seconds(value) == expected


def test_the_result_shows_nothing_of_the_following():
    arguments = {"chdir": "/srv", "job": "j", "wait": 15.0, "cursor": 40, "reconnect": 300}
    result = {"changed": True, "job": "j", "cursor": 4, "progress": [], "finished": True, "invocation": {"module_args": arguments}}
    assert _follow.public(result, {"chdir": "/srv"}) == {
        "changed": True,
        "invocation": {"module_args": {"chdir": "/srv", "reconnect": 300}},
    }
    assert _follow.public(result, {"job": "j"})["invocation"]["module_args"] == {"chdir": "/srv", "job": "j", "reconnect": 300}


@pytest.mark.parametrize(
    "result", [{"changed": True}, {"changed": True, "invocation": "censored"}, {"invocation": {"module_args": "censored"}}]
)
def test_a_result_without_arguments_stays_as_it_is(result):
    assert _follow.public(result, {}) == result


def test_what_a_message_would_command_a_terminal_is_written_out():
    host = Host(unfinished(9, {**start(1), "message": "create \x1b]0;owned\x07\u202eusers"}), {"changed": True})
    host.follow()
    assert [line for line in host.shown if r"create \x1b]0;owned\x07\u202eusers" in line]


def test_an_archive_is_told_in_bytes_while_it_is_written():
    told = [{"event": "archive", "bytes": count, "seconds": after} for count, after in ((0, 5.0), (3_500_000, 15.1))]
    host = Host(unfinished(100, told[0]), unfinished(180, told[1]), {"changed": True})
    assert host.follow() == {"changed": True}
    assert host.shown == ["the archive has 0 B after 5.0 s", "the archive has 3.3 MB after 15.1 s"]


def test_a_step_that_lasts_is_told():
    event = {"event": "step_lasts", "step": "copy", "seconds": 15.1}
    assert list(_follow.lines([event])) == ["copying the database: 15.1 s so far"]
    assert set(_follow.STEPS) == set(LASTING)  # each has its words


def test_who_has_to_go_is_told_while_it_is_waited_for():
    who = [{"pid": 4711, "user": "shop", "client": "10.0.0.7", "application": "gunicorn", "since": "12:01"}]
    event = {"event": "session_wait", "wait_seconds": 30.0, "count": 1, "sessions": who}
    assert list(_follow.lines([event, {**event, "count": 9}])) == [
        "waiting for 1 session to go, for 30.0 s at most: pid 4711 (shop@10.0.0.7, gunicorn, since 12:01)",
        "waiting for 9 sessions to go, for 30.0 s at most: pid 4711 (shop@10.0.0.7, gunicorn, since 12:01)",
    ]
