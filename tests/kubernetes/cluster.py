# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that the tests run on.

DBOPS_KUBE names a program that has one: PROGRAM up starts it, PROGRAM env prints `export KUBECONFIG=…`, PROGRAM image REF ROOTFS
makes an image of a root file system known to it, PROGRAM down removes it. With KUBECONFIG alone that cluster is taken, and
DBOPS_KUBE_IMAGE names a program that is called with REF ROOTFS (for kind: docker import, then kind load). Pods reach this machine
at DBOPS_KUBE_HOST.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from support.processes import Unavailable, program
from support.waiting import PATIENCE


@dataclass
class Cluster:
    kubeconfig: str
    loader: list[str]
    host: str = field(default_factory=lambda: os.environ.get("DBOPS_KUBE_HOST", "10.88.0.1"))
    remove: Callable[[], None] = lambda: None

    @classmethod
    def find(cls) -> Cluster:
        """:raises Unavailable: neither variable names a cluster that can be used."""
        program("kubectl")
        if os.environ.get("DBOPS_KUBE"):
            return cls._of_program(os.environ["DBOPS_KUBE"])
        if not os.environ.get("KUBECONFIG"):
            raise Unavailable("no Kubernetes: DBOPS_KUBE names a program that starts one, or KUBECONFIG one that runs")
        if not os.environ.get("DBOPS_KUBE_IMAGE"):
            raise Unavailable("KUBECONFIG names a cluster, but DBOPS_KUBE_IMAGE names no program that brings images to it")
        cluster = cls(os.environ["KUBECONFIG"], [os.environ["DBOPS_KUBE_IMAGE"]])
        if cluster.try_kubectl("get", "--raw", "/readyz").returncode:
            raise Unavailable(f"the cluster of {cluster.kubeconfig} does not answer")
        return cluster

    @classmethod
    def _of_program(cls, name: str) -> Cluster:
        if os.geteuid() != 0:
            raise Unavailable(f"{name} needs root")
        said = subprocess.run([name, "env"], stdout=subprocess.PIPE, text=True, check=True).stdout
        cluster = cls(re.findall(r"KUBECONFIG=(\S+)", said)[0], [name, "image"])
        if not Path(cluster.kubeconfig).exists() or cluster.try_kubectl("get", "--raw", "/readyz").returncode:
            done = subprocess.run([name, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode:
                raise Unavailable(f"{name} up failed: {done.stdout[-2000:]}")
            cluster.remove = lambda: subprocess.run([name, "down"], check=False) and None  # only what we started
        return cluster

    def try_kubectl(self, *arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        text = None if given is None else given if isinstance(given, str) else json.dumps(given)
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig}
        command = ["kubectl", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        done = self.try_kubectl(*arguments, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "--filename=-", given={"apiVersion": "v1", "kind": "List", "items": list(objects)})

    def load(self, reference: str, root: Path) -> None:
        subprocess.run([*self.loader, reference, str(root)], check=True, stdout=subprocess.DEVNULL)

    def token_of(self, namespace: str, account: str) -> str:
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(json.dumps(request))
            file.flush()
            token: str = json.loads(self.kubectl("create", "--raw", path, "--filename", file.name))["status"]["token"]
        return token

    def kubeconfig_of(self, namespace: str, account: str, folder: Path) -> Path:
        """A kubeconfig of that service account and nothing else."""
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
        config["users"] = [{"name": account, "user": {"token": self.token_of(namespace, account)}}]
        config["contexts"][0]["context"]["user"] = account
        path = folder / f"{account}.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path


def wait_until(true: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or true}"
        time.sleep(0.3)
