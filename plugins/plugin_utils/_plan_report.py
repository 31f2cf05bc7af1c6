# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan for people and for merge requests: HTML, Markdown, SARIF 2.1.0 and JUnit XML, from the result of alembic_plan."""

from __future__ import annotations

import json
import os
from html import escape
from typing import Any, Callable, Iterator, Mapping
from xml.sax.saxutils import escape as xml
from xml.sax.saxutils import quoteattr

Plan = Mapping[str, Any]
#: Class of a finding → its level in SARIF. What stops or breaks running code is an error.
LEVELS = {
    "fails": "error",
    "unknown": "error",
    "blocks": "error",
    "breaks": "error",
    "may_break": "warning",
    "irreversible": "note",
    "not_transactional": "note",
}
_COLOURS = {"expand": "#3a7d44", "contract": "#5b7aa8", "blocking": "#b5651d", "unknown": "#a33b3b"}
_WHEN = {
    "expand": "while the old code serves",
    "contract": "when the old code is gone",
    "blocking": "only while the application is stopped",
    "unknown": "nobody knows",
}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def findings(revision: Plan) -> Iterator[Plan]:
    """Yield the findings that the revision does not allow."""
    return (finding for finding in revision["findings"] if not finding.get("allowed"))


def is_error(finding: Plan) -> bool:
    return LEVELS[finding["class"]] == "error"


def _path(revision: Plan, root: str) -> str:
    path = str(revision.get("path") or revision["revision"])
    return os.path.relpath(path, root) if root and os.path.isabs(path) else path


def sarif(plan: Plan, root: str = "") -> str:
    """Return a SARIF log with a result for each finding; those that a revision allows are suppressed with the reason."""
    rules: dict[str, Plan] = {}
    results = []
    for revision in plan["revisions"]:
        for finding in revision["findings"]:
            rules.setdefault(finding["rule"], finding)
            place: dict[str, Any] = {
                "physicalLocation": {"artifactLocation": {"uri": _path(revision, root)}, "region": {"startLine": 1}}
            }
            place["logicalLocations"] = [{"fullyQualifiedName": finding["object"]}]
            result = {
                "ruleId": finding["rule"],
                "level": LEVELS[finding["class"]],
                "message": {"text": f"{finding['message']} {finding['fix']}"},
                "locations": [place],
                "partialFingerprints": {"finding/v1": f"{revision['revision']}:{finding['rule']}:{finding['object']}"},
            }
            if finding.get("allowed"):
                result["suppressions"] = [{"kind": "inSource", "justification": finding["allowed"]}]
            results.append(result)
    described = [
        {"id": name, "shortDescription": {"text": finding["class"].replace("_", " ")}, "help": {"text": finding["section"] or name}}
        for name, finding in sorted(rules.items())
    ]
    driver = {"name": "dbops.alembic", "rules": described}
    run = {"tool": {"driver": driver}, "results": results, "properties": {"route": plan["route"], "reason": plan["reason"]}}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def junit(plan: Plan, root: str = "") -> str:
    """Return JUnit XML with a test case for each revision, which fails on what stops or breaks running code."""
    cases, failed = [], 0
    for revision in plan["revisions"]:
        open_ones = list(findings(revision))
        gravest = [finding for finding in open_ones if is_error(finding)]
        name = f"{revision['revision']} {revision['message']}".strip()
        body = ""
        if gravest:
            failed += 1
            text = "\n".join(
                f"{finding['rule']} {finding['object']}: {finding['message']}\n  {finding['fix']}" for finding in gravest
            )
            about = f"message={_attribute(gravest[0]['message'])} type={_attribute(gravest[0]['rule'])}"
            body = f"<failure {about}>{_text(text)}</failure>"
        rest = "\n".join(
            f"{finding['rule']} {finding['object']}: {finding['message']}" for finding in open_ones if not is_error(finding)
        )
        body += f"<system-out>{_text(rest)}</system-out>" if rest else ""
        cases.append(f"<testcase classname={_attribute(_path(revision, root))} name={_attribute(name)}>{body}</testcase>")
    head = f'<testsuite name="alembic_plan" tests="{len(cases)}" failures="{failed}" errors="0" skipped="0">'
    route = f'<properties><property name="route" value={_attribute(plan["route"])}/></properties>'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, route, *cases, "</testsuite>"]) + "\n"


def _text(text: str) -> str:
    """Leave out what XML has no way to write."""
    return xml("".join(character for character in text if character in "\n\t" or ord(character) >= 32))


def _attribute(text: str) -> str:
    return quoteattr("".join(character if ord(character) >= 32 else " " for character in text))


