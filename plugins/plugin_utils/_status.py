# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook status found, as tables: lines from the fact deployment_status. Plain Python."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_ledger import listed

from ._text import WIDTH, joined, labelled, part, size, table, wrapped

Status = Mapping[str, Any]
#: Hours until which an age is told in hours.
HOURS = 48
#: Databases of whose newest archive each has a line.
FEW = 10


def status(found: Status, now: datetime, width: int = WIDTH) -> list[str]:
    """Return the lines of the status; ``now`` is the time that ages are counted from, with a zone."""
    lines = wrapped(f"{found.get('application')}: {_database(found)}", width)
    lines += _databases(found, width)
    lines += table([("host", "manager", "release", "since", "processes", "health"), *_hosts(found)], width)
    lines += labelled("Warning", _differing(found), width=width)
    lines += _deployments(found, width)
    backups = part(found.get("backups"))
    lines += _backups(backups, now, width) if backups.get("places") is None else _archives_of_many(backups, now, width)
    return lines + labelled("Warning", backups.get("problem") or "", width=width)


def _backups(backups: Mapping[str, Any], now: datetime, width: int) -> list[str]:
    rows = [_snapshot(entry, now) for entry in backups.get("snapshots") or ()]
    rows += [_archive(entry, now) for entry in backups.get("archives") or ()]
    return table([("backup", "age", "size", "proof", "name"), *rows], width) if rows else labelled("Backups", "none", width=width)


def _archives_of_many(backups: Mapping[str, Any], now: datetime, width: int) -> list[str]:
    """How many databases have archives, how old the newest of each are, and which have none; the archives where they are few."""
    places = backups["places"]
    newest = {str(entry["name"]): entry for entry in backups.get("archives") or ()}  # of each the oldest come first
    bare = [place["name"] for place in places if place["database"] and place["name"] not in newest]
    hidden = [place["name"] for place in places if not place["database"]]
    lines = labelled(
        "Archives",
        f"{len(newest)} of {len(places)} databases have one{_ages(list(newest.values()), now)}",
        f"none of {listed(bare)}" if bare else "",
        f"not known of {listed(hidden)}, whose URL is not in the inventory" if hidden else "",
        width=width,
    )
    if not 0 < len(newest) <= FEW:
        return lines
    rows = [(listed(place["targets"]), *_archive(newest[place["name"]], now)[1:]) for place in places if place["name"] in newest]
    return lines + table([("archive of", "age", "size", "proof", "name"), *rows], width)


def _ages(newest: list[Mapping[str, Any]], now: datetime) -> str:
    if not newest:
        return ""
    made = [str(entry["created_at"]) for entry in newest]
    ends = dict.fromkeys((age(max(made), now), age(min(made), now)))
    return f"; the newest of each is {' to '.join(ends)} old, {size(sum(entry.get('bytes') or 0 for entry in newest))} together"


def _databases(found: Status, width: int) -> list[str]:
    """A line for all databases that are equal, and one for each that is not as the others."""
    lines = [_standing(item) for item in found.get("databases") or ()]
    return table([("databases", "revision", "pending", "which"), *lines], width) if lines else []


def _standing(item: Mapping[str, Any]) -> tuple[str, ...]:
    where = "unknown" if item.get("at") is None else joined(item["at"], "base")
    names = listed(item["targets"]) + (f": {item['remark'].splitlines()[0]}" if item.get("remark") else "")
    return (str(item["count"]), where, joined(item["pending"], "none"), names)


def _database(found: Status) -> str:
    if found.get("databases") is not None:
        count = sum(item["count"] for item in found["databases"])
        behind = sum(item["count"] for item in found["databases"] if item["pending"])
        odd = sum(1 for item in found["databases"] if item.get("remark"))
        if not count:
            return f"where the databases stand could not be read. {found.get('databases_problem') or ''}".strip()
        told = f"{count} databases, {behind} with something pending" if behind else f"{count} databases, nothing is pending"
        return f"{told}; {odd} {'is' if odd == 1 else 'are'} not as the others" if odd else told
    revision = found.get("revision")
    if revision is None:
        why = str(found.get("problem") or "").partition("\n")[0]
        return f"where the database stands could not be read{': ' if why else ''}{why}"
    pending = found.get("pending")
    waits = "" if pending is None else "; nothing is pending" if not pending else f"; pending: {', '.join(pending)}"
    return f"the database is at {joined(revision, 'base')}{waits}"


