# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether one schema of an archive can take the place of the present one: functions of the archive's list and of the catalogs."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from .finding import Facts, listed

_ENTRY = re.compile(r"\d+; \d+ \d+ (?P<entry>.*)")
#: What the list says of a schema itself; an entry of its own has no schema.
_OF_SCHEMA = ("SCHEMA - ", "ACL - SCHEMA ", "COMMENT - SCHEMA ", "SECURITY LABEL - SCHEMA ")
_FOREIGN_KEY = "FK CONSTRAINT "
#: What may hide rows from the very owner of a table, who could then not make foreign keys any more.
_POLICIES = ("ROW SECURITY ", "POLICY ")


@dataclass(frozen=True)
class Contents:
    """What an archive holds of one schema, as entries for ``pg_restore --use-list``.

    :param lines: all but the foreign keys, and the policies that come after these.
    """

    lines: tuple[str, ...]
    foreign_keys: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[str, ...]:
        return tuple(_entry(line) for line in (*self.lines, *self.foreign_keys, *self.policies))


@dataclass(frozen=True)
class Refusal:
    """Why it is not restored: an error kind, what is the matter and what to do."""

    kind: str
    why: str
    remedy: str


def schemas(listing: str) -> tuple[str, ...]:
    """Return the schemas of which the list of an archive has the making, sorted."""
    entries = (_entry(line) for line in listing.splitlines())
    return tuple(sorted({entry[len("SCHEMA - ") :].rpartition(" ")[0] for entry in entries if entry.startswith("SCHEMA - ")}))


def contents(listing: str, inside: str, schema: str) -> Contents | None:
    """Return what an archive holds of a schema; None where it does not hold it.

    :param listing: the list of the whole archive.
    :param inside: the list of what is in the schema, as ``pg_restore --list --schema`` tells it.
    """
    quoted = '"' + schema.replace('"', '""') + '"'  # as what belongs to it names it, where that is needed
    own = [line for part in _OF_SCHEMA for name in (schema, quoted) for line in _about(listing, f"{part}{name} ")]
    if not any(_entry(line).startswith("SCHEMA - ") for line in own):
        return None
    within = [line for line in inside.splitlines() if _entry(line) and line not in own]
    late = {part: tuple(line for line in within if _entry(line).startswith(part)) for part in (_FOREIGN_KEY, _POLICIES)}
    rest = (line for line in within if not _entry(line).startswith((_FOREIGN_KEY, *_POLICIES)))
    return Contents((*own, *rest), late[_FOREIGN_KEY], late[_POLICIES])


def _entry(line: str) -> str:
    found = _ENTRY.fullmatch(line)
    return found["entry"] if found else ""


def _about(listing: str, beginning: str) -> list[str]:
    """Return the entries that begin so and end with an owner. Names may have spaces: an owner without one is the likelier."""
    found = [line for line in listing.splitlines() if _entry(line).startswith(beginning)]
    plain = [line for line in found if " " not in _entry(line)[len(beginning) :]]
    return plain or found


def absent(archive: str, schema: str, there: Sequence[str]) -> Refusal:
    """Return why an archive that has not the schema is not restored."""
    near = nearest(schema, there)
    held = f"It holds {listed(near)}" if near else "It holds the making of no schema"
    more = f" and {len(there) - len(near)} more." if len(there) > len(near) else "."
    return Refusal(
        "archive_failed",
        f"The archive {archive} does not hold the schema {schema}. {held}{more}",
        "Name the archive of the database that has it, from a time when it was there, or the schema as the archive has it.",
    )


def nearest(name: str, names: Sequence[str], most: int = 5) -> list[str]:
    """Return the names that are most like ``name``, the likest first; a few of them where none is like it."""
    return difflib.get_close_matches(name, names, most, 0.5) or sorted(names)[:most]


def target_refusal(targets: Sequence[Mapping[str, Any]], name: str, dialect: str | None) -> str:
    """Return why a target can not be restored by itself; empty where it can.

    :param targets: all there are, each with ``name`` and perhaps ``schema``.
    :param dialect: kind of its database; None where its URL is not known.
    """
    target = next((target for target in targets if target["name"] == name), None)
    if target is None:
        near = nearest(name, [str(other["name"]) for other in targets])
        others = f" and {len(targets) - len(near)} more" if len(targets) > len(near) else ""
        return f"There is no target {name}. There are {', '.join(near)}{others}; set deployment_restore_target to one of them."
    if not target.get("schema"):
        return (
            f"The target {name} is a database of its own, and not a schema of a shared one. Restore it as the only one: with a file"
            " that has an empty fleet_databases and fleet_query and the schema_database_url of this one, given as --extra-vars"
            " @FILE, and without deployment_restore_target."
        )
    if dialect is None:
        return f"The URL of the target {name} is not known: give it a url in fleet_databases, or set schema_database_url."
    if dialect != "postgresql":
        return (
            f"The target {name} is in a database of {dialect}, which has no schemas of which one could be restored by itself."
            " Restore the database as a whole."
        )
    return ""


