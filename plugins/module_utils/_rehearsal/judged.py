# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a statement does whose text alone does not decide it, but what is known of the real database or stands before it does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, Mapping

from .._core.plan import Finding
from .columns import verdict
from .rendered import SECTION, Rendered, unquoted

_SPELLED = {
    **{"int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "bool": "boolean", "decimal": "numeric"},
    **{"varchar": "character varying", "char": "character", "float": "double precision", "float8": "double precision"},
    **{"float4": "real", "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone"},
    **{"timetz": "time with time zone", "time": "time without time zone", "varbit": "bit varying"},
}
_SAME = (
    *("integer", "bigint", "smallint", "boolean", "numeric", "character varying", "character", "double precision", "real", "text"),
    *("date", "json", "jsonb", "uuid", "bytea", "inet", "cidr", "interval", "citext", "name", "money", "xml", "bit"),
)
_TYPE = re.compile(r"^([a-z][a-z0-9 ]*?)\s*(\([\d, ]+\))?( with(?:out)? time zone)?((?:\[\])*)$")
_TEXTS = ("character varying", "text")
_STRING = re.compile(r"'(?:[^']|'')*'")
_CALL = re.compile(r'((?:"[^"]+"|\b[a-z_]\w*)(?:\.(?:"[^"]+"|[a-z_]\w*))?)\s*\(', re.I)
_NO_CALL = re.compile(r"\b(?:INTO|TABLE|AS|WITH|ONLY|RECURSIVE|CONFLICT)\s+[\w.\"]+\s*\(|,\s*\w+\s+AS\s*\(", re.I)
_WORDS = frozenset(
    re.findall(
        r"\w+",
        "insert create do "
        "values in and or not from join on as using where exists over into by case when then else any all some filter set select "
        "distinct  lateral within group cast array row union except intersect having limit offset returning with is like ilike "
        "between interval  numeric decimal varchar char character bit timestamp time conflict ",
    )
)
_HARMLESS = frozenset(
    re.findall(
        r"\w+",
        "count sum min max avg coalesce nullif greatest least lower upper length char_length trim btrim ltrim rtrim substr "
        "substring  replace concat concat_ws round abs floor ceil ceiling now date_trunc date_part extract to_char to_date "
        "to_timestamp md5 array_agg  string_agg json_agg jsonb_agg row_number rank dense_rank lag lead first_value last_value "
        "bool_and bool_or unnest array_length  cardinality split_part left right generate_series gen_random_uuid uuid_generate_v4 "
        "random jsonb_build_object json_build_object  jsonb_set to_jsonb to_json regexp_replace initcap lpad rpad position "
        "overlay mod power sqrt setval nextval currval format  clock_timestamp age make_date make_interval encode decode sha256 "
        "jsonb_array_elements jsonb_each jsonb_object_agg ",
    )
)
_EFFECT = ("pg_", "dblink", "lo_", "query_to", "set_", "table_to", "cursor_to", "database_to", "schema_to")
_PRIVILEGE = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|USAGE|EXECUTE|TRUNCATE|REFERENCES|TRIGGER)\b", re.I)


@dataclass(frozen=True)
class Case:
    """One statement where it stands.

    :param groups: what the pattern found, without quotes.
    :param held: tables that the transaction keeps writers out of. ``made``: what the revision itself has made.
    :param proved: a validated check says that the column is not NULL.
    :param functions: function of this revision → whether it raises exceptions.
    """

    rendered: Rendered
    text: str
    groups: Mapping[str, str]
    rule: str
    message: str
    held: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    functions: Mapping[str, bool] = field(default_factory=dict)
    proved: bool = False

    @property
    def table(self) -> str:
        return self.groups.get("table", "")

    def found(self, kind: str, rule: str = "", message: str = "", target: str = "") -> Finding:
        column = self.groups.get("column")
        shown = (message or self.message).format(column=column)
        told = f"{shown}{f' ({self.table})' if self.table else ''}: {self.text[:100]}."
        default = f"{self.table}.{column}" if column and kind != "blocks" else self.table or self.rendered.revision
        rows = self.rendered.size(self.table).get("rows")
        fix = "Rehearse it to know more."
        return Finding(rule or self.rule, kind, target or default, told, fix, SECTION, rows=rows, source="sql")

    def unknown(self, why: str = "", rule: str = "U06") -> Finding:
        message = f"{why or 'Nobody has run this, and its text does not show what it does'}: {self.text[:100]}."
        fix = "Rehearse it, or look by hand and allow it."
        return Finding(rule, "unknown", self.rendered.revision, message, fix, SECTION, source="sql")

    def if_large(self, *tables: str, message: str = "", rule: str = "B01") -> Iterator[Finding]:
        if any(self.rendered.is_large(table) for table in tables if table not in self.made):
            yield self.found("blocks", rule, message)


