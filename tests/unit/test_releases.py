# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on a real disk: what is built, activated and removed, and that nothing else is ever touched."""

from __future__ import annotations

import json
import os
import string
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _owned
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._release_folder import STATES, run_release_folder
from ansible_collections.dbops.alembic.plugins.module_utils._releases import FOLDER_MARK, MARKER, read_releases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_names import HOSTILE

ORIGIN = {"source": "archive", "from": "shop.tar.gz", "install": "none"}


def call(root: Path, state: str, version: Any = None, dry: bool = False, **more: Any) -> dict[str, Any]:
    options = {"origin": ORIGIN, "links": {}, "keep_count": 5, "protected": [], "strip_components": 1, **more}
    return run_release_folder({"root": str(root), "version": version, "state": state, **options}, dry)


def info(root: Path, version: str = "") -> dict[str, Any]:
    return read_releases({"root": str(root), "version": version})


def release(root: Path, version: str, activate: bool = False) -> None:
    call(root, "building", version)
    (root / "releases" / version / "code.py").write_text(version)
    call(root, "built", version)
    if activate:
        call(root, "active", version)


def refused(*arguments: Any, **more: Any) -> str:
    with pytest.raises(MigrationError) as caught:
        call(*arguments, **more)
    assert caught.value.msg.isprintable()
    return caught.value.kind


def tree(folder: Path) -> dict[str, Any]:
    """Everything below a folder, byte for byte, links not followed."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, content)
    return found


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with two releases, what they share, a link out of the tree, and a neighbour."""
    root = tmp_path / "srv" / "shop"
    release(root, "1.0")
    release(root, "1.1", activate=True)
    for folder in ("shop/shared", "neighbour/releases/1.0", "x"):
        (tmp_path / "srv" / folder).mkdir(parents=True)
        (tmp_path / "srv" / folder / "kept").write_text("kept")
    (root / "releases" / "1.0" / "media").symlink_to(tmp_path / "srv" / "shop" / "shared")
    (root / "out").symlink_to(tmp_path / "srv" / "neighbour")
    return tmp_path


def test_a_release_is_built_activated_and_pruned(tmp_path: Path) -> None:
    root = tmp_path / "a" / "shop"
    assert info(root, "1.0") == {**info(root), "version": "1.0", "path": f"{root}/releases/1.0"}
    for number, version in enumerate(("1.0", "1.1", "1.2")):
        release(root, version, activate=True)
        os.utime(root / "releases" / version / MARKER, (number, number))
    found = info(root, "1.1")
    assert found["prepared"] and found["origin"]["from"] == "shop.tar.gz" and found["active_version"] == "1.2"
    assert found["releases"] == ["1.2", "1.1", "1.0"] and found["refused"] == []
    assert os.readlink(root / "current") == "releases/1.2" and not list((root / "releases").glob(".dbops-unfinished*"))
    assert not call(root, "active", "1.2")["changed"]
    dry = call(root, "pruned", keep_count=2, dry=True)
    assert dry["changed"] and dry["removed"] == ["1.0"] and dry["diff"]["before"] == "1.0\n1.1\n1.2\ncurrent: 1.2\n"
    assert dry["diff"]["after"] == "1.1\n1.2\ncurrent: 1.2\n" and info(root)["releases"] == ["1.2", "1.1", "1.0"]
    assert call(root, "pruned", keep_count=1, protected=["1.0"])["removed"] == ["1.1"]
    assert not call(root, "pruned", keep_count=1, protected=["1.0"])["changed"]
    assert call(root, "absent", "1.0")["removed"] == ["1.0"] and not call(root, "absent", "1.0")["changed"]
    assert refused(root, "absent", "1.2") == "options_invalid"
    assert call(root, "inactive")["changed"] and not os.path.lexists(root / "current")


#: What was unpacked → what is there afterwards, with one folder around everything taken away where it is there.
UNPACKED: dict[str, tuple[list[str], list[str]]] = {
    "as most": (["shop-1.2/alembic.ini", "shop-1.2/shop/a.py"], ["alembic.ini", "shop/a.py"]),
    "none around it": (["alembic.ini", "shop/a.py"], ["alembic.ini", "shop/a.py"]),
    "named as what is in it": (["shop/alembic.ini", "shop/shop/a.py"], ["alembic.ini", "shop/a.py"]),
    "two folders": (["one/a.py", "two/b.py"], ["one/a.py", "two/b.py"]),
    "one within the other": (["x/shop/a.py"], ["shop/a.py"]),
    "of a Mac": (["shop/a.py", "__MACOSX/._a.py", "._shop", ".DS_Store"], ["a.py", "__MACOSX/._a.py", "._shop", ".DS_Store"]),
    "a file alone": (["a.py"], ["a.py"]),
    "nothing": ([], []),
}


def _unpack(path: Path, names: list[str]) -> None:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)


def _files(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())


