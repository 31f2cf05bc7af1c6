#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Take the requests from a server of HAProxy, or give them back, and wait until it is so
description:
  - Tells HAProxy through the socket of its administrator, and looks twenty times a second whether it is so, which is what a
    maintenance window needs.
  - A command that HAProxy refuses is a failure, and so is a server that it does not know.
options:
  server:
    description: The server as HAProxy's configuration names it.
    type: str
    required: true
  backend:
    description: The backend; empty is every backend that has the server.
    type: str
    default: ""
  socket:
    description: The socket of HAProxy's administrator, as in C(stats socket /run/haproxy/admin.sock level admin).
    type: path
    default: /run/haproxy/admin.sock
  state:
    description:
      - V(drain) lets no new request come, and returns when the running ones are over.
      - V(maint) lets no request come, and returns at once; HAProxy does not check the server meanwhile.
      - V(ready) gives the requests back, and returns when HAProxy holds the server for working. Without a health check it does
        so at once.
    type: str
    choices: [ready, drain, maint]
    default: ready
  timeout:
    description: How many seconds it is waited. With O(state=drain) and O(state=ready).
    type: float
    default: 60
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
    details: The server has to be known then as well, and the socket to be one that takes commands.
  diff_mode:
    support: full
notes:
  - A server that drains may be down to HAProxy. It has still no request then, which is all that is waited for.
seealso:
  - module: community.general.haproxy
    description: More of what HAProxy can be told, such as weights.
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Take the requests from this host
  dbops.alembic.haproxy_server:
    server: "{{ inventory_hostname }}"
    backend: shop
    state: drain
  delegate_to: lb1

- name: Give them back, once HAProxy has found it healthy
  dbops.alembic.haproxy_server:
    server: "{{ inventory_hostname }}"
    backend: shop
  delegate_to: lb1
"""

RETURN = r"""
servers:
  description: The server in each backend, as it is now.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The backend.
      type: str
      sample: shop
    state:
      description: What its administrator forces; V(ready) is nothing.
      type: str
      sample: drain
    sessions:
      description: How many requests run there.
      type: int
      sample: 0
    up:
      description: Whether HAProxy holds it for working.
      type: bool
      sample: true
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: not_drained
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Name it as HAProxy's configuration does.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._haproxy import haproxy_spec, run_haproxy


def main() -> None:
    module = haproxy_spec().create_module()
    try:
        result = run_haproxy(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
