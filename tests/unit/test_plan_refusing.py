# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows a trigger refuses, read from its text."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.refusing import (
    Refusal,
    only_refuses,
    refusal,
    refuses,
    skips,
)

PG = "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION f()"
LITE = "CREATE TRIGGER t BEFORE INSERT ON users"
MARIA = "BEFORE INSERT"  # all that information_schema says beside the body
ALWAYS, SOME = Refusal(always=True), Refusal()


@pytest.mark.parametrize(
    ("definition", "body", "expected"),
    [
        (PG, "BEGIN RETURN NEW; END", None),
        (PG, "BEGIN RAISE NOTICE 'raise exception'; RETURN NEW; END", None),
        (PG, "BEGIN RAISE EXCEPTION 'no'; END", ALWAYS),
        (PG, "BEGIN -- if\n RAISE EXCEPTION 'if only'; RETURN NEW; END", ALWAYS),
        (PG, "BEGIN IF NEW.a IS NULL THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END", Refusal(column="a")),
        (PG, "BEGIN IF (NEW.\"a\" IS NULL) THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END", Refusal(column="a")),
        (PG, "BEGIN IF NEW.a IS NULL AND NEW.b > 1 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END", SOME),
        (PG, "BEGIN IF NEW.b > 1 THEN IF NEW.a IS NULL THEN RAISE EXCEPTION 'no'; END IF; END IF; RETURN NEW; END", SOME),
        (PG, "BEGIN IF NEW.a IS NOT NULL THEN RETURN NEW; END IF; RAISE EXCEPTION 'no'; END", SOME),
        (PG.replace("INSERT OR UPDATE", "DELETE"), "BEGIN RAISE EXCEPTION 'no'; END", ALWAYS),
        (PG.replace("INSERT OR UPDATE", "UPDATE OF a"), "BEGIN RAISE EXCEPTION 'no'; END", SOME),
        (PG.replace("INSERT OR UPDATE", "DELETE"), "BEGIN IF NEW.a IS NULL THEN RAISE EXCEPTION 'no'; END IF; END", SOME),
        (PG.replace("EXECUTE", "WHEN ((new.a IS NULL)) EXECUTE"), "BEGIN RAISE EXCEPTION 'no'; END", Refusal(column="a")),
        (PG.replace("BEFORE", "INSTEAD OF"), "BEGIN RAISE EXCEPTION 'no'; END", None),
        (f"{LITE} BEGIN SELECT RAISE(ABORT, 'no'); END", "", ALWAYS),
        (f"{LITE} BEGIN SELECT RAISE(IGNORE); END", "", None),
        (f"{LITE} WHEN NEW.a IS NULL BEGIN SELECT RAISE(FAIL, 'no'); END", "", Refusal(column="a")),
        (f"{LITE} BEGIN SELECT RAISE(ABORT, 'no') WHERE NEW.a IS NULL; END", "", Refusal(column="a")),
        (f"{LITE} BEGIN SELECT CASE WHEN NEW.a > 3 THEN RAISE(ABORT, 'no') END; END", "", SOME),
        (f"{MARIA} SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'", "", ALWAYS),
        (f"{MARIA} IF NEW.`a` IS NULL THEN SIGNAL SQLSTATE '45000'; END IF", "", Refusal(column="a")),
        (f"{MARIA} BEGIN IF NEW.a > 3 THEN SIGNAL SQLSTATE '45000'; END IF; END", "", SOME),
        (f"{MARIA} SET NEW.a = coalesce(NEW.a, 1)", "", None),
    ],
)
def test_what_a_trigger_refuses(definition: str, body: str, expected: Refusal | None) -> None:
    assert refusal(definition, body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("BEGIN IF NEW.name IS NULL THEN RAISE EXCEPTION 'no := name'; END IF; RETURN NEW; END", True),
        ("BEGIN IF NEW.name IS NULL THEN NEW.name := 'x'; END IF; RAISE EXCEPTION 'no'; END", False),
        ("BEGIN NEW.name = 'x'; RAISE EXCEPTION 'no'; END", False),
        ("BEGIN SELECT 1 INTO NEW.name; RAISE EXCEPTION 'no'; END", False),
        ("BEGIN RETURN NEW; END", False),
        (None, False),
    ],
)
def test_a_function_that_gives_a_row_values_does_more_than_refuse(body: str | None, expected: bool) -> None:
    assert only_refuses(body) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("BEGIN RAISE EXCEPTION 'no'; END", ALWAYS),
        ("BEGIN IF n > 3 THEN RAISE EXCEPTION 'no'; END IF; RETURN n; END", SOME),
        ("BEGIN RAISE NOTICE 'raise exception'; RETURN n; END", None),
        ("SELECT 1", None),
    ],
)
def test_what_a_function_refuses(body: str, expected: Refusal | None) -> None:
    assert refuses(body) == expected


@pytest.mark.parametrize(
    ("definition", "body", "expected"),
    [
        (PG, "BEGIN RETURN NULL; END", ALWAYS),
        (PG, "BEGIN IF NEW.a = 0 THEN RETURN NULL; END IF; RETURN NEW; END", SOME),
        (PG, "BEGIN RETURN NEW; -- RETURN NULL;\nEND", None),
        (PG, "BEGIN INSERT INTO other VALUES (NEW.a); RETURN NULL; END", None),
        (PG, "BEGIN RETURN OLD; END", None),
        (PG.replace("INSERT OR UPDATE", "UPDATE"), "BEGIN RETURN OLD; END", ALWAYS),
        (PG.replace("INSERT OR UPDATE", "UPDATE OF a"), "BEGIN RETURN OLD; END", SOME),
        (PG.replace("INSERT OR UPDATE", "DELETE"), "BEGIN RETURN OLD; END", None),
        (PG.replace("EXECUTE", "WHEN ((new.a IS NULL)) EXECUTE"), "BEGIN RETURN NULL; END", SOME),
        (PG.replace("BEFORE", "AFTER"), "BEGIN RETURN NULL; END", None),
        (PG.replace("EACH ROW", "EACH STATEMENT"), "BEGIN RETURN NULL; END", None),
    ],
)
def test_which_rows_a_trigger_leaves_unwritten(definition: str, body: str, expected: Refusal | None) -> None:
    assert skips(definition, body) == expected
