# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a dump of a database would hold, and what restoring it asks of a server: facts from the catalogs, judged elsewhere.

Options of user mappings may hold passwords, so only whether they can be read is looked at, never what they are.
"""

from __future__ import annotations

from typing import Any, Dict

from . import needs_mysql
from .engine import MYSQL, Connection, literal, open_server

Facts = Dict[str, Any]
#: How many objects of one kind are named; the rest are counted.
NAMED = 50
#: The first oid that is not the server's own: FirstNormalObjectId in access/transam.h.
_OWN = 16384
_NO_MEMBER = "not exists (select from pg_depend e where e.classid = '{0}'::regclass and e.objid = {1}.oid and e.deptype = 'e')"
_USER_SCHEMA = "n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'"
_TABLE = _NO_MEMBER.format("pg_class", "c")

_ROLE = """
select current_user::text as name, r.rolsuper as superuser, r.rolcreatedb as createdb, r.rolbypassrls as bypassrls,
       pg_has_role(d.datdba, 'USAGE') as owns, pg_get_userbyid(d.datdba)::text as owner,
       has_database_privilege(d.oid, 'CREATE') as creates,
       exists (select from pg_roles p where p.rolname = 'pg_read_server_files' and pg_has_role(p.oid, 'USAGE')) as reads_files
from pg_roles r, pg_database d where r.rolname = current_user and d.datname = {database}"""
_EXTENSIONS = f"""
select e.extname::text as name, n.nspname::text as schema, e.extversion as version, pg_has_role(e.extowner, 'USAGE') as owned
from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.oid >= {_OWN} order by 1"""
_AVAILABLE = """
select a.name::text, a.default_version as version, coalesce(v.superuser, true) as superuser, {trusted} as trusted
from pg_available_extensions a left join pg_available_extension_versions v on v.name = a.name and v.version = a.default_version
where a.name in (%s)"""
#: Object → who may create one is only a superuser. The manual pages of the CREATE commands say so.
_SUPERUSER = f"""
select 'language ' || lanname from pg_language l where oid >= {_OWN} and {_NO_MEMBER.format("pg_language", "l")}
union all
select 'function ' || p.oid::regprocedure || ' in ' || lanname from pg_proc p join pg_language l on l.oid = p.prolang
where p.oid >= {_OWN} and not lanpltrusted and {_NO_MEMBER.format("pg_proc", "p")}
  and not exists (select from pg_depend i where i.objid = p.oid and i.deptype = 'i')
union all
select 'foreign data wrapper ' || fdwname from pg_foreign_data_wrapper w where {_NO_MEMBER.format("pg_foreign_data_wrapper", "w")}
union all
select 'operator class ' || opcname from pg_opclass o where oid >= {_OWN} and {_NO_MEMBER.format("pg_opclass", "o")}
union all
select 'access method ' || amname from pg_am a where oid >= {_OWN} and {_NO_MEMBER.format("pg_am", "a")}
union all
select 'text search parser ' || prsname from pg_ts_parser t where oid >= {_OWN} and {_NO_MEMBER.format("pg_ts_parser", "t")}
union all
select 'text search template ' || tmplname from pg_ts_template t where oid >= {_OWN} and {_NO_MEMBER.format("pg_ts_template", "t")}
union all
select 'base type ' || t.oid::regtype from pg_type t
where t.oid >= {_OWN} and typtype = 'b' and typcategory <> 'A' and {_NO_MEMBER.format("pg_type", "t")}
order by 1"""
_EVENT_TRIGGERS = f"select evtname::text from pg_event_trigger t where {_NO_MEMBER.format('pg_event_trigger', 't')} order by 1"
_PUBLICATIONS = "select pubname::text from pg_publication p where puballtables {schemas} order by 1"
_SUBSCRIPTIONS = """
select subname::text from pg_subscription s join pg_database d on d.oid = s.subdbid
where d.datname = current_database() order by 1"""
_SERVERS = """
select s.srvname::text as name, w.fdwname::text as wrapper, has_foreign_data_wrapper_privilege(w.oid, 'USAGE') as usable,
       (select x.extname::text from pg_depend e join pg_extension x on x.oid = e.refobjid
        where e.classid = 'pg_foreign_data_wrapper'::regclass and e.objid = w.oid and e.deptype = 'e') as extension
