# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that run something in the application's own Python."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  python:
    description:
      - Path of the Python interpreter that the application runs with. Alembic, SQLAlchemy, the database driver and what
        C(env.py) imports have to be importable there.
      - Nothing has to be installed there for this collection.
      - Without it and without O(virtualenv), the interpreter that Ansible uses on the host.
      - Mutually exclusive with O(virtualenv).
    type: path
  virtualenv:
    description:
      - Folder of the application's virtual environment; its C(bin/python) is used.
      - Mutually exclusive with O(python).
    type: path
  environment:
    description:
      - Environment variables for the application, on top of those that the task has.
      - This is how a project gets its settings that reads them from the environment, its database URL for example.
      - Values that are secret by their name (C(PASSWORD), C(TOKEN), …) and passwords in values that are URLs are kept out of the
        result and of all messages. Use a vault or a lookup for them, and C(no_log) when a value is secret that does not look
        like it.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds that the whole operation may take, waiting for locks included; V(0) means no limit.
      - What is running then is stopped, the database rolls back what it can, and the failure says where the database stands.
    type: float
    default: 0
"""

    # Should be used with every module that can run in a Job.
    JOB = r"""
options:
  kubernetes:
    description:
      - Run in a Job of Kubernetes instead of on this host, which then only talks to the cluster. Paths are those inside the image,
        and the Python is C(python3) unless told otherwise.
      - The Job runs once, as a plain user without capabilities, on a read-only file system with an empty C(/tmp), and has no
        token of the cluster.
    type: dict
    suboptions:
      kubeconfig:
        description: The file that says how to reach the cluster. Without it, what kubernetes.core takes from its environment.
        type: path
      context:
        description: The context of the kubeconfig.
        type: str
      namespace:
        description: The namespace of the Job.
        type: str
        required: true
      application:
        description: The application's name. It begins the Job's name and is a label of it.
        type: str
        required: true
      image:
        description: The image of the application, that of the release whose scripts are run.
        type: str
        required: true
      image_pull_policy:
        description: When to pull it. Kubernetes' own default unless told otherwise.
        type: str
        choices: [Always, IfNotPresent, Never]
      image_pull_secrets:
        description: Secrets of the registry.
        type: list
        elements: str
        default: []
      secret:
        description: The Secret that has the URL of the database. The URL itself is never in the Job.
        type: str
        required: true
      secret_key:
        description: Its key.
        type: str
        default: url
      database:
        description:
          - The name of the database that the URL in the Secret has to have. Of another one, nothing is read and nothing written,
            with the error kind V(wrong_database).
        type: str
        version_added: 0.2.0
      workload_urls:
        description:
          - Where pods of workloads take the URL from; RV(dbops.alembic.kubernetes_workload_info#module:workload_url) says it.
            Where one of them leads to another database than O(kubernetes.secret), nothing is read and nothing written, with the
            error kind V(wrong_database). URLs that differ and lead to one database, through a proxy for example, are no error.
          - Those of other namespaces than the Job's can not be compared.
        type: list
        elements: dict
        default: []
        version_added: 0.2.0
        suboptions:
          workload:
            description: The workload, in words.
            type: str
            required: true
          namespace:
            description: Its namespace.
            type: str
            required: true
          sources:
            description: The entries that a container would have in C(env); of several the last one that is there counts.
            type: list
            elements: dict
            required: true
      url_variable:
        description: The environment variable in which the project's C(env.py) reads the URL; it is filled from the Secret.
        type: str
      environment_secrets:
        description: Secrets whose keys become environment variables of the application.
        type: list
        elements: str
        default: []
      service_account:
        description: The service account of the pod, for a database that knows accounts of the cluster.
        type: str
      user:
        description: The number of the user that the worker runs as. Needed where the image names none but root.
        type: int
      labels:
        description: More labels of Job and pod, for network policies for example.
        type: dict
        default: {}
      annotations:
        description: More annotations of Job and pod.
        type: dict
        default: {}
      resources:
        description:
          - Requests and limits. Unless told otherwise 100m of CPU and 128Mi of memory are requested, and 1 CPU and 1Gi are the
            limits, so that a quota on any of them accepts the Job. What is said of one of the two leaves the other as it is.
        type: dict
        default: {}
      pod:
        description: What to add to the pod's specification, such as C(nodeSelector) and C(tolerations).
        type: dict
        default: {}
      deadline:
        description:
          - Seconds that the Job may take. The worker stops the operation half a minute before, so that its answer is not lost.
        type: float
        default: 3600
      patience:
        description:
          - Seconds that a pod may be kept from starting, or from being made, before the Job counts as failed and is deleted, by its
            image, a quota or an admission webhook for example. Raise it where nodes are added on demand.
        type: float
        default: 20
      keep_count:
        description: How many finished Jobs of this application's migrations and snapshots are kept; failed ones count as well.
        type: int
        default: 5
      deployment:
        description:
          - The deployment that the Job belongs to. It becomes a label, by which M(dbops.alembic.kubernetes_job_info) finds it.
        type: str
"""
