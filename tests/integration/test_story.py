# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback as an operator sees it: whole deployments, playbooks of somebody else, and a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import environments
from flows.stage import Run, Stage
from support import waiting
from support.paths import CACHE, TREE
from support.playbook import command as ansible_playbook
from support.postgres import Postgres

pytestmark = pytest.mark.timeout(1800)

STORY = {"ANSIBLE_STDOUT_CALLBACK": "dbops.alembic.deployment", "ANSIBLE_NOCOLOR": ""}
STEP = re.compile(r"^  ok  (.+?)(?::.*)?  +(\S+|\d+ hosts?) +[\d.]+ (?:s|min.*)$")

#: The steps of a deployment that has something to migrate, and how many hosts take each.
GOOD = [
    ("Check what the hosts bring", "2 hosts"),
    ("Look for an open deployment", "shop1"),
    ("Prepare the release", "2 hosts"),
    ("Rehearse the pending revisions", "shop1"),
    ("Stop the application", "2 hosts"),
    ("Work on the database", "shop1"),
    ("Start the application", "2 hosts"),
    ("Write the archive", "shop1"),
    ("Remove old snapshots", "shop1"),
    ("Remove old releases", "2 hosts"),
]


def steps(output: str) -> list[tuple[str, str]]:
    return [(found[1].strip(), found[2]) for line in output.splitlines() if (found := STEP.match(line))]


def log_of(output: str) -> Path:
    """The log that the last line names."""
    return Path(" ".join(output[output.rindex("\nLog ") + 5 :].split()))


