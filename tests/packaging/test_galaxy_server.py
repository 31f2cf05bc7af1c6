# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published to a real Galaxy server and installed from it, with what it depends on, into a folder that has nothing."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from environments import WANTED, tree
from support import guide, venvs
from support.galaxy import Galaxy
from support.installed import PROGRAMS, Installed
from support.paths import ROOT, TREE
from support.processes import Unavailable
from support.projects import build
from support.sqlite import SqliteDatabase

PIPELINES = ROOT / "docs" / "docsite" / "rst" / "guide_pipelines.rst"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def galaxy() -> Iterator[Galaxy]:
    try:
        made = Galaxy()
    except Unavailable as problem:
        pytest.skip(str(problem))
    with contextlib.ExitStack() as left:
        left.callback(made.remove)
        try:
            made.start()
        except Unavailable as problem:
            pytest.fail(f"{problem}\n{made.said()}")
        yield made


@pytest.fixture(scope="module")
def client(galaxy: Galaxy, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Somebody who knows that server and no other, with no collection at all."""
    made = Installed(tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("client"))
    config = made.place / "ansible.cfg"
    config.touch(mode=0o600)
    config.write_text(
        f"[galaxy]\nserver_list = ours\n[galaxy_server.ours]\nurl = {galaxy.url}\n"
        f"username = {galaxy.user}\npassword = {galaxy.password}\n"
    )
    return made


@pytest.fixture(scope="module")
def published(client: Installed, galaxy: Galaxy, archive: Path) -> Path:
    """Our archive is on the server, and those that it depends on."""
    tree()
    for name in WANTED:
        client.run("ansible-galaxy", "collection", "publish", str(packed(name, client.place)))
    client.run("ansible-galaxy", "collection", "publish", str(archive))
    return archive


def packed(name: str, folder: Path) -> Path:
    """An archive of a collection that lies unpacked in the tree; of the largest only what ours uses, as every plugin is read."""
    source, work = TREE / "ansible_collections" / Path(*name.split(".")), folder / name
    shutil.copytree(source, work, ignore=shutil.ignore_patterns("FILES.json", "MANIFEST.json", "changelogs"))
    about = json.loads((source / "MANIFEST.json").read_text())["collection_info"]
    if name == "community.general":
        shutil.rmtree(work / "plugins")
        for path in ("modules/mail.py", "modules/haproxy.py", "doc_fragments/attributes.py"):
            (work / "plugins" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / "plugins" / path, work / "plugins" / path)
    given = (
        "namespace",
        "name",
        "version",
        "authors",
        "readme",
        "tags",
        "description",
        "license_file",
        "dependencies",
        "repository",
    )
    (work / "galaxy.yml").write_text(yaml.safe_dump({key: about[key] for key in given if about.get(key)}))
    subprocess.run([str(PROGRAMS / "ansible-galaxy"), "collection", "build", str(work), "--output-path", str(folder)], check=True)
    return folder / f"{name.replace('.', '-')}-{about['version']}.tar.gz"


def test_it_is_installed_with_what_it_depends_on(client: Installed, published: Path) -> None:
    """All four come from that server, and what came is what was published."""
    wanted = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert not any(client.folder.iterdir())
    client.run("ansible-galaxy", "collection", "install", wanted["namespace"] + "." + wanted["name"])
    found = json.loads(client.run("ansible-galaxy", "collection", "list", "--format", "json"))
    (there,) = [names for folder, names in found.items() if folder.startswith(str(client.folder))]
    assert set(there) == {*WANTED, "dbops.alembic"} == {*wanted["dependencies"], "dbops.alembic"}
    assert there["dbops.alembic"]["version"] == wanted["version"]
    client.run("ansible-galaxy", "collection", "verify", "dbops.alembic")


@pytest.mark.parametrize("title", ["GitHub Actions", "GitLab CI"])
def test_it_is_installed_as_a_pipeline_of_the_guide_does_it(client: Installed, published: Path, tmp_path: Path, title: str) -> None:
    """By a Python that has nothing, from a file with requirements, into a folder that has nothing."""
    lines = list(dict.fromkeys(line for line in guide.pipeline(PIPELINES, title) if "ansible-core" in line or "galaxy" in line))
    assert len(lines) == 2
    (client.place / "requirements.yml").write_text("collections:\n  - dbops.alembic\n")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "python")], check=True)
    fresh = Installed(tmp_path / "collections", client.place)
    for line in lines:
        program, *arguments = shlex.split(line)
        fresh.run(program, *arguments, programs=tmp_path / "python" / "bin")
    found = json.loads((fresh.collection / "MANIFEST.json").read_text())["collection_info"]
    assert f"{found['namespace']}-{found['name']}-{found['version']}.tar.gz" == published.name


def test_a_playbook_of_it_runs(client: Installed, published: Path, tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "data.sqlite")
    project = build("linear", tmp_path / "project", database.url())
    inventory = {
        "application_name": "shop",
        "schema_database_url": database.url(),
        "schema_chdir": str(project.folder),
        "schema_python": str(venvs.application("alembic120")),
        "application_manager": "supervisor",
        "ansible_python_interpreter": sys.executable,
        "deployment_record_directory": str(tmp_path / "records"),
    }
    hosts = {"application": {"hosts": {"here": {"ansible_connection": "local", **inventory}}}}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"children": hosts}}))
    said = client.run("ansible-playbook", "-i", str(tmp_path / "inventory.json"), "dbops.alembic.plan")
    revisions = sorted(path.name.split("_")[0] for path in project.versions().glob("r*.py"))
    assert revisions and all(revision in said for revision in revisions), said
