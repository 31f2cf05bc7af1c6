# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemctl prints and what is made of it, and the names and states of supervisor: tables of cases."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._host import supervisor, systemd
from ansible_collections.dbops.alembic.plugins.module_utils._host.services import Limits
from ansible_collections.dbops.alembic.plugins.module_utils._host.supervisor import is_exact, matches, read_configuration
from ansible_collections.dbops.alembic.plugins.module_utils._host.systemd import Systemd, followers, parse_show, unit_name

LIMITS = Limits(stop=5, start=5, settle=1)


def shown(name: str, state: str = "active", **more: str) -> str:
    values = {"Id": name, "Names": name, "LoadState": "loaded", "ActiveState": state, "Result": "success", **more}
    return "".join(f"{key}={value}\n" for key, value in values.items())


class Systemctl:
    """Answers of a systemctl, for what a real one can not be made to do; the real ones are in the scenarios."""

    def __init__(self, *units: str, fails: dict[str, str] | None = None):
        self.units, self.fails, self.called = parse_show("\n".join(units)), fails or {}, list[list[str]]()

    def __call__(self, command: list[str], **options: Any) -> Any:
        words = [word for word in command[1:] if not word.startswith("--")]
        self.called.append(words)
        verb, names = words[0], words[1:]
        if verb in self.fails:
            return subprocess.CompletedProcess(command, 1, "", self.fails[verb])
        found = []
        for name in names:
            own = [unit for unit in self.units if systemd.fnmatch.fnmatch(unit["Id"], name)]
            found += own or ([] if systemd.is_pattern(name) else [{"Id": name, "Names": name, "LoadState": "not-found"}])
        text = "\n".join("".join(f"{key}={value}\n" for key, value in unit.items()) for unit in found)
        return subprocess.CompletedProcess(command, 0, text if verb == "show" else "", "")

    def systemd(self, *services: str) -> Systemd:
        return Systemd(list(services), "system", LIMITS, run=self)


def test_blocks_are_read_whole() -> None:
    blocks = parse_show("Id=a.service\nExecStart={ path=/x ; argv[]=/x -k=v }\nNames=a.service b.service\n\nId=c.service\nType=\n")
    assert [block["Id"] for block in blocks] == ["a.service", "c.service"]
    assert blocks[0]["ExecStart"] == "{ path=/x ; argv[]=/x -k=v }" and blocks[1]["Type"] == ""
    assert parse_show("") == []


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("web", "web.service"),
        ("web@1", "web@1.service"),
        ("web@*", "web@*.service"),
        ("web.target", "web.target"),
        ("a.b", "a.b.service"),
    ],
)
def test_a_name_without_a_suffix_is_a_service(name: str, full: str) -> None:
    assert unit_name(name) == full


@pytest.mark.parametrize(
    ("values", "runs", "waiting", "ended", "detail"),
    [
        ({"ActiveState": "active", "SubState": "running"}, True, False, False, ""),
        ({"ActiveState": "active", "SubState": "exited", "Type": "oneshot"}, True, False, False, "exited"),
        ({"ActiveState": "inactive", "SubState": "dead"}, False, False, False, ""),
        ({"ActiveState": "inactive", "SubState": "dead", "Type": "oneshot"}, False, False, True, ""),
        ({"ActiveState": "inactive", "Type": "oneshot", "RemainAfterExit": "yes"}, False, False, False, ""),
        ({"ActiveState": "inactive", "Type": "oneshot", "Result": "exit-code"}, False, False, False, "exit-code"),
        (
            {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "3"},
            False,
            False,
            False,
            "exit-code, exit status 3",
        ),
        (
            {"ActiveState": "failed", "Result": "signal", "ExecMainCode": "2", "ExecMainStatus": "9"},
            False,
            False,
            False,
            "signal, killed by signal 9",
        ),
        (
            {
                "ActiveState": "activating",
                "SubState": "auto-restart",
                "Result": "exit-code",
                "ExecMainCode": "1",
                "ExecMainStatus": "1",
                "NRestarts": "7",
            },
            True,
            True,
            False,
            "auto-restart, exit-code, exit status 1, restarted 7 times by systemd",
        ),
        ({"ActiveState": "activating", "SubState": "start", "Type": "notify"}, True, True, False, "start, Type=notify"),
        ({"ActiveState": "deactivating", "SubState": "stop-sigterm"}, True, True, False, "stop-sigterm"),
        ({"ActiveState": "reloading", "SubState": "reload"}, True, False, False, "reload"),
    ],
)
def test_states_of_systemd(values: dict[str, str], runs: bool, waiting: bool, ended: bool, detail: str) -> None:
    service = systemd.service_from({"Id": "web.service", "LoadState": "loaded", "Result": "success", **values}, "web")
    assert (service.runs, service.waiting, service.ended, service.detail) == (runs, waiting, ended, detail)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ("loaded", ""),
        ("masked", "is masked"),
        ("not-found", "is not known to systemd"),
        ("bad-setting", "can not be loaded by systemd (bad-setting)"),
    ],
)
def test_a_unit_that_can_not_be_started_again_is_refused(load: str, said: str) -> None:
    refused = systemd.service_from({"Id": "web.service", "LoadState": load}, "web").refused
    assert said in refused and bool(said) == bool(refused)


