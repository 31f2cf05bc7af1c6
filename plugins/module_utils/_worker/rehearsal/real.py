# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the real PostgreSQL database says of a statement: how many rows it is about, and the few rows that a query reads.

Its sessions only read, for a limited time. A statement that changes rows is planned there and never run. A query is run when its
plan calls nothing but what is known to have no effect.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Tuple

from .. import server
from .access import Session, drive, quoted
from .chosen import Chosen, of

#: Table, as a statement names it → schema, name, column → type, column → default.
Described = Callable[[str], Optional[Tuple[str, str, Mapping[str, str], Mapping[str, Optional[str]]]]]
#: So many rows a query may return to be answered with the real ones.
FEW = 1000
#: Fewer rows need not be counted.
COUNTED = 1000
_SETTINGS = (
    "select set_config('default_transaction_read_only', 'on', false), set_config('statement_timeout', '{milliseconds}', false), "
    "set_config('lock_timeout', '1000', false), set_config('enable_seqscan', 'on', false)"
)
_CALL = re.compile(r"\b([a-z_]\w*)\(")
_MADE = re.compile(
    r"\s*CREATE\s+(?:UNLOGGED\s+|(?:(?:GLOBAL|LOCAL)\s+)?TEMP(?:ORARY)?\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    r"(?P<name>\w+)\s*(?P<columns>\([\w\s,]+\))?\s*(?:ON\s+COMMIT\s+(?:DROP|(?:DELETE|PRESERVE)\s+ROWS)\s+)?"
    r"AS\s+(?P<query>(?:SELECT|WITH|VALUES)\b[^;]*?)(?:\s+WITH\s+(?:NO\s+)?DATA)?\s*;?\s*$",
    re.I | re.S,
)
_WITH = re.compile(r"\s*WITH\s+(?!RECURSIVE\b)", re.I)
WITHOUT_EFFECT = {
    *("count", "sum", "min", "max", "avg", "coalesce", "nullif", "greatest", "least", "lower", "upper", "length", "char_length"),
    *("trim", "btrim", "ltrim", "rtrim", "substr", "substring", "replace", "concat", "round", "abs", "floor", "ceil", "now"),
    *("date_trunc", "date_part", "extract", "to_char", "md5", "array_agg", "string_agg", "json_agg", "jsonb_agg", "row_number"),
    *("rank", "dense_rank", "lag", "lead", "first_value", "last_value", "bool_and", "bool_or", "numeric", "varying", "character"),
    *("bpchar", "varchar", "unnest", "array_length", "cardinality", "split_part", "left", "right", "initcap", "regexp_replace"),
    *("jsonb_build_object", "json_build_object", "jsonb_set", "jsonb_object_keys", "jsonb_typeof", "to_jsonb", "jsonb_strip_nulls"),
}


