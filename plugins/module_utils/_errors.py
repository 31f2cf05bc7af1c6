# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The closed list of error kinds, and the one exception that modules catch."""

from __future__ import annotations

from typing import Any, Mapping, NoReturn, Protocol

from ._worker.redaction import Redactor

#: Every ``error_kind`` that a module can return, with what it means.
ERROR_KINDS = {
    "alembic_missing": "The chosen Python cannot import Alembic or SQLAlchemy.",
    "alembic_unsupported": "Alembic is older than 1.8.",
    "archive_damaged": "The archive is not what was written: its checksum differs.",
    "archive_failed": "The archive could not be written, read back, restored or removed.",
    "archive_missing": "There is no such archive.",
    "archive_required": "This kind of database has no snapshot inside the server; use an archive.",
    "authentication_failed": "The database refused the user or the password.",
    "balancer_unreachable": "The load balancer can not be reached, or does not take commands from this user.",
    "client_missing": "The Python of this host has no kubernetes client.",
    "cluster_conflict": "Somebody else changed the object at the same time, again and again.",
    "cluster_refused": "The Kubernetes API refused a request.",
    "cluster_unreachable": "The Kubernetes API could not be reached, or does not know who asks.",
    "command_failed": "A command of the application, or a program of the database, failed.",
    "config_missing": "The folder, the configuration file, its section or its script_location is not there.",
    "connection_failed": "The database could not be reached, or does not exist.",
    "connection_lost": "The connection to the database broke while it was in use.",
    "database_ahead": "The database holds a revision that the scripts do not know.",
    "database_behind": "The database has to be at the heads of the scripts for this, and is not.",
    "database_busy": "Sessions are left on the database that has to be without any.",
    "database_closed": "The database lets nobody in: a copy or a swap of it is made, or was cut off.",
    "database_error": "The database server refused a statement of this operation.",
    "database_missing": "The database, or the snapshot, does not exist.",
    "database_read_only": "The database takes no writes: it is a standby or a replica, or its file or its settings forbid it.",
    "deadlock": "The database chose a transaction of the migration as the victim of a deadlock.",
    "driver_missing": "The database driver that the URL names is not installed in the application's Python.",
    "environment_failed": "env.py, the prelude or an import of the project raised an error or ended the process.",
    "environment_writes": "env.py, the prelude or the application writes to the database while it is only looked at.",
    "folder_unusable": "A folder belongs to somebody else, may be written to by others, or can not be used.",
    "history_damaged": "The revision files contradict each other or the version table, or an id does not fit into it.",
    "insufficient_privilege": "The database role lacks a right that is needed.",
    "insufficient_space": "There is not enough space for the copy.",
    "internal_error": "A defect of this collection.",
    "job_failed": "The worker never ran in its Job: its image, its scheduling or a quota kept the pod from starting.",
    "job_unknown": "No job of this name was started on this host.",
    "link_refused": "The link can not be made, or what is in its place is no link.",
    "lock_timeout": "A statement waited longer than lock_timeout for a lock, in every attempt.",
    "lock_unavailable": "Another run held the migration lock longer than lock_wait.",
    "manager_unreachable": "systemd or supervisor can not be reached, or may not be asked by this user.",
    "migration_failed": "A revision raised an error.",
    "models_differ": "The models and the database do not agree.",
    "models_missing": "env.py gives no target_metadata, so there are no models to compare with.",
    "multiple_heads": "The scripts have several heads and one was asked for.",
    "name_invalid": "A name given for a database object can not be used.",
    "no_migrations": "The project has no revisions, or env.py ran no migrations.",
    "not_drained": "Requests were still running on the server after the time that they had.",
    "not_initialised": "The database has no version table and initialise says to refuse that.",
    "not_ours": "The object was not made by this collection, so it is left alone.",
    "not_persisted": "env.py ran the revisions and did not commit them.",
    "not_stopped": "Processes or pods are left after the time that they had to stop.",
    "options_invalid": "The options contradict each other or can not be used.",
    "protocol_error": "The worker's answer could not be read.",
    "python_missing": "The chosen Python is not there or cannot be run.",
    "record_conflict": "Another deployment is open, or the record was changed by somebody else or is of another application.",
    "record_unreadable": "The deployment record exists and cannot be understood.",
    "rehearsal_impossible": "The pending revisions can not be rehearsed here.",
    "release_unknown": "The workload has no recorded release of this version.",
    "revision_unknown": "The revision asked for is not among the scripts.",
    "right_missing": "A right in the Kubernetes namespace is missing.",
    "rollout_failed": "The workload did not come up.",
    "serialization_failure": "The database could not serialize a transaction of the migration, in every attempt.",
    "rows_written": "Rows were written since, and going back would lose more of them than are given up.",
    "server_unknown": "The load balancer has no such server, or no such backend.",
    "service_refused": "A service is unknown to its manager, masked, or can not be loaded.",
    "snapshot_refused": "A snapshot or swap would break something that the database has.",
    "start_failed": "A service did not start, or did not stay up.",
    "statement_timeout": "A statement ran longer than statement_timeout.",
    "target_invalid": "The target is not one that this operation can move to.",
    "targets_failed": "Some of many databases failed; each of them says why.",
    "too_many_pending": "More revisions are pending than max_pending allows.",
    "unexpected_revision": "The database is not at the revision that expect_current names.",
    "unhealthy": "The application did not answer as it should in the time that it had.",
    "unsupported_database": "This operation does not know the kind of database.",
    "verification_failed": "The database is not where the migration should have left it.",
    "worker_died": "The process that ran the migration died.",
    "worker_timeout": "The operation took longer than timeout and was stopped.",
    "workload_missing": "There is no such workload in the namespace.",
    "wrong_database": "The project connected to another database than the one asked for.",
}


class FailingModule(Protocol):
    """The one thing that an error needs of AnsibleModule."""

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn: ...


class MigrationError(Exception):
    """A failure that a user can understand: what, where, what to do next.

    :param msg: what happened and where.
    :param kind: one of :data:`ERROR_KINDS`; another one is a defect and raises ``ValueError``.
    :param hint: what to do next.
    :param facts: more keys for the module's result.
    """

    def __init__(self, msg: str, kind: str, hint: str | None = None, facts: Mapping[str, Any] | None = None) -> None:
        if kind not in ERROR_KINDS:
            raise ValueError(f"{kind!r} is not an error kind of this collection ({msg})")
        super().__init__(msg)
        self.msg, self.kind, self.hint, self.facts = msg, kind, hint, dict(facts or {})

    def fail(self, module: FailingModule) -> NoReturn:
        """End the module with this failure."""
        msg, hint = (Redactor().text(text or "") for text in (self.msg, self.hint))
        known = {"hint": hint} if hint else {}
        module.fail_json(msg=f"{msg} {hint}" if hint else msg, error_kind=self.kind, **known, **self.facts)
