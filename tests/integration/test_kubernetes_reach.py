# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that can not be reached, or refuses, is told in one sentence with its address and the cause, by every module."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import environments
from support.paths import TREE
from support.plays import play
from support.receiver import Answering, Quiet

pytestmark = pytest.mark.slow
#: Reads what is in the cluster of a kubeconfig, with little patience for a server that is silent.
READ = """
import json, sys
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes import cluster, reach
reach.CONNECT = 0.2
try:
    cluster.Cluster.connect({"kubeconfig": sys.argv[1], "context": sys.argv[2]}).get("/api/v1/namespaces/shop/pods")
except MigrationError as exc:
    print(json.dumps([exc.kind, exc.msg, exc.hint]))
"""


class _Refusing(Quiet):
    def do_GET(self) -> None:
        status, kind, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


class Refusing(Answering):
    """Answers everything alike."""

    def __init__(self, status: int, body: str, kind: str = "application/json") -> None:
        self.answer = (status, kind, body)
        super().__init__(_Refusing)


@pytest.fixture(scope="module")
def python() -> Path:
    environments.tree()
    return environments.virtual_environment("kubernetes", environments.controller_python())


def kubeconfig(folder: Path, server: str, **more: Any) -> Path:
    path = folder / "config"
    there = {"name": "c", "cluster": {"server": server, **more}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    rest = {"contexts": [context], "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}]}
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "clusters": [there], **rest}))
    return path


def read(python: Path, config: Path, context: str = "") -> list[str]:
    """Kind, message and hint."""
    command = [str(python), "-c", READ, str(config), context]
    environment = {"PYTHONPATH": str(TREE), "TMPDIR": str(config.parent)}  # where the client keeps what it has seen of a server
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0 and done.stdout, done.stderr
    said: list[str] = json.loads(done.stdout)
    assert not re.search(r"Pool\(|Max retries|object at|\\n|\n|\.\.|: \.", said[1]), said
    return said


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize("kind", ["refused", "unknown", "silent", "closing", "plain", "certificate", "proxy"])
def test_where_it_was_asked_and_why_there_was_no_answer(kind: str, python: Path, listener: socket.socket, tmp_path: Path) -> None:
    port, more = listener.getsockname()[1], {}
    server, why = f"https://127.0.0.1:{port}", ""
    if kind == "refused":
        listener.close()
        why = "Connection refused"
    elif kind == "unknown":
        server, why = "https://api.nowhere.invalid:6443", "its name does not resolve ("
    elif kind == "silent":
        why = "nothing came in time"
    elif kind == "closing":
        threading.Thread(target=closes, args=(listener,), daemon=True).start()
        why = "it closes the connection without an answer"
    elif kind == "plain":
        threading.Thread(target=closes, args=(listener, b"HTTP/1.0 400 Bad Request\r\n\r\n"), daemon=True).start()
        why = "what listens there does not speak TLS"
    elif kind == "certificate":
        threading.Thread(target=greets, args=(listener, tmp_path), daemon=True).start()
        why = "its certificate is not trusted (self"
    else:
        listener.close()
        more, server = {"proxy-url": f"http://127.0.0.1:{port}"}, "https://10.255.0.1:6443"
        why = f"its proxy http://127.0.0.1:{port}: Connection refused"
    error, message, hint = read(python, kubeconfig(tmp_path, server, **more))
    assert error == "cluster_unreachable" and message.startswith(f"The cluster at {server} can not be reached: {why}"), message
    assert hint.startswith("Look at the server in the kubeconfig")


def closes(listener: socket.socket, said: bytes = b"") -> None:
    """Hang up on everybody, after a word."""
    while True:
        try:
            taken, _address = listener.accept()
        except OSError:
            return
        taken.recv(1000)
        taken.sendall(said)
        taken.close()


