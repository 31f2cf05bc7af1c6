# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter archive_proof."""

from __future__ import annotations

DOCUMENTATION = r"""
name: archive_proof
short_description: Compare what was restored from an archive with what the database held
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Compares the rows of two databases, table by table, with their checksums where there are some.
positional: _input
options:
  _input:
    description: C(tables) of M(dbops.alembic.database_rows), or of M(dbops.alembic.database_archive), as the archive was written.
    type: dict
    required: true
  restored:
    description: The same of the database that the archive was restored into.
    type: dict
    required: true
  after:
    description:
      - The same of the database once the archive was written, where the first was not counted in the very snapshot of the archive.
      - What was written to in between can not be compared.
    type: dict
seealso:
  - plugin: dbops.alembic.database_rows
    plugin_type: module
"""

EXAMPLES = r"""
- name: Say whether the archive is good
  ansible.builtin.debug:
    msg: "{{ (orders_archive.tables | dbops.alembic.archive_proof(orders_restored.tables)).message }}"
"""

RETURN = r"""
_value:
  description: >-
    Whether both are the same (C(proved)) and a sentence about it (C(message)); C(tables), C(rows) and C(counts) of what was the
    same, C(different) of what was not, and the tables C(written) to meanwhile.
  type: dict
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core.proof import prove


def archive_proof(before: Any, restored: Any, after: Any = None) -> dict[str, Any]:
    for value in (before, restored, {} if after is None else after):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError("archive_proof compares the tables of two results of database_rows, which are dictionaries.")
    try:
        return prove(before, restored, after).as_dict()
    except (KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError("archive_proof compares the tables of two results of database_rows with exact counts.") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"archive_proof": archive_proof}
