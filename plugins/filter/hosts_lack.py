# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter hosts_lack."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts_lack
short_description: Say what hosts lack for a deployment
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Puts together what M(dbops.alembic.host_check) has found on each host and what its clusters and balancers have said, which the
    role P(dbops.alembic.deployment#role) keeps as facts of the run.
  - Two hosts of the inventory that would build a release in one folder of one machine are told too, since each would remove what
    the other builds.
positional: _input, hosts
options:
  _input:
    description:
      - The variables of all hosts, that is C(hostvars).
    type: dict
    required: true
  hosts:
    description:
      - The hosts that take part.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what hosts lack
  ansible.builtin.debug:
    msg: "{{ hostvars | dbops.alembic.hosts_lack(ansible_play_hosts_all) | dbops.alembic.host_failures }}"
"""

RETURN = r"""
_value:
  description: Host and what it lacks, each with what to do. Empty where nothing is lacking.
  type: dict
  sample: {shop1: ["git is not there. Install it."]}
"""

from collections.abc import Iterator
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.plugin_utils._failure_text import text

_EMPTY = (
    "The {kind} {name} in {namespace} has 0 replicas, so no pod would run the release and nobody could see whether it serves. Scale"
    " it up before, as with kubectl scale {kind} {name} --namespace {namespace} --replicas 1."
)


def hosts_lack(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, list[str]]:
    given = {str(host): hostvars[host] for host in hosts}
    looked = {host: variables.get("_deployment_brings") or {"unreachable": True} for host, variables in given.items()}
    shared = _shared(looked)
    told = {}
    for host, found in looked.items():
        clusters = [] if found.get("unreachable") else _asked(given[host], "_deployment_clusters_bring")  # of which is told already
        balancers = _asked(given[host], "_deployment_balanced_by")
        told[host] = [*_of_host(found), *_of_clusters(clusters), *_of_balancers(balancers), *shared.get(host, [])]
    return {host: lines for host, lines in told.items() if lines}


def _asked(variables: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return (variables.get(name) or {}).get("results") or []


def _of_host(found: Mapping[str, Any]) -> list[str]:
    if found.get("unreachable"):
        return [f"It can not be reached: {found.get('msg', 'no reason given')}"]
    if "problems" in found:
        return [str(line) for line in found["problems"]]
    return [f"It could not be looked at. {text(found)}"]


def _item(found: Mapping[str, Any]) -> Any:
    """Return what of its loop a result is about."""
    return found.get(str(found.get("ansible_loop_var") or "item"))


def _of_clusters(asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for found in asked:
        if "error_kind" in found or "missing_rights" not in found:
            why = (_item(found) or {}).get("why")
            yield f"{why}: {text(found)}" if why else text(found)
        elif (_item(found) or {}).get("builds") and _empty(found):
            yield _EMPTY.format(**_item(found))


def _empty(found: Mapping[str, Any]) -> bool:
    """Tell whether a workload has no pods and will get none: no stop of ours wrote down how many it had, and no KEDA makes some."""
    scaled = (found.get("scale") or {}).get("scaled_objects")
    return found.get("replicas") == 0 and not found.get("before_stop") and not scaled


def _of_balancers(asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which did not answer; a host without a balancer has asked none."""
    for found in asked:
        if "skipped" not in found and "servers" not in found:
            why = f"it can not be reached: {found.get('msg', '')}" if found.get("unreachable") else text(found)
            yield f"Its balancer {_item(found)}: {why}"


def _shared(looked: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for host, found in looked.items():
        if found.get("place"):
            places.setdefault(str(found["place"]), []).append(host)
    return {
        host: [
            "These are one machine and one folder, in which each would remove what the other builds. List the machine once, or give"
            " each its own release_root."
        ]
        for hosts in places.values()
        for host in hosts
        if len(hosts) > 1
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hosts_lack": hosts_lack}
