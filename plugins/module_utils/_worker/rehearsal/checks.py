# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Questions to the real rows that new constraints raise: would they fail on what is there? Read only, and with a time limit."""

from __future__ import annotations

import re
from typing import AbstractSet, Any

from ..failure import describe, sqlstate_of
from ..server import MYSQL, literal
from .access import Access, Session, quoted
from .catalog import Catalog, belonging, condition_of, conditions_of_domain, of_kind, spellings
from .chosen import of
from .questions import MOST, beyond, counted, duplicates, limits, overlapping, scans

_INSERT = re.compile(
    r'INSERT\s+INTO\s+(?P<table>[\w."]+)\s*(?:\((?P<columns>[^()]*)\))?\s*(?:OVERRIDING\s+\w+\s+VALUE\s+)?VALUES\b', re.I
)
#: What such an INSERT may leave out on the real rows.
_PERHAPS = re.compile(r"\bON\s+CONFLICT\b|\bSELECT\b", re.I)
#: How values become others, as the revision says it.
_USING = re.compile(r"\bALTER\b.*\bTYPE\b.*\bUSING\b", re.I | re.S)
#: Functions, settings, roles and other tables: what one session may see, another one may not.
_BY_SESSION = re.compile(r"\w\s*\(|\b(?:SELECT|CURRENT_\w+|SESSION_USER|USER)\b", re.I)
_NULLS = "NULLS NOT DISTINCT"
_NONE: dict[str, Any] = {"name": ""}
_UNDEFINED_FUNCTION = "42883"
_UNDEFINED_COLUMN = "42703"


