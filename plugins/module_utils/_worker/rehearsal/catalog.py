# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What PostgreSQL's catalogue holds, and how two looks at it differ.

By OID for what an upgrade did, since a renamed object keeps its OID and one made anew does not. By name for whether a downgrade
brought everything back, since what it makes anew gets other OIDs.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, Tuple

from ..server import literal
from . import refusing
from .access import Session

Key = Tuple[str, str]
Entry = Dict[str, Any]
Catalog = Dict[Key, Entry]

_OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_NOT_EXTENSION = (
    "not exists (select 1 from pg_depend e where e.objid = {oid} and e.classid = '{table}'::regclass and e.deptype = 'e')"
)
#: Kind of object → query for key, name and what is known of it. Version tables are left out by their names.
QUERIES = {
    "schema": f"""
select n.oid::text, n.nspname::text, json_build_object('acl', n.nspacl::text)::text
from pg_namespace n where {_OURS}""",
    "relation": f"""
select c.oid::text, n.nspname || '.' || c.relname, json_build_object(
  'relkind', c.relkind, 'schema', n.nspname, 'persistence', c.relpersistence, 'row_security', c.relrowsecurity,
  'force_row_security', c.relforcerowsecurity,
  'acl', c.relacl::text, 'partition', c.relispartition, 'options', c.reloptions,
  'replica_identity', nullif(c.relreplident, 'd'), 'bound', pg_get_expr(c.relpartbound, c.oid),
  'parent', (select min(i.inhparent)::text from pg_inherits i where i.inhrelid = c.oid and c.relispartition),
  'inherits', (select json_agg(pn.nspname || '.' || pc.relname order by i.inhseqno) from pg_inherits i
               join pg_class pc on pc.oid = i.inhparent join pg_namespace pn on pn.oid = pc.relnamespace
               where i.inhrelid = c.oid and not c.relispartition),
  'query', case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end, 'populated', c.relispopulated,
  'writable', case when c.relkind = 'v' then pg_relation_is_updatable(c.oid, true) end,
  'owned', exists (select 1 from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
                   and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')),
  'identity', exists (select 1 from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
                      and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype = 'i'))::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and {_OURS} and {{c}}""",
    "column": f"""
select c.oid || '/' || a.attnum, n.nspname || '.' || c.relname || '.' || a.attname, json_build_object(
  'relation', c.oid::text, 'relkind', c.relkind, 'column', a.attname, 'table', n.nspname || '.' || c.relname,
  'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull, 'identity', a.attidentity,
  'generated', (select attgenerated from (select a.*) own), 'collation', o.collname,
  'folds', coalesce((to_jsonb(o) ->> 'collisdeterministic') = 'false', false),
  'acl', a.attacl::text, 'default', pg_get_expr(d.adbin, d.adrelid))::text
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation o on o.oid = a.attcollation cross join (select '' as attgenerated) before_12
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and {_OURS} and {{c}}""",
    "constraint": f"""
select k.oid::text, n.nspname || '.' || c.relname || '.' || k.conname, json_build_object(
  'relation', c.oid::text, 'table', n.nspname || '.' || c.relname, 'type', k.contype, 'definition', pg_get_constraintdef(k.oid),
  'valid', k.convalidated, 'columns', k.conkey, 'foreign', nullif(k.confrelid, 0)::text, 'parent', k.conparentid <> 0,
  'foreign_columns', k.confkey, 'deferrable', k.condeferrable)::text
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where k.contype in ('c', 'f', 'p', 'u', 'x') and {_OURS} and {{c}}""",
    "index": f"""
select i.indexrelid::text, n.nspname || '.' || c.relname, json_build_object(
  'relation', i.indrelid::text, 'relkind', r.relkind,
  'table', rn.nspname || '.' || r.relname,
  'definition', pg_get_indexdef(i.indexrelid), 'unique', i.indisunique, 'valid', i.indisvalid,
  'columns', i.indkey::text, 'keys', i.indnkeyatts, 'immediate', i.indimmediate,
  'predicate', pg_get_expr(i.indpred, i.indrelid), 'expressions', i.indexprs is not null,
  'texts', case when i.indexprs is not null then (select json_agg(pg_get_indexdef(i.indexrelid, k, true) order by k)
                                                  from generate_series(1, i.indnkeyatts) k) end,
  'constraint', exists (select 1 from pg_constraint k where k.conrelid = i.indrelid and k.conindid = i.indexrelid
                        and k.contype in ('p', 'u', 'x')))::text
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class r on r.oid = i.indrelid join pg_namespace rn on rn.oid = r.relnamespace
where {_OURS} and {{r}}""",
    "type": f"""
select t.oid::text, n.nspname || '.' || t.typname, json_build_object(
  'typtype', t.typtype, 'base', case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
  'not_null', t.typnotnull, 'default', t.typdefault,
  'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
  'attributes', (select json_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) order by a.attnum) from pg_attribute a
                 where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped and t.typtype = 'c'),
  'checks', (select json_agg(pg_get_constraintdef(k.oid) order by k.conname) from pg_constraint k where k.contypid = t.oid))::text
from pg_type t join pg_namespace n on n.oid = t.typnamespace
where {_OURS} and {_NOT_EXTENSION.format(oid="t.oid", table="pg_type")}
  and (t.typtype in ('e', 'd')
       or (t.typtype = 'c' and exists (select 1 from pg_class c where c.oid = t.typrelid and c.relkind = 'c')))""",
    "trigger": f"""
select t.oid::text, n.nspname || '.' || c.relname || '.' || t.tgname, json_build_object(
  'relation', c.oid::text, 'table', n.nspname || '.' || c.relname,
  'function', t.tgfoid::text, 'definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)::text
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where not t.tgisinternal and {_OURS} and {{c}}""",
    "function": f"""
select p.oid::text, n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', json_build_object(
  'arguments', oidvectortypes(p.proargtypes), 'least', p.pronargs - p.pronargdefaults,
  'names', case when p.proargmodes is null then to_json(p.proargnames) end, 'procedure', to_jsonb(p) ->> 'prokind' = 'p',
  'raises', case when p.prosrc ~* '\\mraise\\s+exception\\M' then p.prosrc end,
  'skips', case when p.prorettype = 'trigger'::regtype and p.prosrc ~* '\\mreturn\\s+(null|old)\\M' then p.prosrc end,
  'sets', (select json_agg(distinct lower(m[1])) from regexp_matches(
    p.prosrc, '(?:;|\\mBEGIN|\\mTHEN|\\mELSE|\\mINTO)\\s+NEW\\.(\\w+)\\s*(?::?=|(?=;|\\mFROM))([^;]*)', 'gi') m
    where p.prorettype = 'trigger'::regtype
      and (m[2] !~* ('\\mNEW\\.' || m[1] || '\\M') or m[2] ~* ('\\mcoalesce\\s*\\(\\s*NEW\\.' || m[1] || '\\M'))),
  'source', md5(p.prosrc || coalesce(p.probin, '')), 'returns', p.prorettype::regtype::text,
  'gives', case when p.proargmodes is not null then pg_get_function_result(p.oid) end, 'acl', p.proacl::text,
  'language', p.prolang, 'security_definer', p.prosecdef, 'volatile', p.provolatile, 'config', p.proconfig)::text
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where {_OURS} and {_NOT_EXTENSION.format(oid="p.oid", table="pg_proc")}""",
    "policy": f"""
select p.oid::text, n.nspname || '.' || c.relname || '.' || p.polname, json_build_object(
  'relation', c.oid::text, 'table', n.nspname || '.' || c.relname, 'command', p.polcmd, 'permissive', p.polpermissive,
  'roles', p.polroles::text, 'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))::text
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
where {_OURS} and {{c}}""",
    "rule": f"""
select r.oid::text, n.nspname || '.' || c.relname || '.' || r.rulename, json_build_object(
  'relation', c.oid::text, 'table', n.nspname || '.' || c.relname,
  'definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled)::text
from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
where r.rulename <> '_RETURN' and {_OURS} and {{c}}""",
    "operator": f"""
select o.oid::text, n.nspname || '.' || o.oprname || '(' || case o.oprleft when 0 then 'none' else format_type(o.oprleft, null) end
  || ', ' || format_type(o.oprright, null) || ')', json_build_object('source', o.oprcode::regprocedure::text)::text
from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
where {_OURS} and {_NOT_EXTENSION.format(oid="o.oid", table="pg_operator")}""",
    "cast": f"""
select c.oid::text, format_type(c.castsource, null) || ' AS ' || format_type(c.casttarget, null),
  json_build_object('source', c.castfunc::regprocedure::text, 'context', c.castcontext)::text
from pg_cast c where c.oid >= 16384 and {_NOT_EXTENSION.format(oid="c.oid", table="pg_cast")}""",
    "text search configuration": f"""
select t.oid::text, n.nspname || '.' || t.cfgname, '{{}}'
from pg_ts_config t join pg_namespace n on n.oid = t.cfgnamespace where {_OURS}""",
    "collation": f"""
select o.oid::text, n.nspname || '.' || o.collname, '{{}}'
from pg_collation o join pg_namespace n on n.oid = o.collnamespace where {_OURS}""",
    "extension": "select e.oid::text, e.extname::text, json_build_object('version', e.extversion, 'schema', n.nspname)::text "
    "from pg_extension e join pg_namespace n on n.oid = e.extnamespace",
}
#: Facts that hold OIDs or depend on who made the object: they are no difference between an object and the same one made anew.
_NOT_COMPARED = (
    *("relation", "function", "parent", "foreign", "columns", "foreign_columns", "acl", "roles", "language", "populated"),
)
_CHECK = re.compile(r"^CHECK \((.*)\)(?: NO INHERIT)?(?: NOT VALID)?$", re.S)
_VALUE = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|\bVALUE\b")
_BEFORE_INSERT = re.compile(r"\bBEFORE\b(?:\s+\w+(?:\s+OF\s[^()]*?)?\s+OR)*\s+INSERT\b", re.I)
_CAST = re.compile(r"\(([a-z_0-9\" ]+)\)::[a-z ]+")  # ALTER COLUMN … TYPE writes casts into what it makes again


