# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects from PyPI that nobody here wrote, and how each wants to be driven. Nothing of theirs is changed.

For each there is an older release, which makes the database and puts rows into it, and a newer one, to which it is brought twice:
by the modules, and by the command line that the project has for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support import guide
from support.application import ok
from support.paths import ROOT
from support.runner import Run

GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_real_products.rst"
Command = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a project works: the Pythons of both releases, a folder of its own, and one database."""

    old: Path
    new: Path
    folder: Path
    database: Any

    @property
    def is_sqlite(self) -> bool:
        return self.database.dialect == "sqlite"

    def url(self, driver: str = "psycopg2") -> str:
        return str(self.database.url() if self.is_sqlite else self.database.url(driver))

    def package(self, name: str, old: bool = False) -> Path:
        return next((self.old if old else self.new).parents[1].glob(f"lib/python*/site-packages/{name}"))

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def told(self, title: str) -> dict[str, Any]:
        """The options that the roles would make of the inventory in that section of the guide, for the newer release."""
        (block,) = [body for language, body in guide.blocks(guide.section(GUIDE, title)) if language == "yaml"]
        variables = yaml.safe_load(block)["application"]["vars"]
        release = self.folder / "release"
        release.mkdir(exist_ok=True)
        (release / "venv").symlink_to(self.new.parents[1])
        library = next(self.new.parents[1].glob("lib/python*")).name
        chdir = release / str(variables.get("schema_chdir", "")).replace("python3.11", library)
        name = variables.get("schema_database_url_variable")
        options = {"chdir": str(chdir), "url": self.url(), "environment": {name: self.url()} if name else {}}
        return options | {key: variables[f"schema_{key}"] for key in ("config", "prelude") if f"schema_{key}" in variables}

    def run(self, python: Path, command: Command, environment: Mapping[str, str]) -> str:
        """Run a command of the project's in one of its environments; its output."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PG"))}
        path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
        variables = {**own, "PATH": path, "HOME": str(self.folder), **environment}
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout


@dataclass(frozen=True)
class Project:
    """One project at one place.

    :param options: what the modules are told.
    :param environment: what its commands and its env.py find, besides.
    :param made: the commands with which the older release makes its database.
    :param rows: statements that put something into it.
    :param own: the commands with which the newer release migrates by itself.
    :param down: whether it can be downgraded to the older release's revision.
    :param again: whether it can be upgraded once more after that.
    :param revision: what is upgraded to.
    """

    place: Place
    options: Mapping[str, Any]
    own: tuple[Command, ...]
    made: tuple[Command, ...]
    rows: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    down: bool = True
    again: bool = True
    revision: str = "head"

    def run(self, operation: str, **parameters: Any) -> dict[str, Any]:
        environment = {**self.environment, **self.options.get("environment", {})}
        given = {"python": str(self.place.new), **self.options, "environment": environment, **parameters}
        return ok(Run(f"alembic_{operation}", given).result(900))

    def make(self) -> None:
        for command in self.made:
            self.place.run(self.place.old, command, self.environment)
        for statement in self.rows:
            self.place.database.fetch(statement)

    def migrate_its_own_way(self) -> None:
        for command in self.own:
            self.place.run(self.place.new, command, self.environment)


def ihatemoney(place: Place) -> Project:
    """Flask-Migrate; its factory migrates by itself, so the prelude does without it."""
    settings = place.file("settings.cfg", f'SQLALCHEMY_DATABASE_URI = {place.url()!r}\nSECRET_KEY = "none"\n')
    start = ("python", "-c", "from ihatemoney.run import create_app; create_app()")
    return Project(
        place,
        place.told("A Flask application whose factory migrates"),
        own=(start,),
        made=(start,),
        rows=(
            "insert into project (id, name, password, contact_email, logging_preference, default_currency) "
            "values ('trip', 'Trip', 'x', 'a@example.com', 'ENABLED', 'XXX')",
            "insert into person (project_id, name, weight, activated) values ('trip', 'Ada', 1, true)",
        ),
        environment={"IHATEMONEY_SETTINGS_FILE_PATH": str(settings), "DATABASE_URL": place.url()},
        again=place.is_sqlite,  # the downgrade makes a column VARCHAR that the upgrade does not make an enum again
    )


def keystone(place: Place) -> Project:
    """OpenStack: its Alembic configuration is made in code, from oslo.config; two branches, expand and contract."""
    settings = place.file("keystone.conf", f"[database]\nconnection = {place.url()}\n")
    sync = ("keystone-manage", "--config-file", str(settings), "db_sync")
    return Project(
        place,
        place.told("A product with its own upgrade command"),
        own=(sync,),
        made=(sync,),
        rows=(
            "insert into region (id, description) values ('one', 'first')",
            "insert into service (id, type, enabled) values ('s', 'compute', true)",
        ),
        revision="heads",
        down=False,  # its revisions have no downgrade
    )


