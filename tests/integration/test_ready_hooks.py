# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hooks of the guide, against a web server, a mail server, HAProxy and nginx, with the configuration that the guide shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from flows.stage import Stage
from support import guide, venvs
from support.paths import ROOT
from support.plays import Outcome, play
from support.postgres import Postgres
from support.processes import Daemon, Unavailable, free_port, program
from support.receiver import Receiver
from support.waiting import PATIENCE, until

GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_hooks.rst"
FILES = {
    path: text
    for title in ("What goes where", "A page in nginx", "A page in HAProxy")
    for path, text in guide.files(guide.section(GUIDE, title)).items()
}
PAGE = "<h1>Orders is being renewed</h1>"

pytestmark = pytest.mark.timeout(1200)


class Webhook(Receiver):
    """What is posted to it is JSON."""

    @property
    def posted(self) -> list[dict[str, Any]]:
        return [json.loads(post.body) for post in self.received]

    @property
    def url(self) -> str:
        return f"{super().url}/hooks/s3cret"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


@dataclass
class Mail:
    """A mail server that writes what it gets."""

    folder: Path
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        listen = ("--nosetuid", "--listen", f"127.0.0.1:{self.port}", "--class", "aiosmtpd.handlers.Debugging", "stdout")
        self.daemon = Daemon([str(venvs.application("smtp")), "-um", "aiosmtpd", *listen], None, self.folder / "mail.out")
        self.daemon.start(self._listens)

    def _listens(self) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE):
                return True
        except OSError:
            return False

    @property
    def got(self) -> list[Any]:
        text = (self.folder / "mail.out").read_text()
        return [message_from_string(part) for part in re.findall(r"-+ MESSAGE FOLLOWS -+\n(.*?)\n-+ END MESSAGE", text, re.DOTALL)]


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Mail]:
    made = Mail(tmp_path)
    made.start()
    yield made
    made.daemon.stop()


