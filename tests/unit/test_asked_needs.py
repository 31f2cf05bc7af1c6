# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is asked for before a deployment."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.host_needs import host_needs

GIT = {"builds": True, "source": "git", "root": "/srv/shop", "version": "2"}
URL: dict[str, Any] = {
    **{"dialect": "postgresql", "host": "db", "port": 5432, "socket": "", "password": "secret", "libpq": {"host": "db"}},
    "environment": {"PGHOST": "db", "PGPASSWORD": "secret", "PGSSLMODE": "require"},
}
MIGRATES: dict[str, Any] = {"migrates": True, "database": URL, "records": "/var/lib/shop", "archive_directory": "/var/backups/shop"}
#: what is asked, and what of the options is held against it; None is left out.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"root": None, "services": None, "database": None, "folders": None, "room_binding": False}),
    "a host that builds": (
        {**GIT},
        {"root": "/srv/shop", "version": "2", "python": ["python3"], "programs": ["git"], "room_binding": True},
    ),
    "with a Python of its own": ({**GIT, "python": "python3.12"}, {"python": ["python3.12"]}),
    "with another program": ({**GIT, "virtualenv_command": ["uv", "venv"]}, {"python": None, "programs": ["git", "uv"]}),
    "without an environment": ({**GIT, "install": "none"}, {"python": None, "programs": ["git"], "root": "/srv/shop"}),
    "a host that goes back": (
        {**GIT, "builds": False},
        {"root": "/srv/shop", "version": None, "python": None, "programs": None, "room_binding": False},
    ),
    "a workload": ({**GIT, "source": "image"}, {"root": None, "python": None, "programs": None}),
    "an archive": ({**GIT, "source": "archive"}, {"programs": None, "python": ["python3"]}),
    "an archive of gzip": ({**GIT, "source": "archive", "release_archive": "/a/shop-1.2.tar.gz"}, {"programs": None}),
    "an archive of xz": ({**GIT, "source": "archive", "release_archive": "/a/shop-1.2.tar.xz"}, {"programs": ["xz"]}),
    "an archive for others": ({**GIT, "source": "archive", "release_archive": "dist/Shop.ZIP"}, {"programs": ["unzip"]}),
    "an archive that is there": ({"source": "archive", "release_archive": "shop.zip"}, {"programs": None}),
    "processes": (
        {"serves": True, "services": ["web"], "manager": "supervisor", "supervisor_config": "/etc/s.conf"},
        {"services": ["web"], "manager": "supervisor", "supervisor_config": "/etc/s.conf", "unit_files_binding": True},
    ),
    "certificates that are read": (
        {"files": {"health_ca_path": "/etc/ca", "health_client_key": ""}},
        {"files": {"health_ca_path": "/etc/ca"}},
    ),
    "links of a release": ({**GIT, "links": {"uploads": "/srv/uploads"}}, {"links": {"uploads": "/srv/uploads"}}),
    "links of one that is there": ({"links": {"uploads": "/srv/uploads"}}, {"links": None}),
    "processes of others": ({"services": ["web"], "manager": "supervisor"}, {"services": None, "manager": None}),
    "whose tasks may make what is lacking": ({"serves": True, "services": ["web"], "hooks": True}, {"unit_files_binding": False}),
    "the migrator": ({**GIT, **MIGRATES}, {"folders": ["/var/lib/shop", "/var/backups/shop"]}),
    "one that keeps no record": ({**GIT, **MIGRATES, "records": ""}, {"folders": ["/var/backups/shop"]}),
    "one whose tasks mount the archives": ({**GIT, **MIGRATES, "hooks": True}, {"folders": ["/var/lib/shop"]}),
    "one that tells elsewhere": ({**MIGRATES, "reports": ["/srv/reports"]}, {"folders": ["/var/lib/shop", "/srv/reports"]}),
    "one whose tasks mount the reports": ({**MIGRATES, "reports": ["/srv/reports"], "hooks": True}, {"folders": ["/var/lib/shop"]}),
    "one that goes back": ({**MIGRATES}, {"folders": ["/var/lib/shop"]}),
    "one whose archives a Job writes": ({**GIT, **MIGRATES, "claim": "archives"}, {"folders": ["/var/lib/shop"]}),
    "one without archives": ({**GIT, **MIGRATES, "archive": False}, {"folders": ["/var/lib/shop"]}),
    "another host": ({**GIT, **MIGRATES, "migrates": False}, {"folders": None, "database": None}),
    "Jobs that migrate": ({**GIT, **MIGRATES, "runner": "kubernetes_job"}, {"folders": ["/var/lib/shop"], "database": None}),
    "no URL": ({**GIT, **MIGRATES, "database": {}}, {"database": None}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_host_is_asked_for(case: str) -> None:
    given, expected = CASES[case]
    found = host_needs(given)
    assert {key: found.get(key) for key in expected} == expected


#: what is asked beside a migrator that builds, and what is held against the options of its database.
DATABASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it is": ({}, {"dialect": "postgresql", "host": "db", "port": 5432, "password": "secret", "connect": True, "dump": True}),
    "its program is told no secret": ({}, {"environment": {"PGHOST": "db", "PGSSLMODE": "require"}, "socket": None}),
    "of several hosts one may be down": ({"database": {**URL, "libpq": {"host": "db1,db2"}}}, {"connect": False}),
    "Alembic connects in another way": ({"environment": {"PGSERVICE": "shop"}}, {"connect": False}),
    "with other variables it does not": ({"environment": {"LOG": "debug"}}, {"connect": True}),
    "no archive is proved": ({"restore_check": False}, {"dump": False}),
    "nothing is built": ({"builds": False}, {"dump": False}),
    "a snapshot is the way back": ({}, {"dump_needed": "without_snapshot"}),
    "no snapshot is made": ({"snapshot": False}, {"dump_needed": "always"}),
    "and none is wanted": ({"snapshot": False, "without_way_back": True}, {"dump_needed": "never"}),
    "an archive has to be proved": ({"restore_check_binding": True, "without_way_back": True}, {"dump_needed": "always"}),
    "an archive is no way back": ({"window_archive": False}, {"dump_needed": "never"}),
    "somebody else copies": ({"copied_as": True}, {"dump_needed": "never"}),
}


@pytest.mark.parametrize("case", DATABASES)
def test_what_is_asked_of_the_database(case: str) -> None:
    given, expected = DATABASES[case]
    found = host_needs({**GIT, **MIGRATES, **given})["database"]
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("given", ["builds", None, {"build": True}])
def test_what_is_none_of_it(given: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="dictionary of archive, archive_directory, builds"):
        host_needs(given)
