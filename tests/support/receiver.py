# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP servers that keep what they are sent, for what is told to somebody who is not there in a test."""

from __future__ import annotations

import json
import socketserver
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple


class Quiet(BaseHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Answering(ThreadingHTTPServer):
    """Answers on a free port from the beginning to the end of its ``with``."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *problem: Any) -> None:
        self.shutdown()
        super().__exit__(*problem)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class GitHub(socketserver.ThreadingUnixStreamServer):
    """What `gh pr comment` asks of GitHub's API: a pull request, and to comment it. Keeps each token and question."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        super().__init__(str(path), _Commented)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *problem: Any) -> None:
        self.shutdown()
        super().__exit__(*problem)


class _Commented(Quiet):
    server: GitHub

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.headers["Authorization"], asked))
        url = "https://github.com/shop/orders/pull/7"
        node = {"commentEdge": {"node": {"url": f"{url}#issuecomment-1"}}}
        found = (
            {"addComment": node} if "mutation" in asked["query"] else {"repository": {"pullRequest": {"id": "PR_7", "url": url}}}
        )
        body = json.dumps({"data": found}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Post(NamedTuple):
    path: str
    headers: Message
    body: bytes


class Receiver(Answering):
    """Keeps what is posted to it, and answers with `status`."""

    def __init__(self) -> None:
        self.received: list[Post] = []
        self.status = 200
        super().__init__(_Keeping)


class _Keeping(Quiet):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(Post(self.path, self.headers, body))
        self.send_response(self.server.status)
        self.end_headers()
