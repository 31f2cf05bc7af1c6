# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as a page, a comment, SARIF and JUnit XML: read again by what reads such, and nothing of a message is markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.plan_report import plan_report
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._owned_paths import run_owned_path

HOSTILE = "drop <script>alert(1)</script> | `x` & [a](http://b) \x07 ]]>"


def finding(rule: str, kind: str, **facts: Any) -> dict[str, Any]:
    known = {"rule": rule, "class": kind, "object": "public.users.legacy", "lock": None, "rows": 1500000, "section": "Dropping"}
    return {**known, "message": HOSTILE, "fix": "Do it later.", "source": "rehearsal", "allowed": None, **facts}


def revision(name: str, phase: str, *findings: dict[str, Any]) -> dict[str, Any]:
    locks = [{"sql": "…", "locks": {"public.users": "Share"}}, {"sql": "…", "locks": {"public.users": "AccessExclusive"}}]
    path = f"/srv/app/migrations/{name}.py"
    return {"revision": name, "message": HOSTILE, "path": path, "phase": phase, "statements": locks, "findings": list(findings)}


PLAN = {
    "route": "maintenance_window",
    "reason": HOSTILE,
    "rollback": {"proved": False, "reason": "It is gone."},
    "revisions": [
        revision("a1", "expand", finding("R05", "irreversible")),
        revision(
            "b2", "blocking", finding("B01", "blocks"), finding("M01", "may_break"), finding("C02", "breaks", allowed="unread")
        ),
    ],
}


def test_sarif_has_a_result_for_each_finding() -> None:
    log = json.loads(plan_report(PLAN, "sarif", root="/srv/app"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0" and run["properties"]["route"] == "maintenance_window"
    told = [(item["ruleId"], item["level"], "suppressions" in item) for item in run["results"]]
    assert told == [("R05", "note", False), ("B01", "error", False), ("M01", "warning", False), ("C02", "error", True)]
    places = [item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for item in run["results"]]
    assert places == ["migrations/a1.py", *["migrations/b2.py"] * 3]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"R05", "B01", "M01", "C02"}
    assert len({item["partialFingerprints"]["finding/v1"] for item in run["results"]}) == 4


def test_junit_fails_on_what_stops_or_breaks_running_code() -> None:
    suite = ElementTree.fromstring(plan_report(PLAN, "junit").encode())
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    good, bad = suite.findall("testcase")
    assert good.find("failure") is None and good.findtext("system-out", "").startswith("R05 ")
    failure = bad.find("failure")
    assert failure is not None and failure.attrib["type"] == "B01" and "<script>" in failure.text and "C02" not in failure.text  # type: ignore[operator]


def test_a_comment_holds_no_markup_of_a_message() -> None:
    text = plan_report(PLAN, "markdown")
    assert "<script>" not in text and "[a](" not in text and "**B01** in `b2`" in text and "Instead: Do it later." in text
    assert "**C02**" not in text and "R05 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 2 and all(line.replace("\\|", "").count("|") == 5 for line in rows)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_stands_by_itself() -> None:
    page = Page()
    text = plan_report(PLAN, "html")
    page.feed(text)
    assert page.open == [] and not {"script", "link", "img"} & set(page.names) and page.names.count("tr") == 3
    assert "AccessExclusive" in text and "Allowed: unread" in text and "only while the application is stopped" in text


@pytest.mark.parametrize("name", ["html", "markdown", "sarif", "junit"])
def test_nothing_pending(name: str) -> None:
    assert plan_report({**PLAN, "route": "rolling", "reason": "Nothing is pending.", "revisions": []}, name)


@pytest.mark.parametrize(("plan", "name"), [(PLAN, "pdf"), ({"route": "rolling"}, "html"), ("rolling", "html")])
def test_what_is_no_plan_or_format_is_said(plan: Any, name: str) -> None:
    with pytest.raises(AnsibleFilterError, match="plan_report"):
        plan_report(plan, name)


@pytest.mark.parametrize("name", ["html", "markdown", "sarif", "junit"])
def test_a_report_is_known_as_ours_and_another_file_is_not(name: str, tmp_path: Path) -> None:
    path = tmp_path / "plan"
    given = {"path": str(path), "kind": "plan", "state": "replaceable"}
    path.write_text(plan_report(PLAN, name))
    assert run_owned_path(given)["exists"]
    path.write_text("# My plan\n")
    with pytest.raises(MigrationError, match="left alone"):
        run_owned_path(given)
