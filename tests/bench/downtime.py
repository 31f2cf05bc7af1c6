# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window of ours beside a hand-written playbook: on real hosts, with a database of some size, as a client sees it.

The client asks HAProxy every 20 ms. Downtime is from its first failed request to the first good one after which none fails.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from support.paths import CACHE, ROOT, TREE

from . import table
from .limit import Limit

LAB = ROOT / "molecule" / "shared" / "lab"
INVENTORY = ROOT / "molecule" / "shared" / "inventory"
BY_HAND = Path(__file__).parent / "by_hand"
INTERVAL = 0.02
MEGABYTES = 200
#: As in the hosts' inventory: every third host runs supervisor.
CONTROL = {True: "supervisorctl", False: "systemctl"}
FILL = """
insert into orders (customer_id, amount_cents, note)
select 1 + i % 50, i, md5(i::text) || md5((i + 1)::text) from generate_series(1, {rows}) i"""
CLEAN = """
rm -rf /var/lib/dbops /var/backups/* /srv/shop/releases/1.2 /srv/shop/releases/unhealthy; cd /srv/shop/releases
[ -e 1.1 ] || {{ cp -a 1.0 .new; rm -rf .new/shop; cp -r /srv/releases/tree/1.1/. .new; mv .new 1.1; }}
{control} stop shop; ln -sfn releases/1.1 /srv/shop/current; {control} start shop"""


class Seen(NamedTuple):
    """Seconds: of downtime, of the whole run, of the way back where there was one, and of all processors of the machine."""

    downtime: float
    total: float
    back: float | None
    cpu: float


WAYS = ("by hand", "ours")
#: The same steps with everything prepared, which no playbook can take faster.
LIMIT = "limit"


def measure(counts: tuple[int, ...] = (1, 3, 10), megabytes: int = MEGABYTES, rounds: int = 3) -> None:
    reason = _why_not()
    if reason:
        print(f"\nDowntime is not compared: {reason}")
        return
    print(f"\nMaintenance windows: before them the machine was {100 * table.busy():.0f} % busy")
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder, _hosts(Path(folder), max(counts)) as bench:
        bench.fill(megabytes)
        several = min(3, max(counts))
        good = {count: bench.alternate("1.2", count, rounds) for count in counts}
        piped = bench.alternate("1.2", several, rounds, pipelining=False)
        failed = bench.alternate("unhealthy", several, rounds)
        limit = bench.alternate("1.2", several, rounds, ways=(LIMIT, "ours"))
    rows: list[tuple[object, ...]] = [("deployment", "hosts", *WAYS, "ratio")]
    for count, seen in good.items():
        rows += [_row(what, count, seen, name) for what, name in (("downtime", "downtime"), ("whole run", "total"), ("CPU", "cpu"))]
    rows.append(_row("downtime, pipelining off", several, piped, "downtime"))
    rows.append(_row("whole run, pipelining off", several, piped, "total"))
    rows.append(_row("failed: downtime", several, failed, "downtime"))
    rows.append(_row("failed: way back", several, failed, "back"))
    title = f"A maintenance window, {megabytes} MB, seconds as a client sees it that asks every {INTERVAL * 1000:.0f} ms"
    table.show(f"{title}; medians of {rounds} rounds that alternate", rows)
    bare, ours = (limit[how].downtime for how in (LIMIT, "ours"))
    told = f"{bare:.1f}; ours: {ours:.1f}, which is {ours / bare:.2f} of it"
    print(f"  downtime of a bare script with all prepared, {several} hosts: {told}")
    first, last = min(counts), max(counts)
    for how in WAYS:
        print(f"  {how}: downtime of {last} hosts to that of {first}: {good[last][how].downtime / good[first][how].downtime:.2f}")


def _row(what: str, hosts: int, seen: dict[str, Seen], name: str) -> tuple[object, ...]:
    by_hand, ours = (float(getattr(seen[how], name)) for how in WAYS)
    return what, hosts, f"{by_hand:.1f}", f"{ours:.1f}", f"{ours / by_hand:.2f}"


def _median(seen: list[Seen]) -> Seen:
    columns = [[value for value in column if value is not None] for column in zip(*seen)]
    return Seen(*(statistics.median(column) if column else None for column in columns))  # type: ignore[arg-type]


