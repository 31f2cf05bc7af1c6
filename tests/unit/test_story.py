# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of a run: tables of what happens, and of the lines on the terminal."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import kind_line
from ansible_collections.dbops.alembic.plugins.plugin_utils._story import Story, Task
from ansible_collections.dbops.alembic.plugins.plugin_utils._story_layout import counted, running, step_line
from ansible_collections.dbops.alembic.plugins.plugin_utils._story_words import cause, deed, next_command, said, told

LONG = "a-host-whose-name-somebody-generated.region-1.internal.example.com"


def task(name, action="ansible.builtin.command", ours=False, **arguments):
    return Task(f"id of {name}", name, action, ours, arguments)


def ours(name, action, **arguments):
    return task(name, f"dbops.alembic.{action}", True, **arguments)


def tell(*events, check_mode=False):
    """The lines of a story in which each event happens a second after the one before."""
    story, found = Story(check_mode), []
    for at, (what, *arguments) in enumerate(events):
        timed = what in ("play", "task", "result", "waits", "end", "finish", "cut_off")
        found += getattr(story, what)(*arguments, *([float(at)] if timed else []))
    return "\n".join(line.text for line in found).splitlines()


def ran(one, *hosts, state="ok", **result):
    return [("task", one), *(("result", one, host, state, result) for host in hosts)]


