# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the database operations that are plain functions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker.database import attributes, compare, connected, marks
from ansible_collections.dbops.alembic.plugins.module_utils._worker.failure import Failure


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("select * from t where a = 'x' and b = 17.5", "select * from t where a = ? and b = ?"),
        (r"select E'a\'b', 'it''s', c2 from \"t 1\" -- ", r"select ?, ?, c2 from \"t 1\" --"),
        ("select \"it's\" from t where x = 'secret'", 'select "it\'s" from t where x = ?'),
        ("select $$a'b$$, $tag$ $$ $tag$, $1", "select ?, ?, $?"),
        ("insert into t\n\tvalues ('cut off in the mid", "insert into t values (?"),
        ("select 0x1F, 1e10, t1.c3", "select ?, ?, t1.c3"),
        ("<insufficient privilege>", None),
        (None, None),
    ],
)
def test_literals_are_taken_out(query: str | None, shown: str | None) -> None:
    assert connected.shortened(query) == shown


def test_literals_of_mysql_are_taken_out() -> None:
    query = r"""select `it's`, "Jane's", 'a\'b', x from t where n = 5"""
    assert connected.shortened(query, connected._MYSQL_LITERALS) == "select `it's`, ?, ?, x from t where n = ?"


def test_a_long_query_is_cut() -> None:
    assert len(connected.shortened("select " + "x, " * 500) or "") == connected.MAXIMUM_QUERY


@pytest.mark.parametrize(
    ("key", "stored", "written"),
    [
        ("work_mem", "64MB", "'64MB'"),
        ("search_path", '"$user", public', "'$user', 'public'"),
        ("search_path", '"we,ird", "say ""hi"""', "'we,ird', 'say \"hi\"'"),
        ("SEARCH_PATH", "", "''"),
        ("shop.note", "it's \\ fine", "E'it''s \\\\ fine'"),
    ],
)
def test_a_stored_setting_is_written_again(key: str, stored: str, written: str) -> None:
    assert attributes._value(key, stored) == written


@pytest.mark.parametrize(
    "comment",
    [None, "", "ours", "{", "[]", "3", '"text"', '{"dbops.alembic": 3}', '{"dbops.alembic": {}}', '{"dbops.alembic": {"kind": 1}}'],
)
def test_comments_that_are_no_marks(comment: str | None) -> None:
    assert marks.parsed(comment) is None


def test_a_mark_comes_back_and_a_forged_one_has_harmless_values() -> None:
    mark = {
        "kind": "snapshot",
        "of": "orders",
        "epoch": 5.5,
        "revisions": ["a"],
        "note": "n",
        "comment": None,
        "allow_connections": False,
    }
    read = marks.parsed(marks.written(mark))
    assert read is not None and {key: read[key] for key in mark} == mark
    forged = marks.parsed(
        '{"dbops.alembic": {"kind": "x", "of": [], "epoch": "now", "revisions": "abc", "allow_connections": "true; drop"}}'
    )
    assert forged is not None
    assert (forged["of"], forged["epoch"], forged["revisions"], forged["allow_connections"]) == (None, 0.0, [], True)


def test_names_fit_and_are_free() -> None:
    stamp = "20261121T063900Z"
    assert marks.make_name("orders", "snapshot", stamp, []) == f"orders__snapshot_{stamp}"
    assert marks.make_name("orders", "snapshot", stamp, [f"orders__snapshot_{stamp}"]) == f"orders__snapshot_{stamp}_2"
    for database in ("x" * 63, "ä" * 31, "a" + "ä" * 31):
        name = marks.make_name(database, "before_restore", stamp, [])
        assert len(name.encode()) <= 63 and name.endswith(stamp) and "�" not in name


def entries(*ages: float, kind: str = "snapshot") -> list[dict[str, Any]]:
    return [{"name": f"{kind}{age:g}", "kind": kind, "epoch": 1000.0 - age} for age in sorted(ages)]


@pytest.mark.parametrize(
    ("count", "seconds", "removed"),
    [
        (1, None, [30, 20, 10]),
        (2, None, [30, 20]),
        (0, 0, [30, 20, 10]),
        (9, None, []),
        (None, 15, [30, 20]),
        (None, 1, [30, 20, 10]),
        (3, 25, [30]),
        (1, 25, [30, 20, 10]),
    ],
)
def test_pruning(count: int | None, seconds: float | None, removed: list[float]) -> None:
    found = entries(5, 10, 20, 30) + entries(1, 99, kind="before_restore")
    assert marks.prunable(found, ["snapshot"], count, seconds, 1000.0) == [f"snapshot{age}" for age in removed]


def test_pruning_knows_what_to_keep() -> None:
    with pytest.raises(Failure):
        marks.prunable(entries(1, 2), ["snapshot"], None, None, 0)
    assert marks.prunable(entries(7), ["snapshot"], 0, 0, 1000.0) == [], "never the last"


def counted(rows: int | None, checksum: str | None = None, exact: bool = True) -> dict[str, Any]:
    return {"rows": rows, "exact": exact, "checksum": checksum}


def counter(written: int | None, name: str = "1/1 now") -> dict[str, Any]:
    return {**counted(None, exact=False), "written": written, "counter": name}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": counted(1, "x")}, {"a": counted(1, "x")}, {"same": True, "rows_written": 0}),
        ({"a": counted(1)}, {"a": counted(1)}, {"same": False}),
        ({"a": counted(1, "x")}, {"a": counted(1, "y")}, {"different": ["a"], "written": {"a": 1}, "rows_written": 1}),
        ({"a": counted(1)}, {"a": counted(4)}, {"gained": {"a": 3}, "rows_gained": 3}),
        ({"a": counted(4)}, {}, {"lost": {"a": 4}, "rows_lost": 4, "written": {"a": 4}, "rows_written": 4}),
        ({"a": counted(0, "0")}, {}, {"same": False, "rows_written": 0}),
        ({"a": counted(None, exact=False)}, {"a": counted(4)}, {"unknown": ["a"]}),
        ({"a": counted(9, exact=False)}, {}, {"unknown": ["a"]}),
        ({}, {}, {"same": True, "rows_written": 0}),
        ({"a": counter(5)}, {"a": counter(7)}, {"written": {"a": 2}, "rows_written": 2}),
        ({"a": counter(5)}, {"a": counter(5), "b": counter(3, "2/2 now")}, {"written": {"b": 3}, "rows_written": 3}),
        ({"a": counter(5)}, {"a": counter(4)}, {"unknown": ["a"]}),
        ({"a": counter(5)}, {"a": counter(9, "1/2 now")}, {"unknown": ["a"]}),
        ({"a": counter(None)}, {"a": counter(None)}, {"unknown": ["a"]}),
        ({"a": counter(5)}, {}, {"unknown": ["a"]}),
    ],
)
def test_comparing(before: dict[str, Any], now: dict[str, Any], expected: dict[str, Any]) -> None:
    """What was written is known only where something on both sides tells: it is None otherwise."""
    nothing = {"gained": {}, "lost": {}, "rows_gained": 0, "rows_lost": 0, "different": [], "unknown": [], "same": False}
    assert compare.compare(before, now) == {**nothing, "written": {}, "rows_written": None, **expected}
