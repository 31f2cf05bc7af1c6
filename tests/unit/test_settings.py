# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that do not go together, and hosts without which a playbook must not run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.host_checks import host_checks
from ansible_collections.dbops.alembic.plugins.filter.refused_hosts import refused_hosts
from ansible_collections.dbops.alembic.plugins.filter.refused_settings import refused_settings
from jinja2.exceptions import UndefinedError

BUILDS = {"builds": True, "serves": True}
FLEET = {"fleet": True, "has_database": False, "builds": True, "migrates": True}
#: what is set, and a part of each refusal.
SETTINGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "what is empty is not given": ({"source": "", "manager": "", "runner": None, **BUILDS}, []),
    "a folder on a host": ({**BUILDS, "source": "git"}, []),
    "an image for a workload": ({**BUILDS, "source": "image", "manager": "kubernetes"}, []),
    "a folder for a workload": (
        {**BUILDS, "source": "git", "manager": "kubernetes"},
        ["release_source is git, and application_man"],
    ),
    "an image for processes": ({**BUILDS, "source": "image", "manager": "supervisor"}, ["application_manager is supervisor"]),
    "which serves nothing": ({**BUILDS, "serves": False, "source": "image"}, []),
    "which is not built": ({**BUILDS, "builds": False, "source": "image"}, []),
    "processes beside pods that upgrade": (
        {"opens_window": True, "runner": "init_container", "migrates": True, "without_pods": ["b", "a"], "jobs": {"secret": "s"}},
        ["init_container, and a, b would start before"],
    ),
    "pods alone": ({"opens_window": True, "runner": "init_container", "migrates": True, "jobs": {"secret": "s"}}, []),
    "a Job without a secret": (
        {"migrates": True, "runner": "kubernetes_job", "source": "image", "manager": "kubernetes"},
        ["schema_kubernetes.secret"],
    ),
    "a Job without an image": (
        {"migrates": True, "runner": "kubernetes_job", "jobs": {"secret": "s"}},
        ["so no image is known that has the migrations. Set release_source to image, or schema_kubernetes.image"],
    ),
    "a Job with an image of its own": (
        {"migrates": True, "runner": "kubernetes_job", "jobs": {"secret": "s", "image": "shop:1"}},
        [],
    ),
    "a Job of another host": ({"runner": "kubernetes_job"}, []),
    "a claim without a secret": ({"migrates": True, "claim": "archives"}, ["Set backup_kubernetes.secret"]),
    "a claim with the secret of the migrations": ({"migrates": True, "claim": "archives", "jobs": {"secret": "s"}}, []),
    "a claim with its own": ({"migrates": True, "claim": "archives", "archive_jobs": {"secret": "s"}}, []),
    "many databases": (FLEET, []),
    "many databases by Jobs": (
        {**FLEET, "runner": "kubernetes_job", "jobs": {"secret": "s", "image": "i"}},
        ["set schema_runner to host"],
    ),
    "many databases with the record in the cluster": (
        {**FLEET, "store": "configmap"},
        ["set deployment_record_store to directory"],
    ),
    "both": (
        {**FLEET, "runner": "init_container", "store": "configmap", "jobs": {"secret": "s"}},
        ["schema_runner", "record_store"],
    ),
    "many databases and a claim": (
        {**FLEET, "fleet_apart": True, "claim": "archives", "jobs": {"secret": "s"}},
        ["leave backup_kubernetes_claim out"],
    ),
    "a backup of many": ({"fleet": True, "has_database": False, "one_database": "backup"}, ["Back their server up as a whole"]),
    "of which each has its URL": ({"fleet": True, "has_database": False, "fleet_apart": True, "one_database": "backup"}, []),
    "of the one that holds them": ({"fleet": True, "one_database": "backup"}, []),
    "of the one that is asked for them": (
        {"fleet": True, "has_database": False, "fleet_url": "postgresql:///all", "one_database": "backup"},
        [],
    ),
    "to prune many": ({"fleet": True, "has_database": False, "one_database": "prune"}, ["fleet_snapshot_keep"]),
    "to prune the one that holds them": ({"fleet": True, "one_database": "prune"}, []),
    "a restore of many": ({"fleet": True, "one_database": "restore"}, ["The playbook restore knows one database"]),
    "a restore of one": ({"one_database": "restore"}, []),
    "a restore of one target": ({"fleet": True, "one_database": "restore", "target": "acme"}, []),
    "a target of none": ({"one_database": "restore", "target": "acme"}, ["neither fleet_databases nor fleet_query says which"]),
    "a target by Jobs from a claim": (
        {"fleet": True, "one_database": "restore", "target": "acme", "runner": "kubernetes_job", "claim": "archives"},
        ["set schema_runner to host (it is kubernetes_job)", "leave that out, and bring the archive to backup_archive_directory"],
    ),
    "a target that another playbook does not know": ({"fleet": True, "one_database": "backup", "target": "acme"}, []),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_what_does_not_go_together(case: str) -> None:
    given, expected = SETTINGS[case]
    found = refused_settings(given)
    assert len(found) == len(expected) and all(part in text for part, text in zip(expected, found, strict=True)), found


