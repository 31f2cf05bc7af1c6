# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a deployment: what it says of each kind of them, and that its pages keep their structure.

The pages are kept as outlines below ``pages``. After a change that is meant, write them anew with ``DBOPS_WRITE_PAGES=1`` and look
at the difference.
"""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.deployment_outcome import deployment_outcome
from ansible_collections.dbops.alembic.plugins.filter.deployment_report import FORMATS, deployment_report
from ansible_collections.dbops.alembic.plugins.plugin_utils import _times

from support import deployments

PAGES = Path(__file__).with_name("pages")
VOID = ("meta", "br", "link")
CASES = {case.__name__: case for case in deployments.CASES}


def completed(name: str) -> dict[str, Any]:
    return deployment_outcome(*CASES[name]())


class Outline(HTMLParser):
    """The elements of a page with their text, one on a line, indented; and what would make it more than one file."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.open: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "link", "object") or any(name.startswith("on") for name in given):
            self.foreign.append(tag)
        told = "".join(f" {name}={value}" for name, value in attrs if name not in ("lang",))
        self.lines.append("  " * len(self.open) + tag + told)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self.open:
            self.lines.append("  " * len(self.open) + json.dumps(" ".join(data.split()), ensure_ascii=False))


def outline(page: str) -> Outline:
    made = Outline()
    made.feed(page)
    made.close()
    assert made.open == []
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_page_keeps_its_structure(name: str) -> None:
    found = outline(deployment_report(completed(name), "html"))
    text = "\n".join(found.lines) + "\n"
    kept = PAGES / f"{name}.txt"
    if os.environ.get("DBOPS_WRITE_PAGES"):
        kept.write_text(text)
    assert text == kept.read_text()
    assert found.foreign == []


def first_screen(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page[page.index("<header") : page.index("</header>")]).split())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "good",
            [
                "Deployed: release 1.4 serves.",
                "Release 1.4 serves on shop1, shop2.",
                "At b2.",
                "No data was given up",
                "12 s, from",
            ],
        ),
        (
            "failed",
            ["put back, and release 1.3 serves again.", "Release 1.3 serves on shop1, shop2.", "At 00.", "No data was lost"],
        ),
        ("unhealthy", ["Release 1.3 serves on shop1, shop2.", "3 rows were lost, which were written after the backup."]),
        (
            "halted",
            [
                "Halted: it waits for you.",
                "Release 1.4 was started and did not come up well on shop2.",
                "Stopped: shop1.",
                f"Not known: {deployments.LONG}.",
                "At b2.",
                "putting the backup back would give up 12 rows",
                "and not over",
                "Warning The hook",
            ],
        ),
        ("many", ["Deployed: release 1.4 serves.", "480 at b2, 20 at 00.", "20 of 500 databases are not at the release"]),
        ("rolling", ["Release 1.4 serves on shop1, shop2, shop3.", "At a1.", "Not measured"]),
        (
            "rolled_back",
            ["Release 1.3 serves on shop1, shop2, shop3.", "At a1.", "No data was lost: the database was left as it is."],
        ),
        ("kubernetes", ["Release registry.example.com/shop:1.4 serves on web, worker."]),
        ("recovered", ["release 1.3 serves again.", "1 h 04 min, from 20:40:00 to 21:44:36 UTC."]),
    ],
)
def test_the_first_screen_says_what_serves_now_and_what_was_lost(name: str, told: list[str]) -> None:
    screen = first_screen(deployment_report(completed(name), "html"))
    for text in told:
        assert text in screen
    assert "1.3 → 1.4" not in screen


@pytest.mark.parametrize(
    ("name", "marks", "nothing", "told", "metric"),
    [
        ("failed", True, True, "None: nothing was stopped.", True),
        ("failed", False, True, "None: nothing was stopped.", True),
        ("failed", False, False, "Not measured.", False),
        ("rolling", True, False, "Not measured: the hosts left their traffic batch by batch.", False),
    ],
)
def test_no_downtime_is_said_only_where_it_is_known(name: str, marks: bool, nothing: bool, told: str, metric: bool) -> None:
    result, known = CASES[name]()
    known = {**known, "stopped_nothing": nothing, **({} if marks else {"marks": []})}
    found = deployment_outcome(result, known)
    assert f"Downtime {told}" in first_screen(deployment_report(found, "html"))
    assert ("dbops_deployment_downtime_seconds{" in deployment_report(found, "prometheus")) == metric


