# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter plan_report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_report
short_description: Write the plan of the pending revisions for people or for a merge request
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the result of M(dbops.alembic.alembic_plan) and returns a text.
positional: _input, format
options:
  _input:
    description:
      - The result of M(dbops.alembic.alembic_plan).
    type: dict
    required: true
  format:
    description:
      - V(html) is a page that stands by itself, V(markdown) a comment for a merge request.
      - V(sarif) is SARIF 2.1.0, with a result for each finding; what a revision allows is suppressed with its reason.
      - V(junit) is JUnit XML, with a test case for each revision, which fails on what stops or breaks running code.
    type: str
    choices: [html, markdown, sarif, junit]
    required: true
  root:
    description:
      - Folder that the paths of the revisions are written relative to, such as the checkout of the merge request.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Keep the plan as a page
  ansible.builtin.copy:
    content: "{{ orders_plan | dbops.alembic.plan_report('html') }}"
    dest: plan.html
    mode: "0644"
"""

RETURN = r"""
_value:
  description:
    - The text.
  type: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.plugin_utils._plan_report import FORMATS


def plan_report(plan: Any, format: str, root: str = "") -> str:  # pylint: disable=redefined-builtin  # the name of the option
    if format not in FORMATS:
        raise AnsibleFilterError(f"plan_report knows no format {format!r}; it knows {', '.join(FORMATS)}.")
    if not isinstance(plan, dict) or not {"route", "reason", "revisions", "rollback"} <= set(plan):
        raise AnsibleFilterError("plan_report wants the result of alembic_plan. Register it, and hand it over as it is.")
    return FORMATS[format](plan, root)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Any]:
        return {"plan_report": plan_report}
