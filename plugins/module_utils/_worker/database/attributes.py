# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What belongs to a PostgreSQL database and is not copied with it: owner, privileges, connection limit, settings.

CREATE DATABASE … TEMPLATE copies what is inside a database. These live in the server's shared catalogs (pg_database,
pg_db_role_setting, pg_shdescription), so they are read, and written again for the copy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Iterator, Optional, Tuple

from .engine import Connection, identifier, literal

Grant = Tuple[str, str, str, bool]
Setting = Tuple[Optional[str], str]
#: Settings whose stored value is a list of quoted names (GUC_LIST_QUOTE; the list in pg_dump's variable_is_guc_list_quote).
_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*?))\s*(?:,|$)')
_PUBLIC = ""
DEFAULT_TABLESPACE = "pg_default"
_READ = """
select d.oid, pg_get_userbyid(d.datdba)::text, d.datconnlimit, d.datistemplate, d.datallowconn, t.spcname::text,
       shobj_description(d.oid, 'pg_database'), pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
       %s, d.datacl is null
from pg_database d join pg_tablespace t on t.oid = d.dattablespace where d.datname = %s"""
_ACL = """
select pg_get_userbyid(a.grantor)::text, case when a.grantee = 0 then '' else pg_get_userbyid(a.grantee)::text end,
       a.privilege_type, a.is_grantable
from pg_database d, aclexplode(d.datacl) a where d.oid = %d order by a.grantor <> d.datdba, 1, 2, 3"""
_SETTINGS = """
select r.rolname::text, c.setting
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) with ordinality c(setting, place)
where s.setdatabase = %d order by r.rolname nulls first, c.place"""


@dataclass(frozen=True)
class Attributes:
    """What pg_database and its neighbours say of one database."""

    oid: int
    owner: str
    connection_limit: int
    is_template: bool
    allow_connections: bool
    tablespace: str
    comment: str | None
    encoding: str
    collate: str
    ctype: str
    locale_provider: str
    provider_locale: str | None
    provider_rules: str | None
    grants: tuple[Grant, ...] | None
    settings: tuple[Setting, ...]

    @property
    def carried(self) -> tuple[str, int, bool, str, frozenset[Grant] | None, frozenset[Setting]]:
        """What a copy has to have in common with its source, apart from the comment."""
        grants = None if self.grants is None else frozenset(self.grants)
        return self.owner, self.connection_limit, self.is_template, self.tablespace, grants, frozenset(self.settings)


def _provider_columns(version: int) -> str:
    """Return the columns of provider, its locale and its rules, which came with versions 15, 15 (renamed in 17) and 16."""
    if version < 150000:
        return "'c', null, null"
    locale = "d.datlocale" if version >= 170000 else "d.daticulocale"
    return f"d.datlocprovider::text, {locale}, {'d.daticurules' if version >= 160000 else 'null'}"


def read(connection: Connection, version: int, name: str) -> Attributes | None:
    """Return the attributes of database ``name``, or None when there is none."""
    found = connection.rows(_READ % (_provider_columns(version), literal(name)))
    if not found:
        return None
    row = found[0]
    oid = int(row[0])
    grants = None if row[13] else tuple((str(g[0]), str(g[1]), str(g[2]), bool(g[3])) for g in connection.rows(_ACL % oid))
    settings = tuple((item[0], str(item[1])) for item in connection.rows(_SETTINGS % oid))
    values = (oid, *row[1:13], grants, settings)
    return Attributes(**dict(zip((field.name for field in fields(Attributes)), values)))


def creation(source: Attributes, version: int, template: str | None = None) -> str:
    """Return the options of CREATE DATABASE that make an empty database of the same kind as ``source``.

    :param template: a database with what only a superuser may create, instead of the server's own empty one.
    """
    options = [
        f"template {identifier(template or 'template0')}",
        f"encoding {literal(source.encoding)}",
        f"lc_collate {literal(source.collate)}",
        f"lc_ctype {literal(source.ctype)}",
    ]
    if version >= 150000:
        provider = {"c": "libc", "i": "icu", "b": "builtin"}[source.locale_provider]
        options.append(f"locale_provider {provider}")
        if source.provider_locale is not None:
            options.append(f"{provider}_locale {literal(source.provider_locale)}")
        if source.provider_rules is not None:
            options.append(f"icu_rules {literal(source.provider_rules)}")
    if source.tablespace != DEFAULT_TABLESPACE:  # named, it takes a right that its default use does not
        options.append(f"tablespace {identifier(source.tablespace)}")
    return " ".join(options)


def statements(source: Attributes, name: str) -> list[str]:
    """Return what gives database ``name``, which has its owner and tablespace already, the attributes of ``source``."""
    target = identifier(name)
    found = [f"alter database {target} owner to {identifier(source.owner)}"]
    found += [f"alter database {target} connection limit {source.connection_limit}"]
    found += [f"alter database {target} is_template {str(source.is_template).lower()}"]
    found += list(_grant_statements(source, target))
    for role, setting in source.settings:
        key, _equals, text = setting.partition("=")
        who = f"database {target}" if role is None else f"role {identifier(role)} in database {target}"
        found.append(f"alter {who} set {identifier(key)} to {_value(key, text)}")
    return found


def _grant_statements(source: Attributes, target: str) -> Iterator[str]:
    """Yield the privileges, in an order in which each grantor has been given what it grants (pg_database.datacl)."""
    if source.grants is None:
        return
    yield f"revoke all on database {target} from public"
    yield f"revoke all on database {target} from {identifier(source.owner)}"
    waiting, able = list(source.grants), {(source.owner, privilege) for _grantor, _grantee, privilege, _again in source.grants}
    while waiting:
        ready = [grant for grant in waiting if (grant[0], grant[2]) in able]
        if not ready:
            raise ValueError(f"grants without a grantor: {waiting!r}")
        for grantor, grantee, privilege, again in ready:
            who = "public" if grantee == _PUBLIC else identifier(grantee)
            grant = f"grant {privilege} on database {target} to {who}{' with grant option' if again else ''}"
            if grantor == source.owner:
                yield grant
            else:
                yield f"set local role {identifier(grantor)}"
                yield grant
                yield "reset role"
            if again:
                able.add((grantee, privilege))
        waiting = [grant for grant in waiting if grant not in ready]


def _value(key: str, text: str) -> str:
    """Return a stored setting as SET takes it; a list is given name by name, or it would become one name with commas in it."""
    if key.lower() not in _LISTS:
        return literal(text)
    if not text.strip():
        return "''"
    found, place = [], 0
    while place < len(text):
        match = _ELEMENT.match(text, place)
        if match is None:
            raise ValueError(f"{key} has a value that can not be read: {text}")
        found.append(literal(match.group(2) if match.group(1) is None else match.group(1).replace('""', '"')))
        place = match.end()
    return ", ".join(found)


def comment_statement(name: str, comment: str | None) -> str:
    return f"comment on database {identifier(name)} is {'null' if comment is None else literal(comment)}"
