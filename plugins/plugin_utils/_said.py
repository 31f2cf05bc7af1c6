# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts in which the role deployment keeps what each host has said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dbops.alembic.plugins.module_utils._core.passes import Said

#: Where the services of a host have noted themselves what it has taken.
_NOTING = ("application_stopped", "application_serves")


def said(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> dict[str, Said]:
    """Return host → what it has said in this run, in the order of ``hosts``."""
    # Before ansible-core 2.19 get returns something undefined for a host that is not there.
    return {str(host): _of(hostvars[host] if host in hostvars else {}) for host in hosts}  # noqa: SIM401


def _of(variables: Mapping[str, Any]) -> Said:
    noted = [(variables.get(name) or {}).get("noted") or {} for name in _NOTING]
    reached = {step: when for steps in (variables.get("_deployment_reached") or {}, *noted) for step, when in steps.items()}
    return Said(reached, *(variables.get(name) or {} for name in ("_deployment_failed", "_deployment_runs")))
