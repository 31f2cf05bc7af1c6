# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How right the plan is: held against migrations of which is known whether they block and break running code.

Those of this collection are in ``labelled``. For more of PostgreSQL, DBOPS_CORPUS names folders, as PATH does: each an Alembic
project that reads DB_URL, one base revision and the cases as its children, populate.sql for rows, and labels.json with "blocks"
(true or false, null where it failed) and "old_code" ("ok", "maybe", "break" or "fails") for each case. A case of several
revisions ends in _1, _2, …; its label counts for all of them. A column that becomes NOT NULL is to be labelled "break" where an
INSERT of the old code may leave it out: that one worked before and fails afterwards, which is more than a value that is refused
("maybe").
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.labelled import (
    Labelled,
    mariadb,
    postgresql,
    postgresql_billing,
    postgresql_clinic,
    postgresql_desk,
    postgresql_energy,
    postgresql_exchange,
    postgresql_shipping,
    sqlite,
)
from bench.labelled.measure import filled
from bench.table import show
from support import runner, venvs
from support.mariadb import MariaDB
from support.postgres import Postgres
from support.sqlite import SqliteDatabase

VARIABLE = "DBOPS_CORPUS"
#: Enough for a table to be large; the labels were measured with more, which changes how long a case takes and not what it does.
ROWS = 120000
VERDICTS = {"blocks": ("blocks",), "breaks": ("breaks", "fails"), "hard": ("blocks", "breaks", "fails", "unknown")}


def measure(server: Postgres) -> None:
    measure_labelled(server)
    measure_corpus(server)


def measure_labelled(server: Postgres) -> None:
    """Score the sets that are part of this collection's tests."""
    ours = functools.partial(_postgresql, server)
    for labelled, maker in (
        (postgresql.SET, ours),
        (postgresql_shipping.SET, ours),
        (postgresql_desk.SET, ours),
        (postgresql_clinic.SET, ours),
        (postgresql_exchange.SET, ours),
        (postgresql_billing.SET, ours),
        (postgresql_energy.SET, ours),
        (mariadb.SET, _mariadb),
        (sqlite.SET, _sqlite),
    ):
        with tempfile.TemporaryDirectory(prefix="dbops-bench-") as home, maker(labelled, Path(home)) as (project, environment):
            for mode in ("rehearse", "static"):
                score_cases(f"migrations of {labelled.name}", project, labelled.labels, environment, mode)


def measure_corpus(server: Postgres) -> None:
    folders = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    if not folders or not all((folder / "labels.json").exists() for folder in folders):
        print(f"\nPrecision and recall of the plan are left out: {VARIABLE} names no folder with labelled migrations.")
        return
    for folder in folders:
        for mode in ("rehearse", "static"):
            score(server, folder, mode)


def score(server: Postgres, folder: Path, mode: str = "rehearse") -> dict[str, tuple[float, float]]:
    """Print the verdicts that are wrong, and precision and recall; return them.

    What is unknown counts as neither for the first two verdicts, and as a refusal for "hard", which is either. A case that would
    run beside the old code and should not is printed by itself.
    """
    labels: dict[str, dict[str, Any]] = json.loads((folder / "labels.json").read_text())
    database, environment = _filled(server, folder)
    found = score_cases(f"migrations of {folder}", folder, labels, environment, mode)
    database.drop()
    return found


