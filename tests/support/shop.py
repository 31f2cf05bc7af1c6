# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database with a project and no application, and the playbooks and the role backup on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .application import Application, ok
from .paths import CACHE, TREE
from .playbook import command as ansible_playbook
from .projects import Project

#: Values that a dump, a shell or a terminal could spoil.
WORDS = ("plain", 'it\'s; -- a "quote"', "two\nlines\tand a tab", "\\N \\. back\\slash", "Größe 日本 🙂", "")


@dataclass
class Shop:
    """A database with its project, and the playbooks on it. There are no processes: nothing but the database is under test."""

    folder: Path
    database: Any
    project: Project
    python: str
    variables: dict[str, Any] = field(default_factory=dict)

    def role(self, *steps: str, **extra: Any) -> subprocess.CompletedProcess[str]:
        """Run these entry points of the role backup, and nothing else."""
        tasks = [{"ansible.builtin.include_role": {"name": "dbops.alembic.backup", "tasks_from": step}} for step in steps]
        path = self.folder / "role.yml"
        path.write_text(json.dumps([{"hosts": "application", "gather_facts": False, "tasks": tasks}]))
        return self.run(str(path), **extra)

    def play(self, playbook: str, *arguments: str, **extra: Any) -> subprocess.CompletedProcess[str]:
        return self.run(f"dbops.alembic.{playbook}", *arguments, **extra)

    def run(self, playbook: str, *arguments: str, **extra: Any) -> subprocess.CompletedProcess[str]:
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "application_name": "shop",
            "application_services": [],
            "schema_chdir": str(self.project.folder),
            "deployment_record_directory": str(self.folder / "records"),
            "backup_archive_directory": str(self.folder / "archives"),
            "schema_python": self.python,
            **self.variables,
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"vars": common, "children": {"application": {"hosts": {"here": {}}}}}}))
        asked = {"schema_database_url": "{{ lookup('ansible.builtin.env', 'SHOP_URL') }}", **extra}
        given = {name: value for name, value in asked.items() if value is not None}
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PG", "MYSQL", "PYTHONPATH"))}
        done = subprocess.run(
            [*ansible_playbook(), "-i", str(inventory), playbook, *arguments, "--extra-vars", json.dumps(given)],
            env={
                **ours,
                "SHOP_URL": self.database.url(),
                "ANSIBLE_COLLECTIONS_PATH": str(TREE),
                "ANSIBLE_HOME": str(CACHE / "ansible"),
                "ANSIBLE_NOCOLOR": "1",
                "LC_ALL": "C.UTF-8",
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert getattr(self.database, "password", "no password") not in done.stdout
        return done

    def passes(self, playbook: str, *arguments: str, **extra: Any) -> str:
        done = self.play(playbook, *arguments, **extra)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def refuses(self, playbook: str, why: str, **extra: Any) -> None:
        """The playbook fails, says why, and the database is as it was."""
        before = self.database.dump()
        done = self.play(playbook, **extra)
        assert done.returncode != 0 and why in " ".join(done.stdout.split()), done.stdout
        assert self.database.dump() == before

    def backed_up(self, **extra: Any) -> tuple[dict[str, Any], str]:
        """What is beside the archive that the role writes now, and what was said."""
        done = self.role("preflight", "archive", _backup_for_window=False, **extra)
        assert done.returncode == 0, done.stdout
        return self.described(), " ".join(done.stdout.split())

    def described(self) -> dict[str, Any]:
        (path,) = (self.folder / "archives").glob("*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def restored(self, archive: dict[str, Any], **extra: Any) -> None:
        done = self.role("restore_archive", backup_restore_archive=archive, **extra)
        assert done.returncode == 0, done.stdout

    def archives(self) -> list[Path]:
        return sorted(path for path in (self.folder / "archives").glob("*") if path.suffix != ".json")


def shop(folder: Path, app: Application, database: Any, **variables: Any) -> Shop:
    project = app.project("linear", database)
    ok(app.upgrade(project))
    database.fetch("create table words (id integer primary key, word varchar(100))")
    row = "?, ?" if database.dialect == "sqlite" else "%s, %s"
    for number, word in enumerate(WORDS):
        database.fetch(f"insert into words values ({row})", [number, word])
    if database.dialect == "postgresql":
        database.fetch(f"alter table words owner to {database.role}")
    return Shop(folder, database, project, str(app.python), variables)
