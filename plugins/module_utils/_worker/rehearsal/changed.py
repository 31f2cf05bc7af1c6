# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A look at PostgreSQL's catalogue that reads again only what a revision has changed, so that hundreds of tables cost it little.

A row of the catalogue bears the transaction that wrote it: what is new or changed since the last look is found by that. What is
gone is found by counting, and only where the count is not what it should be are the rows looked through.
"""

from __future__ import annotations

from typing import Dict, Iterable

from . import catalog, relations
from .access import Session

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
    "pg_type": ("t.oid::text", "0", "t.oid >= 16384 and t.typtype in ('e', 'd', 'c')"),
    "pg_enum": ("t.oid::text", "0", "t.oid >= 16384"),
    "pg_namespace": ("t.oid::text", "0", "true"),
    "pg_extension": ("t.oid::text", "0", "true"),
}
#: Those whose rows go with a row of another one, or with a change of it.
_WRITTEN = {
    **_COUNTED,
    "pg_attribute": ("''::text", "t.attrelid", "t.attrelid >= 16384"),
    "pg_attrdef": ("''::text", "t.adrelid", "true"),
    "pg_index": ("''::text", "t.indrelid", "t.indrelid >= 16384"),
}
_ROWS = "select '{name}', {key}, ({relation})::text from {name} t where {rows}"
#: Of the rows that are new or changed what tells them apart, and how many rows there are.
_SINCE = " union all ".join(
    f"select '{name}', array_agg({key}), array_agg(({relation})::text), "
    + (f"(select count(*) from {name} t where {rows})" if name in _COUNTED else "null")
    + f" from {name} t where age(t.xmin) <= {{age}} and {rows}"
    for name, (key, relation, rows) in _WRITTEN.items()
)
_NEXT = "txid_snapshot_xmax(txid_current_snapshot())"
#: The number of the first transaction whose rows may not all be seen yet: one that is open here, or the next one.
_MARK = f"""
select {_NEXT} - coalesce(greatest(
  (select max(age(backend_xid)) from pg_stat_activity where datname = current_database()),
  (select max(age(transaction)) from pg_prepared_xacts where database = current_database())), 0)"""
_LOOSE = ("schema", "type", "function", "extension")  # kinds of objects that belong to no relation
#: From so many relations on, all is read.
_MANY = 200


class Snapshot(Dict[catalog.Key, catalog.Entry]):
    """A catalogue that knows up to which transaction it was read, and which rows there were."""

    mark: int
    held: dict[str, dict[str, str]]  # catalogue → key of a row → the relation that it is about
    known: relations.Known
    dirty: set[str] | None  # the relations that were read again after the look before; None if all were


def look(session: Session, version_tables: Iterable[str], previous: catalog.Catalog | None = None) -> catalog.Catalog:
    """Return every object, as :func:`.catalog.look` does.

    :param previous: an earlier look at the same database.
    """
    tables, mark = list(version_tables), int(session.value(_MARK))
    if isinstance(previous, Snapshot):
        held, dirty = _since(session, previous)
        found = _changed(session, tables, previous, dirty)
        if found is not None:
            return _snapshot(found, mark, held, previous.known.again(session, dirty) if dirty else previous.known, dirty)
    else:
        held = {name: _read(session, name) for name in _COUNTED}
    return _snapshot(catalog.look(session, tables), mark, held, relations.read(session))


def _snapshot(
    found: catalog.Catalog, mark: int, held: dict[str, dict[str, str]], known: relations.Known, dirty: set[str] | None = None
) -> Snapshot:
    result = Snapshot(found)
    result.mark, result.held, result.known, result.dirty = mark, held, known, dirty
    return result


def _read(session: Session, name: str) -> dict[str, str]:
    key, relation, rows = _COUNTED[name]
    return {str(row[1]): str(row[2]) for row in session.rows(_ROWS.format(name=name, key=key, relation=relation, rows=rows))}


def _since(session: Session, previous: Snapshot) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Return the rows that there are now, and the relations that rows are about which are new, changed or gone."""
    held: dict[str, dict[str, str]] = dict(previous.held)
    dirty: set[str] = set()
    for name, keys, about, count in session.rows(_SINCE.format(age=f"(select {_NEXT} - {previous.mark})")):
        dirty |= set(about or ())
        if count is None:
            continue
        there = {**held[name], **dict(zip(keys, about))} if keys else held[name]
        if count != len(there):
            there = _read(session, name)
            dirty |= {relation for key, relation in held[name].items() if key not in there}
        held[name] = there
    indexes = previous.known.indexes
    return held, dirty | {indexes[oid][0] for oid in dirty if oid in indexes}


def _changed(session: Session, tables: list[str], previous: Snapshot, dirty: set[str]) -> catalog.Catalog | None:
    """Return the catalogue; None where a name has changed, which the texts of any other object may contain."""
    if len(dirty) > _MANY:
        return None
    if not dirty:
        return previous
    fresh: catalog.Catalog = {}
    again: set[str] = set()
    if "0" in dirty:
        again.update(_LOOSE)
        fresh = catalog.look(session, tables, _LOOSE)
        for key, entry in previous.items():
            if key[0] in ("schema", "type", "extension") and fresh.get(key) != entry:
                return None
    touched = dirty - {"0"}
    if touched:
        fresh.update(catalog.look(session, tables, [kind for kind in catalog.QUERIES if kind not in _LOOSE], touched))
    if any(key in previous and previous[key]["name"] != entry["name"] for key, entry in fresh.items()):
        return None
    kept = dict(previous)
    for key, entry in previous.items():
        if key[0] in again or (key[1] if key[0] == "relation" else entry.get("relation")) in touched:
            del kept[key]
    # what is the same stays the same object, which makes comparing it again a matter of a moment
    return {**kept, **{key: previous[key] if previous.get(key) == entry else entry for key, entry in fresh.items()}}
