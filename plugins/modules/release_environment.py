#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_environment
short_description: Make the virtual environment of a release, with what the release needs
description:
  - Makes C(venv) in the folder of the release, and lets pip install what the release asks for.
  - An environment that is there already is kept, and pip installs into it.
options:
  path:
    description: The folder of the release.
    type: path
    required: true
  command:
    description:
      - The command that makes the environment; the folder is put behind it. It has to put pip there.
      - A Python with C(-m venv) is asked for an empty environment, and gets the wheels that it carries for this purpose unpacked,
        which takes a tenth of the time. Where it carries none, the command does all of it.
    type: list
    elements: str
    default: [python3, -m, venv]
  install:
    description:
      - V(requirements) installs the files of O(requirements), or C(requirements.txt) where none are given.
      - V(project) installs the project itself, which has a C(pyproject.toml) or a C(setup.py).
      - V(auto) does the first where there is such a file, and else the second where there is a project.
    type: str
    choices: [auto, requirements, project]
    default: auto
  requirements:
    description: Files of requirements, in the folder.
    type: list
    elements: str
    default: []
  wheel:
    description: A wheel in the folder, which is what is installed instead of a project.
    type: str
    default: ""
  extra:
    description: More requirements.
    type: list
    elements: str
    default: []
  pip_arguments:
    description: More arguments of C(pip install).
    type: list
    elements: str
    default: []
  environment:
    description: Variables for pip, such as that of an index with a password. They are in no command line and no result.
    type: dict
    default: {}
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: What is installed is not known before.
seealso:
  - module: dbops.alembic.release_folder
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Install what the release needs
  dbops.alembic.release_environment:
    path: /srv/shop/releases/1.4.0
    extra: ["psycopg[binary]"]
"""

RETURN = r"""
python:
  description: The Python of the environment.
  returned: success
  type: str
  sample: /srv/shop/releases/1.4.0/venv/bin/python
installed:
  description: What pip was asked to install, or would be.
  returned: success
  type: list
  elements: str
  sample: ["--requirement=requirements.txt", "psycopg[binary]"]
cmd:
  description: The program that failed, and its arguments.
  returned: failure
  type: list
  elements: str
  sample: [python3, -m, venv, /srv/shop/releases/1.4.0/venv]
rc:
  description: Its exit status.
  returned: failure
  type: int
  sample: 1
stdout:
  description: What it wrote to its standard output.
  returned: failure
  type: str
  sample: ""
stderr:
  description: What it wrote to its standard error.
  returned: failure
  type: str
  sample: "ERROR: No matching distribution found for shop-orders==9"
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: command_failed
"""

from ansible_collections.dbops.alembic.plugins.module_utils._environment import environment_spec, run_environment
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = environment_spec().create_module()
    try:
        result = run_environment(module.params, module.run_command, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
