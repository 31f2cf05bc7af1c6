# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to bring, held against what was found on it; and what is found on this one."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.host_needs import (
    Database,
    Folder,
    Found,
    Python,
    problems,
    warnings,
)
from ansible_collections.dbops.alembic.plugins.module_utils._host import needs, reach
from ansible_collections.dbops.alembic.plugins.module_utils._host.starts import Started, starts

from support.receiver import Answering, Quiet

GOOD = Folder("/srv/shop", "/srv", True, True, 10**9, 10**6)
REFUSED = 'psql: error: connection to server at "db", port 5432 failed: FATAL:  password authentication failed for user "shop"'
OLD = "pg_dump (PostgreSQL) 15.8 (Debian 15.8-0)"
TOO_OLD = (
    "pg_dump is of version 15 and the server of version 16: an older pg_dump refuses a newer server. Install the client programs of"
    " version 16 or newer, and set backup_programs_directory to where they are."
)


def dumped(said: str | None, needed: str, creates: bool | None = None, dialect: str = "postgresql") -> Found:
    name = "pg_dump" if dialect == "postgresql" else "mysqldump"
    return Found(database=Database(dialect, server="16.4", creates=creates, dump=name, dump_said=said, dump_needed=needed))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Found(folders=[GOOD]), []),
        (Found(folders=[Folder("/srv/shop", "/srv/shop", True, True, None, None)]), []),
        (Found(user="joe", folders=[Folder("/srv/shop", "/srv", True, False, 10**9)]),
         ["/srv/shop can not be made, since /srv can not be written to by joe. Set become, or give that user the folder."]),
        (Found(user="joe", folders=[Folder("/srv/shop", "/srv/shop", True, False, 10**9)]),
         ["/srv/shop can not be written to by joe. Set become, or give that user the folder."]),
        (Found(folders=[Folder("/srv/shop", "/srv", False, True, 10**9)]), ["/srv is no folder, so /srv/shop can not be made."]),
        (Found(folders=[Folder("/srv/shop", "/srv", False, False, reason="Stale file handle")]),
         ["/srv/shop can not be made or used: /srv: Stale file handle."]),
        (Found(folders=[Folder("/srv/shop", "/srv", True, True, 12 * 10**6)]),
         ["/srv has 12 MB left on its file system. Make room."]),
        (Found(folders=[Folder("/srv/shop", "/srv", True, True, 10**9, 3)]),
         ["/srv has room for 3 more files on its file system (df -i). Make room."]),
        (Found(folders=[Folder("/srv/shop", "/srv", True, True, 0, 0)], room_binding=False), []),
        (Found(folders=[Folder("/srv/shop", "/srv", True, False, 0)], user="joe", room_binding=False),
         ["/srv/shop can not be made, since /srv can not be written to by joe. Set become, or give that user the folder."]),
        (Found(python=Python("python3", version="3.12")), []),
        (Found(python=Python("python3", ["venv", "ensurepip"], version="3.12")),
         ["python3 has no venv and no ensurepip, so it can make no virtual environment. Install python3.12-venv, or choose another"
          " program with release_virtualenv_command."]),
        (Found(python=Python("python3.99", said="No such file or directory")),
         ["python3.99 can not be run: No such file or directory. Install it, or name another one in release_python."]),
        (Found(programs={"git": False, "uv": True}), ["git is not there. Install it."]),
        (Found(told=["web is masked.", "web is masked."]), ["web is masked."]),
        (Found(absent=["web runs as nobody known."]), ["web runs as nobody known."]),
        (Found(absent=["web runs as nobody known."], absent_binding=False), []),
        (Found(database=Database("postgresql", "db:5432", unreached="Connection refused")),
         ["The database at db:5432 can not be reached: Connection refused. Look at its address, its port and the firewall."]),
        (Found(database=Database("postgresql", "db:5432", said=REFUSED)),
         ['The database at db:5432 takes no connection: password authentication failed for user "shop". Look at'
          " schema_database_url and at what the server allows from this host."]),
        # What passes, what only this psql can't do, and what nobody knows is no fault.
        (Found(database=Database("postgresql", said="psql: error: FATAL:  sorry, too many clients already")), []),
        (Found(database=Database("postgresql", said="psql: error: SCRAM authentication requires libpq version 10 or above")), []),
        (Found(database=Database("postgresql", said="psql: error: fe_sendauth: no password supplied")), []),
        (dumped("pg_dump (PostgreSQL) 16.4", "always"), []),
        (dumped(OLD, "always"), [TOO_OLD]),
        (dumped(OLD, "without_snapshot", creates=False), [TOO_OLD]),
        (dumped(OLD, "without_snapshot", creates=True), []),
        (dumped(OLD, "without_snapshot"), []),
        (dumped(OLD, "never", creates=False), []),
        (dumped(None, "always"),
         ["pg_dump can not be run on this host. Install it (Debian: postgresql-client), or set backup_programs_directory to where"
          " it is."]),
        (dumped(None, "without_snapshot", dialect="mysql"),
         ["mysqldump can not be run on this host. Install it (Debian: mariadb-client), or set backup_programs_directory to where it"
          " is."]),
        (dumped("mysqldump from 11.8.3", "always", dialect="mysql"), []),
        (Found(database=Database("sqlite", dump_needed="always")), []),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_host(found: Found, told: list[str]) -> None:
    assert problems(found) == told