def score_cases(
    title: str, folder: Path, labels: dict[str, dict[str, Any]], environment: dict[str, str], mode: str
) -> dict[str, tuple[float, float]]:
    """Score the cases of an Alembic project whose database is at their base."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in VERDICTS}
    wrong: list[list[object]] = [["case", "verdict", "label", "findings"]]
    let_through = []
    for case in sorted(labels):
        found = [item for item in _planned(folder, environment, case, mode) if item["revision"].startswith(case)]
        classes = {finding["class"] for item in found for finding in item["findings"]}
        breaks = labels[case]["old_code"] in ("break", "fails")
        truth = {"blocks": labels[case]["blocks"], "breaks": breaks, "hard": bool(labels[case]["blocks"]) or breaks}
        rules = " ".join(f"{finding['rule']}" for item in found for finding in item["findings"])
        for name, kinds in VERDICTS.items():
            if truth[name] is None:
                continue
            said = bool(classes & set(kinds))
            counts[name][f"{said}{truth[name]}"] += 1
            if said != truth[name]:
                wrong.append([case, f"{name}: {said}", truth[name], rules])
        if truth["hard"] and all(item["phase"] == "expand" for item in found):
            let_through.append(case)
    if len(wrong) > 1:
        show(f"Verdicts of the plan ({mode}) that the labels do not share: {title}", wrong)
    result = {name: _rates(each) for name, each in counts.items()}
    rates = [[name, f"{precision:.2f}", f"{recall:.2f}"] for name, (precision, recall) in result.items()]
    show(f"The plan ({mode}) on {len(labels)} labelled {title}", [["verdict", "precision", "recall"], *rates])
    print(f"Called fit to run beside the old code, and not so: {', '.join(let_through) or 'none'}.")
    return result


@contextlib.contextmanager
def _postgresql(server: Postgres, labelled: Labelled, home: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a project of the set, and the way to a database at its base."""
    _reader(server)
    database, project = server.database(attributes="createdb"), labelled.project(home / "project")
    filled(labelled, project, database.url(), database.fetch, ROWS)
    yield project, {"DB_URL": database.url()}
    database.drop()


@contextlib.contextmanager
def _mariadb(labelled: Labelled, home: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    server, project = MariaDB().create().start(), labelled.project(home / "project")
    try:
        database = server.database()
        server.fetch(rf"grant all on `dbops\_rehearsal\_%`.* to {database.role}@'%'")
        filled(labelled, project, database.url(), database.fetch, ROWS)
        yield project, {"DB_URL": database.url()}
    finally:
        server.remove()


@contextlib.contextmanager
def _sqlite(labelled: Labelled, home: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    database, project = SqliteDatabase(home / "one.db"), labelled.project(home / "project")
    filled(labelled, project, database.url(), database.fetch, ROWS)
    yield project, {"DB_URL": database.url()}


def versions(folder: Path) -> Path:
    """Return the folder of the revisions."""
    config = configparser.ConfigParser(defaults={"here": str(folder)})
    config.read(folder / "alembic.ini")
    return Path(config["alembic"]["script_location"]) / "versions"


def _reader(server: Postgres) -> None:
    if not server.fetch(f"select 1 from pg_roles where rolname = '{postgresql.READER}'"):
        server.fetch(f"create role {postgresql.READER} login")


def _filled(server: Postgres, folder: Path) -> tuple[Any, dict[str, str]]:
    """Make a database at the base revision, with rows."""
    _reader(server)
    database = server.database(attributes="createdb")
    environment = {"DB_URL": database.url()}
    base = next(path.stem for path in versions(folder).glob("b*.py"))
    subprocess.run(
        [venvs.application("alembic120"), "-m", "alembic.config", "upgrade", base],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    database.fetch(re.sub(r"\b[1-9]\d{5,}\b", str(ROWS), (folder / "populate.sql").read_text()))
    return database, environment


def _planned(folder: Path, environment: dict[str, str], case: str, mode: str) -> list[dict[str, Any]]:
    """Return what the plan says of the revisions of a case."""
    last = sorted((path for path in versions(folder).glob("*.py") if re.fullmatch(rf"{case}(?:_\d+)?", path.stem)), key=_number)[-1]
    revision = re.search(r'^revision\s*(?::.*)?=\s*"([^"]+)"', last.read_text(), re.M)
    parameters = {
        "chdir": str(folder),
        "python": str(venvs.application("alembic120")),
        "environment": environment,
        "revision": revision.group(1),  # type: ignore[union-attr]
        "mode": mode,
        "url": environment["DB_URL"],
    }
    plan = runner.run("alembic_plan", parameters)
    assert not plan.get("failed"), (case, plan["msg"])
    return plan["revisions"]  # type: ignore[no-any-return]


def _number(path: Path) -> int:
    return int((re.search(r"_(\d+)$", path.stem) or [0, 0])[1])


def _rates(counts: Counter[str]) -> tuple[float, float]:
    hits = counts["TrueTrue"]
    return hits / max(1, hits + counts["TrueFalse"]), hits / max(1, hits + counts["FalseTrue"])
