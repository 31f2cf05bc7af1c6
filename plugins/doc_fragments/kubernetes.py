# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that work on a workload of Kubernetes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - The file that says how to reach the cluster. Without it, what kubernetes.core takes too, its environment variables
        (E(K8S_AUTH_KUBECONFIG), E(K8S_AUTH_API_KEY) with E(K8S_AUTH_HOST)), then the service account of the pod, then the user's
        own file.
    type: path
  context:
    description: The context of the kubeconfig.
    type: str
  namespace:
    description: The namespace of the workload.
    type: str
    required: true
  kind:
    description: The kind of the workload.
    type: str
    choices: [deployment, statefulset]
    default: deployment
  name:
    description: The name of the workload.
    type: str
    required: true
requirements:
  - The Python package kubernetes, for the Python of the host that talks to the cluster
  - Kubernetes 1.20 or later
"""
