# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What each login role of PostgreSQL may do with what: old code goes by names, so what has a name now counts, whoever made it."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterable, List, Tuple

from .. import server
from .access import Session
from .catalog import Catalog

#: (role, kind, name) → privilege → columns; no columns where a privilege is not for single ones.
Rights = Dict[Tuple[str, str, str], Dict[str, List[str]]]
_OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
#: Login roles that are no superusers: those that are given, or that have or inherit a right on something here.
_ROLES = f"""
with acls as (
  select nspacl as acl, nspowner as owner from pg_namespace n where {_OURS}
  union all select relacl, relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace where {_OURS}
  union all select attacl, null from pg_attribute where attacl is not null
  union all select proacl, proowner from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {_OURS}),
holders as (select distinct e.grantee as oid from acls, aclexplode(acl) e union select owner from acls)
select r.rolname::text from pg_roles r
where r.rolcanlogin and not r.rolsuper and exists (select from holders h where h.oid <> 0 and pg_has_role(r.oid, h.oid, 'USAGE'))"""
_CONNECTED = """
select distinct usename::text from pg_stat_activity
where datname = current_database() and usename is not null and application_name not like 'dbops.alembic%'"""
_COLUMNS = """
  case when not ({blocked}) then (select json_agg(a.attname order by a.attnum) from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and has_column_privilege(r.oid, c.oid, a.attnum, '{privilege}')) end"""
#: No row is seen or written where row security applies and no policy permits it. PostgreSQL manual, "Row Security Policies".
_BLOCKED = """c.relrowsecurity and not r.rolbypassrls
    and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'USAGE'))
    and not exists (select from pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('*', '{command}')
      and (p.polroles = '{{{{0}}}}'
           or exists (select from unnest(p.polroles) m where m <> 0 and pg_has_role(r.oid, m, 'USAGE'))))"""
#: A command reaches every row where no policy narrows it. PostgreSQL manual, "Row Security Policies".
WHOLE = "every row of "
_NARROWED = """c.relrowsecurity and not r.rolbypassrls and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'USAGE'))
    and (not exists (select from pg_policy p where p.polpermissive and {of} and {all})
         or exists (select from pg_policy p where not p.polpermissive and {of} and not {all}))"""
_OF = """p.polrelid = c.oid and p.polcmd in ('*', '{command}') and (p.polroles = '{{{{0}}}}'
         or exists (select from unnest(p.polroles) m where m <> 0 and pg_has_role(r.oid, m, 'USAGE')))"""