def _why_not() -> str:
    sys.path[:0] = [str(ROOT / "tests" / "scenarios"), str(ROOT / "tests" / "tooling")]
    from conftest import forbidden, missing_packages

    return str(forbidden() or missing_packages())


@contextmanager
def _hosts(folder: Path, number: int) -> Iterator[Bench]:
    run = CACHE / "lab" / f"bench-{os.getpid()}"
    os.environ.update(
        DBOPS_LAB=str(run),
        DBOPS_LAB_OWNER=str(os.getpid()),
        DBOPS_LAB_HOSTS=",".join(["lb1", "db1", *(f"app{count + 1}" for count in range(number))]),
        DBOPS_CACHE=str(CACHE),
        ANSIBLE_COLLECTIONS_PATH=str(TREE),
        ANSIBLE_HOST_KEY_CHECKING="false",
        ANSIBLE_PIPELINING="true",
        ANSIBLE_FORKS="20",
        ANSIBLE_HOME=str(folder / "home"),
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"]),
    )
    sys.path.insert(0, str(LAB))
    try:
        bench = Bench(folder, number)
        bench.make()
        yield bench
    finally:
        subprocess.run([sys.executable, str(LAB), "down"], check=False)


class Bench:
    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number

    def make(self) -> None:
        self.inventory(self.number)
        self._ansible(str(ROOT / "molecule" / "default" / "create.yml"), "--inventory", str(INVENTORY / "servers.yml"))

    def inventory(self, count: int) -> Path:
        """An inventory of that many application hosts, with the variables of the scenarios' own."""
        here = self.folder / "inventory"
        here.mkdir(exist_ok=True)
        if not (here / "group_vars").exists():
            (here / "group_vars").symlink_to(INVENTORY / "group_vars")
        hosts = {
            name: {
                "ansible_host": f"{{{{ lab_subnet }}}}.{21 + number}",
                "application_manager": "supervisor" if number % 3 == 2 else "systemd",
                "by_hand_control": CONTROL[number % 3 == 2],
            }
            for number, name in enumerate(self.names(count))
        }
        balancer = {"hosts": {"lb1": {"ansible_host": "{{ lab_subnet }}.10", "lab_application_hosts": self.names(count)}}}
        variables = {"traffic_method": "haproxy", "traffic_haproxy_hosts": ["lb1"], "traffic_haproxy_backend": "shop"}
        (here / "hosts.json").write_text(json.dumps({"application": {"hosts": hosts, "vars": variables}, "balancer": balancer}))
        return here

    def names(self, count: int) -> list[str]:
        return [f"app{number + 1}" for number in range(count)]

    def fill(self, megabytes: int) -> None:
        import database

        database.fetch("create database bench template reference_1_1 owner shop")
        size, rows = 0, 0
        while size < megabytes * 2**20:
            database.fetch(FILL.format(rows=100_000), database="bench")
            rows += 100_000
            size = database.fetch("select pg_database_size('bench')")[0][0]
        database.fetch("vacuum analyze", database="bench")
        print(f"{rows} orders, {size / 2**20:.0f} MB")

    def reset(self, count: int) -> None:
        import database
        from remote import on

        for name in database.databases():
            database.fetch(f'drop database "{name}" with (force)')
        database.fetch("create database shop template bench owner shop")
        for number, name in enumerate(self.names(self.number)):
            control = CONTROL[number % 3 == 2]
            on(name, CLEAN.format(control=control) if number < count else f"{control} stop shop", check=number < count)
        self._ansible(
            str(Path(__file__).parent / "by_hand" / "balancer.yml"),
            "--inventory",
            str(self.inventory(count)),
            "--limit",
            "balancer",
        )
        self.wait_until_good()

    def alternate(
        self, release: str, count: int, rounds: int, pipelining: bool = True, ways: tuple[str, ...] = WAYS
    ) -> dict[str, Seen]:
        """The medians of each way; they take turns, so that a slow moment hits both."""
        seen: dict[str, list[Seen]] = {how: [] for how in ways}
        os.environ["ANSIBLE_PIPELINING"] = str(pipelining).lower()
        for _ in range(rounds):
            for how in ways:
                seen[how].append(self.run(how, release, count))
        os.environ["ANSIBLE_PIPELINING"] = "true"
        return {how: _median(found) for how, found in seen.items()}

    def run(self, how: str, release: str, count: int) -> Seen:
        if how == LIMIT:
            with Limit(
                self.folder, {name: CONTROL[number % 3 == 2] for number, name in enumerate(self.names(count))}
            ).connected() as bare:
                return self._run(how, release, count, bare)
        return self._run(how, release, count, None)

    def _run(self, how: str, release: str, count: int, bare: Limit | None) -> Seen:
        self.reset(count)
        if bare:
            bare.prepare(release)
        began_back = self.folder / "back"
        began_back.unlink(missing_ok=True)
        client = Client(self.url())
        with client:
            time.sleep(1)
            began, cpu = time.time(), table.processors()[0]
            status = self.deploy(how, release, began_back, bare)
            ended, cpu = time.time(), table.processors()[0] - cpu
            self.wait_until_good()
            time.sleep(1)
        if (status == 0) != (release == "1.2"):
            said = (self.folder / "log").read_text()[-3000:]
            raise SystemExit(f"{how}: release {release} on {count} hosts ended with {status}:\n{said}")
        first, last = client.outage()
        back = None
        if release != "1.2":
            back = last - (float(began_back.read_text()) if how == "by hand" else self.gave_up())
        return Seen(last - first, ended - began, back, cpu)

    def gave_up(self) -> float:
        """When the first task that failed in our run had failed on its last host, from where the way back by hand begins too."""
        failed = 0.0
        for line in (self.folder / "times").read_text(errors="replace").splitlines():
            found = re.match(r"(\S+ [\d:]+),(\d+) .*\| (fatal: \[|TASK \[)", line)
            if found and found[3].startswith("fatal"):
                failed = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").timestamp() + int(found[2]) / 1000
            elif found and failed:
                return failed
        raise SystemExit("nothing has failed")

    def deploy(self, how: str, release: str, began_back: Path, bare: Limit | None) -> int:
        import database

        secrets = json.loads((Path(os.environ["DBOPS_LAB"]) / "secrets.json").read_text())
        connection = {"PGHOST": "db1", "PGUSER": "shop", "PGPASSWORD": secrets["shop"], "PGDATABASE": "postgres"}
        url = f"postgresql+psycopg2://shop:{secrets['shop_quoted']}@db1/{database.DATABASE}"
        environment = {**connection, "DATABASE_URL": url}
        if bare:
            bare.deploy(release, environment)
            return 0
        variables = {"release_version": release, "by_hand_began": str(began_back), "by_hand_environment": environment}
        (self.folder / "variables.json").write_text(json.dumps(variables))
        playbook = str(BY_HAND / "deploy.yml") if how == "by hand" else "dbops.alembic.maintenance_window"
        return self._ansible(playbook, "--extra-vars", f"@{self.folder / 'variables.json'}", check=False)

    def url(self) -> str:
        from remote import address

        return f"http://{address('lb1')}:8080/orders?limit=1"

    def wait_until_good(self, seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not all(_good(self.url()) for _ in range(20)):
            if time.monotonic() > deadline:
                raise SystemExit(f"the application does not answer at {self.url()}")

    def _ansible(self, playbook: str, *arguments: str, check: bool = True) -> int:
        command = ["ansible-playbook", "--inventory", str(self.folder / "inventory"), *arguments, playbook]
        times = self.folder / "times"
        times.unlink(missing_ok=True)
        variables = {**os.environ, "ANSIBLE_LOG_PATH": str(times)}
        with open(self.folder / "log", "w") as log:
            done = subprocess.run(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, check=False
            )
        if check and done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{(self.folder / 'log').read_text()[-3000:]}")
        return done.returncode


class Client(threading.Thread):
    """Asks at its interval, one request after the other, and notes when each began and whether it was good."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.seen, self.over = url, list[tuple[float, bool]](), threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            began = time.time()
            self.seen.append((began, _good(self.url)))
            self.over.wait(max(0.0, INTERVAL - (time.time() - began)))

    def outage(self) -> tuple[float, float]:
        """When the first failed request began, and the first good one after which none failed."""
        bad = [number for number, (_at, good) in enumerate(self.seen) if not good]
        if not bad:
            return 0.0, 0.0
        return self.seen[bad[0]][0], self.seen[bad[-1] + 1][0]

    def __enter__(self) -> Client:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self.join()


def _good(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