@pytest.mark.parametrize(
    ("name", "values", "parts"),
    [
        ("web.service", {"TriggeredBy": "web.socket web.path"}, {"web.socket": "trigger", "web.path": "trigger"}),
        (
            "web.service",
            {"ConsistsOf": "side.service", "BoundBy": "log.service"},
            {"side.service": "companion", "log.service": "companion"},
        ),
        ("web.service", {"RequiredBy": "multi-user.target needs.service"}, {"needs.service": "companion"}),
        (
            "web.target",
            {"ConsistsOf": "web@1.service", "Wants": "web@1.service db.service"},
            {"web@1.service": "companion", "db.service": "neighbour"},
        ),
        ("job.timer", {"Triggers": "job.service"}, {"job.service": "companion"}),
        ("web.service", {"Triggers": "other.service"}, {}),
    ],
)
def test_what_belongs_to_a_unit(name: str, values: dict[str, str], parts: dict[str, str]) -> None:
    assert dict(followers({"Id": name, **values})) == parts


def test_patterns_and_aliases_are_told_to_whom_they_belong() -> None:
    control = Systemctl(
        shown("web@1.service"), shown("web@2.service", "failed"), shown("orders.service", Names="orders.service shop.service")
    )
    found = control.systemd("web@*", "orders", "web@1").look()
    assert [(item.service, item.name, item.exact) for item in found] == [
        ("web@*", "web@1.service", False),
        ("web@*", "web@2.service", False),
        ("orders", "orders.service", True),
    ]
    assert len(control.called) == 1, "one call looks at all of them"


def test_triggers_stop_first_and_then_all_others_at_once() -> None:
    control = Systemctl(
        shown("a.service", TriggeredBy="a.socket"),
        shown("a.socket", Triggers="a.service"),
        shown("b.service", RequiredBy="c.service"),
        shown("c.service"),
    )
    manager = control.systemd("a", "b")
    manager.stop(manager.look())
    assert [words for words in control.called if words[0] == "stop"] == [
        ["stop", "a.socket"],
        ["stop", "a.service", "b.service", "c.service"],
    ]


def test_what_a_target_only_starts_is_not_stopped() -> None:
    control = Systemctl(
        shown("web.target", ConsistsOf="web@1.service", Wants="db.service"), shown("web@1.service"), shown("db.service")
    )
    manager = control.systemd("web.target")
    manager.stop(manager.look())
    assert ["stop", "web.target", "web@1.service"] in control.called


@pytest.mark.parametrize(
    ("fails", "kind", "said"),
    [
        ({"start": "Failed to start web.service: Interactive authentication required."}, "start_failed", "set become"),
        (
            {"start": "Job for web.service failed because the control process exited with error code."},
            "start_failed",
            "Now web.service is failed",
        ),
        (
            {"show": "System has not been booted with systemd as init system (PID 1). Can't operate."},
            "manager_unreachable",
            "another manager",
        ),
    ],
)
def test_what_systemctl_refuses_is_told(fails: dict[str, str], kind: str, said: str) -> None:
    manager = Systemctl(shown("web.service", "failed"), fails=fails).systemd("web")
    with pytest.raises(MigrationError) as failure:
        manager.look()
        manager.start(["web.service"], wait=True)
    assert failure.value.kind == kind and said in f"{failure.value.msg} {failure.value.hint}"


def test_a_template_is_not_taken_for_its_instances() -> None:
    control = Systemctl(shown("web@1.service"))
    for name in ("web@", "web@.service"):
        with pytest.raises(MigrationError, match=f"{name} is a template and no unit"):
            control.systemd(name).look()
    assert [item.name for item in control.systemd("web@1").look()] == ["web@1.service"]


def test_the_journal_is_read_from_the_second_of_the_start() -> None:
    asked = list[list[str]]()

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "-- No entries --\n", "")

    assert Systemd(["web"], "user", LIMITS, run=run).logs(["web.service"], 1000.9, 20) == ""
    assert {"--since=@1000", "--user-unit=web.service", "--lines=20"} <= set(asked[0])


def test_a_host_without_systemctl_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MigrationError, match="systemctl can not be run: No such file"):
        Systemd(["web"], "system", LIMITS).look()


