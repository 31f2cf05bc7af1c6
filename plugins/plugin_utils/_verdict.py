# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves after a deployment, where the database stands, and whether data was lost. Plain Python.

``result`` is the fact deployment_result as it was put together so far, ``known`` what else this run knows: ``reached`` (host → the
passes and steps that it took), ``failed`` (host → why it did not take one), ``passes``, ``step`` (of the record), ``decision``,
``found`` (revisions that were read last), ``rows_written``, ``baseline`` (whether rows were counted), and so on.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ._text import joined, part

Facts = Mapping[str, Any]

#: The passes of a deployment, in their order, and the ones that go back.
PASSES = ("first", "rolling", "second", "returning")
BACK = ("second", "returning")
#: The steps that a host takes in a pass.
STEPS = {
    "first": ("stop", "start", "undrain"),
    "second": ("stop", "start", "undrain"),
    "rolling": ("roll",),
    "returning": ("roll",),
}
#: State of a host → what is said of those that are in it; {} takes the release.
STATES = {
    "serves": "{} serves on",
    "started": "{} runs, and was not given its traffic back, on",
    "failed": "{} was started and did not come up well on",
    "stopped": "stopped:",
    "nothing": "nothing serves, as before, on",
    "unknown": "not known:",
}


def hosts(result: Facts, known: Facts) -> dict[str, dict[str, Any]]:
    """Return for each host the ``state`` (a key of :data:`STATES`), the ``release`` it is in it with, and its ``steps``."""
    found = {}
    for name, ends in part(result.get("hosts")).items():
        state, release = _state(name, part(ends), result, known)
        found[name] = {
            "state": state,
            "release": release,
            "from_release": str(part(ends).get("from_release") or ""),
            "to_release": str(part(ends).get("to_release") or ""),
            "manager": str(part(known.get("managers")).get(name) or "systemd"),
            "steps": steps(name, result, known),
            "message": str(part(part(known.get("failed")).get(name)).get("message") or ""),
        }
    return found


def steps(host: str, result: Facts, known: Facts) -> list[dict[str, str]]:
    """Return what the host was to do in this run, in order, each ``done``, ``failed`` or ``not_taken``."""
    reached, failed = set(part(known.get("reached")).get(host) or ()), part(part(known.get("failed")).get(host))
    found = []
    for name in _passes(known):
        if name in ("rolling", "returning") and host not in _touched(result, known):
            continue
        for step in STEPS[name]:
            done = f"{name} {step}" in reached
            bad = (failed.get("pass"), failed.get("step")) == (name, step)
            found.append({"pass": name, "step": step, "state": "done" if done else "failed" if bad else "not_taken"})
    return found


def _passes(known: Facts) -> list[str]:
    return [name for name in PASSES if name in (known.get("passes") or ())]


def _touched(result: Facts, known: Facts) -> set[str]:
    batches = list(result.get("batches") or ())[: int(known.get("batches_begun") or 0)]
    return {host for batch in batches for host in batch}


def _state(host: str, ends: Facts, result: Facts, known: Facts) -> tuple[str, str]:
    before, after = str(ends.get("from_release") or ""), str(ends.get("to_release") or "")
    outcome = result.get("outcome")
    if outcome == "finished":
        return ("serves", after)
    if outcome == "reverted":
        return ("serves", before) if before or result.get("kind") == "restore" else ("nothing", "")
    if outcome in ("halted", "open"):
        return _walk(host, before, after, result, known)
    return ("serves", before) if before else ("unknown", "")


def _walk(host: str, before: str, after: str, result: Facts, known: Facts) -> tuple[str, str]:
    """What a host does that was left in the middle: the last thing that is known of it."""
    reached, failed = set(part(known.get("reached")).get(host) or ()), part(part(known.get("failed")).get(host))
    state = ("unknown", "") if known.get("recovering") else ("serves", before) if before else ("nothing", "")
    if "observe stop" in reached:
        state = ("stopped", "")
    for name in _passes(known):
        release = before if name in BACK or _goes_back(known) else after
        at = failed.get("step") if failed.get("pass") == name else ""
        if "roll" in STEPS[name]:
            if host in _touched(result, known):
                state = ("serves", release) if f"{name} roll" in reached else ("failed", release) if at else ("unknown", "")
            continue
        if f"{name} stop" in reached:
            state = ("stopped", "")
        elif at == "stop":
            state = state if failed.get("serves") else ("unknown", "")
        elif name == "first" and not known.get("recovering"):
            state = ("unknown", "")  # it was to stop, and said nothing more
        if at == "start":
            state = ("failed", release)
        elif f"{name} start" in reached:
            state = ("serves" if f"{name} undrain" in reached else "started", release) if release else ("stopped", "")
    return state


