# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment came to, as text: lines from the fact deployment_result. Plain Python."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import KIND
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_ledger import listed

from . import _failed
from ._text import LABEL, WIDTH, joined, labelled, part, size, wrapped

Result = Mapping[str, Any]
#: Of a database that nothing was done to, so that nobody looked anew where it stands, and of one that could not be read.
UNTOUCHED, UNKNOWN = "untouched", "not known"


def summary(result: Result, width: int = WIDTH) -> list[str]:
    """Return the lines of the summary."""
    found = wrapped("{}: {}".format(result.get("application"), result.get("message")), width)
    for lines in (_now, _release, _route, _health, _fleet, _way_back, _archive, _failure):
        found += lines(result, width)
    for warning in result.get("warnings") or ():
        found += labelled("Warning", warning, width=width)
    found += _next(result, width)
    return (
        found
        + labelled("Record", result.get("record") or "", width=width)
        + labelled("Report", result.get("report") or "", width=width)
    )


def _next(result: Result, width: int) -> list[str]:
    """How it goes on. A command stays on one line, so that it can be copied."""
    found: list[str] = []
    for step in result.get("next") or ():
        label = " " * LABEL if found else "Go on with".ljust(LABEL)
        if step["command"]:
            found.append(label + step["command"])
            found += wrapped(step["does"], width, " " * (LABEL + 2), " " * (LABEL + 2))
        else:
            found += wrapped(step["does"], width, label, " " * LABEL)
    return found


def _now(result: Result, width: int) -> list[str]:
    """What serves, where the database is and what was lost, where that is not just what was asked for."""
    if result.get("outcome") in ("finished", "nothing_to_do", "checked") or not result.get("verdict"):
        return []
    return (
        labelled("Serves now", part(result["verdict"]).get("serves") or "", width=width)
        + labelled("Database", standing(result)[0], width=width)
        + labelled("Data", part(result.get("data")).get("text") or "", width=width)
    )


def standing(result: Result) -> tuple[str, bool]:
    """Return where the database stands, or how many of them where, and whether that is known."""
    lines, at = result.get("databases") or (), result.get("database_revision")
    if not lines:
        return ("where it stands is not known", False) if at is None else (f"at {joined(at, 'base')}", True)
    counts: dict[str, int] = {}
    for line in lines:
        counts[place(line)] = counts.get(place(line), 0) + line["count"]
    told = [f"{count} {where}" if where in (UNTOUCHED, UNKNOWN) else f"{count} at {where}" for where, count in counts.items()]
    return ", ".join(told), UNKNOWN not in counts


def place(line: Mapping[str, Any]) -> str:
    """Return where the databases of a line stand."""
    if line["at"] is not None:
        return joined(line["at"], "base")
    return UNKNOWN if line["state"] or line["remark"] else UNTOUCHED


def _fleet(result: Result, width: int) -> list[str]:
    return labelled("Databases", databases(result), width=width)


def databases(result: Result) -> str:
    """Return how many databases there were to bring to the release, and which are behind; nothing where there was one."""
    fleet = part(result.get("fleet"))
    if not fleet:
        return ""
    behind = fleet.get("behind") or []
    return f"{fleet.get('targets')}" + (f", of which {len(behind)} did not get there: {listed(behind)}" if behind else "")


def _release(result: Result, width: int) -> list[str]:
    if not (result.get("to_release") or result.get("from_release")):
        return []
    release = "{} -> {}".format(result.get("from_release") or "none", result.get("to_release") or "none")
    revision = "{} -> {}".format(joined(result.get("from_revision") or (), "base"), joined(result.get("to_revision") or (), "base"))
    steps = [_step(step) for step in result.get("applied") or result.get("pending") or ()]
    hosts = joined(result.get("hosts") or (), "no host")
    return labelled("Release", f"{release} on {hosts}", width=width) + labelled("Revision", revision, *steps, width=width)