@pytest.mark.parametrize(
    ("service", "group", "name", "fits"),
    [
        ("web", "web", "web", True),
        ("web", "orders", "web", False),
        ("orders:web", "orders", "web", True),
        ("orders:web", "orders", "worker", False),
        ("orders:*", "orders", "worker_01", True),
        ("orders:", "orders", "worker_01", True),
        ("orders", "orders", "worker_01", True),
        ("orders:*", "order", "worker", False),
        ("all", "anything", "at_all", True),
    ],
)
def test_names_mean_what_supervisorctl_says(service: str, group: str, name: str, fits: bool) -> None:
    assert matches(service, group, name, ["orders", "web", "order", "anything"]) is fits


@pytest.mark.parametrize(
    ("service", "exact"),
    [("web", True), ("orders:web", True), ("orders:*", False), ("orders:", False), ("orders", False), ("all", False)],
)
def test_a_group_is_not_a_program(service: str, exact: bool) -> None:
    assert is_exact(service, [("web", "web"), ("orders", "web")]) is exact


@pytest.mark.parametrize(
    ("state", "config", "exact", "runs", "waiting", "ended", "failed"),
    [
        ("RUNNING", {}, True, True, False, False, False),
        ("STARTING", {}, True, True, True, False, False),
        ("BACKOFF", {}, True, True, True, False, False),
        ("STOPPING", {}, True, True, True, False, False),
        ("STOPPED", {}, False, False, False, False, False),
        ("FATAL", {}, True, False, False, False, False),
        ("FATAL", {}, False, False, False, False, True),
        ("EXITED", {"startsecs": 0}, True, False, False, True, False),
        ("EXITED", {"startsecs": 0}, False, False, False, True, False),
        ("EXITED", {"startsecs": 1}, True, False, False, False, False),
        ("EXITED", {"startsecs": 1}, False, False, False, False, True),
        ("UNKNOWN", {}, True, False, False, False, False),
    ],
)
def test_states_of_supervisor(
    state: str, config: dict[str, Any], exact: bool, runs: bool, waiting: bool, ended: bool, failed: bool
) -> None:
    info = {"group": "orders", "name": "web", "statename": state, "exitstatus": 0, "spawnerr": ""}
    item = supervisor.service_from(info, config, "orders:*", exact)
    assert (item.name, item.runs, item.waiting, item.ended, item.failed) == ("orders:web", runs, waiting, ended, failed)


@pytest.mark.parametrize(
    ("state", "ago", "restarting"), [("EXITED", 0, True), ("EXITED", 1, True), ("EXITED", 2, False), ("FATAL", 0, False)]
)
def test_one_that_has_just_ended_may_be_started_again(state: str, ago: int, restarting: bool) -> None:
    info = {"group": "web", "name": "web", "statename": state, "exitstatus": 1, "stop": 1000, "now": 1000 + ago}
    assert supervisor.service_from(info, {}, "web", True).restarting is restarting


def test_a_program_that_ended_with_another_status_is_not_done() -> None:
    info = {"group": "job", "name": "job", "statename": "EXITED", "exitstatus": 2}
    assert not supervisor.service_from(info, {"startsecs": 0, "exitcodes": [0]}, "job", True).ended
    assert supervisor.service_from(info, {"startsecs": 0, "exitcodes": [0, 2]}, "job", True).ended


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("serverurl = unix:///run/supervisor.sock", ("unix:///run/supervisor.sock", "", "")),
        ("serverurl=unix://%(here)s/s.sock ; beside it", ("unix://{here}/s.sock", "", "")),
        (
            "serverurl=http://127.0.0.1:9001\nusername=ops\npassword=%(ENV_SUPERVISOR_PASSWORD)s",
            ("http://127.0.0.1:9001", "ops", "s3cret"),
        ),
        ("password = 50%", ("http://localhost:9001", "", "50%")),
        ("", ("http://localhost:9001", "", "")),
    ],
)
def test_the_configuration_says_where_supervisor_listens(tmp_path: Path, text: str, found: tuple[str, str, str]) -> None:
    path = tmp_path / "supervisord.conf"
    path.write_text(f"[supervisord]\nlogfile=%(here)s/x\n[supervisorctl]\n{text}\n[program:a]\ncommand=/bin/true %%s\n")
    expected = tuple(part.format(here=tmp_path) for part in found)
    assert read_configuration(str(path), {"SUPERVISOR_PASSWORD": "s3cret"}) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "can not be read: No such file"),
        ("[supervisord]\n", "has no section"),
        ("[supervisorctl]\nserverurl=%(ENV_NOWHERE)s\n", "serverurl in .* can not be understood"),
        ("no section at all\n", "can not be read"),
    ],
)
def test_a_configuration_that_says_nothing_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "supervisord.conf"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MigrationError, match=said) as failure:
        supervisor.Supervisor(["web"], str(path), LIMITS)
    assert failure.value.kind == "manager_unreachable"
