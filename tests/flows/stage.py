# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flow runs on: application hosts that are folders with a port each, under one supervisord, and a database."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import venvs
from support.paths import CACHE, ROOT, TREE
from support.playbook import command as ansible_playbook
from support.postgres import Postgres
from support.processes import Daemon, free_port, program
from support.waiting import PATIENCE

sys.path.insert(0, str(ROOT / "demo" / "app"))
from releases import write_archive, write_tree

CONFIGURATION = """\
[unix_http_server]
file = {folder}/supervisor.sock
chmod = 0700

[supervisord]
nodaemon = true
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}
user = {user}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{folder}/supervisor.sock
"""

PROGRAM = """
[program:{host.name}]
command = {host.root}/current/venv/bin/python -m shop serve
directory = {host.root}/current
environment = PORT="{host.port}"{more}
autostart = false
autorestart = unexpected
startsecs = 1
startretries = 1
stopwaitsecs = 20
killasgroup = true
redirect_stderr = true
stdout_logfile = {host.root}/shop.log
"""


#: What an ansible.cfg that is somebody else's may say for all plays.
OTHER_SETTINGS = {
    "ANSIBLE_STRATEGY": "free",
    "ANSIBLE_ANY_ERRORS_FATAL": "1",
    "ANSIBLE_TASK_TIMEOUT": "1",
    "ANSIBLE_HASH_BEHAVIOUR": "merge",
    "ANSIBLE_PRIVATE_ROLE_VARS": "1",
    "ANSIBLE_INJECT_FACT_VARS": "0",
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0",
}


