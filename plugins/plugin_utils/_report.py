# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report of a deployment: what its page shows, in plain values, and the page itself.

The page is made of the pieces in the folder ``templates/report`` of the role deployment. Everything in it is escaped.
"""

from __future__ import annotations

import posixpath
from functools import lru_cache
from pathlib import Path
from typing import Any, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import KIND, SEE
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_ledger import listed
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import _failed, _times
from ._report_run import run
from ._summary import place, standing
from ._text import joined, part
from ._verdict import BACK

Result = Mapping[str, Any]

TEMPLATES = Path(__file__).parents[2] / "roles" / "deployment" / "templates" / "report"
#: More revisions or tables than these are folded.
MANY = 12
#: Pass → what it is called where there are several.
PASSES = {
    "earlier": "The run that was cut off",
    "observe": "Looking",
    "first": "There",
    "rolling": "There",
    "second": "Back",
    "returning": "Back",
}
STEPS = {"stop": "stop", "start": "start and check", "undrain": "traffic", "roll": "roll over"}
HOST_STATES = {
    "serves": ("good", "serves"),
    "started": ("back", "runs, no traffic yet"),
    "failed": ("halted", "did not come up"),
    "stopped": ("halted", "stopped"),
    "nothing": ("back", "nothing serves, as before"),
    "unknown": ("halted", "not known"),
}
REVISION_STATES = {
    "applied": ("good", "applied"),
    "put_back": ("back", "ran, put back"),
    "not_kept": ("back", "ran, not kept"),
    "ran": ("back", "ran"),
    "failed": ("halted", "failed"),
    "not_run": ("quiet", "not run"),
}


def page(result: Result) -> str:
    """Return the report as one page of HTML that needs nothing else."""
    return str(_environment().get_template("page.html.j2").render(view(result)))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(TEMPLATES)), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["lasted"] = _times.lasted
    return made


def view(result: Result) -> dict[str, Any]:
    """Return what the pieces of the page show."""
    verdict = part(result.get("verdict"))
    revisions = [_revision(item) for item in result.get("revisions") or ()]
    return {
        "application": str(result.get("application") or ""),
        "id": str(result.get("id") or ""),
        "colour": str(verdict.get("colour") or "halted"),
        "headline": str(verdict.get("text") or result.get("message") or ""),
        "day": str(result.get("started_at") or "")[:10],
        "facts": facts(result),
        "failure": failure(result),
        "next": list(result.get("next") or ()),
        "warnings": [str(text) for text in result.get("warnings") or ()],
        "timeline": timeline(result),
        "hosts": [_host(name, part(found)) for name, found in part(result.get("host_states")).items()],
        "databases": [_database(line) for line in _alike(result.get("databases") or ())],
        "revisions": revisions,
        "revisions_folded": len(revisions) > MANY,
        "revisions_seconds": sum(item["seconds"] or 0 for item in revisions),
        "rows": rows(result),
        "rows_after": any(part(table).get("after") is not None for table in part(result.get("rows")).values()),
        "rows_gone": any(part(item).get("state") == "put_back" for item in result.get("revisions") or ()),
        "rows_estimated": any(not part(table).get("exact") for table in part(result.get("rows")).values()),
        "run": run(result),
    }


def facts(result: Result) -> list[dict[str, str]]:
    """What has to be seen first: what serves, where the database is, what was lost, how long nobody was served."""
    verdict, data = part(result.get("verdict")), part(result.get("data"))
    where, known = standing(result)
    states = {str(part(host).get("state")) for host in part(result.get("host_states")).values()}
    lost = str(data.get("lost") or "unknown")
    behind = part(result.get("fleet")).get("behind")
    return [
        _fact("Serves now", verdict.get("serves"), "good" if states <= {"serves"} else "halted"),
        _fact("Data", data.get("text"), {"no": "good"}.get(lost, "halted")),
        _fact(
            "Databases" if result.get("databases") else "Database",
            f"{where[0].upper()}{where[1:]}.",
            "good" if known and not behind else "halted",
        ),
        _fact("Downtime", *_downtime(result)),
    ]


def _fact(label: str, text: Any, tone: str) -> dict[str, str]:
    return {"label": label, "text": str(text or ""), "tone": tone}


def _downtime(result: Result) -> tuple[str, str]:
    down = part(result.get("downtime"))
    if not down:
        if result.get("kind") == "rolling":
            return "Not measured: the hosts left their traffic batch by batch.", "good"
        return ("None: nothing was stopped." if result.get("downtime_measured") else "Not measured."), "good"
    began = str(down["from"])[11:19]
    if not down.get("to"):
        return f"Since {began} UTC, and not over.", "halted"
    return f"{_times.lasted(down['seconds'])}, from {began} to {str(down['to'])[11:19]} UTC.", "good"


def failure(result: Result) -> dict[str, Any] | None:
    """What failed: where, in a few lines, what to do, and the logs of hosts, those that are alike once."""
    found = part(result.get("failure"))
    if not found:
        return None
    return {
        "step": str(found.get("step") or "an unknown step"),
        "revision": str(found.get("revision") or ""),
        "entries": [{**entry, "brief": [_linked(line) for line in entry["brief"]]} for entry in _failed.entries(result, most=4)],
        "decision": str(part(result.get("decision")).get("reason") or ""),
    }


def _linked(line: str) -> dict[str, str]:
    """Part the line that names an error kind from the address of what is said about it."""
    kind, _see, link = line.partition(SEE) if line.startswith(KIND) else (line, "", "")
    return {"text": kind, "link": link}


def timeline(result: Result) -> dict[str, Any]:
    """The steps with their places in per cent of the whole; the ones of an earlier run have none, as hours may lie between."""
    steps = [step for step in result.get("timeline") or () if step.get("seconds")]
    own = [step for step in steps if step.get("pass") != "earlier"]
    if not own:
        return {"steps": [], "down": None, "total": 0, "several": False}
    first = float(own[0]["at"])
    total = max(float(own[-1]["at"]) + float(own[-1]["seconds"]) - first, 0.01)
    named = PASSES if own == steps and own[0]["pass"] != "observe" else {**PASSES, "first": "Doing it", "rolling": "Doing it"}
    names = list(dict.fromkeys(named.get(str(step["pass"]), str(step["pass"])) for step in steps))
    shown, last = [], ""
    for step in steps:
        name = named.get(str(step["pass"]), str(step["pass"]))
        left = (float(step["at"]) - first) / total * 100
        shown.append(
            {
                "heading": name if name != last and len(names) > 1 else "",
                "clock": _times.clock(float(step["at"])),
                "text": str(step["text"]),
                "seconds": _times.lasted(step["seconds"]),
                "kind": "back" if step["pass"] in BACK else "own",
                "left": None if step["pass"] == "earlier" else round(min(left, 99.5), 2),
                "width": round(max(float(step["seconds"]) / total * 100, 0.5), 2),
            }
        )
        last = name
    return {"steps": shown, "down": _band(result, first, total), "total": total, "several": len(names) > 1}


def _band(result: Result, first: float, total: float) -> dict[str, Any] | None:
    down = part(result.get("downtime"))
    if not down:
        return None
    begins = _times.seconds(down.get("from"))
    ends = _times.seconds(down["to"]) if down.get("to") else first + total
    left = min(max((begins - first) / total * 100, 0), 100)
    right = min(max((ends - first) / total * 100, left + 0.5), 100)
    return {
        "left": round(left, 2),
        "width": round(right - left, 2),
        "clock": _times.clock(begins),
        "text": _times.lasted(down.get("seconds")) if down.get("to") else "not over",
    }


def _host(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    tone, text = HOST_STATES.get(str(found.get("state")), HOST_STATES["unknown"])
    steps: list[Mapping[str, Any]] = list(found.get("steps") or ())
    named = len({PASSES.get(str(step["pass"])) for step in steps}) > 1
    passes: dict[str, list[dict[str, str]]] = {}
    for step in steps:
        shown = {"text": STEPS.get(str(step["step"]), str(step["step"])), "state": str(step["state"])}
        passes.setdefault(PASSES.get(str(step["pass"]), "") if named else "", []).append(shown)
    release, before, after = (str(found.get(key) or "") for key in ("release", "from_release", "to_release"))
    was = "" if before == release else f"before {before}" if before else "nothing before"
    wanted = "" if after in (release, "") else f"was to be {after}"
    return {
        "name": name,
        "tone": tone,
        "text": text,
        "release": release,
        "more": " · ".join(filter(None, (was, wanted, str(found.get("manager") or "")))),
        "passes": passes,
    }


def _alike(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put those together that stand at the same place for the same reason."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        key = (place(line), joined(line["pending"], ""), str(line["remark"]))
        same = found.setdefault(key, {**line, "count": 0, "targets": []})
        same["count"] += line["count"]
        same["targets"] += line["targets"]
    return list(found.values())


def _database(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "count": line["count"],
        "revision": place(line),
        "pending": joined(line["pending"], "none"),
        "shown": listed(line["targets"]),
        "names": ", ".join(line["targets"]),
        "remark": str(line["remark"]),
    }


def _revision(item: Mapping[str, Any]) -> dict[str, Any]:
    tone, text = REVISION_STATES.get(str(item.get("state")), ("quiet", str(item.get("state"))))
    seconds = item.get("seconds")
    return {
        **item,
        "tone": tone,
        "state_text": text,
        "seconds": seconds,
        "took": "" if seconds is None else _times.lasted(seconds),
        "file": posixpath.basename(str(item.get("path") or "")),
    }


def rows(result: Result) -> list[dict[str, Any]]:
    """The tables, those whose number of rows changed first."""
    found = []
    for name, table in part(result.get("rows")).items():
        before, after = table.get("before"), table.get("after")
        then = 0 if table.get("new") else before
        found.append(
            {
                "table": name,
                "before": "new" if table.get("new") else _count(before, table),
                "after": "gone" if table.get("gone") else _count(after, table),
                "change": f"{after - then:+d}" if None not in (then, after) and after != then else "",
            }
        )
    return sorted(found, key=lambda row: (not (row["change"] or "new" in row["before"] or "gone" in row["after"]), row["table"]))


def _count(value: Any, table: Mapping[str, Any]) -> str:
    return "not known" if value is None else f"{'' if table.get('exact') else '≈ '}{int(value):,}".replace(",", " ")