def _hosts(found: Status) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, host in part(found.get("hosts")).items():
        if not host.get("reached"):
            problem = host.get("problem") or "could not be reached"
            rows.append((name, str(host.get("manager") or ""), "", "", "", problem))
            continue
        release = host.get("release") or ""
        processes = ", ".join(f"{process} {state}" for process, state in sorted(part(host.get("processes")).items()))
        rows.append(
            (name, str(host.get("manager") or ""), release or "none", _since(found, name, release), processes, health(host))
        )
    return rows


def _differing(found: Status) -> str:
    """Which hosts have which release, where it is not the same and no open deployment is about to make it so."""
    have: dict[str, list[str]] = {}
    for name, host in part(found.get("hosts")).items():
        if host.get("reached"):
            have.setdefault(str(host.get("release") or "none"), []).append(name)
    if len(have) < 2 or part(found.get("open")):
        return ""
    return f"the hosts have different releases: {'; '.join(f'{release} on {listed(names)}' for release, names in have.items())}"


def _since(found: Status, host: str, release: str) -> str:
    """When the newest deployment that brought this host to its release ended, to the minute; empty where no record says so."""
    ended = [
        str(record.get("closed_at") or "")
        for record in found.get("deployments") or ()
        if release and record.get("status") == "finished" and _release(record, host) == release
    ]
    return max(ended, default="")[:16].replace("T", " ")


def _release(record: Mapping[str, Any], host: str) -> str:
    return str(part(part(record.get("hosts")).get(host)).get("to_release") or record.get("to_release") or "")


def health(host: Mapping[str, Any]) -> str:
    """Return in a few words what the application of a host answered."""
    answer = part(host.get("health"))
    if not answer:
        return "not asked"
    if answer.get("problem"):
        return str(answer["problem"])
    said = f", says {answer['release']}" if answer.get("release") else ""
    return f"{answer.get('status')}{said}"


def _deployments(found: Status, width: int) -> list[str]:
    opened, last = part(found.get("open")), part(found.get("last_finished"))
    lines = labelled("Warning", str(found.get("records_problem") or ""), width=width)
    if opened:
        text = "{} is {} at {}; run dbops.alembic.recover".format(opened.get("id"), opened.get("status"), opened.get("step"))
        lines += labelled("Open", text, width=width)
    if last:
        way = "{} -> {}".format(last.get("from_release") or "none", last.get("to_release") or "none")
        lines += labelled("Last finished", f"{last.get('id')}: {way}", width=width)
    return lines


def _snapshot(entry: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    big = size(entry["size_bytes"]) if entry.get("size_bytes") else ""
    return (str(entry.get("kind") or "snapshot"), age(entry.get("created"), now), big, "", str(entry.get("name")))


def _archive(entry: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    proof = part(entry.get("proof"))
    proved = f"restored {str(proof.get('at') or '')[:10]}" if proof.get("proved") else "NOT PROVED" if proof else "not proved"
    reason = "" if proof.get("proved") or not proof.get("message") else f" ({proof['message']})"
    return ("archive", age(entry.get("created_at"), now), size(entry.get("bytes")), proved, f"{entry.get('path')}{reason}")


def age(since: Any, now: datetime) -> str:
    """Return how long ago an ISO 8601 time was: ``5 minutes``, ``1.5 hours``, ``12 days``; the text itself where it is no time."""
    text = str(since or "")
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    hours = max(0.0, (now - moment).total_seconds() / 3600)  # clocks of hosts differ
    if hours < 1:
        minutes = round(hours * 60)
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    return f"{hours:.1f} hours" if hours < HOURS else f"{hours / 24:.0f} days"
