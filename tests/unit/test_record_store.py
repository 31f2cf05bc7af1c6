# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records on a real disk: modes, atomic replacement, one open deployment at a time, check mode."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._owned import usable, with_room
from ansible_collections.dbops.alembic.plugins.module_utils._records import RecordStore, read_records, write_record

FACTS = {"application": "shop", "from_revision": ["a1"], "to_revision": ["b2"]}


def call(directory: Path, record_id: str = "d1", check_mode: bool = False, **params: Any) -> dict[str, Any]:
    options = {"state": "advanced", "owner": "me", "kind": "maintenance_window", "step": None, "status": None, "facts": {}}
    return write_record(RecordStore(str(directory)), {**options, "id": record_id, **params}, check_mode)


def info(directory: Path, **params: Any) -> dict[str, Any]:
    options = {
        "application": None,
        "id": None,
        "observed": None,
        "direction": "auto",
        "downgrade_trusted": False,
        "rows_given_up": 0,
    }
    return read_records(RecordStore(str(directory)), {**options, **params})


def kind_of(function: Any, *args: Any, **params: Any) -> str:
    with pytest.raises(MigrationError) as caught:
        function(*args, **params)
    return caught.value.kind


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    path = call(folder, state="begun", facts=FACTS)["path"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    call(folder, step="upgrading")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert sorted(os.listdir(folder)) == [".lock", ".room", "d1.json"]


def test_records_of_another_application_are_refused(tmp_path: Path) -> None:
    """A rollback would go back to what that one was."""
    call(tmp_path, state="begun", facts=FACTS)
    call(tmp_path, state="closed", status="finished")
    assert info(tmp_path, application="shop")["last_finished"]["id"] == "d1"
    with pytest.raises(MigrationError, match=f"The deployments in {tmp_path} are of shop, and this is blog"):
        info(tmp_path, application="blog")
    assert kind_of(call, tmp_path, "d2", state="begun", facts={**FACTS, "application": "blog"}) == "record_conflict"
    assert sorted(os.listdir(tmp_path)) == [".lock", ".room", "d1.json"]
    call(tmp_path, "d2", state="begun", facts=FACTS)


@pytest.mark.parametrize("record_id", ["", "..", "../x", "a/b", "/etc/x", "a\nb", ".lock", "x" * 300])
def test_a_name_that_is_no_name_of_a_record_is_refused(tmp_path: Path, record_id: str) -> None:
    folder = tmp_path / "records"
    folder.mkdir(mode=0o700)
    assert kind_of(call, folder, record_id, state="begun", facts=FACTS) == "name_invalid"
    assert os.listdir(folder) == [] and os.listdir(tmp_path) == ["records"]


@pytest.mark.parametrize("name", [".lock", "d1.json"])
def test_no_link_is_followed(tmp_path: Path, name: str) -> None:
    folder, precious = tmp_path / "records", tmp_path / "precious"
    folder.mkdir(mode=0o700)
    precious.write_text("kept")
    precious.chmod(0o644)
    (folder / name).symlink_to(precious)
    assert kind_of(call, folder, state="begun", facts=FACTS) in ("folder_unusable", "record_unreadable")
    assert precious.read_text() == "kept" and stat.S_IMODE(precious.stat().st_mode) == 0o644


def test_a_lock_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    assert kind_of(call, tmp_path, state="begun", facts=FACTS) == "folder_unusable"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777, 0o2775])
def test_a_folder_that_others_may_write_to_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    call(tmp_path, state="begun", facts=FACTS)
    tmp_path.chmod(mode)
    for function, more in ((call, {"step": "upgrading"}), (info, {})):
        with pytest.raises(MigrationError) as caught:
            function(tmp_path, **more)
        assert (
            caught.value.kind == "folder_unusable" and str(tmp_path) in caught.value.msg and "chmod 0700" in str(caught.value.hint)
        )
    tmp_path.chmod(0o755)
    assert call(tmp_path, step="upgrading")["changed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused_with_the_remedy(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 0)
    with pytest.raises(MigrationError) as caught:
        call(tmp_path, state="begun", facts=FACTS)
    assert caught.value.kind == "folder_unusable" and "12345" in caught.value.msg and "chown" in str(caught.value.hint)
    assert os.listdir(tmp_path) == []


def test_a_second_deployment_is_refused_and_told_about_recover(tmp_path: Path) -> None:
    call(tmp_path, state="begun", facts=FACTS)
    with pytest.raises(MigrationError) as caught:
        call(tmp_path, "d2", state="begun", facts=FACTS)
    assert caught.value.kind == "record_conflict" and "recover" in str(caught.value.hint) and "d1" in caught.value.msg
    call(tmp_path, state="closed", status="halted")
    assert kind_of(call, tmp_path, "d2", state="begun", facts=FACTS) == "record_conflict"
    call(tmp_path, state="closed", status="reverted")
    assert call(tmp_path, "d2", state="begun", facts=FACTS)["changed"]


def test_a_closed_record_is_not_overwritten(tmp_path: Path) -> None:
    call(tmp_path, state="begun", facts=FACTS)
    call(tmp_path, state="closed", status="finished")
    assert kind_of(call, tmp_path, state="begun", facts=FACTS) == "record_conflict"


def test_check_mode_tells_and_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "not-there"
    result = call(folder, check_mode=True, state="begun", facts=FACTS)
    assert result["changed"] and '"step": "stopping"' in result["diff"]["after"] and not folder.exists()
    call(folder, state="begun", facts=FACTS)
    before = (folder / "d1.json").read_text()
    assert call(folder, check_mode=True, step="upgrading")["record"]["step"] == "upgrading"
    assert (folder / "d1.json").read_text() == before


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 1}'])
def test_an_unreadable_record_stops_everything(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    assert kind_of(info, tmp_path) == "record_unreadable"
    assert kind_of(call, tmp_path, state="begun", facts=FACTS) == "record_unreadable"


def test_a_record_under_another_name_is_unreadable(tmp_path: Path) -> None:
    call(tmp_path, state="begun", facts=FACTS)
    (tmp_path / "d1.json").rename(tmp_path / "d2.json")
    assert kind_of(info, tmp_path) == "record_unreadable"


def test_info_gives_the_open_one_the_last_finished_one_and_a_decision(tmp_path: Path) -> None:
    assert info(tmp_path / "none") == {"records": [], "open": None, "record": None, "last_finished": None}
    call(tmp_path, state="begun", facts=FACTS)
    call(tmp_path, state="closed", status="finished")
    call(tmp_path, "d2", state="begun", facts=FACTS)
    observed = {"revisions": ["a1"], "dirty": None, "snapshot": "unknown", "archive": False, "new_rows": None}
    found = info(tmp_path, observed=observed)
    assert found["open"]["id"] == "d2" and found["last_finished"]["id"] == "d1"
    assert [item["id"] for item in found["records"]] == ["d1", "d2"]
    assert (found["decision"]["action"], found["decision"]["code"]) == ("revert", "from")
    assert "decision" not in info(tmp_path)


PRELUDE = (
    "import resource, signal, sys\n"
    "from ansible_collections.dbops.alembic.plugins.module_utils._records import RecordStore, write_record\n"
    "store = RecordStore(sys.argv[1])\n"
    "options = {'id': 'd1', 'state': 'advanced', 'owner': 'me', 'step': 'stopping', 'facts': {}}\n"
)
PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_full_disk_leaves_the_former_record(tmp_path: Path) -> None:
    call(tmp_path, state="begun", facts=FACTS)
    before = (tmp_path / "d1.json").read_text()
    code = PRELUDE + (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_record(store, options, False)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=PATHS, check=False)
    assert run.returncode == 1 and "File too large" in run.stderr
    assert (tmp_path / "d1.json").read_text() == before and sorted(os.listdir(tmp_path)) == [".lock", ".room", "d1.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_last_words_are_written_in_the_room_that_was_kept(tmp_path: Path, number: int) -> None:
    """test_full_disk has a real one."""
    call(tmp_path, state="begun", facts=FACTS)
    room, tries = tmp_path / ".room", []

    def write() -> str:
        tries.append(room.exists())
        if room.exists():
            raise OSError(number, os.strerror(number))
        return "written"

    assert with_room(str(tmp_path), write) == "written" and tries == [True, False]
    with pytest.raises(MigrationError) as caught, usable(str(tmp_path)):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path) in caught.value.msg and "Make room" in str(caught.value.hint)


def test_a_writer_that_is_killed_leaves_a_whole_record(tmp_path: Path) -> None:
    """A process that rewrites the record as fast as it can is killed again and again; no reader ever finds a broken file."""
    call(tmp_path, state="begun", facts=FACTS)
    code = PRELUDE + ("while True:\n    write_record(store, options, False)\n")
    longest = 0
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=PATHS)
        before = longest
        deadline = time.monotonic() + 20
        while longest <= before and time.monotonic() < deadline:
            longest = max(longest, len(RecordStore(str(tmp_path)).read("d1").timeline))
        writer.kill()
        writer.wait()
        assert longest > before
        assert RecordStore(str(tmp_path)).read("d1").step == "stopping"


def test_the_result_of_a_deployment_beside_the_records_is_none(tmp_path: Path) -> None:
    call(tmp_path, state="begun", facts=FACTS)
    (tmp_path / "shop.result.json").write_text("{}")
    assert [record["id"] for record in info(tmp_path)["records"]] == ["d1"]
    call(tmp_path, state="closed", status="finished")
    assert kind_of(call, tmp_path, "1.0.result", state="begun", facts=FACTS) == "options_invalid"