@dataclass
class Proxy:
    """nginx or HAProxy in front of `servers`, configured as the guide has it but for ports and paths."""

    folder: Path
    method: str
    servers: list[str]
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        """:raises Unavailable: it is not installed."""
        (self.folder / "orders.html").write_text(PAGE)
        self.folder.chmod(0o755)
        self.daemon = {"nginx": self._nginx, "haproxy": self._haproxy}[self.method]()
        self.daemon.start(lambda: self.ask()[0] != 0)

    def _nginx(self) -> Daemon:
        text = FILES["/etc/nginx/sites-available/orders"]
        for old, new in (
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
            ("/etc/nginx/maintenance/orders", self.variables["maintenance_page_nginx_flag"]),
            ("/srv/maintenance", str(self.folder)),
        ):
            assert old in text
            text = text.replace(old, new)
        text = self._with_servers(text, r"server app(\d)\.example\.com:8000;", "server {};")
        places = "".join(
            f"{kind}_temp_path {self.folder}/tmp-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""  # who may enter our folder
        (self.folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; {user} pid {self.folder}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; {places}\n{text}\n}}\n"
        )
        options = ("-p", str(self.folder), "-e", "stderr", "-c", str(self.folder / "nginx.conf"))
        return Daemon([program("nginx"), *options], None, self.folder / "nginx.out")

    def _haproxy(self) -> Daemon:
        text = FILES["/etc/haproxy/haproxy.cfg"]
        for old, new in (
            ("bind :80", f"bind 127.0.0.1:{self.port}"),
            ("/run/haproxy/admin.sock", self.variables["maintenance_page_haproxy_socket"]),
            ("/etc/haproxy/orders.html", f"{self.folder}/orders.html"),
        ):
            assert old in text
            text = text.replace(old, new)
        (self.folder / "haproxy.cfg").write_text(self._with_servers(text, r"app(\d)\.example\.com:8000 check", "{}"))
        return Daemon([program("haproxy"), "-db", "-f", str(self.folder / "haproxy.cfg")], None, self.folder / "haproxy.out")

    def _with_servers(self, text: str, pattern: str, line: str) -> str:
        found, count = re.subn(pattern, lambda match: line.format(self.servers[int(match[1]) - 1]), text)
        assert count == len(self.servers)
        return found

    @property
    def variables(self) -> dict[str, Any]:
        return {
            "maintenance_page_method": self.method,
            "maintenance_page_hosts": ["localhost"],
            "maintenance_page_nginx_flag": f"{self.folder}/flags/orders",
            "maintenance_page_haproxy_backend": "orders_open",
            "maintenance_page_haproxy_socket": f"/tmp/dbops-page-{self.port}.sock",
        }

    def ask(self) -> tuple[int, str, str]:
        """The status, the text, and when to come again."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode(), answer.headers["Retry-After"] or ""
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers["Retry-After"] or ""
        except OSError:
            return 0, "", ""


@pytest.fixture(params=["nginx", pytest.param("haproxy", marks=pytest.mark.slow)])
def proxy(request: pytest.FixtureRequest, tmp_path: Path, webhook: Webhook) -> Iterator[Proxy]:
    """In front of servers that answer something else than the page."""
    folder = tmp_path / request.param
    folder.mkdir()
    made = Proxy(folder, request.param, [f"127.0.0.1:{webhook.server_port}"] * 2)
    try:
        made.start()
    except Unavailable as problem:
        pytest.skip(str(problem))
    yield made
    made.daemon.stop()


def hook(folder: Path, name: str, *arguments: str, **variables: Any) -> Outcome:
    """The tasks of a hook of the guide, as a deployment includes them."""
    (folder / name).write_text(FILES[f"hooks/{name}"])
    tasks = [{"ansible.builtin.include_tasks": str(folder / name)}]
    return play(folder, tasks, *arguments, vars={"application_name": "orders", **variables})


def test_the_page_is_shown_and_taken_away(proxy: Proxy, tmp_path: Path) -> None:
    without = proxy.ask()
    assert PAGE not in without[1]
    for changes in (True, False):
        shown = hook(tmp_path, "page_on.yml", **proxy.variables).ok()
        assert any(entry["result"].get("changed") for entry in shown.results) is changes
        until(lambda: proxy.ask() == (503, PAGE, "60"))
    for changes in (True, False):
        gone = hook(tmp_path, "page_off.yml", **proxy.variables).ok()
        assert any(entry["result"].get("changed") for entry in gone.results) is changes
        until(lambda: proxy.ask() == without)


RESULT = {
    "application": "orders",
    "outcome": "reverted",
    "message": "release 1.4.0 was put back to 1.3.2.",
    "from_release": "1.3.2",
    "to_release": "1.4.0",
}


def test_a_webhook_and_a_mail_get_the_summary(webhook: Webhook, mail: Mail, tmp_path: Path) -> None:
    told = {
        "notify_webhook_url": webhook.url,
        "notify_webhook_more": {"channel": "#orders"},
        "notify_mail_to": ["operators@example.com"],
        "notify_mail_from": "deployments@example.com",
        "notify_mail_server": "127.0.0.1",
        "notify_mail_port": mail.port,
        "notify_mail_security": "never",
    }
    sent = hook(tmp_path, "ended.yml", "-vvv", **told, deployment_result=RESULT).ok()
    assert "s3cret" not in sent.printed
    (posted,) = webhook.posted
    assert posted["channel"] == "#orders" and posted["text"].startswith("orders: release 1.4.0 was put back to 1.3.2.\n")
    (message,) = mail.got
    assert (message["To"], message["From"]) == ("operators@example.com", "deployments@example.com")
    assert str(make_header(decode_header(message["Subject"]))) == "orders: release 1.4.0 was put back to 1.3.2."
    assert "1.3.2 -> 1.4.0" in message.get_payload(0).get_payload(decode=True).decode()
    # Nothing of what went well, and another text.
    good = {**RESULT, "outcome": "finished"}
    hook(tmp_path, "ended.yml", **told, deployment_result=good, notify_only_failures_enabled=True).ok()
    assert len(webhook.posted) == 1 and len(mail.got) == 1
    hook(tmp_path, "begins.yml", notify_webhook_url=webhook.url, notify_webhook_key="content", release_version="1.4.0").ok()
    assert webhook.posted[-1] == {"content": "orders: release 1.4.0 is being deployed."}


def test_a_notice_that_nobody_takes_stops_nothing_unless_it_is_to(webhook: Webhook, tmp_path: Path) -> None:
    webhook.status = 500
    told = {"notify_webhook_url": webhook.url, "notify_mail_to": ["a@example.com"], "notify_mail_port": free_port()}
    sent = hook(tmp_path, "fails.yml", **told).ok()
    assert (
        "did not take the notice (status 500)" in sent.printed
        and f"not sent by localhost:{told['notify_mail_port']}: no mail server" in sent.printed
    )
    assert hook(tmp_path, "fails.yml", **told, notify_binding_enabled=True).status == 2
    mailed = {**told, "notify_webhook_url": ""}
    assert hook(tmp_path, "fails.yml", **mailed, notify_binding_enabled=True).status == 2


@pytest.mark.slow
def test_a_deployment_with_the_hooks_of_the_guide(webhook: Webhook, mail: Mail, tmp_path: Path, postgres: Postgres) -> None:
    """While the application is stopped, whoever comes sees the page; afterwards, and after a way back, the application."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    stage = Stage(tmp_path / "s", postgres)
    proxy = Proxy(tmp_path, "nginx", [f"127.0.0.1:{host.port}" for host in stage.hosts])
    try:
        proxy.start()
        stage.archive("1.0", "broken_migration", "1.1")
        for name in ("begins", "page_on", "page_off", "fails", "ended"):
            (tmp_path / f"{name}.yml").write_text(FILES[f"hooks/{name}.yml"])
        (tmp_path / "look.yml").write_text(LOOK)
        shown = FILES["inventory/group_vars/application/hooks.yml"]
        files = re.findall(r"(\w+): \"\{\{ inventory_dir \}\}/\.\./hooks/(\w+\.yml)\"", shown)
        told = {
            **proxy.variables,
            "deployment_hooks": {**{when: str(tmp_path / name) for when, name in files}, "after_stop": str(tmp_path / "look.yml")},
            "proxy": f"http://127.0.0.1:{proxy.port}/health",
            "seen": str(tmp_path / "seen"),
            "notify_webhook_url": webhook.url,
            "notify_mail_to": ["operators@example.com"],
            "notify_mail_server": "127.0.0.1",
            "notify_mail_port": mail.port,
        }
        stage.play("maintenance_window", release_version="1.0", **told).ok()
        assert proxy.ask()[0] == 200
        stage.seed(500)
        (tmp_path / "seen").unlink(missing_ok=True)
        bad = stage.play("maintenance_window", release_version="broken_migration", **told)
        assert bad.status == 2 and bad.result["outcome"] == "reverted", bad.output
        assert {"503 60"} == set((tmp_path / "seen").read_text().splitlines())
        assert proxy.ask()[0] == 200 and not Path(proxy.variables["maintenance_page_nginx_flag"]).exists()
        texts = [post["text"].splitlines()[0] for post in webhook.posted]
        assert texts[-3] == "shop: release broken_migration is being deployed."
        assert texts[-2] == "shop: the deployment failed, and what was there is being put back."
        assert texts[-1].startswith("shop: release broken_migration was put back to 1.0.")
        assert len(mail.got) == len(webhook.posted)
    finally:
        proxy.daemon.stop()
        stage.close()


LOOK = """
- name: Ask as a client does
  ansible.builtin.uri: {url: "{{ proxy }}", status_code: [200, 503]}
  register: answer

- name: Note it
  ansible.builtin.shell: echo {{ answer.status }} {{ answer.retry_after | default('') }} >> {{ seen }}
"""
