# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The SQL of questions to the real rows, and what makes a session ask them only."""

from __future__ import annotations

import re

from ..server import MYSQL, literal
from .access import Session

#: More than this is not counted.
MOST = 1000
_LENGTH = re.compile(r"character varying\((\d+)\)$")
_PLACES = re.compile(r"numeric\((\d+),(-?\d+)\)$")
_BITS = {"smallint": 15, "integer": 31}
_TEXTS = ("text", "character varying")


def beyond(old: str, new: str, name: str) -> str | None:
    """Return which values of a type a narrower one can not hold."""
    length, places = _LENGTH.match(new), _PLACES.match(new)
    if length and (old in _TEXTS or _LENGTH.match(old)):
        return f"length({name}) > {length.group(1)}"
    if places and (old.startswith("numeric") or old in (*_BITS, "bigint")):
        whole, fraction = (int(each) for each in places.groups())
        return f"abs(round({name}::numeric, {fraction})) >= 1e{whole - fraction}"
    if new in _BITS and old in ("integer", "bigint"):
        return f"{name} not between -(2^{_BITS[new]}) and 2^{_BITS[new]} - 1"
    return None


_EXCLUDES = re.compile(r"^EXCLUDE USING \w+ \((?P<elements>.*?)\)(?: WHERE \((?P<where>.*)\))?$", re.S)
_ELEMENT = re.compile(r"^(\w+|\"[^\"]+\") WITH ([^\w\s]+)$")


def overlapping(table: str, definition: str) -> tuple[str, str] | None:
    """Ask for rows of which an exclusion constraint takes only one."""
    match = _EXCLUDES.match(definition)
    elements = [_ELEMENT.match(each) for each in match.group("elements").split(", ")] if match else []
    if match is None or not all(elements):
        return None
    same = " and ".join(f"a.{each.group(1)} {each.group(2)} b.{each.group(1)}" for each in elements if each)
    rows = f"(select ctid as dbops_place, s.* from {table} s where {match.group('where') or 'true'})"
    return "duplicate", counted(f"select 1 from {rows} a, {rows} b where a.dbops_place < b.dbops_place and {same}")


def counted(select: str) -> str:
    """Return how many rows a query gives, up to ``MOST``."""
    return f"select count(*) from ({select} limit {MOST}) s"


def scans(index: str) -> str:
    """Ask how often rows of PostgreSQL were found by an index, where no other begins with its column, since that is counted."""
    return (
        "select coalesce((select pg_stat_get_numscans(i.indexrelid) from pg_index i "
        f"where i.indexrelid = to_regclass({literal(index)}) and not exists (select from pg_index o where o.indrelid = i.indrelid "
        "and o.indexrelid <> i.indexrelid and o.indisvalid and o.indpred is null and o.indkey[0] = i.indkey[0] and "
        "i.indkey[0] <> 0)), 0)"
    )


def duplicates(table: str, columns: list[str], predicate: str | None, nulls: bool = False) -> str:
    """Return how many groups of rows are the same in these columns.

    :param nulls: NULL is a value like others.
    """
    there = " and ".join([f"{name} is not null" for name in columns if not nulls] + ([f"({predicate})"] if predicate else []))
    return counted(f"select 1 from {table} where {there or 'true'} group by {', '.join(columns)} having count(*) > 1")


def limits(session: Session, seconds: float) -> list[str]:
    """Return what makes a session read only, for a limited time."""
    milliseconds = round(seconds * 1000)
    if session.dialect.name not in MYSQL:
        return [
            f"select set_config('statement_timeout', '{milliseconds}', false)",
            "select set_config('default_transaction_read_only', 'on', false), set_config('lock_timeout', '1000', false)",
        ]
    mariadb = "mariadb" in str(session.value("select version()")).lower()
    limit = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {milliseconds}"
    return ["set session transaction read only", f"set session lock_wait_timeout = 1, {limit}"]
