# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a restore of an archive would need and the server does not give, and how the archive can be restored all the same.

A restore goes into an empty database beside the present one where that is possible. What only a superuser may create and the
present database has, stays where a copy of it is emptied instead, or where its content is replaced in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .dumpable import dump_findings
from .finding import Facts, Finding, Findings, listed, text_of

#: How an archive is restored: into an empty database, into an emptied copy of the present one, in its place, or not at all.
BESIDE, COPY, IN_PLACE, NONE = "beside", "copy", "in_place", "none"
_SUPERUSER = "Name a superuser in backup_database_url for the restore"


@dataclass(frozen=True)
class Judgement:
    """``way`` is how a restore would be done; ``needs`` is what is written beside the archive, for a restore on any server."""

    findings: tuple[Finding, ...]
    way: str
    needs: dict[str, Any]

    def blocking(self, affects: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.affects == affects and finding.severity == "error")

    def as_result(self) -> dict[str, Any]:
        dump, restore = self.blocking("dump"), self.blocking("restore")
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "way": self.way,
            "needs": self.needs,
            "dumpable": not dump,
            "restorable": not restore,
            "dump_problem": text_of(dump),
            "restore_problem": text_of(restore),
            "remarks": [finding.text() for finding in self.findings],
        }


def needs_of(facts: Facts) -> dict[str, Any]:
    """Return what an archive of this database asks of a server that it is restored on."""
    return {
        "server": facts["server"],
        "extensions": [
            {"name": item["name"], "schema": item["schema"], "version": item["version"]} for item in facts["extensions"]
        ],
        "superuser_objects": list(facts["superuser_objects"]),
        "event_triggers": list(facts["event_triggers"]),
        "publications": list(facts["publications"]),
        "servers": [{name: item[name] for name in ("name", "wrapper", "extension")} for item in facts["servers"]],
        "file_tables": list(facts["file_tables"]),
        "owners": [{name: item[name] for name in ("name", "kept", "first")} for item in facts["owners"]],
        "grantees": list(facts["grantees"]),
        "tablespaces": [item["name"] for item in facts["tablespaces"]],
        "large_objects": facts["large_objects"]["count"],
    }


def judge(facts: Facts, needs: Facts | None = None, form: str = "custom") -> Judgement:
    """Return whether an archive can be restored on the server that ``facts`` are of, and how.

    :param needs: what :func:`needs_of` wrote beside an archive; without it, an archive of the present database is meant, and
        whether it can be written is judged too.
    :param form: the archive's format; entries of a ``plain`` one can't be left out.
    """
    wanted = needs_of(facts) if needs is None else dict(needs)
    found = [] if needs is not None else list(dump_findings(facts))
    for rule in _RULES:
        found += rule(wanted, facts)
    way = _way(found, facts)
    found += list(_ways(way, wanted, facts, form))
    if any(finding.affects == "restore" and finding.severity == "error" for finding in found):
        way = NONE
    return Judgement(tuple(found), way, wanted)


def _way(found: list[Finding], facts: Facts) -> str:
    role = facts["role"]
    if not (role["superuser"] or (role["createdb"] and role["owns"])):
        return IN_PLACE
    return COPY if any(finding.affects == "elsewhere" and finding.severity == "error" for finding in found) else BESIDE


def _ways(way: str, wanted: Facts, facts: Facts, form: str) -> Findings:
    role = facts["role"]["name"]
    if way == IN_PLACE:
        owner = facts["role"]["owner"]
        becomes = "" if owner == role else f"GRANT {owner} TO {role}, "
        yield Finding(
            "in_place",
            "restore",
            "warning",
            role,
            f"The role {role} may not make a database beside this one, so a restore replaces its content and keeps no copy.",
            f"ALTER ROLE {role} CREATEDB, {becomes}or name another role in backup_database_url.",
        )
    written, actual = facts["collation"]["written"], facts["collation"]["actual"]
    if written and written != actual:
        yield Finding(
            "collation_version",
            "restore",
            "error" if way == COPY else "warning",
            "database",
            f"The database has version {written} of its collation and the server {actual or 'none'}, so no copy of it can be made.",
            "REINDEX what sorts by it, then ALTER DATABASE … REFRESH COLLATION VERSION.",
        )
    extensions = {item["name"]: item for item in facts["extensions"]}
    kept = [str(item["name"]) for item in wanted["extensions"] if not extensions.get(item["name"], {"owned": True})["owned"]]
    kept += [item[len("SCHEMA - ") :] for item in facts["present"] if item.startswith("SCHEMA - ") and item != "SCHEMA - public"]
    if form == "plain" and way in (COPY, IN_PLACE) and kept:
        yield Finding(
            "plain",
            "restore",
            "error",
            listed(kept),
            f"A plain archive creates {listed(kept)} again, which stay in this database, and no part of it can be left out.",
            "Set backup_archive_format to custom or directory.",
        )


def _kept(identifier: str, what: str, why: str, remedy: str, there: bool) -> Finding:
    """Return the finding about something that only a superuser makes: fatal here only where the present database lacks it."""
    how = " A restore here keeps it as the present database has it; where that is lost, it fails." if there else ""
    return Finding(identifier, "elsewhere" if there else "restore", "error", what, f"{why}{how}", remedy)


