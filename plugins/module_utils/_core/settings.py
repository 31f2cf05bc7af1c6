# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Variables of which each is right and which do not go together, and hosts without which a playbook must not run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Iterable, Iterator, Mapping, Sequence

#: Releases that a workload of Kubernetes gets, and not a host.
_OF_WORKLOADS = ("image", "manifest")
#: What a playbook that knows one database advises where the inventory names many.
_ONE = {
    "backup": "Back their server up as a whole, or give each a url in fleet_databases.",
    "prune": (
        "Old snapshots of each are removed at the end of a deployment (fleet_snapshot_keep), and old archives by the playbook"
        " backup."
    ),
    "restore": (
        "Name one of those that are schemas of one database in deployment_restore_target. Of those that are databases of their own,"
        " say which one, in a file with an empty fleet_databases and fleet_query and the schema_database_url of that one, given as"
        " --extra-vars @FILE; all of them go back with dbops.alembic.rollback."
    ),
}


@dataclass(frozen=True)
class Settings:
    """What a playbook is asked to do on one host.

    :param builds: whether it builds a release.
    :param serves: whether the host is one of the application's; ``migrates`` whether the database is worked on from it.
    :param opens_window: whether pods may upgrade the database as they start.
    :param one_database: name of a playbook that knows one database: backup, prune or restore.
    :param source: release_source; ``manager`` application_manager, ``runner`` schema_runner, ``store`` where the record is kept.
    :param jobs: schema_kubernetes; ``archive_jobs`` is backup_kubernetes, ``claim`` backup_kubernetes_claim.
    :param without_pods: the hosts of the application that are no workload of Kubernetes.
    :param fleet: whether there are many databases, ``fleet_apart`` whether some have a URL of their own, ``has_database`` whether
        there is one of schema_database_url, and ``fleet_url`` that of the query which lists them; ``target`` is the one that is
        restored.
    """

    builds: bool = False
    serves: bool = False
    migrates: bool = False
    opens_window: bool = False
    one_database: str = ""
    source: str = "none"
    manager: str = "systemd"
    runner: str = "host"
    store: str = "directory"
    jobs: Mapping[str, Any] = field(default_factory=dict)
    archive_jobs: Mapping[str, Any] = field(default_factory=dict)
    claim: str = ""
    without_pods: Sequence[str] = ()
    fleet: bool = False
    fleet_apart: bool = False
    has_database: bool = True
    fleet_url: str = ""
    target: str = ""


def refusals(given: Settings) -> list[str]:
    """Return what of these does not go together, and what to set."""
    return [*_of_fleet(given), *_of_start(given), *_of_jobs(given), *_of_source(given)]


def _of_source(given: Settings) -> Iterator[str]:
    """A folder on a host is no release of pods, which would start anew with what they have, and an image is none of processes."""
    misplaced = (given.source in _OF_WORKLOADS) != (given.manager == "kubernetes")
    if given.builds and given.serves and given.source != "none" and misplaced:
        yield (
            f"release_source is {given.source}, and application_manager is {given.manager}: a workload of Kubernetes gets its"
            " release by image or manifest, and processes on a host by archive, git or wheel. Set the one that is meant; none"
            " leaves the release to others."
        )


def _of_start(given: Settings) -> Iterator[str]:
    if given.opens_window and given.runner == "init_container" and given.migrates and given.without_pods:
        yield (
            f"schema_runner is init_container, and {', '.join(sorted(given.without_pods))} would start before the pods have"
            " upgraded the database. Set schema_runner to kubernetes_job, or to host."
        )


def _of_jobs(given: Settings) -> Iterator[str]:
    """A Job has the URL of the database from a Secret."""
    if not given.migrates:
        return
    if given.runner == "kubernetes_job" and given.source not in _OF_WORKLOADS and not given.jobs.get("image"):
        yield (
            f"schema_runner is {given.runner}, and release_source is {given.source}, so no image is known that has the migrations."
            " Set release_source to image, or schema_kubernetes.image to the image of the release."
        )
    if given.runner != "host":
        if not given.jobs.get("secret"):
            yield (
                f"schema_runner is {given.runner}, and schema_kubernetes names no secret. Set schema_kubernetes.secret to the"
                " Secret that holds the URL of the database, and schema_kubernetes.secret_key to its key where that is not url."
            )
    elif given.claim and not {**given.jobs, **given.archive_jobs}.get("secret"):
        yield (
            "backup_kubernetes_claim is given, and neither schema_kubernetes nor backup_kubernetes names a secret. Set"
            " backup_kubernetes.secret to the Secret that holds the URL of the database."
        )