def test_what_is_only_to_be_looked_at() -> None:
    assert warnings(Found(absent=["web has no user."], absent_binding=False)) == ["web has no user."]
    assert not warnings(Found(absent=["web has no user."]))
    assert warnings(dumped(OLD, "without_snapshot", creates=True)) == [f"No archive will be written. {TOO_OLD}"]
    assert not warnings(dumped(OLD, "always")) and not warnings(dumped("pg_dump (PostgreSQL) 17", "never"))
    full = Found(folders=[Folder("/srv/shop", "/srv", True, True, 0)], room_binding=False)
    assert warnings(full) == ["/srv has 0 MB left on its file system. Make room."]


@pytest.mark.parametrize(
    ("started", "warned"),
    [
        ("/srv/shop/current/venv/bin/gunicorn shop", False),
        ("ExecStart={ path=/usr/bin/env ; argv[]=/usr/bin/env x } WorkingDirectory=/srv/shop/current", False),
        ('gunicorn /srv/shop PATH="/srv/shop/current/venv/bin:/bin"', False),
        ("bash -c 'cd /srv/shop/current && exec ./serve'", False),
        ("/opt/shop/venv/bin/gunicorn shop /opt/shop", True),
        ("/srv/shop/current.old/venv/bin/gunicorn", True),
        ("/mnt/srv/shop/current/venv/bin/gunicorn", True),
        ("/srv/shop/releases/1.0/venv/bin/gunicorn", True),
        ("", False),  # how it is started could not be read
    ],
)
def test_a_service_that_does_not_start_from_the_release_is_told(started: str, warned: bool) -> None:
    assert bool(warnings(Found(starts={"web": started}, link="/srv/shop/current"))) == warned
    assert not warnings(Found(starts={"web": started}))


