# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an archive from being written or restored: one table of cases."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core import dumpable, restorable

ROLE = {
    "name": "app",
    "superuser": False,
    "createdb": True,
    "bypassrls": False,
    "owns": True,
    "owner": "app",
    "creates": True,
    "reads_files": False,
}
FACTS: dict[str, Any] = {
    "version": 150000,
    "server": "15.1",
    "role": ROLE,
    "extensions": [],
    "available": {},
    "superuser_objects": [],
    "event_triggers": [],
    "publications": [],
    "subscriptions": [],
    "servers": [],
    "wrappers": [],
    "file_tables": [],
    "hidden_mappings": [],
    "owners": [{"name": "app", "kept": False, "count": 3, "first": "relation orders"}],
    "grantees": [],
    "tablespaces": [],
    "row_security": [],
    "unreadable": [],
    "large_objects": {"count": 0, "unreadable": 0},
    "collation": {"written": "", "actual": ""},
    "collations": [],
    "present": ["EXTENSION - plpgsql", "SCHEMA - public"],
    "roles": ["app", "postgres", "reader"],
    "settable": ["app"],
    "all_tablespaces": ["pg_default", "fast"],
    "usable_tablespaces": ["pg_default"],
}
STATEMENTS = {"name": "pg_stat_statements", "schema": "public", "version": "1.10", "owned": False}
CRYPTO = {"name": "pgcrypto", "schema": "public", "version": "1.3", "owned": False}
UNTRUSTED = {"version": "1.10", "superuser": True, "trusted": False}
TRUSTED = {"version": "1.3", "superuser": True, "trusted": True}
SERVER = {"name": "files", "wrapper": "file_fdw", "extension": "file_fdw"}
OTHER = {"name": "postgres", "kept": False, "count": 1, "first": "relation alien"}
PUBLIC = {"name": "postgres", "kept": True, "count": 1, "first": "schema public"}

#: What the facts differ in, what is found ("id affects severity"), and how an archive would be restored.
PRESENT: list[Any] = [
    ({}, [], "beside"),
    ({"extensions": [STATEMENTS], "available": {"pg_stat_statements": UNTRUSTED}}, ["extension elsewhere error"], "copy"),
    ({"extensions": [CRYPTO], "available": {"pgcrypto": TRUSTED}}, [], "beside"),
    ({"extensions": [CRYPTO], "available": {}}, ["extension_missing elsewhere error"], "copy"),
    (
        {"extensions": [STATEMENTS], "available": {"pg_stat_statements": UNTRUSTED}, "role": {**ROLE, "createdb": False}},
        ["extension elsewhere error", "in_place restore warning"],
        "in_place",
    ),
    (
        {"extensions": [STATEMENTS], "available": {"pg_stat_statements": UNTRUSTED}, "role": {**ROLE, "superuser": True}},
        [],
        "beside",
    ),
    (
        {
            "extensions": [STATEMENTS],
            "available": {"pg_stat_statements": UNTRUSTED},
            "collation": {"written": "2.31", "actual": "2.36"},
        },
        ["extension elsewhere error", "collation_version restore error"],
        "none",
    ),
    ({"collation": {"written": "2.31", "actual": "2.36"}}, ["collation_version restore warning"], "beside"),
    ({"collation": {"written": "2.36", "actual": "2.36"}}, [], "beside"),
    ({"role": {**ROLE, "owns": False, "owner": "boss"}}, ["in_place restore warning"], "in_place"),
    ({"servers": [SERVER], "available": {"file_fdw": UNTRUSTED}}, ["foreign_server elsewhere error"], "copy"),
    ({"servers": [SERVER], "available": {"file_fdw": TRUSTED}}, [], "beside"),
    ({"file_tables": ["public.log"]}, ["file_tables restore error"], "none"),
    ({"file_tables": ["public.log"], "role": {**ROLE, "reads_files": True}}, [], "beside"),
    ({"superuser_objects": ["function f() in c"]}, ["superuser_objects restore error"], "none"),
    ({"superuser_objects": ["function f() in c"], "role": {**ROLE, "superuser": True}}, [], "beside"),
    ({"event_triggers": ["guard"]}, ["event_triggers restore error"], "none"),
    ({"publications": ["all"], "present": ["PUBLICATION - all"]}, ["publication elsewhere error"], "copy"),
    ({"owners": [OTHER]}, ["owner restore error"], "none"),
    ({"owners": [OTHER], "settable": ["app", "postgres"]}, [], "beside"),
    ({"owners": [PUBLIC]}, ["owner elsewhere error"], "copy"),
    ({"grantees": ["reader"]}, [], "beside"),
    ({"tablespaces": [{"name": "fast", "count": 1, "first": "public.t"}]}, ["tablespace restore error"], "none"),
    ({"tablespaces": [{"name": "fast", "count": 1, "first": "public.t"}], "usable_tablespaces": ["fast"]}, [], "beside"),
    ({"collations": ["public.de"]}, ["collations restore warning"], "beside"),
    ({"row_security": ["public.t"]}, ["row_security dump error"], "beside"),
    ({"unreadable": ["public.t"]}, ["unreadable dump error"], "beside"),
    ({"large_objects": {"count": 3, "unreadable": 1}}, ["large_objects dump error"], "beside"),
    ({"hidden_mappings": ["boss on files"]}, ["user_mappings dump warning"], "beside"),
    ({"subscriptions": ["sub"]}, ["subscriptions dump warning"], "beside"),
]