@pytest.mark.parametrize("case", UNPACKED)
def test_the_folder_around_everything_goes_and_nothing_is_lost(tmp_path: Path, case: str) -> None:
    names, wanted = UNPACKED[case]
    call(tmp_path, "building", "1.2")
    path = tmp_path / "releases" / "1.2"
    _unpack(path, names)
    before = tree(path)
    lifts = sorted(names) != sorted(wanted)
    assert call(tmp_path, "unpacked", "1.2", dry=True)["changed"] is False and tree(path) == before
    assert call(tmp_path, "unpacked", "1.2")["changed"] is lifts
    assert _files(path) == sorted(wanted)
    assert sorted((path / name).read_text() for name in wanted) == sorted(names), "each file has what it had"


def test_as_many_folders_go_as_are_asked_for_and_none_of_a_whole_release(tmp_path: Path) -> None:
    path = tmp_path / "releases" / "1.2"
    for strip, wanted in ((0, "a/b/c/d.py"), (2, "c/d.py"), (9, "d.py")):
        call(tmp_path, "building", "1.2")
        _unpack(path, ["a/b/c/d.py"])
        call(tmp_path, "unpacked", "1.2", strip_components=strip)
        assert _files(path) == [wanted]
    call(tmp_path, "building", "1.2")
    os.symlink("/etc", path / "shop")
    assert not call(tmp_path, "unpacked", "1.2")["changed"] and os.readlink(path / "shop") == "/etc"
    release(tmp_path, "1.1")
    assert refused(tmp_path, "unpacked", "1.1") == "options_invalid"


def test_what_an_interrupted_build_left_is_built_again(tmp_path: Path) -> None:
    call(tmp_path, "building", "1.0")
    (tmp_path / "releases" / "1.0" / "half").write_text("")
    assert not info(tmp_path, "1.0")["prepared"] and refused(tmp_path, "active", "1.0") == "release_unknown"
    call(tmp_path, "building", "1.0")
    assert list((tmp_path / "releases" / "1.0").iterdir()) == []


def test_a_marker_that_came_with_the_code_makes_no_release_whole(tmp_path: Path) -> None:
    call(tmp_path, "building", "1.0")
    (tmp_path / "releases" / "1.0" / MARKER).write_text(json.dumps({"version": "1.0", **ORIGIN}))
    assert not info(tmp_path, "1.0")["prepared"] and info(tmp_path)["releases"] == []
    assert call(tmp_path, "built", "1.0", origin={"from": "mine"}) and info(tmp_path, "1.0")["origin"]["from"] == "mine"


def test_a_whole_release_and_one_whose_marker_is_broken_are_not_built_over(tmp_path: Path) -> None:
    release(tmp_path, "1.0")
    before = tree(tmp_path)
    assert refused(tmp_path, "building", "1.0") == "options_invalid"
    (tmp_path / "releases" / "1.0" / MARKER).write_text("{")
    assert refused(tmp_path, "building", "1.0") == "record_unreadable"
    with pytest.raises(MigrationError):
        info(tmp_path, "1.0")
    assert set(tree(tmp_path)) == set(before)


def test_what_others_put_into_releases_stays(tmp_path: Path) -> None:
    release(tmp_path, "1.0", activate=True)
    others = tmp_path / "releases"
    (others / "1.1").mkdir()
    (others / "1.1" / "code.py").write_text("theirs")
    os.system(f"cp -a {others}/1.0 {others}/copy-of-1.0")
    (others / "1.2").symlink_to("1.0")
    (others / "1.3").write_text("a file")
    before = tree(tmp_path)
    for version in ("1.1", "copy-of-1.0", "1.2", "1.3"):
        assert refused(tmp_path, "building", version) == refused(tmp_path, "absent", version) == "not_ours", version
    assert call(tmp_path, "pruned", keep_count=1)["removed"] == [] and tree(tmp_path) == before


def test_a_layout_that_others_made_is_taken_over_where_it_shows_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "releases" / "0.9").mkdir(parents=True)
    assert refused(tmp_path, "building", "1.0") == "not_ours" and not (tmp_path / "releases" / "1.0").exists()
    assert "touch" in info(tmp_path)["refused"][0]
    (tmp_path / "current").symlink_to("releases/0.9")
    assert info(tmp_path)["refused"] == []
    release(tmp_path, "1.0", activate=True)
    assert (tmp_path / "releases" / FOLDER_MARK).exists() and (tmp_path / "releases" / "0.9").exists()
    assert call(tmp_path, "active", "0.9")["changed"]  # the way back


def test_a_foreign_folder_can_be_handed_over(tmp_path: Path) -> None:
    (tmp_path / "releases" / "0.9").mkdir(parents=True)
    (tmp_path / "releases" / FOLDER_MARK).touch()
    release(tmp_path, "1.0")
    assert (tmp_path / "releases" / "0.9").exists()


def test_releases_of_the_first_version_of_this_collection_are_known(tmp_path: Path) -> None:
    """They have their marker, and neither the folder's mark nor a note."""
    for version in ("1.0", "1.1"):
        (tmp_path / "releases" / version).mkdir(parents=True)
        (tmp_path / "releases" / version / MARKER).write_text(json.dumps({**ORIGIN, "version": version}))
    assert info(tmp_path, "1.0")["prepared"]
    assert call(tmp_path, "pruned", keep_count=1)["removed"] and len(info(tmp_path)["releases"]) == 1