def params(**given: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {**dict.fromkeys(("root", "version", "programs_directory", "database")), "files": {}, "links": {}}
    lists: dict[str, Any] = {name: [] for name in ("services", "folders", "python", "programs")}
    place = {"manager": "systemd", "scope": "system", "supervisor_config": "", "unit_files_binding": True, "room_binding": True}
    place |= {"health": {}, "serving": False}
    return {**nothing, **lists, **place, **given}


def program(folder: Path, name: str, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


def postgresql(**given: Any) -> dict[str, Any]:
    usual = {"dialect": "postgresql", "host": None, "port": None, "socket": None, "environment": {}, "password": None}
    return {**usual, "connect": True, "dump": True, "dump_needed": "always", **given}


@pytest.fixture
def closed() -> Iterator[int]:
    """A port of this host that nobody listens at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_this_host_is_looked_at(tmp_path: Path, closed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PAUSE", 0)
    monkeypatch.setattr(reach, "_DUMPS", {"postgresql": "pg_nothing"})
    (tmp_path / "file").write_text("")
    told, _, _ = needs.look(
        params(
            folders=[str(tmp_path / "new"), str(tmp_path / "new" / "one"), str(tmp_path / "file" / "below"), str(tmp_path)],
            python=[program(tmp_path / "programs", "broken", "echo oh >&2; exit 3")],
            programs=["sh", "no-such-program"],
            database=postgresql(host="127.0.0.1", port=closed),
        )
    )
    assert [text.partition(". ")[0] for text in told] == [
        f"{tmp_path}/file is no folder, so {tmp_path}/file/below can not be made.",
        f"{tmp_path}/programs/broken can not be run: oh",
        "no-such-program is not there",
        f"The database at 127.0.0.1:{closed} can not be reached: Connection refused",
        "pg_nothing can not be run on this host",
    ]


class _Page(Quiet):
    """A release that has one page."""

    def do_GET(self) -> None:
        body = b'{"status": "ok", "release": "1.0"}' if self.path == "/health" else b"<html>" + b"no such page " * 100
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize(
    ("health", "doubt"),
    [
        ({"url": "{}/health"}, ""),
        ({"url": "{}/health", "json": {"status": "ok"}, "release_key": "release", "release_expected": "1.1"}, ""),
        ({"url": "{}/health", "json": {"release": "1.1"}}, '{}/health answered without {{"release": "1.1"}}: '),
        ({"url": "{}/helth"}, "{}/helth answered 404 and not 200. So what serves now"),
        ({"url": "{}/helth", "status": [404]}, ""),
        (
            {"url": "http://joe:secret@127.0.0.1:{closed}/health"},
            "http://127.0.0.1:{closed}/health did not answer: Connection refused.",
        ),
    ],
)
def test_what_serves_now_is_asked_as_the_next_release_will_be(health: dict[str, Any], doubt: str, closed: int) -> None:
    with Answering(_Page) as server:
        asked = {**health, "url": health["url"].format(server.url, closed=closed)}
        problems, remarks, facts = needs.look(params(health=asked, serving=True))
        wanted = doubt.format(server.url, closed=closed)
    assert not problems and ("health_problem" in facts) is bool(doubt)
    assert [text.startswith(wanted) for text in remarks] == [True] * bool(doubt), remarks
    assert all("So what serves now would not count as healthy." in text for text in remarks)
    assert not any(len(text) > 600 or "secret" in text for text in remarks)
    assert needs.look(params(health=asked))[:2] == ([], []), "where nothing serves, nothing answers"


def test_a_name_without_an_address_is_wrong_for_every_release() -> None:
    for serving in (True, False):
        asked = {"health": {"url": "https://shop.invalid:8443/health"}, "serving": serving}
        told, remarks, facts = needs.look(params(**asked))
        assert len(told) == 1 and not remarks and "health_problem" not in facts
        assert told[0].startswith(
            "health_url is https://shop.invalid:8443/health, and shop.invalid has no address on this host ("
        ), told
        assert needs.look(params(**asked, unit_files_binding=False))[:2] == ([], told), "a task of the operator may give it one"
    behind = {"url": "https://shop.invalid/health", "unix_socket": "/nowhere/shop.sock"}
    assert needs.look(params(health=behind))[:2] == ([], []), "the host is only what the socket file is told"


def test_a_release_that_is_there_needs_nothing_to_be_built(tmp_path: Path) -> None:
    lacking = params(root=str(tmp_path), version="1.0", programs=["no-such-program"], python=["no-such-python"])
    assert len(needs.look(lacking)[0]) == 2
    (tmp_path / "releases" / "1.0").mkdir(parents=True)
    (tmp_path / "releases" / ".dbops-releases").write_text("")
    (tmp_path / "releases" / "1.0" / ".dbops-release.json").write_text('{"version": "1.0"}')
    found = needs.look(lacking)
    assert found[:2] == ([], []) and (found.facts["release"]["prepared"], found.facts["release"]["version"]) == (True, "1.0")


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("")
    files = {"health_ca_path": "/nowhere/ca.pem", "health_client_cert": str(there), "health_client_key": ""}
    told, remarks, _ = needs.look(params(files=files))
    assert [*told, *remarks] == ["health_ca_path is /nowhere/ca.pem, which is not there. Put it there, or name another file."]
    assert needs.look(params(files=files, unit_files_binding=False))[:2] == ([], told)
    assert len(needs.look(params(files={"health_ca_path": str(tmp_path)})).problems) == 1, "a folder is no file"
    inside = {"health_ca_path": str(tmp_path / "current" / "ca.pem"), "health_client_key": str(tmp_path / "current.pem")}
    told = needs.look(params(root=str(tmp_path), files=inside)).problems
    assert len(told) == 1 and told[0].startswith("health_client_key is ")


def test_a_link_to_nothing_is_to_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    links = {"uploads": "/nowhere/uploads", "shared": str(tmp_path / "shared"), "beside": "../../shared", "empty": ""}
    links |= {"own": str(tmp_path / "releases" / "1.0" / "venv")}
    told, remarks, _ = needs.look(params(root=str(tmp_path), links=links))
    assert told == [] and len(remarks) == 1 and "leads 'uploads' to /nowhere/uploads, which is not there" in remarks[0]


def test_a_folder_of_somebody_else_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    (told,) = needs.look(params(root=str(tmp_path), version="1.0"))[0]
    assert told.startswith(f"'{tmp_path}/current' can not be made to point at a release")


def test_what_a_run_may_have_left_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("dbops-release.x", "dbops-restore.y", "precious"):
        (tmp_path / name).mkdir()
    (tmp_path / "dbops-release.file").write_text("")
    (tmp_path / "dbops-release.link").symlink_to(tmp_path / "precious")
    found = [item for item in needs.look(params()).facts["temporary"] if item["path"].startswith(f"{tmp_path}/")]
    assert sorted(item["path"] for item in found) == [f"{tmp_path}/dbops-release.x", f"{tmp_path}/dbops-restore.y"]
    assert all(item["isdir"] and not item["islnk"] and item["mtime"] for item in found)
    assert "services" not in needs.look(params()).facts, "what was not asked for is not told"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"socket": "/no/such/folder"}, False),
        ({"socket": "/no/such/folder", "connect": False}, False),
        ({"socket": "@abstract", "environment": {"PGUSER": "shop"}}, True),
        ({"environment": {"PGSERVICE": "shop", "PGUSER": "shop"}}, True),
        ({"environment": {"PGSERVICE": "shop"}}, False),  # somebody need not be meant
        ({"environment": {"PGUSER": "shop"}}, False),  # nobody knows where
    ],
)
def test_who_is_connected_to(given: dict[str, Any], asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What psql says counts where it was told whom to ask, and as whom."""
    monkeypatch.setattr(reach, "PAUSE", 0)
    program(tmp_path, "psql", "echo 'FATAL:  role \"shop\" does not exist' >&2; exit 2")
    program(tmp_path, "pg_dump", "echo 'pg_dump (PostgreSQL) 17.1'")
    told, _, _ = needs.look(params(programs_directory=str(tmp_path), database=postgresql(**given)))
    assert any("takes no connection" in text for text in told) == asked, told
    assert any("can not be reached" in text for text in told) == (given == {"socket": "/no/such/folder"})


def test_a_python_that_can_make_environments_is_no_problem() -> None:
    assert needs.look(params(python=[sys.executable], folders=[os.getcwd()]))[:2] == ([], [])


def test_how_supervisor_starts_a_program_is_read_with_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "s.conf").write_text("[program:web]\ncommand = /srv/shop/current/run %(ENV_X)s\n[include]\nfiles = d/*.ini\n")
    (tmp_path / "d" / "a.ini").write_text("[program:worker]\ncommand = ./work ; a comment\ndirectory = /opt/shop\n")
    found = starts("supervisor", ["web", "worker:worker_00", "gone"], "system", str(tmp_path / "s.conf"))
    assert found == [Started("web", "/srv/shop/current/run %(ENV_X)s  "), Started("worker:worker_00", "./work /opt/shop ")]


def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> list[Started]:
    """What is read where systemctl shows these lines of a unit."""
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return starts("systemd", ["web.service", "web.socket"], "system", "", "/srv/shop/current")


@pytest.mark.parametrize(
    ("lines", "absent"),
    [
        (["User=root", "EnvironmentFiles=/etc/no-such-file (ignore_errors=yes)"], ""),
        (["User=", "DynamicUser=no"], ""),
        (["User=4711"], ""),
        (["User=no-such-user", "DynamicUser=yes"], ""),
        (["User=no-such-user", "DynamicUser=no"], "web.service runs as no-such-user, and there is no such user."),
        (["EnvironmentFiles=/etc/passwd (ignore_errors=no)", "EnvironmentFiles=/etc/no-such.env (ignore_errors=no)"],
         "web.service reads its environment from /etc/no-such.env, which is not there."),
        (["EnvironmentFiles=/etc/no-such.d/*.env (ignore_errors=no)"], ""),
        (["EnvironmentFiles=/run/no-such.env (ignore_errors=no)"], ""),
        (["EnvironmentFiles=/srv/shop/current/no-such.env (ignore_errors=no)"], ""),
        (["EnvironmentFiles=/etc/passwd/no-such.env (ignore_errors=no)"], ""),
    ],
)  # fmt: skip
def test_what_systemd_would_miss_at_the_start(
    lines: list[str], absent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (found,) = shown(monkeypatch, tmp_path, "ExecStart={ path=/srv/shop/current/run }", "WorkingDirectory=/srv", *lines)
    assert found.text == "{ path=/srv/shop/current/run } /srv"
    assert " ".join(found.absent).startswith(absent) and bool(found.absent) == bool(absent)