def _of_fleet(given: Settings) -> Iterator[str]:
    """Their ledger is a file that is locked, written and synced before each step: no Job and no ConfigMap has one."""
    if given.one_database == "restore" and given.target:
        yield from _of_target(given)
        return
    if not given.fleet:
        return
    backs_up = given.one_database == "backup"
    holds = given.one_database == "prune" and given.has_database
    if given.one_database and not holds and not (backs_up and (given.has_database or given.fleet_apart or given.fleet_url)):
        yield (
            f"The playbook {given.one_database} knows one database, and fleet_databases or fleet_query names many databases."
            f" {_ONE[given.one_database]}"
        )
    if given.builds and given.runner != "host":
        yield "Many databases are worked on from a host, where their ledger is: set schema_runner to host."
    if given.builds and given.store == "configmap":
        yield (
            "The ledger of many databases is kept beside the record, in a folder that lasts: set deployment_record_store"
            " to directory."
        )
    if given.fleet_apart and given.claim and (given.builds or backs_up):
        yield (
            "Archives of many databases are written by a host: leave backup_kubernetes_claim out. Its Jobs have the URL of one"
            " Secret, whatever the database."
        )


def _of_target(given: Settings) -> Iterator[str]:
    """One schema is restored by the programs of the migrator, from a folder there."""
    if not given.fleet:
        yield (
            f"deployment_restore_target is {given.target}, and neither fleet_databases nor fleet_query says which targets there"
            " are. Give one of these, or leave deployment_restore_target out to restore the database as a whole."
        )
    if given.runner != "host":
        yield f"One target is restored from a host: set schema_runner to host (it is {given.runner})."
    if given.claim:
        yield (
            "One target is restored from an archive on the migrator, not from one on backup_kubernetes_claim: leave that out, and"
            " bring the archive to backup_archive_directory with the .json file beside it."
        )


def taking_part(groups: Mapping[str, Sequence[str]], migrators: str, application: str) -> list[str]:
    """Return the hosts that take part: the migrator, which is the first of its group or else of the application's, and those."""
    named = [*list(groups.get(migrators) or ())[:1], *(groups.get(application) or ())]
    return list(dict.fromkeys(map(str, named)))


def no_hosts(group: str) -> str:
    """Return what is said where the group of the application has no hosts."""
    return (
        f"The inventory has no hosts in the group {group}. Put the application hosts there, or name another group with"
        " -e deployment_application_group=… on the command line."
    )


def refused_again(worked: Iterable[str]) -> str:
    """Return why a deployment must not follow another one in one run of Ansible; empty where it may.

    What a host has done and found is kept as facts of the run, and nothing takes those away: a stop of the first deployment
    would count as one of the second.

    :param worked: the hosts, of those that take part, on which a deployment of this run has worked already.
    """
    hosts = ", ".join(worked)
    return (
        f"Another deployment of this run of Ansible has worked on {hosts}, and what it did there would count as done for this one."
        " Run this playbook in a run of its own; it has touched nothing."
        if hosts
        else ""
    )


def refused_hosts(
    groups: Mapping[str, Sequence[str]], migrators: str, application: str, playing: Collection[str], partly: bool, alone: bool
) -> str:
    """Return why a playbook must not run with these hosts; empty where it may.

    :param groups: those of the inventory, with their hosts.
    :param migrators: name of the group of the migrator, ``application`` of the one of the application's hosts.
    :param playing: the hosts that ``--limit`` has left.
    :param partly: whether the playbook may leave hosts of the application out.
    :param alone: whether the controller itself has what it takes, so that no host is needed.
    """
    hosts = taking_part(groups, migrators, application)
    if not hosts:
        others = sorted(set(map(str, groups)) - {"all", "ungrouped"})
        return "" if alone or not others else f"{no_hosts(application)} There are: {', '.join(others)}. No host was touched."
    needed = hosts[:1] if partly else hosts
    left_out = sorted(set(needed) - set(map(str, playing)))
    if not left_out:
        return ""
    reason = (
        "the database is looked at from there."
        if partly
        else "a deployment is of all application hosts and of the migrator: the others would go on with the old release on the"
        " new schema."
    )
    return (
        f"--limit leaves out {', '.join(left_out)}, and {reason} Run the playbook without --limit (in AWX, with an empty field"
        " Limit). No host was touched."
    )