@dataclass(frozen=True)
class Host:
    name: str
    root: Path
    port: int

    def health(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError as error:
            return 0, {"reason": str(error)}

    def order(self, cents: int = 100) -> int:
        body = json.dumps({"customer_id": 1, "amount_cents": cents}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/orders", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(json.load(answer)["id"])

    @property
    def active(self) -> str:
        link = self.root / "current"
        return Path(os.readlink(link)).name if link.is_symlink() else ""


@dataclass(frozen=True)
class Run:
    """One run of a playbook. `result` is what it handed to set_stats."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        recap = self.output.split("PLAY RECAP")[1].split("CUSTOM STATS")[0]
        return sum(int(part.split("changed=")[1].split()[0]) for part in recap.splitlines() if "changed=" in part)

    def ok(self) -> Run:
        assert self.status == 0, self.output
        return self

    @property
    def result(self) -> dict[str, Any]:
        stats = self.output.split("RUN: ", 1)[1]
        return json.JSONDecoder().raw_decode(stats)[0]["dbops_deployment"]


@dataclass
class Stage:
    folder: Path
    server: Postgres
    count: int = 2
    variables: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)  # host → what its service has in its environment besides
    database: Any = None  # of any kind; a new one on the server, where none is given
    programs: Path | None = None  # the folder of another ansible-playbook
    more: dict[str, str] = field(default_factory=dict)  # in the environment of ansible-playbook
    migrator: bool = False  # whether a host that serves nothing migrates, instead of the first of the others

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.app = venvs.application("shop")
        self.database = self.database or self.server.database(attributes="CREATEDB")
        self.hosts = [Host(f"shop{n}", self.folder / f"shop{n}", free_port()) for n in range(1, self.count + 1)]
        for host in self.hosts:
            host.root.mkdir()
        self._start_supervisor()
        self._write_inventory()

    def _start_supervisor(self) -> None:
        configuration = self.folder / "supervisord.conf"
        head = CONFIGURATION.format(folder=self.folder, user=getpass.getuser())
        configuration.write_text(
            head + "".join(PROGRAM.format(host=host, more=self.settings.get(host.name, "")) for host in self.hosts)
        )
        self.ctl = [program("supervisorctl"), "-c", str(configuration)]
        self.supervisor = Daemon([program("supervisord"), "-n", "-c", str(configuration)], None, self.folder / "supervisord.out")
        os.environ["DATABASE_URL"] = self.database.url()
        try:
            self.supervisor.start(lambda: subprocess.run([*self.ctl, "pid"], capture_output=True, check=False).returncode == 0)
        finally:
            del os.environ["DATABASE_URL"]

    def _write_inventory(self) -> None:
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "application_name": "shop",
            "application_manager": "supervisor",
            "application_services": ["{{ inventory_hostname }}"],
            "application_supervisor_config": str(self.folder / "supervisord.conf"),
            "application_supervisor_ctl": self.ctl[0],
            "release_source": "archive",
            "release_root": f"{self.folder}/{{{{ inventory_hostname }}}}",
            "release_archive": f"{self.folder}/shop-{{{{ release_version }}}}.tar.gz",
            "release_install": "none",
            "release_links": {"venv": str(self.app.parents[1])},
            "schema_database_url_variable": "DATABASE_URL",
            "schema_sessions_wait_seconds": 5,
            "health_url": "http://127.0.0.1:{{ shop_port }}/health",
            "health_json": {"status": "ok"},
            "health_retries": 30,
            "deployment_record_directory": f"{self.folder}/records",
            "backup_archive_directory": f"{self.folder}/archives",
            "backup_programs_directory": str(self.server.binaries),
        }
        hosts = {host.name: {"shop_port": host.port} for host in self.hosts}
        children: dict[str, Any] = {"application": {"hosts": hosts}}
        if self.migrator:
            children["migrator"] = {"hosts": {"apart": {"release_root": f"{self.folder}/apart"}}}
        inventory = {"all": {"vars": {**common, **self.variables}, "children": children}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory, indent=1))

    def archive(self, *releases: str) -> None:
        for release in releases:
            write_archive(release, self.folder)

    def altered(self, release: str, base: str, files: dict[str, str]) -> None:
        """Make the archive of a release that is another one but for these files, path → text."""
        tree = write_tree(base, self.folder / "altered" / release)
        for path, text in {"shop/_release.py": f'RELEASE = VERSION = "{release}"\n', **files}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        with tarfile.open(self.folder / f"shop-{release}.tar.gz", "w:gz") as packed:
            packed.add(tree, arcname=f"shop-{release}")

    def play(self, playbook: str, *arguments: str, **extra: Any) -> Run:
        """Run dbops.alembic.<playbook>; the URL of the database comes from the environment and is on no command line.

        What is None is not given at all.
        """
        program = [str(self.programs / "ansible-playbook")] if self.programs else ansible_playbook()
        command = [*program, "-i", str(self.folder / "inventory.json"), f"dbops.alembic.{playbook}", *arguments]
        given = {"schema_database_url": "{{ lookup('ansible.builtin.env', 'SHOP_DATABASE_URL') }}", **extra}
        if extra.get("release_version") == "unhealthy":  # it never is, and there is no use in waiting for it as for others
            given = {"health_retries": 12, **given}
        given = {name: value for name, value in given.items() if value is not None}
        done = subprocess.run(
            [*command, "--extra-vars", json.dumps(given)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.folder,
            check=False,
        )
        secret = getattr(self.database, "password", None)
        assert not secret or secret not in done.stdout
        return Run(done.returncode, done.stdout)

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PG", "PYTHONPATH"))}
        return {
            **ours,
            "SHOP_DATABASE_URL": self.database.url(),
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
            "LC_ALL": "C.UTF-8",
            **self.more,
        }

    def seed(self, orders: int = 200) -> None:
        release = self.hosts[0].root / "current"
        environment = {**os.environ, "DATABASE_URL": self.database.url()}
        command = [str(self.app), "-m", "shop", "seed", "--orders", str(orders)]
        subprocess.run(command, cwd=release, env=environment, check=True, stdout=subprocess.DEVNULL)

    def contents(self) -> tuple[str, str]:
        """The revision, and a checksum of schema and rows."""
        revision = self.database.fetch("select version_num from alembic_version") if self.database.tables() else []
        return ",".join(row[0] for row in revision), hashlib.sha256(self.database.dump().encode()).hexdigest()

    def serving(self) -> set[tuple[str, int, str]]:
        """Active release, status and release of the answer, of every host."""
        answers = [(host, *host.health()) for host in self.hosts]
        return {(host.active, status, said.get("release", "")) for host, status, said in answers}

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / "records").glob("2*.json"))]

    def close(self) -> None:
        self.supervisor.stop()
        self.database.drop()
        shutil.rmtree(self.folder, ignore_errors=True)
