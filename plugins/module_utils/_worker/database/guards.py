# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Why a PostgreSQL database is not copied or renamed: each reason by name, found before anything is touched."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator

from ..failure import Failure
from . import attributes, marks
from .attributes import Attributes
from .engine import Connection, as_failure, literal

Refusal = Dict[str, Any]
#: Reasons that the option ``accept`` lifts; the others the server itself would refuse.
LIFTABLE = ("logical_replication_slots", "subscriptions", "security_labels", "insufficient_space", "pooler")
#: Room beyond the size of the database: the copy's WAL records and what is written meanwhile.
MARGIN_SHARE, MARGIN_BYTES = 0.05, 64 * 1024 * 1024
_OWN_KINDS = ("insufficient_privilege", "insufficient_space", "database_missing")


#: Reason, what finds it, message, hint.
_ATTACHED = (
    (
        "logical_replication_slots",
        "select slot_name::text from pg_replication_slots where slot_type = 'logical' and database = {name} order by 1",
        "Logical replication slots on {name} would stay with the old database: {found}.",
        "Drop them, or move replication after the deployment.",
    ),
    (
        "subscriptions",
        "select subname::text from pg_subscription where subdbid = {oid} order by 1",
        "Subscriptions of {name} would stay with the old database: {found}.",
        "Drop them, or disable them and accept that.",
    ),
    (
        "prepared_transactions",
        "select gid from pg_prepared_xacts where database = {name} order by 1",
        "Prepared transactions are open on {name}: {found}.",
        "COMMIT PREPARED or ROLLBACK PREPARED them.",
    ),
    (
        "security_labels",
        "select provider from pg_shseclabel where objoid = {oid} and classoid = 'pg_database'::regclass order by 1",
        "Security labels of {name} are not carried over (provider {found}).",
        "Set them again after a restore.",
    ),
)


def _refusal(reason: str, message: str, hint: str | None = None) -> Refusal:
    return {"id": reason, "message": message, "hint": hint}


def missing(name: str) -> Refusal:
    return _refusal("database_missing", f"There is no database {name}.", "Check the URL.")


def refusals(
    connection: Connection, version: int, name: str, source: Attributes, space: dict[str, Any] | None, accept: list[str]
) -> list[Refusal]:
    """Return every reason against copying or renaming database ``name`` that ``accept`` does not lift.

    :param space: what :func:`measure` says, for a copy; None for a rename.
    """
    if connection.value("select pg_is_in_recovery()"):
        hint = "Use the URL of the primary; after a failover that is another server."
        return [_refusal("standby", "The server is a standby, which takes no writes.", hint)]
    found = [
        *_reserved(connection, name),
        *_pooler(connection),
        *_privilege(connection, version, name, source),
        *_attached(connection, name, source.oid),
    ]
    if source.connection_limit == -2:
        message = f"{name} is invalid: the server was interrupted while it was dropped."
        found.append(_refusal("invalid_database", message, "It can only be dropped."))
    found += space_refusals(name, space, [])
    return [refusal for refusal in found if refusal["id"] not in accept or refusal["id"] not in LIFTABLE]


def space_refusals(name: str, space: dict[str, Any] | None, accept: list[str]) -> list[Refusal]:
    """Return the reason against a copy that is lack of space, if it is known."""
    if not space or space["free_bytes"] is None or space["free_bytes"] >= space["needed_bytes"] or "insufficient_space" in accept:
        return []
    message = f"A copy of {name} needs {_shown(space['needed_bytes'])}, and {_shown(space['free_bytes'])} are free."
    return [_refusal("insufficient_space", message, "Free space on the server, or remove old snapshots.")]


def tablespace_refusals(connection: Connection, source: Attributes) -> list[Refusal]:
    """Return the reason against an empty database in the tablespace of ``source``; a copy is where its template is."""
    name = literal(source.tablespace)
    if source.tablespace == attributes.DEFAULT_TABLESPACE or connection.value(f"select has_tablespace_privilege({name}, 'CREATE')"):
        return []
    message = f"The role may not create anything in the tablespace {source.tablespace}."
    return [_refusal("insufficient_privilege", message, f"GRANT CREATE ON TABLESPACE {source.tablespace} TO the role.")]


def measured(size: int, free: int | None, how: str | None) -> dict[str, Any]:
    """Return what a reply says of space; ``free_bytes`` is None where nobody can tell."""
    return {
        "size_bytes": size,
        "needed_bytes": size + max(int(size * MARGIN_SHARE), MARGIN_BYTES),
        "free_bytes": free,
        "measured": how if free is not None else None,
    }


