#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: application_host_info
short_description: Read how the services of an application host are, and how the application answers
description:
  - Returns the state of each unit or program, where a link points, the answer of the application, and the end of the log.
  - What is wrong with the host is returned and is no failure.
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
  - dbops.alembic.application_host
  - dbops.alembic.application_host.manager
options:
  link:
    description: The link that says which release is active.
    type: path
  log_lines:
    description: How many lines of the log are returned.
    type: int
    default: 0
notes:
  - The application is asked once, whatever O(health.retries) says, and O(health.command) is not run.
seealso:
  - module: dbops.alembic.application_host
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Look at the shop
  dbops.alembic.application_host_info:
    services: [shop-web, "shop-worker@*"]
    link: /srv/shop/current
    health:
      url: http://127.0.0.1:8000/health
  register: shop
"""

RETURN = r"""
services:
  description:
    - Each unit or program as it is. M(dbops.alembic.application_host) has the keys, and takes it as its option C(recorded).
  returned: success
  type: list
  elements: dict
  sample:
    - {service: shop-web, name: shop-web.service, part: member, state: active, detail: "", runs: true, ended: false, failed: false}
states:
  description: The state of each in its manager's own words, under the name among O(services) where that is exact, else its own.
  returned: success
  type: dict
  sample: {shop-web: active, "shop-worker@1.service": "failed (exit-code, exit status 3)"}
problems:
  description: Why services can be neither stopped nor started, such as a masked or an unknown unit.
  returned: success
  type: list
  elements: str
  sample: ["shop-web.service is masked on this host; systemctl unmask it, or take it out of the services."]
link:
  description: Where the link points, and whether that is there.
  returned: when O(link) is given
  type: dict
  sample: {path: /srv/shop/current, target: releases/2.4.0, exists: true}
health:
  description: The answer, and what is wrong with it. The status is -1 where there was none.
  returned: when O(health.url) is given
  type: dict
  sample: {status: 200, release: 2.4.0, problem: "", seconds: 0.012}
log:
  description: The end of the log of the services.
  returned: success
  type: str
  sample: ""
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: manager_unreachable
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Is supervisord running?
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._host.spec import info_options, run_info, secrets_of


def main() -> None:
    module = AnsibleModule(argument_spec=info_options(), supports_check_mode=True)
    module.no_log_values.update(secrets_of(module.params))
    try:
        result = run_info(module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
