# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys of AWX from argument specs, held against the rules that AWX has for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.dbops.alembic.plugins.plugin_utils._survey import survey
from ansible_collections.dbops.alembic.plugins.plugin_utils._variables import known_options

from support import sources
from support.paths import ROOT

TEXTS, CHOICES, NUMBERS = (
    ["text", "textarea", "password"],
    ["multiplechoice", "multiselect"],
    {"integer": "integer", "float": "number"},
)


def when(kinds: list[str], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {"type": {"enum": kinds}}}, "then": then}


#: What AWX asks of a survey before it takes it. DBOPS_SURVEY_SCHEMA names the file of another schema to hold the surveys against.
RULES: dict[str, Any] = {
    "type": "object",
    "required": ["name", "description", "spec"],
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "spec": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["type", "question_name", "variable", "required"],
                "properties": {
                    "type": {"enum": [*TEXTS, *CHOICES, *NUMBERS]},
                    "question_name": {"type": "string"},
                    "question_description": {"type": "string"},
                    "variable": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                    "required": {"type": "boolean"},
                    "min": {"type": ["integer", "null"]},
                    "max": {"type": ["integer", "null"]},
                    "choices": {"type": ["string", "array"]},
                },
                "allOf": [
                    when(CHOICES, {"required": ["choices"]}),
                    when([*TEXTS, "multiplechoice"], {"properties": {"default": {"type": "string"}}}),
                    *(
                        when([kind], {"properties": {"default": {"anyOf": [{"type": of}, {"const": ""}]}}})
                        for kind, of in NUMBERS.items()
                    ),
                ],
            },
        },
    },
}
TEMPLATES = sources.read(ROOT / "roles" / "awx" / "vars" / "main.yml")["_awx_templates"]


def hold(made: dict[str, Any]) -> None:
    given = os.environ.get("DBOPS_SURVEY_SCHEMA")
    for rules in (RULES, *([json.loads(Path(given).read_text())] if given else [])):
        jsonschema.validate(made, rules)
    for question in made["spec"]:
        if question["type"] == "multiplechoice" and question["default"]:
            assert question["default"] in question["choices"], question


def question(variable: str, **defaults: Any) -> dict[str, Any]:
    made = survey([variable], "one", defaults)
    hold(made)
    return dict(made["spec"][0])


@pytest.mark.parametrize("entry", [entry for entry in TEMPLATES.values() if entry["asks"]], ids=lambda entry: entry["title"])
def test_what_the_job_templates_ask_is_a_survey(entry: dict[str, Any]) -> None:
    made = survey(entry["asks"], entry["title"], {})
    hold(made)
    assert [f"{q['variable']}{'!' * q['required']}" for q in made["spec"]] == entry["asks"]


def test_every_variable_that_can_be_asked_for_makes_a_right_question() -> None:
    made = 0
    for variable, option in known_options().items():
        if option.get("no_log") or option.get("type") in ("list", "dict", "raw"):
            continue
        given = {variable: option["choices"][0] if "choices" in option else "x"} if "{{" in str(option.get("default")) else {}
        assert question(variable, **given)["question_description"].strip(), variable
        made += 1
    assert made > 60


def test_types_choices_defaults_and_help() -> None:
    kind = question("deployment_recover_direction")
    assert (kind["type"], kind["choices"], kind["default"]) == ("multiplechoice", ["auto", "finish", "revert"], "auto")
    switch = question("deployment_force_enabled")
    assert (switch["type"], switch["choices"], switch["default"]) == ("multiplechoice", ["true", "false"], "false")
    assert question("schema_retries")["default"] == 5 and question("schema_retries")["type"] == "integer"
    assert question("schema_lock_timeout_seconds")["type"] == "float"
    text = question("release_version!")
    assert text["required"] and text["type"] == "text"
    assert text["question_description"].startswith("The name of the release") and "O(" not in text["question_description"]
    assert question("release_root", release_root="/opt/shop")["default"] == "/opt/shop"


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        ("backup_database_url", "is secret"),
        ("application_services", "is a list"),
        ("schema_kubernetes", "is a dict"),
        ("release_root", "an expression"),
        ("release_verzion", "no variable"),
    ],
)
def test_what_is_not_asked_for(variable: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        survey([variable], "one", {})