from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw order by 1"""
_WRAPPERS = """
select fdwname::text from pg_foreign_data_wrapper where has_foreign_data_wrapper_privilege(oid, 'USAGE') order by 1"""
_FILES = f"""
select n.nspname || '.' || c.relname from pg_foreign_table f join pg_class c on c.oid = f.ftrelid
join pg_namespace n on n.oid = c.relnamespace
where exists (select from unnest(f.ftoptions) o where o like 'filename=%' or o like 'program=%') and {_TABLE} order by 1"""
#: A mapping whose options the role may not see is dumped without them, as a superuser's view of it would not be.
_MAPPINGS = """
select m.usename || ' on ' || m.srvname from pg_user_mappings m
join pg_foreign_server s on s.oid = m.srvid
where m.umoptions is null and m.usename <> current_user and not pg_has_role(s.srvowner, 'USAGE') order by 1"""
#: ``kept``: what stays when the tables of a database are dropped, with the owner that it has.
_OWNERS = f"""
select r.rolname::text as name, o.kept, count(*)::int as count, min(o.what) as first from (
  select relowner as owner, false as kept, 'relation ' || c.oid::regclass as what
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and {_USER_SCHEMA} and {_TABLE}
  union all
  select proowner, false, 'function ' || p.oid::regprocedure from pg_proc p
  where p.oid >= {_OWN} and {_NO_MEMBER.format("pg_proc", "p")}
    and not exists (select from pg_depend i where i.objid = p.oid and i.deptype = 'i')
  union all
  select typowner, false, 'type ' || t.oid::regtype from pg_type t
  where t.oid >= {_OWN} and typtype in ('e', 'd', 'r') and {_NO_MEMBER.format("pg_type", "t")}
  union all select lomowner, false, 'large object ' || oid from pg_largeobject_metadata
  union all select defaclrole, false, 'default privileges' from pg_default_acl
  union all
  select nspowner, true, 'schema ' || nspname from pg_namespace n
  where {_USER_SCHEMA} and {_NO_MEMBER.format("pg_namespace", "n")} and (oid >= {_OWN} or ({{public}} and nspname = 'public'))
  union all select srvowner, true, 'server ' || srvname from pg_foreign_server
  union all select pubowner, true, 'publication ' || pubname from pg_publication
) o join pg_roles r on r.oid = o.owner where r.rolname <> 'pg_database_owner' group by r.oid, r.rolname, o.kept order by 1, 3"""
_GRANTEES = f"""
select distinct r.rolname::text from (
  select relacl as acl from pg_class c join pg_namespace n on n.oid = c.relnamespace where {_USER_SCHEMA}
  union all select proacl from pg_proc where oid >= {_OWN}
  union all select nspacl from pg_namespace
  union all select defaclacl from pg_default_acl
  union all select typacl from pg_type where oid >= {_OWN}
  union all select srvacl from pg_foreign_server
  union all select fdwacl from pg_foreign_data_wrapper
  union all select attacl from pg_attribute where attacl is not null
) a, aclexplode(a.acl) x join pg_roles r on r.oid = x.grantee where r.oid >= {_OWN}
union select distinct r.rolname::text from pg_policy p, unnest(p.polroles) m(id) join pg_roles r on r.oid = m.id
union select distinct r.rolname::text from pg_user_mappings m join pg_roles r on r.oid = m.umuser order by 1"""
_TABLESPACES = f"""
select t.spcname::text as name, count(*)::int as count, min(n.nspname || '.' || c.relname) as first
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_tablespace t on t.oid = c.reltablespace
where {_USER_SCHEMA} and t.spcname <> 'pg_global' group by t.oid, t.spcname order by 1"""
_RELATIONS = f"""
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ({{kinds}}) and {_USER_SCHEMA} and {_TABLE} and {{wrong}} order by 1"""
_ROW_SECURITY = _RELATIONS.format(kinds="'r', 'p'", wrong="row_security_active(c.oid)")
_UNREADABLE = _RELATIONS.format(
    kinds="'r', 'p', 'v', 'm', 'f', 'S'",
    wrong="not (has_schema_privilege(n.oid, 'USAGE') and case c.relkind when 'S' then has_sequence_privilege(c.oid, 'SELECT')"
    " else has_table_privilege(c.oid, 'SELECT') end)",
)
_LARGE_OBJECTS = """
select count(*)::int as count, (count(*) filter (where not (pg_has_role(lomowner, 'USAGE') or exists (
  select from aclexplode(lomacl) a
  where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_has_role(a.grantee, 'USAGE'))))))::int as unreadable
