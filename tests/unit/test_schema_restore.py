# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether one schema of an archive can take the place of the present one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.schema_target_refusal import schema_target_refusal
from ansible_collections.dbops.alembic.plugins.module_utils._core import schema_restore
from ansible_collections.dbops.alembic.plugins.module_utils._core.aside import aside, is_aside
from ansible_collections.dbops.alembic.plugins.module_utils._core.schema_restore import Contents
from ansible_collections.dbops.alembic.plugins.module_utils._worker.schema.restored import split_keys

LISTING = """;
; Archive created at 2026-11-28 14:07:05 UTC
;
7; 2615 16500 SCHEMA - acme shop
8; 2615 16501 SCHEMA - acme two shop
9; 2615 16502 SCHEMA - Odd "one" shop
3395; 0 0 COMMENT - SCHEMA acme shop
3396; 0 0 ACL - SCHEMA acme shop
3397; 0 0 ACL - SCHEMA "Odd ""one\"\"\" shop
215; 1259 16390 TABLE acme orders shop
216; 1259 16391 TABLE public products shop
"""
INSIDE = """;
;
215; 1259 16390 TABLE acme orders shop
300; 0 16390 TABLE DATA acme orders shop
301; 2606 16400 CONSTRAINT acme orders orders_pkey shop
302; 2606 16401 FK CONSTRAINT acme orders orders_product_fkey shop
303; 0 16402 ROW SECURITY acme orders shop
304; 3256 16403 POLICY acme orders everybody shop
305; 0 0 ACL acme TABLE orders shop
"""


def numbers(lines: tuple[str, ...]) -> list[int]:
    return [int(line.partition(";")[0]) for line in lines]


def test_what_an_archive_holds_of_a_schema() -> None:
    found = schema_restore.contents(LISTING, INSIDE, "acme")
    assert found
    assert numbers(found.lines) == [7, 3396, 3395, 215, 300, 301, 305]
    assert (numbers(found.foreign_keys), numbers(found.policies)) == ([302], [303, 304])


@pytest.mark.parametrize(
    ("schema", "own"),
    [("acme two", [8]), ('Odd "one"', [9, 3397]), ("acm", None), ("Acme", None), ("public", None), ("acme two shop", None)],
)
def test_which_schema_is_meant(schema: str, own: list[int] | None) -> None:
    found = schema_restore.contents(LISTING, "", schema)
    assert (numbers(found.lines) if found else None) == own


def test_what_an_archive_without_it_holds() -> None:
    there = schema_restore.schemas(LISTING)
    assert there == ('Odd "one"', "acme", "acme two")
    refusal = schema_restore.absent("/a.pgc", "acne", there)
    assert refusal.why == "The archive /a.pgc does not hold the schema acne. It holds acme, acme two and 1 more."
    assert schema_restore.absent("/a.pgc", "acme", ()).why.endswith("It holds the making of no schema.")


@pytest.mark.parametrize(
    ("name", "there", "near"),
    [
        ("acne", ["globex", "acme"], ["acme"]),
        ("zzz", ["globex", "acme"], ["acme", "globex"]),
        ("zzz", ["f", "e", "d", "c", "b", "a"], ["a", "b", "c", "d", "e"]),
        ("zzz", [], []),
    ],
)
def test_the_nearest_names(name: str, there: list[str], near: list[str]) -> None:
    assert schema_restore.nearest(name, there) == near


TARGETS = [
    {"name": "acme", "schema": "of_acme"},
    {"name": "globex", "url": "x"},
    {"name": "hooli", "schema": "h", "url": "mysql:///h"},
]


@pytest.mark.parametrize(
    ("name", "base", "refusal"),
    [
        ("acme", "postgresql+psycopg://app@db/shop", ""),
        ("acne", "postgresql:///shop", "There is no target acne. There are acme and 2 more; set deployment_restore_target"),
        ("zzz", "postgresql:///shop", "There are acme, globex, hooli; set"),
        ("globex", "postgresql:///shop", "The target globex is a database of its own"),
        ("acme", "", "The URL of the target acme is not known"),
        ("acme", "no url", "The URL of the target acme is not known"),
        ("acme", "sqlite:////srv/shop.db", "The target acme is in a database of sqlite"),
        ("hooli", "postgresql:///shop", "The target hooli is in a database of mysql"),
    ],
)
def test_which_target_can_be_restored_by_itself(name: str, base: str, refusal: str) -> None:
    found = schema_target_refusal(TARGETS, name, base)
    assert found.startswith(refusal) if refusal.startswith("The ") else refusal in found
    assert bool(found) == bool(refusal)


