# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary and the status as text: tables of what was found, and of what is shown."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import kind_line
from ansible_collections.dbops.alembic.plugins.plugin_utils._status import age, health, status
from ansible_collections.dbops.alembic.plugins.plugin_utils._summary import archive, summary
from ansible_collections.dbops.alembic.plugins.plugin_utils._text import labelled, size, table, wrapped

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=timezone.utc)
LONG = "shop-worker-with-a-name-that-somebody-generated.region-1.internal.example.com"

AFTER = {"text": "decide", "step": "done", "seconds": 0.7}  # it is no downtime any more

GOOD = {
    "application": "shop",
    "outcome": "finished",
    "message": "release 1.2 serves.",
    "from_release": "1.1",
    "to_release": "1.2",
    "from_revision": ["a1"],
    "to_revision": ["b2"],
    "hosts": {"shop1": {}, "shop2": {}},
    "applied": [{"revision": "b2", "message": "add customers.country", "seconds": 0.126}],
    "downtime_seconds": 7.1,
    "timeline": [{"text": "stop", "seconds": 2.0}, {"text": "upgrade", "seconds": 5.1}, AFTER],
    "way_back": "snapshot",
    "snapshot": "shop__1",
    "archive": {"path": "/var/a.pgc", "bytes": 2048, "sha256": "0123456789abcdef", "remarks": ["one remark"]},
    "record": "/var/lib/x.json",
    "report": "",
}


def test_a_good_deployment():
    assert summary(GOOD) == [
        "shop: release 1.2 serves.",
        "Release       1.1 -> 1.2 on shop1, shop2",
        "Revision      a1 -> b2",
        "              b2 add customers.country (0.13 s)",
        "Downtime      7.1 s: stop, upgrade",
        "Way back      snapshot shop__1",
        "Archive       /var/a.pgc (2.0 kB, sha256 0123456789ab)",
        "              one remark",
        "Record        /var/lib/x.json",
    ]


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({"from_release": "", "from_revision": []}, ["Release       none -> 1.2 on shop1, shop2", "Revision      base -> b2"]),
        ({"applied": [], "pending": [{"revision": "c3", "message": None}]}, ["              c3"]),
        (
            {
                "outcome": "reverted",
                "verdict": {"serves": "Release 1.1 serves on shop1, shop2."},
                "database_revision": ["a1"],
                "data": {"text": "No data was lost."},
            },
            ["Serves now    Release 1.1 serves on shop1, shop2.", "Database      at a1", "Data          No data was lost."],
        ),
        (
            {"outcome": "halted", "verdict": {"serves": "Stopped: shop1."}, "database_revision": None, "data": {"text": "x"}},
            ["Database      where it stands is not known"],
        ),
        (
            {
                "failure": {
                    "step": "starting",
                    "hosts": ["shop1", "shop2"],
                    "message": "shop1, shop2: no\nThe end of its log:\n1\n2",
                },
                "host_states": {name: {"message": "no\nThe end of its log:\n1\n2"} for name in ("shop1", "shop2")},
            },
            ["Failed at     starting on shop1, shop2", "              shop1, shop2: no"],
        ),
        ({"warnings": ["look at it"]}, ["Warning       look at it"]),
        (
            {"unasked_hosts": ["shop2"], "outcome": "checked", "record": ""},
            ["Health        nobody will look whether it serves on shop2: neither health_url"],
        ),
        (
            {"doubted_hosts": {"shop1": "http://h/ answered 404"}, "outcome": "reverted"},
            ["Health        before anything was touched, on shop1: http://h/ answered 404"],
        ),
        ({"doubted_hosts": {"shop1": "http://h/ answered 404 and not 200"}}, []),
        ({"unasked_hosts": ["shop2"]}, ["Health        nobody looked whether it serves on shop2: neither health_url nor"]),
        (
            {"failure": {"step": "upgrading", "hosts": ["shop1"], "message": "it broke\nat line 3"}},
            ["Failed at     upgrading on shop1", "              it broke", "              at line 3"],
        ),
        ({"failure": {"message": "it broke"}}, ["Failed at     an unknown step"]),
        (
            {"plan": {"reason": "it adds", "accepted": ["r1"]}, "route": "rolling", "batches": [["shop1"], ["shop2"]]},
            [
                "Route         rolling: it adds",
                "              overridden for r1",
                "Batches       1: shop1",
                "              2: shop2",
            ],
        ),
    ],
)
def test_what_else_there_may_be(more, lines):
    shown = summary({**GOOD, **more})
    assert [line for line in shown if line in lines] == lines, shown


