# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a database URL as SQLAlchemy reads it. Plain Python, no Ansible, no SQLAlchemy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Tuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ansible_collections.dbops.alembic.plugins.module_utils._worker.urls import ASYNCPG_SSL

MASK = "***"
MYSQL = ("mysql", "mariadb")
DEFAULT_PORT, MYSQL_PORT = 5432, 3306
ASYNC_DRIVERS = ("asyncpg", "psycopg_async", "aiomysql", "asyncmy", "aiosqlite")
#: libpq's connection keyword → its environment variable. Source: PostgreSQL manual, "Environment Variables" of libpq.
LIBPQ = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
_SECRET = re.compile(r"(?i)passw|pwd|secret|token")
# As sqlalchemy.engine.url takes a URL apart, except that what it silently misreads is an error here.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*)://"
    r"(?P<login>(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?)"
    r"(?:\[(?P<ipv6>[^/?\]]+)\]|(?P<host>[^/:?\[\]]+))?(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?\Z",
    re.DOTALL,
)


class UrlError(ValueError):
    """The URL can't be used; the message never holds a part that may be the password."""


Pairs = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class DatabaseUrl:
    """A database URL in its parts.

    ``hosts`` holds at least one pair of a host, a socket's folder or an empty text, and a port. ``written`` is what stood
    before the '?', without user and password, ``pairs`` what stood behind it.
    """

    dialect: str
    driver: str | None
    user: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    name: str | None
    login: tuple[str | None, str | None]
    written: str
    pairs: Pairs

    @property
    def query(self) -> dict[str, Any]:
        """The parameters that have no place of their own; one that is given more than once is a list."""
        found: dict[str, Any] = {}
        for key in dict(self.pairs):
            values = [value for name, value in self.pairs if name == key]
            found[key] = values if len(values) > 1 else values[0]
        return {key: value for key, value in found.items() if key not in ("host", "port", "user", "password", "dbname")}

    @property
    def socket(self) -> str | None:
        if self.dialect in MYSQL:
            return self.query.get("unix_socket")
        return self.hosts[0][0] if self.hosts[0][0].startswith(("/", "@")) else None

    @property
    def host(self) -> str | None:
        return None if self.socket else self.hosts[0][0] or None

    @property
    def port(self) -> int | None:
        return self.hosts[0][1]

    @property
    def server(self) -> str | None:
        """Tell one server from another, whatever the database, the user and the driver: ``host:port``, the first of several."""
        if self.dialect == "sqlite":
            return None
        told = self.query.get("hostaddr") if self.dialect == "postgresql" else None
        place = self.socket or self.hosts[0][0] or told
        if self.query.get("service") and not place:
            return f"service {self.query['service']}"
        return f"{place or 'localhost'}:{self.port or (MYSQL_PORT if self.dialect in MYSQL else DEFAULT_PORT)}".lower()

    def libpq(self) -> dict[str, str]:
        """Return libpq's keyword arguments, without the password; empty when this is no PostgreSQL."""
        if self.dialect != "postgresql":
            return {}
        ports = [str(port or DEFAULT_PORT) for host, port in self.hosts] if any(port for host, port in self.hosts) else []
        places = {
            "host": ",".join(host for host, port in self.hosts),
            "port": ",".join(ports),
            "dbname": self.name,
            "user": self.user,
        }
        found = {**{key: value for key, value in self._parameters() if key in LIBPQ}, **places}
        return {key: str(value) for key, value in found.items() if value}

    def environment(self) -> dict[str, str]:
        """Return the variables that the database's own programs read, the password among them."""
        if self.dialect in MYSQL:
            return {"MYSQL_PWD": self.password} if self.password else {}
        found = {LIBPQ[key]: value for key, value in self.libpq().items()}
        return {**found, "PGPASSWORD": self.password} if found and self.password else found

    def redacted(self) -> str:
        """Return the URL with each password in it masked."""
        user, password = self.login
        pairs = [(key, MASK if _SECRET.search(key) else value) for key, value in self.pairs]
        return self._write(self.driver, user, None if password is None else MASK, pairs)

    def sync_url(self) -> str:
        """Return the URL for a program that is not asynchronous: an async driver is left out, another one stays."""
        if self.driver not in ASYNC_DRIVERS:
            return self._write(self.driver, *self.login, list(self.pairs))
        return self._write(None, *self.login, self._parameters())

    def _parameters(self) -> list[tuple[str, str]]:
        """Return the query with asyncpg's ``ssl`` under the name that libpq has for it."""
        if self.driver != "asyncpg":
            return list(self.pairs)
        return [("sslmode", ASYNCPG_SSL.get(value.lower(), value)) if key == "ssl" else (key, value) for key, value in self.pairs]

    def _write(self, driver: str | None, user: str | None, password: str | None, pairs: list[tuple[str, str]]) -> str:
        login = quote(user or "", safe="") + ("" if password is None else ":" + quote(password, safe=MASK))
        query = urlencode(pairs, safe="/:,*")
        scheme = f"{self.dialect}+{driver}" if driver else self.dialect
        return f"{scheme}://{login + '@' if login else ''}{self.written}{'?' + query if query else ''}"