class Traced(Catalog):
    """A catalogue that was made of an earlier one, and knows what the two differ in."""

    earlier: Traced | None = None
    altered: tuple[Key, ...] = ()  # those of what is other than in the earlier one
    by_relation: dict[str, frozenset[Key]]
    kinds: dict[str, Catalog]

    def follows(self, earlier: Traced, keys: Iterable[Key]) -> None:
        """Take down what this is other in."""
        self.earlier, self.altered = earlier, tuple(keys)
        changed: dict[str, set[Key]] = {}
        for key in self.altered:
            for entry in (earlier.get(key), self.get(key)):
                if entry is not None:
                    relation = relation_of(entry)
                    changed.setdefault(relation, set(earlier.by_relation.get(relation, ()))).add(key)
        found = {relation: frozenset(key for key in keys if key in self) for relation, keys in changed.items()}
        self.by_relation = {**earlier.by_relation, **found}
        self.kinds = dict(earlier.kinds)
        for kind in {kind for kind, _oid in self.altered}:
            there = dict(earlier.kinds.get(kind, {}))
            for key in self.altered:
                if key[0] == kind:
                    there.pop(key, None)
                    there.update({key: self[key]} if key in self else {})
            self.kinds[kind] = there

    def begins(self) -> None:
        """Nothing was before this."""
        found: dict[str, list[Key]] = {}
        self.kinds = {}
        for key, entry in self.items():
            found.setdefault(relation_of(entry), []).append(key)
            self.kinds.setdefault(key[0], {})[key] = entry
        self.by_relation = {relation: frozenset(keys) for relation, keys in found.items()}

    def about(self, relation: str) -> list[Entry]:
        """Return what belongs to a relation, itself included."""
        return [self[key] for key in sorted(self.by_relation.get(relation, ()))]


