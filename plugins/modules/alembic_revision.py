#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_revision
short_description: Make a revision in an application's Alembic project
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Writes a new revision file into a checkout of the project, for pipelines and development machines.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.project
  - dbops.alembic.attributes
  - dbops.alembic.attributes.alembic
options:
  method:
    description:
      - V(empty) makes a revision to be filled in by hand. Without O(revision_id) each run makes another one.
      - V(autogenerate) makes one from what differs between models and database, which has to be at the heads; when nothing
        differs, no file is made and nothing has changed. Read what it wrote before using it.
      - V(merge) joins several heads; when there is one head only, nothing has changed.
    type: str
    choices: [empty, autogenerate, merge]
    default: empty
  title:
    description:
      - What the revision is about, the C(-m) of the C(alembic) program. The name of its file is made from it.
    type: str
  head:
    description:
      - Revision that the new one follows, a head unless O(splice) is set. Not used with O(method=merge).
    type: str
    default: head
  heads:
    description:
      - Revisions to merge; all heads without it. Used with O(method=merge) only.
    type: list
    elements: str
  splice:
    description:
      - Allow O(head) to be a revision that is no head, which starts a branch.
    type: bool
    default: false
  branch_label:
    description:
      - Label for the branch that the revision starts.
    type: str
  version_path:
    description:
      - Folder for the file, one of the project's C(version_locations).
    type: path
  revision_id:
    description:
      - Identifier of the revision. When the project has it already, nothing is done. A random one without this.
    type: str
  depends_on:
    description:
      - Revisions of other branches that this one depends on.
    type: list
    elements: str
attributes:
  check_mode:
    support: full
    details:
      - Says whether a revision would be made, and writes nothing.
  diff_mode:
    support: full
    details:
      - Shows the new file.
seealso:
  - module: dbops.alembic.alembic_info
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.alembic_downgrade
  - module: dbops.alembic.alembic_stamp
  - module: dbops.alembic.alembic_check
"""

EXAMPLES = r"""
- name: Make a revision from the models
  dbops.alembic.alembic_revision:
    chdir: "{{ checkout }}"
    virtualenv: "{{ checkout }}/.venv"
    url: sqlite:////tmp/scratch.db
    method: autogenerate
    title: add orders.total

- name: Make an empty revision once
  dbops.alembic.alembic_revision:
    chdir: "{{ checkout }}"
    virtualenv: "{{ checkout }}/.venv"
    title: backfill orders.total
    revision_id: 20260120backfill

- name: Merge the heads that two pull requests have left
  dbops.alembic.alembic_revision:
    chdir: "{{ checkout }}"
    virtualenv: "{{ checkout }}/.venv"
    method: merge
    title: merge heads
"""

RETURN = r"""
versions:
  description: Versions of what the project runs on.
  returned: when Alembic could be imported
  type: dict
  contains:
    alembic:
      description: Version of Alembic.
      type: str
      sample: 1.16.5
    sqlalchemy:
      description: Version of SQLAlchemy.
      type: str
      sample: 2.0.44
    python:
      description: Version of the application's Python.
      type: str
      sample: 3.12.3
  sample:
    alembic: 1.16.5
    sqlalchemy: 2.0.44
    python: 3.12.3

revisions:
  description:
    - Revisions that were made, or would be made.
    - In check mode there is no path, and no identifier other than O(revision_id).
  returned: success
  type: list
  elements: dict
  contains:
    revision:
      description: Revision.
      type: str
      sample: ae1027a6acf5
    message:
      description: First line of its text.
      type: str
      sample: add orders.total
    down_revision:
      description: Revisions that it follows; several for a merge.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    path:
      description: File that was written.
      type: str
      sample: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
  sample:
    - revision: ae1027a6acf5
      message: add orders.total
      down_revision: [27c6a30d7c24]
      path: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py

operations:
  description: What differs between models and database; empty unless O(method=autogenerate).
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: What would bring the database to the models, in Alembic's words.
      type: str
      sample: add_column
    schema:
      description: Schema of the table.
      type: str
      sample: null
    table:
      description: Table.
      type: str
      sample: orders
    name:
      description: Name of the column, index or constraint.
      type: str
      sample: total
    detail:
      description: The rest of it, as text.
      type: str
      sample: total NUMERIC
    database:
      description: Name of the engine in a project with several databases.
      type: str
      sample: null
  sample:
    - operation: add_column
      schema: null
      table: orders
      name: total
      detail: total NUMERIC
      database: null

error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: lock_timeout
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check host, port and database name, and that the server is up.
output:
  description: The end of what the application printed.
  returned: failure
  type: str
  sample: ""

file:
  description: File in which it happened.
  returned: failure, where it is known
  type: str
  sample: /srv/orders/migrations/env.py
line:
  description: Line of it.
  returned: failure, where it is known
  type: int
  sample: 12
source:
  description: Text of that line.
  returned: failure, where it is known
  type: str
  sample: from orders.settings import settings
statement:
  description: SQL statement that failed, without its parameters.
  returned: failure, where it is known
  type: str
  sample: SELECT alembic_version.version_num FROM alembic_version
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: 42P01
"""

from ansible_collections.dbops.alembic.plugins.module_utils._argspec import revision_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._operations import run_revision


def main() -> None:
    module = revision_spec().create_module()
    params = dict(module.params, message=module.params["title"])  # "message" is taken by Ansible
    try:
        outcome = run_revision(bridge_for(module), params, dry=module.check_mode, diff=module._diff)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
