# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives, reports, journals and temporary folders on a real disk: what is ours goes, and nothing else."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.deployment_outcome import deployment_outcome
from ansible_collections.dbops.alembic.plugins.filter.deployment_report import FORMATS, deployment_report
from ansible_collections.dbops.alembic.plugins.module_utils._archives import run_archive_folder
from ansible_collections.dbops.alembic.plugins.module_utils._core import owned
from ansible_collections.dbops.alembic.plugins.module_utils._core.archives import belongs
from ansible_collections.dbops.alembic.plugins.module_utils._core.owned import Found
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes import render
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.archive import ArchiveBridge, _proof
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.archive_script import SCRIPT, URL
from ansible_collections.dbops.alembic.plugins.module_utils._owned_paths import REPORT, run_owned_files, run_owned_path
from test_releases import tree

from support import deployments

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_800_000_000.0

RELEASE = Found("/srv/shop/releases", "/srv/shop/releases", False, "its mark", "1.0", "folder", "its marker")
DECIDED: list[tuple[owned.Thing, dict[str, Any], str]] = [
    (owned.RELEASE, {}, ""),
    (owned.RELEASE, {"file": "absent", "proof": ""}, ""),
    (owned.RELEASE, {"name": ""}, "no name of a release"),
    (owned.RELEASE, {"name": ".."}, "no name of a release"),
    (owned.RELEASE, {"name": "a/b"}, "no name of a release"),
    (owned.RELEASE, {"folder_is_link": True}, "is a symbolic link"),
    (owned.RELEASE, {"real_folder": "/"}, "a folder of the system"),
    (owned.RELEASE, {"real_folder": "/home"}, "a folder of the system"),
    (owned.RELEASE, {"folder_proof": ""}, "nothing shows that"),
    (owned.RELEASE, {"folder_proof": "", "file": "absent"}, "nothing shows that"),
    (owned.RELEASE, {"file": "link"}, "it is a symbolic link"),
    (owned.RELEASE, {"file": "file"}, "it is a file"),
    (owned.RELEASE, {"file": "other"}, "neither a file nor a folder"),
    (owned.RELEASE, {"mounts": ("/srv/shop/releases/1.0/media",)}, "is mounted there"),
    (owned.RELEASE, {"proof": ""}, "nothing in it or beside it shows"),
    (owned.ARCHIVE, {"name": "shop-1.pgc", "file": "file", "folder_proof": "", "folder_is_link": True}, ""),
    (owned.ARCHIVE, {"name": ".partial-x", "file": "file"}, "no name of an archive"),
    (owned.PARTIAL, {"name": ".dbops-partial-shop-1.pgc", "file": "file", "folder_proof": ""}, ""),
    (owned.PARTIAL, {"name": ".dbops-partial-shop-1.pgc", "file": "link"}, "it is a symbolic link"),
    (owned.PARTIAL, {"name": ".partial-shop-1.pgc", "file": "file"}, "no name of an archive that is still being written"),
    (owned.LINK, {"name": "current", "file": "link"}, ""),
    (owned.LINK, {"name": "current", "file": "folder"}, "it is a folder"),
    (owned.TEMPORARY, {"name": "dbops.abcdef", "folder": "/tmp", "real_folder": "/tmp"}, ""),
    (owned.TEMPORARY, {"name": "precious"}, "no name of a temporary folder"),
]


@pytest.mark.parametrize(("thing", "differs", "reason"), DECIDED)
def test_whose_it_is(thing: owned.Thing, differs: dict[str, Any], reason: str) -> None:
    told = owned.refusal(thing, Found(**{**RELEASE.__dict__, **differs}))
    assert reason in (told or "") and bool(reason) == bool(told)


def call(path: Path | str, kind: str, state: str = "absent", dry: bool = False, **more: Any) -> dict[str, Any]:
    given = {"path": str(path), "kind": kind, "state": state, "database": None, "folder_made": False, **more}
    return run_owned_path(given, dry)