class Real:
    """:param connect: makes a connection of ours to the real database.
    :param sizes: table → {rows, bytes} from its statistics.
    :param seconds: time limit of each query; 0 is none.
    :param answers: queries may be run there.
    """

    def __init__(self, connect: Callable[[], Session], sizes: Mapping[str, Any], seconds: float, answers: bool) -> None:
        self.connect, self.sizes, self.seconds, self.answers = connect, sizes, seconds, answers
        self._session: Session | None = None
        self.borrowed: set[str] = set()  # tables of which rows were put into the copy
        self.changed: set[str] = set()  # OIDs, in the copy, of the tables that a revision may have changed rows of
        self._made: dict[str, str] = {}  # name of a table that a revision makes → the query that fills it

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = self.connect()
            self._session.rows(_SETTINGS.format(milliseconds=round(self.seconds * 1000)))
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def ask(self, query: str) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query of ours; None where the real database does not take it."""
        return self._run(query, None)

    def values(self, query: str, parameters: Any) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query with expressions of a revision in it; None too where these may have an effect."""
        plan = self._plan(query, parameters) if self.answers else None
        return self._run(query, parameters) if plan and _has_no_effect(plan) else None

    def _run(self, statement: str, parameters: Any) -> list[tuple[Any, ...]] | None:
        """Return the rows; None where the real database does not take the statement, as for what a pending revision makes."""
        session = self.session

        def work() -> list[tuple[Any, ...]]:
            cursor = session.dbapi.cursor()
            try:
                with server.asking():
                    cursor.execute(statement, parameters) if parameters is not None else cursor.execute(statement)
                return [tuple(row) for row in cursor.fetchall()]
            finally:
                cursor.close()

        try:
            return drive(session.dialect, work)  # type: ignore[no-any-return]
        except Exception:
            return None

    def learn(self, statement: str) -> None:
        """Take note of a table that is filled by a query, which stands for it where the real database is asked."""
        match = _MADE.match(statement)
        if match:
            name, columns, query = match.group("name", "columns", "query")
            self._made[name.lower()] = f"{name} {columns or ''} as ({query})"

    def _with_made(self, statement: str, formatted: bool) -> str | None:
        """Return a statement with the queries of the tables that it names and a revision has made."""
        named = [text for name, text in self._made.items() if re.search(rf"(?<![\w.])\"?{name}\b", statement, re.I)]
        return _headed(statement, named, formatted)

    def _with_new(self, statement: str, tables: Iterable[Any], formatted: bool) -> str | None:
        """Return a query with the columns that a revision has added to tables: each row has their default, or NULL."""
        named = []
        for schema, name, columns, defaults in tables:
            place = f"{quoted(schema)}.{quoted(name)}"
            there = self.ask(f"select attname::text from pg_attribute where attrelid = to_regclass({server.literal(place)})") or ()
            new = [column for column in columns if there and (column,) not in there]
            if new:
                added = (f"({defaults[each] or 'null'})::{columns[each]} as {quoted(each)}" for each in new)
                named.append(f"{quoted(name)} as (select t.*, {', '.join(added)} from {place} t)")
        return _headed(statement, named, formatted)

    def _plan(self, statement: str, parameters: Any) -> dict[str, Any] | None:
        rows = self._run("explain (verbose, format json) " + statement, parameters)
        standing = None if rows else self._with_made(statement, parameters is not None)
        if standing:
            rows = self._run("explain (verbose, format json) " + standing, parameters)
        if not rows:
            return None
        found = json.loads(rows[0][0]) if isinstance(rows[0][0], str) else rows[0][0]
        return found[0].get("Plan")  # type: ignore[no-any-return]

    def affected(
        self, statement: str, parameters: Any, described: Described = lambda table: None, may_count: bool = False
    ) -> int | None:
        """Return how many rows of its table an UPDATE, DELETE or MERGE changes, as the server estimates it; None is not known.

        :param described: gives schema, name and column → type of a table of the copy, whose new columns are not there.
        :param may_count: the rows there are those that it will find, so they are counted where statistics may be far off.
        """
        chosen = of(statement)
        change = _changing(self._plan(statement, parameters) or {})
        if change is None:
            return self._affected_with_new(chosen, parameters, described) if chosen else None
        schema, table = str(change.get("Schema")), str(change.get("Relation Name"))
        share = self._share(schema, table, change.get("Plans") or ())
        if share is None:
            return None
        query = chosen.query({}) if chosen and may_count and share > COUNTED else None
        rows = self._counted(query, chosen.parameters(parameters), share) if query and chosen else []
        return min([share, *_limits(change), *rows])

    def _affected_with_new(self, chosen: Chosen, parameters: Any, described: Described) -> int | None:
        found = described(chosen.table)
        if found is None:
            return None
        schema, table, columns = found[:3]
        where = server.literal(f"{quoted(schema)}.{quoted(table)}")
        there = self._run(f"select attname::text from pg_attribute where attrelid = to_regclass({where}) and attnum > 0", None)
        new = {name: kind for name, kind in columns.items() if (name,) not in (there or ())}
        query = chosen.query(new) if there and new else None
        plan = self._plan(query, chosen.parameters(parameters)) if query else None
        share = self._share(schema, table, [plan]) if plan else None
        return None if share is None or plan is None else min([share, *_limits({"Plans": [plan]})])

    def _share(self, schema: str, table: str, plans: Iterable[Mapping[str, Any]]) -> int | None:
        """Return how many rows of a table these plans give, by the share that they are of what a plan of all of it gives."""
        rows = (self.sizes.get(f"{schema}.{table}") or {}).get("rows")
        every = None if rows is None else self._plan(f"select 1 from {quoted(schema)}.{quoted(table)}", None)
        if rows is None or every is None:
            return None
        touched = sum(float(below.get("Plan Rows") or 0) for below in plans)
        return round(int(rows) * min(1.0, touched / max(1.0, float(every.get("Plan Rows") or 0))))

    def _counted(self, query: str, parameters: Any, most: int) -> list[int]:
        """Return how many rows a query gives, up to ``most``; nothing if that is not known in time, or it may have an effect."""
        plan = self._plan(query, parameters) if self.answers else None
        rows = self._run(f"select count(*) from ({query} limit {most}) s", parameters) if plan and _has_no_effect(plan) else None
        return [int(rows[0][0])] if rows else []

    def row(self, schema: str, table: str, keys: Mapping[str, str]) -> str | None:
        """Return the one row with these keys as JSON."""
        there = " and ".join(f"t.{quoted(name)} = {server.literal(value)}" for name, value in keys.items())
        rows = self._run(f"select to_jsonb(t)::text from {quoted(schema)}.{quoted(table)} t where {there} limit 2", None)
        return str(rows[0][0]) if self.answers and rows and len(rows) == 1 else None

    def following(self, schema: str, table: str, keys: Mapping[str, str]) -> str | None:
        """Return the first rows from the one with these keys on, in their order, as a list in JSON."""
        names = ", ".join(f"t.{quoted(name)}" for name in keys)
        order = f"({names}) >= ({', '.join(server.literal(value) for value in keys.values())}) order by {names} limit {FEW}"
        query = f"select t.* from {quoted(schema)}.{quoted(table)} t where {order}"
        rows = self._run(f"select jsonb_agg(to_jsonb(s))::text from ({query}) s", None) if self.answers else None
        return str(rows[0][0]) if rows and rows[0][0] else None

    def estimate(self, statement: str) -> dict[str, Any] | None:
        """Return how many ``rows`` an UPDATE or DELETE changes, and which tables a statement ``scans`` from end to end.

        None where the server does not plan it, as for what a pending revision makes.
        """
        plan = self._plan(statement, None)
        if plan is None:
            return None
        change = re.match(r"(?:UPDATE|DELETE)\b", statement, re.I)
        return {"rows": self.affected(statement, None) if change else None, "scans": sorted(set(_scanned(plan)))}

    def answer(self, dbapi: Any, statement: str, parameters: Any, description: Any, tables: Iterable[Any] = ()) -> str | None:
        """Return a query that gives the rows which the real database has for ``statement``; None where they may not be asked for.

        :param dbapi: the connection to the copy, which knows the types.
        :param description: the columns, as the driver told them.
        :param tables: schema, name, column → type and column → default, of the copy, of the tables that are read and whose rows are
            as they were.
        """
        plan = self._plan(statement, parameters) if self.answers and description else None
        if plan is None and self.answers and description:
            statement = self._with_new(statement, tables, parameters is not None) or statement
            plan = self._plan(statement, parameters)
        names = [str(column[0]) for column in description or ()]
        if plan is None or len(set(names)) < len(names) or float(plan.get("Plan Rows") or 0) > FEW or not _has_no_effect(plan):
            return None
        limited = (
            f"select coalesce(jsonb_agg(to_jsonb(x)), '[]')::text from (select * from ({_bare(statement)}) y limit {FEW + 1}) x"
        )
        rows = self._run(limited, parameters)
        if not rows or len(json.loads(rows[0][0])) > FEW:
            return None
        types = [server.value(dbapi, f"select format_type({int(column[1])}, null)") for column in description]
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(names, types))
        shown = ", ".join(f"x.{quoted(name)}" for name in names)
        text = f"select {shown} from jsonb_to_recordset({server.literal(str(rows[0][0]))}::jsonb) as x({columns})"
        return text.replace("%", "%%") if parameters is not None else text