def markdown(plan: Plan, root: str = "") -> str:
    """Return a comment for a merge request."""
    lines = ["<!-- dbops.alembic -->", f"### Route: `{plan['route']}`", "", _cell(plan["reason"]), ""]
    if plan["revisions"]:
        lines += ["| Revision | When | Locks | Findings |", "| --- | --- | --- | --- |"]
    for revision in plan["revisions"]:
        told = " ".join(f"**{finding['rule']}**" if is_error(finding) else finding["rule"] for finding in findings(revision))
        locks = ", ".join(f"{_cell(table)}: {lock}" for table, lock in sorted(_locks(revision).items()))
        title = f"`{revision['revision']}` {_cell(revision['message'])}"
        lines.append(f"| {title} | {_WHEN[revision['phase']]} | {locks or 'none'} | {told or 'none'} |")
    for revision in plan["revisions"]:
        for finding in findings(revision):
            if is_error(finding) or finding["class"] == "may_break":
                lines += ["", f"**{finding['rule']}** in `{revision['revision']}`: {_cell(finding['message'])}"]
                lines += [f"Instead: {_cell(finding['fix'])}"] if finding["fix"] else []
    way = plan["rollback"]
    back = "a downgrade brings everything back." if way["proved"] else f"not proved. {way['reason'] or ''}"
    return "\n".join([*lines, "", f"Way back: {_cell(back)}"]).rstrip() + "\n"


def _cell(text: Any) -> str:
    """Write text that is no markup: nothing of a message opens HTML, a table cell or a link."""
    found = " ".join(str(text).split())
    for character in "\\`*_[]|<>#":
        found = found.replace(character, "\\" + character if character not in "<>" else {"<": "&lt;", ">": "&gt;"}[character])
    return found


def _locks(revision: Plan) -> dict[str, str]:
    """Return table → the last lock that a statement of the revision was seen to hold on it, which is the strongest."""
    return {table: lock for statement in revision["statements"] for table, lock in statement["locks"].items()}


_STYLE = """
  body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.4rem; border-left: .5rem solid %s; padding-left: .7rem; }
  h2 { font-size: 1.05rem; margin-top: 2rem; }
  table { border-collapse: collapse; width: 100%%; }
  th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #ddd; }
  th { font-weight: 600; white-space: nowrap; }
  code { font: 13px/1.45 ui-monospace, monospace; }
  .phase { color: #fff; border-radius: .2rem; padding: 0 .4rem; }
  .fix { color: #555; }
"""


def html(plan: Plan, root: str = "") -> str:
    """Return a page that stands by itself: a row for each revision, its findings with what to do instead, the route and why."""
    colour = {"rolling": "#3a7d44", "maintenance_window": "#b5651d"}.get(plan["route"], "#a33b3b")
    rows = "".join(_row(revision, root) for revision in plan["revisions"])
    head = "<tr><th>Revision</th><th>When</th><th>Locks and sizes</th><th>Findings</th></tr>"
    way = plan["rollback"]
    back = "A downgrade of all that is pending was proved to lose nothing." if way["proved"] else way["reason"] or "Not proved."
    table = f"<table>{head}{rows}</table>" if rows else "<p>Nothing is pending.</p>"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="dbops.alembic">\n<title>{escape(plan["route"])}</title>\n'
        f"<style>{_STYLE % colour}</style>\n</head>\n<body>\n<h1>{escape(plan['route'])}: {escape(plan['reason'])}</h1>\n"
        f"{table}\n<h2>Way back</h2>\n<p>{escape(back)}</p>\n</body>\n</html>\n"
    )


def _row(revision: Plan, root: str) -> str:
    phase = revision["phase"]
    sizes = {finding["object"]: finding["rows"] for finding in revision["findings"] if finding.get("rows")}
    locks = "<br>".join(
        f"<code>{escape(table)}</code> {escape(lock)}{f', {sizes[table]} rows' if table in sizes else ''}"
        for table, lock in sorted(_locks(revision).items())
    )
    told = "".join(
        f"<p><strong>{escape(finding['rule'])}</strong> {escape(finding['message'])}"
        f'<br><span class="fix">{escape("Allowed: " + finding["allowed"] if finding.get("allowed") else finding["fix"])}</span></p>'
        for finding in revision["findings"]
    )
    parts = (
        f"<code>{escape(revision['revision'])}</code>",
        escape(revision["message"]),
        f"<code>{escape(_path(revision, root))}</code>",
    )
    title = "<br>".join(parts)
    when = f'<span class="phase" style="background: {_COLOURS[phase]}">{escape(phase)}</span><br>{_WHEN[phase]}'
    return f"<tr><td>{title}</td><td>{when}</td><td>{locks or 'none'}</td><td>{told or 'none'}</td></tr>"


FORMATS: dict[str, Callable[..., str]] = {"html": html, "markdown": markdown, "sarif": sarif, "junit": junit}
