# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed collection works by itself, away from the checkout."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from environments import CORES, DEV_CORE, core_programs
from support import venvs
from support.installed import Installed
from support.paths import ROOT
from support.projects import build
from support.sqlite import SqliteDatabase

PLAY = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/dbops.alembic.alembic:
      chdir: "{{ project }}"
      python: "{{ python }}"
  tasks:
    - dbops.alembic.alembic_info:
      register: before
    - dbops.alembic.alembic_upgrade:
      register: upgraded
    - dbops.alembic.alembic_upgrade:
      register: again
    - dbops.alembic.alembic_info:
      register: after
    - ansible.builtin.copy:
        content: "{{ {'before': before, 'upgraded': upgraded, 'again': again, 'after': after} | to_json }}"
        dest: "{{ results }}"
        mode: "0600"
"""
DOCUMENTED = {"module": "modules", "filter": "filter"}
PLUGINS = [
    (kind, path.stem) for kind, folder in DOCUMENTED.items() for path in sorted((ROOT / "plugins" / folder).glob("[!_]*.py"))
]


@pytest.mark.parametrize("core", [core if core == DEV_CORE else pytest.param(core, marks=pytest.mark.slow) for core in CORES])
def test_migrates_a_project(core: str, installed: Installed, tmp_path: Path) -> None:
    try:
        programs = core_programs(core)
    except venvs.NoInterpreter as problem:
        pytest.skip(f"ansible-core {core}: {problem}")
    database = SqliteDatabase(tmp_path / "data.sqlite")
    project = build("linear", tmp_path / "project", database.url())
    play, results = tmp_path / "play.yml", tmp_path / "results.json"
    play.write_text(PLAY)
    variables = {"project": str(project.folder), "python": str(venvs.application("alembic120")), "results": str(results)}
    installed.run("ansible-playbook", str(play), "-e", json.dumps(variables), programs=programs)

    seen = json.loads(results.read_text())
    assert [seen[name]["changed"] for name in seen] == [False, True, False, False]
    revisions = sorted(path.name.split("_")[0] for path in project.versions().glob("r*.py"))
    assert [step["revision"] for step in seen["before"]["pending"]] == revisions
    assert seen["after"]["status"] == "at_target"
    assert database.fetch("select version_num from alembic_version") == [(revisions[-1],)]


def test_is_what_was_built(installed: Installed) -> None:
    installed.run(
        "ansible-galaxy", "collection", "verify", "--offline", "dbops.alembic", "--collections-path", str(installed.folder)
    )


@pytest.fixture(scope="module")
def documentation(installed: Installed) -> dict[str, dict[str, Any]]:
    """Of each kind of plugin, what ansible-doc knows by name."""
    names = {kind: [f"dbops.alembic.{name}" for of, name in PLUGINS if of == kind] for kind in DOCUMENTED}
    return {kind: json.loads(installed.run("ansible-doc", "--json", "--type", kind, *names[kind])) for kind in DOCUMENTED}


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_plugin_documents_itself(kind: str, name: str, documentation: dict[str, dict[str, Any]]) -> None:
    entry = documentation[kind][f"dbops.alembic.{name}"]
    assert entry["doc"]["short_description"] and entry["examples"]


def test_the_documentation_of_a_role_fits_two_screens(installed: Installed) -> None:
    """Of 75 lines each. What is special to few is in a guide; see meta/further_options.yml."""
    roles = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
    text = installed.run("ansible-doc", "--type", "role", *(f"dbops.alembic.{role}" for role in roles))
    lines = {
        found[1]: found[0].count("\n") for found in re.finditer(r"^> ROLE: \S*?alembic\.(\w+).*\n(?:(?!> ROLE:).*\n)*", text, re.M)
    }
    assert sorted(lines) == roles
    assert {role: count for role, count in lines.items() if count > 150} == {}


def test_playbooks_are_found_by_name(installed: Installed) -> None:
    names = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
    said = installed.run("ansible-playbook", "--syntax-check", *(f"dbops.alembic.{name}" for name in names))
    assert re.findall(r"^playbook: (.*)$", said, re.M) == [
        str(installed.collection / "playbooks" / f"{name}.yml") for name in names
    ]
