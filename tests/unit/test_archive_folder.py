# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of archives on a real disk: what is written there is whole before it has its name, and what is others' stays."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._archives import run_archive_folder, run_archive_info
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from test_releases import tree

NOW = 1_800_000_000.0
NAME = "shop-20270115T080000Z.pgc"


def call(folder: Path, state: str, dry: bool = False, name: str = NAME, now: float = NOW, **more: Any) -> dict[str, Any]:
    asked = {"directory": str(folder), "database": "shop", "state": state, "name": name, "facts": {}, "servers": [], **more}
    return run_archive_folder(asked, now, dry)


def info(folder: Path, **asked: Any) -> dict[str, Any]:
    return run_archive_info({"directory": str(folder), "servers": [], **asked})


def refused(folder: Path, state: str, **more: Any) -> MigrationError:
    before = tree(folder)
    with pytest.raises(MigrationError) as caught:
        call(folder, state, **more)
    assert tree(folder) == before
    return caught.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(folder: Path, text: str = "dump", name: str = NAME) -> Path:
    path = Path(call(folder, "present", name=name)["partial"])
    path.write_text(text)
    return path


def test_from_an_empty_disk_to_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "shop"
    dry = call(folder, "present", dry=True)
    assert dry["changed"] and not folder.parent.exists() and dry["free_bytes"] > 0
    made = call(folder, "present")
    assert made["changed"] and mode(folder) == 0o700 and made["free_bytes"] > 0
    assert not call(folder, "present")["changed"], "a second run changes nothing"
    partial = Path(made["partial"])
    assert partial.parent == folder and call(folder, "kept", dry=True)["archive"] is None
    partial.write_text("dump")
    partial.chmod(0o644)
    promised = call(folder, "kept", dry=True)["archive"]
    kept = call(folder, "kept", facts={"format": "custom", "revisions": ["a"]})
    sha256 = hashlib.sha256(b"dump").hexdigest()
    expected = {"path": str(folder / NAME), "database": "shop", "sha256": sha256, "bytes": 4, "created_at": "2027-01-15T08:00:00Z"}
    assert promised == expected and kept["archive"] == {**expected, "format": "custom", "revisions": ["a"]} and kept["changed"]
    assert sorted(path.name for path in folder.iterdir()) == [NAME, f"{NAME}.json"]
    assert mode(folder / NAME) == mode(folder / f"{NAME}.json") == 0o600
    assert json.loads((folder / f"{NAME}.json").read_text()) == kept["archive"]
    assert info(folder, database="shop", name=NAME) == {
        "changed": False,
        "archives": [kept["archive"]],
        "other_servers": [],
        "sha256": sha256,
        "bytes": 4,
    }


def test_an_archive_of_several_files(tmp_path: Path) -> None:
    partial = Path(call(tmp_path, "present", name="shop-1.dir")["partial"])
    partial.mkdir()
    for name in ("toc.dat", "1.dat.gz"):
        (partial / name).write_text(name)
    kept = call(tmp_path, "kept", name="shop-1.dir")["archive"]
    both = "".join(hashlib.sha256(name.encode()).hexdigest() for name in ("1.dat.gz", "toc.dat"))
    assert kept["sha256"] == hashlib.sha256(both.encode()).hexdigest() and kept["bytes"] == 15
    assert mode(tmp_path / "shop-1.dir") == 0o700 and mode(tmp_path / "shop-1.dir" / "toc.dat") == 0o600
    again = Path(call(tmp_path, "present", name="shop-1.dir")["partial"])
    again.mkdir()
    (again / "toc.dat").write_text("new")
    assert call(tmp_path, "kept", name="shop-1.dir")["archive"]["bytes"] == 3
    assert [path.name for path in (tmp_path / "shop-1.dir").iterdir()] == ["toc.dat"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_run_left_goes(tmp_path: Path, folder: bool) -> None:
    partial = write(tmp_path)
    if folder:
        partial.unlink()
        partial.mkdir()
        (partial / "toc.dat").touch()
    assert call(tmp_path, "present", dry=True)["changed"] and partial.exists()
    assert call(tmp_path, "present")["changed"] and not partial.exists()


def test_a_folder_of_others_keeps_its_mode_and_its_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o2750)
    (tmp_path / f".partial-{NAME}").write_text("mine")
    (tmp_path / "notes").write_text("mine")
    write(tmp_path)
    call(tmp_path, "kept")
    assert mode(tmp_path) == 0o2750
    assert (tmp_path / f".partial-{NAME}").read_text() == (tmp_path / "notes").read_text() == "mine"


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    problem = refused(tmp_path, "present")
    assert problem.kind == "folder_unusable" and "0777" in problem.msg and "chmod o-w" in str(problem.hint)


def test_a_link_at_the_temporary_name_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    partial = write(tmp_path)
    partial.unlink()
    partial.symlink_to(precious)
    for state in ("present", "kept"):
        assert refused(tmp_path, state).kind == "not_ours"


def test_only_an_archive_of_this_database_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, "new")
    (tmp_path / NAME).write_text("mine")
    assert refused(tmp_path, "kept").kind == "not_ours"
    (tmp_path / f"{NAME}.json").write_text(
        json.dumps({"path": NAME, "sha256": "0", "created_at": "2026-01-01T00:00:00Z", "database": "shop-staging"})
    )
    assert refused(tmp_path, "kept").kind == "not_ours"
    (tmp_path / NAME).unlink()
    assert refused(tmp_path, "kept").kind == "not_ours", "the text beside it would be replaced too"
    (tmp_path / f"{NAME}.json").unlink()
    call(tmp_path, "kept")
    write(tmp_path, "newer")
    assert call(tmp_path, "kept")["archive"]["bytes"] == 5 and (tmp_path / NAME).read_text() == "newer"


