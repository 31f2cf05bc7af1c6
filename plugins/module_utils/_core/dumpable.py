# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Why a dump of a database would fail, or lack something: functions of what the server says and of the dump program."""

from __future__ import annotations

import re

from .finding import Facts, Finding, Findings, listed

#: Program of a kind of database → the package that brings it on Debian.
PACKAGES = {"pg_dump": "postgresql-client", "mysqldump": "mariadb-client", "mysql": "mariadb-client"}


def major(version: str) -> int | None:
    """Return the first number of a version, of the program's own sentence, or None."""
    found = re.search(r"(\d+)(?:\.\d+|beta\d*|rc\d*|devel)?", version)
    return int(found.group(1)) if found else None


def program_findings(program: str, said: str | None, server: str | None) -> Findings:
    """Yield why ``program`` can't dump this server.

    :param said: what the program says of its version; None when it can't be run.
    :param server: the version of the server, where the program has to be as new as it.
    """
    if said is None:
        yield Finding(
            "program_missing",
            "dump",
            "error",
            program,
            f"{program} can not be run on this host.",
            f"Install it (Debian: {PACKAGES.get(program, program)}), or set backup_programs_directory to where it is.",
        )
        return
    ours, theirs = major(said), major(server or "")
    if server is not None and ours is not None and theirs is not None and ours < theirs:
        yield Finding(
            "program_old",
            "dump",
            "error",
            program,
            f"{program} is of version {ours} and the server of version {theirs}: an older {program} refuses a newer server.",
            f"Install the client programs of version {theirs} or newer, and set backup_programs_directory to where they are.",
        )


def dump_findings(facts: Facts) -> Findings:
    """Yield what the role would not get out of a PostgreSQL database."""
    role, large = facts["role"]["name"], facts["large_objects"]
    if facts["unreadable"]:
        yield Finding(
            "unreadable",
            "dump",
            "error",
            listed(facts["unreadable"]),
            f"The role {role} may not read {listed(facts['unreadable'])}, and pg_dump stops at what it can not read.",
            f"GRANT USAGE on the schema and SELECT on each of them TO {role}, or GRANT pg_read_all_data TO {role}.",
        )
    if facts["row_security"]:
        yield Finding(
            "row_security",
            "dump",
            "error",
            listed(facts["row_security"]),
            f"Row level security hides rows of {listed(facts['row_security'])} from the role {role}, so pg_dump stops there.",
            f"ALTER ROLE {role} BYPASSRLS, or name a role that has it in backup_database_url.",
        )
    if large["unreadable"]:
        yield Finding(
            "large_objects",
            "dump",
            "error",
            "large objects",
            f"The role {role} may not read {large['unreadable']} of the {large['count']} large objects.",
            f"GRANT SELECT ON LARGE OBJECT … TO {role}, or name a role that may read them in backup_database_url.",
        )
    yield from _left_out(facts)


def _left_out(facts: Facts) -> Findings:
    role, superuser = facts["role"]["name"], facts["role"]["superuser"]
    if facts["hidden_mappings"] and not superuser:
        yield Finding(
            "user_mappings",
            "dump",
            "warning",
            listed(facts["hidden_mappings"]),
            f"The options of the user mappings {listed(facts['hidden_mappings'])} are hidden from {role} and not dumped.",
            "Keep them elsewhere: after a restore of the archive alone they have to be set again.",
        )
    if facts["subscriptions"]:
        how = "are restored switched off" if superuser else "are not in the archive, since only a superuser's dump has them"
        yield Finding(
            "subscriptions",
            "dump",
            "warning",
            listed(facts["subscriptions"]),
            f"The subscriptions {listed(facts['subscriptions'])} {how}.",
            "Write down how they were made, and make them again after a restore.",
        )


def mysql_findings(facts: Facts) -> Findings:
    """Yield what would stop a dump or a restore of a MySQL or MariaDB database, or is not in the archive."""
    user = str(facts["user"])
    rights = " ; ".join(facts["grants"])
    others = [name for name in facts["definers"] if name.lower() != user.lower()]
    everything = "ALL PRIVILEGES ON *.*" in rights
    if others and not everything and not re.search(r"\b(SUPER|SET USER|SET_USER_ID|SET_ANY_DEFINER)\b[^;]* ON \*\.\*", rights):
        yield Finding(
            "definers",
            "restore",
            "error",
            listed(others),
            f"Views, routines, triggers or events belong to {listed(others)}, and {user} may not create them in that name.",
            f"Grant {user} SET USER (MariaDB) or SET_ANY_DEFINER (MySQL), or name a user that has it in backup_database_url.",
        )
    if not re.search(r"\b(EVENT|ALL PRIVILEGES)\b", rights):
        yield Finding(
            "events",
            "dump",
            "warning",
            user,
            f"{user} sees no events, so if the database has some, the archive lacks them and a restore removes them.",
            f"GRANT EVENT on the database TO {user}.",
        )
    if facts["other_engines"]:
        yield Finding(
            "not_transactional",
            "dump",
            "warning",
            listed(facts["other_engines"]),
            f"The tables {listed(facts['other_engines'])} are not of InnoDB, so a dump beside writers may be torn.",
            "Write the archive while the application is stopped, or ALTER TABLE … ENGINE=InnoDB.",
        )