def _headed(statement: str, named: list[str], formatted: bool) -> str | None:
    """Return a statement with queries that stand for the tables of their names."""
    if not named or re.match(r"\s*WITH\s+RECURSIVE\b", statement, re.I):
        return None
    rest = _WITH.sub(", ", statement, count=1) if _WITH.match(statement) else f" {statement}"
    head = ", ".join(named)
    return f"with {head.replace('%', '%%') if formatted else head}{rest}"


def _bare(statement: str) -> str:
    return statement.strip().rstrip(";")


def _changing(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if node.get("Node Type") == "ModifyTable":
        return node
    return next((found for below in node.get("Plans") or () for found in [_changing(below)] if found), None)


def _limits(node: Mapping[str, Any]) -> Iterator[int]:
    """Yield how many rows a LIMIT lets through that decides which rows are changed."""
    for below in node.get("Plans") or ():
        if below.get("Parent Relationship") in ("InitPlan", "SubPlan"):
            continue
        if below.get("Node Type") == "Limit":
            yield round(float(below.get("Plan Rows") or 0))
        yield from _limits(below)


def _scanned(node: Mapping[str, Any]) -> Iterator[str]:
    whole = ("Seq Scan", "Index Scan", "Index Only Scan", "Foreign Scan")  # an index that is read for its order is read whole
    if node.get("Node Type") in whole and not node.get("Index Cond"):
        yield f"{node.get('Schema')}.{node.get('Relation Name')}"
    for below in node.get("Plans") or ():
        yield from _scanned(below)


def _has_no_effect(node: Any) -> bool:
    if isinstance(node, Mapping):
        lasting = node.get("Node Type") in ("ModifyTable", "LockRows", "Function Scan", "Foreign Scan", "Custom Scan")
        return not lasting and all(_has_no_effect(value) for value in node.values())
    if isinstance(node, list):
        return all(_has_no_effect(value) for value in node)
    return not isinstance(node, str) or set(_CALL.findall(node)) <= WITHOUT_EFFECT