_USING = "coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'"
_CHECKED = "coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'"
_ALL = {"r": f"({_USING})", "a": f"({_CHECKED})", "w": f"({_USING} and {_CHECKED})", "d": f"({_USING})"}
_BY_COLUMN = (("SELECT", "r", 0), ("INSERT", "a", 8), ("UPDATE", "w", 4))
_WRITES = {"INSERT", "UPDATE", "DELETE"}
#: A right to write to what can not be written is none. The bits are those of pg_relation_is_updatable().
_WRITABLE = "(c.relkind not in ('v', 'm') or pg_relation_is_updatable(c.oid, true) & {bit} = {bit})"
_RELATIONS = (
    "select r.rolname::text, c.relkind::text, n.nspname || '.' || c.relname, json_build_object("
    + ", ".join(
        f"'{name}', case when {_WRITABLE.format(bit=bit)} then"
        + _COLUMNS.format(privilege=name, blocked=_BLOCKED.format(command=command))
        + " end"
        for name, command, bit in _BY_COLUMN
    )
    + "".join(
        f", '{WHOLE}{name}', case when {held} and {_WRITABLE.format(bit=bit)} and not ("
        + _NARROWED.format(of=_OF.format(command=command), all=_ALL[command])
        + ") then '[]'::json end"
        for name, command, bit, held in (
            ("SELECT", "r", 0, "has_any_column_privilege(r.oid, c.oid, 'SELECT')"),
            ("INSERT", "a", 8, "has_any_column_privilege(r.oid, c.oid, 'INSERT')"),
            ("UPDATE", "w", 4, "has_any_column_privilege(r.oid, c.oid, 'UPDATE')"),
            ("DELETE", "d", 16, "has_table_privilege(r.oid, c.oid, 'DELETE')"),
        )
    )
    + f", 'DELETE', case when {_WRITABLE.format(bit=16)} and has_table_privilege(r.oid, c.oid, 'DELETE') and not ("
    + _BLOCKED.format(command="d")
    + """) then '[]'::json end)::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join pg_roles r
where c.relkind in ('r', 'p', 'v', 'm', 'f') and r.rolname = any({roles}) and """
    + _OURS
).replace("{{0}}", "{0}")
_SEQUENCES = f"""
select r.rolname::text, 'S', n.nspname || '.' || c.relname, json_build_object(
  'USAGE', case when has_sequence_privilege(r.oid, c.oid, 'USAGE') then '[]'::json end,
  'UPDATE', case when has_sequence_privilege(r.oid, c.oid, 'UPDATE') then '[]'::json end)::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join pg_roles r
where c.relkind = 'S' and r.rolname = any({{roles}}) and {_OURS}"""
_OTHERS = f"""
select r.rolname::text, 'function', n.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
  json_build_object('EXECUTE', case when has_function_privilege(r.oid, p.oid, 'EXECUTE') then '[]'::json end)::text
from pg_proc p join pg_namespace n on n.oid = p.pronamespace cross join pg_roles r
where r.rolname = any({{roles}}) and {_OURS}
  and not exists (select from pg_depend e where e.objid = p.oid and e.classid = 'pg_proc'::regclass and e.deptype = 'e')
union all
select r.rolname::text, 'schema', n.nspname::text,
  json_build_object('USAGE', case when has_schema_privilege(r.oid, n.oid, 'USAGE') then '[]'::json end)::text
from pg_namespace n cross join pg_roles r where r.rolname = any({{roles}}) and {_OURS}
union all
select r.rolname::text, 'type', n.nspname || '.' || t.typname,
  json_build_object('USAGE', case when has_type_privilege(r.oid, t.oid, 'USAGE') then '[]'::json end)::text
from pg_type t join pg_namespace n on n.oid = t.typnamespace cross join pg_roles r
where t.typtype in ('e', 'd') and r.rolname = any({{roles}}) and {_OURS}
union all
select r.rolname::text, 'database', '', json_build_object(
  'CONNECT', case when has_database_privilege(r.oid, current_database(), 'CONNECT') then '[]'::json end)::text
from pg_roles r where r.rolname = any({{roles}})"""

#: Which roles there are, what they are, and who is a member of whom; what new sessions in this database begin with; whether
#: anything is published.
_MARKS = """
select md5((select string_agg(r::text, ' ' order by r.oid) from pg_roles r)
           || (select coalesce(d.datacl::text, '') from pg_database d where d.datname = current_database())
           || coalesce((select string_agg(m::text, ' ' order by m.roleid, m.member) from pg_auth_members m), '')),
       (select json_agg(array[coalesce(r.rolname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)])::text
        from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole cross join unnest(s.setconfig) c
        where s.setdatabase = (select oid from pg_database where datname = current_database())),
       exists (select from pg_publication)"""


def roles(original: Session, given: Iterable[str]) -> list[str]:
    """Return the roles that old code may have: those that are given, else those that are connected or have rights here."""
    wanted = sorted(set(given))
    if wanted:
        return wanted
    plain = {name for (name,) in original.rows("select rolname::text from pg_roles where rolcanlogin and not rolsuper")}
    connected = {name for (name,) in original.rows(_CONNECTED)}
    return sorted((connected & plain) | {name for (name,) in original.rows(_ROLES)})


def names_of(names: Iterable[str]) -> str:
    """Return an array of names as SQL has it."""
    return f"array[{', '.join(server.literal(name) for name in names)}]::text[]"