def test_a_command_that_goes_on_stays_on_one_line():
    command = "ansible-playbook -i " + "long/" * 40 + "hosts.yml dbops.alembic.recover"
    steps = [{"command": "", "does": "Mend it."}, {"command": command, "does": "looks again."}]
    assert summary({"application": "shop", "message": "halted.", "next": steps}) == [
        "shop: halted.",
        "Go on with    Mend it.",
        f"              {command}",
        "                looks again.",
    ]


def test_a_summary_of_next_to_nothing_has_no_empty_line():
    assert summary({"application": "shop", "message": "nothing to do."}) == ["shop: nothing to do."]
    assert archive({}) == []


FOUND = {
    "application": "shop",
    "revision": ["a1"],
    "pending": ["b2", "c3"],
    "hosts": {
        "shop1": {
            "reached": True,
            "manager": "systemd",
            "release": "1.1",
            "processes": {"web": "active"},
            "health": {"status": 200, "release": "1.1", "problem": ""},
        },
        "shop2": {"reached": False, "manager": "systemd", "problem": "left out by --limit"},
    },
    "deployments": [
        {"status": "finished", "to_release": "1.1", "closed_at": "2026-05-01T08:30:11.000Z", "hosts": {}},
        {"status": "reverted", "to_release": "1.1", "closed_at": "2026-05-03T08:30:11.000Z", "hosts": {}},
        {"status": "finished", "to_release": "", "closed_at": "2026-05-02T09:00:00Z", "hosts": {"shop1": {"to_release": "1.1"}}},
    ],
    "open": {"id": "d7", "status": "halted", "step": "upgrading"},
    "last_finished": {"id": "d6", "from_release": "", "to_release": "1.1"},
    "backups": {
        "snapshots": [{"name": "shop__1", "kind": "snapshot", "created": "2026-05-04T10:30:00Z", "size_bytes": 1536}],
        "archives": [
            {
                "path": "/b/1.pgc",
                "bytes": 10,
                "created_at": "2026-05-01T12:00:00Z",
                "proof": {"proved": True, "at": "2026-05-02T01:00:00Z"},
            },
            {
                "path": "/b/2.pgc",
                "bytes": 10,
                "created_at": "2026-05-01T12:00:00Z",
                "proof": {"proved": False, "message": "rows differ"},
            },
            {"path": "/b/3.pgc", "bytes": 10, "created_at": "2026-05-01T12:00:00Z"},
        ],
        "problem": "",
    },
}


def test_the_status_is_tables():
    assert status(FOUND, NOW) == [
        "shop: the database is at a1; pending: b2, c3",
        "host   manager  release  since             processes   health",
        "shop1  systemd  1.1      2026-05-02 09:00  web active  200, says 1.1",
        "shop2  systemd                                         left out by --limit",
        "Open          d7 is halted at upgrading; run dbops.alembic.recover",
        "Last finished d6: none -> 1.1",
        "backup    age        size    proof                name",
        "snapshot  1.5 hours  1.5 kB                       shop__1",
        "archive   3 days     10 B    restored 2026-05-02  /b/1.pgc",
        "archive   3 days     10 B    NOT PROVED           /b/2.pgc (rows differ)",
        "archive   3 days     10 B    not proved           /b/3.pgc",
    ]


def place(name: str, database: str) -> dict[str, object]:
    return {"name": name, "targets": [name], "known": bool(database), "database": database, "server": "db:5432"}


def of_many(count: int, hours: int) -> dict[str, object]:
    """The archives of as many databases, one of which has an older one besides; two have none, and of one that can't be known."""
    entry = {"bytes": 1000, "created_at": "2026-05-04T11:00:00Z", "proof": None}
    entries = [{**entry, "name": f"c{number}", "path": f"/b/c{number}.pgc"} for number in range(count)]
    first = {**entries[0], "created_at": "2026-05-01T11:00:00Z", "path": "/b/old.pgc"}
    entries[-1]["created_at"] = f"2026-05-04T{12 - hours:02}:00:00Z"
    places = [*(place(f"c{number}", f"shop_{number}") for number in range(count)), place("x", "x"), place("y", "y"), place("z", "")]
    return {"snapshots": [], "archives": [first, *entries], "places": places, "problem": ""}


