# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the story plays on: folders, releases, the database server, the replicas under their supervisor."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from support.paths import CACHE, ROOT, TREE
from support.processes import service_folder

from . import byhand, replicas, server, strays, terminal

DATABASE = "shop"
FIRST, ORDERS = "1.0", 20_000
#: What the playbook deploys, in the order of the story.
RELEASES = ("1.1", "broken_migration", "unhealthy")


class Theatre:
    """A context: what it has started is stopped and removed at its end, however that comes."""

    def __init__(self, replica_count: int):
        self.replica_count = replica_count
        self._ends = ExitStack()

    def __enter__(self) -> Theatre:
        try:
            self._open()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave half of it running
        terminal.say()
        with terminal.timed("stopping and removing everything"):
            self._ends.close()

    def _open(self) -> None:
        environment = Path(sys.prefix)
        strays.adopt()
        self._ends.callback(strays.end)
        # Programs are run from the folder in the cache; sockets need a short path, and the database's user a way in.
        (CACHE / "demo").mkdir(parents=True, exist_ok=True)
        self.folder = Path(
            self._ends.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=CACHE / "demo", ignore_cleanup_errors=True))
        )
        self.sockets = service_folder("demo", None)
        self._ends.callback(shutil.rmtree, self.sockets, ignore_errors=True)
        self.logs = CACHE / "demo" / "logs"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir()
        self.archives = self.folder / "releases"
        self._pack_releases()
        with terminal.timed("starting PostgreSQL"):
            self.binaries = server.programs(environment, self.sockets)
            self.database = server.start(self.binaries)
            self._ends.callback(self.database.remove)
            self.url = server.create_database(self.database, DATABASE)
        with terminal.timed(f"starting supervisord for {self.replica_count} replicas"):
            self.replicas = replicas.make(self.folder, self.replica_count)
            self.supervisor = replicas.Supervisor(environment, self.folder, self.sockets, self.replicas)
            self.supervisor.start(self.url)
            self._ends.callback(self.supervisor.stop)
        self._put_first_release()
        self.variables = self._write_variables()

    def _pack_releases(self) -> None:
        with terminal.timed(f"packing the releases {', '.join(RELEASES)} of the shop, and fetching what they need"):
            self.wheels = byhand.wheels()
            command = [sys.executable, "-B", str(byhand.APP / "releases.py"), "archive", str(self.archives), *RELEASES]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _put_first_release(self) -> None:
        with terminal.timed(f"installing release {FIRST}, as somebody once did by hand"):
            byhand.install(FIRST, self.replicas, self.wheels)
        with terminal.timed(f"alembic upgrade head, {ORDERS} orders, and start"):
            byhand.migrate_and_fill(self.replicas[0], self.url, ORDERS)
            byhand.start(self.replicas, self.supervisor)

    def _write_variables(self) -> Path:
        """What the inventory needs to know of this run."""
        variables = {
            "folder": self.folder,
            "archives": self.archives,
            "virtualenv": byhand.virtualenv(),
            "wheels": self.wheels,
            "reports": self.logs,
            "ports": {replica.name: replica.port for replica in self.replicas},
            "postgres_programs": self.binaries,
            "supervisor_config": self.supervisor.configuration,
            "supervisor_ctl": self.supervisor.ctl,
        }
        path = self.folder / "demo.json"
        path.write_text(json.dumps({"demo": variables}, default=str, indent=2))
        return path

    def last_record(self) -> dict:
        """What the collection wrote down about the last deployment; nothing, if there was none."""
        records = sorted((self.folder / "deployments").glob("2*.json"))
        return json.loads(records[-1].read_text()) if records else {}

    def ways_to_look(self) -> list[str]:
        server = self.database
        return [
            f"curl {self.replicas[0].url}/health",
            f"curl '{self.replicas[0].url}/orders?limit=3'",
            f"{self.supervisor.ctl} -c {self.supervisor.configuration} status",
            f"PGPASSWORD={server.password} {self.binaries}/psql -h {server.host} -p {server.port} -U postgres {DATABASE}",
            f"ls {self.folder} {self.folder}/shop1/releases",
            f"export SHOP_DATABASE_URL='{self.url}' ANSIBLE_CONFIG={ROOT}/demo/ansible.cfg ANSIBLE_COLLECTIONS_PATH={TREE}",
            f"{sys.prefix}/bin/ansible-playbook dbops.alembic.maintenance_window -e @{self.variables} -e release_version=1.0",
        ]