def _extensions(wanted: Facts, facts: Facts) -> Findings:
    present = {item["name"]: item for item in facts["extensions"]}
    for item in wanted["extensions"]:
        name, there = item["name"], item["name"] in present
        known = facts["available"].get(name)
        if known is None:
            why = f"The server has no extension {name} to create."
            yield _kept("extension_missing", name, why, "Install its package on the server.", there)
        elif not _may_create(known, facts):
            why = f"Only a superuser may create the extension {name}, and {facts['role']['name']} is none."
            remedy = (
                f"A superuser has to run CREATE EXTENSION {name} in a database that backup_restore_template names, or restores."
            )
            yield _kept("extension", name, why, remedy, there)


def _may_create(known: Facts, facts: Facts) -> bool:
    role = facts["role"]
    return bool(role["superuser"] or not known["superuser"] or (known["trusted"] and (role["creates"] or role["owns"])))


def _servers(wanted: Facts, facts: Facts) -> Findings:
    there = {item["name"] for item in facts["servers"]}
    for item in wanted["servers"]:
        known = facts["available"].get(item["extension"])
        if facts["role"]["superuser"] or (known and _may_create(known, facts)):
            continue
        why = f"The foreign server {item['name']} takes USAGE on {item['wrapper']}, which a new database gives to superusers only."
        remedy = f"A superuser has to GRANT USAGE ON FOREIGN DATA WRAPPER {item['wrapper']} there, or restores."
        yield _kept("foreign_server", item["name"], why, remedy, item["name"] in there or item["wrapper"] in facts["wrappers"])


def _publications(wanted: Facts, facts: Facts) -> Findings:
    for name in [] if facts["role"]["superuser"] else wanted["publications"]:
        why = f"Only a superuser may create the publication {name}, which is for all tables or for those of a schema."
        yield _kept("publication", name, why, f"{_SUPERUSER}.", f"PUBLICATION - {name}" in facts["present"])


def _superuser_objects(wanted: Facts, facts: Facts) -> Findings:
    for identifier, key, what in (
        ("superuser_objects", "superuser_objects", "these"),
        ("event_triggers", "event_triggers", "event triggers"),
    ):
        names = [] if facts["role"]["superuser"] else wanted[key]
        if names:
            yield Finding(
                identifier,
                "restore",
                "error",
                listed(names),
                f"Only a superuser may create {what}: {listed(names)}; {facts['role']['name']} is none.",
                f"{_SUPERUSER}.",
            )
    if wanted["file_tables"] and not (facts["role"]["superuser"] or facts["role"]["reads_files"]):
        names = wanted["file_tables"]
        yield Finding(
            "file_tables",
            "restore",
            "error",
            listed(names),
            f"The foreign tables {listed(names)} read files of the server, and {facts['role']['name']} may not make such tables.",
            f"GRANT pg_read_server_files TO {facts['role']['name']} (and pg_execute_server_program for programs).",
        )


def _roles(wanted: Facts, facts: Facts) -> Findings:
    known = set(facts["roles"])
    settable = set(facts["settable"])
    named = [*(str(item["name"]) for item in wanted["owners"]), *wanted["grantees"]]
    for name in sorted({name for name in named if name not in known and not name.endswith(" more")}):
        yield Finding(
            "role_missing",
            "restore",
            "error",
            name,
            f"The archive names the role {name}, which the server does not have.",
            f"CREATE ROLE {name}.",
        )
    for item in wanted["owners"]:
        name = item["name"]
        if name not in known or name in settable or facts["role"]["superuser"] or name == facts["role"]["name"]:
            continue
        why = f"{item['first']} belongs to {name}, and {facts['role']['name']} may not give anything to that role."
        remedy = f"GRANT {name} TO {facts['role']['name']}, or name a superuser in backup_database_url."
        if item["kept"]:
            yield _kept("owner", str(item["first"]), why, remedy, _there(str(item["first"]), facts))
        else:
            yield Finding("owner", "restore", "error", str(item["first"]), why, remedy)


def _there(what: str, facts: Facts) -> bool:
    kind, _space, name = what.partition(" ")
    return f"{kind.upper()} - {name}" in facts["present"]


def _tablespaces(wanted: Facts, facts: Facts) -> Findings:
    role = facts["role"]["name"]
    for name in wanted["tablespaces"]:
        if name not in facts["all_tablespaces"]:
            why, remedy = f"The archive names the tablespace {name}, which the server does not have.", f"CREATE TABLESPACE {name}."
            yield Finding("tablespace_missing", "restore", "error", name, why, remedy)
        elif name not in facts["usable_tablespaces"]:
            why, remedy = (
                f"The role {role} may not create anything in the tablespace {name}.",
                f"GRANT CREATE ON TABLESPACE {name} TO {role}.",
            )
            yield Finding("tablespace", "restore", "error", name, why, remedy)


def _collations(wanted: Facts, facts: Facts) -> Findings:
    if facts["collations"]:
        yield Finding(
            "collations",
            "restore",
            "warning",
            listed(facts["collations"]),
            f"The server has another version of the collations {listed(facts['collations'])} than they were made with.",
            "REINDEX what uses them, then ALTER COLLATION … REFRESH VERSION.",
        )


_RULES = (_extensions, _servers, _publications, _superuser_objects, _roles, _tablespaces, _collations)
