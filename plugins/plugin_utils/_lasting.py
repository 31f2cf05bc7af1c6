# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is written on the migrator is still there after this run, and so where the record of a deployment belongs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Callable

#: What container engines put into every container.
_CONTAINER = ("/run/.containerenv", "/.dockerenv")
#: What a cluster gives to every pod.
_POD = "KUBERNETES_SERVICE_HOST"


def lasts(migrator: Mapping[str, Any], environment: Mapping[str, str], exists: Callable[[str], bool] = os.path.exists) -> bool:
    """Return whether the migrator outlives this run: not where it is the controller, and that is a container or a job of AWX.

    :param migrator: its variables.
    :param environment: that of the controller.
    :param exists: whether there is such a path on the controller.
    """
    here = migrator.get("ansible_connection") == "local" or migrator.get("inventory_hostname") == "localhost"
    job = migrator.get("awx_job_id") or migrator.get("tower_job_id")
    return not (here and (job or environment.get(_POD) or any(map(exists, _CONTAINER))))


def store(asked: str, migrator: Mapping[str, Any], outlives: bool) -> str:
    """Return where the record is kept: as asked, else in the cluster where the migrator has one and does not outlive the run."""
    if asked != "auto":
        return asked
    return "configmap" if not outlives and migrator.get("application_manager") == "kubernetes" else "directory"
