# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flow on Kubernetes runs on: a namespace with the sample application, its database outside, a deployer with few rights."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cluster import Cluster, wait_until
from images import REPOSITORY, USER
from releases import write_archive

from flows.mortal import Mortal
from flows.stage import Run
from support import venvs
from support.paths import CACHE, ROOT, TREE
from support.playbook import command as ansible_playbook
from support.postgres import Postgres, PostgresDatabase
from support.waiting import PATIENCE

ROLE = ROOT / "roles" / "application" / "files" / "kubernetes_role.yml"


@dataclass
class Stage(Mortal):
    """The Deployment `shop`, with as many replicas as told. ``variables`` are the inventory's.

    With ``migrator`` this machine migrates; with ``jobs`` the controller doesn't even know the database's password.
    """

    cluster: Cluster
    server: Postgres
    folder: Path
    python: Path
    replicas: int = 2
    variables: dict[str, Any] = field(default_factory=dict)
    migrator: bool = True
    release: str = "1.0"
    jobs: bool = False
    database: PostgresDatabase | None = None
    watched: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.namespace = "shop-" + secrets.token_hex(3)
        self.database = self.database or self.server.database(attributes="CREATEDB")
        self.url = self.database.url().replace("127.0.0.1", self.cluster.host)
        self.app = venvs.application("shop")
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self._grant()
        self.apply(self._secret(), self._service(), self.workload(self.replicas))
        self.address = self.get("service", "shop")["spec"]["clusterIP"]
        self.write_inventory()

    def _grant(self) -> None:
        """The rights are those of the Role that ships, and no others."""
        self.cluster.kubectl("apply", "--namespace", self.namespace, "--filename", str(ROLE))
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer", "namespace": self.namespace}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "deployer", "namespace": self.namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": yaml.safe_load(ROLE.read_text())["metadata"]["name"],
                },
                "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": self.namespace}],
            },
        )
        self.kubeconfig = self.cluster.kubeconfig_of(self.namespace, "deployer", self.folder)

    def _secret(self) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-database"}, "stringData": {"url": self.url}}

    @staticmethod
    def _service() -> dict[str, Any]:
        spec = {"selector": {"app": "shop"}, "ports": [{"port": 8000}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": spec}

    def workload(self, replicas: int, release: str | None = None) -> dict[str, Any]:
        container = {
            "name": "shop",
            "image": f"{REPOSITORY}:{release or self.release}",
            "imagePullPolicy": "IfNotPresent",
            "workingDir": "/app",
            "command": ["/app/venv/bin/python", "-m", "shop", "serve"],
            "env": [
                {"name": "HOST", "value": "0.0.0.0"},
                {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "shop-database", "key": "url"}}},
            ],
            "ports": [{"containerPort": 8000}],
        }
        pod = {"containers": [container], "terminationGracePeriodSeconds": 25, "securityContext": {"runAsUser": USER}}
        template = {"metadata": {"labels": {"app": "shop"}}, "spec": pod}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": template},
        }

    def write_inventory(self) -> None:
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(self.python),
            "application_name": "shop",
            "schema_database_url_variable": "DATABASE_URL",
            "schema_sessions_wait_seconds": 15,
            "schema_sessions_terminate_enabled": True,
            "deployment_record_directory": f"{self.folder}/records",
            "deployment_record_store": "auto" if self.jobs else "directory",  # this machine may be a container itself
            "backup_archive_directory": f"{self.folder}/archives",
            "backup_programs_directory": str(self.server.binaries),
        }
        folders = {
            "release_source": "archive",
            "release_root": f"{self.folder}/migrator",
            "release_archive": f"{self.folder}/shop-{{{{ release_version }}}}.tar.gz",
            "release_install": "none",
            "release_links": {"venv": str(self.app.parents[1])},
        }
        if self.jobs:
            common |= {
                "schema_runner": "kubernetes_job",
                "schema_chdir": "/app",
                "schema_python": "/app/venv/bin/python",
                "schema_kubernetes": {"secret": "shop-database", "user": USER, "labels": {"team": "sales"}},
                "backup_archive_enabled": False,
                "backup_window_archive_enabled": False,
                "awx_job_id": 17,  # a controller that does not last: so the record is in the cluster
            }
        children: dict[str, Any] = {"application": {"hosts": {"web": self.host}}}
        if self.migrator:
            children["migrator"] = {"hosts": {"migrator": folders}}
        inventory = {"all": {"vars": {**common, **self.variables}, "children": children}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory, indent=1))

    @property
    def host(self) -> dict[str, Any]:
        """The variables of the workload as an application host."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(self.python),
            "application_manager": "kubernetes",
            "application_kubernetes_namespace": self.namespace,
            "application_kubernetes_kubeconfig": str(self.kubeconfig),
            "application_start_timeout_seconds": int(PATIENCE),
            "release_source": "image",
            "release_image": REPOSITORY + ":{{ release_version }}",
            "health_url": f"http://{self.address}:8000/health",
            "health_json": {"status": "ok"},
            "health_retries": 60,
        }

    def archive(self, *releases: str) -> None:
        for release in releases:
            write_archive(release, self.folder)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.cluster.apply(*({**item, "metadata": {"namespace": self.namespace, **item["metadata"]}} for item in objects))

    def get(self, *arguments: str) -> dict[str, Any]:
        return self.cluster.get("--namespace", self.namespace, *arguments)

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, given=given)

    @property
    def environment(self) -> dict[str, str]:
        dropped = ("ANSIBLE_", "PG", "PYTHONPATH", "KUBECONFIG", "K8S_")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(dropped)},
            "SHOP_DATABASE_URL": f"postgresql://controller@nowhere.invalid/{self.database.name}" if self.jobs else self.url,
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
            "LC_ALL": "C.UTF-8",
            **self.watched,
        }

    def start(self, playbook: str, *arguments: str, **extra: Any) -> subprocess.Popen[str]:
        command = [*ansible_playbook(self.python), "-i", str(self.folder / "inventory.json"), playbook, *arguments]
        given = {"schema_database_url": "{{ lookup('ansible.builtin.env', 'SHOP_DATABASE_URL') }}", **extra}
        return subprocess.Popen(
            [*command, "--extra-vars", json.dumps(given)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.folder,
            start_new_session=True,
        )

    def play(self, playbook: str, *arguments: str, **extra: Any) -> Run:
        """Run dbops.alembic.<playbook> to its end."""
        process = self.start(f"dbops.alembic.{playbook}", *arguments, **extra)
        output, _none = process.communicate(timeout=600)
        assert self.database.password not in output
        return Run(process.returncode, output)

    def seed(self, orders: int = 200) -> None:
        command = ["exec", "deployment/shop", "--", "/app/venv/bin/python", "-m", "shop", "seed", f"--orders={orders}"]
        wait_until(
            lambda: not self.cluster.try_kubectl("--namespace", self.namespace, *command).returncode, 120, "the shop is filled"
        )

    def contents(self) -> tuple[str, str]:
        """The revision, and a checksum of schema and rows."""
        revision = self.database.fetch("select version_num from alembic_version") if self.database.tables() else []
        return ",".join(row[0] for row in revision), hashlib.sha256(self.database.dump().encode()).hexdigest()

    def health(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://{self.address}:8000/health", timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError as error:
            return 0, {"reason": str(error)}

    @property
    def template(self) -> dict[str, Any]:
        return dict(self.get("deployment", "shop")["spec"]["template"])

    def pods(self) -> list[dict[str, Any]]:
        return list(self.get("pods", "--selector=app=shop")["items"])

    def serves(self, release: str, replicas: int | None = None) -> bool:
        """Every replica runs that release's image and is ready, and the service answers with it."""
        found = self.get("deployment", "shop")
        wanted = self.replicas if replicas is None else replicas
        images = {pod["spec"]["containers"][0]["image"] for pod in self.pods() if not pod["metadata"].get("deletionTimestamp")}
        status, said = self.health()
        return (
            found["spec"]["replicas"] == wanted == found["status"].get("availableReplicas", 0)
            and images == {f"{REPOSITORY}:{release}"}
            and (status, said.get("release"), said.get("status")) == (200, release, "ok")
        )

    def records(self) -> list[dict[str, Any]]:
        if self.jobs:
            found = self.get("configmaps", "--field-selector=metadata.name=shop-deployments")["items"]
            texts = [text for item in found for _name, text in sorted(item["data"].items())]
        else:
            texts = [path.read_text() for path in sorted((self.folder / "records").glob("2*.json"))]
        return [json.loads(text) for text in texts]

    def close(self, keep_database: bool = False) -> None:
        self.cluster.try_kubectl("delete", "namespace", self.namespace, "--wait=false")
        wait_until(lambda: not self.cluster.get("pods", "--namespace", self.namespace)["items"], what="the pods are gone")
        if not keep_database:
            self.database.drop()


class Probed(Stage):
    """Its pods get no traffic before they are healthy, and end only when the traffic has found the others."""

    def start(self, playbook: str, *arguments: str, **extra: Any) -> subprocess.Popen[str]:
        if extra.get("release_version") == "unhealthy":  # it never is ready, and there is no use in waiting for it as for others
            extra = {"application_start_timeout_seconds": 60, **extra}
        return super().start(playbook, *arguments, **extra)

    def workload(self, replicas: int, release: str | None = None) -> dict[str, Any]:
        found = super().workload(replicas, release)
        container = found["spec"]["template"]["spec"]["containers"][0]
        container["readinessProbe"] = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1, "timeoutSeconds": 5}
        container["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", "3"]}}}
        return found