KEPT = task("Keep it", "ansible.builtin.set_fact", True)
STOP, UPGRADE = ours("Stop", "application_host"), ours("Upgrade it", "alembic_upgrade")
DUMP = ours("Dump it", "database_archive")
CHECK = ours("Check it", "host_check")
LOG, MISSING = "The end of its log:\n1", "There is no file /srv/a/release.tar.gz on the controller."
REFUSE = task("Refuse", "ansible.builtin.fail", True)


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        pytest.param([*ran(STOP, "a", "b"), ("end",)], ["  ok  P|2 hosts|4.0 s"], id="a play of ours is a line"),
        pytest.param([*ran(KEPT, "a"), ("end",)], [], id="a play in which nothing is done is none"),
        pytest.param([("task", STOP), ("end",)], [], id="a play in which all is skipped is none"),
        pytest.param(
            [*ran(STOP, "a"), ("result", STOP, "b", "failed", {"msg": "no"}), ("end",)],
            ["  !!  P: failed on b after 3.0 s", "        no", "  !!  P|1 of 2 hosts|4.0 s"],
            id="a host fails",
        ),
        pytest.param(
            [*ran(STOP, "a", state="unreachable", msg="no route"), ("end",)],
            ["  !!  P: a could not be reached", "        no route"],
            id="a host is lost",
        ),
        pytest.param(
            [*ran(STOP, "a"), *ran(UPGRADE, "a", state="changed", databases=[{"applied": [1], "after": ["b2"]}]), ("end",)],
            ["  ok  Upgrade the database: 1 revision, now at b2|a|5.0 s"],
            id="a deed stands for the play, with all the time since it began",
        ),
        pytest.param(
            [*ran(KEPT, "a", ansible_facts={"backup_archive": {"bytes": 2048}}), ("end",)],
            ["  ok  Write the archive: 2.0 kB|a|2.0 s"],
            id="an archive is told by its fact",
        ),
        pytest.param(
            [*ran(DUMP, "a", state="changed"), *ran(KEPT, "a", ansible_facts={"backup_archive": {"bytes": 2048}}), ("end",)],
            ["  ok  Write the archive: 2.0 kB|a|4.0 s"],
            id="and once, with the time that it took to write",
        ),
        pytest.param(
            [
                *ran(KEPT, "a", ansible_facts={"_deployment_batch": "rolling 1"}),
                *ran(STOP, "b"),
                *ran(KEPT, "a", ansible_facts={"_deployment_batch": "rolling 2"}),
                *ran(STOP, "c"),
                ("end",),
            ],
            ["  ok  Batch 1|b|4.0 s", "  ok  Batch 2|c|3.0 s"],
            id="each batch is a line",
        ),
        pytest.param(
            [*ran(task("Mine"), "a"), *ran(task("Yours"), "a"), ("end",)],
            ["P", "  ok  Mine|a|3.0 s", "  ok  Yours|a|2.0 s"],
            id="a task of somebody else is a line",
        ),
        pytest.param(
            [*ran(task("Mine"), "a", state="ignored", msg="no"), ("end",)],
            ["P", "  --  Mine: failed, ignored|a|3.0 s"],
            id="an ignored failure is no failure",
        ),
        pytest.param(
            [*ran(task("Show", "debug"), "a", "b", msg="hello"), ("end",)], ["      hello"], id="what a debug says is said once"
        ),
        pytest.param([*ran(task("More", "ansible.builtin.include_tasks"), "a"), ("end",)], [], id="an include is nothing"),
        pytest.param(
            [*ran(UPGRADE, "a", state="failed", msg="it broke"), *ran(REFUSE, "a", state="failed", msg="it broke"), ("end",)],
            ["  !!  Upgrade the database: failed on a after 2.0 s", "        it broke"],
            id="a cause is told once",
        ),
        pytest.param(
            [*ran(STOP, "a", state="failed", msg="no"), ("result", STOP, "b", "failed", {"msg": "no"}), ("end",)],
            [
                "  !!  P: failed on a after 2.0 s",
                "        no",
                "  !!  P: failed on b after 3.0 s",
                "        The cause is the one above.",
            ],
            id="two hosts fail in the same way",
        ),
        pytest.param(
            [
                *ran(STOP, "a", state="failed", msg=f"no a\n{LOG}", error_kind="unhealthy"),
                ("result", STOP, "b", "failed", {"msg": f"no b\n{LOG}", "error_kind": "unhealthy"}),
                ("end",),
            ],
            [
                "  !!  P: failed on a after 2.0 s",
                "        no a",
                "        The end of its log:",
                "        1",
                "        Kind: unhealthy, see",
                f"        {kind_line('unhealthy').split()[-1]}",
                "  !!  P: failed on b after 3.0 s",
                "        no b",
            ],
            id="what hosts say alike is told once, and the log of one",
        ),
        pytest.param(
            [*ran(STOP, "a", "b"), *ran(REFUSE, "a", state="failed", msg="too late"), ("finish", {"a": {"failures": 1}, "b": {}})],
            ["  !!  P: failed on a after 5.0 s", "        too late"],
            id="what is refused is no matter of the host that says so",
        ),
        pytest.param(
            [
                *ran(STOP, "a", state="failed", msg=MISSING),
                *ran(task("Say it", "debug", True), "b", msg=f"a: {MISSING}"),
                *ran(REFUSE, "b", state="failed", msg=f"Nothing was touched. a: {MISSING}"),
                ("end",),
            ],
            [
                "  !!  P: failed on a after 2.0 s",
                f"        {MISSING}",
                "  !!  P: failed on b after 4.0 s",
                "        Nothing was touched. a: as told above.",
            ],
            id="a refusal does not repeat its cause",
        ),
        pytest.param(
            [*ran(task("Say it", "ansible.builtin.debug", True), "a", msg=["one", "two"]), ("end",)],
            ["      one", "      two"],
            id="what one of our tasks shows on purpose is shown",
        ),
        pytest.param(
            [*ran(ours("Look", "database_steps"), "a", steps=[{"step": "look"}, {"step": "decide"}]), ("end",)],
            ["  ok  Work on the database: seen where it stands|a|3.0 s"],
            id="looking is not called work alone",
        ),
        pytest.param(
            [*ran(UPGRADE, "a", warnings=["mind the proxy"]), ("end",)],
            ["      warning: mind the proxy", "  ok  Upgrade the database|a|3.0 s"],
            id="a warning of a step is told",
        ),
        pytest.param(
            [*ran(CHECK, "a", remarks=["no room"]), ("result", CHECK, "b", "ok", {"remarks": ["no room"]}), ("end",)],
            ["      warning: a: no room", "      warning: b: no room", "  ok  P|2 hosts|4.0 s"],
            id="what is to be looked at on a host is told with its name",
        ),
        pytest.param(
            [("task", STOP), ("waits", STOP, "a", 1, 30), ("waits", STOP, "a", 3, 30)],
            [
                "      a: Stop: not yet, try 1 of 30, 2.0 s so far, about 58.0 s left",
                "      a: Stop: not yet, try 3 of 30, 3.0 s so far, about 27.0 s left",
            ],
            id="waiting says for what, how often and how long",
        ),
        pytest.param(
            [("text", ["shop: it broke", "at   three"]), *ran(REFUSE, "a", state="failed", msg="it broke at three"), ("end",)],
            ["", "shop: it broke", "at   three"],
            id="what the summary says is not said again",
        ),
    ],
)
def test_what_happens_and_what_is_told(events, lines):
    shown = ["|".join(part for part in _columns(line)) for line in tell(("play", "P"), *events)]
    assert shown == lines