def belonging(catalog: Catalog, relation: str) -> Iterable[Entry]:
    """Return what belongs to a relation; all there is, where a catalogue does not know that."""
    return catalog.about(relation) if isinstance(catalog, Traced) else catalog.values()


def of_kind(catalog: Catalog, kind: str) -> Iterable[Entry]:
    """Return all objects of a kind."""
    if isinstance(catalog, Traced):
        return catalog.kinds.get(kind, {}).values()
    return (entry for key, entry in catalog.items() if key[0] == kind)


def spellings(entry: Entry) -> tuple[str, str]:
    """Return the name of something with its schema and without, as statements have it."""
    return entry["name"], entry["name"].partition(".")[2]


def condition_of(constraint: Entry) -> str | None:
    """Return what a check asks for; nothing of a constraint that is none."""
    match = _CHECK.match(constraint["definition"]) if constraint["type"] == "c" else None
    return match.group(1) if match else None


def conditions_of_domain(domain: Entry, name: str, among: Iterable[str] | None = None) -> list[str]:
    """Return what the checks of a domain ask of the column or value ``name``; ``among``: of these definitions only."""
    matches = (_CHECK.match(each) for each in (domain["checks"] if among is None else among) or ())
    return [_VALUE.sub(lambda found: found.group(1) or name, match.group(1)) for match in matches if match]