def _step(step: Mapping[str, Any]) -> str:
    took = " ({:.2f} s)".format(step["seconds"]) if isinstance(step.get("seconds"), (int, float)) else ""
    return "{} {}".format(step.get("revision"), str(step.get("message") or "").split("\n", 1)[0]).rstrip() + took


def _route(result: Result, width: int) -> list[str]:
    plan = part(result.get("plan"))
    if not plan:
        seconds = result.get("downtime_seconds")
        steps = list(result.get("timeline") or ())
        last = max((number for number, step in enumerate(steps) if step.get("step") == "done"), default=len(steps))
        parts = list(dict.fromkeys(step["text"] for step in steps[:last] if step.get("seconds")))
        return labelled("Downtime", "{} s: {}".format(seconds, ", ".join(parts)), width=width) if seconds else []
    overridden = [f"overridden for {accepted}" for accepted in plan.get("accepted") or ()]
    batches = [f"{number}: {', '.join(batch)}" for number, batch in enumerate(result.get("batches") or (), 1)]
    return (
        labelled("Route", "{}: {}".format(result.get("route"), plan.get("reason") or ""), *overridden, width=width)
        + labelled("Batches", *batches, width=width)
        + labelled("Downtime", "not measured; the hosts were taken batch by batch, out of their traffic", width=width)
    )


def _health(result: Result, width: int) -> list[str]:
    if result.get("outcome") == "checked":
        return labelled("Health", unasked(result, "will look"), *doubted(result), width=width)
    shown = result.get("record") and result.get("outcome") == "finished"
    return labelled("Health", unasked(result) if shown else "", *doubted(result), width=width)


def unasked(result: Result, looked: str = "looked") -> str:
    """Return the sentence that says where nobody looked whether it serves; empty where somebody did everywhere."""
    hosts = result.get("unasked_hosts")
    return f"nobody {looked} whether it serves on {', '.join(hosts)}: neither health_url nor health_command is set" if hosts else ""


def doubted(result: Result) -> list[str]:
    """Return where the health check would not have been content with what served before, and why; where it is now, nobody asks."""
    found = {} if result.get("outcome") == "finished" else part(result.get("doubted_hosts"))
    return [f"before anything was touched, on {host}: {why}" for host, why in found.items()]


def _way_back(result: Result, width: int) -> list[str]:
    return labelled("Way back", way_back(result), width=width)


def way_back(result: Result) -> str:
    """Return how one could go back, or how it was done."""
    way = str(result.get("way_back") or "")
    text = f"{way} {result.get('snapshot') or ''}".strip() if way == "snapshot" else way
    gone = result.get("outcome") == "reverted" and part(result.get("decision")).get("database") == "restore"
    return f"taken: {text} was put back" if gone and way == "snapshot" else text


def _archive(result: Result, width: int) -> list[str]:
    return archive(part(result.get("archive")), width)


def archive(found: Mapping[str, Any], width: int = WIDTH) -> list[str]:
    """Return the lines about one archive; none where there is none."""
    if not found.get("path"):
        return []
    head = "{} ({}, sha256 {})".format(found["path"], size(found.get("bytes")), str(found.get("sha256") or "")[:12])
    return labelled("Archive", head, part(found.get("proof")).get("message") or "", *(found.get("remarks") or ()), width=width)


def _failure(result: Result, width: int) -> list[str]:
    """Where and why. The logs of hosts are in the report, and were told when it happened."""
    failure = part(result.get("failure"))
    if not failure:
        return []
    hosts = failure.get("hosts") or ()
    where = "{}{}".format(failure.get("step") or "an unknown step", f" on {', '.join(sorted(hosts))}" if hosts else "")
    lines = [where]
    for entry in _failed.entries(result):
        first, *others = entry["brief"] or [""]
        lines += [f"{entry['hosts']}: {first}" if entry["hosts"] else first, *others]
    lines = [line for number, line in enumerate(lines) if not line.startswith(KIND) or line not in lines[number + 1 :]]
    return labelled("Failed at", *lines, width=width)
