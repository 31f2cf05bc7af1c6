# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample application's releases do what their table in demo/app/README.md says, by Alembic's own command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import venvs
from support.paths import ROOT
from support.postgres import PostgresDatabase
from support.processes import free_port
from support.quick import some
from support.waiting import PATIENCE

RELEASES = ROOT / "demo" / "app" / "releases.py"
GOOD = {"1.1": "c64b2e98d075", "1.2": "f90c3b6d2e18", "2.0": "7b1d9e52f0c8", "2.1": "c0a4f6d81e37", "no_downgrade": "60c39252eaff"}


class Shop:
    """One release on one database."""

    def __init__(self, python: Path, tree: Path, url: str):
        self.python, self.tree, self.port = python, tree, free_port()
        self.environment = {**os.environ, "DATABASE_URL": url, "PORT": str(self.port)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-m", *arguments]
        return subprocess.run(
            command, cwd=self.tree, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def serve(self) -> subprocess.Popen[str]:
        command = [str(self.python), "-m", "shop", "serve"]
        return subprocess.Popen(
            command, cwd=self.tree, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def ask(self, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def first_answer(self, service: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and service.poll() is None:
            try:
                return self.ask("/health")
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"no answer; the service says {service.communicate(timeout=PATIENCE)[0]}")


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    subprocess.run([sys.executable, str(RELEASES), "tree", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def release(trees: Path, pg: PostgresDatabase) -> Iterator[Any]:
    python = venvs.application("shop")
    services = []

    def prepared(name: str, before: str = "1.1") -> Shop:
        """That release, on a database with rows that stands where the release before it left it."""
        first = Shop(python, trees / "1.0", pg.url())
        assert first.run("alembic", "upgrade", "head").returncode == 0
        assert first.run("shop", "seed", "--orders", "300").returncode == 0
        assert Shop(python, trees / before, pg.url()).run("alembic", "upgrade", "head").returncode == 0
        shop = Shop(python, trees / name, pg.url())
        start = shop.serve

        def serve() -> subprocess.Popen[str]:
            services.append(start())
            return services[-1]

        shop.serve = serve  # type: ignore[method-assign]
        return shop

    yield prepared
    for service in services:
        service.kill()
        service.communicate()


@pytest.mark.parametrize("name", some(GOOD, "1.1"))
def test_a_good_release_migrates_and_serves(release: Any, pg: PostgresDatabase, name: str) -> None:
    shop = release(name, before="1.0" if name == "1.1" else "1.1")
    assert shop.run("alembic", "upgrade", "head").returncode == 0
    check = shop.run("alembic", "check")
    assert check.returncode == 0, check.stdout
    service = shop.serve()
    assert shop.first_answer(service) == (200, {"status": "ok", "release": name, "revision": GOOD[name]})
    assert shop.ask("/orders", {"customer_id": 3, "amount_cents": 1250})[0] == 201
    assert pg.fetch("select id, amount_cents from orders order by id desc limit 1") == [(301, 1250)]


@pytest.mark.slow
def test_the_rows_are_the_same_each_time(release: Any, pg: PostgresDatabase) -> None:
    shop = release("1.0", before="1.0")
    dump = pg.dump()
    assert shop.run("alembic", "downgrade", "base").returncode == 0
    release("1.0", before="1.0")
    assert pg.dump() == dump
    assert pg.fetch("select (select count(*) from customers), (select count(*) from orders)") == [(30, 300)]


@pytest.mark.slow
def test_a_stop_waits_for_the_running_request_and_closes_the_pool(release: Any, pg: PostgresDatabase) -> None:
    shop = release("1.0", before="1.0")
    service = shop.serve()
    shop.first_answer(service)
    slow = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{shop.port}/turnover?seconds=2').status)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    pg.wait_for_session("state = 'idle in transaction'")
    service.send_signal(signal.SIGTERM)
    output = service.communicate(timeout=PATIENCE)[0]
    assert slow.communicate(timeout=PATIENCE)[0] == "200\n"
    assert service.returncode == 0 and "release 1.0 has stopped" in output
    assert pg.sessions() == []


def test_broken_migration_fails_on_rows_only(release: Any, pg: PostgresDatabase) -> None:
    shop = release("broken_migration")
    failed = shop.run("alembic", "upgrade", "head")
    assert failed.returncode != 0 and "customers_name_key" in failed.stdout
    pg.fetch("delete from payments")
    pg.fetch("delete from orders")
    pg.fetch("delete from customers")
    assert shop.run("alembic", "upgrade", "head").returncode == 0


@pytest.mark.slow
def test_broken_autocommit_leaves_half_of_itself(release: Any, pg: PostgresDatabase) -> None:
    shop = release("broken_autocommit")
    assert shop.run("alembic", "upgrade", "head").returncode != 0
    assert pg.fetch("select version_num from alembic_version") == [(GOOD["1.1"],)]
    assert pg.fetch("select count(*) from customers where phone is not null") == [(30,)]
    assert pg.fetch("select indexrelid::regclass::text from pg_index where not indisvalid") == [("customers_by_name",)]


@pytest.mark.slow
def test_wont_start_migrates_and_exits(release: Any) -> None:
    shop = release("wont_start")
    assert shop.run("alembic", "upgrade", "head").returncode == 0
    service = shop.serve()
    output = service.communicate(timeout=PATIENCE)[0]
    assert service.returncode == 1 and "CARRIER_KEY is not set" in output


@pytest.mark.slow
def test_unhealthy_migrates_loses_amounts_and_says_500(release: Any, pg: PostgresDatabase) -> None:
    shop = release("unhealthy")
    total = pg.fetch("select sum(amount_cents) from orders")
    assert shop.run("alembic", "upgrade", "head").returncode == 0
    status, said = shop.first_answer(shop.serve())
    assert (status, said["status"], said["release"]) == (500, "failing", "unhealthy") and "discount" in said["reason"]
    assert shop.run("alembic", "downgrade", GOOD["1.1"]).returncode == 0
    assert pg.fetch("select sum(amount_cents) from orders") < total


@pytest.mark.slow
def test_no_downgrade_has_none(release: Any, pg: PostgresDatabase) -> None:
    shop = release("no_downgrade")
    assert shop.run("alembic", "upgrade", "head").returncode == 0
    failed = shop.run("alembic", "downgrade", "-1")
    assert failed.returncode != 0 and "only a backup has them" in failed.stdout
    assert pg.fetch("select version_num from alembic_version") == [(GOOD["no_downgrade"],)]


def test_every_release_can_be_packed(tmp_path: Path) -> None:
    names = subprocess.run([sys.executable, str(RELEASES), "list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    for form in ("archive", "git"):
        subprocess.run([sys.executable, str(RELEASES), form, str(tmp_path / form)], check=True, stdout=subprocess.DEVNULL)
    assert {path.name for path in (tmp_path / "archive").iterdir()} == {f"shop-{name}.tar.gz" for name in names}
    tags = subprocess.run(["git", "-C", str(tmp_path / "git"), "tag"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert sorted(tags) == sorted(names)


@pytest.mark.slow
def test_a_release_installed_as_a_wheel_migrates(tmp_path: Path, pg: PostgresDatabase) -> None:
    subprocess.run([str(venvs.interpreter()), "-m", "venv", "--system-site-packages", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = next(venvs.application("shop").parents[1].glob("lib/python*/site-packages"))
    subprocess.run([str(python), str(RELEASES), "wheel", str(tmp_path), "broken_migration"], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == "shop-2.0+broken.migration-py3-none-any.whl"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    environment = {**os.environ, "DATABASE_URL": pg.url(), "PYTHONPATH": str(packages)}
    command = [str(python), "-m", "alembic", "-c", str(tmp_path / "venv" / "share" / "shop" / "alembic.ini"), "upgrade", "head"]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    assert pg.fetch("select version_num from alembic_version") == [("2c8f5e1da6bb",)]
