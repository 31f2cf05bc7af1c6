# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""--tags never silently does nothing: a playbook refuses it. A role used by itself runs whole, and checks what it is given."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.paths import CACHE, ROOT, TREE
from support.playbook import command as ansible_playbook
from support.quick import some

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
QUICK = ("maintenance_window", "plan_check")  # one that begins with the names, and the one that does not


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """The status and the output of ansible-playbook over one host that nothing has to be done on."""
    variables = {
        "application_name": "shop",
        "ansible_connection": "local",
        "schema_database_url": f"sqlite:///{folder}/shop.db",
        "application_services": [],
        "plan_check_path": str(folder),
    }
    (folder / "hosts.json").write_text(json.dumps({"application": {"hosts": {"one": {}}}}))
    command = [*ansible_playbook(), "-i", str(folder / "hosts.json"), "-e", json.dumps(variables), *arguments]
    places = {"ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_HOME": str(CACHE / "ansible")}
    environment = {**os.environ, **places, "ANSIBLE_STDOUT_CALLBACK": "default"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


#: Each playbook has to look; both options are then looked at by the same filter.
CASES = [*((name, "--tags", "deploy") for name in PLAYBOOKS), *((name, "--skip-tags", "untagged") for name in QUICK)]


@pytest.mark.parametrize(("name", "option", "tag"), some(CASES, *(case for case in CASES if case[0] in QUICK)))
def test_a_playbook_refuses_what_would_leave_out_its_tasks(name: str, option: str, tag: str, tmp_path: Path) -> None:
    status, output = run(tmp_path, f"dbops.alembic.{name}", option, tag)
    assert status == 2, output
    assert f"{option} {tag} leaves out" in " ".join(output.split()), output


def test_tags_that_take_everything_are_no_reason(tmp_path: Path) -> None:
    _, output = run(tmp_path, "dbops.alembic.plan_check", "--tags", "untagged", "--skip-tags", "other")
    assert "leaves out" not in output and "Rehearse the pending revisions" in output, output


def test_a_playbook_that_another_one_tags_runs_with_that_tag_and_is_silent_with_another(tmp_path: Path) -> None:
    site = tmp_path / "site.yml"
    site.write_text(json.dumps([{"import_playbook": "dbops.alembic.plan_check", "tags": "ours"}]))
    _, asked = run(tmp_path, str(site), "--tags", "ours")
    assert "Rehearse the pending revisions" in asked and "leaves out" not in asked, asked
    status, other = run(tmp_path, str(site), "--tags", "theirs")
    assert status == 0 and "Rehearse the pending revisions" not in other, other


def test_a_role_that_a_play_tags_runs_whole(tmp_path: Path) -> None:
    """What a role includes as it goes along runs with the tag that the play gives the role."""
    play = tmp_path / "play.yml"
    role = {
        "role": "dbops.alembic.health",
        "health_command": ["test", "-e", str(tmp_path / "absent")],
        "health_retries": 0,
        "tags": "ours",
    }
    play.write_text(json.dumps([{"hosts": "one", "gather_facts": False, "roles": [role]}]))
    status, output = run(tmp_path, str(play), "--tags", "ours")
    assert status == 2 and "is not healthy" in output, output


def test_a_role_by_itself_refuses_what_few_need_as_well(tmp_path: Path) -> None:
    """ansible-core only looks at what meta/argument_specs.yml tells of."""
    play = tmp_path / "play.yml"
    role = {"role": "dbops.alembic.health", "health_command": ["false"], "health_validate_certs": "perhaps"}
    play.write_text(json.dumps([{"hosts": "one", "gather_facts": False, "roles": [role]}]))
    status, output = run(tmp_path, str(play))
    assert status == 2 and "health_validate_certs" in output and "is not healthy" not in output, output
