# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A look at PostgreSQL's catalogue that reads again only what a revision has changed, so that hundreds of tables cost it little.

A row of the catalogue bears the transaction that wrote it: what is new or changed since the last look is found by that. What is
gone is found by counting, and only where the count is not what it should be are the rows looked through. Where every transaction
since then was watched to its end, only the catalogues that those have changed are asked.
"""

from __future__ import annotations

from typing import AbstractSet, Iterable

from . import catalog, relations
from .access import Session
from .unseen import LOOSE, MARK, Account, age_of

_OWN_TYPES = """t.oid >= 16384 and (t.typtype in ('e', 'd')
  or (t.typtype = 'c' and t.typrelid in (select c.oid from pg_class c where c.relkind = 'c')))"""
#: Catalogue → what tells one of its rows from another, the relation that it is about (0: none), and the rows that matter. What
#: vanishes from it is not seen in another one.
_COUNTED = {
    "pg_class": ("t.oid::text", "t.oid", "t.oid >= 16384"),
    "pg_constraint": ("t.oid::text", "t.conrelid", "true"),
    "pg_trigger": ("t.oid::text", "t.tgrelid", "true"),
    "pg_policy": ("t.oid::text", "t.polrelid", "true"),
    "pg_rewrite": ("t.oid::text", "t.ev_class", "t.ev_class >= 16384"),
    "pg_inherits": ("t.inhrelid || ' ' || t.inhparent", "t.inhrelid", "true"),
    "pg_depend": (
        "t.objid || ' ' || t.refobjid || ' ' || t.refobjsubid",
        "t.objid",
        "t.classid = 'pg_class'::regclass and t.refclassid = 'pg_class'::regclass and t.refobjsubid > 0 and t.objid >= 16384",
    ),
    "pg_proc": ("t.oid::text", "0", "t.oid >= 16384"),
    "pg_type": ("t.oid::text", "0", _OWN_TYPES),
    "pg_enum": ("t.oid::text", "0", "t.oid >= 16384"),
    "pg_namespace": ("t.oid::text", "0", "true"),
    "pg_extension": ("t.oid::text", "0", "true"),
    **{name: ("t.oid::text", "0", "t.oid >= 16384") for name in LOOSE},
}
#: Those whose rows go with a row of another one, or with a change of it.
_WRITTEN = {
    **_COUNTED,
    # those of a composite type are of no relation that is looked at
    "pg_attribute": (
        "''::text",
        "coalesce((select 0 from pg_class c where c.oid = t.attrelid and c.relkind = 'c'), t.attrelid::bigint)",
        "t.attrelid >= 16384",
    ),
    "pg_attrdef": ("''::text", "t.adrelid", "true"),
    "pg_index": ("''::text", "t.indrelid", "t.indrelid >= 16384"),
}
#: What a plain statement writes of no relation.
_ELSEWHERE = {"pg_proc", "pg_enum", "pg_namespace", "pg_extension", *LOOSE}
_ROWS = "select {key}, ({relation})::text from {name} t where {rows}"
_FRESH = "age(t.xmin) <= {age}"
#: Of the rows that are new or changed what tells them apart, and how many rows there are.
_SINCE = {
    name: (
        f"select '{name}', array_agg({key}) filter (where {_FRESH}), array_agg(({relation})::text) filter (where {_FRESH}), "
        f"count(*) from {name} t where {rows}"
        if name in _COUNTED
        else f"select '{name}', array_agg({key}), array_agg(({relation})::text), null from {name} t where {_FRESH} and {rows}"
    )
    for name, (key, relation, rows) in _WRITTEN.items()
}
_NONE: frozenset[str] = frozenset()
_LOOSE = (
    "schema",
    "type",
    "function",
    "operator",
    "cast",
    "text search configuration",
    "collation",
    "extension",
)  # kinds of objects that belong to no relation
#: From so many relations on, all is read.
_MANY = 200


class Snapshot(catalog.Traced):
    """A catalogue that knows up to which transaction it was read, and which rows there were."""

    mark: int
    held: dict[str, dict[str, str]]  # catalogue → key of a row → the relation that it is about
    since: int  # the mark of the look that those are from
    skipped: frozenset[str]  # relations that were changed since then
    known: relations.Known
    dirty: set[str] | None  # the relations that were read again after the look before; None if all were
    tables: frozenset[str]  # OIDs of what has rows


def look(
    session: Session, version_tables: Iterable[str], previous: catalog.Catalog | None = None, account: Account | None = None
) -> catalog.Catalog:
    """Return every object, as :func:`.catalog.look` does.

    :param previous: an earlier look at the same database.
    :param account: the transactions since then, as far as they were watched.
    """
    tables = list(version_tables)
    known = account.take_mark() if account is not None else None
    following, mark = known or (int(number) for number in session.again(f"select {MARK}")[0])
    since, skipped = mark, _NONE
    if isinstance(previous, Snapshot):
        if _is_plain(previous, following, account):
            altered = account.altered  # type: ignore[union-attr]
            held, dirty = previous.held, _tables(previous, altered)
            since, skipped = previous.since, previous.skipped | altered
        else:
            held, dirty = _since(session, previous, following, account)
        found = _changed(session, tables, previous, dirty)
        if found is not None:
            return _snapshot(found, mark, (held, since, skipped), dirty, previous)
    if not isinstance(previous, Snapshot) or skipped:
        held, since, skipped = {name: _read(session, name) for name in _COUNTED}, mark, _NONE
    found = Snapshot(catalog.look(session, tables))
    found.known = relations.read(session)
    return _snapshot(found, mark, (held, since, skipped))


def _is_plain(previous: Snapshot, following: int, account: Account | None) -> bool:
    """Tell whether all that was written since then is of relations that were locked for it."""
    watched = account.changed(previous.mark, following) if account is not None else None
    return watched is not None and account.plain and not watched & _ELSEWHERE  # type: ignore[union-attr]


def _snapshot(
    result: Snapshot,
    mark: int,
    rows: tuple[dict[str, dict[str, str]], int, frozenset[str]],
    dirty: set[str] | None = None,
    previous: Snapshot | None = None,
) -> Snapshot:
    result.mark, result.dirty = mark, dirty
    result.held, result.since, result.skipped = rows
    if previous is None:
        result.begins()
        result.tables = frozenset(oid for (kind, oid), entry in result.items() if kind == "relation" and entry["relkind"] in "rpmf")
    elif any(kind == "relation" for kind, _oid in result.altered):
        touched = {oid for kind, oid in result.altered if kind == "relation"}
        fresh = {oid for oid in touched if ("relation", oid) in result and result[("relation", oid)]["relkind"] in "rpmf"}
        result.tables = (previous.tables - touched) | fresh
    else:
        result.tables = previous.tables
    return result


def _read(session: Session, name: str, touched: Iterable[str] | None = None) -> dict[str, str]:
    """Return the rows of a catalogue, or of those only that are about the relations ``touched``."""
    key, relation, rows = _COUNTED[name]
    text = _ROWS.format(name=name, key=key, relation=relation, rows=rows)
    if touched is None:
        return dict(session.rows(text))
    return dict(session.again(f"{text} and ({relation}) = any($1)", touched))


def _since(
    session: Session, previous: Snapshot, following: int, account: Account | None
) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Return the rows that there are now, and the relations that rows are about which are new, changed or gone."""
    held: dict[str, dict[str, str]] = dict(previous.held)
    dirty: set[str] = set()
    watched = account.changed(previous.mark, following) if account is not None else None
    locked = previous.skipped | (account.locked if account is not None else set())
    asked = [text for name, text in _SINCE.items() if watched is None or previous.skipped or name in watched]
    if not asked:
        return held, dirty
    for name, keys, about, count in session.rows(" union all ".join(asked).format(age=age_of(previous.since))):
        dirty |= set(about or ())
        if count is None:
            continue
        there = {**held[name], **dict(zip(keys, about))} if keys else held[name]
        if count != len(there):
            there = _counted(session, name, int(count), there, locked)
            dirty |= {relation for key, relation in held[name].items() if key not in there}
        held[name] = there
    return held, _tables(previous, dirty)


