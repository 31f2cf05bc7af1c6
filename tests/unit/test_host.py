# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is started on a host, when it counts as up, and what a right answer is: tables of cases, without a host."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._host import health as asking
from ansible_collections.dbops.alembic.plugins.module_utils._host.health import Answer, Health, ask, judge, run_command, shown
from ansible_collections.dbops.alembic.plugins.module_utils._host.host import Clock, Wish, serve, stop_host
from ansible_collections.dbops.alembic.plugins.module_utils._host.link import plan_link
from ansible_collections.dbops.alembic.plugins.module_utils._host.services import Service, Turn, recorded_from, turns
from ansible_collections.dbops.alembic.plugins.module_utils._host.spec import host_arguments, secrets_of

from support import sources

ROLES = Path(__file__).resolve().parents[2] / "roles"


def unit(name: str, runs: bool = True, service: str = "", **more: Any) -> Service:
    return Service(service or name.partition(".")[0], name, "active" if runs else "inactive", runs=runs, **more)


def program(name: str, state: str, service: str = "orders:*", **more: Any) -> Service:
    once = more.pop("once", False)
    runs = state in ("RUNNING", "BACKOFF", "STARTING")
    gone = state in ("FATAL", "EXITED")
    return Service(service, name, state, runs=runs, exact=False, ended=gone and once, failed=gone and not once, **more)


SOCKET = unit("orders.socket", service="orders", part="trigger")
TIMER = unit("nightly.timer", service="nightly", part="trigger")
GROUP = [
    program("orders:console", "STOPPED", starts_itself=False),
    program("orders:cache", "EXITED", once=True),
    program("orders:web", "RUNNING"),
    program("orders:mail", "FATAL"),
]
STOPPED_GROUP = [replace(item, state="STOPPED", runs=False) if item.runs else item for item in GROUP]


@pytest.mark.parametrize(
    ("services", "found", "recorded", "wanted"),
    [
        (["web"], [unit("web.service", False)], [], [Turn("web", ("web.service",))]),
        (["web"], [unit("web.service", False)], [unit("web.service", False)], [Turn("web", ("web.service",))]),
        # in the operator's order, each once
        (
            ["b", "a", "b"],
            [unit("a.service", False), unit("b.service", False)],
            [],
            [Turn("b", ("b.service",)), Turn("a", ("a.service",))],
        ),
        # what triggers a service comes back with it: a socket before it, the others after it
        (
            ["orders"],
            [unit("orders.service", False), replace(SOCKET, runs=False)],
            [unit("orders.service"), SOCKET],
            [Turn("orders", ("orders.socket", "orders.service"))],
        ),
        (
            ["nightly"],
            [unit("nightly.service", False), replace(TIMER, runs=False)],
            [unit("nightly.service"), TIMER],
            [Turn("nightly", ("nightly.service", "nightly.timer"))],
        ),
        # where only the trigger was active, the service is left to it
        (
            ["nightly"],
            [unit("nightly.service", False), replace(TIMER, runs=False)],
            [unit("nightly.service", False), TIMER],
            [Turn("nightly", ("nightly.timer",))],
        ),
        # a trigger that nobody had started is not started
        (["nightly"], [unit("nightly.service", False), replace(TIMER, runs=False)], [], [Turn("nightly", ("nightly.service",))]),
        # what systemd stopped together with it, where it ran
        (
            ["web"],
            [unit("web.service", False), unit("side.service", False, "web", part="companion")],
            [unit("web.service"), unit("side.service", True, "web", part="companion")],
            [Turn("web", ("web.service", "side.service"))],
        ),
        (
            ["web"],
            [unit("web.service", False), unit("side.service", False, "web", part="companion")],
            [unit("web.service"), unit("side.service", False, "web", part="companion")],
            [Turn("web", ("web.service",))],
        ),
        # instances of a template that systemd has forgotten since
        (
            ["web@*"],
            [],
            [unit("web@1.service", service="web@*", exact=False), unit("web@2.service", False, "web@*", exact=False)],
            [Turn("web@*", ("web@1.service",))],
        ),
        (["web@*"], [], [], [Turn("web@*", ())]),
        # a oneshot is run with the others and never has to be left running
        (["job"], [unit("job.service", False, ended=True)], [], [Turn("job", (), ("job.service",))]),
        # of a group: what ran, and what its manager starts by itself and had given up or finished; not the console
        (["orders:*"], STOPPED_GROUP, GROUP, [Turn("orders:*", ("orders:web",), ("orders:cache", "orders:mail"))]),
        # nothing recorded and nothing runs: what starts by itself, and then nothing may fail
        (["orders:*"], STOPPED_GROUP, [], [Turn("orders:*", ("orders:web", "orders:mail"), ("orders:cache",))]),
        # a group in which nothing starts by itself
        (
            ["orders:*"],
            [program("orders:a", "STOPPED", starts_itself=False), program("orders:b", "STOPPED", starts_itself=False)],
            [],
            [Turn("orders:*", ("orders:a", "orders:b"))],
        ),
        # what the record does not name is judged by what runs now; what it names, by the record
        (
            ["orders:*"],
            [program("orders:web", "RUNNING"), program("orders:new", "RUNNING")],
            [program("orders:web", "STOPPED")],
            [Turn("orders:*", ("orders:new",))],
        ),
    ],
)
def test_what_is_started(services: list[str], found: list[Service], recorded: list[Service], wanted: list[Turn]) -> None:
    assert turns(services, found, recorded) == wanted
    again = recorded_from(json.loads(json.dumps([item.as_result() for item in recorded])))
    assert turns(services, found, again) == wanted, "and the same from a record on disk"


