# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No password leaves the worker, in any spelling; what is no password stays readable."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import MASK, redactor_for

URL = "postgresql+psycopg2://shop:s%40cret%2Fpa%25ss@db.example:5432/shop"
PLAIN = "s@cret/pa%ss"

LEAKS = [
    pytest.param(f"could not connect to {URL}", id="the URL itself"),
    pytest.param("postgresql://other:unknownpw99@host/db is down", id="a URL nobody told us of"),
    pytest.param("postgresql://other:un@known@host/db is down", id="a password with an at sign"),
    pytest.param(f"password is {PLAIN}.", id="the plain password"),
    pytest.param("ini says s%%40cret%%2Fpa%%25ss", id="as an ini file has it"),
    pytest.param("dsn: host=db password='s p a c e' user=shop", id="a libpq string, quoted"),
    pytest.param("dsn: host=db password=hunter2222 user=shop", id="a libpq string"),
    pytest.param("{'password': 'hunter2222'}", id="a Python dict"),
]
SECRETS = [PLAIN, "s%40cret%2Fpa%25ss", "unknownpw99", "un@known", "hunter2222", "s p a c e"]


@pytest.mark.parametrize("text", LEAKS)
def test_it_is_masked(text):
    found = redactor_for({"url": URL}).text(text)
    assert MASK in found
    assert not [secret for secret in SECRETS if secret in found]


@pytest.mark.parametrize(
    "text", ["revision ae10 is at head", "postgresql://shop@db.example/shop", "SELECT 1 -- see https://example.org/a:b", ""]
)
def test_it_is_left_alone(text):
    assert redactor_for({"url": URL}).text(text) == text


def test_a_password_that_is_also_a_name_is_masked_only_where_it_is_announced():
    redactor = redactor_for({"url": "postgresql://app:app@db/app"})
    assert redactor.text("database app, user app") == "database app, user app"
    assert redactor.text("postgresql://app:app@db/app") == "postgresql://app:***@db/app"


def test_a_short_password_is_masked_as_a_word_only():
    redactor = redactor_for({"url": "postgresql://shop:cat@db/shop"})
    assert redactor.text("cat of catalog") == "*** of catalog"


def test_secrets_of_the_environment_and_of_arguments():
    request = {
        "environment": {"SECRET_KEY": "hush-hush", "DATABASE_URL": URL, "FLASK_ENV": "production"},
        "x_arguments": ["db_password=open sesame", "tenant=north"],
    }
    cleaned = redactor_for(request).clean(
        {"lines": ["hush-hush", PLAIN, "production", ("open sesame", "north")], "number": 3, "none": None}
    )
    assert cleaned == {"lines": [MASK, MASK, "production", [MASK, "north"]], "number": 3, "none": None}


def test_a_url_found_out_later():
    redactor = redactor_for({})
    redactor.add_url("mysql+pymysql://u:found-out-late@h/d")
    assert redactor.clean({"text": "found-out-late"}) == {"text": MASK}
