# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""haproxy_server against a real HAProxy: what an operator's configuration may look like, and what happens while requests run."""

from __future__ import annotations

import http.server
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _haproxy
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError

from support.processes import Daemon, free_port, program
from support.waiting import until

CONFIGURATION = """\
global
  log stderr format raw local0 warning
  stats socket {admin} mode 600 level admin
  stats socket {reader} mode 600 level operator

defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s

frontend web
  bind 127.0.0.1:{port}
  default_backend shop

backend shop
  option httpchk GET /health
  server app1 127.0.0.1:{app} check inter 100ms fall 1 rise 1
  server down 127.0.0.1:1 check inter 100ms fall 1 rise 1

backend unchecked
  server app1 127.0.0.1:{app}
  server app2 127.0.0.1:{app}

backend others
  server app3 127.0.0.1:{app} disabled
"""


class Slow(http.server.BaseHTTPRequestHandler):
    """An application whose requests last until they are let go."""

    go = threading.Event()
    begun = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.begun.set()
            self.go.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Place:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        base = f"/tmp/dbops-haproxy-{self.port}"  # a socket's path has to be short
        self.admin, self.reader = f"{base}.sock", f"{base}-reader.sock"
        self.application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
        threading.Thread(target=self.application.serve_forever, daemon=True).start()
        text = CONFIGURATION.format(admin=self.admin, reader=self.reader, port=self.port, app=self.application.server_port)
        (folder / "haproxy.cfg").write_text(text)
        self.daemon = Daemon([program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], None, folder / "haproxy.out")
        self.daemon.start(self._is_up)

    def _is_up(self) -> bool:
        try:
            return {server.name: server.up for server in _haproxy.Haproxy(self.admin).servers("app1", "shop")}["app1"]
        except MigrationError:
            return False

    def call(self, dry: bool = False, **options: Any) -> dict[str, Any]:
        given = {"server": "app1", "backend": "", "socket": self.admin, "state": "drain", "timeout": 10.0, **options}
        return _haproxy.run_haproxy(given, dry)

    def refused(self, **options: Any) -> MigrationError:
        with pytest.raises(MigrationError) as failure:
            self.call(**options)
        return failure.value

    def forced(self) -> dict[str, str]:
        everything = _haproxy.servers_from(
            _haproxy.Haproxy(self.admin).ask("show servers state"), _haproxy.Haproxy(self.admin).ask("show stat -1 4 -1")
        )
        return {server.full: server.forced for server in everything}

    def get(self, path: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return int(answer.status)

    def close(self) -> None:
        Slow.go.set()
        self.daemon.stop()
        self.application.shutdown()
        self.application.server_close()
        for path in (self.admin, self.reader):
            Path(path).unlink(missing_ok=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    Slow.go.clear()
    Slow.begun.clear()
    made = Place(tmp_path)
    yield made
    made.close()


def test_every_backend_that_has_it_and_no_other(place: Place) -> None:
    result = place.call()
    assert result["changed"] and {item["backend"] for item in result["servers"]} == {"shop", "unchecked"}
    assert result["diff"]["before"] == "shop/app1 ready\nunchecked/app1 ready\n"
    assert result["diff"]["after"] == "shop/app1 drain\nunchecked/app1 drain\n"
    drained = {name for name, state in place.forced().items() if state == "drain"}
    assert drained == {"shop/app1", "unchecked/app1"} and place.forced()["others/app3"] == "maint"
    assert not place.call()["changed"]
    assert place.call(state="ready")["changed"] and not place.call(state="ready")["changed"]
    assert set(place.forced().values()) == {"ready", "maint"}


def test_one_backend(place: Place) -> None:
    place.call(backend="unchecked")
    assert place.forced()["unchecked/app1"] == "drain" and place.forced()["shop/app1"] == "ready"


def test_maintenance_and_back_of_one_that_the_configuration_disables(place: Place) -> None:
    assert place.call(server="app3", state="ready")["changed"]
    assert place.call(server="app3", state="maint")["changed"] and not place.call(server="app3", state="maint")["changed"]


def test_check_mode_tells_and_does_nothing(place: Place) -> None:
    result = place.call(dry=True)
    assert result["changed"] and result["diff"]["after"].startswith("shop/app1 drain")
    assert place.forced()["shop/app1"] == "ready"


def test_it_returns_when_the_last_request_is_over(place: Place) -> None:
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(place.get, "/slow")
        assert Slow.begun.wait(10)
        drains = pool.submit(place.call, backend="shop")
        while place.forced()["shop/app1"] != "drain":
            time.sleep(0.01)
        assert not drains.done()
        Slow.go.set()
        assert drains.result()["servers"] == [{"backend": "shop", "state": "drain", "sessions": 0, "up": True}]
        assert asked.result() == 200  # it was not broken off


def test_a_request_that_does_not_end_is_told(place: Place) -> None:
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(place.get, "/slow")
        assert Slow.begun.wait(10)
        failure = place.refused(backend="shop", timeout=0.2)
        Slow.go.set()
        asked.result()
    assert failure.kind == "not_drained" and failure.msg == "1 request is still running on shop/app1 after 0.2 s."


def test_one_that_does_not_answer_is_told(place: Place) -> None:
    until(lambda: not place.call(dry=True, server="down")["servers"][0]["up"])
    failure = place.refused(server="down", state="ready", timeout=0.3)
    assert failure.kind == "unhealthy" and "shop/down" in failure.msg
    assert place.call(server="down")["servers"][0]["sessions"] == 0  # draining needs no health


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"server": "app9"}, "server_unknown", ["no server app9", "shop/app1, shop/down, unchecked/app1"]),
        ({"backend": "shpo"}, "server_unknown", ["no server app1 in the backend shpo"]),
        ({"server": "app1 state drain; disable server shop/down"}, "server_unknown", []),
        ({"socket": "reader"}, "balancer_unreachable", ["level is operator"]),
        ({"socket": "/nowhere/admin.sock"}, "balancer_unreachable", ["/nowhere/admin.sock", "No such file"]),
        ({"socket": "nobody"}, "balancer_unreachable", ["refused"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dry", [False, True])
def test_what_is_refused(
    place: Place, tmp_path: Path, options: dict[str, str], kind: str, words: list[str], dry: bool
) -> None:  # fmt: skip
    with socket.socket(socket.AF_UNIX) as left:  # of a HAProxy that is gone
        left.bind(path := str(tmp_path / "s"))
    known = {"reader": place.reader, "nobody": path}
    given = {name: known.get(value, value) for name, value in options.items()}
    failure = place.refused(dry=dry, **given)
    assert failure.kind == kind and all(word in failure.msg for word in words) and failure.hint
    assert place.forced()["shop/app1"] == "ready" and place.forced()["shop/down"] == "ready"