def test_the_archives_of_many_are_counted_and_each_told_where_they_are_few():
    few, none = of_many(2, 5), {**of_many(2, 5), "archives": []}
    lines = status({**FOUND, "backups": few}, NOW)
    assert lines[lines.index("Last finished d6: none -> 1.1") + 1 :] == [
        "Archives      2 of 5 databases have one; the newest of each is 1.0 hours to 5.0",
        "              hours old, 2.0 kB together",
        "              none of x, y",
        "              not known of z, whose URL is not in the inventory",
        "archive of  age        size    proof       name",
        "c0          1.0 hours  1000 B  not proved  /b/c0.pgc",
        "c1          5.0 hours  1000 B  not proved  /b/c1.pgc",
    ]
    assert "Archives      0 of 5 databases have one" in status({**FOUND, "backups": none}, NOW)
    many = status({**FOUND, "backups": of_many(500, 1)}, NOW)
    assert len(many) == 10 and "500 of 503 databases have one; the newest of each is 1.0 hours old," in " ".join(
        " ".join(many).split()
    ), many


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"revision": None}, "shop: where the database stands could not be read"),
        ({"revision": None, "problem": "nobody may\nat all"}, "shop: where the database stands could not be read: nobody may"),
        ({"revision": [], "pending": []}, "shop: the database is at base; nothing is pending"),
        ({"pending": None}, "shop: the database is at a1"),
        ({"backups": {"problem": "no server"}}, "Warning       no server"),
        ({"records_problem": "The record is no JSON."}, "Warning       The record is no JSON."),
        ({"backups": {}}, "Backups       none"),
    ],
)
def test_what_else_a_status_may_be(more, line):
    assert line in status({**FOUND, **more}, NOW)


@pytest.mark.parametrize(
    ("releases", "opened", "told"),
    [
        (["1.1", "1.1"], {}, ""),
        (["1.1", "1.0", "1.1"], {}, "the hosts have different releases: 1.1 on shop0, shop2; 1.0 on shop1"),
        (["1.1", ""], {}, "the hosts have different releases: 1.1 on shop0; none on shop1"),
        (["1.1", None], {}, ""),
        (["1.1", "1.0"], {"id": "d7", "status": "open", "step": "rolling"}, ""),
    ],
)
def test_hosts_that_were_left_behind_are_told_of(releases, opened, told):
    hosts = {f"shop{n}": {"reached": release is not None, "release": release} for n, release in enumerate(releases)}
    lines = status({**FOUND, "hosts": hosts, "open": opened}, NOW, width=200)
    assert [line.split(None, 1)[1] for line in lines if line.startswith("Warning")] == ([told] if told else [])


def test_long_names_stay_whole_and_apart():
    hosts = {
        f"{number}-{LONG}": {"reached": True, "manager": "supervisor", "release": LONG, "processes": {"a": "b"}}
        for number in (1, 2)
    }
    lines = status({**FOUND, "hosts": hosts}, NOW)
    for number in (1, 2):
        assert [line for line in lines if f"{number}-{LONG}" in line.split()], lines
    assert sum(LONG in line.split() for line in lines) == 2
    (moved,) = [line for line in table([("a", "b"), ("x", LONG + "/" + LONG)]) if LONG in line]
    assert moved == f"  {LONG}/{LONG}"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({}, "not asked"),
        ({"status": 200, "problem": ""}, "200"),
        ({"status": 503, "problem": "503 is not among 200"}, "503 is not among 200"),
    ],
)
def test_health_in_a_few_words(answer, text):
    assert health({"health": answer}) == text


def test_a_way_back_that_was_taken_is_none_any_more():
    taken = {"outcome": "reverted", "decision": {"database": "restore"}, "way_back": "snapshot", "snapshot": "shop__1"}
    assert "Way back      taken: snapshot shop__1 was put back" in summary(taken)


def test_a_kind_is_told_once_and_hosts_in_their_order():
    states = {name: {"message": f"no {name}\n{kind_line('unhealthy')}"} for name in ("shop2", "shop1")}
    whole = "\n".join(found["message"] for found in states.values())
    failure = {"step": "starting", "hosts": list(states), "message": whole}
    lines = summary({"failure": failure, "host_states": states})
    assert "Failed at     starting on shop1, shop2" in lines and sum("Kind: " in line for line in lines) == 1


@pytest.mark.parametrize(
    ("since", "text"),
    [
        ("yesterday", "yesterday"),
        (None, ""),
        ("2026-05-04T11:00:00", "1.0 hours"),
        ("2027-01-01", "0 minutes"),
        ("2026-05-04T11:59:00", "1 minute"),
    ],
)
def test_an_age_is_told_where_there_is_one(since, text):
    assert age(since, NOW) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (5 * 2**30, "5.0 GB"), (2**52, "4096.0 TB")]
)
def test_sizes_are_readable(count, text):
    assert size(count) == text


def test_lines_are_broken_at_spaces_only():
    assert wrapped(f"see {LONG}-{LONG} there", 40) == ["see", f"{LONG}-{LONG}", "there"]
    assert labelled("Label", "", "two") == ["Label         two"]
    assert labelled("Record", "/" + LONG, width=40)[-1].split()[-1] == "/" + LONG


def test_a_log_is_not_in_the_summary():
    failure = {"step": "starting", "message": "no\nThe end of its log:\nsomething\nWhat to do: look"}
    told = summary({**GOOD, "failure": failure})
    assert "              What to do: look" in told and not [line for line in told if "something" in line or "its log" in line]
