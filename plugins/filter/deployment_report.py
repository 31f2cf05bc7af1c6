# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter deployment_report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_report
short_description: Write what a deployment came to, for people or for machines
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the fact C(deployment_result) of the role P(dbops.alembic.deployment#role) and returns a text.
  - Passwords are masked and control characters are written out.
positional: _input, format
options:
  _input:
    description:
      - The fact C(deployment_result).
    type: dict
    required: true
  format:
    description:
      - V(html) is a page that stands by itself, without a script.
      - V(text) is the summary at the end of a run.
      - V(json) is the result as it is.
      - V(junit) is JUnit XML, with a test case for the deployment, for each revision and for each step of each host.
      - V(prometheus) has the metrics C(dbops_deployment_*) for the textfile collector of the node exporter, V(prometheus_backup)
        those of the archive that was written, C(dbops_backup_*).
    type: str
    choices: [html, text, json, junit, prometheus, prometheus_backup]
    required: true
"""

EXAMPLES = r"""
- name: Keep the report beside those of the other applications
  ansible.builtin.copy:
    content: "{{ deployment_result | dbops.alembic.deployment_report('html') }}"
    dest: reports/orders.html
    mode: "0600"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description:
    - The text.
  type: str
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import Redactor
from ansible_collections.dbops.alembic.plugins.plugin_utils import _numbers, _report, _summary

FORMATS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "html": _report.page,
    "text": lambda result: "\n".join(_summary.summary(result)) + "\n",
    "json": _numbers.as_json,
    "junit": _numbers.junit,
    "prometheus": _numbers.prometheus,
    "prometheus_backup": _numbers.prometheus_backup,
}


def deployment_report(result: Any, format: str) -> str:  # pylint: disable=redefined-builtin  # the name of the option
    if format not in FORMATS:
        raise AnsibleFilterError(f"deployment_report knows no format {format!r}; it knows {', '.join(FORMATS)}.")
    if not isinstance(result, Mapping) or "outcome" not in result:
        raise AnsibleFilterError("deployment_report wants the fact deployment_result of the role deployment.")
    return FORMATS[format](Redactor().clean(result))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_report": deployment_report}
