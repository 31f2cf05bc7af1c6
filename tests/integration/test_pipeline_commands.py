# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the pipelines in the guide, as a shell reads them there: a tag is deployed, backed up, and taken back.

What installs Ansible and collections needs a Galaxy server, and what comments needs the host of the repository: those are not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.stage import Stage, write_tree
from support import guide, venvs
from support.paths import ROOT, TREE
from support.postgres import Postgres

GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_pipelines.rst"
#: Pipeline → the variable that has the tag there.
TAGS = {"GitHub Actions": "GITHUB_REF_NAME", "GitLab CI": "CI_COMMIT_TAG"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def scripts(title: str) -> dict[str, str]:
    """Playbook → the line that runs it."""
    (text,) = (body for language, body in guide.blocks(guide.section(GUIDE, title)) if language == "yaml")
    assert yaml.safe_load(text)
    lines = re.findall(r"(?:run: |- )(ansible-playbook .*)", text)
    return {line.split("dbops.alembic.")[1].split()[0]: line for line in lines}


def sh(line: str, folder: Path, **variables: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE), "PWD": str(folder), **variables, "PATH": path}
    done = subprocess.run(["bash", "-euc", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("title", TAGS)
def test_the_commands_do_what_the_pipeline_says(title: str, tmp_path: Path, postgres: Postgres) -> None:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    given = {"schema_database_url": "{{ lookup('ansible.builtin.env', 'SHOP_DATABASE_URL') }}"}
    stage, run = Stage(tmp_path / "s", postgres, variables=given), scripts(title)
    assert set(run) == {"plan_check", "maintenance_window", "rollback", "backup"}
    try:
        stage.archive("1.0", "1.1")
        shutil.copy(stage.folder / "inventory.json", stage.folder / "inventory.yml")
        for tag in ("1.0", "1.1"):
            sh(run["maintenance_window"], stage.folder, **{**stage.environment, TAGS[title]: tag})
            assert {(active, status) for active, status, _ in stage.serving()} == {(tag, 200)}
        before = set((stage.folder / "archives").glob("*.pgc"))
        sh(run["backup"], stage.folder, **stage.environment)
        assert set((stage.folder / "archives").glob("*.pgc")) - before
        sh(run["rollback"], stage.folder, **stage.environment)
        assert {(active, status) for active, status, _ in stage.serving()} == {("1.0", 200)}
    finally:
        stage.close()


@pytest.mark.parametrize("title", TAGS)
def test_the_plan_of_a_merge_request(title: str, tmp_path: Path, postgres: Postgres) -> None:
    """Of a checkout whose env.py finds the database by itself, with nothing migrated yet."""
    checkout, database = write_tree("1.1", tmp_path / "checkout"), postgres.database(attributes="CREATEDB")
    (checkout / ".venv").symlink_to(venvs.application("shop").parents[1])
    try:
        said = sh(scripts(title)["plan_check"], checkout, DATABASE_URL=database.url())
        assert database.password not in said and "rolling" in (checkout / "plan.md").read_text()
        assert (checkout / "plan.sarif").exists() and (checkout / "plan.xml").exists() and (checkout / "plan.html").exists()
    finally:
        database.drop()
