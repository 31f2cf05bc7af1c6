# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What went wrong, as data: exceptions of Alembic, SQLAlchemy and the drivers become an error kind, a message and facts."""

from __future__ import annotations

import os
import re
import traceback
from typing import Any, Iterator

from .redaction import cut

#: SQLSTATE or its first two characters → error kind. Source: PostgreSQL manual, appendix A.
SQLSTATES = {
    "55P03": "lock_timeout",
    "40P01": "deadlock",
    "40001": "serialization_failure",
    "57014": "statement_timeout",
    "42501": "insufficient_privilege",
    "25006": "database_read_only",
    "3D000": "connection_failed",
    "53300": "connection_failed",
    "57P03": "connection_failed",
    "57P01": "connection_lost",
    "57P02": "connection_lost",
    "57P05": "connection_lost",
    "25P03": "connection_lost",
    "28": "authentication_failed",
    "08": "connection_lost",
}
#: Error number → error kind. Sources: MySQL "Server Error Message Reference", MariaDB "Error Codes".
MYSQL_ERRORS = {
    1205: "lock_timeout",
    1213: "deadlock",
    1969: "statement_timeout",
    3024: "statement_timeout",
    1044: "authentication_failed",
    1045: "authentication_failed",
    1698: "authentication_failed",
    1142: "insufficient_privilege",
    1227: "insufficient_privilege",
    1836: "database_read_only",
    1049: "connection_failed",
    2002: "connection_failed",
    2003: "connection_failed",
    2005: "connection_failed",
    2006: "connection_lost",
    2013: "connection_lost",
    1927: "connection_lost",
}
#: Part of a message → error kind, for drivers that give no code when connecting.
MESSAGES = (
    ("password authentication failed", "authentication_failed"),
    ("no password supplied", "authentication_failed"),
    ("no pg_hba.conf entry", "authentication_failed"),
    ("could not translate host name", "connection_failed"),
    ("failed to resolve host", "connection_failed"),
    ("name or service not known", "connection_failed"),
    ("too many connections", "connection_failed"),
    ("too many clients", "connection_failed"),
    ("remaining connection slots", "connection_failed"),
    ("connection refused", "connection_failed"),
    ("connect call failed", "connection_failed"),
    ("connection timeout expired", "connection_failed"),
    ("timeout expired", "connection_failed"),
    ("no such file or directory", "connection_failed"),
    ("the database system is", "connection_failed"),
    ("unable to open database file", "connection_failed"),
    ("no route to host", "connection_failed"),
    ("does not exist", "connection_failed"),
    ("lost connection", "connection_lost"),
    ("server closed the connection", "connection_lost"),
    ("terminating connection", "connection_lost"),
    ("connection already closed", "connection_lost"),
    ("connection is closed", "connection_lost"),
    ("connection is lost", "connection_lost"),
    ("connection was closed", "connection_lost"),
    ("connection not open", "connection_lost"),
    ("ssl connection has been closed", "connection_lost"),
    ("database is locked", "lock_timeout"),
    ("attempt to write a readonly database", "database_read_only"),
    ("during recovery", "database_read_only"),
    ("--read-only option", "database_read_only"),  # MySQL 1290, which is said of other options too
    ("--super-read-only option", "database_read_only"),
    ("not currently accepting connections", "database_closed"),
)
DRIVER_MODULES = (
    "psycopg2",
    "psycopg",
    "asyncpg",
    "pg8000",
    "pymysql",
    "MySQLdb",
    "mysql",
    "aiomysql",
    "asyncmy",
    "aiosqlite",
    "sqlite3",
    "cx_Oracle",
    "oracledb",
    "pyodbc",
    "greenlet",
)
RETRYABLE = ("lock_timeout", "deadlock", "serialization_failure")
#: Kinds that name a cause outside the revision, so they win over "migration_failed".
DATABASE_KINDS = frozenset(SQLSTATES.values()) | frozenset(MYSQL_ERRORS.values())


