# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that were forgotten, mistaken or meant badly: the tree of a host is afterwards what it was, byte for byte.

One run of a playbook has a host for each value and each source, so that the product costs a few runs.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from support.paths import CACHE, TREE
from support.playbook import command as ansible_playbook
from support.plays import Outcome, play

RELEASES = ("1.0", "1.1")
VALUES: tuple[Any, ...] = (
    "",
    " ",
    ".",
    "..",
    "/",
    "../../x",
    "a/../b",
    "/etc",
    "-x",
    "1.0\n",
    "1.0\n2.0",
    "1.0\x00",
    "1.0\\0",
    "1.0\x1b[2J",
    "1" * 300,
    "\u2024\u2024",
    "\uff0e\uff0e\u2215x",
    "1.0\u202e",
    "None",
    "null",
    "{{ x }}",
    "{% x %}",
    "~root",
    "$HOME",
    "*",
    None,
    True,
    1.1,
    ["1.0"],
    {"a": 1},
)
SOURCES: dict[str, dict[str, Any]] = {
    "git": {"release_git_repository": "/nowhere/shop.git"},
    "archive": {"release_archive": "/nowhere/shop.tar.gz"},
    "wheel": {"release_wheel": "/nowhere/shop-1.0-py3-none-any.whl"},
    "none": {},
}
#: What is no version and is refused too.
OTHERS: dict[str, dict[str, Any]] = {
    "reference_option": {"release_source": "git", "release_git_reference": "--upload-pack=touch /tmp/x"},
    "reference_parent": {"release_source": "git", "release_git_reference": "a/../b"},
    "repository_option": {"release_source": "git", "release_git_repository": "--upload-pack=touch"},
    "no_archive": {"release_archive": ""},
    "root_of_all": {"release_root": "/"},
    "root_of_the_system": {"release_root": "/etc/"},
    "relative_root": {"release_root": "srv/../.."},
    "empty_root": {"release_root": ""},
    "application_parent": {"application_name": "../x"},
    "application_empty": {"application_name": ""},
    "every_service": {"application_services": ["all"]},
    "any_service": {"application_services": ["*"]},
    "records_of_the_system": {"deployment_record_directory": "/etc"},
    "archives_above": {"backup_archive_directory": "/var/backups/../.."},
    "link_above": {"release_links": {"../1.0/x": "/y"}},
    "protected_above": {"release_protected": ["../x"]},
}


def tree(folder: Path) -> dict[str, Any]:
    """Everything below a folder, links not followed."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_ino, content)
    return found


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Two releases, what they share, links out of the tree, and neighbours."""
    folder = tmp_path / "host"
    for version in RELEASES:
        made = folder / "srv" / "shop" / "releases" / version
        made.mkdir(parents=True)
        (made / "code.py").write_text(version)
        (made / ".dbops-release.json").write_text(
            json.dumps({"source": "archive", "version": version, "from": "x", "install": "none"})
        )
    for other in ("srv/shop/shared", "srv/x", "srv/neighbour/releases/1.0"):
        (folder / other).mkdir(parents=True)
        (folder / other / "kept").write_text("kept")
    root = folder / "srv" / "shop"
    (root / "current").symlink_to("releases/1.1")
    (root / "releases" / "1.0" / "media").symlink_to(root / "shared")
    (root / "releases" / "away").symlink_to(folder / "srv" / "neighbour")
    return folder


def variables(folder: Path, source: str, **more: Any) -> dict[str, Any]:
    own = {
        "application_name": "shop",
        "release_root": str(folder / "srv" / "shop"),
        "release_source": source,
        "release_version": "2.0",
    }
    places = {"deployment_record_directory": f"{folder}/records", "backup_archive_directory": f"{folder}/archives"}
    return {
        **own,
        **places,
        **SOURCES[source],
        "release_install": "none",
        "schema_database_url": f"sqlite:///{folder}/shop.db",
        **more,
    }


#: What is only asked of the host that works on the database.
OF_THE_MIGRATOR = "archives_above"


def hosts(folder: Path, whole: bool = True) -> dict[str, dict[str, Any]]:
    """Host → variables, none of which can be used; where nothing is built, an empty version can.

    :param whole: each value with each source; else with one of them, in turn.
    """
    found = {}
    for place, source in enumerate(SOURCES):
        for number, value in enumerate(VALUES):
            if (whole or number % len(SOURCES) == place) and (source != "none" or value not in ("", None)):
                found[f"{source}{number}"] = variables(folder, source, release_version=value)
    for name, more in OTHERS.items():
        found[name] = variables(folder, more.get("release_source", "archive"), **more)
    return found