BUILDBOT = """\
from buildbot.config import BuilderConfig
from buildbot.process.factory import BuildFactory
from buildbot.schedulers.forcesched import ForceScheduler
from buildbot.worker import Worker
c = BuildmasterConfig = dict(db=dict(db_url={url!r}), buildbotNetUsageData=None, protocols=dict(pb=dict(port="tcp:0")))
c["workers"] = [Worker("one", "none")]
c["builders"] = [BuilderConfig(name="one", workernames=["one"], factory=BuildFactory())]
c["schedulers"] = [ForceScheduler(name="force", builderNames=["one"])]
"""
TAC = "from twisted.application import service\napplication = service.Application('buildmaster')\n"


def buildbot(place: Place) -> Project:
    """An alembic.ini inside the package; its own command is given the folder of a master."""
    configuration = place.file("master.cfg", BUILDBOT.format(url=place.url()))
    tac = place.file("buildbot.tac", TAC)
    upgrade = ("buildbot", "upgrade-master", "--quiet", str(configuration.parent))
    assert tac.parent == configuration.parent
    home = place.package("buildbot/db/migrations")
    return Project(
        place,
        {"chdir": str(home), "url": place.url()},
        own=(upgrade,),
        made=(upgrade,),
        rows=("insert into masters (id, name, name_hash, active, last_active) values (1, 'one', 'x', 1, 0)",),
        down=False,  # that of 060 fails
    )


PREFECT = """\
import anyio
from prefect.utilities import asyncutils
asyncutils.run_async_from_worker_thread = anyio.run
"""


def prefect(place: Place) -> Project:
    """An async env.py that takes the URL from a settings class and wants to be run from a thread of the application's own."""
    url = place.url("asyncpg").replace("sqlite:", "sqlite+aiosqlite:")
    return Project(
        place,
        {"chdir": str(place.folder), "config": str(place.package("prefect/server/database/alembic.ini")), "prelude": PREFECT},
        own=(("prefect", "server", "database", "upgrade", "-y"),),
        made=(("prefect", "server", "database", "upgrade", "-y"),),
        rows=(
            'insert into concurrency_limit_v2 (id, name, active, "limit", active_slots, denied_slots, slot_decay_per_second, '
            "avg_slot_occupancy_seconds) values ('6f9619ff-8b86-4011-b42d-00c04fc964ff', 'one', true, 1, 0, 0, 0, 0)",
        ),
        environment={"PREFECT_API_DATABASE_CONNECTION_URL": url, "PREFECT_HOME": str(place.folder / "prefect")},
    )


def dagster(place: Place) -> Project:
    """Its env.py takes nothing but a connection; its own instance hands over one in autocommit."""
    place.file(
        "dagster.yaml", f"storage:\n  postgres:\n    postgres_url: {place.url().replace('%', '%%')}\ntelemetry:\n  enabled: false\n"
    )
    migrate = ("dagster", "instance", "migrate")
    return Project(
        place,
        place.told("dagster"),
        own=(migrate,),
        made=(migrate,),
        rows=(
            "insert into kvs (key, value) values ('one', 'two')",
            "insert into runs (run_id, status, run_body) values ('r1', 'SUCCESS', '{}')",
        ),
        environment={"DAGSTER_HOME": str(place.folder), "DATABASE_URL": place.url()},
    )


MLFLOW = "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; SqlAlchemyStore(*sys.argv[1:])"


def mlflow(place: Place) -> Project:
    """Migrations inside the package, told relative to the folder that the package is in."""
    return Project(
        place,
        place.told("mlflow"),
        own=(("mlflow", "db", "upgrade", place.url()),),
        made=(("python", "-c", MLFLOW, place.url(), str(place.folder / "artifacts")),),
        rows=("insert into registered_models (name, description) values ('one', 'first')",),
        down=not place.is_sqlite,  # where the downgrade of c8d9e0f1a2b3 fails
        again=False,  # a table is left over
    )


def optuna(place: Place) -> Project:
    """A command of its own for storages."""
    home = place.package("optuna/storages/_rdb")
    return Project(
        place,
        {"chdir": str(home), "url": place.url()},
        own=(("optuna", "storage", "upgrade", "--storage", place.url()),),
        made=(("optuna", "create-study", "--study-name", "one", "--storage", place.url()),),
        rows=("insert into trials (trial_id, number, study_id, state) values (7, 0, 1, 'COMPLETE')",),
        down=False,  # that of v3.0.0.c fails
    )