Judge = Callable[[Case], Iterator[Finding]]


def spelled(name: str) -> str | None:
    """Return a type as the server's catalogue spells it; None for one that may be a domain or an enum."""
    match = _TYPE.match(" ".join(name.lower().replace('"', "").replace("pg_catalog.", "").split()))
    if match is None:
        return None
    base, length, zone, array = match.group(1), (match.group(2) or "").replace(" ", ""), match.group(3) or "", match.group(4)
    if base in ("timestamp", "time"):
        return f"{base}{length}{zone or ' without time zone'}{array}"
    base = _SPELLED.get(base, base)
    if base.startswith("time"):
        first, _space, rest = base.partition(" ")
        return f"{first}{length} {rest}{array}"
    return f"{base}{length}{array}" if base in _SAME or base.startswith("bit") else None


def _type(case: Case) -> Iterator[Finding]:
    known, column = case.rendered.known, case.groups["column"]
    there, new = known.column(case.table, column), spelled(case.groups["type"])
    if case.table in case.made:
        return
    if there is None or new is None:
        yield case.unknown()
        return
    users = known.users(case.table, column)
    if users:
        yield case.unknown(f"{users[0]} uses this column, so the server may refuse to change its type")
    old = str(there["type"])
    how = verdict(old, new)
    bases = [name.split("(")[0] for name in (old, new)]
    kept = how in ("same", "wider") and (all(base in _TEXTS for base in bases) or old == new or bases == ["numeric", "numeric"])
    if not kept or case.groups.get("using"):
        yield from case.if_large(case.table, message="The table is rewritten, or read, for another type of {column}")
    told = {"other": ("C05", "breaks"), "narrower": ("M01", "may_break"), "related": ("M09", "may_break")}.get(how)
    if told:
        yield case.found(told[1], told[0], f"The type of {{column}} changes from {old} to {new}")


def _default_gone(case: Case) -> Iterator[Finding]:
    there = case.rendered.known.column(case.table, case.groups["column"])
    if there is None or (there["not_null"] and (there["default"] is not None or there["identity"])):
        yield case.found("breaks")
    elif there["default"] is not None:
        yield case.found("may_break", "M02", "The column {column} gets another default")


def _constraint_gone(case: Case) -> Iterator[Finding]:
    there = case.rendered.known.constraint(case.table, case.groups["constraint"])
    if there is None or there["type"] in "pu":
        yield case.found("breaks")


def _required(case: Case) -> Iterator[Finding]:
    known, column = case.rendered.known, case.groups["column"]
    there = known.column(case.table, column)
    kept = known.kept_from_null(case.table, column)
    if not case.proved and not case.groups.get("later") and not (kept and kept["valid"]):
        yield from case.if_large(case.table)
    if kept:
        return
    if there and (there["default"] is not None or there["identity"] or there["generated"] or there["not_null"]):
        return
    filled = any(re.search(r"\bBEFORE\b.*\bINSERT\b", str(entry["definition"])) for entry in known.on("trigger", case.table))
    if filled:
        yield case.found("may_break", "M01", "The column {column} takes no NULL any more")
    else:
        yield case.found("breaks", "C15", "The column {column} takes no NULL any more, and an INSERT that leaves it out fails")


def _changes_rows(case: Case) -> Iterator[Finding]:
    yield from _calls(case)
    plan = case.rendered.plans.get(case.text) or {}
    if not case.rendered.large.is_few(plan.get("rows")):
        yield from case.if_large(case.table, rule="B02")
    yield from _while_held(case)


def _reads(case: Case) -> Iterator[Finding]:
    yield from _calls(case)
    yield from _while_held(case)


def _analyzed(case: Case) -> Iterator[Finding]:
    every = not re.search(r"^ANALY[SZ]E\s+(?:\(.*\)\s*|VERBOSE\s+)*[\w\"]", case.text, re.I | re.S)
    yield from _while_held(case, case.rendered.tables if every else ())


