# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How a finished deployment is undone, or a backup restored, because the operator asks for it, and what is refused of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from .._worker.standing import no_writes

#: A number of rows that may be lost: any.
ANY = -1


@dataclass(frozen=True)
class There:
    """What is there to go back from.

    :param hosts: those of the application that the inventory has.
    :param missing: what is said of hosts that could not be looked at; empty where all were.
    :param revisions: where the database is; None where that is not known, for which ``problem`` may have the reason.
    :param read_only: why it takes no writes, as the worker tells it; empty where it does.
    :param rows: how many rows would be lost by a restore; None where that can't be known.
    :param rows_given_up: how many the operator gives up; -1 is any number.
    :param snapshot: whether the copy inside the server is there and whole; ``archive`` whether the archive is. Where that could
        not be found out, ``unread`` has the reason.
    :param downgrade_trusted: whether the operator says that the downgrades bring everything back.
    :param stays: of many databases, those that can't go back, and why.
    """

    hosts: Sequence[str] = ()
    missing: str = ""
    revisions: Sequence[str] | None = None
    problem: str = ""
    read_only: str = ""
    rows: int | None = None
    rows_given_up: int = 0
    snapshot: bool = False
    archive: bool = False
    unread: str = ""
    downgrade_trusted: bool = False
    stays: Mapping[str, str] = field(default_factory=dict)


def rollback(undone: Mapping[str, Any], there: There) -> dict[str, Any]:
    """Return how a deployment in a window is undone: how the ``database`` goes back, from which ``source``, what is ``refused``.

    :param undone: the record of the deployment.
    """
    many, same = bool(undone["fleet"]), undone["from_revision"] == undone["to_revision"]
    trusted = there.downgrade_trusted or undone["downgrade_trusted"]
    way = "restore" if many else "keep" if same else "downgrade" if trusted else "restore"
    source = "" if way != "restore" else "snapshot" if there.snapshot else "archive" if there.archive else "none"
    restored = way == "restore" and not many
    refused = [*_hosts(there), *([f"{name}: {reason}" for name, reason in there.stays.items()] if many else [])]
    if not many:
        refused += _elsewhere(undone, undone["to_revision"], there)
    if way != "keep":
        refused += _closed(undone["database"], there)
    if restored and source == "none" and there.unread:
        refused.append(f"What there is to go back to could not be found out: {there.unread}")
    elif restored and source == "none":
        refused.append(
            f"Neither the snapshot {undone['snapshot']} nor the archive of deployment {undone['id']} is there any more; where the"
            " downgrade loses nothing, set deployment_downgrade_trusted=true."
        )
    elif restored:
        unknown = "How many rows were written since the upgrade can not be known; they would be lost. To give them up"
        refused += _lost(there, unknown, "were written since the upgrade and would be lost.")
    return {
        "database": way,
        "source": "fleet" if many else source,
        "rows": there.rows if restored else 0,
        "hosts": _back(undone, there),
        "refused": [*refused, *_gone(undone, there)],
    }


def rolling_rollback(undone: Mapping[str, Any], there: There) -> dict[str, Any]:
    """Return how a rolling deployment is undone host by host, on the database as it is now, and what is ``refused``."""
    stays = undone["plan"]["expand_revision"]
    refused = [*_hosts(there)]
    if sorted(undone["to_revision"]) != sorted(stays):
        refused.append(
            f"The contract part of deployment {undone['id']} ({', '.join(undone['plan']['after'])}) ran, so the former release can"
            " not serve any more. The playbook restore puts an archive back, in a maintenance window."
        )
    elif not undone["fleet"]:
        refused += _elsewhere(undone, stays, there)
    if not any(undone["batches"]):
        refused.append(f"Deployment {undone['id']} changed no host.")
    if not all(ends["from_release"] for ends in undone["hosts"].values()):
        refused.append("There is no former release on every host.")
    return {"hosts": _back(undone, there), "refused": [*refused, *_gone(undone, there)]}


def restore(there: There, archive: Mapping[str, Any], name: str) -> list[str]:
    """Return what is refused of a restore.

    :param archive: that is restored, with its ``path`` and ``sha256``; empty where it is a snapshot.
    :param name: of what is restored, as the operator gave it.
    """
    refused = [*_hosts(there), *_closed({}, there)]
    if archive and not there.archive and there.unread:
        refused.append(f"Whether the archive {archive['path']} is whole could not be found out: {there.unread}")
    elif archive and not there.archive:
        refused.append(
            f"The archive {archive['path']} is damaged or gone: its checksum is not {archive['sha256']}, which was written down"
            " beside it."
        )
    unknown = "What was written since then would be lost, and how much that is can not be known. To give it up"
    return [*refused, *_lost(there, unknown, f"that are here now are not in {name} and would be lost.")]


def _hosts(there: There) -> Iterator[str]:
    if there.missing:
        yield there.missing


def _closed(database: Mapping[str, Any], there: There) -> Iterator[str]:
    if there.read_only:
        yield no_writes(database, there.read_only)


def _elsewhere(undone: Mapping[str, Any], left: Sequence[str], there: There) -> Iterator[str]:
    if there.revisions is None or sorted(there.revisions) != sorted(left):
        if there.revisions is None and there.problem:
            yield f"Where the database is could not be read: {there.problem}"
            return
        found = "an unknown revision" if there.revisions is None else ", ".join(there.revisions) or "base"
        yield f"The database is at {found} and not where deployment {undone['id']} left it ({', '.join(left) or 'base'})."


def _lost(there: There, unknown: str, known: str) -> Iterator[str]:
    if there.rows_given_up == ANY:
        return
    if there.rows is None:
        yield f"{unknown}, set deployment_rows_given_up=-1."
    elif there.rows > there.rows_given_up:
        yield f"{there.rows} rows {known} To give them up, set deployment_rows_given_up={there.rows}."


def _back(undone: Mapping[str, Any], there: There) -> dict[str, dict[str, str]]:
    ends = {host: both for host, both in undone["hosts"].items() if host in there.hosts}
    return {host: {"from_release": both["to_release"], "to_release": both["from_release"]} for host, both in ends.items()}


def _gone(undone: Mapping[str, Any], there: There) -> Iterator[str]:
    gone = [host for host in undone["hosts"] if host not in there.hosts]
    if gone:
        yield f"These hosts of that deployment are not in the inventory: {', '.join(gone)}."