def relation_of(entry: Entry) -> str:
    """Return the OID of the relation that something is or belongs to, else nothing."""
    return str(entry["oid"] if entry["kind"] == "relation" else entry.get("relation") or "")


def differing(before: Catalog, after: Catalog) -> list[Key]:
    """Return keys, in the order of the catalogues, of all that may differ; what is the same object in both does not."""
    found: set[Key] = set()
    at = after if isinstance(after, Traced) else None
    while at is not None and at is not before:
        found.update(at.altered)
        at = at.earlier
    if at is None:
        return [*before, *(key for key in after if key not in before)]
    return sorted((key for key in found if before.get(key) is not after.get(key)), key=_ordered)


def _ordered(key: Key) -> tuple[int, list[int], str]:
    kinds = list(QUERIES)
    numbers = [int(number) for number in re.findall(r"\d+", key[1])]
    return (kinds.index(key[0]) if key[0] in kinds else len(kinds), numbers, key[1])


def look(
    session: Session, version_tables: Iterable[str], kinds: Iterable[str] = tuple(QUERIES), schema: str | None = None
) -> Catalog:
    """Return every object of the database that is not the server's own or an Alembic version table.

    :param kinds: of objects, if not all.
    :param schema: the only one that is looked at.
    """
    text = query(version_tables, kinds)
    return entries(session.rows(text if schema is None else text.replace(_OURS, f"n.nspname = {literal(schema)}")))


def query(version_tables: Iterable[str], kinds: Iterable[str], condition: str = "") -> str:
    """Return what asks for these kinds; ``condition``: of which relations, with ``{}`` for what has their OID."""
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(set(version_tables))) or "''"
    parts = {name: f"{name}.relname not in ({names}){condition.format(f'{name}.oid')}" for name in ("c", "r")}
    asked = (
        f"select '{kind}', q.* from ({QUERIES[kind].replace('{c}', parts['c']).replace('{r}', parts['r'])}) q" for kind in kinds
    )
    return " union all ".join(asked)


def entries(rows: Iterable[Any]) -> Catalog:
    return {
        (str(kind), str(oid)): {"kind": str(kind), "oid": str(oid), "name": name, **json.loads(facts)}
        for kind, oid, name, facts in rows
    }