def narrow(output: str) -> bool:
    """Whether no line is longer than 80 columns but for a name that nobody may cut, and a command that is to be copied."""
    return all(len(line) <= 80 or len(line.split()) <= 2 or line.startswith("Next ") for line in output.splitlines())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path_factory.mktemp("stage") / "s", postgres)
    made.archive("1.0", "1.1", "broken_migration")
    made.more = {**STORY, "DBOPS_ALEMBIC_LOG_FOLDER": str(made.folder / "logs")}
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def plain(stage: Stage) -> Run:
    """The first deployment, under Ansible's own callback."""
    story, stage.more = stage.more, {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false", "ANSIBLE_SHOW_CUSTOM_STATS": "false"}
    first = stage.play("maintenance_window", release_version="1.0")
    stage.more = story
    assert first.status == 0, first.output
    stage.seed(500)  # enough for two customers of one name
    return first


@pytest.fixture(scope="module")
def good(stage: Stage, plain: Run) -> Run:
    return stage.play("maintenance_window", release_version="1.1")


def test_a_good_run_fits_on_a_screen(stage: Stage, good: Run) -> None:
    assert good.status == 0, good.output
    assert steps(good.output) == GOOD and "No hosts matched" not in good.output, good.output
    assert len(good.output.splitlines()) <= 40 and narrow(good.output) and "\033" not in good.output, good.output
    assert re.search(r"^ +\[2/2\] c64b2e98d075 .* s$", good.output, re.M), good.output
    told = good.output[good.output.index("\nshop: release 1.1 serves.") :]
    labels = re.findall(r"^([A-Z][a-z]+(?: back)?)  ", told, re.M)
    assert labels == ["Release", "Revision", "Downtime", "Way back", "Archive", "Record", "Report", "Log"], told


def test_under_the_callback_of_ansible_what_does_not_apply_prints_nothing(plain: Run) -> None:
    """And the summary is lines of text. A play without hosts has its name, which nobody can keep Ansible from printing."""
    assert set(re.findall(r"^skipping: .*", plain.output, re.M)) <= {"skipping: no hosts matched"}, plain.output
    assert "DEPRECATION" not in plain.output and len(plain.output.splitlines()) < 250, plain.output
    told = plain.output[plain.output.index("\nshop: release 1.0 serves.\n") :]
    assert re.findall(r"^(Release|Downtime|Record|Report)  ", told, re.M) == ["Release", "Downtime", "Record", "Report"], told


def test_everything_else_is_in_the_log(stage: Stage, good: Run) -> None:
    log = log_of(good.output)
    text = log.read_text()
    assert "PLAY RECAP" in text and "TASK [dbops.alembic.deployment : " in text and "dbops_deployment" in text
    assert "[2/2] c64b2e98d075" in text
    assert log.stat().st_mode & 0o777 == 0o600 and stage.database.password not in text


@pytest.mark.slow
def test_a_failed_migration_says_why_and_what_is_next(stage: Stage, good: Run) -> None:
    bad = stage.play("maintenance_window", release_version="broken_migration")
    assert bad.status == 2, bad.output
    assert bad.output.count("  !!  Work on the database: failed on shop1") == 1, bad.output
    assert "  ok  Work on the database: seen where it stands " in bad.output, bad.output
    assert "\nWay back      taken: snapshot " in bad.output, bad.output
    assert bad.output.count("DETAIL:  Key (name)=") == 2, bad.output  # where it happened, and in the summary
    assert "  ok  Work on the database: the snapshot is back " in bad.output, bad.output
    assert steps(bad.output).count(("Start the application", "2 hosts")) == 1
    end = bad.output[bad.output.index("\nFailed at     upgrading") :]
    assert "\nNext          ansible-playbook -i " in end and "dbops.alembic.status" in end, end
    assert log_of(bad.output).exists() and narrow(bad.output), bad.output


@pytest.mark.slow
def test_check_mode_shows_the_sql_and_says_that_nothing_is_changed(stage: Stage, good: Run) -> None:
    run = stage.play("maintenance_window", "--check", "--diff", release_version="broken_migration")
    assert run.status == 0, run.output
    assert run.output.splitlines()[0].strip() == "Check mode: nothing is changed."
    assert "\n  ok  Show what the upgrade would run " in run.output and "schema_version" not in run.output, run.output
    assert "UNIQUE (name)" in run.output and "shop: check mode, nothing was touched." in run.output, run.output
    assert "Stop the application" not in run.output


@pytest.mark.slow
def test_verbose_is_what_ansible_prints_itself(stage: Stage, good: Run) -> None:
    run = stage.play("status", "-v")
    assert run.status == 0, run.output
    assert "PLAY RECAP" in run.output and "\nLog " not in run.output and not steps(run.output)
    assert "\nhost   manager     release  since" in run.output


@pytest.mark.slow
def test_the_plan_is_shown(stage: Stage, good: Run) -> None:
    run = stage.play("plan", release_version="broken_migration")
    assert run.status == 0, run.output
    assert "\nRoute: maintenance window. " in run.output and "\n2c8f5e1da6bb Customers have names" in run.output, run.output
    assert "    AccessExclusive on public.customers" in run.output and narrow(run.output), run.output


def test_the_status_is_a_table(stage: Stage, good: Run) -> None:
    run = stage.play("status")
    assert run.status == 0, run.output
    assert "shop: the database is at c64b2e98d075; nothing is pending" in run.output, run.output
    rows = re.findall(r"^(shop\d)  supervisor  1\.1 +\d{4}-\d\d-\d\d \d\d:\d\d  shop\d running  200", run.output, re.M)
    assert rows == ["shop1", "shop2"], run.output


@pytest.mark.slow
def test_the_status_is_shown_where_a_record_was_torn(stage: Stage, good: Run) -> None:
    path = max(stage.folder.glob("records/*-1.1.json"))
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    try:
        run = stage.play("status")
    finally:
        path.write_text(whole)
    assert run.status == 2 and "the database is at c64b2e98d075; nothing is pending" in run.output, run.output
    assert len(re.findall(r"^shop\d  supervisor  1\.1 ", run.output, re.M)) == 2, run.output
    assert "can not be understood: it is not JSON" in run.output and "Warning" in run.output, run.output


def shell(command: str, **keywords: Any) -> dict[str, Any]:
    return {"ansible.builtin.shell": command, **keywords}


FOREIGN = [
    {
        "name": "Somebody's play",
        "hosts": "a,b",
        "gather_facts": False,
        "tasks": [
            shell("true", name="Make something"),
            {"ansible.builtin.debug": {"msg": "hello [there]"}},
            shell("echo {{ item }}", name="A loop", loop=[1, 2]),
            shell("true", name="Not here", when=False),
            shell("exit 3", name="Forgiven", ignore_errors=True),
            {
                "name": "A block",
                "block": [shell("echo because >&2; exit 3", name="Goes wrong", when="inventory_hostname == 'a'")],
                "rescue": [shell("true", name="Put right")],
            },
            shell("echo hunter2 >&2; exit 1", name="Secret", no_log=True, ignore_errors=True),
            shell("false", name="Patience", register="r", until="r.rc == 0", retries=1, delay=0, ignore_errors=True),
            {"name": "Mind it", "warns": {}},
            shell("true", name="Last", notify="tell"),
        ],
        "handlers": [shell("true", name="tell")],
    },
    {"name": "As they like", "hosts": "a,b", "gather_facts": False, "strategy": "free", "tasks": [shell("true", name="Free")]},
    {
        "name": "Lost",
        "hosts": "a,gone",
        "gather_facts": False,
        "tasks": [shell("true", name="Reach"), shell("echo hunter2; exit 1", name="Fail", no_log=True)],
    },
]


WARNS = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({})
module.warn("mind the gap")
module.exit_json(changed=False)
"""


def foreign(folder: Path, *arguments: str, programs: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "play.yml").write_text(json.dumps(FOREIGN))
    (folder / "library").mkdir(exist_ok=True)
    (folder / "library" / "warns.py").write_text(WARNS)
    lost = "gone ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_common_args='-o ConnectTimeout=5'\n"
    (folder / "hosts").write_text("a ansible_connection=local\nb ansible_connection=local\n" + lost)
    program = [str(programs / "ansible-playbook")] if programs else ansible_playbook()
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    given = {"ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_HOME": str(CACHE / "ansible"), "LC_ALL": "C.UTF-8", **STORY}
    given |= {"DBOPS_ALEMBIC_LOG_FOLDER": str(folder / "logs"), **environment}
    command = [*program, "-i", "hosts", "play.yml", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**own, **given}, check=False)


def judge(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    """What a playbook of somebody else looks like, on each ansible-core."""
    output = done.stdout
    assert done.returncode == 4 or done.returncode == 2, output + done.stderr
    told = [
        line[:6].strip() + " " + line[6:].split(":")[0].split("  ")[0]
        for line in output.splitlines()
        if line[:6].strip() in ("ok", "--", "!!")
    ]
    assert told == [
        "ok Make something",
        "ok A loop",
        "-- Forgiven",
        "!! Goes wrong",
        "ok Put right",
        "-- Secret",
        "-- Patience",
        "ok Mind it",
        "ok Last",
        "ok tell",
        *["ok Free"] * told.count("ok Free"),
        "!! Reach",
        "!! Reach",
        "!! Fail",
    ], output + done.stderr
    assert output.count("hello [there]") == 1 and "        because" in output and "Not here" not in output
    assert "gone could not be reached" in output and "Patience: not yet, try" in output and "Failed on a, gone." in output
    assert output.count("      warning: mind the gap") == 1
    assert "hunter2" not in output + done.stderr and "hunter2" not in log_of(output).read_text()
    assert "The story of this run can not be told" not in done.stderr and narrow(output), output


def test_a_playbook_of_somebody_else(tmp_path: Path) -> None:
    judge(tmp_path, foreign(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("core", [core for core in environments.CORES if core != environments.DEV_CORE])
def test_a_playbook_of_somebody_else_on_each_ansible_core(tmp_path: Path, core: str) -> None:
    judge(tmp_path, foreign(tmp_path, programs=environments.core_programs(core)))


def test_a_log_that_can_not_be_written_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = foreign(tmp_path, DBOPS_ALEMBIC_LOG_FOLDER=str(tmp_path / "file" / "logs"))
    assert "There is no log of this run" in done.stdout and "  ok  Last" in done.stdout, done.stdout + done.stderr


@contextlib.contextmanager
def on_a_terminal(folder: Path, *tasks: dict[str, Any], **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A playbook under way on a terminal: its process, and the terminal's other end."""
    play = {"name": "P", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
    (folder / "play.yml").write_text(json.dumps([play]))
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_") and name != "NO_COLOR"}
    given = {"ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_HOME": str(CACHE / "ansible"), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    given |= {"ANSIBLE_STDOUT_CALLBACK": STORY["ANSIBLE_STDOUT_CALLBACK"], "DBOPS_ALEMBIC_LOG_FOLDER": str(folder), **environment}
    parent, child = pty.openpty()
    command = [*ansible_playbook(), "play.yml"]
    with subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, cwd=folder, env={**own, **given}, start_new_session=True
    ) as process:
        os.close(child)
        yield process, parent
    os.close(parent)


def shown(terminal: int, until: str = "") -> str:
    """What is shown there until the other end is closed, or until a text is."""
    found = b""
    try:
        while not (until and until.encode() in found) and (data := os.read(terminal, 65536)):
            found += data
    except OSError:  # the other end is closed
        pass
    return found.decode()


def test_a_terminal_gets_colours_and_what_is_under_way(tmp_path: Path) -> None:
    """And nobody else does. The line that is under way is taken back before another is written."""
    with on_a_terminal(tmp_path, shell("true", name="Free")) as (process, terminal):
        text = shown(terminal)
        assert process.wait() == 0, text
    assert "  ..  Free" in text and "\r\033[K" in text and "\033[0;32m" in text, text
    (log,) = tmp_path.glob("*.log")
    assert "\033" not in log.read_text()


def test_a_terminal_that_knows_only_ascii_ends_no_run(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, shell("true", name="Größe " * 20), PYTHONIOENCODING="ascii") as (process, terminal):
        text = shown(terminal)
        assert process.wait() == 0, text
    assert "can not be told" not in text and "  ..  Gr" in text and "Done on localhost" in text, text


def test_an_interrupted_run_says_where_it_was_and_where_the_log_is(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, shell("echo started > started; exec sleep 600", name="Take long")) as (process, terminal):
        text = shown(terminal, until="  ..  Take long")
        waiting.until((tmp_path / "started").exists)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        text += shown(terminal)
        assert process.wait() != 0, text
    end = text[text.index("  !!  Take long: cut off after") :]
    assert re.search(rf"\r\nLog +{tmp_path}/[^ ]+\.log\r\n$", end) and "  ..  " not in end, text


def test_how_much_a_program_has_written_is_told_while_it_runs(tmp_path: Path) -> None:
    argv = ["sh", "-c", "printf 0123456789 > dump; until [ -e gate ]; do sleep 0.1; done; echo $PASSWORD"]
    program = {"argv": argv, "chdir": str(tmp_path), "grows": str(tmp_path / "dump"), "environment": {"PASSWORD": "hunter2"}}
    task = {"name": "Dump", "dbops.alembic.database_program": program, "register": "done"}
    end = {"ansible.builtin.debug": {"msg": "rc {{ done.rc }}, said {{ done.stdout }}, {{ done.progress | default('clean') }}"}}
    with on_a_terminal(tmp_path, task, end, XDG_STATE_HOME=str(tmp_path / "state")) as (process, terminal):
        text = shown(terminal, until="the archive has 10 B after")
        (tmp_path / "gate").touch()
        text += shown(terminal)
        assert process.wait() == 0, text
    assert "rc 0, said ***, clean" in text and "hunter2" not in text, text