def test_both_passes_are_in_the_timeline_with_clock_times_and_the_downtime_over_them() -> None:
    found = completed("failed")
    page = deployment_report(found, "html")
    assert [(step["pass"], step["text"]) for step in found["timeline"] if step["seconds"]] == [
        ("first", "stop"),
        ("first", "prove and save"),
        ("first", "upgrade"),
        ("first", "start and check"),
        ("first", "decide"),
        ("second", "stop"),
        ("second", "put back"),
        ("second", "start and check"),
        ("second", "give traffic back"),
        ("second", "close"),
    ]
    assert found["downtime"] == {"from": "2026-11-28T21:44:25Z", "to": "2026-11-28T21:44:53Z", "seconds": 28.0}
    assert page.index('id="timeline"') < page.index('id="revisions"') < page.index('id="run"')
    assert '<li class="down"><time>21:44:25</time>' in page and "<time>21:44:45</time>" in page


def test_a_log_is_there_once_and_folded() -> None:
    page = deployment_report(completed("unhealthy"), "html")
    assert page.count("12:00:07 ERROR column discount does not exist") == 1
    # the link leads into what is folded, which browsers unfold for it, and not to the fold
    assert 'href="#log-1"' in page
    assert page.index('<details class="log"') < page.index('id="log-1"') < page.index("12:00:07 ERROR")
    assert page.count("The application is not healthy") == 1


def test_many_revisions_are_folded_and_the_failed_one_is_not() -> None:
    made, more = deployments.hundred()
    failed = deployment_outcome({**made, "outcome": "reverted", "applied": [], "failure": {"revision": "000000000031"}}, more)
    states = [item["state"] for item in failed["revisions"]]
    assert states == ["not_kept"] * 49 + ["failed"] + ["not_run"] * 50
    page = deployment_report(failed, "html")
    assert page.index("<code>000000000031</code>") < page.index("All 100, from") < page.index("<code>000000000000</code>\n")


def test_many_databases_are_a_line_for_the_equal_ones_and_one_for_each_that_is_not() -> None:
    made, more = deployments.many()
    alone = [{**line, "remark": f"{line['targets'][0]}: {line['remark']}"} for line in made["databases"][1:]]
    page = deployment_report(deployment_outcome({**made, "databases": [made["databases"][0], *alone]}, more), "html")
    shown = page[page.index('id="databases"') : page.index('id="revisions"')]
    assert shown.count("<tr><td") == 21 and all(shown.count(f"customer_{number:03}") >= 1 for number in range(500))
    assert "customer_001, customer_002, customer_003, customer_004, customer_005 and 475 more</summary>" in shown
    assert shown.index("customer_250") < shown.index("9 more that are not as the others") < shown.index("customer_300")
    rest = [{**made["databases"][0], "at": None, "state": None}, {**made["databases"][-1], "at": None, "state": None}]
    text = deployment_report(deployment_outcome({**made, "outcome": "halted", "databases": rest}, more), "text")
    assert "480 untouched, 1 not known" in text


def test_databases_that_failed_alike_are_a_line_and_the_first_screen_shows_that_some_did() -> None:
    page = deployment_report(completed("many"), "html")
    shown = page[page.index('id="databases"') : page.index('id="revisions"')]
    assert shown.count("<tr><td") == 2 and shown.count("It has gone back to 00.") == 1 and "customer_475" in shown
    assert '<div class="halted"><dt>Databases</dt><dd>480 at b2, 20 at 00.</dd></div>' in page


def test_metrics_of_many_databases_have_a_sample_for_each_place() -> None:
    made, more = deployments.many()
    lines = deployment_report(completed("many"), "prometheus").splitlines()
    found = [line for line in lines if line.startswith("dbops_deployment_databases")]
    at = [",".join(line["at"]) for line in made["databases"]]
    assert at[0] == "b2" and set(at[1:]) == {"00"}
    assert found == [
        'dbops_deployment_databases{application="shop",revision="b2"} 480',
        'dbops_deployment_databases{application="shop",revision="00"} 20',
        'dbops_deployment_databases_behind{application="shop"} 20',
    ]
    assert not [line for line in lines if line.startswith("dbops_deployment_info") and "revision" in line]
    rest = [{**made["databases"][0], "at": None, "state": None}, {**made["databases"][-1], "at": None, "state": None}]
    unknown = deployment_report(deployment_outcome({**made, "databases": rest}, more), "prometheus")
    assert 'revision="untouched"} 480' in unknown and 'revision="not known"} 1' in unknown
    assert "dbops_deployment_databases" not in deployment_report(completed("good"), "prometheus")


def test_locks_are_the_strongest_of_each_table() -> None:
    made, more = deployments.good()
    statements = [
        {"sql": "x", "locks": {"public.orders": "Share"}},
        {"sql": "y", "locks": {"public.orders": "RowExclusive"}},
        {"sql": "z", "locks": {"public.orders": "AccessExclusive", "public.a": "RowShare"}},
    ]
    found = deployment_outcome(made, {**more, "rehearsed": [{"revision": "a1", "statements": statements}]})
    assert found["revisions"][0]["locks"] == {"public.a": "RowShare", "public.orders": "AccessExclusive"}


