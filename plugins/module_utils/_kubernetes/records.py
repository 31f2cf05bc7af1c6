# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Deployment records in a ConfigMap: the same texts as on disk, one key each; whoever writes has to have seen the last change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Mapping

from .._core import record as core
from .._core.record import Record
from .._errors import MigrationError
from .._records import RecordStore
from .cluster import Cluster, Object

#: A ConfigMap holds 1 MiB; closed records give way before that, the oldest first.
MAXIMUM = 900_000
_SUFFIX = ".json"


class ConfigMapStore(RecordStore):
    """The records of one application in one ConfigMap of its namespace."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        super().__init__(f"configmap {name} in {namespace}")
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self._found: Object | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> ConfigMapStore:
        return cls(Cluster.connect(params), params["namespace"], params["name"])

    @property
    def _folder(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    def path(self, record_id: str) -> str:
        return f"{self._folder}/{self.name}#{record_id}"

    def _load(self) -> Object:
        """Return the ConfigMap as it was when this store was first asked."""
        if self._found is None:
            self._found = self.cluster.get(f"{self._folder}/{self.name}") or {}
        return self._found

    def all(self) -> list[Record]:
        loaded = self._load()
        texts = loaded.get("data") or {}
        others = sorted(name for name in (*texts, *(loaded.get("binaryData") or {})) if not name.endswith(_SUFFIX))
        if others:
            raise MigrationError(
                f"The {self.directory} holds {', '.join(others)}, so it is for something else than deployment records.",
                "not_ours",
                "Name another one in deployment_record_configmap; one that is not there is made.",
            )
        found = [self.read(name[: -len(_SUFFIX)]) for name in sorted(texts)]
        return sorted(found, key=lambda record: (record.created_at, record.id))

    def read(self, record_id: str) -> Record:
        text = (self._load().get("data") or {}).get(record_id + _SUFFIX)
        if text is None:
            raise MigrationError(f"There is no deployment record {self.path(record_id)}.", "record_unreadable")
        record = core.parse(text, self.path(record_id))
        if record.id != record_id:
            raise MigrationError(
                f"The deployment record {self.path(record_id)} can not be understood: it is of deployment {record.id}.",
                "record_unreadable",
            )
        return record

    def write(self, record: Record) -> None:
        """Replace the ConfigMap as it was read; :raises MigrationError: ``record_conflict``, if somebody else changed it since."""
        found = self._load()
        data = self._fitting({**(found.get("data") or {}), record.id + _SUFFIX: core.serialise(record)}, record.id)
        labels = {"app.kubernetes.io/managed-by": "dbops.alembic"}
        meta = found.get("metadata") or {"name": self.name, "namespace": self.namespace, "labels": labels}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        method, path = ("PUT", f"{self._folder}/{self.name}") if found else ("POST", self._folder)
        try:
            self._found = self.cluster.change(f"write the deployment record {self.path(record.id)}", method, path, body)
        except MigrationError as exc:
            if exc.kind != "cluster_conflict":
                raise
            raise MigrationError(
                f"Somebody else wrote into {self.directory} at the same moment.",
                "record_conflict",
                "Another deployment may have begun; look with the playbook dbops.alembic.status and run this again.",
            ) from exc

    def _fitting(self, data: dict[str, str], mine: str) -> dict[str, str]:
        """Leave the oldest closed records out while the whole would be too large; a rollback needs the last finished one."""
        records = [core.parse(text, name) for name, text in data.items() if name.endswith(_SUFFIX)]
        records.sort(key=lambda record: (record.created_at, record.id))
        last = next((record.id for record in reversed(records) if record.status == "finished"), "")
        for record in records:
            if sum(len(text.encode()) for text in data.values()) <= MAXIMUM:
                break
            if not record.is_open and record.id not in (mine, last):
                data = {name: text for name, text in data.items() if name != record.id + _SUFFIX}
        return data

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing is locked: a write after somebody else's is refused."""
        self._found = None
        yield


def store_of(params: Mapping[str, Any]) -> RecordStore:
    """Return where the records are: in a folder of this host, or in a ConfigMap."""
    return ConfigMapStore.from_params(params["kubernetes"]) if params.get("kubernetes") else RecordStore(params["directory"])
