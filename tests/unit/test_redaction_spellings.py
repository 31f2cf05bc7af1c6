# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated passwords, in each spelling in which they were seen to leave a process: none of it stays."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import string
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import MASK, Redactor, cut, is_telling, redactor_for
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import make_dsn
from sqlalchemy.engine import URL

NASTY = " \t\n'\"`%@:/?#&=+;,<>()[]{}|\\$!~^-_.éßΩ日😀\u00a0\x07\x1b"
PASSWORDS = st.text(alphabet=string.ascii_letters + string.digits + NASTY, min_size=3, max_size=24)
# The same examples each time: a failure is the fault of the change that is tested. Raise the number to look for more.
FEW = settings(max_examples=10, deadline=None, derandomize=True, database=None)
MANY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
KNOWN = ("shop", "db.example", "orders")
# What quotes the password from the outside may stay, and white space at its ends.
AROUND = re.compile(
    r"\\+(?:[ntrfv]|x[0-9a-f]{2}|u00[0-9a-f]{2})|%+(?:25)*(?:20|0[\da-dA-D]|[cC]2%+(?:25)*[aA]0)"
    r"|&(?:amp;)*(?:#\d+|#x27|quot|apos);|[<>b'\"\\\s+=]"
)


def url(password: str, /, **query: str) -> URL:
    return URL.create("postgresql+psycopg2", "shop", password, "db.example", 5432, "orders", query)


def sqlalchemy_14(text: str) -> str:
    return re.sub(r"[:@/]", lambda found: f"%{ord(found.group()):X}", text)


def lower_hex(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found.group().lower(), text)


