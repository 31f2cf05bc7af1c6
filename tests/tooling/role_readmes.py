#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes README.md of every role from its argument specs, which ansible-doc shows, and a guide of the options that few need."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import ROOT

HEAD = """<!--
Copyright (c) 2026, dbops.alembic contributors
SPDX-License-Identifier: GPL-3.0-or-later
Made from what is in meta by `make readmes`.
-->
"""
#: What an example needs for the variables that have no default.
SAMPLES = {
    "application_name": "shop",
    "schema_database_url": "postgresql+psycopg://shop:{{ shop_password | urlencode }}@db.example.com/shop",
}
GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_variables.rst"
LABEL = "ansible_collections.dbops.alembic.docsite.guide_variables"
TITLE = "Further variables"
GUIDE_HEAD = f"""..
  Copyright (c) 2026, dbops.alembic contributors
  GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later
  Made from roles/*/meta/further_options.yml by `make readmes`.

.. _{LABEL}:

{TITLE}
{"=" * len(TITLE)}

Variables that few need, and those that the playbooks hand to a role. All others are in the documentation of the roles, which
``ansible-doc -t role`` shows. The playbooks check these as they check those, before anything is touched.
"""
#: O(name=value), V(value), C(code), M(module), I(text), B(text), R(text,label) of Ansible's documentation; a bracket inside is \\).
MARKUP = re.compile(r"\b([OVCMIBR])\(((?:\\.|[^()\\])*(?:\([^()]*\))?(?:\\.|[^()\\])*)\)")


def markdown(text: str | list[str]) -> str:
    """A description on one line, as a cell of a table can hold it."""
    whole = " ".join(text) if isinstance(text, list) else text
    return " ".join(MARKUP.sub(_marked, whole).split()).replace("|", "\\|")


def _marked(found: re.Match[str]) -> str:
    kind, text = found[1], re.sub(r"\\(.)", r"\1", found[2])
    if kind in "IB":
        return f"*{text}*"
    if kind == "R":
        text, label = text.rsplit(",", 1)
        return f"[{text}](../../docs/docsite/rst/{label.rsplit('.', 1)[1]}.rst)"
    if kind == "O":
        text = re.sub(r"^[\w.]+#\w+:(?:\w+:)?", "", text)  # the option of another module or role
    return f"`{text}`"


def page(role: str, entries: dict[str, Any], further: dict[str, Any]) -> str:
    main = entries["main"]
    special = {
        name: option for entry in entries.values() for name, option in entry["options"].items() if name not in main["options"]
    }
    return "\n".join(
        [
            HEAD,
            f"# dbops.alembic.{role}\n",
            *(f"{markdown(line)}\n" for line in [f"{main['short_description']}.", *main["description"]]),
            *_entry_points(entries),
            *(_example(role, main["options"]) if len(entries) > 1 else []),  # else it belongs to the playbooks
            *_options("Variables", {**main["options"], **special}),
            f"`ansible-doc -t role dbops.alembic.{role}` shows the same.\n",
            *(_options(TITLE, further) if further else []),
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


def _options(title: str, options: dict[str, Any]) -> list[str]:
    rows = [f"| `{name}` | {_type(option)} | {_default(option)} | {_told(option)} |" for name, option in options.items()]
    return [f"## {title}\n", "| variable | type | default | |", "| --- | --- | --- | --- |", *rows, ""]


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


def guide(further: dict[str, dict[str, Any]]) -> str:
    """The page of what few need: role → variable → option."""
    return "\n".join([GUIDE_HEAD, *(line for role, options in further.items() if options for line in _section(role, options))])


def _section(role: str, options: dict[str, Any]) -> list[str]:
    title = f"The role {role}"
    return [title, "-" * len(title), "", *(line for name, option in options.items() for line in _entry(name, option))]


def _entry(name: str, option: dict[str, Any]) -> list[str]:
    default = _default(option).replace("\\|", "|")
    told = f"{_type(option)}, {default}" if default else _type(option)
    text = _told(option).replace("\\|", "|").replace("`", "``")
    return [f"``{name}`` ({told.replace('`', '``')})", *textwrap.wrap(text, 136, initial_indent="   ", subsequent_indent="   "), ""]


def pages() -> dict[Path, str]:
    """Path → what belongs there, of every role."""
    folders = [path.parents[1] for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))]
    specs = {folder: yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"] for folder in folders}
    return {folder / "README.md": page(folder.name, specs[folder], further(folder)) for folder in folders}


def further(folder: Path) -> dict[str, Any]:
    """Variable → option, of what few need of a role."""
    path = folder / "meta" / "further_options.yml"
    found: dict[str, Any] = yaml.safe_load(path.read_text())["options"] if path.exists() else {}
    return found


def guides() -> dict[Path, str]:
    return {GUIDE: guide({folder.name: further(folder) for folder in sorted((ROOT / "roles").iterdir()) if folder.is_dir()})}


def main() -> int:
    for path, text in {**pages(), **guides()}.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
