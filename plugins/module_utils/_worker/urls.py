# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Database URLs as people write them, and as the SQLAlchemy and the driver of the project take them."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .failure import HINTS, Failure, causes

#: Drivers by SQLAlchemy's names with the module that each imports, in order of preference.
SYNC_DRIVERS = {
    "postgresql": (("psycopg2", "psycopg2"), ("psycopg", "psycopg"), ("pg8000", "pg8000")),
    "mysql": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb"), ("mysqlconnector", "mysql.connector")),
    "mariadb": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb"), ("mariadbconnector", "mariadb")),
    "sqlite": (("pysqlite", "sqlite3"),),
}
ASYNC_DRIVERS = {
    "postgresql": (("asyncpg", "asyncpg"), ("psycopg", "psycopg")),
    "mysql": (("aiomysql", "aiomysql"), ("asyncmy", "asyncmy")),
    "mariadb": (("aiomysql", "aiomysql"), ("asyncmy", "asyncmy")),
    "sqlite": (("aiosqlite", "aiosqlite"),),
}
#: Parameters of libpq without a counterpart in asyncpg, which nothing depends on that is done here.
_LIBPQ_ONLY = ("channel_binding", "application_name", "connect_timeout", "gssencmode", "sslsni", "fallback_application_name")
#: Parameters that only asyncpg and SQLAlchemy's dialect of it take.
_ASYNCPG_ONLY = (
    *("async_fallback", "command_timeout", "max_cacheable_statement_size", "max_cached_statement_lifetime"),
    *("prepared_statement_cache_size", "prepared_statement_name_func", "statement_cache_size", "timeout"),
)
#: asyncpg's spellings of sslmode that are not libpq's.
ASYNCPG_SSL = {"true": "require", "false": "disable"}


def spelled(text: str) -> str:
    """Return a URL with SQLAlchemy's name of the dialect: ``postgres`` is libpq's, and that of many who host databases."""
    return "postgresql" + text[8:] if re.match(r"postgres[:+]", text) else text


def parsed(text: str) -> Any:
    """Return SQLAlchemy's URL of ``text``.

    :raises Failure: ``options_invalid``.
    """
    from sqlalchemy.engine import make_url

    try:
        return make_url(spelled(text))
    except Exception as exc:
        raise Failure(
            "options_invalid",
            "The database URL can not be parsed.",
            "It has the form dialect+driver://user:password@host:port/database, with special characters percent-encoded.",
        ) from exc


def usable_url(text: str) -> Any:
    """Return a URL, parsed, with a driver that is installed where it names none, and parameters that its driver takes."""
    url = parsed(text)
    dialect, _plus, driver = url.drivername.partition("+")
    if dialect not in SYNC_DRIVERS or (driver and driver != "asyncpg"):
        return url
    candidates = SYNC_DRIVERS[dialect] + ASYNC_DRIVERS[dialect]
    found = driver or next((name for name, module in candidates if installed(module)), None)
    if found is None:
        raise Failure("driver_missing", f"No driver for {dialect} is installed in {sys.prefix}.", HINTS["driver_missing"])
    return parsed(_with_driver(text, url, found))


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def other_url(url: str, exc: BaseException) -> str | None:
    """Return ``url`` as env.py can use it, if ``exc`` says that it could not use this one.

    A synchronous env.py with an async driver fails before it has sent anything, as does an async env.py with a synchronous one, a
    URL without a driver where SQLAlchemy's default one is not installed, and a parameter of libpq that asyncpg does not have.
    """
    try:
        found = parsed(url)
    except Exception:  # no SQLAlchemy, or no URL: ``exc`` says so itself
        return None
    dialect, _plus, driver = found.drivername.partition("+")
    names = [(type(cause).__name__, str(cause)) for cause in causes(exc)]
    if any(name == "MissingGreenlet" for name, _text in names):
        candidates = SYNC_DRIVERS.get(dialect, ())
    elif any("asyncio extension requires an async driver" in text for _name, text in names):
        candidates = ASYNC_DRIVERS.get(dialect, ())
    elif not driver and any(name == "ModuleNotFoundError" for name, _text in names):
        candidates = SYNC_DRIVERS.get(dialect, ())
    elif driver == "asyncpg" and any(name == "TypeError" and "unexpected keyword argument" in text for name, text in names):
        changed = _with_driver(url, found, "asyncpg")
        return changed if changed != url else None
    else:
        return None
    for name, module in candidates:
        if installed(module) and name != driver:
            return _with_driver(url, found, name)
    return None


def _with_driver(text: str, found: Any, driver: str) -> str:
    """Return ``text`` with that driver and its names of the parameters; the rest stays as it was spelled."""
    text = spelled(text)
    scheme = text.index("://")
    login = text.find("@", scheme) if found.username is not None else scheme  # a password may hold a '?'
    begins = text.find("?", login) if found.query else -1
    place, query = (text[scheme:begins], text[begins + 1 :]) if begins >= 0 else (text[scheme:], "")
    dialect = found.get_backend_name()
    if query and dialect == "postgresql":
        pairs = parse_qsl(query, keep_blank_values=True)
        changed = _for_asyncpg(pairs) if driver == "asyncpg" else _for_libpq(pairs)
        query = query if changed == pairs else urlencode(changed, safe="/:,")
    return f"{dialect}+{driver}{place}{'?' if query else ''}{query}"


def _for_asyncpg(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("ssl" if key == "sslmode" else key, value) for key, value in pairs if key not in _LIBPQ_ONLY]


def _for_libpq(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    kept = [(key, value) for key, value in pairs if key not in _ASYNCPG_ONLY]
    return [("sslmode", ASYNCPG_SSL.get(value.lower(), value)) if key == "ssl" else (key, value) for key, value in kept]
