# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How an application answers: a URL asked, a command run, and what is wrong with the answer."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from .._errors import MigrationError

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_MOST_BYTES = 8_000_000
_EXCERPT = 1000
#: Statuses of RFC 9110, 8470 and 6585 that ask for another try; any other error is an answer about the release.
_NOT_YET = (408, 425, 429, 502, 503, 504)
#: A command gets this much longer than an answer, as it may start programs of its own.
_COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Health:
    """What a right answer is, and how long to wait for it: ``retries`` further tries, ``delay`` seconds apart.

    ``timeout`` is in seconds and for one answer, from the connection to its last byte. After ``failing_seconds`` of one and the
    same error that does not ask for patience, no further try is made; 0 uses up the tries.
    """

    url: str = ""
    status: Sequence[int] = (200,)
    text: str = ""
    json: Mapping[str, Any] = field(default_factory=dict)
    release_key: str = ""
    release_expected: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    validate_certs: bool = True
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    follow_redirects: bool = True
    unix_socket: str | None = None
    command: Sequence[str] = ()
    retries: int = 30
    delay: float = 1
    timeout: float = 10
    failing_seconds: float = 10

    def __post_init__(self) -> None:
        if self.url and (urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname):
            raise MigrationError(
                f"{shown(self.url)} is not a URL that can be asked.",
                "options_invalid",
                "Give one that begins with http:// or https://.",
            )


@dataclass(frozen=True)
class Answer:
    """What came back. ``status`` -1 is no answer, and then ``text`` says why."""

    status: int
    text: str = ""

    @property
    def fields(self) -> Mapping[str, Any]:
        try:
            found = json.loads(self.text) if self.status != -1 else {}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def shown(url: str) -> str:
    """Return a URL without the name and password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def release_of(health: Health, answer: Answer) -> str:
    """Return the release that an answer names, or nothing."""
    found = answer.fields.get(health.release_key) if health.release_key else None
    return "" if found is None else str(found)


def is_final(health: Health, answer: Answer) -> bool:
    """Whether an answer is an error that does not mean "not yet", as 404 and 500 are, and 503 and no answer are not."""
    return answer.status >= 400 and answer.status not in (*_NOT_YET, *health.status)


def judge(health: Health, answer: Answer) -> str:
    """Return what is wrong with an answer; empty when nothing is."""
    by = f" (asked through {health.unix_socket})" if health.unix_socket else ""
    url, excerpt = shown(health.url) + by, answer.text.strip()[:_EXCERPT]
    wanted = " or ".join(str(status) for status in health.status)
    if answer.status == -1:
        return f"{url} did not answer: {excerpt}"
    if answer.status not in health.status:
        return f"{url} answered {answer.status} and not {wanted}: {excerpt}"
    if health.text and health.text not in answer.text:
        return f"{url} answered without the text {health.text}: {excerpt}"
    wrong = {key: value for key, value in health.json.items() if key not in answer.fields or answer.fields[key] != value}
    if wrong:
        return f"{url} answered without {json.dumps(wrong)}: {excerpt}"
    said = release_of(health, answer)
    if health.release_key and health.release_expected and said != health.release_expected:
        return f"{url} answered as release {said or 'unknown'} and not {health.release_expected}: {excerpt}"
    return ""


def ask(health: Health) -> Answer:
    """Ask the URL once and follow where it leads. Whatever goes wrong on the way is an answer of status -1."""
    url, deadline = health.url, time.monotonic() + health.timeout
    try:
        for _redirect in range(_MOST_REDIRECTS):
            answer, further = _ask_one(health, url, deadline)
            if not further:
                return answer
            url = urljoin(url, further)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        late = isinstance(exc, socket.timeout) or time.monotonic() >= deadline
        said = (
            f"nothing came within {health.timeout:g} s"
            if late
            else getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        )
        return Answer(-1, str(said))
    return Answer(-1, f"it redirects more than {_MOST_REDIRECTS} times")


def _ask_one(health: Health, url: str, deadline: float) -> tuple[Answer, str]:
    parts = urlsplit(url)
    connection = _connection(health, parts, max(deadline - time.monotonic(), 0.001))
    try:
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request("GET", path, headers=_headers(health, url))
        answer = connection.getresponse()
        further = answer.getheader("Location") if answer.status in _REDIRECTS and health.follow_redirects else None
        if further:
            return Answer(answer.status), further
        body = b""
        while len(body) < _MOST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout()
            if connection.sock:
                connection.sock.settimeout(left)
            part = answer.read1(65536)
            if not part:
                break
            body += part
        return Answer(answer.status, body.decode(answer.headers.get_content_charset("utf-8"), "replace")), ""
    finally:
        connection.close()


def _headers(health: Health, url: str) -> dict[str, str]:
    """A name and a password in the URL are sent as such; another host than the one asked for gets no headers of the operator."""
    parts, asked = urlsplit(url), urlsplit(health.url)
    found = {"User-Agent": "dbops.alembic", "Accept": "*/*", "Connection": "close"}
    if (parts.scheme, parts.hostname, parts.port) == (asked.scheme, asked.hostname, asked.port):
        found.update({name: str(value) for name, value in health.headers.items()})
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        found.setdefault("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    return found


def _connection(health: Health, parts: Any, seconds: float) -> http.client.HTTPConnection:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"it leads to {parts.scheme}://")
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=health.ca_path)
        if not health.validate_certs:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if health.client_cert:
            context.load_cert_chain(health.client_cert, health.client_key)
        if not health.unix_socket:
            return http.client.HTTPSConnection(parts.hostname, port, timeout=seconds, context=context)
        return _SocketFile(parts, port, seconds, health.unix_socket, context)
    if health.unix_socket:
        return _SocketFile(parts, port, seconds, health.unix_socket, None)
    return http.client.HTTPConnection(parts.hostname, port, timeout=seconds)


class _SocketFile(http.client.HTTPConnection):
    """A server that listens on a socket file; host and port are only what it is told that it was called."""

    def __init__(self, parts: Any, port: int, seconds: float, path: str, context: ssl.SSLContext | None):
        super().__init__(parts.hostname, port, timeout=seconds)
        self._path, self._context = path, context

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(self.timeout)
        made.connect(self._path)
        self.sock = self._context.wrap_socket(made, server_hostname=self.host) if self._context else made


def run_command(health: Health) -> str:
    """Run the operator's own check once; return what is wrong, empty when it succeeded."""
    argv = [os.path.expandvars(os.path.expanduser(part)) for part in health.command]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=health.timeout + _COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the command {argv[0]} did not end within {health.timeout + _COMMAND_SECONDS:g} s"
    except OSError as exc:
        return f"the command {argv[0]} can not be run: {exc.strerror}"
    said = done.stdout.decode("utf-8", "replace").strip()[-_EXCERPT:]
    return f"the command {argv[0]} ended with status {done.returncode}: {said}" if done.returncode else ""