class Time:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, epoch=lambda: 1000 + self.seconds, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.seconds += seconds


class Scripted:
    """A manager whose services take the states that the case says, one look after the other; the last one stays."""

    def __init__(self, *looks: Sequence[Service]):
        self.looks, self.done = list(looks), list[str]()

    def look(self) -> list[Service]:
        return list(self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])

    def stop(self, found: Sequence[Service]) -> None:
        self.done.append("stop " + " ".join(item.name for item in found if item.runs))

    def start(self, names: Sequence[str], wait: bool) -> None:
        self.done.append("start " + " ".join(names))

    def logs(self, names: Sequence[str], since: float, lines: int) -> str:
        return f"{lines} lines of {' '.join(names)} since {since:g}"


def wish(services: Sequence[str] = ("web",), **more: Any) -> Wish:
    given: dict[str, Any] = {"link": None, "release": None, "recorded": [], "restart": "changed", "settle": 1, "log_lines": 5}
    return Wish(services=list(services), **{**given, **more})


DOWN, UP = unit("web.service", False), unit("web.service", generation="1")


def test_a_stopped_host_is_left_alone() -> None:
    manager = Scripted([DOWN])
    assert stop_host(manager, ["web"], dry=False)["changed"] is False
    assert manager.done == []


def test_what_comes_back_after_the_stop_is_a_failure() -> None:
    with pytest.raises(MigrationError, match=r"there again: web\.service is active") as failure:
        stop_host(Scripted([UP], [UP]), ["web"], dry=False)
    assert failure.value.kind == "not_stopped"


def test_nothing_is_stopped_where_one_service_could_not_be_started_again() -> None:
    manager = Scripted([UP, Service("old", "old.service", "inactive", refused="old.service is masked on this host.")])
    for act in (lambda: stop_host(manager, ["web", "old"], False), lambda: serve(manager, wish(["web", "old"]), False)):
        with pytest.raises(MigrationError, match=r"Nothing was touched\. old\.service is masked"):
            act()
    assert manager.done == []