def test_killed_before_an_archive_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands beside it is there first: it is no archive yet, and the next run may take its place."""
    write(tmp_path)
    monkeypatch.setattr("os.rename", killed_at(2))
    with pytest.raises(KeyboardInterrupt):
        call(tmp_path, "kept")
    monkeypatch.undo()
    assert (tmp_path / f"{NAME}.json").exists() and not (tmp_path / NAME).exists()
    assert info(tmp_path, database="shop")["archives"] == []
    write(tmp_path, "again")
    call(tmp_path, "kept")
    assert len(info(tmp_path, database="shop")["archives"]) == 1


def test_databases_of_one_name_on_two_servers(tmp_path: Path) -> None:
    """None takes the place of another, is told as another's, or is removed as one; a former address is the same server."""
    write(tmp_path, "first")
    call(tmp_path, "kept")
    old = info(tmp_path, database="shop")["archives"]
    for state in ("present", "kept"):  # an archive of the first version
        problem = refused(tmp_path, state, servers=["db2:5432"])
        assert problem.kind == "not_ours" and "on a server that it does not name, and this one is on db2:5432" in problem.msg
    for number, server in enumerate(("db1:5432", "db2:5432", "db2:5432")):
        name = f"shop-{number}.pgc"
        write(tmp_path, server, name)
        assert call(tmp_path, "kept", name=name, now=NOW + 1 + number, servers=[server])["archive"]["server"] == server
    for state in ("present", "kept"):
        problem = refused(tmp_path, state, name="shop-0.pgc", servers=["db2:5432", "db3:5432"])
        assert problem.kind == "not_ours" and "of shop on db1:5432, and this one is on db2:5432" in problem.msg
    found = info(tmp_path, database="shop", servers=["db1:5432"])
    assert [item.get("server") for item in found["archives"]] == [None, "db1:5432"] and found["archives"][:1] == old
    assert found["other_servers"] == ["db2:5432"]

    def pruned(*servers: str) -> list[str]:
        removed = call(tmp_path, "pruned", keep_count=1, keep_seconds=0, servers=list(servers))["removed"]
        return [Path(path).name for path in removed]

    assert pruned("db1:5432") == [] and pruned("db2:5432") == ["shop-1.pgc"] and pruned("db3:5432") == []
    assert pruned("db3:5432", "db1:5432", "db2:5432") == ["shop-0.pgc"] and pruned() == [NAME]


def test_the_archives_of_many_are_found_in_one_look(tmp_path: Path) -> None:
    """Namesakes on two servers keep theirs apart; one whose URL is not known has none, whatever is there."""
    for number, (database, server) in enumerate((("shop", "db1:5432"), ("shop", "db2:5432"), ("other", "db1:5432"), ("shop", ""))):
        name, servers = f"{database}-{number}.pgc", [server] if server else []
        write(tmp_path, server, name)
        call(tmp_path, "kept", name=name, now=NOW + number, database=database, servers=servers)
    many = [
        {"name": "north", "targets": ["north", "east"], "known": True, "database": "shop", "server": "db1:5432"},
        {"name": "south", "targets": ["south"], "known": True, "database": "shop", "server": "db3:5432"},
        {"name": "hidden", "targets": ["hidden"], "known": False, "database": "", "server": ""},
    ]

    def found(*servers: str) -> list[tuple[str, str]]:
        return [(item["name"], Path(item["path"]).name) for item in info(tmp_path, databases=many, servers=servers)["archives"]]

    assert found() == [("north", "shop-0.pgc"), ("north", "shop-3.pgc"), ("south", "shop-3.pgc")]
    assert found("db2:5432")[-2:] == [("south", "shop-1.pgc"), ("south", "shop-3.pgc")]
    assert info(tmp_path, databases=[])["archives"] == info(tmp_path / "absent", databases=many)["archives"] == []


def killed_at(number: int) -> Any:
    """A rename that ends the process the Nth time."""
    rename, done = os.rename, []

    def once(source: str, target: str) -> None:
        done.append(target)
        if len(done) == number:
            raise KeyboardInterrupt
        rename(source, target)

    return once


def test_nothing_was_written(tmp_path: Path) -> None:
    call(tmp_path, "present")
    assert refused(tmp_path, "kept").kind == "archive_failed"


@pytest.mark.parametrize("name", ["", "..", "a/b", ".dbops-partial-x", "-x", "x\n"])
def test_names_of_archives(tmp_path: Path, name: str) -> None:
    for state in ("present", "kept"):
        assert refused(tmp_path, state, name=name).kind == "name_invalid"


def test_archives_are_found_where_they_are_now(tmp_path: Path) -> None:
    old = tmp_path / "old"
    for number, name in enumerate(("shop-b.pgc", "shop-a.pgc")):
        write(old, name, name)
        call(old, "kept", name=name, now=NOW + number)
    moved = tmp_path / "moved"
    old.rename(moved)
    assert [item["path"] for item in info(moved, database="shop")["archives"]] == [
        str(moved / "shop-b.pgc"),
        str(moved / "shop-a.pgc"),
    ]
    assert info(old, database="shop")["archives"] == [] and info(moved, database="shop-staging")["archives"] == []
    (moved / "shop-a.pgc").unlink()
    assert info(moved, name="shop-a.pgc")["sha256"] is None
