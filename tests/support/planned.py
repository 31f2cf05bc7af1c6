# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects whose revisions a test writes down itself, and what alembic_plan says of them."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Any, Mapping, Sequence

from .application import Application
from .projects import Project

Bodies = Mapping[str, Sequence[str]]
_FILE = '''\
"""{name}"""
import os

import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {down!r}
{head}

def upgrade():
{up}


def downgrade():
{back}
'''


#: For the head of an env.py: each look at what has changed is held against one at all there is.
_LOOKS = """\
import sys

looks = {name: sys.modules.get(f"_dbops_worker.rehearsal.{name}") for name in ("changed", "catalog", "relations", "rights")}
if looks["changed"] and not hasattr(looks["changed"], "of_what_changed"):
    looks["changed"].of_what_changed, again = looks["changed"].look, looks["rights"].Held.again

    def note(what, found, expected):
        differing = "" if found == expected else f": {sorted(set(map(str, found.items())) ^ set(map(str, expected.items())))}"
        with open(PATH, "a") as told:
            print(what + differing, file=told)

    def look(session, tables, previous=None, account=None):
        found = looks["changed"].of_what_changed(session, tables, previous, account)
        note("catalog", dict(found), looks["catalog"].look(session, list(tables)))
        known = looks["relations"].read(session)
        for name in ("relations", "indexes", "foreign_keys"):
            note(name, getattr(found.known, name), getattr(known, name))
        return found

    def held(self, session, before, after):
        found = again(self, session, before, after)
        note("rights", found, looks["rights"].look(session, self.names))
        return found

    looks["changed"].look, looks["rights"].Held.again = look, held
"""


def looks_compared(project: Project) -> Path:
    """Let the looks of a rehearsal be held against whole ones; the file that is returned has a line for each, with what differs."""
    path, environment = project.folder / "looks", project.folder / "migrations" / "env.py"
    environment.write_text(_LOOKS.replace("PATH", repr(str(path))) + environment.read_text())
    return path


def written(app: Application, database: Any, bodies: Bodies, fixture: str = "linear", **options: Any) -> Project:
    """A project with these revisions in a line: name → upgrade, downgrade and what else stands at the top of the file."""
    project = app.project(fixture, database, **options)
    shutil.rmtree(project.versions())
    project.versions().mkdir()
    down = None
    for name, (up, back, *head) in bodies.items():
        parts = {"up": textwrap.indent(up or "pass", "    "), "back": textwrap.indent(back or "pass", "    ")}
        text = _FILE.format(name=name, down=down, head="\n".join(head), **parts)
        (project.versions() / f"{name}.py").write_text(text)
        down = name
    return project


def sql(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def rules(plan: Mapping[str, Any], revision: str, *classes: str) -> list[str]:
    """Rule and object of what the plan found on that revision, in these classes or in all."""
    found = next(item for item in plan["revisions"] if item["revision"] == revision)["findings"]
    return sorted(f"{item['rule']}:{item['object']}" for item in found if not classes or item["class"] in classes)


def scratches(server: Any) -> list[str]:
    return [row[0] for row in server.fetch("select datname from pg_database where datname like 'dbops_rehearsal%'")]