def greets(listener: socket.socket, folder: Path) -> None:
    """Show everybody a certificate that nobody has signed."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=kube"]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    while True:
        try:
            taken, _address = listener.accept()
        except OSError:
            return
        try:
            context.wrap_socket(taken, server_side=True).close()
        except OSError:
            taken.close()


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, '{"message": "Unauthorized"}', "cluster_unreachable", "The cluster does not know who asks: Unauthorized."),
        (403, '{"message": "no"}', "cluster_refused", "Could not ask the cluster for its version: no."),
        (503, "<html>\n<h1>Busy</h1></html>", "cluster_refused", "Could not ask the cluster for its version: HTTP status 503 "),
        (200, "<html>A shop</html>", "cluster_unreachable", "The cluster can not be reached: the kubeconfig, or what its server "),
    ],
)
def test_what_it_said_is_told(status: int, body: str, error: str, said: str, python: Path, tmp_path: Path) -> None:
    with Refusing(status, body, "text/html" if body.startswith("<") else "application/json") as there:
        kind, message, _hint = read(python, kubeconfig(tmp_path, there.url))
    assert kind == error and message.startswith(said), message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid kube-config. {} file is empty"),
        ("a: [", 'in "{}", line 1, column 5'),
        ("[]", "the kubeconfig, or what its server answers, is not what Kubernetes has: "),
        ("{}", "Invalid kube-config file. Expected key current-context in {}"),
        (None, "{}: Is a directory"),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_told(text: str | None, said: str, python: Path, tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.mkdir() if text is None else path.write_text(text)
    kind, message, hint = read(python, path)
    assert kind == "cluster_unreachable" and message.startswith("The cluster can not be reached: "), message
    assert said.format(path) in message and hint.startswith("Set application_kubernetes_kubeconfig"), (message, hint)


def test_a_context_that_is_not_there_is_told_with_those_that_are(python: Path, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, "https://127.0.0.1:1")
    kind, message, hint = read(python, config, "west")
    assert (kind, message) == ("cluster_unreachable", f"The kubeconfig {config} has no context west; there is c.")
    assert "application_kubernetes_context" in hint
    config.write_text(config.read_text().replace('"cluster": "c"', '"cluster": "d"'))
    assert read(python, config)[1] == f"The kubeconfig {config} has no cluster d, which its context names."


def test_every_module_says_it_alike(python: Path, listener: socket.socket, tmp_path: Path) -> None:
    port = listener.getsockname()[1]
    listener.close()
    config = str(kubeconfig(tmp_path, f"https://127.0.0.1:{port}"))
    workload = {"kubeconfig": config, "namespace": "shop", "name": "web"}
    job = {"kubeconfig": config, "namespace": "shop", "application": "shop", "image": "shop:1", "secret": "shop"}
    archive = {"claim": "archives", "kubernetes": job}
    record = {"application": "shop", "kubernetes": {"kubeconfig": config, "namespace": "shop", "name": "shop-deployments"}}
    calls: dict[str, dict[str, Any]] = {
        "kubernetes_workload": {**workload, "state": "stopped"},
        "kubernetes_workload_info": workload,
        "kubernetes_release": {**workload, "version": "1.2"},
        "kubernetes_job_info": {"kubeconfig": config, "namespace": "shop", "application": "shop"},
        "kubernetes_archive": {**archive, "name": "shop-1.pgc"},
        "kubernetes_archive_info": {**archive, "prefix": "shop-"},
        "deployment_record_info": record,
        "alembic_info": {"chdir": "/app", "kubernetes": job},
        "alembic_upgrade": {"chdir": "/app", "kubernetes": job},
    }
    tasks = [{f"dbops.alembic.{name}": given, "ignore_errors": True} for name, given in calls.items()]
    done = play(tmp_path, tasks, hosts={"here": {"ansible_python_interpreter": str(python)}})
    said = {item["task"]: item["result"] for item in done.results}
    assert len(said) == len(calls), done.printed
    for name, found in said.items():
        wanted = f"The cluster at https://127.0.0.1:{port} can not be reached: Connection refused."
        assert found.get("error_kind") == "cluster_unreachable" and found["msg"].startswith(wanted), (name, found)
    assert "Pool(" not in done.stdout, done.stdout