FINE: dict[str, Any] = {
    "database": "shop",
    "owner": "app",
    "taken": False,
    "pooled": False,
    "role": {"name": "app", "creates": True, "owns": True},
    "roles": ["app", "shop", "the owner", "postgres"],
    "settable": ["app", "shop"],
    "extensions": [],
    "outside": [],
}


@pytest.mark.parametrize(
    ("changes", "kinds", "words"),
    [
        ({}, [], ""),
        ({"owner": None, "role": {"name": "app", "creates": True, "owns": False}}, [], ""),
        ({"pooled": True}, ["snapshot_refused"], "Name the server itself in backup_database_url."),
        ({"taken": True}, ["name_invalid"], "There is a schema kept already."),
        ({"role": {"name": "app", "creates": False, "owns": True}}, ["insufficient_privilege"], "CREATE ON DATABASE shop TO app"),
        ({"role": {"name": "app", "creates": True, "owns": False}}, ["insufficient_privilege"], "GRANT app TO app"),
        ({"roles": ["app"]}, ["archive_failed"], "CREATE ROLE shop."),
        ({"settable": ["app"]}, ["insufficient_privilege"], "GRANT shop TO app"),
        ({"extensions": ["citext"]}, ["snapshot_refused"], "the extensions citext"),
        ({"outside": ["view public.v"]}, ["snapshot_refused"], "view public.v"),
        ({"outside": list("abcdefg")}, ["snapshot_refused"], "a, b, c, d, e and 2 more"),
        ({"settable": [], "outside": ["x"]}, ["insufficient_privilege", "snapshot_refused"], "x"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], kinds: list[str], words: str) -> None:
    found = schema_restore.contents(LISTING, INSIDE, "acme")
    assert found
    refused = list(schema_restore.refusals(found, {**FINE, **changes}, "acme", "", "kept"))
    assert [item.kind for item in refused] == kinds
    assert words in " ".join(f"{item.why} {item.remedy}" for item in refused)


@pytest.mark.parametrize(("table", "refused"), [("", 0), ("alembic_version", 1), ("orders", 0), ("order", 1)])
def test_the_version_table_is_in_the_archive(table: str, refused: int) -> None:
    found = schema_restore.contents(LISTING, INSIDE, "acme")
    assert found and len(list(schema_restore.refusals(found, FINE, "acme", table, "kept"))) == refused


def test_owners_with_spaces_and_without_a_name() -> None:
    entries = ("1; 0 0 TABLE acme orders the owner", "2; 0 0 STATISTICS DATA acme orders ")
    refused = list(schema_restore.refusals(Contents(entries), FINE, "acme", "", "kept"))
    assert [item.why for item in refused] == [
        "What the archive holds of the schema belongs to the owner, and app may not give anything to that role."
    ]


@pytest.mark.parametrize("schema", ["acme", "a" * 63, "ö" * 31])
def test_the_name_of_what_is_put_aside(schema: str) -> None:
    name = aside(schema, "20261129t020000z")
    assert len(name.encode()) <= 63 and is_aside(name) and not is_aside(schema)
    assert name == aside("acme", "20261129t020000z") or schema != "acme"


KEYS = b"""SET client_encoding = 'UTF8';
ALTER TABLE ONLY acme.orders
    ADD CONSTRAINT a FOREIGN KEY (usr) REFERENCES acme.users(id);
ALTER TABLE ONLY acme.orders
    ADD CONSTRAINT b FOREIGN KEY (product) REFERENCES public.products(id);
ALTER TABLE ONLY acme.orders
    ADD CONSTRAINT c FOREIGN KEY (product) REFERENCES "acme two".products(id);
"""


@pytest.mark.parametrize(("schema", "outer"), [("acme", b"bc"), ("public", b"ac"), ("acme two", b"ab")])
def test_foreign_keys_that_lead_to_other_schemas_are_made_last(schema: str, outer: bytes) -> None:
    first, last = split_keys(KEYS, schema)
    assert b"client_encoding" in first and sorted(first + last) == sorted(KEYS)
    assert bytes(name for name in b"abc" if b"CONSTRAINT %c " % name in last) == outer


def test_revisions_and_rows() -> None:
    assert schema_restore.revisions(["b\tmore", "a"]) == ["a", "b"]
    told = schema_restore.difference({"acme.t": 1}, {"acme.t": 2, "acme.a": 0})
    assert told == ("acme.t: 1 rows\n", "acme.a: 0 rows\nacme.t: 2 rows\n")
