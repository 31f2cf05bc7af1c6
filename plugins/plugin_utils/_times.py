# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When what happened in a deployment, and from when to when nobody was served. Plain Python; times are seconds since 1970."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Mapping, Sequence

Mark = Mapping[str, Any]

#: Step → what is said of the time from its mark to the next one.
NAMES = {
    "stop": "stop",
    "stopping": "stop and save",
    "database": "prove and save",
    "upgrading": "upgrade",
    "restoring": "put back",
    "start": "start and check",
    "starting": "start and check",
    "restarting": "start and check",
    "undrain": "give traffic back",
    "done": "decide",
    "archiving": "archive and prune",
    "expanding": "expand",
    "rolling": "batch",
    "backfilling": "fill rows",
    "contracting": "contract",
    "downgrading": "undo the expand part",
    "returning": "batch back",
}
#: Marks that say that hosts begin what the next mark is about.
_JOINED = ("starting", "restarting")
#: What is shorter is no part of its own, in seconds.
SHORTEST = 0.05


def timeline(marks: Sequence[Mark], end: float, begun: int | None = None) -> list[dict[str, Any]]:
    """Return the marks in order, each with the ``seconds`` that passed until the next one and a ``text``.

    :param end: when the last of them was over.
    :param begun: how many batches were begun, where all of them are among the marks.
    """
    found: list[dict[str, Any]] = []
    for number, mark in enumerate(marks):
        until = float(marks[number + 1]["at"]) if number + 1 < len(marks) else max(end, float(mark["at"]))
        step = str(mark["step"])
        entry = {"pass": mark["pass"], "step": step, "at": float(mark["at"]), "seconds": round(until - float(mark["at"]), 2)}
        entry["text"] = NAMES.get(step, step)
        last = found[-1] if found else None
        if last and last["step"] in _JOINED and step == "start":
            found[-1] = {**entry, "at": last["at"], "seconds": round(until - last["at"], 2)}
        elif last and (last["step"], last["pass"]) == ("done", mark["pass"]) and step != "archiving":
            last["seconds"] = round(until - last["at"], 2)  # the failure is written down while it is decided
        else:
            found.append(entry)
    if found and found[-1]["step"] == "done":
        found[-1]["text"] = "close"
    return _numbered([entry if entry["seconds"] >= SHORTEST else {**entry, "seconds": 0} for entry in found], begun)


def _numbered(entries: list[dict[str, Any]], begun: int | None) -> list[dict[str, Any]]:
    """Number the batches. The step as such is written down before the first one begins, which is part of that one."""
    extra = sum(entry["step"] == "rolling" for entry in entries) - (begun or 0) if begun is not None else 0
    found: list[dict[str, Any]] = []
    waits: dict[str, Any] | None = None
    number = 0
    for entry in entries:
        if entry["step"] == "rolling" and extra > 0:
            extra -= 1
            waits = waits or entry
            continue
        if waits:
            entry = {**entry, "at": waits["at"], "seconds": round(entry["at"] + entry["seconds"] - waits["at"], 2)}
            waits = None
        number += entry["step"] == "rolling"
        found.append({**entry, "text": f"batch {number}"} if entry["step"] == "rolling" and begun is not None else entry)
    return found + ([waits] if waits else [])


def downtime(marks: Sequence[Mark], earlier: Sequence[Mark], over: bool) -> dict[str, Any]:
    """Return ``from``, ``to`` and ``seconds`` of the time in which the application was not there; nothing where there was none.

    :param earlier: what a run that was cut off has written down, where this one recovers its deployment.
    :param over: whether the application serves everywhere. Else there is no ``to``, and ``seconds`` counts to the last mark.
    """
    begins = [float(mark["at"]) for mark in [*earlier[:1], *marks] if mark["step"] in ("stop", "stopping")]
    if not begins or not marks:
        return {}
    ends = [float(mark["at"]) for mark in marks if mark["step"] == "done"]
    last = ends[-1] if over and ends else float(marks[-1]["at"])
    return {"from": iso(begins[0]), "to": iso(last) if over else "", "seconds": round(max(last - begins[0], 0), 1)}


def passes(marks: Sequence[Mark]) -> list[str]:
    return list(dict.fromkeys(str(mark["pass"]) for mark in marks))


def recorded(entries: Sequence[Mark], first: float) -> list[dict[str, Any]]:
    """Return the steps that an earlier run has written into the record, before ``first``, as marks."""
    found = [{"pass": "earlier", "step": entry["step"], "at": seconds(entry["at"])} for entry in entries]
    return [mark for mark in found if mark["at"] < first and mark["step"] not in ("taken_over", "halted")]


def seconds(text: Any) -> float:
    """Return an ISO 8601 time as seconds; 0 where it is none."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M:%S")


def lasted(count: Any) -> str:
    """Return a time as people say it: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``1 h 05 min``."""
    value = float(count or 0)
    if value < 10:
        return f"{value:.1f} s" if value >= 0.1 or not value else f"{value:.2f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