def refusals(found: Contents, facts: Facts, schema: str, version_table: str, keep_as: str) -> Iterator[Refusal]:
    """Yield why the schema can not take the place of the present one.

    :param facts: what the server says of the schema, of the role, and of what depends on it.
    :param version_table: Alembic's; empty where the schema has none.
    :param keep_as: the name that the present schema is to get.
    """
    if facts["taken"]:
        yield Refusal("name_invalid", f"There is a schema {keep_as} already.", "Give keep_as another name, or leave it out.")
    if facts["pooled"]:
        yield Refusal(
            "snapshot_refused",
            "The URL leads to a pooler such as PgBouncer, where the settings with which an archive begins, and the locks of this"
            " run, would stay with sessions of others.",
            "Name the server itself in backup_database_url.",
        )
    yield from _of_role(facts, schema)
    yield from _of_owners(found, facts)
    yield from _of_others(facts, schema)
    if version_table and not any(entry.startswith(f"TABLE {schema} {version_table} ") for entry in found.entries):
        yield Refusal(
            "archive_failed",
            f"The archive has no table {schema}.{version_table}, which says at which revision the schema is.",
            "Name the version_table of env.py (backup_restore_version_table), or the archive that has it.",
        )


def _of_role(facts: Facts, schema: str) -> Iterator[Refusal]:
    role, owner, database = facts["role"]["name"], facts["owner"], facts["database"]
    if not facts["role"]["creates"]:
        yield Refusal(
            "insufficient_privilege",
            f"The role {role} may not create a schema in {database}, which a restore beside the present one takes.",
            f"GRANT CREATE ON DATABASE {database} TO {role}, or name a role that may in backup_database_url.",
        )
    if owner and not facts["role"]["owns"]:
        yield Refusal(
            "insufficient_privilege",
            f"The schema {schema} belongs to {owner}, so the role {role} may not rename it.",
            f"GRANT {owner} TO {role}, or name a role that may in backup_database_url.",
        )


def _of_owners(found: Contents, facts: Facts) -> Iterator[Refusal]:
    known, settable = set(facts["roles"]), set(facts["settable"])
    owners = {_owner(entry, known) for entry in found.entries} - {""}
    for owner in sorted(owners - known):
        yield Refusal(
            "archive_failed", f"The archive names the owner {owner}, which the server does not have.", f"CREATE ROLE {owner}."
        )
    for owner in sorted((owners & known) - settable):
        role = facts["role"]["name"]
        yield Refusal(
            "insufficient_privilege",
            f"What the archive holds of the schema belongs to {owner}, and {role} may not give anything to that role.",
            f"GRANT {owner} TO {role}, or name a role that may in backup_database_url.",
        )


def _owner(entry: str, roles: set[str]) -> str:
    """Return the owner at the end of an entry; a name may have spaces, so that of a role that is there is the likelier."""
    return max((role for role in roles if entry.endswith(f" {role}")), key=len, default=entry.rpartition(" ")[2])


def _of_others(facts: Facts, schema: str) -> Iterator[Refusal]:
    if facts["extensions"]:
        names = listed(facts["extensions"])
        yield Refusal(
            "snapshot_refused",
            f"The schema {schema} has the extensions {names}, of which a database has one each: they would go away with it.",
            "ALTER EXTENSION … SET SCHEMA to one that is nobody's own.",
        )
    if facts["outside"]:
        yield Refusal(
            "snapshot_refused",
            f"Outside of {schema} there is what depends on it and would go on with the present tables, not with the restored"
            f" ones: {listed(facts['outside'])}.",
            f"Drop what it is, restore, and make it anew; it has to be of {schema} alone.",
        )


def revisions(rows: Sequence[str]) -> list[str]:
    """Return the heads that the rows of a version table say, as COPY writes them."""
    return sorted(row.partition("\t")[0] for row in rows)


def difference(before: Mapping[str, int | None], after: Mapping[str, int]) -> tuple[str, str]:
    """Return the rows of each table now and in the archive, as two texts to compare."""

    def text(tables: Mapping[str, Any]) -> str:
        return "".join(f"{name}: {'?' if rows is None else rows} rows\n" for name, rows in sorted(tables.items()))

    return text(before), text(after)