def _goes_back(known: Facts) -> bool:
    """Whether the first pass itself is the way back: that of a recovery which puts back."""
    decision = part(known.get("decision"))
    return bool(known.get("recovering")) and "second" not in _passes(known) and decision.get("code") == "from"


def serves(states: Mapping[str, Facts]) -> str:
    """Return in a sentence or more what serves on which hosts."""
    groups: dict[tuple[str, str], list[str]] = {}
    for host, found in states.items():
        groups.setdefault((str(found["state"]), str(found["release"])), []).append(host)
    told = []
    for key in sorted(groups, key=lambda key: (list(STATES).index(key[0]), key[1])):
        release = f"release {key[1]}" if key[1] else "what was there"
        text = "{} {}.".format(STATES[key[0]].format(release), joined(groups[key], ""))
        told.append(text[0].upper() + text[1:])
    return " ".join(told) or "No host takes part."


def database(result: Facts, known: Facts) -> list[str] | None:
    """Return the revisions at which the database is now; None where that is not known."""
    outcome, kind = result.get("outcome"), result.get("kind")
    decision, found, step = part(known.get("decision")), known.get("found"), known.get("step")
    before, after = list(result.get("from_revision") or ()), list(result.get("to_revision") or ())
    older = before if kind in ("maintenance_window", "rolling") else after
    moved = decision.get("database") in ("restore", "downgrade")
    if outcome == "finished":
        return after
    if outcome == "reverted":
        return older if moved else list(found) if kind == "rolling" and found is not None else None if kind == "rolling" else before
    if step == "stopping":
        return before
    if step == "restoring" and BACK[0] in _passes(known):
        return None
    if step == "restarting" and moved:
        return older
    return None if found is None else list(found)


def data(result: Facts, known: Facts) -> dict[str, Any]:
    """Return whether rows were ``lost`` (``no``, ``yes``, ``unknown``), how many ``rows``, and a ``text`` that says so."""
    outcome, decision = result.get("outcome"), part(known.get("decision"))
    way, written = decision.get("database"), known.get("rows_written")
    if outcome == "finished" and not (result.get("kind") in ("rollback", "restore") and way == "restore"):
        return _lost("no", 0, "No data was given up: nothing was put back.")
    if outcome == "finished":
        given_up = known.get("rows_given_up")
        return _given_up(written if given_up is None else given_up)
    if way == "restore" and (outcome == "reverted" or known.get("step") == "restarting"):
        if not known.get("baseline"):
            return _lost("no", 0, "No data was lost: nobody was connected from the backup to the way back.")
        return _given_up(written)
    if way == "downgrade" and outcome == "reverted":
        return _lost("no", 0, "No data was lost, as the rehearsal or the operator vouches: the downgrade brings all of it back.")
    if outcome == "reverted":
        return _lost("no", 0, "No data was lost: the database was left as it is.")
    if written:
        return _lost("no", 0, f"No data was given up so far; putting the backup back would give up {_rows(written)}.")
    return _lost("no", 0, "No data was given up so far.")


def _given_up(rows: Any) -> dict[str, Any]:
    if rows is None:
        return _lost("unknown", None, "How many rows were lost is not known; what was written after the backup is gone.")
    if int(rows) == 0:
        return _lost("no", 0, "No data was lost: no row was written after the backup.")
    were = "was lost, which was" if int(rows) == 1 else "were lost, which were"
    return _lost("yes", int(rows), f"{_rows(rows)} {were} written after the backup.")


def _rows(count: Any) -> str:
    return "1 row" if int(count) == 1 else f"{count} rows"


def _lost(lost: str, rows: int | None, text: str) -> dict[str, Any]:
    return {"lost": lost, "rows": rows, "text": text}


def headline(result: Facts, known: Facts, states: Iterable[Facts]) -> tuple[str, str]:
    """Return the colour (``good``, ``back``, ``halted``) and the sentence that says how the deployment ended."""
    outcome, to, before = result.get("outcome"), _named(result.get("to_release")), _named(result.get("from_release"))
    if outcome == "finished":
        told = {"rollback": f"Taken back: {to} serves again.", "restore": f"Restored: {to} serves on the database as it was."}
        return "good", told.get(str(result.get("kind")), f"Deployed: {to} serves.")
    if outcome == "reverted":
        if known.get("stopped_nothing"):
            return "back", f"Not deployed: {before} serves on, nothing was stopped."
        if all(found["state"] == "nothing" for found in states):
            return "back", "Not deployed: it was put back, and nothing serves, as before."
        return "back", f"Not deployed: it was put back, and {before} serves again."
    if outcome == "halted":
        return "halted", "Halted: it waits for you."
    return "halted", "Not closed: {} at the step {}.".format(outcome, known.get("step") or "unknown")


def _named(release: Any) -> str:
    return f"release {release}" if release else "the application"