def _tables(previous: Snapshot, dirty: set[str]) -> set[str]:
    """Add the tables of indexes."""
    indexes = previous.known.indexes
    return dirty | {indexes[oid][0] for oid in dirty if oid in indexes}


def _counted(session: Session, name: str, count: int, held: dict[str, str], locked: AbstractSet[str]) -> dict[str, str]:
    """Return the rows of a catalogue from which some are gone: of what was locked, if that is all, else read through."""
    if _COUNTED[name][1] != "0" and locked:
        there = {key: relation for key, relation in held.items() if relation not in locked}
        there.update(_read(session, name, sorted(locked)))
        if len(there) == count:
            return there
    return _read(session, name)


def _changed(session: Session, tables: list[str], previous: Snapshot, dirty: set[str]) -> Snapshot | None:
    """Return the catalogue; None where a name has changed, which the texts of any other object may contain."""
    if len(dirty) > _MANY:
        return None
    fresh: catalog.Catalog = {}
    gone: set[catalog.Key] = set()
    if "0" in dirty:
        fresh = catalog.look(session, tables, _LOOSE)
        gone = {key for key in previous.by_relation.get("", ()) if key[0] in _LOOSE}
        if any(previous[key] != fresh.get(key) for key in gone if key[0] != "function"):
            return None
    touched, known = dirty - {"0"}, previous.known
    if touched:
        asked = catalog.query(tables, [kind for kind in catalog.QUERIES if kind not in _LOOSE], " and {} = any($1)")
        rows = session.again(f"{asked} union all {relations.AGAIN}", sorted(touched))
        fresh.update(catalog.entries(row for row in rows if row[0] not in relations.SORTS))
        known = known.again(touched, (row for row in rows if row[0] in relations.SORTS))
    if any(key in previous and previous[key]["name"] != entry["name"] for key, entry in fresh.items()):
        return None
    gone.update(key for oid in touched for key in previous.by_relation.get(oid, ()))
    result = Snapshot(previous)
    result.known = known
    for key in gone - fresh.keys():
        del result[key]
    # what is the same stays the same object, which makes comparing it again a matter of a moment
    new = {key: entry for key, entry in fresh.items() if previous.get(key) != entry}
    result.update(new)
    result.follows(previous, [*(gone - fresh.keys()), *new])
    return result
