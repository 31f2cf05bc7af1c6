# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that run something in the application's own Python."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  python:
    description:
      - Path of the Python interpreter that the application runs with. Alembic, SQLAlchemy, the database driver and what
        C(env.py) imports have to be importable there.
      - Nothing has to be installed there for this collection.
      - Without it and without O(virtualenv), the interpreter that Ansible uses on the host.
      - Mutually exclusive with O(virtualenv).
    type: path
  virtualenv:
    description:
      - Folder of the application's virtual environment; its C(bin/python) is used.
      - Mutually exclusive with O(python).
    type: path
  environment:
    description:
      - Environment variables for the application, on top of those that the task has.
      - This is how a project gets its settings that reads them from the environment, its database URL for example.
      - Values that are secret by their name (C(PASSWORD), C(TOKEN), …) and passwords in values that are URLs are kept out of the
        result and of all messages. Use a vault or a lookup for them, and C(no_log) when a value is secret that does not look
        like it.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds that the whole operation may take, waiting for locks included; V(0) means no limit.
      - What is running then is stopped, the database rolls back what it can, and the failure says where the database stands.
    type: float
    default: 0
"""