def look(session: Session, names: list[str], relations: Iterable[str] | None = None, others: bool = True) -> Rights:
    """Return what these roles may do in the database of ``session``.

    :param relations: OIDs of the tables and views that are looked at, if not all are.
    :param others: functions, schemas and types are looked at too.
    """
    if not names:
        return {}
    array = names_of(names)
    rows = list(session.rows(_OTHERS.replace("{roles}", array))) if others else []
    few = "" if relations is None else " and c.oid = any($1)"
    asked = f"{_RELATIONS}{few} union all {_SEQUENCES}{few}".replace("{roles}", array)
    rows += session.rows(asked) if relations is None else session.again(asked, sorted(relations))
    found: Rights = {}
    for role, kind, name, text in rows:
        held = {privilege: columns for privilege, columns in json.loads(text).items() if columns is not None}
        found[(str(role), "relation" if kind in ("r", "p", "v", "m", "f") else kind, str(name))] = held
    return found


class Held:
    """What the roles may do by now, read again where something has changed, and what new sessions begin with.

    :param names: the roles.
    """

    def __init__(self, session: Session, names: list[str]) -> None:
        self.names = names
        self.mark, self.settings, self.publishes = _marks(session)
        self.rights = look(session, names)
        self.changed: set[tuple[str, str, str]] | None = None  # what was read again with the latest look; None: all

    def again(self, session: Session, before: Catalog, after: Catalog) -> Rights:
        """Return the rights after a revision, which left this catalogue."""
        dirty = getattr(after, "dirty", None)
        mark, self.settings, self.publishes = _marks(session)
        if dirty is None or mark != self.mark:
            self.mark, self.rights, self.changed = mark, look(session, self.names), None
            return self.rights
        names = {each[("relation", oid)]["name"] for oid in dirty for each in (before, after) if ("relation", oid) in each}
        self.changed = {(role, kind, name) for role in self.names for kind in ("relation", "S") for name in names}
        if "0" in dirty:
            self.changed |= {key for key in self.rights if key[1] not in ("relation", "S")}
        if dirty:
            fresh = look(session, self.names, dirty - {"0"}, "0" in dirty)
            self.changed |= fresh.keys()
            self.rights = replaced(self.rights, self.changed, fresh)
        return self.rights


def writing(rights: Rights, owner: str) -> list[str]:
    """Return the roles that running code writes with: the one that migrates is one of them only where no other writes anything.

    :param owner: the role that migrates.
    """
    writers = {role for (role, kind, _name), held in rights.items() if kind == "relation" and _WRITES & held.keys()}
    return sorted(writers - {owner} or writers)


def _marks(session: Session) -> tuple[str, dict[tuple[str, str], str], bool]:
    """Return what tells whether the roles are what they were, (role, or nobody for all; setting) → value, and the last of them."""
    mark, settings, publishes = session.again(_MARKS)[0]
    return str(mark), {(role, name): value for role, name, value in json.loads(settings or "[]")}, bool(publishes)


def replaced(rights: Rights, keys: Iterable[tuple[str, str, str]], fresh: Rights) -> Rights:
    """Return the rights, with what there is now for these keys."""
    found = dict(rights)
    for key in keys:
        found.pop(key, None)
        if key in fresh:
            found[key] = fresh[key]
    return found


def lost(
    before: Rights, after: Rights, is_column: Callable[[str], bool], keys: Iterable[tuple[str, str, str]] | None = None
) -> list[dict[str, Any]]:
    """Return what a role could do with an object of a name, and can do no more with what has the name now.

    An object that is gone is another matter, as is a column. ``whole``: it can do it with some of the rows only.

    :param is_column: tells whether there is a column now, as "schema.table.column".
    :param keys: what may have changed, if not all may.
    """
    found = []
    for role, kind, name in before if keys is None else sorted(before.keys() & set(keys)):
        held, now = before[(role, kind, name)], after.get((role, kind, name))
        for privilege, names in held.items() if now is not None and now is not held else ():
            kept = now.get(privilege)  # type: ignore[union-attr]
            missing = [column for column in names if column not in (kept or ()) and is_column(f"{name}.{column}")]
            if kept is None or missing:
                whole = privilege.startswith(WHOLE)
                told = {"role": role, "kind": kind, "object": name, "privilege": privilege[len(WHOLE) :] if whole else privilege}
                found.append(dict(told, columns=missing if kept else [], whole=whole))
    return found