def _while_held(case: Case, also: Iterable[str] = ()) -> Iterator[Finding]:
    """What takes long keeps everybody out of what is locked already."""
    if not case.held:
        return
    plan = case.rendered.plans.get(case.text)
    if plan is not None:
        read = set(plan["scans"])
    elif also:
        read = set(also)
    else:
        read = {name for name in case.rendered.tables if re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", case.text)}
    large = sorted(name for name in read if case.rendered.is_large(name))
    if large:
        locked = ", ".join(sorted(case.held))
        yield case.found("blocks", "B01", f"{large[0]} is read while a lock on {locked} is held", sorted(case.held)[0])


def calls(text: str) -> set[str]:
    """Return the functions that a statement calls, as far as its text shows."""
    bare = _NO_CALL.sub(" (", _STRING.sub("''", text))
    return {unquoted(name).rpartition(".")[2].lower() for name in _CALL.findall(bare)} - _WORDS


def _calls(case: Case) -> Iterator[Finding]:
    known = case.rendered.known
    for name in sorted(calls(case.text) - _HARMLESS):
        if not known.there or name in case.functions or known.all("function", name) or name.startswith(_EFFECT):
            yield case.unknown(f"It calls {name}(), and its text does not show what that does")
            return


def _trigger(case: Case) -> Iterator[Finding]:
    if case.table in case.made:
        return
    name = case.groups["function"]
    there = case.rendered.known.one("function", name)
    raises = case.functions.get(name.rpartition(".")[2].lower(), None if there is None else bool(there["raises"]))
    if raises is None:
        yield case.unknown(f"What the function {name} of the trigger does to the statements of old code does not show", "U08")
    elif raises:
        yield case.unknown(f"The trigger's function {name} raises an exception for some rows", "U08")
    else:
        yield case.found("may_break")


def _may_be_new(case: Case) -> Iterator[Finding]:
    kind = "function" if re.match(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)", case.text, re.I) else "relation"
    if not case.rendered.known.there or case.rendered.known.all(kind, case.table):
        yield case.found("may_break")


def _gone(case: Case) -> Iterator[Finding]:
    there = case.rendered.known.all("relation", case.table)
    if case.table in case.made or (case.rendered.known.there and not there):
        return
    if not (there and all(entry["relkind"] == "S" and entry["owned"] for entry in there)):  # its column has the default
        yield case.found("breaks")


def _revoke(case: Case) -> Iterator[Finding]:
    known, what = case.rendered.known, (case.groups.get("what") or "").strip().lower()
    kind = {"": "relation", "table": "relation", "sequence": "S"}.get(what, what)
    relation = known.one("relation", case.table)
    if kind == "relation" and relation and relation["relkind"] == "S":
        kind = "S"
    entry = known.one("relation" if kind in ("relation", "S") else kind, case.table)
    if entry is None:
        yield case.unknown()
        return
    named = {name.upper() for name in _PRIVILEGE.findall(case.groups["privileges"])}
    holders = known.holders(kind, case.table, named)
    acl = entry.get("acl")
    for name in (unquoted(each.strip()) for each in case.groups["roles"].split(",")):
        if name.upper() == "PUBLIC":
            had = kind in ("function", "type") if acl is None else bool(re.search(r"(?:[{,])=", str(acl)))
            losing = [role for role in holders if not re.search(rf"[{{,]\"?{re.escape(role)}=", str(acl))] if had else []
        else:
            losing = [role for role in holders if role == name]
            if holders and name not in known.roles:
                yield case.unknown(f"Who has rights by {name} does not show")
        for role in losing:
            yield case.found("breaks", message=f"The role {role} loses {case.groups['privileges']}")


def _attached(case: Case) -> Iterator[Finding]:
    known = case.rendered.known
    defaults = [str(entry["name"]) for entry in known.partitions(case.table) if entry["bound"] == "DEFAULT"]
    yield from case.if_large(case.groups["partition"], *defaults)


def _refreshed(case: Case) -> Iterator[Finding]:
    query = str((case.rendered.known.one("relation", case.table) or {}).get("query") or "")
    read = [name for name in case.rendered.tables if re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", query)]
    yield from case.if_large(case.table, *read)


def _domain(case: Case) -> Iterator[Finding]:
    known = case.rendered.known
    domain = known.one("type", case.table)
    if domain is None:
        yield case.unknown()
        return
    names = (str(domain["name"]), str(domain["name"]).replace("public.", "", 1))
    users = {str(entry["table"]) for entry in known.entries if entry["kind"] == "column" and entry["type"] in names}
    large = sorted(name for name in users if case.rendered.is_large(name))
    if large:
        yield case.found("blocks", "B01", f"{large[0]} is read, where a column is of this domain", large[0])


JUDGES: Mapping[str, Judge] = {
    "type": _type,
    "default": _default_gone,
    "required": _required,
    "constraint": _constraint_gone,
    "rows": _changes_rows,
    "reads": _reads,
    "analyzed": _analyzed,
    "trigger": _trigger,
    "new": _may_be_new,
    "gone": _gone,
    "revoke": _revoke,
    "attached": _attached,
    "refreshed": _refreshed,
    "domain": _domain,
    "large": lambda case: case.if_large(case.table, rule=case.rule),
}
