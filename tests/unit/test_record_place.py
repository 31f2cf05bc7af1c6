# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the record of a deployment is kept, by what the controller and the migrator are."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.plugin_utils._lasting import lasts, store

CLUSTER = {"application_manager": "kubernetes"}
HERE = {**CLUSTER, "ansible_connection": "local"}
POD, NOWHERE = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"KUBERNETES_SERVICE_HOST": ""}


@pytest.mark.parametrize(
    ("migrator", "environment", "files", "outlives", "kept"),
    [
        (HERE, {}, [], True, "directory"),  # somebody's own machine
        (HERE, NOWHERE, ["/etc/hosts"], True, "directory"),
        ({**HERE, "awx_job_id": 17}, {}, [], False, "configmap"),
        ({**HERE, "tower_job_id": "17"}, {}, [], False, "configmap"),
        ({**HERE, "awx_job_id": ""}, {}, [], True, "directory"),
        (HERE, POD, [], False, "configmap"),
        (HERE, {}, ["/run/.containerenv"], False, "configmap"),
        (HERE, {}, ["/.dockerenv"], False, "configmap"),
        ({**CLUSTER, "inventory_hostname": "localhost"}, POD, [], False, "configmap"),
        # A job of AWX whose migrator is a host that stays.
        ({**CLUSTER, "ansible_connection": "ssh", "awx_job_id": 17}, POD, ["/.dockerenv"], True, "directory"),
        ({**CLUSTER, "inventory_hostname": "app1", "awx_job_id": 17}, {}, [], True, "directory"),
        # No cluster that could keep it.
        ({"ansible_connection": "local", "application_manager": "systemd"}, POD, [], False, "directory"),
        ({"ansible_connection": "local"}, POD, [], False, "directory"),
    ],
)
def test_where_it_is_kept(
    migrator: dict[str, Any], environment: dict[str, str], files: list[str], outlives: bool, kept: str
) -> None:
    assert lasts(migrator, environment, files.__contains__) is outlives
    assert store("auto", migrator, outlives) == kept
    for asked in ("directory", "configmap"):
        assert store(asked, migrator, outlives) == asked
