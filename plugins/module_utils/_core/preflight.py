# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What keeps a deployment or a backup from beginning, told before anything is stopped."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._worker.standing import no_writes, stands_at

#: Why there is no snapshot, where a dump and a restore are still possible.
ONLY_SLOWER = ("insufficient_privilege", "insufficient_space", "pooler", "reserved_database", "unsupported")
#: What a server refuses whatever is accepted.
NEVER_LIFTED = ("standby", "prepared_transactions", "invalid_database", "not_carried")


def plan_refusals(
    databases: Sequence[Mapping[str, Any]],
    heads: Sequence[str],
    revision: str,
    most: int,
    scripts: str,
    initialise: str = "upgrade",
    expected: Sequence[str] = (),
) -> list[str]:
    """Return why the revisions that are pending can not be applied as they are.

    :param databases: as ``alembic_info`` returns them.
    :param heads: of the scripts.
    :param revision: the target that was asked for.
    :param most: revisions that may be pending; 0 for any number.
    :param scripts: where they are, for the message.
    :param initialise: what is done with a database that has no version table.
    :param expected: revisions at which a database has to be that something is pending for, ``base`` for none; empty for any.
    """
    unknown = _once(name for database in databases for name in database["unknown"])
    pending = _once(step["revision"] for database in databases for step in database["pending"])
    found = []
    if unknown:
        found.append(
            f"The database holds {', '.join(unknown)}, which the scripts in {scripts} do not know: the database is ahead of this"
            " release. Deploy its code, or go back with the playbook dbops.alembic.rollback."
        )
    if initialise == "refuse" and not all(database["initialised"] for database in databases):
        found.append(
            "The database has no version table, and schema_initialise is refuse. If this is the right database, set it to upgrade,"
            " to command or to stamp."
        )
    if revision == "head" and len(heads) > 1:
        found.append(
            f"The scripts have {len(heads)} heads ({', '.join(heads)}) and schema_revision is head. Merge them with"
            " dbops.alembic.alembic_revision, or set schema_revision to heads or to one of them."
        )
    closed = [no_writes(database.get("database") or {}, database.get("read_only")) for database in databases if database["pending"]]
    found += [text for text in dict.fromkeys(closed) if text]
    if 0 < most < len(pending):
        found.append(f"{len(pending)} revisions are pending and schema_max_pending allows {most}.")
    elsewhere = [
        database for database in databases if expected and database["pending"] and not stands_at(database["current"], expected)
    ]
    if elsewhere:
        stands = ", ".join(elsewhere[0]["current"]) or "base"
        found.append(
            f"The database is at {stands}, and schema_expect_current is {', '.join(expected)}. Somebody else has migrated it, or"
            " it is another database: look with the playbook dbops.alembic.status."
        )
    return found


def pending_plan(databases: Sequence[Mapping[str, Any]], heads: Sequence[str], revision: str) -> dict[str, Any]:
    """Return where the databases stand and where an upgrade would bring them, as the fact ``schema_plan`` has it.

    The parameters are those of :func:`plan_refusals`.
    """
    pending = list({step["revision"]: dict(step) for database in databases for step in database["pending"]}.values())
    current = _once(name for database in databases for name in database["current"])
    left_behind = {name for step in pending for name in _parents(step)}
    reached = [name for name in _once([*current, *(step["revision"] for step in pending)]) if name not in left_behind]
    return {
        "from_revision": sorted(current),
        "to_revision": sorted(heads if revision in ("head", "heads") and pending else reached),
        "pending": pending,
        "initialised": all(database["initialised"] for database in databases),
        "database": (databases[0].get("database") if databases else None) or {},
    }


def _parents(step: Mapping[str, Any]) -> list[str]:
    parents = step.get("down_revision") or []
    return [parents] if isinstance(parents, str) else list(parents)


def backup_refusals(
    plan: Mapping[str, Any], check: Mapping[str, Any], window: bool = True, binding: bool = False, careless: bool = False
) -> list[str]:
    """Return why a backup is of no use, or is none, as far as that forbids to begin.

    :param plan: ``way_back`` (snapshot, archive or none), and as ``refused`` what keeps from a snapshot (``id``, ``message``).
    :param check: ``dumpable``, ``restorable`` and what is said of both; empty where nobody looked.
    :param window: whether the database is changed afterwards and may have to be put back.
    :param binding: whether an archive has to be restorable even if nothing is put back from it.
    :param careless: whether the operator deploys without a way back.
    """
    dumpable, useful = check.get("dumpable", True), check.get("dumpable", True) and check.get("restorable", True)
    problems = " ".join(text for text in (check.get("dump_problem"), check.get("restore_problem")) if text)
    found = []
    if binding and not useful:
        found.append(f"Nothing was touched. {problems} Set backup_restore_check_binding_enabled to false to go on all the same.")
    if not window:
        return found if dumpable else [*found, f"No archive was written. {check['dump_problem']}"]
    if plan["way_back"] == "archive" and not useful and not careless:
        found.append(
            f"Nothing was touched. Only an archive could put the database back, and it would not: {problems}"
            " Set backup_without_way_back_enabled to deploy all the same."
        )
    breaks = [refused for refused in plan["refused"] if refused["id"] not in ONLY_SLOWER]
    if breaks:
        found.append(_broken(breaks))
    if plan["way_back"] == "none" and not careless:
        reasons = " ".join(refused["message"] for refused in plan["refused"])
        found.append(
            f"{reasons} Neither backup_snapshot_enabled nor backup_window_archive_enabled leaves a way back for the database."
            " Set backup_without_way_back_enabled to deploy all the same.".lstrip()
        )
    return found


def _broken(breaks: Sequence[Mapping[str, Any]]) -> str:
    lifted = [refused["id"] for refused in breaks if refused["id"] not in NEVER_LIFTED]
    parts = ["The database can not be put back without breaking something that it has:"]
    parts += [refused["message"] for refused in breaks] + [refused["hint"] for refused in breaks if refused.get("hint")]
    if lifted:
        parts.append(f"To deploy all the same, put this into backup_snapshot_accept: {', '.join(lifted)}.")
    return " ".join(parts)


def backup_remarks(plan: Mapping[str, Any], check: Mapping[str, Any], window: bool = True) -> list[str]:
    """Return what the operator should know of a backup that is possible."""
    found = list(check.get("remarks") or ())
    if window and plan["way_back"] == "archive":
        reasons = " ".join(refused["message"] for refused in plan["refused"]) or "backup_snapshot_enabled is false"
        found.append(f"No snapshot can be made inside the server, so the database is dumped in the window: {reasons}")
    return found


def _once(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
