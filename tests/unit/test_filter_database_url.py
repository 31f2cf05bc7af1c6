# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter database_url: tables of URLs, and SQLAlchemy's own reading of them as the judge."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.database_url import FilterModule
from sqlalchemy.engine import make_url

database_url = FilterModule().filters()["database_url"]
KEYS = [
    *("dialect", "driver", "host", "port", "socket", "server", "name", "user", "password", "query"),
    *("libpq", "environment", "redacted", "sync_url"),
]

PARTS = {
    "postgresql://app:pw@db.example.com:5433/orders": {
        "dialect": "postgresql",
        "driver": None,
        "host": "db.example.com",
        "port": 5433,
        "socket": None,
        "name": "orders",
        "user": "app",
        "password": "pw",
        "query": {},
        "libpq": {"host": "db.example.com", "port": "5433", "dbname": "orders", "user": "app"},
        "environment": {"PGHOST": "db.example.com", "PGPORT": "5433", "PGDATABASE": "orders", "PGUSER": "app", "PGPASSWORD": "pw"},
        "redacted": "postgresql://app:***@db.example.com:5433/orders",
        "sync_url": "postgresql://app:pw@db.example.com:5433/orders",
    },
    "postgres://app@db/orders": {"dialect": "postgresql", "password": None, "redacted": "postgresql://app@db/orders"},
    "POSTGRESQL+Psycopg2://h/d": {"dialect": "postgresql", "driver": "psycopg2"},
    # percent-encoding, in each place
    "postgresql://a%40b:p%25%2F%40%3A%23w@h/x%20y": {
        "user": "a@b",
        "password": "p%/@:#w",
        "name": "x y",
        "redacted": "postgresql://a%40b:***@h/x%20y",
        "sync_url": "postgresql://a%40b:p%25%2F%40%3A%23w@h/x%20y",
    },
    "postgresql://u:p+w@h/d": {"password": "p+w", "sync_url": "postgresql://u:p%2Bw@h/d"},
    "postgresql://u:p/w@h/d": {"password": "p/w", "name": "d"},
    "postgresql://u:p:w@h/d": {"password": "p:w"},
    # an empty password is none to log in with, and is masked all the same
    "postgresql://u:@h/d": {
        "password": "",
        "redacted": "postgresql://u:***@h/d",
        "environment": {"PGHOST": "h", "PGDATABASE": "d", "PGUSER": "u"},
    },
    # hosts
    "postgresql://u@[2001:db8::1]:6432/d": {"host": "2001:db8::1", "port": 6432, "redacted": "postgresql://u@[2001:db8::1]:6432/d"},
    "postgresql://u:p@/d?host=/run/postgresql": {
        "host": None,
        "socket": "/run/postgresql",
        "query": {},
        "libpq": {"host": "/run/postgresql", "dbname": "d", "user": "u"},
    },
    "postgresql://u@/d?host=/run/postgresql&port=5433": {"socket": "/run/postgresql", "port": 5433},
    "postgresql://u:p@/d?host=one:5432&host=two:5433": {
        "host": "one",
        "port": 5432,
        "libpq": {"host": "one,two", "port": "5432,5433", "dbname": "d", "user": "u"},
    },
    "postgresql://u@/d?host=one,two&port=1,2": {
        "host": "one",
        "port": 1,
        "libpq": {"host": "one,two", "port": "1,2", "dbname": "d", "user": "u"},
    },
    "postgresql://u@/d?host=one:7000&host=two": {"libpq": {"host": "one,two", "port": "7000,5432", "dbname": "d", "user": "u"}},
    "postgresql:///d": {"host": None, "socket": None, "port": None, "libpq": {"dbname": "d"}, "environment": {"PGDATABASE": "d"}},
    # PostgreSQL's name falls back to dbname, then to the user
    "postgresql://u@h": {"name": "u"},
    # what a service file says is known to libpq alone
    "postgresql://u@/?service=orders": {"name": None, "environment": {"PGSERVICE": "orders", "PGUSER": "u"}},
    "postgresql:///d?service=orders": {"name": "d", "environment": {"PGSERVICE": "orders", "PGDATABASE": "d"}},
    "postgresql://u@h/?dbname=other": {"name": "other", "query": {}},
    # what libpq takes from the query
    "postgresql://h/d?user=u&password=hidden": {
        "user": "u",
        "password": "hidden",
        "query": {},
        "redacted": "postgresql://h/d?user=u&password=***",
        "environment": {"PGHOST": "h", "PGDATABASE": "d", "PGUSER": "u", "PGPASSWORD": "hidden"},
    },
    "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=5&prepare_threshold=0": {
        "query": {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem", "connect_timeout": "5", "prepare_threshold": "0"},
        "libpq": {
            "host": "h",
            "dbname": "d",
            "user": "u",
            "sslmode": "verify-full",
            "sslrootcert": "/etc/ca.pem",
            "connect_timeout": "5",
        },
        "environment": {
            "PGHOST": "h",
            "PGDATABASE": "d",
            "PGUSER": "u",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": "/etc/ca.pem",
            "PGCONNECT_TIMEOUT": "5",
        },
    },
    "postgresql://h/d?sslpassword=hidden": {"redacted": "postgresql://h/d?sslpassword=***"},
    "postgresql://h/d?a=1&a=2": {"query": {"a": ["1", "2"]}},
    # async drivers
    "postgresql+asyncpg://u:p@h/d?ssl=require&timeout=3": {
        "driver": "asyncpg",
        "libpq": {"host": "h", "dbname": "d", "user": "u", "sslmode": "require"},
        "sync_url": "postgresql://u:p@h/d?sslmode=require&timeout=3",
        "redacted": "postgresql+asyncpg://u:***@h/d?ssl=require&timeout=3",
    },
    "postgresql+asyncpg://u@h/d?ssl=true": {"libpq": {"host": "h", "dbname": "d", "user": "u", "sslmode": "require"}},
    "postgresql+psycopg_async://u@h/d": {"sync_url": "postgresql://u@h/d"},
    "postgresql+psycopg://u@h/d": {"sync_url": "postgresql+psycopg://u@h/d"},
    "sqlite+aiosqlite:////srv/app.db": {"driver": "aiosqlite", "name": "/srv/app.db", "sync_url": "sqlite:////srv/app.db"},
    # MySQL and MariaDB
    "mysql+pymysql://u:p%40@h:3307/d?charset=utf8mb4": {
        "dialect": "mysql",
        "port": 3307,
        "password": "p@",
        "libpq": {},
        "environment": {"MYSQL_PWD": "p@"},
        "sync_url": "mysql+pymysql://u:p%40@h:3307/d?charset=utf8mb4",
    },
    "mariadb+asyncmy://u@h/d": {"dialect": "mariadb", "environment": {}, "sync_url": "mariadb://u@h/d"},
    "mysql://u@/d?unix_socket=/run/mysqld/mysqld.sock": {"host": None, "socket": "/run/mysqld/mysqld.sock"},
    # SQLite
    "sqlite:////srv/app.db": {
        "dialect": "sqlite",
        "name": "/srv/app.db",
        "host": None,
        "user": None,
        "libpq": {},
        "environment": {},
    },
    "sqlite:///app.db?timeout=9": {"name": "app.db", "query": {"timeout": "9"}},
    "sqlite:////srv/odd@name.db": {"name": "/srv/odd@name.db", "redacted": "sqlite:////srv/odd@name.db"},
    "sqlite:///file:/srv/app.db?mode=ro&uri=true": {"name": "/srv/app.db"},
    "sqlite://": {"name": ":memory:"},
    "sqlite:///:memory:": {"name": ":memory:"},
}

WRONG = {
    "": "it is empty",
    "   ": "it is empty",
    "SECRET": "there is no '://' in it",
    "jdbc:postgresql://u:SECRET@h/d": "no name of a database",
    "://u:SECRET@h/d": "no name of a database",
    "postgresql://u:SEC@RET@h/d": "an '@' too many",
    "postgresql://u:SEC@RET/more@h/d": "an '@' too many",
    "postgresql://u:SEC@RET:more@h/d": "the port is not a number",
    "postgresql://u:SEC@RET?more@h/d": "has no '='",
    "postgresql://u:p@h:SECRET/d": "the port is not a number",
    "postgresql://u:p@h:65536/d": "the port is not a number",
    "postgresql://u:p@h:0/d": "the port is not a number",
    "postgresql://u:p@[SECRET/d": "the port is not a number",
    "postgresql://[SECRET/d": "the part after '://'",
    "postgresql://u@/d?host=one:5432&port=SECRET": "the port is not a number",
    "sqlite://SECRET.db": "begins after the third '/'",
}


@pytest.mark.parametrize("url", PARTS)
def test_parts(url):
    found = database_url(url)
    assert {key: found[key] for key in PARTS[url]} == PARTS[url]


@pytest.mark.parametrize("url", PARTS)
def test_the_keys_are_always_the_same(url):
    assert list(database_url(url)) == KEYS


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://a:b@DB.example.com/d", "db.example.com:5432"),
        ("postgresql://a:b@[::1]:6432/d", "::1:6432"),
        ("postgresql://u:p@h/d?host=one,two&port=1,2", "one:1"),
        ("postgresql:///d?host=/run/postgresql", "/run/postgresql:5432"),
        ("postgresql:///d?hostaddr=10.0.0.1&port=7", "10.0.0.1:7"),
        ("postgresql:///d?service=north", "service north"),
        ("postgresql://u@db/d?service=north", "db:5432"),
        ("postgresql:///d", "localhost:5432"),
        ("mysql+pymysql://u:p@h/d", "h:3306"),
        ("mysql+pymysql://u:p@/d?unix_socket=/run/m", "/run/m:3306"),
        ("mysql+pymysql://u:p@localhost/d?unix_socket=/run/m", "/run/m:3306"),
        ("sqlite:////srv/d", None),
    ],
)
def test_a_server_is_told_from_others(url, server):
    assert database_url(url)["server"] == server