def refused(*arguments: Any, **more: Any) -> str:
    with pytest.raises(MigrationError) as caught:
        call(*arguments, **more)
    return caught.value.kind


def archive(folder: Path, name: str, database: str, created: str, **more: Any) -> Path:
    path = folder / name
    path.write_text(name)
    described = {
        "path": f"/old/place/{name}",
        "format": "custom",
        "sha256": "0",
        "database": database,
        "created_at": created,
        **more,
    }
    path.with_name(f"{name}.json").write_text(json.dumps(described))
    return path


def test_a_temporary_folder_goes_and_another_one_stays(tmp_path: Path) -> None:
    ours = Path(tempfile.mkdtemp(prefix="dbops-release.", dir=tmp_path))
    (ours / "file").touch()
    for folder in ("precious", "dbops.shared1"):
        (tmp_path / folder).mkdir(mode=0o755)
    (tmp_path / "dbops.linked").symlink_to(ours)
    (tmp_path / "dbops.a_file").touch()
    before = tree(tmp_path)
    for name in ("precious", "dbops.shared1", "dbops.linked", "dbops.a_file"):
        assert refused(tmp_path / name, "temporary_folder") == "not_ours", name
    for path in ("/", "..", "", f"{ours}/..", f"{tmp_path}/../x", "{{ x }}"):
        assert refused(path, "temporary_folder") == "name_invalid", path
    assert call(ours, "temporary_folder", dry=True)["changed"] and tree(tmp_path) == before
    assert call(ours, "temporary_folder")["changed"] and not ours.exists()
    assert not call(ours, "temporary_folder")["changed"]


def test_a_report_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    report, precious = tmp_path / "shop.html", tmp_path / "index.html"
    assert not call(report, "report", "replaceable")["exists"]
    report.write_text(f"\n<!doctype html>\n{REPORT}")
    precious.write_text("<!doctype html>")
    assert call(report, "report", "replaceable") == {**call(report, "report", "replaceable"), "changed": False, "exists": True}
    assert refused(precious, "report", "replaceable") == "not_ours"
    (tmp_path / "linked.html").symlink_to(report)
    assert refused(tmp_path / "linked.html", "report", "replaceable") == "not_ours"


def test_the_folder_of_a_report_is_made_where_there_is_none(tmp_path: Path) -> None:
    report = tmp_path / "a" / "b" / "shop.html"
    assert call(report, "report", "replaceable", dry=True, folder_made=True)["changed"] and not report.parent.exists()
    assert not call(report, "report", "replaceable")["changed"] and not report.parent.exists()
    assert call(report, "report", "replaceable", folder_made=True)["changed"] and report.parent.stat().st_mode & 0o777 == 0o700
    report.parent.chmod(0o755)
    assert not call(report, "report", "replaceable", folder_made=True)["changed"] and report.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"text"}))  # that is a notice and never a file
def test_each_form_of_a_report_says_what_it_is(tmp_path: Path, format: str) -> None:
    written = tmp_path / "shop.report"
    written.write_text(deployment_report(deployment_outcome(*deployments.good()), format))
    assert call(written, "report", "replaceable")["exists"]
    written.write_text("{}")
    assert refused(written, "report", "replaceable") == "not_ours"


def test_a_journal_goes_and_the_database_stays(tmp_path: Path) -> None:
    for name in ("shop.db", "shop.db-wal", "-wal"):
        (tmp_path / name).touch()
    assert call(tmp_path / "shop.db-wal", "journal")["changed"]
    for name in ("shop.db", "-wal"):
        assert refused(tmp_path / name, "journal") == "not_ours"


def prune(folder: Path, database: str = "shop", count: int = 1, dry: bool = False) -> list[str]:
    asked = {
        "directory": str(folder),
        "database": database,
        "state": "pruned",
        "keep_count": count,
        "keep_seconds": 0,
        "servers": [],
    }
    return [os.path.basename(path) for path in run_archive_folder(asked, NOW, dry)["removed"]]


