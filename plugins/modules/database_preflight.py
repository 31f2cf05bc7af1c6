#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_preflight
short_description: Find out in one call what an upgrade would do, and how to go back
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
description:
  - Asks one process what M(dbops.alembic.alembic_info), M(dbops.alembic.alembic_plan) and M(dbops.alembic.database_backup_info)
    find out, as a deployment needs it before anything is stopped.
  - What forbids to upgrade is returned and is no failure. Then, and where nothing is pending, the other questions are not asked.
  - A rehearsal that fails is a warning, and so is what one should know of the way back. What can be done without a rehearsal is for
    the playbook to say.
  - What RV(refusals) advises are variables of the roles P(dbops.alembic.schema#role) and P(dbops.alembic.backup#role).
extends_documentation_fragment:
  - dbops.alembic.project
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  revision:
    description: The target of the upgrade.
    type: str
    default: head
  max_pending:
    description: How many revisions may be pending; V(0) for any number.
    type: int
    default: 0
  expect_current:
    description: Revisions at which the database has to be where something is pending, V(base) for none. Empty for any.
    type: list
    elements: str
    default: []
  initialise:
    description: What M(dbops.alembic.alembic_upgrade) will do with a database without a version table; V(refuse) forbids to begin.
    type: str
    choices: [upgrade, command, stamp, refuse]
    default: upgrade
  rehearsal:
    description:
      - How the pending revisions are rehearsed, with the options that M(dbops.alembic.alembic_plan) has of the same names. Without
        it they are not.
    type: dict
    suboptions:
      mode:
        description: As O(dbops.alembic.alembic_plan#module:mode).
        type: str
        choices: [auto, rehearse, static]
        default: auto
      scratch_url:
        description: As O(dbops.alembic.alembic_plan#module:scratch_url).
        type: str
      throwaway_cluster:
        description: As O(dbops.alembic.alembic_plan#module:throwaway_cluster).
        type: bool
        default: true
      maintenance_database:
        description: As O(dbops.alembic.alembic_plan#module:maintenance_database).
        type: str
      postgresql_programs:
        description: As O(dbops.alembic.alembic_plan#module:postgresql_programs).
        type: path
      large_rows:
        description: As O(dbops.alembic.alembic_plan#module:large_rows).
        type: int
        default: 100000
      large_mebibytes:
        description: As O(dbops.alembic.alembic_plan#module:large_mebibytes).
        type: int
        default: 64
      data_checks:
        description: As O(dbops.alembic.alembic_plan#module:data_checks).
        type: bool
        default: true
      data_checks_timeout:
        description: As O(dbops.alembic.alembic_plan#module:data_checks_timeout).
        type: float
        default: 10
      observed_statements:
        description: As O(dbops.alembic.alembic_plan#module:observed_statements).
        type: int
        default: 0
      application_roles:
        description: As O(dbops.alembic.alembic_plan#module:application_roles).
        type: list
        elements: str
      may_break:
        description: As O(dbops.alembic.alembic_plan#module:may_break).
        type: str
        choices: [warn, contract]
        default: warn
      unknown:
        description: As O(dbops.alembic.alembic_plan#module:unknown).
        type: str
        choices: [maintenance_window, refuse]
        default: maintenance_window
  backup:
    description:
      - What is asked about the way back, with the options that M(dbops.alembic.database_backup_info) has of the same names. Without
        it nobody asks. It needs O(url).
    type: dict
    suboptions:
      maintenance_database:
        description: As O(dbops.alembic.database_backup_info#module:maintenance_database).
        type: str
      free_bytes:
        description: As O(dbops.alembic.database_backup_info#module:free_bytes).
        type: int
      accept:
        description: As O(dbops.alembic.database_backup_info#module:accept).
        type: list
        elements: str
        choices: [logical_replication_slots, subscriptions, security_labels, insufficient_space, pooler, database_missing]
        default: []
      snapshot:
        description: As O(dbops.alembic.database_backup_info#module:snapshot).
        type: bool
        default: true
      archive:
        description: As O(dbops.alembic.database_backup_info#module:archive).
        type: bool
        default: true
      check:
        description: As O(dbops.alembic.database_backup_info#module:check).
        type: str
        choices: [always, way_back, never]
        default: always
      window:
        description: As O(dbops.alembic.database_backup_info#module:window).
        type: bool
        default: true
      binding:
        description: As O(dbops.alembic.database_backup_info#module:binding).
        type: bool
        default: false
      careless:
        description: As O(dbops.alembic.database_backup_info#module:careless).
        type: bool
        default: false
      format:
        description: As O(dbops.alembic.database_backup_info#module:format).
        type: str
        choices: [custom, directory, plain]
        default: custom
      programs:
        description: As O(dbops.alembic.database_backup_info#module:programs).
        type: path
      program_check:
        description: As O(dbops.alembic.database_backup_info#module:program_check).
        type: bool
        default: true
  ready:
    description:
      - Whether to leave a process on the host that M(dbops.alembic.database_steps) takes its steps in, so that nothing has to be
        loaded when the application is stopped already.
      - V(libraries) has loaded SQLAlchemy, Alembic and the driver. V(project) has loaded besides what C(env.py) begins with, the
        application's models among it, so that what changes in its files afterwards is not seen.
      - It has connected to nothing. It ends by itself when it has been told nothing for a minute, and then has done nothing.
      - In check mode none is left.
    type: str
    choices: [nothing, libraries, project]
    default: nothing
    version_added: 0.2.0
seealso:
  - module: dbops.alembic.alembic_info
  - module: dbops.alembic.alembic_plan
  - module: dbops.alembic.database_backup_info
"""

EXAMPLES = r"""
- name: Find out what the release brings
  dbops.alembic.database_preflight:
    chdir: /srv/orders/releases/1.4.0
    virtualenv: /srv/orders/releases/1.4.0/venv
    url: "{{ orders_database_url }}"
    rehearsal: {}
    backup: {}
  register: orders_preflight

- name: Refuse to begin
  ansible.builtin.assert:
    that: orders_preflight.refusals | length == 0
    fail_msg: "{{ orders_preflight.refusals | join(' ') }}"
"""

RETURN = r"""
plan:
  description: Where the databases stand and where the upgrade brings them, as the fact C(schema_plan) has it.
  returned: success
  type: dict
  sample: {from_revision: [a3f07d5e1c92], to_revision: [c64b2e98d075], initialised: true, pending: [], database: {}}
refusals:
  description: What forbids to upgrade, or to do so with this way back, and what to do. Empty when nothing does.
  returned: success
  type: list
  elements: str
  sample: []
rehearsal:
  description: What M(dbops.alembic.alembic_plan) returns. Empty where nothing was rehearsed.
  returned: success
  type: dict
  sample: {route: rolling, reason: Old and new code can run at once.}
backup:
  description: What M(dbops.alembic.database_backup_info) returns. Empty where nobody asked.
  returned: success
  type: dict
  sample: {way_back: snapshot, refused: [], needed_bytes: 74864319, archive: {}, refusals: [], remarks: []}
session:
  description:
    - Name of the process that was left ready, for O(dbops.alembic.database_steps#module:session). Empty where nothing is pending,
      something is refused, or none could be made.
  returned: success
  type: str
  sample: 5d2b1c0e9f7a4b3c8d6e1f0a2b4c6d8e
  version_added: 0.2.0
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: connection_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check the host and the port of the URL.
output:
  description: The end of what the application printed.
  returned: failure
  type: str
  sample: ""
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._preflight import bridge_of, preflight_spec, run_preflight


def main() -> None:
    module = preflight_spec().create_module()
    try:
        result = run_preflight(bridge_of(module), module.params, module.run_command, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