class Failure(Exception):
    """A failure that is classified already.

    :param kind: one of the collection's error kinds.
    :param message: what happened and where.
    :param hint: what to do next.
    :param facts: more keys for the error.
    """

    def __init__(self, kind: str, message: str, hint: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.kind, self.message, self.hint, self.facts = kind, message, hint, facts


def causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exception, what each wraps (``orig``) and what caused it, nearest first."""
    current: BaseException | None = exc
    seen: list[int] = []
    while current is not None and id(current) not in seen:
        seen.append(id(current))
        yield current
        orig = getattr(current, "orig", None)
        if isinstance(orig, BaseException):
            yield orig
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def sqlstate_of(exc: BaseException) -> str | None:
    """Return the SQLSTATE, or the error number of MySQL and MariaDB as text, of the nearest database error."""
    for cause in causes(exc):
        first = cause.args[0] if cause.args else None
        if isinstance(first, int) and "mysql" in type(cause).__module__.lower():
            return str(first)  # says more than the SQLSTATE HY000, which newer versions of PyMySQL give as well
        code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if isinstance(first, dict):
            code = code or first.get("C")
        if isinstance(code, str):
            return code
    return None


def _from_code(code: str | None) -> str | None:
    if code is None:
        return None
    if (len(code) == 5 and not code.isdigit()) or code[:2] in ("08", "25", "28"):
        return SQLSTATES.get(code) or SQLSTATES.get(code[:2])
    return SQLSTATES.get(code) or (MYSQL_ERRORS.get(int(code)) if code.isdigit() else None)


def is_database_error(exc: BaseException) -> bool:
    """Tell whether SQLAlchemy, a driver or the operating system raised it."""
    module = type(exc).__module__
    return (
        (module.startswith("sqlalchemy.exc") and hasattr(exc, "orig"))
        or module.split(".")[0] in DRIVER_MODULES
        or isinstance(exc, OSError)
    )


def _kind_of(exc: BaseException, in_revision: bool) -> str:
    kind = _from_code(sqlstate_of(exc))
    for cause in causes(exc):
        text = str(cause).lower()
        if kind is None and is_database_error(cause) and not (in_revision and isinstance(cause, OSError)):
            known = (found for part, found in MESSAGES if part in text)
            kind = next((found for found in known if not (in_revision and found == "connection_failed")), None)
        if kind is None and isinstance(cause, ImportError) and not in_revision:
            kind = _import_kind(cause)
        if kind is None and type(cause).__name__ == "NoSuchModuleError":
            kind = "driver_missing"
        if kind is None and type(cause).__name__ == "CommandError":
            kind = _command_kind(text)
    return kind or ("migration_failed" if in_revision else "environment_failed")


def _import_kind(exc: ImportError) -> str | None:
    missing = (getattr(exc, "name", None) or "").split(".")[0]
    if missing in ("alembic", "sqlalchemy"):
        return "alembic_missing"
    return "driver_missing" if missing in DRIVER_MODULES else None


def _command_kind(text: str) -> str | None:
    if "can't locate revision" in text or "no such revision" in text:
        return "revision_unknown"
    if "multiple head" in text:
        return "multiple_heads"
    if "path doesn't exist" in text or "script_location" in text or "config file" in text:
        return "config_missing"
    if "not up to date" in text:
        return "database_behind"
    if "is not a head revision" in text:
        return "target_invalid"
    if "metadata" in text:
        return "models_missing"
    return None


#: What PostgreSQL adds to an error that may hold values: an excerpt of the statement, and the whole row.
_SHOWS_VALUES = re.compile(r"\nLINE \d+:.*(?:\n *\^ *)?|\nDETAIL:  Failing row contains .*")
HINTS = {
    "alembic_missing": "Set virtualenv or python (in the roles schema_virtualenv, schema_python) to the application's environment.",
    "authentication_failed": "Check user and password of the database URL.",
    "config_missing": "Check chdir, config and section (in the roles schema_chdir, schema_config and schema_section).",
    "connection_failed": "Check host, port and database name, and that the server is up.",
    "connection_lost": "Look at the server's log; run this again to see where the database stands.",
    "database_behind": "Upgrade the database first.",
    "database_closed": "While a copy or a swap of it is made nobody may connect. Where one was cut off, dbops.alembic.recover lets "
    "everybody in again; without an open deployment the module database_snapshot with state=repaired does. Else ask who closed it.",
    "database_read_only": "Use the URL of the server that is written to: after a failover the former one may be a standby. A "
    "database or a role may have default_transaction_read_only, a file may belong to another user.",
    "driver_missing": "Install the driver into the application's environment, or name an installed one in the URL, such as postgresql+psycopg2://.",
    "environment_failed": "Run `alembic current` there by hand; a project that needs its framework set up first takes a prelude, "
    "one that needs variables takes environment.",
    "lock_timeout": "Wait for the blocking session or end it; a longer lock_timeout or more retries only help against short ones.",
    "models_missing": "Give target_metadata to context.configure() in env.py.",
    "multiple_heads": "Merge the heads in the project, name one (branch@head), or ask for all of them with 'heads'.",
    "revision_unknown": "Deploy the release that has this revision, or name one of its own.",
    "statement_timeout": "Raise statement_timeout for this migration, or make its statements smaller.",
}


#: The server, the database or the role has as many connections as it may. PostgreSQL 53300, MySQL 1040 and 1203.
FULL = (
    "The server has no connection left for this role: end idle sessions, make the pools of the application smaller, or raise "
    "max_connections (PostgreSQL also limits roles and databases: CONNECTION LIMIT). A migration takes two."
)


#: Pattern of what is said of a URL that the project reads by itself, so that it can't be spelled for it here → what to write.
_SPELLINGS = (
    (
        r"load plugin: sqlalchemy\.dialects:postgres(\.|$)",
        "SQLAlchemy has no dialect postgres since 1.4: write postgresql:// where the project has its URL, or replace it in env.py.",
    ),
    (
        r"unexpected keyword argument '(sslmode|channel_binding|sslrootcert)'",
        "asyncpg does not have libpq's parameters: write ?ssl=require instead of ?sslmode=require, and leave channel_binding out.",
    ),
    (
        r"sqlalchemy\.dialects:driver\b",
        "The ini still has the URL that `alembic init` writes, and no other was given: set url, or what env.py takes it from.",
    ),
    (
        r"greenlet_spawn has not been called",
        "The URL has an asynchronous driver and env.py connects synchronously: give it a synchronous one, such as postgresql+psycopg://.",
    ),
    (
        r"asyncio extension requires an async driver",
        "env.py connects asynchronously and the URL has a synchronous driver: give it an asynchronous one, such as postgresql+asyncpg://.",
    ),
)


def _hint(exc: BaseException, kind: str) -> str | None:
    if _is_full(exc):
        return FULL
    texts = [str(cause) for cause in causes(exc)]
    spelled = (hint for pattern, hint in _SPELLINGS if any(re.search(pattern, text) for text in texts))
    return next(spelled, HINTS.get(kind))


def _is_full(exc: BaseException) -> bool:
    parts = ("too many connections", "too many clients", "remaining connection slots", "more than 'max_user_connections'")
    return sqlstate_of(exc) in ("53300", "1040", "1203") or any(part in str(exc).lower() for part in parts)


def _message(exc: BaseException) -> str:
    if isinstance(exc, SystemExit):
        return f"the project called sys.exit({exc.code!r})"
    text = _SHOWS_VALUES.sub("", str(exc)).split("\n[SQL:", 1)[0].split("\n(Background on this error", 1)[0].strip()
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _place(exc: BaseException, path: str | None) -> dict[str, Any]:
    """Return file, line and source of the last frame inside the revision's file, or of the last frame at all."""
    frames = traceback.extract_tb(exc.__traceback__)
    inside = [frame for frame in frames if path and os.path.realpath(frame.filename) == os.path.realpath(path)]
    frame = next(reversed(inside or frames), None)
    return {"file": frame.filename, "line": frame.lineno, "source": frame.line} if frame else {}


def _statement_of(exc: BaseException) -> str | None:
    found = (getattr(cause, "statement", None) for cause in causes(exc))
    return next((statement for statement in found if isinstance(statement, str)), None)


def describe(exc: BaseException, revision: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a reply says of ``exc``.

    :param revision: the revision that was running, as the plan describes it, if one was.
    """
    if isinstance(exc, Failure):
        return {
            "kind": exc.kind,
            "message": exc.message,
            "hint": exc.hint,
            "revision": revision and revision["revision"],
            **exc.facts,
        }
    kind = _kind_of(exc, revision is not None)
    return {
        "kind": kind,
        "message": _message(exc),
        "hint": _hint(exc, kind),
        "revision": revision and revision["revision"],
        "statement": cut(_statement_of(exc) or "", 4000) or None,
        "sqlstate": sqlstate_of(exc),
        "traceback": cut("".join(traceback.format_exception(type(exc), exc, exc.__traceback__)), -8000),
        **_place(exc, revision.get("path") if revision else None),
    }