def test_only_old_archives_of_this_database_are_removed(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        archive(tmp_path, f"shop-{number}.pgc", "shop", f"2026-01-0{number}T00:00:00Z")
        archive(tmp_path, f"shop-staging-{number}.pgc", "shop-staging", f"2025-01-0{number}T00:00:00Z")
    (tmp_path / "shop-1.pgc.proof.json").write_text("{}")
    (tmp_path / "shop-notes.json").write_text('{"mine": true}')
    (tmp_path / "shop-0.pgc.json").write_text("{")
    archive(tmp_path, "shop-x.pgc", "shop", "2020-01-01T00:00:00Z", path="/elsewhere/another")
    archive(tmp_path, "shop-y.pgc", "shop", "long ago")
    before = tree(tmp_path)
    assert prune(tmp_path, dry=True) == ["shop-2.pgc", "shop-1.pgc"] and tree(tmp_path) == before
    assert prune(tmp_path) == ["shop-2.pgc", "shop-1.pgc"]
    assert set(before) - set(tree(tmp_path)) == {f"shop-{n}.pgc{end}" for n in (1, 2) for end in ("", ".json")} | {
        "shop-1.pgc.proof.json"
    }
    assert prune(tmp_path) == [] and prune(tmp_path / "none") == []


def test_an_archive_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    archive(tmp_path, "shop-2.pgc", "shop", "2026-01-02T00:00:00Z")
    archive(tmp_path, "shop-1.pgc", "shop", "2026-01-01T00:00:00Z").unlink()
    (tmp_path / "shop-1.pgc").symlink_to(precious)
    before = tree(tmp_path)
    with pytest.raises(MigrationError) as caught:
        prune(tmp_path)
    assert caught.value.kind == "not_ours" and tree(tmp_path) == before


def test_an_archive_of_another_database_is_not_replaced(tmp_path: Path) -> None:
    path = archive(tmp_path, "shop-1.pgc", "shop", "2026-01-01T00:00:00Z")
    assert call(path, "archive", "replaceable", database="shop")["exists"]
    assert refused(path, "archive", "replaceable", database="shop-staging") == "not_ours"
    (tmp_path / "notes").touch()
    assert refused(tmp_path / "notes", "archive", "replaceable", database="shop") == "not_ours"
    assert not call(tmp_path / "gone", "archive", "replaceable", database="shop")["exists"]
    (tmp_path / "gone.json").write_text('{"mine": true}')
    assert refused(tmp_path / "gone", "archive", "replaceable", database="shop") == "not_ours", "the text beside it is replaced too"


@pytest.mark.parametrize(
    ("database", "of", "is_so"),
    [
        ("shop", "shop", True),
        ("shop__snapshot_20260301t220000z", "shop", True),
        ("shop-staging", "shop", False),
        ("shop_staging__snapshot_1", "shop", False),
        ("a" * 27 + "_0123abcd__snapshot_1", "a" * 50, True),
        ("b" * 27 + "_0123abcd__snapshot_1", "a" * 50, False),
    ],
)
def test_which_archives_belong_to_a_database(database: str, of: str, is_so: bool) -> None:
    assert belongs({"database": database}, of) is is_so


@pytest.mark.parametrize("option", ["name", "prefix"])
@pytest.mark.parametrize("value", ["..", ".", "/", "../x", "a/b", "-x", ".partial-x", "a\nb", " ", "x" * 300])
def test_no_job_gets_a_name_that_is_not_one_file(option: str, value: str) -> None:
    options = {"name": "x", "prefix": "x", "directory": "/archives", "kubernetes": None, option: value}
    with pytest.raises(MigrationError) as caught:
        ArchiveBridge.connect(options)
    assert caught.value.kind == "name_invalid"


@pytest.mark.parametrize("operation", ["archive", "remove"])
@pytest.mark.parametrize("name", ["", "..", ".", "../precious", "x/../../precious", "-x"])
def test_the_script_of_the_job_removes_nothing_beside_the_archives(tmp_path: Path, operation: str, name: str) -> None:
    """It is given names that come from what lies on the claim, so it looks at them itself."""
    archives = tmp_path / "archives"
    for folder in (archives, tmp_path / "precious"):
        folder.mkdir()
        (folder / "kept").write_text("kept")
    before = tree(tmp_path)
    variables = {"DIRECTORY": str(archives), "NAME": name, "NAMES": name, "OPERATION": operation, "PROTOCOL": "1", "MARK": "m"}
    given = {f"DBOPS_{key}": value for key, value in variables.items()}
    given.update(DBOPS_DEADLINE_MINUTES="1", DBOPS_NEEDED_BYTES="0", DBOPS_FORMAT="custom", DBOPS_URL="BEGIN { exit 3 }")
    status = os.spawnve(os.P_WAIT, "/bin/sh", ["sh", "-c", SCRIPT], {**os.environ, **given})
    assert status != 0 and tree(tmp_path) == before


DESCRIBED = '{"path":"/archives/a-1","claim":"c","format":"custom","database":"shop","server":"h:5432","sha256":"0"}'
THERE: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"a-1": "an older one", "a-1.json": DESCRIBED}, True),
    ({"a-1.json": DESCRIBED}, True),
    ({"a-1": "cut off", ".dbops-partial-a-1.json": DESCRIBED}, True),
    ({"a-1": "mine"}, False),
    ({"a-1.json": '{"mine": true}'}, False),
    ({"a-1": "mine", "a-1.json": '{"mine": true}'}, False),
    ({"a-1": "of another", "a-1.json": DESCRIBED.replace("shop", "shop2")}, False),
    ({"a-1": "of another server", "a-1.json": DESCRIBED.replace("h:", "hh:")}, False),
    ({"a-1": "of a server that is not told", "a-1.json": DESCRIBED.replace('"server":"h:5432",', "")}, False),
    ({"a-1": "of a former address", "a-1.json": DESCRIBED.replace("h:", "former:")}, True),
    ({"a-1": "of another name", "a-1.json": DESCRIBED.replace("a-1", "aa-1")}, False),
]


