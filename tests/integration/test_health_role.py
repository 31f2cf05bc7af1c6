# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role health against real servers: what each of its variables asks for, and what is told when the answer is another one."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.plays import play


class Application(http.server.BaseHTTPRequestHandler):
    """Answers as its path says, and tells who asks with which header."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(3)
        status = {"/created": 201, "/redirected": 302, "/broken": 503}.get(self.path, 200)
        if self.path == "/known" and self.headers.get("X-Probe") != "dbops":
            status = 401
        body = json.dumps({"status": "ready", "release": "1.4.0", "database": {"at": "head"}}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # who asked has gone
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def address_string(self) -> str:
        return "somebody"


class OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The same application at an address, at one with a certificate of its own, and at a socket."""
    folder = tmp_path_factory.mktemp("served")
    certificate, key, socket = folder / "cert.pem", folder / "key.pem", folder / "s"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    plain, safe = (http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    safe.socket = context.wrap_socket(safe.socket, server_side=True)
    local = OnSocket(str(socket), Application)
    servers: list[socketserver.BaseServer] = [plain, safe, local]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "plain": f"http://127.0.0.1:{plain.server_port}",
        "safe": f"https://127.0.0.1:{safe.server_port}",
        "socket": str(socket),
        "certificate": str(certificate),
    }
    for server in servers:
        server.shutdown()
        server.server_close()


#: What is set, with {places} in it, and what is told; nothing where the application is healthy.
CASES: list[tuple[dict[str, Any], str]] = [
    ({"health_url": "{plain}/"}, ""),
    ({"health_url": "{plain}/created", "health_status": [200, 201]}, ""),
    ({"health_url": "{plain}/created"}, "201"),
    ({"health_url": "{plain}/broken"}, "503"),
    ({"health_url": "{plain}/", "health_text": "ready"}, ""),
    ({"health_url": "{plain}/", "health_text": "waiting"}, "waiting"),
    ({"health_url": "{plain}/", "health_json": {"database": {"at": "head"}}}, ""),
    ({"health_url": "{plain}/", "health_json": {"database": {"at": "base"}}}, "database"),
    ({"health_url": "{plain}/", "health_release_key": "release", "health_release_expected": "1.4.0"}, ""),
    ({"health_url": "{plain}/", "health_release_key": "release", "health_release_expected": "1.5.0"}, "1.4.0"),
    ({"health_url": "{plain}/known", "health_headers": {"X-Probe": "dbops"}}, ""),
    ({"health_url": "{plain}/known"}, "401"),
    ({"health_url": "{plain}/redirected"}, ""),
    ({"health_url": "{plain}/redirected", "health_follow_redirects_enabled": False}, "302"),
    ({"health_url": "{plain}/slow", "health_timeout_seconds": 1}, "nothing came within 1 s"),
    ({"health_url": "{plain}/slow", "health_timeout_seconds": 20}, ""),
    ({"health_url": "{safe}/", "health_ca_path": "{certificate}"}, ""),
    ({"health_url": "{safe}/", "health_validate_certs": False}, ""),
    ({"health_url": "{safe}/"}, "certificate"),
    ({"health_url": "http://shop/", "health_unix_socket": "{socket}"}, ""),
    ({"health_url": "http://shop/", "health_unix_socket": "{socket}.gone"}, "{socket}.gone"),
    ({"health_command": ["sh", "-c", "exit 0"]}, ""),
    ({"health_command": ["sh", "-c", "echo no licence >&2; exit 3"]}, "no licence"),
]


def put_in(value: Any, places: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, place in places.items():
        text = text.replace("{" + name + "}", place)
    return json.loads(text)


def test_each_variable_asks_for_what_it_says(places: dict[str, str], tmp_path: Path) -> None:
    """All cases in one play: what costs is the start of it."""
    tasks = []
    for number, (given, _) in enumerate(CASES):
        role = {"name": "dbops.alembic.health"}
        variables = {"application_name": "shop", "health_retries": 0, "health_delay_seconds": 0.1, **put_in(given, places)}
        told = {"ansible.builtin.set_fact": {f"told_{number}": "{{ ansible_failed_result.msg }}"}}
        tasks.append({"block": [{"ansible.builtin.include_role": role, "vars": variables}], "rescue": [told]})
    every = {str(number): f"{{{{ told_{number} | default('') }}}}" for number in range(len(CASES))}
    tasks.append({"ansible.builtin.debug": {"msg": {"said": every}}})
    said = play(tmp_path, tasks).ok().result()["msg"]["said"]
    wrong = [
        (given, expected, said[str(number)])
        for number, (given, expected) in enumerate(CASES)
        if bool(expected) != bool(said[str(number)]) or put_in(expected, places) not in said[str(number)]
    ]
    assert not wrong, wrong
