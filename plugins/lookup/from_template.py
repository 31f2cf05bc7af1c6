# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: from_template
short_description: Read what a template of JSON makes
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Fills in a template that lies in the folder C(templates/) of the role, and returns what its JSON says.
options:
  _terms:
    description: Names of the templates.
    type: list
    elements: str
    required: true
notes:
  - P(ansible.builtin.template#lookup) copies all variables of the run first, those of every host and each result among them,
    which takes longer than most templates do. This one reads the variables where they are.
seealso:
  - plugin: ansible.builtin.template
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show what the template makes
  ansible.builtin.debug:
    msg: "{{ lookup('dbops.alembic.from_template', 'result.json.j2') }}"
"""

RETURN = r"""
_raw:
  description: What the JSON of each template says.
  type: list
  elements: raw
"""

import json
from collections.abc import Mapping
from typing import Any

import ansible.template
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        return [self._made(term, variables or {}) for term in terms]

    def _made(self, term: str, variables: Mapping[str, Any]) -> Any:
        path = self.find_file_in_search_path(variables, "templates", term)
        loader, templar = self._loader, self._templar
        if not path or loader is None or templar is None:
            raise AnsibleError(f"The template {term} is not in the folder templates of the role.")
        text = loader._get_file_contents(path)[0].decode()
        # Before ansible-core 2.19 every text is a template.
        trusted = getattr(ansible.template, "trust_as_template", str)(text)
        made = templar.template(trusted)
        return json.loads(made) if isinstance(made, str) else made
