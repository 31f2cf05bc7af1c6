# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys of AWX, made from the argument specs of the roles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dbops.alembic.plugins.plugin_utils import _variables

#: Type of an option → type of a question. A switch has two choices, whose texts the roles read as they read a switch.
_TYPES = {"str": "text", "path": "text", "int": "integer", "float": "float", "bool": "multiplechoice"}
_SWITCH = ["true", "false"]
#: AWX refuses a longer answer; it is no limit of the roles.
_LONGEST = 1024
_MARKUP = re.compile(r"\b[OVCMIB]\(((?:\\.|[^()\\])*)\)")


def survey(
    wanted: Sequence[str], name: str, defaults: Mapping[str, Any], options: _variables.Options | None = None
) -> dict[str, Any]:
    """Return the survey that asks for these variables, in their order; one that ends in ``!`` has to be answered.

    :param defaults: variable → what is proposed instead of the role's default.
    :param options: variable → option; those of the roles unless told.
    :raises ValueError: what can not or must not be asked for, and why.
    """
    known = _variables.known_options() if options is None else options
    questions = [_question(item.rstrip("!"), item.endswith("!"), defaults, known) for item in wanted]
    return {"name": name, "description": "", "spec": questions}


def _question(variable: str, needed: bool, defaults: Mapping[str, Any], known: _variables.Options) -> dict[str, Any]:
    option = known.get(variable)
    if option is None:
        raise ValueError(f"{variable} is no variable of the roles, so nothing says how to ask for it.")
    if option.get("no_log"):
        raise ValueError(f"{variable} is secret: hand it over by a credential, not by a survey.")
    kind = "multiplechoice" if "choices" in option else _TYPES.get(option.get("type", "str"))
    if kind is None:
        raise ValueError(f"{variable} is a {option['type']}, and the answer would be a text: set it in the inventory.")
    return {
        "type": kind,
        "variable": variable,
        "question_name": variable.replace("_", " ").capitalize(),
        "question_description": _plain(option["description"]),
        "required": needed or bool(option.get("required")),
        "choices": _choices(option),
        "default": _default(variable, option, defaults, kind),
        **({"min": 0, "max": _LONGEST} if kind == "text" else {"min": None, "max": None}),
    }


def _choices(option: Mapping[str, Any]) -> list[str]:
    return [str(choice) for choice in option["choices"]] if "choices" in option else _SWITCH if option["type"] == "bool" else []


def _default(variable: str, option: Mapping[str, Any], defaults: Mapping[str, Any], kind: str) -> Any:
    value = defaults.get(variable, option.get("default", ""))
    if isinstance(value, str) and "{{" in value:
        raise ValueError(f"{variable} has an expression as its default, which no survey can show: propose a value in defaults.")
    if kind in ("integer", "float"):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(description: str | Sequence[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return " ".join(re.sub(r"\\(.)", r"\1", _MARKUP.sub(r"\1", text)).split())
