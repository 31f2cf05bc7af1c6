# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example that the guide begins with, as it stands on the page, on hosts that have nothing of it yet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import environments
from support import guide
from support.paths import CACHE, ROOT, TREE

sys.path.insert(0, str(ROOT / "demo" / "app"))
from releases import write_tree

TEXT = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_maintenance_window.rst", "A whole example to copy")
FILES, COMMANDS = guide.files(TEXT), guide.commands(TEXT)
HOSTS = {"app1.example.com": "app1", "app2.example.com": "app2", "db.example.com": "db1"}
#: What the package of the sample application is started as in the guide.
STARTED = 'import sys\n\nfrom shop.__main__ import main\n\nsys.argv = ["orders", "serve"]\nmain()\n'
#: Release of the guide → that of the sample application.
RELEASES = {"1.0.0": "1.0", "1.1.0": "1.1"}

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.timeout(3600)]


@dataclass(frozen=True)
class Place:
    """The reader's machine: his repository, and hosts that his ssh finds by the names of the guide."""

    folder: Path
    run: Path

    @property
    def deploy(self) -> Path:
        return self.folder / "orders" / "deploy"

    def on(self, host: str, script: str, stdin: str = "") -> str:
        return self._done([str(self.folder / "bin" / "ssh"), f"root@{host}", script], self.folder, stdin)

    def sh(self, command: str, folder: Path | None = None) -> str:
        return self._done(["bash", "-c", command], folder or self.deploy)

    def fails(self, command: str) -> str:
        return self._done(["bash", "-c", f"! {command}"], self.deploy)

    def _done(self, command: list[str], folder: Path, stdin: str = "") -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}"
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        path = [
            str(self.folder / "bin"),
            str(Path(sys.executable).parent),
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            "/usr/sbin",
            "/sbin",
        ]
        return {"PATH": os.pathsep.join(path), "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture(scope="module")
def place(able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("g"), CACHE / "lab" / f"guide-{os.getpid()}")
    lab = [sys.executable, str(ROOT / "molecule" / "shared" / "lab")]
    environment = {**os.environ, "DBOPS_CACHE": str(CACHE), "DBOPS_LAB": str(made.run), "DBOPS_LAB_OWNER": str(os.getpid())}
    environment |= {"DBOPS_LAB_HOSTS": ",".join(HOSTS.values()), "PATH": f"{environment.get('PATH', '')}:/usr/sbin:/sbin"}
    try:
        up = subprocess.run([*lab, "up"], env=environment, capture_output=True, text=True, check=False)
        assert up.returncode == 0, up.stdout + up.stderr
        prepare(made)
        yield made
    finally:
        subprocess.run([*lab, "down"], env=environment, check=False)


def prepare(place: Place) -> None:
    """What the guide takes for granted: names, a user that may use sudo, a package index, and a database server in the network."""
    subnet = (place.run / "subnet").read_text()
    addresses = {name: f"{subnet}.{11 if host == 'db1' else 20 + int(host[-1])}" for name, host in HOSTS.items()}
    known = "".join(f"Host {name}\n  HostName {address}\n" for name, address in addresses.items())
    (place.folder / "ssh_config").write_text(
        f"{known}Host *\n  IdentityFile {place.run}/id_ed25519\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
        "  LogLevel ERROR\n"
    )
    (place.folder / "bin").mkdir()
    for program in ("ssh", "sftp", "scp"):
        wrapper = place.folder / "bin" / program
        wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/{program} -F {place.folder}/ssh_config "$@"\n')
        wrapper.chmod(0o755)
    password = yaml.safe_load(FILES["inventory/group_vars/all/vault.yml"])["deploy_password"]
    for name in HOSTS:
        place.on(
            name,
            "set -e; useradd --create-home --shell /bin/bash deploy; chpasswd; cp -r /root/.ssh /home/deploy/.ssh\n"
            "chown -R deploy: /home/deploy/.ssh; echo 'deploy ALL=(ALL) ALL' > /etc/sudoers.d/deploy\n"
            f"echo '{addresses['db.example.com']} db.example.com' >> /etc/hosts\n"
            "printf '[global]\\nno-index = true\\nfind-links = /srv/wheels\\n' > /etc/pip.conf",
            f"deploy:{password}\n",
        )
    place.on(
        "db.example.com",
        f"echo 'host all orders {subnet}.0/24 scram-sha-256' >> /etc/postgresql/15/main/pg_hba.conf\n"
        "echo \"listen_addresses = '*'\" > /etc/postgresql/15/main/conf.d/network.conf; systemctl start postgresql",
    )


def write_repository(place: Place) -> None:
    """The repository of the guide, with the sample application for its code, and a tag for each release."""
    top = place.folder / "orders"
    top.mkdir()
    git = "git -c user.name=t -c user.email=t@example.org"
    place.sh("git init --quiet", top)
    for tag, release in RELEASES.items():
        write_tree(release, place.folder / release)
        shutil.copytree(place.folder / release, top, dirs_exist_ok=True)
        for name, text in {"orders/__init__.py": "", "orders/__main__.py": STARTED}.items():
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).write_text(text)
        for name, text in FILES.items():
            path = top / "deploy" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        place.sh(f"git add --all && {git} commit --quiet --message={tag} && git tag {tag}", top)