def libpq(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def go_json(text: str) -> str:
    escaped = json.dumps(text, ensure_ascii=False)
    return escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def php_json(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


SPELLINGS = {
    "as it is": str,
    "quote": quote,
    "quote, everything": lambda text: quote(text, safe=""),
    "quote_plus": quote_plus,
    "SQLAlchemy 2": lambda text: quote(text, safe=" +"),
    "SQLAlchemy 1.4": sqlalchemy_14,
    "hexadecimal digits in lower case": lambda text: lower_hex(quote(text, safe="")),
    "ini": lambda text: text.replace("%", "%%"),
    "ini of a URL": lambda text: quote(text, safe=" +").replace("%", "%%"),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": json.dumps,
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON of Go": go_json,
    "JSON of PHP": php_json,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "repr of JSON": lambda text: repr(json.dumps(text)),
    "JSON of repr": lambda text: json.dumps(repr(text)),
    "libpq": libpq,
    "libpq in repr": lambda text: repr(libpq(text)),
    "SQL": lambda text: text.replace("'", "''"),
    "SQL in JSON": lambda text: json.dumps(text.replace("'", "''")),
    "shell": shlex.quote,
    "shell in JSON": lambda text: json.dumps(shlex.quote(text)),
    "HTML": html.escape,
    "HTML of JSON": lambda text: html.escape(json.dumps(text)),
    "HTML of a URL": lambda text: html.escape(quote(text, safe=" +")),
    "white space collapsed": lambda text: " ".join(text.split()),
    "indented": lambda text: text.replace("\n", "\n              "),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
}


def wanted(password: str) -> Redactor:
    assume(is_telling(password) and password.strip() not in KNOWN and "*" not in password)
    assume(not re.search(r"\\\s+\Z", password))  # of white space at the end, which is no part of it, an 'n' may stay
    assume(any(character.isalnum() for character in password))  # what else there is, quotes are, is told apart below
    return redactor_for({"url": f"postgresql+psycopg2://shop:{quote(password, safe='')}@db.example:5432/orders"})


@pytest.mark.parametrize("spelling", SPELLINGS)
@FEW
@given(password=PASSWORDS)
@example(password="two words 'and' \"quotes\" 100% @ \\ é\n/x")
@example(password="%%%40'x")
@example(password="\\'\\\"\\\\9")
@example(password=" lead and trail\n")
def test_each_spelling_is_masked(spelling, password):
    redactor = wanted(password)
    shown = redactor.mask(f"<{SPELLINGS[spelling](password)}>")
    assert MASK in shown
    assert not AROUND.sub("", shown.replace(MASK, "", 1)), shown


WHOLE = {
    "URL of SQLAlchemy": lambda text: url(text).render_as_string(hide_password=False),
    "parts": lambda text: repr(tuple(url(text))),
    "connect arguments": lambda text: repr(url(text).translate_connect_args()),
    "connect arguments in JSON": lambda text: json.dumps(url(text).translate_connect_args()),
    "in the query": lambda text: url("other", password=text).render_as_string(hide_password=False),
    "DSN": lambda text: make_dsn(host="db.example", user="shop", password=text, dbname="orders"),
    "DSN in repr": lambda text: repr(make_dsn(password=text)),
    "libpq URI": lambda text: f"postgresql://shop:{quote(text)}@db.example/orders?sslmode=require",
    "query of a libpq URI": lambda text: f"postgresql:///orders?host=db.example&user=shop&password={quote(text, safe='')}",
    "Secret of Kubernetes": lambda text: base64.b64encode(url(text).render_as_string(hide_password=False).encode()).decode(),
    "Secret, wrapped": lambda text: base64.encodebytes(f"x{url(text).render_as_string(hide_password=False)}".encode()).decode(),
    "at another offset": lambda text: base64.b64encode(f"{{'a':{text!r}}}".encode()).decode(),
    "SQL": lambda text: "ALTER ROLE shop PASSWORD '{}'".format(text.replace("'", "''")),
    "command line": lambda text: f"PGPASSWORD={shlex.quote(text)} psql -h db.example",
    "a traceback's source": lambda text: f'engine = create_engine("postgresql://shop:{quote(text, safe=" +")}@db.example/orders")',
}


@pytest.mark.parametrize("place", WHOLE)
@FEW
@given(password=PASSWORDS.map(lambda text: "Zq9" + text))
@example(password="Zq9 two words 'and' \"quotes\" 100% @ \\ é\n/x")
def test_each_place_is_masked(place, password):
    shown = wanted(password).text(WHOLE[place](password))
    assert MASK in shown and "Zq9" not in shown, shown
    for run in re.findall(r"[A-Za-z0-9]{5,}", password):
        assert run not in shown, shown
    for run in re.findall(r"[A-Za-z0-9+/]{8,}", shown):  # nothing that is left decodes to it
        whole = run[: len(run) // 4 * 4]
        assert b"Zq9" not in base64.b64decode(whole), shown


@FEW
@given(password=PASSWORDS.map(lambda text: "Zq9" + text))
def test_unknown_passwords_of_urls_that_sqlalchemy_writes(password):
    assume("://" not in password and "\n" not in password)  # the first is a second URL, the other ends the text
    assume(not re.search(r"[\r\x1c-\x1e\x85\u2028\u2029\f\v]", password))
    shown = Redactor().text(f"cannot connect to {url(password).render_as_string(hide_password=False)}: refused")
    assert shown == "cannot connect to postgresql+psycopg2://shop:***@db.example:5432/orders: refused"


@given(before=st.integers(0, 9000), after=st.integers(0, 9000), limit=st.sampled_from([100, 1000, 4000, -100, -4000]))
@MANY
def test_a_cut_leaves_no_part_of_a_secret(before, after, limit):
    password = "QzWxEcRvTbYn'\\\" "
    redactor = redactor_for({"environment": {"DB_PASSWORD": password}})
    text = "-" * before + json.dumps(json.dumps(password)) + "-" * after
    shown = redactor.text(cut(text, limit))
    assert len(shown) <= abs(limit) + (0 if len(text) > abs(limit) else len(text))
    assert not re.search("[A-Za-z]", shown), shown


@MANY
@given(st.text(alphabet="abcde -_./:'\"\n", max_size=300))
def test_text_without_a_secret_is_left_alone(text):
    assert redactor_for({"url": url("hidden-wOrd9").render_as_string(hide_password=False)}).text(text) == text


def test_what_alembic_says_of_a_revision_is_no_password():
    said = "Can't locate revision identified by 'a3f07d5e1c92'"
    assert redactor_for({}).text(said) == said
    assert "s3cret" not in redactor_for({}).text("CREATE USER shop IDENTIFIED BY 's3cret'")


@pytest.mark.parametrize("password", ["a", "ab", "head", "postgres", "production", "123"])
def test_a_word_that_is_everywhere_is_masked_only_where_it_is_announced(password):
    redactor = redactor_for({"url": f"postgresql://shop:{password}@db/orders", "environment": {"DB_PASSWORD": password}})
    told = f"the head {password} of a table ab, production, 123 rows of postgres"
    assert redactor.text(told) == told
    announced = f"postgresql://shop:{password}@db/orders password={password} PASSWORD '{password}' {{'password': '{password}'}}"
    assert redactor.text(announced) == "postgresql://shop:***@db/orders password=*** PASSWORD *** {'password': ***}"


def test_a_short_one_after_an_escape_is_a_word():
    redactor = redactor_for({"url": "postgresql://shop:c@t9@db/orders"})
    assert redactor.text(r"repr 'a\nc@t9' of%20c%40t9, not xc@t9") == r"repr 'a\n***' of%20***, not xc@t9"


def test_the_cost_grows_with_the_text_only():
    """Text that makes a careless pattern try every reading: it would not end within the life of this test."""
    redactor = redactor_for({"environment": {"A_SECRET": "' \\ %'\"", "B_SECRET": "core \\ ' % x", "C_SECRET": "a b \\\\\\ c"}})
    for piece in (" ", "\\", "'", "%25", "\\'", "core ", "a ", "+", "&amp;", "password", "postgresql://u:", "=" * 3):
        redactor.text("core a b" + piece * 20000 + "!")


def test_sqlalchemy_of_this_test_leaves_the_space():
    assert " " in url("a b").render_as_string(hide_password=False), sqlalchemy.__version__