@pytest.mark.parametrize(("there", "ours"), THERE)
def test_an_archive_on_a_claim_takes_the_place_of_ours_alone(tmp_path: Path, there: dict[str, str], ours: bool) -> None:
    archives, programs = tmp_path / "archives", tmp_path / "programs"
    archives.mkdir(), programs.mkdir()
    (archives / ".partial-of-somebody").touch()
    os.utime(archives / ".partial-of-somebody", (0, 0))
    for name, text in there.items():
        (archives / name).write_text(text)
    for name, text in (
        ("pg_dump", 'for one; do case $one in --file=*) echo new >"${one#--file=}" ;; esac; done'),
        ("pg_restore", ":"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    before = tree(archives)
    variables = {
        **{"DIRECTORY": str(archives), "NAME": "a-1", "OPERATION": "archive", "PROTOCOL": "1", "MARK": "m", "FORMAT": "custom"},
        **{
            "URL": URL,
            "DATABASE_URL": "postgresql://u@h/shop",
            "PROGRAMS": str(programs),
            "DEADLINE_MINUTES": "1",
            "NEEDED_BYTES": "0",
        },
        **{
            "SERVERS": '"former:5432"',
            "DESCRIPTION": DESCRIBED.partition(',"server"')[0],
            "PROOF": _proof({"name": "a-1", "database": "shop"}),
        },
    }
    given = {f"DBOPS_{key}": value for key, value in variables.items()}
    status = os.spawnve(os.P_WAIT, "/bin/sh", ["sh", "-c", SCRIPT], {**os.environ, **given})
    assert (status == 0) is ours
    if ours:
        assert (archives / "a-1").read_text() == "new\n" and '"sha256"' in (archives / "a-1.json").read_text()
        assert sorted(path.name for path in archives.iterdir()) == [".partial-of-somebody", "a-1", "a-1.json"]
    else:
        assert tree(archives) == before


def test_a_manifest_of_ours_is_written_anew_and_a_users_own_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"compose.yaml": "services: {}\n", "entrypoint.sh": "#!/bin/sh\nexec\n"}
    monkeypatch.setattr(render, "rendered", lambda params: {name: render._marked(text) for name, text in made.items()})
    options = {"directory": str(tmp_path / "deploy")}
    assert render.run_manifests(options, dry=True)["changed"] and not (tmp_path / "deploy").exists()
    assert render.run_manifests(options)["changed"] and not render.run_manifests(options)["changed"]
    assert (tmp_path / "deploy" / "entrypoint.sh").read_text().startswith(f"#!/bin/sh\n{render.MARK}\n")
    made["compose.yaml"] = "services: {migrations: {}}\n"
    assert render.run_manifests(options)["changed"]
    (tmp_path / "deploy" / "compose.yaml").write_text("services: {mine: {}}\n")
    made["entrypoint.sh"] = "#!/bin/sh\nexec another\n"
    before = tree(tmp_path)
    for dry in (True, False):
        with pytest.raises(MigrationError) as caught:
            render.run_manifests(options, dry)
        assert caught.value.kind == "not_ours" and "compose.yaml" in caught.value.msg and tree(tmp_path) == before


def put(*files: tuple[Path, str], kind: str = "report", mode: str = "0600", dry: bool = False) -> dict[str, Any]:
    wanted = [{"path": str(path), "content": content, "mode": mode} for path, content in files]
    return run_owned_files({"files": wanted, "kind": kind}, dry)


def test_files_are_written_over_ours_and_over_nothing_else(tmp_path: Path) -> None:
    text, json_text = f"<!doctype html>\n{REPORT}\nfirst", '{"generator": "dbops.alembic"}'
    page, result, theirs = tmp_path / "new" / "shop.html", tmp_path / "new" / "shop.result.json", tmp_path / "precious.html"
    theirs.write_text("precious")
    before = tree(tmp_path)
    told = put((page, text), (result, json_text), dry=True)
    assert told["changed"] and told["written"] == [str(page), str(result)] and tree(tmp_path) == before
    told = put((page, text), (result, json_text))
    assert told["changed"] and (page.read_text(), result.read_text()) == (text, json_text)
    assert page.parent.stat().st_mode & 0o777 == 0o700 and page.stat().st_mode & 0o777 == 0o600
    assert put((page, text), (result, json_text)) == {
        "changed": False,
        "written": [],
        "same": [str(page), str(result)],
        "refused": [],
        "diff": [],
    }
    assert put((page, text), mode="0644")["changed"] and page.stat().st_mode & 0o777 == 0o644
    with pytest.raises(MigrationError) as caught:
        put((theirs, text), (page, text + "!"), (tmp_path / "link.html", text))
    assert caught.value.kind == "not_ours" and str(theirs) in caught.value.msg
    assert caught.value.facts["written"] == [str(page), str(tmp_path / "link.html")], "the others are written all the same"
    assert [item["path"] for item in caught.value.facts["refused"]] == [str(theirs)] and theirs.read_text() == "precious"


@pytest.mark.parametrize("kind", ["link", "folder", "mode"])
def test_what_is_no_place_for_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    target, place = tmp_path / "target", tmp_path / "shop.html"
    target.write_text(REPORT)
    if kind == "link":
        place.symlink_to(target)
    elif kind == "folder":
        place.mkdir()
    with pytest.raises(MigrationError) as caught:
        put((place, "new"), mode="rw" if kind == "mode" else "0600")
    assert caught.value.kind == ("options_invalid" if kind == "mode" else "not_ours") and target.read_text() == REPORT
