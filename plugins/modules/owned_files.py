#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: owned_files
short_description: Write files over what this collection wrote, and over nothing else
description:
  - Writes several files in one call. A file that is there and is not shown to be one of this collection's stays as it is; the
    others are written all the same, and the task fails and says which were refused.
  - Each is replaced in one rename. A folder that is missing is made with mode C(0700).
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: An absolute path.
        type: path
        required: true
      content:
        description: What it is to hold.
        type: str
        required: true
      mode:
        description: Its mode, in octal digits.
        type: str
        default: "0600"
  kind:
    description:
      - What a file that is there has to be.
      - V(report) says in its head that it was made here. V(plan) is what the filter P(dbops.alembic.plan_report#filter) has
        written.
    type: str
    choices: [plan, report]
    default: report
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details:
      - Which files are written, not what is in them.
seealso:
  - module: dbops.alembic.owned_path
  - plugin: dbops.alembic.deployment_report
    plugin_type: filter
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Keep the report of a deployment
  dbops.alembic.owned_files:
    files:
      - path: /var/lib/dbops/shop/shop.html
        content: "{{ deployment_result | dbops.alembic.deployment_report('html') }}"
      - path: /var/lib/dbops/shop/shop.result.json
        content: "{{ deployment_result | dbops.alembic.deployment_report('json') }}"
"""

RETURN = r"""
written:
  description: The files that were written, or would be.
  returned: always
  type: list
  elements: str
  sample: [/var/lib/dbops/shop/shop.html]
same:
  description: The files that were so already.
  returned: always
  type: list
  elements: str
  sample: []
refused:
  description: The files that were not written, each with the reason.
  returned: always
  type: list
  elements: dict
  sample: []
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: not_ours
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Look whose it is, and whether this user may write to it.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._owned_paths import owned_files_spec, run_owned_files


def main() -> None:
    module = owned_files_spec().create_module()
    try:
        result = run_owned_files(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