def _columns(line):
    """A line of a step in its three parts."""
    parts = [part for part in line.rstrip().split("  ") if part.strip()]
    if line[:6] in ("  ok  ", "  --  ", "  !!  ") and len(parts) >= 4:
        return [line[:6] + parts[1].strip(), *(part.strip() for part in parts[2:])]
    return [line]


def test_check_mode_is_told_once_and_first():
    lines = tell(("play", "P"), *ran(STOP, "a"), ("play", "Q"), ("end",), check_mode=True)
    assert lines[0].strip() == "Check mode: nothing is changed." and sum("Check mode" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ({"a": {"ok": 3}, "b": {"ok": 1}}, "Done on 2 hosts."),
        ({"a": {"failures": 1}, "b": {"unreachable": 1}, "c": {"ok": 1}}, "Failed on a, b."),
    ],
)
def test_a_run_without_a_summary_ends_with_a_line(hosts, text):
    assert tell(("play", "P"), ("finish", hosts))[-1].strip() == text


@pytest.mark.parametrize(
    ("events", "lines"), [([], []), ([("play", "P")], ["  !!  P: cut off after 1.0 s"]), ([("play", "P"), ("end",)], [])]
)
def test_a_run_that_is_cut_off_says_where_it_was(events, lines):
    assert tell(*events, ("cut_off",)) == lines


RECORD = ours("Write it down", "deployment_record")


@pytest.mark.parametrize(
    ("statuses", "check_mode", "left"),
    [
        ([], False, ""),
        (["open"], False, "d1 at upgrading"),
        (["open", "halted"], False, "d1 at upgrading"),
        (["open", "reverted"], False, ""),
        (["open"], True, ""),
    ],
)
def test_which_deployment_a_run_leaves_open(statuses, check_mode, left):
    story = Story(check_mode)
    story.play("P", 0.0)
    for status in statuses:
        story.result(RECORD, "a", "ok", {"record": {"id": "d1", "status": status, "step": "upgrading"}}, 1.0)
    story.result(STOP, "a", "failed", {"msg": "no"}, 2.0)
    assert story.left_open == left


@pytest.mark.parametrize(
    ("result", "refused"),
    [
        ({"msg": "It is open.", "error_kind": "record_conflict"}, True),
        ({"msg": "Module result deserialization failed", "module_stdout": "", "module_stderr": "Killed\n", "rc": 137}, False),
    ],
)
def test_a_record_that_is_refused_is_told_apart_from_one_that_nobody_wrote(result, refused):
    """Only what is refused says itself that nothing was done."""
    story = Story(False)
    story.play("P", 0.0)
    story.result(RECORD, "a", "failed", result, 1.0)
    assert story.only_refused == refused
    assert any("Failed on a" in line.text for line in story.finish({"a": {"failures": 1}}, 2.0)) != refused


def test_the_title_of_a_step_takes_the_room_that_short_names_leave():
    line = step_line("Rehearse the pending revisions", {"shop1": "ok"}, 10.6, "maintenance window").text
    assert len(line) == 80 and line.endswith("shop1      10.6 s")


def test_a_run_with_a_summary_has_no_other():
    assert tell(("play", "P"), ("text", ["shop: done"]), ("finish", {"a": {"ok": 1}})) == ["", "shop: done"]


@pytest.mark.parametrize("title", ["short", "a title of many words " * 6, "x" * 120, f"Restart {LONG}"])
@pytest.mark.parametrize("hosts", [{"a": "ok"}, {LONG: "ok"}, {"a": "ok", LONG: "failed"}])
def test_no_line_is_longer_than_a_terminal_and_no_word_is_cut(title, hosts):
    lines = step_line(title, hosts, 75.0).text.splitlines()
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines), lines
    assert set(title.split()) <= set(" ".join(lines).split())
    assert "75 s" in lines[0]


def test_control_characters_and_passwords_do_not_reach_the_terminal():
    line = step_line("a\x1b[2J postgresql://me:hunter2@db/x", {"a": "ok"}, 1.0).text
    assert "\x1b" not in line and "hunter2" not in line


@pytest.mark.parametrize(
    ("hosts", "text"),
    [({"a": "ok"}, "a"), ({LONG: "ok"}, "1 host"), ({"a": "ok", "b": "changed"}, "2 hosts"), ({"a": "failed"}, "0 of 1 hosts")],
)
def test_hosts_are_counted(hosts, text):
    assert counted(hosts) == text


def test_what_is_under_way_fits_into_a_line():
    assert running("Stop") == "  ..  Stop" and len(running("x" * 200)) < 80


