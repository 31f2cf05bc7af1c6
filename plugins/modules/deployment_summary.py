#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is a virtual module that is entirely implemented as an action plugin and runs on the controller.

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_summary
short_description: Show what a deployment came to, as text
description:
  - Prints to the terminal what a playbook of this collection found or did, as lines of text of 80 columns.
  - Every callback shows them as they are, AWX too, where a task with M(ansible.builtin.debug) would show a list in JSON.
  - Names and paths are never cut. Passwords are masked, control characters are written out.
  - Runs on the controller and changes nothing.
options:
  deployment:
    description: The fact C(deployment_result) of the role P(dbops.alembic.deployment#role).
    type: dict
  status:
    description: The fact C(deployment_status) of that role.
    type: dict
  plan:
    description: What M(dbops.alembic.alembic_plan) found, or M(dbops.alembic.alembic_fleet) with C(state=planned).
    type: dict
    version_added: 0.2.0
  archive:
    description: The fact C(backup_archive) of the role P(dbops.alembic.backup#role); empty in check mode.
    type: dict
  handed_on:
    description:
      - Whether to hand it to what runs the playbook too, as M(ansible.builtin.set_stats) does, under the name C(dbops_deployment),
        C(dbops_status), C(dbops_plan) or C(dbops_archive).
    type: bool
    default: false
    version_added: 0.2.0
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
seealso:
  - plugin: dbops.alembic.deployment
    plugin_type: callback
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Show the report again
  dbops.alembic.deployment_summary:
    deployment: "{{ deployment_result }}"
"""

RETURN = r"""
lines:
  description: The lines that were shown.
  returned: success
  type: list
  elements: str
  sample:
    - "shop: release 1.2 serves."
    - "Release       1.1 -> 1.2 on shop1, shop2"
"""