class Checks:
    """Generates and asks the questions of one database.

    :param base: the catalogue as the real database has it now; what pending revisions add is not there to be asked about.
    :param seconds: time limit of each question; 0 is none.
    """

    def __init__(self, access: Access, database: str, base: Catalog, seconds: float) -> None:
        self.access, self.database, self.base, self.seconds = access, database, base, seconds
        self.mark = "`" if access.dialect.name in MYSQL else '"'
        self._copy: Session | None = None
        self._converts = False  # the revision says how values become others
        self.touched: set[str] = set()  # tables whose rows a pending revision changes
        self.left: dict[str, int] = {}  # column → in how many rows the pending revisions leave NULL, where that is known

    def of(
        self,
        changes: list[dict[str, Any]],
        statements: list[dict[str, Any]],
        copy: Session | None = None,
        borrowed: AbstractSet[str] = frozenset(),
    ) -> list[dict[str, Any]]:
        """Return what the real rows say to these changes, in the order of the changes.

        :param copy: what the revision has written is there; PostgreSQL only.
        :param borrowed: tables of which rows of the real database are there too.
        """
        for statement in statements:
            if statement["truncated"]:
                self.touched |= {oid for oid in statement["locks"] if self._is_named(oid, statement["sql"])}
            if statement["writes"] in ("update", "delete", "merge"):
                self.touched |= set(statement["locks"])
            self.touched |= {*statement["procedural_writes"], *statement["touched"]}
            self._leaves(statement)
        self._copy = copy
        self._converts = any(_USING.search(statement["sql"]) for statement in statements)
        questions = [question for change in changes for question in (*self._questions(change), *self._of_domain(change))]
        if copy is not None:
            questions += [question for statement in statements for question in self._taken(copy, statement, borrowed)]
            questions += [question for statement in statements for question in self._pointed(statement)]
            questions = list({(each["what"], each["object"], each["sql"]): each for each in questions}.values())
        if not questions:
            return []
        with self.access.connect(self.database, "rehearsal: checks", reading=True).closing() as session:
            for limit in limits(session, self.seconds):
                session.rows(limit)
            return [self._ask(session, question) for question in questions]

    def _leaves(self, statement: dict[str, Any]) -> None:
        """Take note of what a statement leaves NULL, and forget what it may have changed."""
        names = (name.rpartition(".")[2] for name in self.left)
        named = any(re.search(rf"\b{re.escape(name)}\b", statement["sql"]) for name in names)
        if statement["opaque"] or statement["procedural_writes"] or (named and statement["writes"] in ("update", "merge")):
            self.left = {}
        self.left.update(statement["left"])

    def _is_named(self, oid: str, text: str) -> bool:
        name = str(self.base.get(("relation", oid), _NONE)["name"]).rpartition(".")[2]
        return bool(name and re.search(rf"\b(?:{re.escape(name)}|CASCADE)\b", text, re.I))

    def _quoted(self, name: str) -> str:
        return quoted(name, self.mark)

    def _qualified(self, entry: dict[str, Any]) -> str:
        if not entry["schema"]:
            return self._quoted(entry["name"])
        return f"{self._quoted(entry['schema'])}.{self._quoted(entry['name'][len(entry['schema']) + 1 :])}"

    def _ask(self, session: Session, question: dict[str, Any]) -> dict[str, Any]:
        sql = question.pop("sql")
        answer = dict(question, changed_before=question.pop("relation") in self.touched, rows=None, problem=None)
        filled = answer["what"] == "null" and answer["changed_before"] and self.left.get(answer["object"]) == 0
        try:
            answer["rows"] = int(session.value(sql))
            if filled:
                answer.update(rows=0, filled=answer["rows"])
        except Exception as exc:
            new = sqlstate_of(exc) == _UNDEFINED_COLUMN  # there is nothing in it yet
            answer["rows"] = 0 if new else self._of_few(session, answer, sql) if sqlstate_of(exc) == _UNDEFINED_FUNCTION else None
            answer["problem"] = describe(exc)["message"] if answer["rows"] is None else None
        return answer

    def _of_few(self, session: Session, answer: dict[str, Any], sql: str) -> int | None:
        """Return what the rows of a small table say on the copy, which has the functions that the revision makes."""
        name = ".".join(self._quoted(part) for part in str(answer["table"]).split(".", 1))
        rows = session.rows(f"select jsonb_agg(to_jsonb(s))::text, count(*) from (select * from {name} limit {MOST + 1}) s")
        if self._copy is None or not rows or int(rows[0][1]) > MOST or f" from {name} where" not in sql:
            return None
        there = f" from jsonb_populate_recordset(null::{name}, {literal(str(rows[0][0] or '[]'))}::jsonb) where"
        try:
            return int(self._copy.value(sql.replace(f" from {name} where", there, 1)))
        except Exception:  # the copy can not say it either
            return None

    def _questions(self, change: dict[str, Any]) -> list[dict[str, Any]]:
        before, after = change["before"], change["after"]
        entry = after or before
        relation = entry.get("relation") if entry else None
        table = self.base.get(("relation", str(relation)))
        if table is None or table["relkind"] not in ("r", "p"):
            return []
        maker = getattr(self, "_" + change["kind"], None)
        made = maker(self._qualified(table), before, after) if maker else None
        if made is None:
            return []
        what, sql = made
        name = (after or before)["name"]
        return [{"what": what, "object": name, "table": table["name"], "relation": str(relation), "sql": sql}]

    def _of_domain(self, change: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask the columns of a domain for values that its new checks refuse."""
        before, after = change["before"], change["after"]
        if change["kind"] != "type" or not before or not after or not after.get("checks"):
            return []
        found = []
        for definition in after["checks"]:
            if any(definition.startswith(each) for each in before["checks"] or ()):
                continue  # validated, or there before
            what = "kept" if definition.endswith("NOT VALID") else "violation"
            for column in of_kind(self.base, "column"):
                table = self.base[("relation", column["relation"])]
                if table["relkind"] not in ("r", "p") or column["type"] not in spellings(before):
                    continue
                (condition,) = conditions_of_domain(after, self._quoted(column["column"]), [definition]) or ["true"]
                sql = counted(f"select 1 from {self._qualified(table)} where not ({condition})")
                told = {"what": what, "object": after["name"], "table": table["name"], "relation": column["relation"], "sql": sql}
                found.append(told)
        return found

    def _policy(self, table: str, before: Any, after: Any) -> tuple[str, str] | None:
        """Ask for rows that a policy hides, where that is a matter of the rows alone."""
        condition = after["using"] if after else None
        if condition is None or _BY_SESSION.search(re.sub(r"'(?:[^']|'')*'", "''", condition)):
            return None
        return "hidden", counted(f"select 1 from {table} where ({condition}) is not true")

    def _taken(self, copy: Session, statement: dict[str, Any], borrowed: AbstractSet[str]) -> list[dict[str, Any]]:
        """Return whether rows with the keys of those that a plain INSERT has written are there already."""
        match = _INSERT.match(statement["sql"])
        if match is None or _PERHAPS.search(statement["sql"]):
            return []
        named, listed = match.group("table").replace('"', ""), match.group("columns")
        given = {name.strip().strip('"') for name in listed.split(",")} if listed else None
        found = []
        for entry in self._uniques(named, statement["locks"]):
            table = self.base[("relation", entry["relation"])]
            if table["name"] in borrowed:
                continue
            columns = [
                self.base[("column", f"{entry['relation']}/{number}")] for number in entry["columns"].split()[: entry["keys"]]
            ]
            if given is not None and any(column["column"] not in given for column in columns):
                continue  # the default of a column is another one each time, or no statement of this kind could run twice
            names = ", ".join(self._quoted(column["column"]) for column in columns)
            query = f"select {names} from {self._qualified(table)} order by {names} limit {MOST}"
            with copy.by_index():
                rows = copy.rows(f"select jsonb_agg(to_jsonb(s))::text from ({query}) s")
            if not rows or not rows[0][0]:
                continue
            types = ", ".join(f"{self._quoted(column['column'])} {column['type']}" for column in columns)
            there = f"jsonb_to_recordset({literal(str(rows[0][0]))}::jsonb) as x({types})"
            same = " and ".join(f"t.{self._quoted(column['column'])} = x.{self._quoted(column['column'])}" for column in columns)
            sql = f"select count(*) from {there} where exists (select from {self._qualified(table)} t where {same})"
            told = {"what": "taken", "object": entry["name"], "table": table["name"], "relation": entry["relation"], "sql": sql}
            found.append(told)
        return found

    def _pointed(self, statement: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for rows that point to those which a DELETE takes away, and that do not go with them."""
        chosen = of(statement["sql"]) if statement["writes"] == "delete" and "%(" not in statement["sql"] else None
        tables = [
            oid
            for oid in statement["touched"]
            if chosen and _named(chosen.table) in spellings(self.base.get(("relation", oid), _NONE))
        ]
        found = []
        for key in of_kind(self.base, "constraint") if chosen and len(tables) == 1 else ():
            columns, keys = self._names(key["relation"], key["columns"]), self._names(key["foreign"], key["foreign_columns"])
            child = self.base.get(("relation", key["relation"]))
            if key["type"] != "f" or key["foreign"] != tables[0] or key["parent"] or child is None or not columns or not keys:
                continue
            if re.search(r"\bON DELETE (?:CASCADE|SET)\b", key["definition"]):
                continue
            gone = chosen.query({}) or ""  # type: ignore[union-attr]
            shown = ", ".join(f"{chosen.alias}.{each}" for each in keys)  # type: ignore[union-attr]
            given = ", ".join(f"c.{each}" for each in columns)
            gone = gone.replace("select 1 ", f"select {shown} ", 1)
            sql = counted(f"select 1 from {self._qualified(child)} c where ({given}) in ({gone})")
            told = {"what": "pointed", "object": key["name"], "table": child["name"], "relation": key["relation"], "sql": sql}
            found.append(told)
        return found

    def _uniques(self, name: str, locks: AbstractSet[str]) -> list[dict[str, Any]]:
        """Return the unique indexes of columns that the table of this name has which was locked for the statement."""
        locked = [self.base[("relation", oid)] for oid in locks if ("relation", oid) in self.base]
        tables = [each["oid"] for each in locked if each["relkind"] in "rp" and name in spellings(each)]
        if len(tables) != 1:
            return []
        return [
            each
            for each in belonging(self.base, tables[0])
            if each["kind"] == "index" and each["relation"] == tables[0] and each["unique"] and each["valid"]
            if not each["expressions"] and each["predicate"] is None and each.get("keys")
        ]

    def _column(self, table: str, before: Any, after: Any) -> tuple[str, str] | None:
        if after is None:
            return "data", f"select count({self._quoted(before['column'])}) from {table}" if self._known(
                [before["oid"]]
            ) else "select 0"
        if before is None:
            required = after["not_null"] and after["default"] is None and not after["identity"] and not after["generated"]
            return ("rows", f"select count(*) from (select 1 from {table} limit 1) s") if required else None
        if before["type"] != after["type"] and self._known([after["oid"]]):
            lost = beyond(before["type"], after["type"], self._quoted(self.base[("column", after["oid"])]["column"]))
            if lost:
                return "cut" if self._converts else "long", counted(f"select 1 from {table} where {lost}")
        if after["not_null"] and not before["not_null"] and self._known([after["oid"]]):
            name = self._quoted(self.base[("column", after["oid"])]["column"])
            return "null", counted(f"select 1 from {table} where {name} is null")
        return None

    def _constraint(self, table: str, before: Any, after: Any) -> tuple[str, str] | None:
        if after is None or (before is not None and _is_kept_already(before, after)):
            return None
        columns = self._names(after["relation"], after["columns"])
        if columns is None:
            return None
        if not after["valid"] and after["type"] not in "cf":
            return None
        if after["type"] in "pu":
            return "duplicate", duplicates(table, columns, None, _NULLS in after["definition"])
        if after["type"] == "x":
            return overlapping(table, after["definition"])
        if after["type"] == "f":
            return self._orphans(table, columns, after)
        condition = condition_of(after)
        what = "violation" if after["valid"] else "kept"
        return (what, counted(f"select 1 from {table} where not ({condition})")) if condition else None

    def _orphans(self, table: str, columns: list[str], after: Any) -> tuple[str, str] | None:
        other, keys = self.base.get(("relation", after["foreign"])), self._names(after["foreign"], after["foreign_columns"])
        if other is None or keys is None:
            return None
        there = " and ".join(f"f.{name} is not null" for name in columns)
        same = " and ".join(f"r.{key} = f.{name}" for key, name in zip(keys, columns))
        return "orphan" if after["valid"] else "kept", counted(
            f"select 1 from {table} f where {there} and not exists (select 1 from {self._qualified(other)} r where {same})"
        )

    def _index(self, table: str, before: Any, after: Any) -> tuple[str, str] | None:
        if after is None and self.access.dialect.name == "postgresql" and not (before["unique"] or before["constraint"]):
            schema = self.base[("relation", str(before["relation"]))]["schema"]  # an index is where its table is
            return "used", scans(self._qualified(dict(before, schema=schema)))
        if before is not None or after is None or not after["unique"] or after["constraint"]:
            return None
        numbers = [int(number) for number in after["columns"].split()[: after.get("keys")]]
        columns = after.get("texts") if after["expressions"] else self._names(after["relation"], numbers)
        nulls = _NULLS in after["definition"]
        return ("duplicate", duplicates(table, columns, after["predicate"], nulls)) if columns else None

    def _known(self, oids: list[str]) -> bool:
        return all(("column", oid) in self.base for oid in oids)

    def _names(self, relation: Any, numbers: Any) -> list[str] | None:
        oids = [f"{relation}/{number}" for number in numbers or ()]
        return [self._quoted(self.base[("column", oid)]["column"]) for oid in oids] if self._known(oids) else None


def _is_kept_already(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Tell whether the rows met a constraint before, or need not meet it; one that is made anew may ask for something else."""
    if before["oid"] != after["oid"]:
        return bool(before["definition"] == after["definition"])
    return bool(before["valid"] or not after["valid"])


def _named(name: str) -> str:
    return name.replace('"', "").replace(" ", "")
