# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One schema of a PostgreSQL database, as a restore of it has to know it: facts from the catalogs, judged elsewhere."""

from __future__ import annotations

from typing import Any

from ..database.engine import Connection, Server, identifier, literal, open_server
from ..failure import Failure

_ROLE = """
select current_user::text, has_database_privilege(current_database(), 'CREATE'),
       coalesce((select pg_has_role(nspowner, 'USAGE') from pg_namespace where nspname = {schema}), false),
       (select pg_get_userbyid(nspowner)::text from pg_namespace where nspname = {schema})"""
#: What is in the schema and can be depended on from outside: relations, row types, functions, operators, collations.
_INSIDE = """
select 'pg_class'::regclass as class, c.oid from pg_class c join n on n.oid = c.relnamespace
union all select 'pg_type'::regclass, t.oid from pg_type t join n on n.oid = t.typnamespace
union all select 'pg_proc'::regclass, p.oid from pg_proc p join n on n.oid = p.pronamespace
union all select 'pg_operator'::regclass, o.oid from pg_operator o join n on n.oid = o.oprnamespace
union all select 'pg_collation'::regclass, l.oid from pg_collation l join n on n.oid = l.collnamespace"""
#: The schema of what depends; what has none, such as an event trigger, is outside. A publication's tables are in the archive.
_SCHEMA_OF = """
case d.classid
  when 'pg_class'::regclass then (select relnamespace from pg_class where oid = d.objid)
  when 'pg_type'::regclass then (select typnamespace from pg_type where oid = d.objid)
  when 'pg_proc'::regclass then (select pronamespace from pg_proc where oid = d.objid)
  when 'pg_operator'::regclass then (select oprnamespace from pg_operator where oid = d.objid)
  when 'pg_opclass'::regclass then (select opcnamespace from pg_opclass where oid = d.objid)
  when 'pg_opfamily'::regclass then (select opfnamespace from pg_opfamily where oid = d.objid)
  when 'pg_statistic_ext'::regclass then (select stxnamespace from pg_statistic_ext where oid = d.objid)
  when 'pg_rewrite'::regclass then (select relnamespace from pg_rewrite x join pg_class c on c.oid = ev_class where x.oid = d.objid)
  when 'pg_trigger'::regclass then (select relnamespace from pg_trigger x join pg_class c on c.oid = tgrelid where x.oid = d.objid)
  when 'pg_policy'::regclass then (select relnamespace from pg_policy x join pg_class c on c.oid = polrelid where x.oid = d.objid)
  when 'pg_attrdef'::regclass then (select relnamespace from pg_attrdef x join pg_class c on c.oid = adrelid where x.oid = d.objid)
  when 'pg_constraint'::regclass then (select connamespace from pg_constraint where oid = d.objid)
end"""
_OUTSIDE = f"""
with n as (select oid from pg_namespace where nspname = {{schema}}), inside as ({_INSIDE}),
depending as (
  select d.classid, d.objid, {_SCHEMA_OF} as space from pg_depend d join inside i on i.class = d.refclassid and i.oid = d.refobjid
  where d.classid not in ('pg_publication_rel'::regclass, 'pg_amop'::regclass, 'pg_amproc'::regclass))
select distinct pg_describe_object(classid, objid, 0) from depending
where space is distinct from (select oid from n) and space is distinct from 'pg_toast'::regnamespace order by 1"""
_EXTENSIONS = """
select e.extname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace where n.nspname = {schema} order by 1"""
_TABLES = """
select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = {schema} and c.relkind = 'r' order by 1"""


def asked(request: dict[str, Any]) -> Server:
    """Return the server of the request.

    :raises Failure: ``unsupported_database``.
    """
    server = open_server(request)
    if server.dialect != "postgresql":
        raise Failure(
            "unsupported_database",
            f"{server.dialect} has no schemas inside a database, so none is restored by itself.",
            "Restore the database as a whole.",
        )
    return server


def info(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_schema_info``: what the server says of the schema ``request["schema"]``, which may not be there."""
    server = asked(request)

    def look() -> dict[str, Any]:
        with server.connected(purpose="schema") as connection:
            facts = _facts(connection, server.database, request["schema"], request["keep_as"])
            rows = _rows(connection, request["schema"]) if request.get("count") else {}
        return {"facts": facts, "rows": rows, "warnings": server.warnings, "dialect": server.dialect, "database": server.database}

    return server.drive(look)  # type: ignore[no-any-return]


def _facts(connection: Connection, database: str, schema: str, aside: str) -> dict[str, Any]:
    named = {"schema": literal(schema)}
    name, creates, owns, owner = connection.rows(_ROLE.format(**named))[0]
    return {
        "database": database,
        "owner": owner,
        "pooled": connection.is_pooled(),
        "taken": bool(connection.value(f"select count(*) from pg_namespace where nspname = {literal(aside)}")),
        "server": int(connection.value("select current_setting('server_version_num')")) // 10000,
        "role": {"name": name, "creates": creates, "owns": owns},
        "roles": _column(connection, "select rolname::text from pg_roles order by 1"),
        "settable": _column(connection, "select rolname::text from pg_roles where pg_has_role(oid, 'MEMBER') order by 1"),
        "extensions": _column(connection, _EXTENSIONS.format(**named)),
        "outside": outside(connection, schema),
    }


def outside_of(schema: str) -> str:
    """Return the query for what is in other schemas and depends on what is in this one."""
    return _OUTSIDE.format(schema=literal(schema))


def outside(connection: Connection, schema: str) -> list[str]:
    """Return what is in other schemas and depends on what is in this one."""
    with connection.transaction(end="rollback"):
        connection.run("set local search_path = pg_catalog")  # names are told with their schemas
        return _column(connection, outside_of(schema))


def _rows(connection: Connection, schema: str) -> dict[str, int]:
    tables = _column(connection, _TABLES.format(schema=literal(schema)))
    return {
        f"{schema}.{table}": int(connection.value(f"select count(*) from {identifier(schema)}.{identifier(table)}"))
        for table in tables
    }


def _column(connection: Connection, sql: str) -> list[str]:
    return [str(row[0]) for row in connection.rows(sql)]