@pytest.mark.parametrize("url", [url for url in PARTS if "host=" not in url])
def test_sqlalchemy_reads_the_same(url):
    ours, theirs = database_url(url), make_url(url)
    assert ours["driver"] == (theirs.drivername.lower().partition("+")[2] or None)
    assert ours["host"] == (theirs.host or None)
    assert ours["port"] == theirs.port
    if theirs.password is not None:
        assert (ours["user"], ours["password"]) == (theirs.username, theirs.password)


@pytest.mark.parametrize("url", PARTS)
def test_the_written_urls_read_back_as_the_same_parts(url):
    ours = database_url(url)
    again = database_url(ours["sync_url"])
    same = ("dialect", "host", "port", "socket", "name", "user", "password", "libpq", "environment")
    assert {key: again[key] for key in same} == {key: ours[key] for key in same}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@h/d?sslmode=require",
        "postgresql+asyncpg://u:hid%64en@h/d?ssl=true",
        "postgresql://h/d?user=u&password=hidden",
        "postgresql://u@h/d?sslpassword=hidden",
        "mysql+pymysql://u:hidden@h/d?passwd=hidden",
        "sqlite:////srv/app.db?password=hidden",
    ],
)
def test_what_is_meant_to_be_shown_holds_no_password(url):
    found = database_url(url)
    assert "hid" not in json.dumps([found["redacted"], found["libpq"]])


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_an_error_that_does_not_show_it(url):
    with pytest.raises(AnsibleFilterError) as caught:
        database_url(url)
    message = str(caught.value)
    assert WRONG[url] in message and message.startswith("database_url: ")
    assert "SEC" not in message and "RET" not in message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, 3, True, ["postgresql://u:SECRET@h/d"], {"url": "postgresql://u:SECRET@h/d"}])
def test_what_is_no_text_is_an_error_that_does_not_show_it(value):
    with pytest.raises(AnsibleFilterError) as caught:
        database_url(value)
    assert "is of type" in str(caught.value) and "SECRET" not in str(caught.value)