def refuse(name: str, found: list[Refusal]) -> None:
    """Raise the refusals of database ``name`` as one failure."""
    if not found:
        return
    kind = found[0]["id"] if len(found) == 1 and found[0]["id"] in _OWN_KINDS else "snapshot_refused"
    lifts = [refusal["id"] for refusal in found if refusal["id"] in LIFTABLE]
    hints = [refusal["hint"] for refusal in found if refusal["hint"]]
    hints += [f"To go on regardless: accept: [{', '.join(lifts)}]."] if lifts else []
    raise Failure(kind, " ".join(refusal["message"] for refusal in found), " ".join(hints) or None, refused=found)


def _reserved(connection: Connection, name: str) -> Iterator[Refusal]:
    if name in marks.RESERVED or name == connection.value("select current_database()::text"):
        yield _refusal(
            "reserved_database",
            f"{name} is a database of the server itself, or the one that was connected to for the work.",
            "Keep the application in a database of its own.",
        )


def _pooler(connection: Connection) -> Iterator[Refusal]:
    if connection.is_pooled():
        yield _refusal(
            "pooler",
            "The URL goes through a connection pooler, which keeps connections to the database and may change the session between "
            "two statements.",
            "Give the server's own address.",
        )


def _privilege(connection: Connection, version: int, name: str, source: Attributes) -> Iterator[Refusal]:
    owner, member = literal(source.owner), "SET" if version >= 160000 else "MEMBER"
    role, superuser, creates, owns, gives = connection.rows(
        "select current_user::text, rolsuper, rolcreatedb,"
        f" pg_has_role(current_user, {owner}, 'USAGE'), pg_has_role(current_user, {owner}, '{member}')"
        " from pg_roles where rolname = current_user"
    )[0]
    if superuser or (creates and owns and gives):
        yield from _rehearse(connection, name, source)
        return
    if not creates:
        yield _refusal("insufficient_privilege", f"The role {role} may not create databases.", f"ALTER ROLE {role} CREATEDB.")
    if not (owns and gives):
        message = f"The role {role} does not own {name} and is no member of its owner {source.owner}."
        yield _refusal("insufficient_privilege", message, f"GRANT {source.owner} TO {role}.")


def _rehearse(connection: Connection, name: str, source: Attributes) -> Iterator[Refusal]:
    """Write the database's own attributes to it once more and roll back: the server says whether that is possible for a copy."""
    sql = ""
    try:
        with connection.transaction("begin read write", "rollback"):
            for sql in [*attributes.statements(source, name), attributes.comment_statement(name, source.comment)]:
                connection.run(sql)
    except Exception as exc:
        failure = as_failure(exc)
        meaning = {"insufficient_privilege": "insufficient_privilege", "22": "not_carried", "42": "not_carried"}
        reason = meaning.get(failure.kind) or meaning.get(str(failure.facts.get("sqlstate"))[:2])
        if reason is None:
            raise
        message = f"Something that belongs to {name} can not be given to a copy: {failure.message} ({sql.split(' to ', 1)[0]})."
        yield _refusal(reason, message, "Use a role that may do that, or remove it.")


def _attached(connection: Connection, name: str, oid: int) -> Iterator[Refusal]:
    """Yield what refers to a database by its identity, and would stay with the old one when the names are swapped."""
    for reason, sql, message, hint in _ATTACHED:
        found = _names(connection, sql.format(name=literal(name), oid=int(oid)))
        if found:
            yield _refusal(reason, message.format(name=name, found=found), hint)


def _names(connection: Connection, sql: str) -> str:
    return ", ".join(str(row[0]) for row in connection.rows(sql))


def measure(connection: Connection, source: Attributes, given: int | None) -> dict[str, Any]:
    """Return the bytes that a copy needs and those that are free.

    :param given: what the operator knows of the free space on the server.
    """
    size = int(connection.value(f"select pg_database_size({int(source.oid)}::oid)"))
    return (
        measured(size, given, "given") if given is not None else measured(size, _local_free(connection, source.oid), "local_disk")
    )


def _local_free(connection: Connection, oid: int) -> int | None:
    """Measure on the disk of this machine, when the server's process is seen here and the database is in one place."""
    held = f"spcname <> 'pg_global' and {int(oid)} in (select pg_tablespace_databases(oid))"
    places = connection.rows(f"select pg_tablespace_location(oid) from pg_tablespace where {held}")
    data = connection.value("select setting from pg_settings where name = 'data_directory'")
    folder = (places[0][0] or data) if len(places) == 1 else None
    try:
        with open(f"/proc/{connection.value('select pg_backend_pid()')}/cmdline", "rb") as handle:
            local = handle.read().startswith(b"postgres: ")
        status = os.statvfs(folder) if folder and local else None
    except OSError:
        status = None
    return status.f_bavail * status.f_frsize if status else None


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