def write_archives(place: Place) -> None:
    """Archives of the collections, as a Galaxy server would give them."""
    folder = place.deploy / "archives"
    folder.mkdir()
    environments.tree()
    place.sh(f"ansible-galaxy collection build {ROOT} --output-path {folder}")
    for name in ("community/general", "community/postgresql", "kubernetes/core"):
        source = place.folder / "sources" / name
        shutil.copytree(TREE / "ansible_collections" / name, source)
        told = json.loads((source / "MANIFEST.json").read_text())["collection_info"]
        (source / "galaxy.yml").write_text(yaml.safe_dump({key: value for key, value in told.items() if value}))
        place.sh(f"ansible-galaxy collection build {source} --output-path {folder}")


def health(place: Place, host: str) -> dict[str, str]:
    said = place.on(
        host, "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8000/health\").read().decode())'"
    )
    return json.loads(said)


def serves(place: Place, tag: str) -> None:
    for host in ("app1.example.com", "app2.example.com"):
        assert health(place, host)["release"] == RELEASES[tag]
        assert place.on(host, "readlink /srv/orders/current").strip().endswith(f"releases/{tag}")
        assert place.on(host, "ps -o user= -p $(systemctl show --value --property MainPID orders)").strip() == "orders"
        assert place.on(host, "stat --format '%U %a' /etc/orders.env").split() == ["root", "600"]
        place.on(host, f"! runuser -u orders -- touch /srv/orders/releases/{tag}/x && ! runuser -u orders -- cat /etc/orders.env")


def test_the_example_of_the_guide_deploys_as_it_stands(place: Place) -> None:
    write_repository(place)
    write_archives(place)
    asks_a_server, *rest = COMMANDS
    assert "--requirements-file" in asks_a_server  # there is none here
    said = [place.sh(command) for command in rest]
    assert "release 1.0.0 serves" in " ".join(said[-1].split()), said[-1]
    serves(place, "1.0.0")
    vault = (place.deploy / "inventory" / "group_vars" / "all" / "vault.yml").read_text()
    assert vault.startswith("$ANSIBLE_VAULT") and (place.deploy / ".vault-password").stat().st_mode & 0o077 == 0
    secret = yaml.safe_load(FILES["inventory/group_vars/all/vault.yml"])["orders_password"]
    assert not any(secret in text for text in said)
    released = place.on("app1.example.com", "ls -A /srv/orders/releases/1.0.0").split()
    assert "alembic.ini" in released and "deploy" not in released
    # The next release has revisions.
    for command in rest[-3:]:
        said.append(place.sh(command.replace("1.0.0", "1.1.0")))
    serves(place, "1.1.0")
    shown = place.on(
        "db.example.com", "cd / && runuser -u postgres -- psql -XAtd orders -c 'select version_num from alembic_version'"
    )
    assert shown.strip() == "c64b2e98d075" and "Way back" in said[-1] and "snapshot" in said[-1], said[-1]
    place.on("app1.example.com", "ls /var/backups/orders/*1.1.0.pgc")
    # The first part is for new hosts, and is no harm to those that serve.
    place.sh("ansible-playbook setup.yml")
    serves(place, "1.1.0")
    place.on("app1.example.com", "set -e; systemctl is-enabled --quiet orders")


def test_what_real_units_miss_is_told_of_all_hosts_at_once(place: Place) -> None:
    """After the example was deployed: what systemd would say at the start only is known before anything is stopped."""
    unit = "/etc/systemd/system/orders.service"
    place.on("app1.example.com", f"sed -i 's/^User=.*/User=no-such-user/' {unit} && systemctl daemon-reload")
    place.on("app2.example.com", "mv /etc/orders.env /etc/orders.away")
    said = " ".join(place.fails("ansible-playbook dbops.alembic.maintenance_window -e release_version=1.0.0").split())
    for told in (
        "app1.example.com: orders.service runs as no-such-user, and there is no such user.",
        "app2.example.com: orders.service reads its environment from /etc/orders.env, which is not there.",
    ):
        assert told in said, said
    for host in ("app1.example.com", "app2.example.com"):
        assert health(place, host)["release"] == RELEASES["1.1.0"]