def changes(base: Catalog, before: Catalog, after: Catalog) -> list[dict[str, Any]]:
    """Return what became of each object that differs.

    An object that was dropped and made again under its name is one change, marked ``remade``. ``named`` is what bears the old
    name of a renamed or dropped object afterwards. ``pending`` tells that running code can't know it, because it was not in
    ``base`` either, ``covered`` that another index does what a dropped one did, or already did what a new one does.
    """
    keys = differing(before, after)
    changed = {key: before[key] for key in keys if key in before and after.get(key) is not before[key]}
    gone = {key: entry for key, entry in changed.items() if key not in after}
    new = {key: after[key] for key in keys if key in after and key not in before}
    # what has the name of something else now is new, or had another name before
    there = [*(after[key] for key in changed if key in after), *new.values()]
    names = {(entry["kind"], entry["name"]): entry for entry in there}
    used: set[Key] = set()
    found = []
    for key, old in changed.items():
        now = after.get(key)
        named = names.get((old["kind"], old["name"]))
        remade = now is None and named is not None and (named["kind"], named["oid"]) in new
        if remade:
            now, named = named, None
            used.add((now["kind"], now["oid"]))  # type: ignore[index]
        if now is not None and (
            old == now or (remade and compared(old) == compared(now) and old["kind"] not in ("relation", "column"))
        ):
            continue
        told = {"kind": old["kind"], "before": old, "after": now, "remade": remade, "pending": key not in base}
        covered = _covered(old, gone, after) or _covered_anew(old, before, after, names)
        found.append(dict(told, named=named if named is not now else None, covered=covered))
    for key, entry in new.items():
        if key not in used:
            told = {"kind": entry["kind"], "before": None, "after": entry, "remade": False, "pending": False, "named": None}
            found.append(dict(told, covered=_covered(entry, new, before)))
    return found


def _covered(entry: Entry, others: Catalog, catalog: Catalog) -> bool:
    """Tell whether ``catalog`` has another valid index with the columns of this index or constraint (unique, if it is)."""
    if entry["kind"] == "constraint" and entry["type"] in "pu":
        columns, unique, predicate = [str(number) for number in entry["columns"]], True, None
        immediate = not entry.get("deferrable")
    elif entry["kind"] == "index" and not entry["expressions"]:
        columns, unique, predicate = _keys(entry), entry["unique"], entry["predicate"]
        immediate = entry.get("immediate", True)
    else:
        return False
    return _has_index(catalog, entry, (columns, unique, predicate, immediate), others)


def _covered_anew(entry: Entry, before: Catalog, after: Catalog, names: dict[tuple[str, str], Entry]) -> bool:
    """Tell whether the table that has the name of this constraint's or index's table now has such a unique index as well."""
    table = before.get(("relation", str(entry.get("relation"))))
    successor = names.get(("relation", table["name"])) if table else None
    if successor is None or table is None or successor["oid"] == table["oid"] or entry["kind"] not in ("constraint", "index"):
        return False
    if not (entry["type"] in "pu" if entry["kind"] == "constraint" else entry["unique"] and not entry["expressions"]):
        return False
    numbers = [str(each) for each in entry["columns"]] if entry["kind"] == "constraint" else _keys(entry)
    known = [before.get(("column", f"{entry['relation']}/{number}")) for number in numbers]
    own = [each for each in belonging(after, successor["oid"]) if each["kind"] == "column" and each["relation"] == successor["oid"]]
    there = {each["column"]: each["oid"].rpartition("/")[2] for each in own}
    columns = [there.get(each["column"], "") if each else "" for each in known]
    immediate = not entry.get("deferrable") and entry.get("immediate", True)
    anew = dict(entry, relation=successor["oid"])
    return bool(columns) and all(columns) and _has_index(after, anew, (columns, True, entry.get("predicate"), immediate), {})


