# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Statements that running code was seen to use (pg_stat_statements), tried on the copy before and after a revision.

They are planned and not run. A plan is wanted, since only planning looks for the index that an ON CONFLICT relies on.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

from ..failure import Failure, describe, sqlstate_of
from .access import Session, quoted
from .catalog import Catalog, belonging, condition_of, conditions_of_domain

_NAME = "dbops_replay"
#: What a check names.
_VALUE = re.compile(r"'(?:[^']|'')*'|(?<![\w.$'])-?\d+(?:\.\d+)?(?![\w.'])")
_MOST = 50
_AMBIGUOUS = "42725"  # ambiguous_function
_EXTENSION = """
select n.nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'"""
#: What asks for the catalogue or for settings comes from drivers and tools, ours among them, and not from running code.
_SEEN = """
select s.query from {view} s
where s.dbid = (select oid from pg_database where datname = current_database())
  and s.query ~* '^\\s*(select|insert|update|delete|merge|with)\\M'
  and s.query !~* '\\m(pg_\\w+|set_config|current_\\w+|version\\(|alembic_version|information_schema|dbops_)'
group by s.query order by sum(s.calls) desc limit {count}"""


def read(session: Session, count: int) -> list[str]:
    """Return the most frequent statements of this database, without their values.

    :raises Failure: there is no pg_stat_statements, or its texts may not be read.
    """
    schema = session.value(_EXTENSION)
    if schema is None:
        what = "The database has no extension pg_stat_statements, so no statement of running code was tried."
        raise Failure("options_invalid", what, "CREATE EXTENSION pg_stat_statements, or set observed_statements to 0.")
    try:
        return [row[0] for row in session.rows(_SEEN.format(view=f"{quoted(str(schema))}.pg_stat_statements", count=int(count)))]
    except Exception as exc:
        told = describe(exc)["message"]
        raise Failure("options_invalid", f"pg_stat_statements could not be read: {told.rstrip('.')}.") from exc


def problems(session: Session, texts: list[str]) -> dict[str, str]:
    """Return statement → error of those that the server does not plan."""
    session.rows("select set_config('plan_cache_mode', 'force_generic_plan', false)")
    found = {}
    for text in texts:
        try:
            session.rows(f"prepare {_NAME} as {text}")
            count = int(
                session.value(f"select cardinality(parameter_types) from pg_prepared_statements where name = '{_NAME}'") or 0
            )
            values = f"({', '.join(['null'] * count)})" if count else ""
            session.rows(f"explain execute {_NAME}{values}")
        except Exception as exc:
            found[text] = describe(exc)["message"].splitlines()[0]
        with contextlib.suppress(Exception):  # it was not even prepared
            session.rows(f"deallocate {_NAME}")
    return found


def calls(session: Session, changes: list[dict[str, Any]], by_name: bool = False) -> dict[str, str | None]:
    """Return functions that are gone, but for another of their name → why a call with their parameters fails, or None.

    It is tried with all parameters, and with those that have no default. A call is only prepared, so the function does not run.

    :param by_name: the parameters are given by name, of functions where all have one.
    """
    there = {change["after"]["name"].split("(")[0] for change in changes if change["kind"] == "function" and change["after"]}
    found: dict[str, str | None] = {}
    for change in changes:
        old = change["before"]
        if change["kind"] != "function" or not old or old["procedure"] or old["name"].split("(")[0] not in there:
            continue
        if change["after"] is not None and change["after"]["arguments"] == old["arguments"]:
            continue
        types = [name for name in str(old["arguments"]).split(", ") if name]
        names = old["names"] or []
        if not by_name or (types and len(names) == len(types) and all(names)):
            tries = (
                _called(session, old["name"], types[:count], names if by_name else [])
                for count in sorted({len(types), old["least"]})
            )
            found[old["name"]] = next(filter(None, tries), None)
    return found


def _called(session: Session, function: str, types: list[str], names: list[str]) -> str | None:
    """Return why a call fails."""
    schema, name = function.split("(")[0].split(".", 1)
    shown = [f"{quoted(each)} => " for each in names] or [""] * len(types)
    values = ", ".join(f"{before}${number}" for number, before in enumerate(shown[: len(types)], 1))
    declared = f"({', '.join(types)})" if types else ""
    try:
        session.rows(f"prepare {_NAME}{declared} as select {quoted(schema)}.{quoted(name)}({values})")
        return None
    except Exception as exc:
        return str(describe(exc)["message"]).splitlines()[0]
    finally:
        with contextlib.suppress(Exception):  # it was not even prepared
            session.rows(f"deallocate {_NAME}")


