# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter deployment_report_files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_report_files
short_description: Write what a deployment came to, as the files that are to hold it
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the fact C(deployment_result) of the role P(dbops.alembic.deployment#role) and returns what
    M(dbops.alembic.owned_files) takes.
positional: _input, files
options:
  _input:
    description:
      - The fact C(deployment_result).
    type: dict
    required: true
  files:
    description:
      - What is to be written where, each with C(path), C(mode), and C(format) as P(dbops.alembic.deployment_report#filter) knows
        it.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: dbops.alembic.deployment_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Keep the report beside those of the other applications
  dbops.alembic.owned_files:
    files: "{{ deployment_result | dbops.alembic.deployment_report_files(wanted) }}"
  vars:
    wanted:
      - {format: html, path: /srv/reports/orders.html, mode: "0600"}
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description:
    - The files, each with C(path), C(content) and C(mode).
  type: list
  elements: dict
"""

from typing import Any, Callable, Iterable, Mapping

from .deployment_report import deployment_report


def deployment_report_files(result: Any, files: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"path": file["path"], "content": deployment_report(result, file["format"]), "mode": file["mode"]} for file in files]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_report_files": deployment_report_files}
