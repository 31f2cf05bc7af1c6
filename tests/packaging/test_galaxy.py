# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy asks of a collection: its importer takes the artefact, and what it shows beside it is there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import DOCUMENTATION

from environments import controller_python, virtual_environment
from support.paths import ROOT

CONFIG = """
[galaxy-importer]
LOG_LEVEL_MAIN=INFO
RUN_ANSIBLE_DOC=True
RUN_ANSIBLE_LINT=False
RUN_ANSIBLE_TEST=False
CHECK_REQUIRED_TAGS=True
CHECK_CHANGELOG=True
CHECK_RUNTIME=True
"""  # make lint and make sanity are ansible-lint and ansible-test
IMPORT = """
import json, logging, sys
from galaxy_importer import collection, config
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
with open(sys.argv[1], "rb") as artefact:
    read = config.Config(config.ConfigFile.load())
    data = collection.import_collection(file=artefact, logger=logging.getLogger("import"), cfg=read)
print(json.dumps(data, default=str))
"""
CONTENTS = {"module": "modules", "filter": "filter", "callback": "callback", "role": "roles", "playbook": "playbooks"}


@pytest.fixture(scope="module")
def imported(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What the importer found, and what it said."""
    place = tmp_path_factory.mktemp("importer")
    (place / "importer.cfg").write_text(CONFIG)
    python = virtual_environment("delivery", controller_python())
    environment = {
        **os.environ,
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "GALAXY_IMPORTER_CONFIG": str(place / "importer.cfg"),
        "HOME": str(place),
    }
    done = subprocess.run(
        [str(python), "-c", IMPORT, str(archive)], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_importer_takes_the_artefact_and_warns_of_nothing(imported: tuple[dict[str, Any], str]) -> None:
    said = [line for line in imported[1].splitlines() if line.startswith(("WARNING:import", "ERROR"))]
    assert said == []


@pytest.mark.parametrize("kind", CONTENTS)
def test_it_finds_all_that_there_is(kind: str, imported: tuple[dict[str, Any], str]) -> None:
    found = {entry["name"].removesuffix(".yml") for entry in imported[0]["contents"] if entry["content_type"] == kind}
    folder = ROOT / CONTENTS[kind] if kind in ("role", "playbook") else ROOT / "plugins" / CONTENTS[kind]
    there = {path.stem for path in folder.iterdir() if path.is_dir() == (kind == "role") and not path.name.startswith("_")}
    assert found == there


def test_the_changelog_holds_what_was_released_and_not_what_is_coming() -> None:
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert "0.1.0" in releases
    assert version in releases or list((ROOT / "changelogs" / "fragments").glob("*.yml")), "nothing tells what this version brings"
    assert version >= max(releases)
    assert all(release in (ROOT / "CHANGELOG.md").read_text().replace("\\", "") for release in releases)


@pytest.mark.parametrize("section", ["Requirements", "Install", "Support", "Communication", "Deprecation", "Releasing", "Licence"])
def test_the_readme_has_what_the_inclusion_checklist_asks_for(section: str) -> None:
    assert f"\n## {section}" in (ROOT / "README.md").read_text()


def test_the_project_names_its_places() -> None:
    about = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert all(about[field].startswith(about["homepage"]) for field in ("repository", "documentation", "issues"))
    assert about["documentation"] == DOCUMENTATION  # which messages lead to