@pytest.mark.parametrize(
    ("action", "arguments", "title"),
    [
        ("dbops.alembic.database_snapshot", {"state": "present"}, "Snapshot the database"),
        ("dbops.alembic.database_snapshot", {"state": "restored"}, "Put the snapshot back"),
        ("dbops.alembic.alembic_info", {}, ""),
        ("ansible.builtin.command", {}, ""),
    ],
)
def test_deeds_have_names(action, arguments, title):
    assert deed(action, arguments) == title


@pytest.mark.parametrize(
    ("action", "result", "text"),
    [
        ("alembic_upgrade", {"databases": [{"applied": [1, 2], "after": ["c3"]}]}, "2 revisions, now at c3"),
        ("alembic_upgrade", {"databases": [{"applied": [], "after": ["c3"]}]}, ""),
        ("alembic_downgrade", {"databases": [{"applied": [1], "after": []}]}, "1 revision, now at base"),
        ("alembic_plan", {"route": "maintenance_window"}, "maintenance window"),
        ("database_snapshot", {}, ""),
        ("backfill", {"rows": 12}, "12 rows"),
        ("kubernetes_archive", {"archive": {"bytes": 1024}}, "1.0 kB"),
        ("application_host", {"rows": 12}, ""),
    ],
)
def test_what_is_told_of_a_result(action, result, text):
    assert told(f"dbops.alembic.{action}", result) == text


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        ({"msg": "it broke\n\nthere"}, ["it broke", "there"]),
        ({"censored": "hidden", "msg": "hunter2"}, ["The result is hidden, as no_log of the task asks for."]),
        (
            {"results": [{"failed": True, "msg": "one"}, {"msg": "fine"}, {"failed": True, "msg": "one"}], "msg": "All items"},
            ["one"],
        ),
        (
            {"msg": "non-zero return code", "cmd": ["psql", "-c", "select 1"], "rc": 1, "stderr": "1\n2\n3"},
            ["psql -c 'select 1' ended with exit status 1.", "Its errors, at the end:", "…", "  2", "  3"],
        ),
        (
            {"msg": "not healthy\nThe end of its log:\n1\n2\n3\nWhat to do: look", "error_kind": "unhealthy"},
            ["not healthy", "The end of its log:", "…", "2", "3", "What to do: look", kind_line("unhealthy")],
        ),
        ({"msg": "postgresql://shop:hunter2@db/shop is not there"}, ["postgresql://shop:***@db/shop is not there"]),
        ({}, ["no reason was given"]),
    ],
)
def test_the_cause_of_a_failure(result, lines):
    assert cause(result, 2) == lines


@pytest.mark.parametrize(
    ("playbook", "outcome", "failed", "command"),
    [
        ("dbops.alembic.maintenance_window", "finished", False, ""),
        ("dbops.alembic.maintenance_window", "halted", True, "ansible-playbook -i hosts dbops.alembic.recover"),
        ("dbops.alembic.rolling", "reverted", True, "ansible-playbook -i hosts dbops.alembic.status"),
        ("dbops.alembic.rolling", "", True, "ansible-playbook -i hosts dbops.alembic.status"),
        ("dbops.alembic.recover", "halted", True, ""),
        ("dbops.alembic.status", "", True, ""),
        ("site.yml", "halted", True, ""),
    ],
)
def test_the_next_command(playbook, outcome, failed, command):
    assert next_command(playbook, ["hosts"], {"outcome": outcome}, failed) == command


@pytest.mark.parametrize(
    ("playbook", "command"),
    [
        ("rolling", "ansible-playbook -i hosts dbops.alembic.recover"),
        ("recover", "ansible-playbook -i hosts dbops.alembic.recover"),
    ],
)
def test_after_an_interruption_comes_recover(playbook, command):
    assert next_command(f"dbops.alembic.{playbook}", ["hosts"], {}, True, interrupted=True) == command


def test_the_next_command_is_told_once():
    told = {"outcome": "halted", "next": [{"command": "ansible-playbook dbops.alembic.recover", "does": "x"}]}
    assert next_command("dbops.alembic.rolling", ["hosts"], told, True) == ""
    assert next_command("dbops.alembic.rolling", ["my hosts"], {"outcome": "halted"}, True).startswith(
        "ansible-playbook -i 'my hosts' "
    )


def test_what_a_debug_says():
    assert said("ansible.builtin.debug", {"msg": ["a\nb", 3]}) == ["a", "b", "3"]
    assert said("ansible.builtin.command", {"msg": "x"}) == [] and said("debug", {"x": 1}) == []