def _has_index(catalog: Catalog, entry: Entry, wanted: tuple[list[str], bool, Any, bool], others: Catalog) -> bool:
    """Tell whether the table of an index or constraint has another valid index with these columns, which is none of ``others``."""
    columns, unique, predicate, immediate = wanted
    for other in belonging(catalog, entry["relation"]):
        if other["kind"] != "index" or (other["kind"], other["oid"]) in others or other["relation"] != entry["relation"]:
            continue
        if other["oid"] == entry["oid"] or not other["valid"] or other["predicate"] != predicate or other["expressions"]:
            continue
        there = _keys(other)
        if unique and immediate and not other.get("immediate", True):
            continue  # no ON CONFLICT can rely on one that is checked later
        if (other["unique"] and sorted(there) == sorted(columns)) if unique else there[: len(columns)] == columns:
            return True
    return False


def _keys(index: Entry) -> list[str]:
    """Return the columns of an index without those that it only includes."""
    return str(index["columns"]).split()[: index.get("keys")]


_KEEPS = re.compile(r"^CHECK \(+(?:\"[^\"]+\"|\w+) IS NOT NULL\)+(?: NOT VALID)?$")


def kept(base: Catalog, changes: list[dict[str, Any]]) -> list[str]:
    """Return the changed columns, by OID, that a check kept from being NULL before, of which old code knows."""
    columns = {change["after"]["oid"] for change in changes if change["kind"] == "column" and change["before"] and change["after"]}
    found = []
    for oid in sorted(columns):
        relation, _slash, number = oid.partition("/")
        there = belonging(base, relation)
        checks = (each for each in there if each["kind"] == "constraint" and each["type"] == "c" and each["relation"] == relation)
        if any(_KEEPS.match(each["definition"]) and each["columns"] == [int(number)] for each in checks):
            found.append(oid)
    return found


def domains(*catalogs: Catalog) -> dict[str, str]:
    """Return domain → what it is made of, with and without the schema that a name may go without."""
    types = [each for catalog in catalogs for each in of_kind(catalog, "type") if each["typtype"] == "d"]
    return {name: each["base"] for each in types for name in spellings(each)}


def fills(entry: Entry) -> bool:
    """Tell whether this is a trigger that can give a new row what an INSERT left out."""
    return entry["kind"] == "trigger" and entry["enabled"] in ("O", "A") and bool(_BEFORE_INSERT.search(entry["definition"]))


def unset(changes: list[dict[str, Any]], before: Catalog, after: Catalog) -> list[dict[str, Any]]:
    """Return the triggers that gave columns a value which nothing gives them any more, with these columns."""
    found: list[dict[str, Any]] = []
    those = [each for each in changes if each["before"] and each["kind"] in ("trigger", "function")]
    names = {each["name"]: each["oid"] for each in of_kind(after, "relation")} if those else {}
    for change in those:
        old = change["before"]
        if change["kind"] == "function" and old["returns"] != "trigger":
            continue
        mine = [old] if change["kind"] == "trigger" else of_kind(before, "trigger")
        for trigger in (each for each in mine if change["kind"] == "trigger" or str(each["function"]) == str(old["oid"])):
            bearer = names.get(trigger["table"]) or trigger["relation"]
            own = [each for each in belonging(after, bearer) if str(each.get("relation")) == bearer]
            gone = _given(before, [trigger]) - _given(after, (each for each in own if each["kind"] == "trigger"))
            there = {each["column"] for each in belonging(before, trigger["relation"]) if each["kind"] == "column"}
            columns = [each for each in own if each["kind"] == "column" and each["column"] in gone & there]
            lost = [each["name"] for each in columns if not each["generated"]]
            told = {"trigger": trigger["name"], "table": trigger["table"], "columns": lost}
            if lost and told not in found:
                found.append(told)
    return found


