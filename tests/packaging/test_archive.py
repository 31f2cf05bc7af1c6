# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the archive: all that a user needs, and nothing else."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
import yaml

from checkout import files
from support.paths import ROOT

MADE_BY_BUILD = {"MANIFEST.json", "FILES.json"}
ALONE = {"README.md", "CHANGELOG.md", "COPYING", "changelogs/changelog.yaml"}
FOLDERS = ("LICENSES/", "docs/", "meta/", "playbooks/", "plugins/", "roles/")
#: What makes a site of the documentation, in a checkout.
SITE = "docs/site/"
SHIPPED = [name for name in files() if name in ALONE or (name.startswith(FOLDERS) and not name.startswith(SITE))]


@pytest.fixture(scope="module")
def members(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as content:
        return {member.name: member for member in content.getmembers() if not member.isdir()}


def test_archive_holds_what_ships_and_nothing_else(members: dict[str, tarfile.TarInfo]) -> None:
    assert sorted(members) == sorted({*SHIPPED, *MADE_BY_BUILD})


def test_archive_is_small(archive: Path) -> None:
    assert archive.stat().st_size < 1_100_000


def test_links_stay_inside(members: dict[str, tarfile.TarInfo]) -> None:
    links = {name: member.linkname for name, member in members.items() if member.issym() or member.islnk()}
    assert links == {"COPYING": "LICENSES/GPL-3.0-or-later.txt"}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_links_of_a_page_lead_somewhere(page: str, members: dict[str, tarfile.TarInfo]) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text())
    assert [target for target in targets if not any(name == target or name.startswith(f"{target}/") for name in members)] == []


def test_readme_names_what_there_is() -> None:
    """Every module, role and playbook, and nothing else, in the tables of the README."""
    tables: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (.+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE):
        if row in ("module", "role", "playbook"):
            table = tables.setdefault(row, set())
        elif tables and row.startswith("`"):
            table.update(re.findall(r"`(\w+)`", row))
    assert tables == {
        "module": {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")},
        "role": {path.name for path in (ROOT / "roles").glob("[a-z]*")},
        "playbook": {path.stem for path in (ROOT / "playbooks").glob("*.yml")},
    }


def test_action_group_is_the_alembic_modules() -> None:
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("alembic_*.py")}
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert set(groups["alembic"]) == modules


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.endswith((".py", ".yml", ".rst"))])
def test_file_says_its_licence(name: str) -> None:
    head = (ROOT / name).read_text()[:600]
    licence = "BSD-2-Clause" if name.startswith("plugins/module_utils/") else "GPL-3.0-or-later"
    assert f"SPDX-{'License-Identifier'}: {licence}" in head  # in two parts, as REUSE reads this file too
    if name.startswith("plugins/"):
        assert f"LICENSES/{licence}.txt" in head