def run(folder: Path, playbook: str, given: dict[str, dict[str, Any]], *arguments: str) -> tuple[int, str]:
    inventory = folder.parent / "inventory.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    migrator = {name: {} for name in given if name == OF_THE_MIGRATOR}
    children = {"application": {"hosts": given}, **({"migrator": {"hosts": migrator}} if migrator else {})}
    inventory.write_text(json.dumps({"all": {"vars": local, "children": children}}))
    command = [*ansible_playbook(), "-i", str(inventory), f"dbops.alembic.{playbook}", *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH"))}
    ours = {
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [*command, "--forks", "1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**own, **ours, "LC_ALL": "C.UTF-8"},
        cwd=folder.parent,
        check=False,
    )
    return done.returncode, done.stdout


#: The plays in which only the controller works.
FIRST = {"Refuse what can not have been meant", "Refuse names that can not be used"}
PLAYBOOKS = ["maintenance_window", "rolling", "plan", "rollback", "recover", "restore", "backup", "prune", "status", "render"]
#: What is only asked for where a release is built.
OF_A_BUILD = {"no_archive"}


def is_quick(playbook: str, arguments: tuple[str, ...]) -> bool:
    return playbook == "maintenance_window" and not arguments


@pytest.mark.parametrize(
    ("playbook", "arguments"),
    [
        pytest.param(name, given, marks=[] if is_quick(name, given) else [pytest.mark.slow], id="-".join((name, *given)))
        for name in PLAYBOOKS
        for given in ((), ("--check",))
    ],
)
def test_the_first_play_refuses_them_all_and_touches_no_host(host: Path, playbook: str, arguments: tuple[str, ...]) -> None:
    builds = playbook in PLAYBOOKS[:3]
    given = {
        name: own
        for name, own in hosts(host, whole=not is_quick(playbook, arguments)).items()
        if builds or (name not in OF_A_BUILD and own["release_version"] not in ("", None, []))
    }
    before = tree(host)
    status, output = run(host, playbook, given, *arguments)
    recap = dict(re.findall(r"^(\S+)\s+: .*changed=0 .*failed=(\d+)", output.split("PLAY RECAP")[-1], re.M))
    assert status != 0 and set(recap) == set(given), output[-3000:]
    assert [name for name, failed in recap.items() if failed != "1"] == [], output[-3000:]
    assert set(re.findall(r"^PLAY \[(.*)\]", output, re.M)) <= FIRST, output[-3000:]
    assert "\x1b" not in output and tree(host) == before


def test_good_names_pass_the_first_play(host: Path) -> None:
    """So that what the others refuse is the names. Nobody can be reached, so the play behind the first ones is the last."""
    nowhere = ("-e", json.dumps({"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}))
    _status, output = run(host, "status", {source: variables(host, source) for source in SOURCES}, *nowhere)
    assert set(re.findall(r"^PLAY \[(.*)\]", output, re.M)) > FIRST, output[-3000:]


def alone(host: Path, role: str, entry: str, given: list[dict[str, Any]], *arguments: str) -> Outcome:
    """Include one entry of a role by itself for each of the variables, and go on after a refusal."""
    folder = host.parent / "alone"
    folder.mkdir(exist_ok=True)
    include = {"ansible.builtin.include_role": {"name": f"dbops.alembic.{role}", "tasks_from": entry}, "vars": {}}
    tasks = []
    for own in given:
        tried = {**include, "name": "Try it", "vars": own}
        tasks.append({"name": "Try", "block": [tried], "rescue": [{"name": "Go on", "ansible.builtin.meta": "noop"}]})
    return play(folder, tasks, *arguments)


@pytest.mark.parametrize("arguments", [pytest.param((), id="run"), pytest.param(("--check",), id="check", marks=pytest.mark.slow)])
def test_a_role_alone_refuses_them(host: Path, arguments: tuple[str, ...]) -> None:
    before = tree(host)
    few = [value for value in VALUES if value in ("", "..", "../../x", "-x", "1.0\n", "None") or value is None]
    given = [variables(host, "archive", release_version=value) for value in few]
    given += [variables(host, "git", release_version="2.0", **OTHERS["reference_option"] | {"release_source": "git"})]
    done = alone(host, "release", "prepare", given, *arguments)
    assert tree(host) == before
    assert [item["status"] for item in done.results].count("failed") == len(given), done.printed
    touched = [
        item["task"] for item in done.results if item["status"] not in ("failed", "skipped") and "alidat" not in item["task"]
    ]
    assert [name for name in touched if "Try" not in name] == [], touched


def packed(path: Path, *members: tuple[str, str]) -> Path:
    """Make an archive; a member whose text begins with an arrow is a symbolic link."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members:
            member = tarfile.TarInfo(name)
            if text.startswith("->"):
                member.type, member.linkname = tarfile.SYMTYPE, text[2:]
                archive.addfile(member)
            else:
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_an_archive_does_no_harm_whatever_its_name_and_content_are(host: Path) -> None:
    neighbour, shared = host / "srv" / "neighbour", host / "srv" / "shop" / "shared"
    good = packed(host.parent / "no-version-in-it.tar.gz", ("s/code.py", "new"))
    bad = {
        "3.0": (("s/../../1.0/code.py", "bad"), ("s/../../../shared/kept", "bad")),
        "3.1": (("s/away", f"->{neighbour}"), ("s/away/kept", "bad")),
        # with a file each, since unarchive takes an archive of nothing but links for unpacked
        "3.2": (("s/code.py", "bad"), ("s/.dbops-release.json", f"->{shared}/kept")),
        "3.3": (("s/code.py", "bad"), ("s/media", f"->{shared}")),
    }
    before = tree(host)
    given = [variables(host, "archive", release_version="2.0", release_archive=str(good))]
    for version, members in bad.items():
        archive = packed(host.parent / f"{version}.tar.gz", *members)
        links = {"media/kept": "/etc/hostname"} if version == "3.3" else {}
        given.append(variables(host, "archive", release_version=version, release_archive=str(archive), release_links=links))
    done = alone(host, "release", "prepare", given)
    after = tree(host)
    releases = host / "srv" / "shop" / "releases"
    assert (releases / "2.0" / "code.py").read_text() == "new", done.printed
    assert {name: after.get(name) for name in before} == before
    more = [name for name in after if name not in before]
    assert [name for name in more if not re.match(r"srv/shop/releases/(2\.0|3\.\d|\.dbops-)", name)] == []
    whole = alone(host, "release", "status", [variables(host, "archive", release_version="3.2")])
    listed = [item["result"]["releases"] for item in whole.results if "releases" in item["result"]]
    assert len(listed) == 1 and "2.0" in listed[0] and "3.2" not in listed[0], whole.printed