def phoenix(place: Place) -> Project:
    """Its README says: alembic from src/phoenix/db, with the URL in the environment; async on PostgreSQL."""

    def upgrade(old: bool) -> Command:
        return ("sh", "-c", f"cd {place.package('phoenix/db', old)} && alembic upgrade head")

    url = place.url("")
    return Project(
        place,
        {"chdir": str(place.package("phoenix/db"))},
        own=(upgrade(False),),
        made=(upgrade(True),),
        rows=("insert into projects (name, description) values ('one', 'first')",),
        environment={"PHOENIX_SQL_DATABASE_URL": url, "PHOENIX_WORKING_DIR": str(place.folder)},
        down=False,  # not tried
    )


JUPYTERHUB_INI = "import sys; from jupyterhub.dbutil import write_alembic_ini; write_alembic_ini('alembic.ini', sys.argv[1])"
JUPYTERHUB = "import sys; from jupyterhub import orm; orm.new_session_factory(sys.argv[1])"


def jupyterhub(place: Place) -> Project:
    """Its alembic.ini is a template that it fills in itself."""
    place.run(place.new, ("python", "-c", JUPYTERHUB_INI, place.url()), {})
    return Project(
        place,
        {"chdir": str(place.folder), "config": str(place.folder / "alembic.ini"), "url": place.url()},
        own=(("jupyterhub", "upgrade-db", f"--db={place.url()}"),),
        made=(("python", "-c", JUPYTERHUB, place.url()),),
        rows=("insert into users (id, name, admin, created, cookie_id) values (7, 'ada', true, '2024-01-01', 'x')",),
        down=False,  # one of its revisions fails on SQLite
    )


NEUTRON = """\
import os
from neutron.db.migration import cli
cli.CONF(["current"], project="neutron", default_config_files=[])
cli.CONF.set_override("connection", os.environ["DATABASE_URL"], "database")
config = cli.get_neutron_config()
"""


def neutron(place: Place) -> Project:
    """OpenStack too: its env.py wants the configuration of the service on Alembic's own; MySQL and MariaDB."""
    url = place.database.url()

    def upgrade(python: Path) -> Command:
        return ("neutron-db-manage", "--database-connection", url, "upgrade", "heads")

    return Project(
        place,
        {"chdir": str(place.folder), "prelude": NEUTRON, "url": url},
        own=(upgrade(place.new),),
        made=(upgrade(place.old),),
        rows=("insert into standardattributes (id, resource_type, revision_number) values (7, 'networks', 0)",),
        environment={"DATABASE_URL": url},
        revision="heads",
        down=False,  # its revisions have no downgrade
    )


def airflow(place: Place) -> Project:
    """The URL is read from a setting."""
    environment = {
        "AIRFLOW_HOME": str(place.folder / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": place.url(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    migrate = ("airflow", "db", "migrate")
    return Project(
        place,
        {"chdir": str(place.package("airflow")), "url": place.url()},
        own=(migrate,),
        made=(migrate,),
        rows=("insert into variable (key, val, is_encrypted) values ('one', 'two', false)",),
        environment=environment,
        down=False,
    )


SUPERSET = """\
import os
from flask_appbuilder.security.sqla.manager import SecurityManager
if "DBOPS_ALEMBIC_READ_ONLY" in os.environ:  # the factory makes the tables of users and rights
    SecurityManager.create_db = lambda self: None
from superset.app import create_app
app = create_app()
app.app_context().push()
config = app.extensions["migrate"].migrate.get_config()
"""


def superset(place: Place) -> Project:
    """Flask-Migrate, with a factory that does not migrate."""
    settings = place.file("superset_config.py", f'SQLALCHEMY_DATABASE_URI = {place.url()!r}\nSECRET_KEY = "{"x" * 42}"\n')
    environment = {"SUPERSET_CONFIG_PATH": str(settings), "FLASK_APP": "superset", "SUPERSET_HOME": str(place.folder)}
    upgrade = ("superset", "db", "upgrade")
    return Project(
        place,
        {"chdir": str(place.folder), "prelude": SUPERSET, "url": place.url()},
        own=(upgrade,),
        made=(upgrade,),
        rows=("insert into keyvalue (id, value) values (7, 'one')",),
        environment=environment,
        down=False,
    )


MADE = (ihatemoney, keystone, buildbot, prefect, dagster, mlflow, optuna, phoenix, jupyterhub, neutron, airflow, superset)
PROJECTS: dict[str, Callable[[Place], Project]] = {made.__name__: made for made in MADE}
#: The databases on which each is tried; both unless told.
DATABASES: dict[str, tuple[str, ...]] = {"dagster": ("pg",), "neutron": ("mariadb",), "airflow": ("pg",), "superset": ("pg",)}
