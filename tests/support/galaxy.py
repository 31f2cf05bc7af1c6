# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Galaxy server: Pulp with its plugin for Ansible, in an environment of its own, with a PostgreSQL and a Redis of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from .paths import REQUIREMENTS, VENVS
from .postgres import Postgres
from .processes import Daemon, Unavailable, free_port, program, service_folder
from .venvs import NoInterpreter, environment
from .waiting import until

NAME = "published"
SETTINGS = """
SECRET_KEY = {secret!r}
DB_ENCRYPTION_KEY = "{folder}/key"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", **{database!r}}}}}
CACHE_ENABLED = True
REDIS_HOST, REDIS_PORT = "127.0.0.1", {redis}
DEPLOY_ROOT = "{folder}"
STATIC_ROOT = "{folder}/static"
MEDIA_ROOT = "{folder}/media"
WORKING_DIRECTORY = FILE_UPLOAD_TEMP_DIR = "{folder}/work"
CONTENT_ORIGIN = ANSIBLE_CONTENT_HOSTNAME = "http://127.0.0.1:{content}"
ANSIBLE_API_HOSTNAME = "http://127.0.0.1:{api}"
ANALYTICS = False
"""

#: What make lint and the test of the importer look at already, which takes minutes for each collection.
IMPORTER = "[galaxy-importer]\nRUN_ANSIBLE_DOC=False\nRUN_ANSIBLE_LINT=False\nRUN_ANSIBLE_TEST=False\n"


class Galaxy:
    """`url` is what ansible-galaxy calls a server; `user` and `password` may publish there.

    :raises Unavailable: a program or an environment is missing on this machine, and why.
    """

    user = "admin"

    def __init__(self) -> None:
        self.redis = program("redis-server")
        try:
            self.programs = environment(VENVS / "galaxy", REQUIREMENTS / "galaxy.txt").parent
        except (RuntimeError, NoInterpreter) as problem:
            raise Unavailable(f"no environment with pulp-ansible: {problem}") from problem
        self.folder = service_folder("galaxy", None)
        self.postgres = Postgres()
        self.ports = {name: free_port() for name in ("api", "content", "redis")}
        self.password = ""
        self.daemons: list[Daemon] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}/pulp_ansible/galaxy/{NAME}/api/"

    def start(self) -> Galaxy:
        self.postgres.create().start()
        self.postgres.fetch("create database pulp")
        self._configure()
        self._run("pulpcore-manager", "migrate", "--no-input")
        self.password = re.findall(r'to "(.+)"', self._run("pulpcore-manager", "reset-admin-password", "--random"))[-1]
        self._daemon(self.redis, "--bind", "127.0.0.1", "--port", str(self.ports["redis"]), "--save", "", "--dir", str(self.folder))
        for name in ("content", "api"):
            self._daemon(f"pulpcore-{name}", "--bind", f"127.0.0.1:{self.ports[name]}", "--workers", "1")
        self._daemon("pulpcore-worker")
        until(self._ready, "a Galaxy server with a worker")
        repository = self.ask("repositories/ansible/ansible/", {"name": NAME})["pulp_href"]
        self.ask("distributions/ansible/ansible/", {"name": NAME, "base_path": NAME, "repository": repository})
        until(lambda: self.ask("distributions/ansible/ansible/")["count"], "the place to publish to")
        return self

    def remove(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.stop()
        self.postgres.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, path: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the server's own API answers, to `given` where something is to be made."""
        secret = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['api']}/pulp/api/v3/{path}",
            data=None if given is None else json.dumps(given).encode(),
            headers={"Authorization": f"Basic {secret}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def said(self) -> str:
        """The ends of the logs, for a failure."""
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in sorted(self.folder.glob("*.log")))

    def _ready(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            found = self.ask("status/")
            return bool(found["online_workers"] and found["online_content_apps"] and found["redis_connection"]["connected"])
        return False

    def _configure(self) -> None:
        database = {"HOST": "127.0.0.1", "PORT": self.postgres.port, "USER": "postgres", "PASSWORD": self.postgres.password}
        text = SETTINGS.format(
            secret=secrets.token_urlsafe(32), folder=self.folder, database={"NAME": "pulp", **database}, **self.ports
        )
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        for name, content in {"settings.py": text, "key": key, "importer.cfg": IMPORTER}.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(content)
        for name in ("media", "work", "static", "home"):
            (self.folder / name).mkdir()

    @property
    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.programs), "/usr/local/bin", "/usr/bin", "/bin"])
        files = {"PULP_SETTINGS": f"{self.folder}/settings.py", "GALAXY_IMPORTER_CONFIG": f"{self.folder}/importer.cfg"}
        return {"PATH": path, "HOME": f"{self.folder}/home", "LC_ALL": "C.UTF-8", **files}

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def _daemon(self, *command: str) -> None:
        environment = [f"{name}={value}" for name, value in self._environment.items()]
        log = self.folder / f"{Path(command[0]).name}.log"
        made = Daemon(["/usr/bin/env", "--ignore-environment", *environment, *command], None, log)
        self.daemons.append(made)
        made.start(lambda: True)