def _given(catalog: Catalog, triggers: Iterable[Entry]) -> set[str]:
    """Return the columns that these triggers give a value before a row is written."""
    found: set[str] = set()
    for trigger in triggers:
        if trigger["enabled"] in ("O", "A") and re.search(r"\bBEFORE\b", trigger["definition"].partition(" ON ")[0]):
            found.update((catalog.get(("function", str(trigger["function"]))) or {}).get("sets") or ())
    return found


def strict(changes: list[dict[str, Any]], after: Catalog) -> list[Entry]:
    """Return the columns of domains that take no NULL any more, which could be NULL before and are given nothing else."""
    found = []
    for change in changes:
        old, new = change["before"], change["after"]
        if change["kind"] == "type" and old and new and new["not_null"] and not old["not_null"] and new["default"] is None:
            found += [each for each in of_kind(after, "column") if each["type"] in spellings(new) and each["relkind"] in "rp"]
    return [each for each in found if not each["not_null"]]


def reordered(changes: list[dict[str, Any]], before: Catalog, after: Catalog) -> dict[str, list[str]]:
    """Return the tables, by OID, whose columns have another order now → the columns in it, as far as they were there before."""
    oids = {change["before"]["relation"] for change in changes if change["kind"] == "column" and change["before"]}
    names = {each["name"]: each["oid"] for each in of_kind(after, "relation")} if oids else {}
    found = {}
    for oid in sorted(oids):
        table = before[("relation", oid)]
        first, second = (_columns(catalog, bearer) for catalog, bearer in ((before, oid), (after, names.get(table["name"], ""))))
        kept = [each for each in second if each in first]
        if table["relkind"] in "rpf" and kept != [each for each in first if each in second]:
            found[oid] = kept
    return found


def _columns(catalog: Catalog, relation: str) -> list[str]:
    own = [each for each in belonging(catalog, relation) if each["kind"] == "column" and each["relation"] == relation]
    return [str(each["column"]) for each in sorted(own, key=lambda each: int(each["oid"].rpartition("/")[2]))]


def checked(changes: list[dict[str, Any]], after: Catalog) -> list[Entry]:
    """Return the columns that new checks and triggers are about, with their numbers in the table."""
    found = []
    for change in changes:
        entry = change["after"]
        refused = refusing.of_change(change, changes)
        if entry and refused and refused.column:
            there = belonging(after, entry["relation"])
            columns = (each for each in there if each["kind"] == "column" and each["relation"] == entry["relation"])
            found += [dict(each, number=None) for each in columns if each["column"].lower() == refused.column.lower()]
        if change["kind"] == "constraint" and entry and entry["type"] == "c":
            for number in entry["columns"] or ():
                column = after.get(("column", f"{entry['relation']}/{number}"))
                found += [dict(column, number=number)] if column else []
    return found


def residue(before: Catalog, after: Catalog) -> list[dict[str, str]]:
    """Return by name what is left over, missing or different."""
    keys = differing(before, after)
    first, second = (
        {(each[key]["kind"], each[key]["name"]): each[key] for key in keys if key in each and other.get(key) is not each[key]}
        for each, other in ((before, after), (after, before))
    )
    found = []
    for kind, name in sorted(set(first) | set(second)):
        old, now = first.get((kind, name)), second.get((kind, name))
        if old is now:
            continue
        if old is None or now is None:
            found.append({"what": "left over" if old is None else "missing", "kind": kind, "name": name})
        elif compared(old) != compared(now):
            facts = sorted(fact for fact in compared(old) if compared(old)[fact] != compared(now).get(fact))
            found.append({"what": "different", "kind": kind, "name": name, "facts": ", ".join(facts)})
    return found


def compared(entry: Entry) -> Entry:
    """Return what two objects have in common that are the same but for when and by whom they were made."""
    found = {name: value for name, value in entry.items() if name not in _NOT_COMPARED and name != "oid"}
    return dict(found, definition=_CAST.sub(r"\1", found["definition"])) if "definition" in found else found