@pytest.mark.parametrize("given", ["builds", None, {"runer": "host"}])
def test_what_are_no_settings(given: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="dictionary of archive_jobs, builds"):
        refused_settings(given)


GROUPS = {"all": ["db", "a", "b"], "ungrouped": [], "migrator": ["db", "old"], "application": ["a", "b"]}
HOSTS: dict[str, tuple[dict[str, list[str]], list[str], dict[str, bool], str]] = {
    "all of them": (GROUPS, ["db", "a", "b"], {}, ""),
    "without one": (GROUPS, ["db", "a"], {}, "--limit leaves out b, and a deployment is of all"),
    "without several": (GROUPS, ["a"], {}, "--limit leaves out b, db, and"),
    "a second host of the migrators is none": (GROUPS, ["db", "a", "b"], {}, ""),
    "a part where that makes sense": (GROUPS, ["db", "a"], {"partly": True}, ""),
    "but not without the migrator": (GROUPS, ["a", "b"], {"partly": True}, "out db, and the database is looked at from there."),
    "a group that is not there": (
        {"all": ["x"], "web": ["x"]},
        ["x"],
        {},
        "the group application. Put the application hosts there",
    ),
    "which are named": ({"all": ["x"], "web": ["x"], "db": []}, ["x"], {}, "There are: db, web. No host was touched."),
    "which the controller does without": ({"all": ["x"], "web": ["x"]}, ["x"], {"alone": True}, ""),
    "no inventory at all": ({"all": [], "ungrouped": []}, [], {}, ""),
}


@pytest.mark.parametrize("case", HOSTS)
def test_hosts_that_are_needed(case: str) -> None:
    groups, playing, options, expected = HOSTS[case]
    found = refused_hosts(groups, "migrator", "application", playing, **options)
    assert expected in found and bool(found) == bool(expected), found


def test_groups_alone() -> None:
    assert refused_hosts(GROUPS, "migrator", "application") == ""
    assert "the group web. Put" in refused_hosts(GROUPS, "migrator", "web")


class Unmade(dict[str, Any]):
    """Variables of which one is made of another that there is not."""

    def get(self, name: str, default: Any = None) -> Any:
        if name == "health_url":
            raise UndefinedError("'port' is undefined")
        return default


def test_who_is_asked_whether_it_serves() -> None:
    variables = {
        "url": {"health_url": "http://127.0.0.1/"},
        "pods": {"application_manager": "kubernetes"},
        "quiet": {"application_manager": "systemd", "health_url": ""},
        "command": {"health_command": ["true"]},
        "bare": {},
        "unmade": Unmade(),
    }
    found = host_checks(variables, list(variables))
    assert found == {"without_pods": ["url", "quiet", "command", "bare", "unmade"], "unasked": ["bare", "quiet"]}
