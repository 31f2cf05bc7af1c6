# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipelines of the guide, and our own, against the schemas of those who run them."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from environments import controller_python, virtual_environment
from support.paths import ROOT

GUIDE = (ROOT / "docs" / "docsite" / "rst" / "guide_pipelines.rst").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"code-block:: yaml\n\n((?:   .*\n|\n)+)", GUIDE)]
OURS = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
PIPELINES = {
    "github": (BLOCKS[0], "vendor.github-workflows"),
    "gitlab": (BLOCKS[1], "vendor.gitlab-ci"),
    "ours": (OURS, "vendor.github-workflows"),
}


def check(text: str, schema: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "pipeline.yml").write_text(text)
    program = virtual_environment("delivery", controller_python()).parent / "check-jsonschema"
    command = [str(program), "--builtin-schema", schema, str(folder / "pipeline.yml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_as_its_schema_wants_it(name: str, tmp_path: Path) -> None:
    text, schema = PIPELINES[name]
    done = check(text, schema, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert check(re.sub(r"(?m)^( *)(runs-on|script):", r"\1oops:", text), schema, tmp_path).returncode == 1


@pytest.mark.parametrize("playbook", sorted(set(re.findall(r"ansible-playbook.* dbops\.alembic\.(\w+)", GUIDE))))
def test_the_playbooks_are_there(playbook: str) -> None:
    assert (ROOT / "playbooks" / f"{playbook}.yml").exists()
