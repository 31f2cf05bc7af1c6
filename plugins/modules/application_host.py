#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: application_host
short_description: Stop the services of an application host, or make it serve a release
description:
  - One call stops all services of the host and waits until they have ended. Another one points the link at a release, starts the
    services, and asks the application until it answers as it should.
  - What ran before is what runs after. Each call returns what there was, and O(recorded) brings back exactly that.
  - Nothing is stopped where something could not be started again, such as a masked unit or a program that supervisor does not know.
  - A failure has the end of the log of what was started, and the state of each service.
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.application_host
  - dbops.alembic.application_host.manager
options:
  state:
    description:
      - V(stopped) is no process left of any service, and nothing active that would bring one back.
      - V(serving) is the link right, the services up, and the application healthy.
    type: str
    choices: [serving, stopped]
    default: serving
  link:
    description: The link that says which release is active. Anything else in its place is left alone, and is an error.
    type: path
  release:
    description:
      - The folder of the release that O(link) shall point at, which may be relative to the folder of the link. It has to be there.
      - Empty removes the link. Needed with O(link).
    type: str
  recorded:
    description:
      - The RV(before) of an earlier call, kept elsewhere. It says what ran of a group, a pattern or a target, and which sockets,
        timers and paths were active. What it does not name is judged by what runs now.
      - A service that is named exactly is started in any case, unless only its socket, timer or path was active.
      - Where nothing of a group ran, its programs with C(autostart) are started.
    type: list
    elements: dict
    default: []
  restart:
    description:
      - Whether services that run are stopped and started again. V(changed) does so when the link moves, which happens in between.
    type: str
    choices: [changed, always, never]
    default: changed
  note:
    description:
      - Texts that come back in RV(noted) once the host is in O(state), each with when that was. A later play reads from the
        registered result what the host has done, and needs no task of its own that keeps it.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  noted:
    description: The RV(noted) of an earlier call, which comes back too.
    type: dict
    default: {}
    version_added: 0.2.0
  on_failure:
    description:
      - What becomes of services that were started and do not stay up, or of an application that is not healthy. V(leave) leaves
        them as they are, V(stop) stops all services of the host as O(state=stopped) does, after their log was read. The call fails
        either way.
    type: str
    choices: [leave, stop]
    default: leave
    version_added: 0.2.0
  stop_timeout:
    description: Seconds that one service may take to stop.
    type: float
    default: 120
  start_timeout:
    description: Seconds that one service may take to start.
    type: float
    default: 120
  settle:
    description:
      - Seconds that a service has to stay up to count as started. Where it is the only one and O(health.url) is right, that
        is proof enough. A program of supervisor has its own C(startsecs) instead.
    type: float
    default: 1
  log_lines:
    description: How many lines of the log a failure shows.
    type: int
    default: 50
attributes:
  check_mode:
    support: full
    details:
      - The health is asked in check mode only where nothing would change.
  diff_mode:
    support: full
notes:
  - A unit of C(Type=oneshot) without C(RemainAfterExit) is run together with the others, and not again where nothing else changes.
  - Before a start the failed state of units is reset, so that a crash loop of another release does not use up their start limit.
  - Supervisor is spoken to over its own interface, so C(supervisorctl) is not needed on the host.
seealso:
  - module: dbops.alembic.application_host_info
  - module: dbops.alembic.kubernetes_workload
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Stop the shop
  dbops.alembic.application_host:
    services: [shop-web, "shop-worker@*"]
    state: stopped
  register: stopped

- name: Serve the new release
  dbops.alembic.application_host:
    services: [shop-web, "shop-worker@*"]
    link: /srv/shop/current
    release: releases/2.4.0
    recorded: "{{ stopped.before }}"
    health:
      url: http://127.0.0.1:8000/health
      json: {status: ok}

- name: Restart a group of supervisor, program by program as it ran
  dbops.alembic.application_host:
    manager: supervisor
    services: ["orders:*"]
    restart: always
"""

RETURN = r"""
before:
  description: Each unit or program as it was when the call began. Give it to O(recorded) later.
  returned: success
  type: list
  elements: dict
  sample:
    - {service: "orders:*", name: "orders:web", part: member, state: RUNNING, detail: "", runs: true, ended: false, failed: false}
services:
  description: Each unit or program as it is now, or would be in check mode.
  returned: success, and where something did not start or stop; there as it was before O(on_failure=stop) stopped it
  type: list
  elements: dict
  contains:
    service:
      description: The name among O(services) that it belongs to.
      type: str
    name:
      description: Its own name.
      type: str
    part:
      description: Whether it is a V(member) of the service, a V(trigger) of it, or a V(companion) that is stopped together with it.
      type: str
    state:
      description: The manager's own word.
      type: str
    detail:
      description: More of the manager's words, such as the exit status.
      type: str
    runs:
      description: Whether a process is there, or will be without anybody's doing.
      type: bool
    ended:
      description: Whether it had its turn and is done, as a oneshot is.
      type: bool
    failed:
      description: Whether its manager has given it up.
      type: bool
  sample:
    - {service: "orders:*", name: "orders:web", part: member, state: STOPPED, detail: "", runs: false, ended: false, failed: false}
link:
  description: Where the link pointed and points now.
  returned: success, with O(state=serving)
  type: dict
  sample: {path: /srv/shop/current, before: releases/2.3.0, after: releases/2.4.0}
health:
  description: The answer that was right. Empty where no URL was asked.
  returned: success, with O(state=serving)
  type: dict
  sample: {status: 200, release: 2.4.0, waited_seconds: 0.8}
problem:
  description: What was wrong with the last answer.
  returned: when the application is not healthy
  type: str
  sample: "http://127.0.0.1:8000/health answered 503 and not 200: no database"
log:
  description: The end of the log of the services, since they were started.
  returned: when something did not start, or is not healthy
  type: str
  sample: "2026-03-01T22:03:11+0000 app1 shop[812]: DATABASE_URL is not set"
noted:
  description: The texts of O(note) and O(noted), each with when the host was in its state, in seconds since 1970 of the controller.
  returned: success, with O(note)
  type: dict
  sample: {out of the window: 1790000000.5}
stopped:
  description: That the services were stopped after they had failed, as O(on_failure=stop) says.
  returned: failure, where it is so
  type: bool
  sample: true
untouched:
  description: That nothing was done to the host, because its services could not be looked at or can not be handled.
  returned: failure, where it is so
  type: bool
  sample: true
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: unhealthy
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Prepare the release first.
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._host.spec import host_arguments, run_host, secrets_of


def main() -> None:
    module = AnsibleModule(**host_arguments())
    module.no_log_values.update(secrets_of(module.params))
    try:
        result = run_host(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