def test_check_mode_says_what_would_be_and_touches_nothing() -> None:
    manager = Scripted([UP])
    stopped = stop_host(manager, ["web"], dry=True)
    assert stopped["changed"] and [item["state"] for item in stopped["services"]] == ["stopped"]
    manager = Scripted([DOWN])
    served = serve(manager, wish(), dry=True)
    assert served["changed"] and [item["state"] for item in served["services"]] == ["started"]
    assert manager.done == []


@pytest.mark.parametrize(
    ("restart", "release", "done"),
    [
        ("changed", "one", []),
        ("changed", "two", ["stop web.service", "start web.service"]),
        ("always", "one", ["stop web.service", "start web.service"]),
        ("never", "two", []),
    ],
)
def test_what_runs_is_started_anew_when_its_release_changes(tmp_path: Path, restart: str, release: str, done: list[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("one")
    manager = Scripted([UP], *([[DOWN]] if done else []), [UP])
    time = Time()
    given = wish(link=str(tmp_path / "current"), release=release, restart=restart)
    result = serve(manager, given, False, time.clock())
    assert manager.done == done
    assert os.readlink(tmp_path / "current") == release
    assert result["changed"] is (bool(done) or release == "two")
    assert result["link"] == {"path": str(tmp_path / "current"), "before": "one", "after": release}


def test_what_dies_and_is_started_again_has_to_stay_up() -> None:
    """Restart=always: the start went well, and systemd starts it again and again."""
    time, crashes = Time(), [[replace(UP, generation=str(number))] for number in range(400)]
    with pytest.raises(MigrationError, match="not all of it stays up") as failure:
        serve(Scripted([DOWN], *crashes), wish(), False, time.clock())
    assert failure.value.kind == "start_failed"
    assert "5 lines of web.service since 1000" in failure.value.msg
    time = Time()
    assert serve(Scripted([DOWN], *crashes[:8]), wish(), False, time.clock())["changed"], "one that comes to rest is up"
    assert time.seconds >= 1.0


def test_what_its_manager_has_given_up_ends_the_wait_at_once() -> None:
    failed = replace(DOWN, state="failed", detail="exit-code, exit status 3")
    time = Time()
    with pytest.raises(MigrationError, match=r"web\.service is failed \(exit-code, exit status 3\)"):
        serve(Scripted([DOWN], [failed]), wish(health=Health(url="http://127.0.0.1:1/")), False, time.clock())
    assert time.seconds < 2


CRASHED = replace(DOWN, state="failed", detail="exit-code", failed=True)
BESIDE = unit("worker.service", generation="1")


@pytest.mark.parametrize(
    ("looks", "on_failure", "done", "stopped"),
    [
        ([[DOWN], [CRASHED]], "leave", ["start web.service"], False),
        # what has given up by itself needs no stop, what still runs beside it does
        ([[DOWN], [CRASHED]], "stop", ["start web.service"], True),
        ([[DOWN], *[[CRASHED, BESIDE]] * 3, [CRASHED]], "stop", ["start web.service", "stop worker.service"], True),
        # one that does not end is told, and nobody thinks that it has
        ([[DOWN], [CRASHED, BESIDE]], "stop", ["start web.service", "stop worker.service"], False),
    ],
)
def test_what_fails_is_stopped_where_that_was_asked_for(
    looks: list[list[Service]], on_failure: str, done: list[str], stopped: bool
) -> None:
    manager = Scripted(*looks)
    with pytest.raises(MigrationError, match=r"web\.service is failed \(exit-code\)") as failure:
        serve(manager, wish(on_failure=on_failure), False, Time().clock())
    assert failure.value.kind == "start_failed" and "5 lines of web.service" in failure.value.msg
    assert manager.done == done
    assert failure.value.facts.get("stopped", False) is stopped
    assert ("could not be stopped: Stopped, and there again" in failure.value.msg) is (
        "stop worker.service" in done and not stopped
    )


def test_a_refusal_stops_nothing(tmp_path: Path) -> None:
    manager = Scripted([UP])
    with pytest.raises(MigrationError) as failure:
        serve(manager, wish(link=str(tmp_path / "current"), release="gone", on_failure="stop"), False, Time().clock())
    assert manager.done == [] and "stopped" not in failure.value.facts


def test_a_right_answer_is_proof_enough_for_a_single_service(server: str) -> None:
    time = Time()
    assert serve(Scripted([DOWN], [UP]), wish(health=Health(url=server + "/good")), False, time.clock())["changed"]
    assert time.seconds == 0
    two = [UP, unit("worker.service", generation="1")]
    off = [replace(item, runs=False) for item in two]
    serve(Scripted(off, two), wish(["web", "worker"], health=Health(url=server + "/good")), False, time.clock())
    assert time.seconds >= 1


def test_what_may_fail_again_is_a_warning() -> None:
    before = [program("orders:web", "STOPPED"), program("orders:mail", "FATAL")]
    after = [program("orders:web", "RUNNING", generation="settled"), program("orders:mail", "FATAL")]
    recorded = [{"service": "orders:*", "name": "orders:web", "state": "RUNNING", "runs": True}]
    manager = Scripted(before, after)
    result = serve(manager, wish(["orders:*"], recorded=recorded), False, Time().clock())
    assert manager.done == ["start orders:web orders:mail"]
    assert result["warnings"] == ["orders:mail is FATAL, as before."]
    with pytest.raises(MigrationError, match="orders:mail is FATAL"):  # nothing of it ran: then all of it has to
        serve(Scripted(before, after), wish(["orders:*"]), False, Time().clock())


@pytest.mark.parametrize(
    ("retries", "delay", "asked_for"), [(30, 1, 30), (3, 2, 6), (0, 1, 0), (5, 0, 0)], ids=["usual", "slow", "once", "no delay"]
)
def test_retries_and_delay_say_how_long_to_wait(
    retries: int, delay: float, asked_for: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, asked = Time(), list[float]()

    def answer(health: Health) -> Answer:
        asked.append(time.seconds)
        return Answer(503, "no database")

    monkeypatch.setattr("ansible_collections.dbops.alembic.plugins.module_utils._host.host.ask", answer)
    with pytest.raises(MigrationError, match="not healthy: http://app/ answered 503 and not 200: no database") as failure:
        serve(Scripted([]), wish([], health=Health(url="http://app/", retries=retries, delay=delay)), False, time.clock())
    assert failure.value.kind == "unhealthy"
    assert asked_for <= asked[-1] <= asked_for + 1 + 0.2 * retries
    if delay:
        assert len(asked) >= min(retries * delay * 5, len(asked)) and len(asked) > retries


def _answers(*parts: tuple[int, float]) -> Callable[[float], Answer]:
    """Statuses one after the other, each for some seconds, the last one for good."""

    def at(seconds: float) -> Answer:
        for status, lasts in parts:
            if seconds < lasts:
                return Answer(status, "said")
            seconds -= lasts
        return Answer(parts[-1][0], "said")

    return at


@pytest.mark.parametrize(
    ("parts", "failing", "ends"),
    [
        ([(500, 99)], 10, 10),
        ([(404, 99)], 3, 3),
        ([(500, 99)], 0, 30),
        ([(503, 99)], 10, 30),
        ([(429, 99)], 10, 30),
        ([(-1, 99)], 10, 30),
        ([(301, 99)], 10, 30),
        ([(-1, 8), (500, 99)], 10, 18),
        ([(503, 8), (500, 9), (503, 99)], 10, 30),
        ([(500, 8), (404, 99)], 10, 18),
        ([(500, 8), (-1, 1), (500, 99)], 10, 19),
        ([(500, 25), (500, 99)], 60, 30),
    ],
)
def test_an_error_that_does_not_mean_not_yet_ends_the_wait(
    parts: list[tuple[int, float]], failing: float, ends: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, at = Time(), _answers(*parts)
    monkeypatch.setattr("ansible_collections.dbops.alembic.plugins.module_utils._host.host.ask", lambda health: at(time.seconds))
    health = Health(url="http://app/", failing_seconds=failing)
    with pytest.raises(MigrationError, match="The application is not healthy") as failure:
        serve(Scripted([]), wish([], health=health), False, time.clock())
    assert failure.value.kind == "unhealthy" and "said" in failure.value.facts["problem"]
    early = ends < 30
    assert ends <= time.seconds <= ends + (0.5 if early else 7)
    assert ("does not mean 'not yet'" in failure.value.msg) is early


def test_an_error_that_ends_in_time_or_is_wanted_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    time, at = Time(), _answers((500, 9), (200, 1))
    monkeypatch.setattr("ansible_collections.dbops.alembic.plugins.module_utils._host.host.ask", lambda health: at(time.seconds))
    assert serve(Scripted([]), wish([], health=Health(url="http://app/")), False, time.clock())["health"]["status"] == 200
    wanted = Health(url="http://app/", status=(200, 401), text="never", retries=12)
    time, at = Time(), _answers((401, 99))
    with pytest.raises(MigrationError, match="without the text"):
        serve(Scripted([]), wish([], health=wanted), False, time.clock())
    assert time.seconds >= 12, "a status that is wanted is no error"


def test_the_answer_that_was_right_is_returned(server: str) -> None:
    result = serve(Scripted([]), wish([], health=Health(url=server + "/good", release_key="release")), False)
    assert result["changed"] is False
    assert result["health"]["status"] == 200 and result["health"]["release"] == "2.4.0"


URL = "http://app:8000/health"
GOOD = Answer(200, '{"status": "ok", "release": "2.4.0", "checks": {"db": true}}')


@pytest.mark.parametrize(
    ("wanted", "answer", "problem"),
    [
        ({}, GOOD, ""),
        ({}, Answer(503, "down"), f"{URL} answered 503 and not 200: down"),
        ({"status": [200, 204]}, Answer(204), ""),
        ({"status": [200, 204]}, Answer(500, "x" * 2000), f"{URL} answered 500 and not 200 or 204: " + "x" * 1000),
        ({"status": [503]}, Answer(503), ""),
        ({}, Answer(-1, "Connection refused"), f"{URL} did not answer: Connection refused"),
        ({"status": [-1]}, Answer(-1, "Connection refused"), f"{URL} did not answer: Connection refused"),
        ({"text": "ok"}, GOOD, ""),
        ({"text": "ready"}, Answer(200, " ok\n"), f"{URL} answered without the text ready: ok"),
        ({"json": {"status": "ok"}}, GOOD, ""),
        ({"json": {"checks": {"db": True}}}, GOOD, ""),
        (
            {"json": {"status": "ok", "more": 1}},
            Answer(200, '{"status": "ok"}'),
            f'{URL} answered without {{"more": 1}}: {{"status": "ok"}}',
        ),
        ({"json": {"status": None}}, Answer(200, "{}"), f'{URL} answered without {{"status": null}}: {{}}'),
        ({"json": {"status": "ok"}}, Answer(200, "<html>"), f'{URL} answered without {{"status": "ok"}}: <html>'),
        ({"json": {"status": "ok"}}, Answer(200, "[1]"), f'{URL} answered without {{"status": "ok"}}: [1]'),
        ({"release_key": "release", "release_expected": "2.4.0"}, GOOD, ""),
        ({"release_key": "release"}, Answer(200, "{}"), ""),
        ({"release_expected": "9"}, GOOD, ""),
        (
            {"release_key": "release", "release_expected": "2.4.0"},
            Answer(200, '{"release": "2.3.0"}'),
            f'{URL} answered as release 2.3.0 and not 2.4.0: {{"release": "2.3.0"}}',
        ),
        (
            {"release_key": "release", "release_expected": "2.4.0"},
            Answer(200, "ok"),
            f"{URL} answered as release unknown and not 2.4.0: ok",
        ),
        ({"release_key": "version", "release_expected": "7"}, Answer(200, '{"version": 7}'), ""),
    ],
)
def test_what_is_wrong_with_an_answer(wanted: dict[str, Any], answer: Answer, problem: str) -> None:
    assert judge(Health(url=URL, **wanted), answer) == problem


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/good":
            return self.say(200, b'{"status": "ok", "release": "2.4.0"}')
        if self.path == "/echo":
            return self.say(200, json.dumps(dict(self.headers)).encode())
        if self.path == "/moved":
            return self.say(302, b"", Location="/echo")
        if self.path == "/away":
            return self.say(302, b"", Location=f"http://localhost:{self.server.server_address[1]}/echo")
        if self.path == "/circle":
            return self.say(302, b"", Location="/circle")
        if self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            try:
                while not self.server.ended.wait(0.02):  # type: ignore[attr-defined]
                    self.wfile.write(b".")
            except OSError:
                return None
            return None
        return self.say(404, b"nothing here")

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    pages.ended = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{pages.server_address[1]}"
    pages.ended.set()  # type: ignore[attr-defined]
    pages.shutdown()
    pages.server_close()


def test_a_server_is_asked(server: str) -> None:
    assert ask(Health(url=server + "/good")).fields["release"] == "2.4.0"
    assert ask(Health(url=server + "/nothing")).status == 404
    assert ask(Health(url="http://127.0.0.1:1/")) == Answer(-1, "Connection refused")
    assert "redirects more than" in ask(Health(url=server + "/circle")).text
    assert ask(Health(url=server + "/moved", follow_redirects=False)).status == 302


def test_an_answer_that_never_ends_takes_no_longer_than_it_may(server: str) -> None:
    answer = ask(Health(url=server + "/drip", timeout=0.3))
    assert answer == Answer(-1, "nothing came within 0.3 s")


def test_headers_are_sent_and_not_carried_to_another_host(server: str) -> None:
    token = {"Authorization": "Bearer t0ken", "X-Number": 7}
    for path in ("/echo", "/moved"):
        said = ask(Health(url=server + path, headers=token)).fields
        assert said["Authorization"] == "Bearer t0ken" and said["X-Number"] == "7"
    assert "Authorization" not in ask(Health(url=server + "/away", headers=token)).fields


def test_a_password_in_the_url_is_sent_and_not_shown(server: str) -> None:
    url = server.replace("http://", "http://ops:s3cret@") + "/echo"
    health = Health(url=url, text="never there")
    answer = ask(health)
    assert answer.fields["Authorization"].startswith("Basic ")
    assert "s3cret" not in judge(health, answer) and shown(url) == server + "/echo"
    assert secrets_of({"health": {"url": url, "headers": {"X-Api-Key": "k3y", "Accept": "text/html"}}}) == {"s3cret", "k3y"}


@pytest.mark.parametrize("url", ["ftp://app/", "127.0.0.1:8000/health", "http:///health"])
def test_a_url_that_can_not_be_asked_is_refused(url: str) -> None:
    with pytest.raises(MigrationError, match="can be asked"):
        Health(url=url)


def test_a_command_has_to_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE", str(tmp_path))
    assert run_command(Health(command=["ls", "$PROBE"])) == ""
    assert run_command(Health(command=["sh", "-c", "echo no queue >&2; exit 3"])) == "the command sh ended with status 3: no queue"
    assert "can not be run: No such file" in run_command(Health(command=["/no/such/program"]))
    monkeypatch.setattr(asking, "_COMMAND_SECONDS", 0)
    assert "did not end within 0.1 s" in run_command(Health(command=["sleep", "60"], timeout=0.1))


def test_the_link_is_moved_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    path = tmp_path / "current"
    first = plan_link(str(path), "releases/one")
    first.apply()
    assert (first.before, first.after, first.changed) == ("", "releases/one", True)
    plan_link(str(path), "releases/two").apply()
    assert os.readlink(path) == "releases/two"
    assert not plan_link(str(path), "releases/two").changed
    plan_link(str(path), "").apply()
    assert not path.is_symlink()
    assert not plan_link(str(path), "").changed
    assert sorted(item.name for item in tmp_path.iterdir()) == ["releases"]


def test_what_is_no_link_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(MigrationError, match="is not a link, so it is left alone"):
        plan_link(str(tmp_path / "current"), "")
    with pytest.raises(MigrationError, match="which is not a folder on this host"):
        plan_link(str(tmp_path / "other"), "releases/one")
    (tmp_path / "releases").mkdir()
    for target in ("releases/", "releases/.", ".."):
        with pytest.raises(MigrationError, match="names no release"):
            plan_link(str(tmp_path / "other"), target)


def test_the_health_of_the_module_and_of_the_role_have_the_same_defaults() -> None:
    """The roles hand over what is set and leave the rest to the module."""
    options = host_arguments()["argument_spec"]["health"]["options"]
    role = yaml.safe_load((ROLES / "health" / "defaults" / "main.yml").read_text())
    names = {"delay": "delay_seconds", "timeout": "timeout_seconds", "follow_redirects": "follow_redirects_enabled"}
    assert {name: role[f"health_{names.get(name, name)}"] for name in options} == {
        name: option.get("default", "") for name, option in options.items()
    }
    assert len(role) == len(options)


def test_a_deployment_hands_over_the_health_of_the_role_in_full() -> None:
    """Variables of the inventory, since the defaults of another role are not to be seen from the role deployment."""
    wanted = sources.variables("health")["_health_wanted"]
    defaults = yaml.safe_load((ROLES / "health" / "defaults" / "main.yml").read_text())
    handed = sources.variables("deployment")["_deployment_health"]
    assert set(handed) == set(wanted) == set(host_arguments()["argument_spec"]["health"]["options"])
    for name, text in handed.items():
        if name != "release_expected":
            variable, default = re.match(r"{{ (\w+) \| default\(([^)]*)\)", text).groups()  # type: ignore[union-attr]
            assert re.match(rf"{{{{ {variable}\b", wanted[name]), name
            assert default in ("omit", str(defaults[variable]).lower()), name


def test_what_starts_again_and_again_already_is_not_taken_for_up() -> None:
    time, looping = Time(), [replace(program("shop", "BACKOFF", "shop"), exact=True, waiting=True)]
    with pytest.raises(MigrationError, match="not all of it stays up: shop is BACKOFF") as failure:
        serve(Scripted(looping), wish(["shop"]), False, time.clock())
    assert failure.value.kind == "start_failed"


class Ended:
    """A manager whose only program has just ended by itself, and is started again by it unless it is stopped."""

    def __init__(self, ended: bool):
        self.item = program("web", "EXITED", "web", once=ended, restarting=True)

    def look(self) -> list[Service]:
        return [self.item]

    def stop(self, found: Sequence[Service]) -> None:
        self.item = replace(self.item, state="STOPPED", restarting=False)

    def start(self, names: Sequence[str], wait: bool) -> None:
        raise AssertionError

    def logs(self, names: Sequence[str], since: float, lines: int) -> str:
        raise AssertionError


@pytest.mark.parametrize("ended", [False, True])
def test_one_between_its_end_and_its_next_start_is_stopped_and_runs_again_afterwards(ended: bool) -> None:
    manager = Ended(ended)
    result = stop_host(manager, ["web"], False)
    assert result["changed"] is not ended and manager.item.state == ("EXITED" if ended else "STOPPED")
    assert [item.runs for item in recorded_from(result["before"])] == [not ended]
