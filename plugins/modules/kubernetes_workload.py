#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_workload
short_description: Stop, start or restart a Deployment or StatefulSet of Kubernetes
description:
  - Stopping writes down on the workload what it had (replicas, autoscalers, settings of KEDA), scales it to 0, and waits until
    every pod is gone. A pod that is still terminating is not gone.
  - Starting brings back exactly that, from this controller or another one, and waits until every replica is available.
  - It does not wait for what will not happen. An image that can not be pulled, a container that crashes again and again, a pod
    that can not be scheduled or a quota that is used up end the wait early. The message has the events and the last lines of the
    failing pod's log.
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.kubernetes
options:
  state:
    description:
      - V(stopped) is no pod left. V(started) is what there was before the stop, every replica available.
      - V(restarted) replaces every pod in the way that the workload's own strategy says, and is always a change.
    type: str
    choices: [started, stopped, restarted]
    default: started
  wait:
    description:
      - Seconds to wait, until the pods are gone or until they are available.
      - Unless told, 120 for the pods to be gone. A rollout then gets what the workload gives itself, C(progressDeadlineSeconds)
        since its last step forward; the 600 seconds that Kubernetes has for a Deployment count for a StatefulSet too.
    type: float
  patience:
    description:
      - Seconds that a problem may last before the rollout counts as failed. Raise it where nodes are added on demand.
    type: float
    default: 20
  log_lines:
    description: How many lines of the failing pod's log a failure shows.
    type: int
    default: 50
  recorded:
    description: The RV(before) of the stop, kept elsewhere, for a workload that was made anew since and has lost its annotation.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
notes:
  - A HorizontalPodAutoscaler does not act on a workload with 0 replicas, so it is left as it is. A ScaledObject of KEDA is paused.
  - A workload that a GitOps tool keeps at a number of replicas is scaled up again by that tool; pause it for the window.
seealso:
  - module: dbops.alembic.kubernetes_workload_info
  - module: dbops.alembic.kubernetes_release
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Stop the shop
  dbops.alembic.kubernetes_workload:
    namespace: shop
    name: web
    state: stopped
  register: stopped

- name: Start it again as it was
  dbops.alembic.kubernetes_workload:
    namespace: shop
    name: web
    state: started
    recorded: "{{ stopped.before }}"
"""

RETURN = r"""
before:
  description: What the workload had before it was stopped. Empty where it was not stopped by this module.
  returned: success
  type: dict
  sample:
    replicas: 3
    autoscalers: [{name: web, minReplicas: 2, maxReplicas: 8}]
    scaled_objects: []
replicas:
  description: How many replicas are wanted now.
  returned: success
  type: int
  sample: 3
served:
  description: Whether a pod of the present template was ready at any time, and so may have served.
  returned: always
  type: bool
  sample: true
reason:
  description: Why the workload did not come up, in the word of Kubernetes, or V(timeout).
  returned: when O(state=started) or O(state=restarted) failed
  type: str
  sample: ImagePullBackOff
pod:
  description: The pod that failed.
  returned: when O(state=started) or O(state=restarted) failed
  type: str
  sample: web-7d9c6f9b6-x2x7k
events:
  description: The last events of the workload and of the failing pod.
  returned: when O(state=started) or O(state=restarted) failed
  type: list
  elements: str
  sample: ["web-7d9c6f9b6-x2x7k: Failed: Failed to pull image"]
log:
  description: The end of the failing pod's log.
  returned: when O(state=started) or O(state=restarted) failed
  type: str
  sample: DATABASE_URL is not set
pods:
  description: The pods that are left.
  returned: when O(state=stopped) failed
  type: list
  elements: str
  sample: [web-7d9c6f9b6-x2x7k]
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: rollout_failed
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Check application_kubernetes_name.
"""

from datetime import datetime, timezone

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.workload import run_workload, workload_state_spec


def main() -> None:
    module = workload_state_spec().create_module()
    try:
        result = run_workload(module.params, datetime.now(timezone.utc).isoformat(timespec="seconds"), module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
