# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter survey."""

from __future__ import annotations

DOCUMENTATION = r"""
name: survey
short_description: Make a survey of AWX from the argument specs of the roles
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Makes a question of each variable, with the type, the choices, the default and the help text that the roles have for it.
  - A password is never asked for; a credential holds it. Lists and dictionaries are not asked for either, as an answer is a text.
    Both are errors.
positional: _input
options:
  _input:
    description: The variables to ask for, in this order. One that ends in C(!) has to be answered.
    type: list
    elements: str
    required: true
  name:
    description: The name of the survey.
    type: str
    default: ""
  defaults:
    description: Variable → what is proposed instead of the role's default. Needed where that is an expression.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the survey of a deployment
  ansible.builtin.debug:
    msg: "{{ ['release_version!', 'deployment_force_enabled'] | dbops.alembic.survey(name='Deploy') }}"
"""

RETURN = r"""
_value:
  description: The survey, as C(survey_spec) of C(awx.awx.job_template) takes it.
  type: dict
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.plugin_utils import _survey


def survey(wanted: Sequence[str], name: str = "", defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    try:
        return _survey.survey(wanted, name, defaults or {})
    except ValueError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"survey": survey}