def parse(text: str) -> DatabaseUrl:
    """Take a URL apart.

    :raises UrlError: what is wrong with it, without showing it.
    """
    match = _URL.match(text)
    if not match:
        raise UrlError(_what_is_wrong(text))
    dialect, _plus, driver = match["scheme"].lower().partition("+")
    dialect = "postgresql" if dialect == "postgres" else dialect
    host = match["ipv6"] or match["host"] or ""
    if "@" in host or (dialect != "sqlite" and "@" in (match["database"] or "")):
        raise UrlError("there is an '@' too many; in the user, password and name it is written %40")
    if dialect == "sqlite" and host:
        raise UrlError("the path of a SQLite database begins after the third '/': sqlite:///relative or sqlite:////absolute")
    pairs = _pairs(match["query"])
    login = (match["user"] and unquote(match["user"]), match["password"] and unquote(match["password"]))
    # libpq takes these from the query too; from here on they have one place.
    user, name = login[0] or _last(pairs, "user"), _last(pairs, "dbname")
    password = _last(pairs, "password") if login[1] is None else login[1]
    return DatabaseUrl(
        dialect=dialect,
        driver=driver or None,
        user=user,
        password=password,
        hosts=_hosts(host, _port(match["port"]), pairs),
        name=_name(dialect, unquote(match["database"] or ""), name or (None if _last(pairs, "service") else user), pairs),
        login=login,
        written=text[match.end("login") : match.start("query") - 1 if match["query"] is not None else len(text)],
        pairs=pairs,
    )


def _what_is_wrong(text: str) -> str:
    if not text.strip():
        return "it is empty"
    if "://" not in text:
        return "there is no '://' in it; a database URL looks like postgresql://user:password@host:5432/name"
    if not re.match(r"[A-Za-z][\w+.-]*://", text):
        return "the part before '://' is no name of a database, such as postgresql or mysql+pymysql"
    return "the part after '://' is not user:password@host:port/name; special characters in user and password are written as %XX"


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:
        # What stands there may be the end of a password.
        raise UrlError("the port is not a number from 1 to 65535; a ':', '/', '?' or '@' in the password is written as %XX")
    return int(text)


def _pairs(text: str | None) -> Pairs:
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True)) if text else ()
    except ValueError:
        raise UrlError("a parameter behind the '?' has no '='; a '?' in the password is written %3F") from None


def _last(pairs: Pairs, key: str) -> str | None:
    return dict(pairs).get(key) or None


def _hosts(host: str, port: int | None, pairs: Pairs) -> tuple[tuple[str, int | None], ...]:
    """Return hosts with ports. Those of the query win, and may be ``host=a,b&port=1,2`` or ``host=a:1&host=b:2``."""
    names = [part for key, value in pairs if key == "host" for part in value.split(",") if part] or [host]
    ports = [_port(part) for key, value in pairs if key == "port" for part in value.split(",")] or [port]
    found = []
    for number, name in enumerate(names):
        own = ports[number] if number < len(ports) else ports[-1]
        if re.match(r"[\w.-]+:\d+\Z", name):
            name, _colon, text = name.partition(":")
            own = _port(text)
        found.append((name, own))
    return tuple(found)


def _name(dialect: str, written: str, fallback: str | None, pairs: Pairs) -> str | None:
    """Return the database's name; SQLite's is a path. PostgreSQL has ``dbname`` in the query, and takes the user's name else.

    What the service of a service file says is not known here.
    """
    if dialect == "postgresql":
        return written or fallback
    if dialect != "sqlite":
        return written or None
    is_uri = written.startswith("file:") and (_last(pairs, "uri") or "").lower() in ("true", "1")
    return written[len("file:") :] if is_uri else written or ":memory:"
