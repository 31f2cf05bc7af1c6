#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Find out whether a host brings what a deployment needs
description:
  - Looks at everything at once, before anything is built or stopped, and returns all that is wrong, each with what to do; and
    what a deployment has to know of the host, so that it asks once.
  - What is wrong with the host is returned and is no failure.
extends_documentation_fragment:
  - dbops.alembic.application_host
  - dbops.alembic.application_host.manager
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  services:
    description:
      - The services, as M(dbops.alembic.application_host) has them. Each has to be known to its manager, and not masked.
    type: list
    elements: str
    default: []
  health:
    description:
      - The health check of the next release. Its host has to have an address here, unless O(health.unix_socket) is given.
      - Where one of the O(services) runs, or with O(serving), it is asked once. What would be wrong with the answer is to be looked
        at and no problem, since what serves now may have another one. A command is not run, and O(health.release_key) not read.
  serving:
    description: Whether the application serves now where no service says so, such as a workload of Kubernetes.
    type: bool
    default: false
  unit_files_binding:
    description:
      - Whether a unit of systemd whose user or environment file is not there is wrong, or is only to be looked at, since
        something makes them before the start.
      - So it is with a host of O(health) that has no address here.
      - Files in C(/run) and C(/tmp), and those of the active release, are never asked for.
    type: bool
    default: true
  root:
    description:
      - The folder that holds C(releases/) and the link C(current). It has to be possible to build a release there.
      - A service whose command, folder and environment do not name the link is to be looked at.
    type: path
  version:
    description:
      - The release that is to be built in O(root). Where it is there already, O(python) and O(programs) are not needed.
    type: str
  room_binding:
    description: Whether a file system without room is wrong, or is only to be looked at. What goes back hardly needs any.
    type: bool
    default: true
  folders:
    description: More folders that this user has to be able to write to, or to make, with some room on their file systems.
    type: list
    elements: path
    default: []
  files:
    description:
      - Files that this user has to be able to read, by what they are for; the name is in the message. What is empty, and what is in
        the active release or another one of O(root), is never asked for.
      - Where O(unit_files_binding=false) they are only to be looked at too.
    type: dict
    default: {}
  links:
    description:
      - Links that a release will have, name to target. Targets with an absolute path that are not there are to be looked at; what
        is in a release of O(root) is never asked for.
    type: dict
    default: {}
  python:
    description: The Python that makes virtual environments. It has to have C(venv) and C(ensurepip).
    type: list
    elements: str
    default: []
  programs:
    description: Programs that have to be there.
    type: list
    elements: str
    default: []
  programs_directory:
    description: Where the programs of the database are looked for first.
    type: path
  database:
    description:
      - The database that has to be reached from here.
      - A connection to its host and port is made. PostgreSQL is connected to as well where there is C(psql), and what it says of
        a password, a role or a database counts; what could not be found out does not.
    type: dict
    suboptions:
      dialect:
        description: The kind of database, as P(dbops.alembic.database_url#filter) names it.
        type: str
        required: true
      host:
        description: The host. Without it and without O(database.socket) no connection is tried.
        type: str
      port:
        description: The port; the usual one unless told otherwise.
        type: int
      socket:
        description: The folder of PostgreSQL's Unix socket, or the path of MySQL's.
        type: str
      environment:
        description: The environment of its own programs, without the password, as P(dbops.alembic.database_url#filter) gives it.
        type: dict
        default: {}
      password:
        description: The password for that.
        type: str
      connect:
        description: Whether a connection is tried.
        type: bool
        default: true
      dump:
        description: Whether to look for the program that writes archives, which may not be older than PostgreSQL's server.
        type: bool
        default: false
      dump_needed:
        description:
          - When it is wrong that this program is not there or too old. Else it is only to be looked at.
          - V(without_snapshot) is where no snapshot can be made inside the server, since the role may create no database.
        type: str
        choices: [always, without_snapshot, never]
        default: never
seealso:
  - module: dbops.alembic.application_host_info
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Look whether the host brings what is needed
  dbops.alembic.host_check:
    services: [shop-web]
    root: /srv/shop
    python: [python3.12]
    programs: [git]
  register: host

- name: Refuse a host that does not
  ansible.builtin.fail:
    msg: "{{ host.problems | join('\n') }}"
  when: host.problems | length > 0
"""

RETURN = r"""
problems:
  description: What is wrong, each with what to do. Empty where a deployment can begin.
  returned: success
  type: list
  elements: str
  sample: ["git is not there. Install it."]
remarks:
  description: What is to be looked at and keeps nothing from working. They are warnings too.
  returned: success
  type: list
  elements: str
  sample: []
release:
  description: The releases of the host, as M(dbops.alembic.release_folder_info) returns them.
  returned: with O(root), where they could be read
  type: dict
  sample: {version: 1.4.0, prepared: false, active_version: 1.3.0, releases: [1.3.0], refused: []}
place:
  description:
    - What is the same text on two hosts of the inventory only where their O(root) is one folder of one machine.
  returned: with O(root), where the release O(version) is still to be built
  type: str
  sample: 3d9c2e5e-7a51-4f0e-9d0c-0c6b7c1f9f0a 65024 131073 .
services:
  description: The services as they are, as RV(dbops.alembic.application_host_info#module:services).
  returned: with O(services), where their manager could be asked
  type: list
  elements: dict
  sample: [{service: shop-web, name: shop-web.service, part: member, state: active, runs: true}]
states:
  description: The state of each in its manager's own words, as RV(dbops.alembic.application_host_info#module:states).
  returned: with O(services), where their manager could be asked
  type: dict
  sample: {shop-web: active}
health_problem:
  description: What would be wrong with an answer of what serves now, as it is in RV(remarks) too.
  returned: with O(health), where something would be
  type: str
  sample: http://127.0.0.1:8000/helth answered 404 and not 200
temporary:
  description: Folders of this collection that are there for the time of a run, as M(ansible.builtin.find) would tell of them.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.dbops.alembic.plugins.module_utils._host.needs import look, needs_options
from ansible_collections.dbops.alembic.plugins.module_utils._host.spec import secrets_of


def main() -> None:
    module = AnsibleModule(argument_spec=needs_options(), supports_check_mode=True)
    module.no_log_values.update(secrets_of(module.params))
    found = look(module.params)
    for text in found.remarks:
        module.warn(text)
    module.exit_json(changed=False, problems=found.problems, remarks=found.remarks, **found.facts)


if __name__ == "__main__":
    main()
