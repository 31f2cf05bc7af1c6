# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the report that says who ran it, from where, on what, and where the rest is. Plain Python."""

from __future__ import annotations

import posixpath
from typing import Any, Mapping, Sequence

from ._summary import databases, doubted, unasked, way_back
from ._text import joined, part, size

Result = Mapping[str, Any]


def run(result: Result) -> list[dict[str, Any]]:
    """Who ran it, from where, on what, and where the rest is."""
    by, archive = part(result.get("by")), part(result.get("archive"))
    way = "{} → {}".format(result.get("from_release") or "none", result.get("to_release") or "none")
    revision = "{} → {}".format(joined(result.get("from_revision") or (), "base"), joined(result.get("to_revision") or (), "base"))
    user = " at ".join(filter(None, (str(by.get("user") or ""), str(by.get("controller") or ""))))
    took = " to ".join(filter(None, (str(result.get("started_at") or ""), str(result.get("ended_at") or "")[11:])))
    found = [
        _line(
            "Deployment",
            "{} ({}, {})".format(result.get("id"), str(result.get("kind") or "").replace("_", " "), result.get("outcome")),
        ),
        _line("When", took),
        _line("Who, from where", user + (f", job {by['job']}" if by.get("job") else "")),
        _line("Migrator", by.get("migrator")),
        _line("Database", _server(part(result.get("database")))),
        _line("Databases", databases(result)),
        _line("Was to do", f"release {way}"),
        _line("", f"revision {revision}"),
        _line("Route", _route(result)),
        *[
            _line("" if number > 1 else "Batches", f"{number}: {', '.join(batch)}")
            for number, batch in enumerate(result.get("batches") or (), 1)
        ],
        _line("Health", unasked(result)),
        *[_line("" if unasked(result) or number else "Health", text) for number, text in enumerate(doubted(result))],
        _line("Way back", way_back(result)),
        _line("Record", result.get("record"), _link(result, result.get("record"))),
        _line("Archive", archive.get("path"), _link(result, archive.get("path"))),
        _line("", f"{size(archive.get('bytes'))}, sha256 {archive.get('sha256')}" if archive.get("sha256") else ""),
        _line("", part(archive.get("proof")).get("message")),
    ]
    return [line for line in found if line["text"]]


def _line(label: str, text: Any, link: str = "") -> dict[str, str]:
    return {"label": label, "text": str(text or ""), "link": link}


def _link(result: Result, path: Any) -> str:
    """Return where a file of the migrator is, seen from the report; nothing where one of them is no file there."""
    report, target = str(result.get("report") or ""), str(path or "")
    if not (report.startswith("/") and target.startswith("/")):
        return ""
    return posixpath.relpath(target, posixpath.dirname(report))


def _server(database: Mapping[str, Any]) -> str:
    if not database:
        return ""
    kind = " ".join(filter(None, (str(database.get("dialect") or ""), str(database.get("server_version") or ""))))
    where = str(database.get("host") or "")
    where += f":{database['port']}" if where and database.get("port") else ""
    as_user = f" as {database['user']}" if database.get("user") else ""
    return "{}{}{}; {}".format(database.get("database") or "", f" at {where}" if where else "", as_user, kind)


def _route(result: Result) -> str:
    plan = part(result.get("plan"))
    accepted: Sequence[Any] = plan.get("accepted") or ()
    over = f" Overridden for {joined(accepted, '')}." if accepted else ""
    return (
        "{}: {}{}".format(str(result.get("route")).replace("_", " "), plan.get("reason") or "", over) if result.get("route") else ""
    )