def short(judged: restorable.Judgement) -> list[str]:
    return [f"{finding.id} {finding.affects} {finding.severity}" for finding in judged.findings]


@pytest.mark.parametrize(("different", "found", "way"), PRESENT)
def test_an_archive_of_the_present_database(different: dict[str, Any], found: list[str], way: str) -> None:
    judged = restorable.judge({**FACTS, **different})
    assert (short(judged), judged.way) == (found, way)
    result = judged.as_result()
    assert result["dumpable"] == (not any(item.endswith("dump error") for item in found))
    assert result["restorable"] == (way != "none")
    assert bool(result["restore_problem"]) == (way == "none")
    for finding in judged.findings:
        assert finding.object and finding.message.endswith(".") and finding.remedy.endswith("."), finding


#: What an archive needs, on a server with these facts.
NEEDED: list[Any] = [
    ({"extensions": [STATEMENTS]}, {"available": {"pg_stat_statements": UNTRUSTED}}, ["extension restore error"]),
    ({"extensions": [STATEMENTS]}, {}, ["extension_missing restore error"]),
    ({"extensions": [CRYPTO]}, {"available": {"pgcrypto": TRUSTED}}, []),
    ({"grantees": ["gone"]}, {}, ["role_missing restore error"]),
    ({"owners": [{"name": "gone", "kept": False, "first": "relation t"}]}, {}, ["role_missing restore error"]),
    ({"tablespaces": ["lost"]}, {}, ["tablespace_missing restore error"]),
    ({"servers": [SERVER]}, {"available": {"file_fdw": UNTRUSTED}}, ["foreign_server restore error"]),
    ({"servers": [SERVER]}, {"available": {"file_fdw": UNTRUSTED}, "wrappers": ["file_fdw"]}, ["foreign_server elsewhere error"]),
    ({"publications": ["all"]}, {}, ["publication restore error"]),
    ({}, {"row_security": ["public.t"], "unreadable": ["public.t"]}, []),
]


@pytest.mark.parametrize(("needed", "different", "found"), NEEDED)
def test_an_archive_on_a_server(needed: dict[str, Any], different: dict[str, Any], found: list[str]) -> None:
    judged = restorable.judge({**FACTS, **different}, {**restorable.needs_of(FACTS), **needed})
    assert short(judged) == found


def test_nothing_can_be_left_out_of_a_plain_archive() -> None:
    facts = {**FACTS, "extensions": [STATEMENTS], "available": {"pg_stat_statements": UNTRUSTED}}
    assert short(restorable.judge(facts, form="plain")) == ["extension elsewhere error", "plain restore error"]
    assert short(restorable.judge(FACTS, form="plain")) == []
    schemas = {**FACTS, "present": ["SCHEMA - public", "SCHEMA - app"]}
    assert short(restorable.judge(schemas, form="plain")) == []
    in_place = {**schemas, "role": {**ROLE, "createdb": False}}
    assert short(restorable.judge(in_place, form="plain")) == ["in_place restore warning", "plain restore error"]


@pytest.mark.parametrize(
    ("said", "server", "found"),
    [
        ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.4", []),
        ("pg_dump (PostgreSQL) 18.1", "15.4 (Debian 15.4-1)", []),
        ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "18.4", ["program_old"]),
        ("pg_dump (PostgreSQL) 17beta1", "18devel", ["program_old"]),
        ("mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB", None, []),
        (None, "15.4", ["program_missing"]),
    ],
)
def test_the_program_that_dumps(said: str | None, server: str | None, found: list[str]) -> None:
    assert [finding.id for finding in dumpable.program_findings("pg_dump", said, server)] == found


MYSQL: dict[str, Any] = {
    "server": "10.11",
    "user": "app@%",
    "grants": ["GRANT ALL PRIVILEGES ON shop.* TO app@%"],
    "definers": ["app@%"],
    "events": [],
    "other_engines": [],
}


@pytest.mark.parametrize(
    ("different", "found"),
    [
        ({}, []),
        ({"definers": ["app@%", "root@localhost"]}, ["definers"]),
        ({"definers": ["root@localhost"], "grants": ["GRANT ALL PRIVILEGES ON *.* TO app@%"]}, []),
        ({"definers": ["root@localhost"], "grants": ["GRANT PROCESS, SET USER ON *.* TO app@%"]}, ["events"]),
        (
            {"definers": ["root@localhost"], "grants": ["GRANT SHOPKEEPERS TO app@%", "GRANT USAGE ON *.* TO app@%"]},
            ["definers", "events"],
        ),
        ({"other_engines": ["logs"]}, ["not_transactional"]),
    ],
)
def test_mysql(different: dict[str, Any], found: list[str]) -> None:
    assert [finding.id for finding in dumpable.mysql_findings({**MYSQL, **different})] == found