def test_whatever_is_in_it_is_text_and_no_password() -> None:
    made, more = deployments.failed()
    bad = "<script>alert(1)</script> \x1b[31m postgresql://shop:hunter2@db/shop"
    made = {**made, "application": bad, "failure": {"step": "upgrading", "message": bad}, "warnings": [bad]}
    page = deployment_report(deployment_outcome(made, more), "html")
    assert outline(page).foreign == [] and "hunter2" not in page and "\x1b" not in page
    assert page.count("&lt;script&gt;") >= 3


@pytest.mark.parametrize("name", CASES)
def test_the_json_is_the_result(name: str) -> None:
    found = completed(name)
    assert json.loads(deployment_report(found, "json")) == json.loads(json.dumps({"generator": "dbops.alembic", **found}))


@pytest.mark.parametrize(("name", "failures"), [("good", 0), ("failed", 2), ("unhealthy", 3), ("halted", 2), ("hundred", 0)])
def test_junit_has_a_case_for_each_thing_and_counts_them(name: str, failures: int) -> None:
    found = completed(name)
    suites = ElementTree.fromstring(deployment_report(found, "junit"))
    cases = list(suites.iter("testcase"))
    steps = sum(len(host["steps"]) for host in found["host_states"].values())
    assert len(cases) == 1 + len(found["revisions"]) + steps
    assert len(list(suites.iter("failure"))) == failures
    for suite in suites:
        for kind in ("failure", "skipped"):
            named = "failures" if kind == "failure" else kind
            assert int(suite.get(named, "-1")) == len(list(suite.iter(kind)))
        assert int(suite.get("tests", "-1")) == len(list(suite.iter("testcase")))


@pytest.mark.parametrize(("given", "format"), [({}, "html"), ({"outcome": "finished"}, "pdf"), ("x", "json")])
def test_what_is_no_deployment_and_no_format_is_refused(given: Any, format: str) -> None:
    with pytest.raises(AnsibleFilterError):
        deployment_report(given, format)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0.0 s"), (0.04, "0.04 s"), (9.96, "10.0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (None, "0.0 s")],
)
def test_how_long(seconds: Any, told: str) -> None:
    assert _times.lasted(seconds) == told


NOTHING = {"marks": [], "reached": {}, "failed": {}, "decision": {}, "now": 0, "step": ""}


@pytest.mark.parametrize("kind", ["", "maintenance_window", "rolling", "rollback", "restore"])
@pytest.mark.parametrize("outcome", ["finished", "reverted", "halted", "open", "nothing_to_do", "checked"])
@pytest.mark.parametrize("way", ["keep", "upgrade", "downgrade", "restore"])
def test_whatever_it_came_to_can_be_told(kind: str, outcome: str, way: str) -> None:
    """A run that is over must not fail because of its report, however little is known."""
    hosts = {"shop1": {"from_release": "", "to_release": "1.0"}, "shop2": {}}
    bare = {"outcome": outcome, "kind": kind, "application": "shop", "hosts": hosts}
    for made, recovering in ((bare, False), ({**deployments.result(outcome), "kind": kind}, True)):
        found = deployment_outcome(made, {**NOTHING, "recovering": recovering, "decision": {"database": way}})
        assert all(deployment_report(found, format) for format in FORMATS)


@pytest.mark.parametrize(
    ("kind", "way", "rows", "lost", "told"),
    [
        ("rollback", "restore", 12, "yes", "12 rows were lost"),
        ("rollback", "restore", None, "unknown", "How many rows were lost is not known"),
        ("rollback", "restore", 0, "no", "No data was lost: no row was written"),
        ("restore", "restore", 1, "yes", "1 row was lost, which was written after the backup."),
        ("rollback", "downgrade", 0, "no", "No data was given up"),
    ],
)
def test_what_a_rollback_and_a_restore_give_up(kind: str, way: str, rows: int | None, lost: str, told: str) -> None:
    made, more = deployments.good()
    found = deployment_outcome({**made, "kind": kind}, {**more, "rows_given_up": rows, "decision": {"database": way}})
    assert found["data"]["text"].startswith(told) and found["data"]["lost"] == lost
    tones = re.findall(r'<div class="(\w+)"><dt>Data<', deployment_report(found, "html"))
    assert tones == ["good" if lost == "no" else "halted"]


def test_the_first_deployment_that_is_put_back_leaves_nothing() -> None:
    made, more = deployments.failed()
    hosts = {"shop1": {"from_release": "", "to_release": "1.4"}}
    found = deployment_outcome({**made, "hosts": hosts, "from_release": ""}, more)
    assert found["verdict"]["text"] == "Not deployed: it was put back, and nothing serves, as before."
    assert found["verdict"]["serves"] == "Nothing serves, as before, on shop1."
