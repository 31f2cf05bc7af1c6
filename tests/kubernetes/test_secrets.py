# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated passwords that a project tells in its pod: no log, result, record or report has them, in no spelling."""

from __future__ import annotations

import html
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from images import REPOSITORY, USER
from stage import Stage

from support.plays import Play, task
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs_root, pytest.mark.slow]
NASTY = " \t'\"`%@:/?#&=+;,<>()[]{}|\\$!~^-_.éßΩ日😀\x1b"
#: Both ends are words that every spelling leaves as they are; they are looked for, and what is between them as it is.
CORES = ("hidden-wOrd", "seCond-word")


def password(number: int) -> str:
    """A password of this number, always the same: a failure is the fault of the change that is tested."""
    chance = random.Random(number)
    middle = "".join(chance.choice(NASTY + string.ascii_letters) for _ in range(chance.randrange(8, 20)))
    return f"{CORES[0]}{middle}{chance.choice(NASTY)}{CORES[1]}"


TELLS = r"""
import base64, html, json, os, shlex, sys
from urllib.parse import quote, quote_plus
from sqlalchemy.engine import make_url
told = make_url(os.environ["DATABASE_URL"])
word, url, whole = told.password, os.environ["DATABASE_URL"], told.render_as_string(hide_password=False)
libpq = "host=x password='%s'" % word.replace("\\", "\\\\").replace("'", "\\'")
forms = [word, quote(word), quote(word, safe=""), quote_plus(word), repr(word), ascii(word), json.dumps(word)]
forms += [json.dumps(json.dumps(word)), shlex.quote(word), html.escape(word), url, whole, libpq]
forms += [repr(told.translate_connect_args()), word.replace("%", "%%")]
forms += [base64.b64encode(text.encode()).decode() for text in (word, url, whole)]
for form in forms:
    print("shown", form)
    print("shown", form, file=sys.stderr)
"""
#: Only where it migrates, so that the window is on its way; with another escape sequence, which no terminal may get.
FAILS = (
    TELLS
    + r"""
if "DBOPS_ALEMBIC_READ_ONLY" not in os.environ:
    raise RuntimeError("the cache is not reached: " + " | ".join(forms) + " \x1b]0;owned\x07")
"""
)


def has_none(texts: dict[str, str], secret: str) -> None:
    middle = secret[len(CORES[0]) : -len(CORES[1])].strip()
    for where, text in texts.items():
        found = [form for form in (*CORES, middle, html.escape(middle)) if form in text]
        assert not found, (where, found, text[-2000:])


@pytest.fixture
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path: Path) -> Iterator[Stage]:
    """A database whose owner has a generated password."""
    variables = {"deployment_report_enabled": True}
    database = server.database(password(0), attributes="CREATEDB")
    made = Stage(
        cluster, server, tmp_path / "s", python, replicas=1, migrator=False, jobs=True, database=database, variables=variables
    )
    yield made
    made.close()


def logs(stage: Stage) -> dict[str, str]:
    found = {}
    for pod in stage.get("pods")["items"]:
        name = pod["metadata"]["name"]
        found[f"the log of {name}"] = stage.cluster.try_kubectl("--namespace", stage.namespace, "logs", name).stdout
    return found


def tell(stage: Stage, folder: Path, number: int) -> dict[str, str]:
    """Let the project tell this password, and return all that is left of it."""
    secret = password(number)
    url = stage.database.url(password=secret).replace("127.0.0.1", stage.cluster.host)
    name = f"telling-{number}"
    stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"url": url}})
    job = {"kubeconfig": str(stage.kubeconfig), "namespace": stage.namespace, "application": "shop", "user": USER, "patience": 6}
    job |= {"image": f"{REPOSITORY}:1.1", "secret": name, "url_variable": "DATABASE_URL"}
    given: dict[str, Any] = {"chdir": "/app", "python": "/app/venv/bin/python", "kubernetes": job, "prelude": TELLS}
    hosts = {"here": {"ansible_python_interpreter": str(stage.python)}}
    done = Play(folder, [task("alembic_upgrade", **given)], "-vvv", hosts=hosts).outcome(300)
    failed = done.result()
    assert failed["error_kind"] == "authentication_failed" and failed["output"].count("shown") >= 30, done.printed
    return {"the terminal": done.printed, "the result": json.dumps(done.results, ensure_ascii=False), **logs(stage)}


def test_what_a_project_tells_in_its_pod(stage: Stage, tmp_path: Path) -> None:
    for number in range(1, 6):
        folder = tmp_path / str(number)
        folder.mkdir()
        texts = tell(stage, folder, number)
        assert any("authentication_failed" in text for text in texts.values())
        has_none(texts, password(number))


def test_a_deployment_that_fails_while_it_tells_it(stage: Stage) -> None:
    first = stage.play("maintenance_window", release_version="1.0")
    assert first.status == 0, first.output
    before = stage.contents()
    report = stage.folder / "shop.html"
    given = {"schema_prelude": FAILS, "deployment_report_path": str(report)}
    done = stage.play("maintenance_window", "-vvv", release_version="1.1", **given)
    assert done.status != 0 and "the cache is not reached" in done.output, done.output
    assert stage.contents() == before and stage.serves("1.0")
    records = stage.kubectl("get", "configmaps", "--output=json")
    assert "the cache is not reached" in records and "the cache is not reached" in report.read_text()
    objects = stage.kubectl("get", "jobs,pods,events,deployments", "--output=json")
    texts = {"the terminal": done.output, "the records": records, "the report": report.read_text(), "the objects": objects}
    has_none({**texts, **logs(stage)}, stage.database.password)
    assert all("\x1b" not in text for text in texts.values())