from pg_largeobject_metadata"""
_COLLATION = """
select coalesce(datcollversion, '') as written, coalesce(pg_database_collation_actual_version(oid), '') as actual
from pg_database where datname = current_database()"""
_COLLATIONS = f"""
select n.nspname || '.' || c.collname from pg_collation c join pg_namespace n on n.oid = c.collnamespace
where c.oid >= {_OWN} and c.collversion <> pg_collation_actual_version(c.oid) order by 1"""
#: Entries of an archive that a database keeps when its tables are dropped: extensions with what is in them, schemas, servers.
_PRESENT = f"""
select 'EXTENSION - ' || extname from pg_extension
union all select 'COMMENT - EXTENSION ' || extname from pg_extension
union all select 'SCHEMA - ' || nspname from pg_namespace n where {_USER_SCHEMA}
union all select 'PROCEDURAL LANGUAGE - ' || lanname from pg_language
union all select 'FOREIGN DATA WRAPPER - ' || fdwname from pg_foreign_data_wrapper
union all select 'ACL - FOREIGN DATA WRAPPER ' || fdwname from pg_foreign_data_wrapper where not pg_has_role(fdwowner, 'USAGE')
union all select 'ACL - SCHEMA ' || nspname from pg_namespace where not pg_has_role(nspowner, 'USAGE')
union all select 'COMMENT - SCHEMA ' || nspname from pg_namespace where not pg_has_role(nspowner, 'USAGE')
union all select 'SERVER - ' || srvname from pg_foreign_server
union all select 'USER MAPPING - USER MAPPING ' || usename || ' SERVER ' || srvname from pg_user_mappings
union all select 'PUBLICATION - ' || pubname from pg_publication
union all select 'EVENT TRIGGER - ' || evtname from pg_event_trigger
union all select 'TABLE DATA ' || n.nspname || ' ' || c.relname from pg_extension x, unnest(x.extconfig) t(id)
join pg_class c on c.oid = t.id join pg_namespace n on n.oid = c.relnamespace
order by 1"""


def restore_info(request: Facts, send: Any) -> Facts:
    """Operation ``database_restore_info``: the facts that say whether a dump can be made and restored."""
    server = open_server(request)
    database = request.get("database") or server.database

    def look() -> Facts:
        if server.dialect == "sqlite":
            return {}
        with server.connected(database, "restore info") as connection:
            return (
                needs_mysql.read(connection)
                if server.dialect in MYSQL
                else read(connection, server.database, list(request.get("extensions") or ()))
            )

    facts: Facts = server.drive(look)
    return {"changed": False, "dialect": server.dialect, "database": database, "facts": facts, "warnings": server.warnings}


def read(connection: Connection, database: str, wanted: list[str]) -> Facts:
    """Return what the database that we are connected to holds, and what the role may do.

    :param database: the application's own, whose owner any new one gets.
    :param wanted: extensions that an archive needs; the present database may not have them.
    """
    version = int(connection.value("select current_setting('server_version_num')"))
    extensions = _dicts(connection, _EXTENSIONS, "name", "schema", "version", "owned")
    available = _available(connection, version, sorted({*(item["name"] for item in extensions), *wanted}))
    collated = _dicts(connection, _COLLATION, "written", "actual") if version >= 150000 else []
    schemas = "or exists (select from pg_publication_namespace s where s.pnpubid = p.oid)" if version >= 150000 else ""
    # Since version 15 an archive gives the schema public to its owner, if that is not the owner of the database.
    member = "SET" if version >= 160000 else "MEMBER"
    owners = _OWNERS.format(public=str(version >= 150000).lower())
    return {
        "version": version,
        "server": str(connection.value("select current_setting('server_version')")),
        "role": _dicts(
            connection,
            _ROLE.format(database=literal(database)),
            "name",
            "superuser",
            "createdb",
            "bypassrls",
            "owns",
            "owner",
            "creates",
            "reads_files",
        )[0],
        "extensions": extensions,
        "available": available,
        "superuser_objects": _names(connection, _SUPERUSER),
        "event_triggers": _names(connection, _EVENT_TRIGGERS),
        "publications": _names(connection, _PUBLICATIONS.format(schemas=schemas)),
        "subscriptions": _names(connection, _SUBSCRIPTIONS),
        "servers": _dicts(connection, _SERVERS, "name", "wrapper", "usable", "extension"),
        "wrappers": _column(connection, _WRAPPERS),
        "file_tables": _names(connection, _FILES),
        "hidden_mappings": _names(connection, _MAPPINGS),
        "owners": _dicts(connection, owners, "name", "kept", "count", "first"),
        "grantees": _names(connection, _GRANTEES),
        "tablespaces": _dicts(connection, _TABLESPACES, "name", "count", "first"),
        "row_security": _names(connection, _ROW_SECURITY),
        "unreadable": _names(connection, _UNREADABLE),
        "large_objects": _dicts(connection, _LARGE_OBJECTS, "count", "unreadable")[0],
        "collation": collated[0] if collated else {"written": "", "actual": ""},
        "collations": _names(connection, _COLLATIONS),
        "present": _column(connection, _PRESENT),
        "roles": _column(connection, "select rolname::text from pg_roles order by 1"),
        "settable": _column(connection, f"select rolname::text from pg_roles where pg_has_role(oid, '{member}') order by 1"),
        "all_tablespaces": _column(connection, "select spcname::text from pg_tablespace order by 1"),
        "usable_tablespaces": _column(
            connection, "select spcname::text from pg_tablespace where has_tablespace_privilege(oid, 'CREATE') order by 1"
        ),
        "bytes": int(connection.value("select pg_database_size(current_database())")),
    }


def _available(connection: Connection, version: int, names: list[str]) -> Facts:
    """Return extension → its version and rights on this server; what the server does not have is left out."""
    if not names:
        return {}
    sql = _AVAILABLE.format(trusted="coalesce(v.trusted, false)" if version >= 130000 else "false")
    found = _dicts(connection, sql % ", ".join(literal(name) for name in names), "name", "version", "superuser", "trusted")
    return {item.pop("name"): item for item in found}


def _dicts(connection: Connection, sql: str, *keys: str) -> list[Facts]:
    return [dict(zip(keys, row)) for row in connection.rows(sql)]


def _column(connection: Connection, sql: str) -> list[str]:
    return [str(row[0]) for row in connection.rows(sql)]


def _names(connection: Connection, sql: str) -> list[str]:
    """Return the first :data:`NAMED` names, and how many more there are as the last one."""
    found = _column(connection, sql)
    return found if len(found) <= NAMED else [*found[:NAMED], f"{len(found) - NAMED} more"]
