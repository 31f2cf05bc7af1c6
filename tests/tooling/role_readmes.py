#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes README.md of every role from its argument specs, which is what ansible-doc shows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import ROOT

HEAD = """<!--
Copyright (c) 2026, dbops.alembic contributors
SPDX-License-Identifier: GPL-3.0-or-later
Made from meta/argument_specs.yml by `make readmes`.
-->
"""
#: What an example needs for the variables that have no default.
SAMPLES = {
    "application_name": "shop",
    "schema_database_url": "postgresql+psycopg://shop:{{ shop_password | urlencode }}@db.example.com/shop",
}
#: O(name=value), V(value), C(code), M(module), I(text), B(text) of Ansible's documentation; a bracket inside is written \\).
MARKUP = re.compile(r"\b([OVCMIB])\(((?:\\.|[^()\\])*(?:\([^()]*\))?(?:\\.|[^()\\])*)\)")


def markdown(text: str | list[str]) -> str:
    """A description on one line, as a cell of a table can hold it."""
    whole = " ".join(text) if isinstance(text, list) else text
    return " ".join(MARKUP.sub(_marked, whole).split()).replace("|", "\\|")


def _marked(found: re.Match[str]) -> str:
    kind, text = found[1], re.sub(r"\\(.)", r"\1", found[2])
    if kind in "IB":
        return f"*{text}*"
    if kind == "O":
        text = re.sub(r"^[\w.]+#\w+:(?:\w+:)?", "", text)  # the option of another module or role
    return f"`{text}`"


def page(role: str, entries: dict[str, Any]) -> str:
    main = entries["main"]
    return "\n".join(
        [
            HEAD,
            f"# dbops.alembic.{role}\n",
            *(f"{markdown(line)}\n" for line in [f"{main['short_description']}.", *main["description"]]),
            *_entry_points(entries),
            *(_example(role, main["options"]) if len(entries) > 1 else []),  # else it belongs to the playbooks
            *_options(main["options"]),
            f"`ansible-doc -t role dbops.alembic.{role}` shows the same.\n",
        ]
    )


def _entry_points(entries: dict[str, Any]) -> list[str]:
    others = [(name, entry) for name, entry in entries.items() if name != "main"]
    if not others:
        return []
    rows = [f"| `{name}` | {markdown([entry['short_description'] + '.', *entry['description']])} |" for name, entry in others]
    return ["## Entry points\n", "With `tasks_from`:\n", "| entry point | |", "| --- | --- |", *rows, ""]


def _example(role: str, options: dict[str, Any]) -> list[str]:
    lines = [
        *("## Example\n", "```yaml", "- hosts: application", "  gather_facts: false", "  tasks:"),
        *(f"    - name: Use the role {role}", "      ansible.builtin.include_role:", f"        name: dbops.alembic.{role}"),
    ]
    needed = [name for name, option in options.items() if option.get("required")]
    given = [f"        {name}: {json.dumps(SAMPLES[name])}" for name in needed]
    return [*lines, *(["      vars:", *given] if given else []), "```\n"]


def _options(options: dict[str, Any]) -> list[str]:
    rows = [f"| `{name}` | {_type(option)} | {_default(option)} | {_told(option)} |" for name, option in options.items()]
    return ["## Variables\n", "| variable | type | default | |", "| --- | --- | --- | --- |", *rows, ""]


def _type(option: dict[str, Any]) -> str:
    return f"list of {option['elements']}" if "elements" in option else str(option["type"])


def _default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "**needed**"
    value = option.get("default")
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`".replace("|", "\\|") if text else ""


def _told(option: dict[str, Any]) -> str:
    choices = ", ".join(f"`{choice}`" for choice in option.get("choices", ()))
    return markdown(option["description"]) + (f" One of {choices}." if choices else "")


def pages() -> dict[Path, str]:
    """Path → what belongs there, of every role."""
    specs = {
        path.parents[1]: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))
    }
    return {folder / "README.md": page(folder.name, spec["argument_specs"]) for folder, spec in specs.items()}


def main() -> int:
    for path, text in pages().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