def ambiguous(session: Session, changes: list[dict[str, Any]], after: Catalog) -> dict[str, str]:
    """Return functions beside which another of their name was made → why a call with plain values fails since then."""
    new = {change["after"]["name"] for change in changes if change["kind"] == "function" and not change["before"]}
    if not new:
        return {}
    found: dict[str, str] = {}
    beside = {name.split("(")[0] for name in new}
    for (kind, _oid), entry in after.items():
        if kind != "function" or entry["name"].split("(")[0] not in beside or entry["name"] in new or entry["procedure"]:
            continue
        schema, name = entry["name"].split("(")[0].split(".", 1)
        values = [plain_value(each) for each in str(entry["arguments"]).split(", ") if each]
        for count in sorted({len(values), entry["least"]}):
            try:
                session.rows(f"prepare {_NAME} as select {quoted(schema)}.{quoted(name)}({', '.join(values[:count])})")
            except Exception as exc:
                if sqlstate_of(exc) == _AMBIGUOUS:
                    found[entry["name"]] = describe(exc)["message"].splitlines()[0]
            with contextlib.suppress(Exception):  # it was not even prepared
                session.rows(f"deallocate {_NAME}")
    return found


def defaults(session: Session, changes: list[dict[str, Any]], after: Catalog) -> dict[str, list[str]]:
    """Return new checks, by OID, that the defaults of their columns do not meet → these columns."""
    found = {}
    for change in changes:
        new = change["after"]
        condition = condition_of(new) if new and change["kind"] == "constraint" else None
        keys = [("column", f"{new['relation']}/{number}") for number in new["columns"] or ()] if condition else []
        columns = [after[key] for key in keys if key in after]
        given = [column for column in columns if column["default"] is not None and not column["generated"]]
        if not condition or not given or len(columns) < len(keys) or any("nextval(" in column["default"] for column in given):
            continue
        values = ", ".join(
            f"({each['default'] if each in given else 'null'})::{each['type']} as {quoted(each['column'])}" for each in columns
        )
        with contextlib.suppress(Exception):  # a column that is named as of its table
            if session.value(f"select ({condition}) from (select {values}) {quoted('row')}") is False:
                found[new["oid"]] = [str(each["name"]) for each in given]
    return found


def refused(session: Session, changes: list[dict[str, Any]], before: Catalog, after: Catalog) -> dict[str, list[str]]:
    """Return new checks and changed domains, by OID, that refuse what a check before them names and permits → these values."""
    found = {}
    for change in changes:
        pair = _domain(change) if change["kind"] == "type" else _check(change, before, after)
        if pair is None:
            continue
        name, kind, old, new = pair
        values = list(dict.fromkeys(value for condition in old for value in _VALUE.findall(condition)))[:_MOST]
        permitted = " and ".join(f"({condition}) is not false" for condition in old)
        asked = f"select {permitted} and not ({' and '.join(f'({condition})' for condition in new)}) from (select"
        refused = [value for value in values if _is_true(session, f"{asked} {value}::{kind} as {name}) {quoted('row')}")]
        if refused:
            found[str(change["after"]["oid"])] = refused
    return found


def _is_true(session: Session, sql: str) -> bool:
    with contextlib.suppress(Exception):  # no value of this type
        return session.value(sql) is True
    return False


def _check(change: dict[str, Any], before: Catalog, after: Catalog) -> tuple[str, str, list[str], list[str]] | None:
    """Return the column of a new check on one column, its type, and what the checks before and this one ask of it."""
    old, new = change["before"], change["after"]
    condition = condition_of(new) if new and change["kind"] == "constraint" else None
    numbers: list[int] = (new["columns"] or []) if condition else []
    column = after.get(("column", f"{new['relation']}/{numbers[0]}")) if len(numbers) == 1 else None
    if condition is None or column is None:
        return None
    relation = (old or new)["relation"]
    had = [each for each in belonging(before, relation) if each["kind"] == "column" and each["relation"] == relation]
    number = next((each["oid"].rpartition("/")[2] for each in had if each["column"] == column["column"]), "")
    checks = (each for each in belonging(before, relation) if each["kind"] == "constraint" and each["relation"] == relation)
    earlier = [condition_of(each) for each in checks if [str(key) for key in each["columns"] or ()] == [number]]
    conditions = [each for each in earlier if each]
    return (quoted(column["column"]), column["type"], conditions, [condition]) if conditions else None


def _domain(change: dict[str, Any]) -> tuple[str, str, list[str], list[str]] | None:
    """Return the same of a domain."""
    old, new = change["before"], change["after"]
    if not old or not new or not new["base"] or old["checks"] == new["checks"]:
        return None
    earlier, now = (conditions_of_domain(entry, quoted("value")) for entry in (old, new))
    return (quoted("value"), new["base"], earlier, now) if earlier and now else None


def plain_value(kind: str) -> str:
    """Return a value as code writes it that has no need to name its type."""
    if kind in ("smallint", "integer", "bigint", "numeric", "real", "double precision"):
        return "1"
    return "null" if kind in ("text", "character varying", "date", "json", "jsonb", "uuid") else f"null::{kind}"