@pytest.mark.parametrize("linked", ["root", "releases"])
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, linked: str) -> None:
    real = tmp_path / "real"
    release(real, "1.0")
    (real / "releases" / FOLDER_MARK).unlink()
    root = tmp_path / "shop"
    if linked == "root":
        root.symlink_to(real)
    else:
        root.mkdir()
        (root / "releases").symlink_to(real / "releases")
    before = tree(tmp_path)
    assert refused(root, "building", "1.1") == refused(root, "absent", "1.0") == "not_ours" and info(root)["refused"]
    assert tree(tmp_path) == before


@pytest.mark.parametrize("foreign", ["folder", "file", "link"])
def test_a_current_that_is_somebody_elses_is_not_replaced(tmp_path: Path, foreign: str) -> None:
    release(tmp_path, "1.0")
    current, elsewhere = tmp_path / "current", tmp_path / "elsewhere"
    elsewhere.mkdir()
    {"folder": current.mkdir, "file": current.touch, "link": lambda: current.symlink_to(elsewhere)}[foreign]()
    before = tree(tmp_path)
    assert refused(tmp_path, "active", "1.0") == refused(tmp_path, "inactive") == "not_ours"
    assert "current" in info(tmp_path)["refused"][0] and tree(tmp_path) == before


def test_what_is_mounted_below_a_release_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release(tmp_path, "1.0")
    monkeypatch.setattr(_owned, "mounts_below", lambda path: (f"{path}/media",))
    assert refused(tmp_path, "absent", "1.0") == "not_ours" and (tmp_path / "releases" / "1.0").exists()


def test_mounts_are_found_where_they_are() -> None:
    assert "/proc" in _owned.mounts_below("/proc") and _owned.mounts_below("/proc/self") == ()


def test_links_stay_in_the_release(tmp_path: Path) -> None:
    call(tmp_path, "building", "1.0")
    inside, shared = tmp_path / "releases" / "1.0", tmp_path / "shared"
    shared.mkdir()
    (shared / "x").write_text("kept")
    (inside / "media").symlink_to(shared)
    (inside / "full").mkdir()
    (inside / "full" / "file").write_text("kept")
    (inside / ".env").write_text("replaced")
    assert call(tmp_path, "linked", "1.0", links={".env": "/etc/shop/env", "venv": "/opt/venv"})["changed"]
    assert os.readlink(inside / ".env") == "/etc/shop/env" and os.readlink(inside / "venv") == "/opt/venv"
    assert not call(tmp_path, "linked", "1.0", links={".env": "/etc/shop/env"})["changed"]
    release(tmp_path, "2.0")
    assert refused(tmp_path, "linked", "2.0", links={"a": "b"}) == "options_invalid"
    call(tmp_path, "building", "3.0")
    assert call(tmp_path, "built", "3.0", origin={"from": "x"}, links={"venv": "/opt/venv"}, dry=True)["changed"]
    assert not (tmp_path / "releases" / "3.0" / "venv").is_symlink()
    call(tmp_path, "built", "3.0", origin={"from": "x"}, links={"venv": "/opt/venv"})
    assert os.readlink(tmp_path / "releases" / "3.0" / "venv") == "/opt/venv"
    before = tree(tmp_path)
    for name in ("media/x", "full", "../1.1", "/x", "a/../../x", ""):
        for state in ("linked", "built"):
            assert refused(tmp_path, state, "1.0", links={name: "/y"}) in ("not_ours", "name_invalid"), name
    assert tree(tmp_path) == before


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_no_hostile_version_touches_anything(host: Path, value: Any, dry: bool) -> None:
    before = tree(host)
    for state in ("building", "linked", "built", "active", "absent"):
        assert refused(host / "srv" / "shop", state, value, dry=dry, links={"a": "b"}) == "name_invalid"
    call(host / "srv" / "shop", "pruned", dry=dry, protected=[str(value)])
    assert tree(host) == before


@settings(derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(STATES)),
            st.one_of(
                st.text(alphabet="./-a1~\n"), st.text(alphabet=string.printable), st.sampled_from(["1.0", "1.1", "2.0", "shared"])
            ),
        ),
        max_size=6,
    )
)
def test_no_sequence_of_calls_touches_what_is_not_a_release(host: Path, calls: list[tuple[str, str]]) -> None:
    def others() -> dict[str, Any]:
        return {name: found for name, found in tree(host).items() if not name.startswith(("srv/shop/releases", "srv/shop/current"))}

    before = others()
    for state, version in calls:
        try:
            call(host / "srv" / "shop", state, version, keep_count=1)
        except MigrationError as problem:
            assert problem.kind != "internal_error"
        assert others() == before
        assert {path.name for path in (host / "srv" / "shop").iterdir()} <= {"releases", "shared", "current", "out"}
