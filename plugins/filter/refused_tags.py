# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter refused_tags."""

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_tags
short_description: Say why a playbook can not be run with the tags that were given
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - No task of the playbooks of this collection has a tag. With C(--tags) each of them would do nothing, and end well.
  - It returns a message where one of them was started with tags that leave out all its tasks. A playbook of somebody else that
    imports them may tag them, and then runs with or without them as it likes.
  - The playbooks use it before they touch a host.
positional: _input, skipped
options:
  _input:
    description: The tags to run, C(ansible_run_tags).
    type: list
    elements: str
    required: true
  skipped:
    description: The tags to leave out, C(ansible_skip_tags).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse tags that would leave out everything
  ansible.builtin.fail:
    msg: "{{ refused }}"
  when: refused | length > 0
  tags: always
  vars:
    refused: "{{ ansible_run_tags | dbops.alembic.refused_tags(ansible_skip_tags) }}"
"""

RETURN = r"""
_value:
  description: Why, or nothing where the tags leave out nothing.
  type: str
  sample: "--tags deploy leaves out every task of this playbook. …"
"""

from pathlib import Path
from typing import Any, Callable, Sequence

from ansible import context

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
WHY = (
    "leaves out every task of this playbook, as a part of a deployment is no deployment. Run it without tags. No host was touched."
)


def started() -> Sequence[str]:
    """The playbooks on the command line."""
    return [str(playbook) for playbook in context.CLIARGS.get("args", ())]


def is_ours(playbook: str) -> bool:
    """Whether it is one of this collection, by its name or by its path."""
    return playbook.startswith("dbops.alembic.") or Path(playbook).resolve().parent == PLAYBOOKS


def refused_tags(run: Sequence[str], skipped: Sequence[str]) -> str:
    if not any(map(is_ours, started())):
        return ""
    if not {"all", "untagged"} & set(run):
        return f"--tags {','.join(run)} {WHY}"
    left_out = {"all", "untagged", "always"} & set(skipped)
    return f"--skip-tags {','.join(skipped)} {WHY}" if left_out else ""


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"refused_tags": refused_tags}
