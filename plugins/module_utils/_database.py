# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The modules that work on a whole database: their options, and from parameters to outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from ._argspec import ArgumentSpec, application_spec, follow_spec
from ._background import Background, Tell, growing, values_of
from ._bridge import Bridge
from ._core.diff import text_diff
from ._errors import MigrationError
from ._jobs import Unfinished, follow
from ._worker.redaction import redactor_for

if TYPE_CHECKING:
    from ._worker.database import operations  # noqa: F401 - packed with the modules that work on whole databases

#: Guards that the option ``accept`` lifts.
GUARDS = ["logical_replication_slots", "subscriptions", "security_labels", "insufficient_space", "pooler", "database_missing"]
#: Of pg_dump.
FORMATS = ["custom", "directory", "plain"]
#: ``run_command`` of a module.
Run = Callable[..., "tuple[int, str, str]"]


def database_spec() -> ArgumentSpec:
    """Which database server, and in which Python the driver is."""
    return application_spec() + ArgumentSpec(
        options=dict(url=dict(type="str", no_log=True), chdir=dict(type="path")), required_one_of=(("url", "kubernetes"),)
    )


def _other_database() -> ArgumentSpec:
    return ArgumentSpec(options=dict(database=dict(type="str")))


def sessions_info_spec() -> ArgumentSpec:
    names = ("users", "exclude_users", "applications", "exclude_applications")
    globs = {name: dict(type="list", elements="str", default=[]) for name in names}
    return database_spec() + _other_database() + ArgumentSpec(options=globs)


def sessions_spec() -> ArgumentSpec:
    return sessions_info_spec() + ArgumentSpec(
        options=dict(
            wait=dict(type="float", default=30),
            terminate=dict(type="bool", default=False),
            terminate_wait=dict(type="float", default=10),
        )
    )


def snapshot_info_spec() -> ArgumentSpec:
    return database_spec() + ArgumentSpec(
        options=dict(
            maintenance_database=dict(type="str"),
            free_bytes=dict(type="int"),
            accept=dict(type="list", elements="str", default=[], choices=GUARDS),
        )
    )


def snapshot_spec() -> ArgumentSpec:
    return snapshot_info_spec() + ArgumentSpec(
        options=dict(
            state=dict(type="str", default="present", choices=["present", "restored", "absent", "pruned", "repaired"]),
            name=dict(type="str"),
            content=dict(type="str", default="copy", choices=["copy", "empty"]),
            template=dict(type="str"),
            revisions=dict(type="list", elements="str", default=[]),
            note=dict(type="str"),
            wait=dict(type="float", default=30),
            terminate=dict(type="bool", default=False),
            keep_count=dict(type="int"),
            keep_seconds=dict(type="float"),
            kinds=dict(type="list", elements="str", default=["snapshot"], choices=["snapshot", "before_restore", "side"]),
        ),
        required_if=(
            ("state", "restored", ("name",)),
            ("state", "absent", ("name",)),
            ("state", "pruned", ("keep_count", "keep_seconds"), True),
        ),
    )


def rows_spec() -> ArgumentSpec:
    return (
        database_spec()
        + _other_database()
        + ArgumentSpec(
            options=dict(
                count=dict(type="str", default="exact", choices=["exact", "estimate", "written"]),
                checksum=dict(type="bool", default=False),
                integrity=dict(type="bool", default=False),
                tables=dict(type="list", elements="str", default=[]),
                exclude=dict(type="list", elements="str", default=[]),
                statement_timeout=dict(type="float", default=0),
                wait=dict(type="float", default=2),
                since=dict(type="dict"),
            )
        )
    )


def program_spec() -> ArgumentSpec:
    return follow_spec() + ArgumentSpec(
        options=dict(
            argv=dict(type="list", elements="str", required=True),
            environment=dict(type="dict", default={}, no_log=False),
            chdir=dict(type="path"),
            grows=dict(type="path"),
        )
    )


def take_program(params: Mapping[str, Any], run: Callable[..., Any]) -> dict[str, Any]:
    """Run a program in this process, or as a job that tells how much it has written, and return the module's result.

    :raises MigrationError: as :func:`run_program`, and ``worker_died``.
    """
    if not (params.get("job") and params.get("grows")):
        return run_program(params, run)

    def work(descriptor: int, tell: Tell) -> Mapping[str, Any]:
        with growing(params["grows"], tell):
            return run_program(params, run)

    followed = follow(Background(work), {"environment": params["environment"]}, params)
    if isinstance(followed, Unfinished):
        return followed.as_result()
    return values_of(followed.answer(f"ran {params['argv'][0]}", "Run the task again."))


def run_program(params: Mapping[str, Any], run: Callable[..., Any]) -> dict[str, Any]:
    """Run a program and return the module's result.

    :param run: as AnsibleModule.run_command.
    :raises MigrationError: ``command_failed``, with what it printed.
    """
    environment = {str(name): str(value) for name, value in params["environment"].items()}
    command = [str(word) for word in params["argv"]]
    try:
        status, output, errors = run(command, environ_update=environment, cwd=params.get("chdir"), handle_exceptions=False)
    except OSError as exc:
        unable = {"cmd": command, "rc": exc.errno or 1, "stdout": "", "stderr": str(exc), "changed": False}
        raise MigrationError(f"{command[0]} can not be run: {exc.strerror}.", "command_failed", None, unable) from exc
    told = {"cmd": command, "stdout": output.rstrip("\n"), "stderr": errors.rstrip("\n")}
    shown = redactor_for({"environment": environment}).clean(told)
    facts = dict(shown, rc=status, changed=True)
    if status:
        said = "\n".join((shown["stderr"] or shown["stdout"]).splitlines()[-10:]) or "it printed nothing"
        raise MigrationError(f"{params['argv'][0]} ended with status {status}: {said}", "command_failed", None, facts)
    return facts


def archive_contents(path: str, folder: str | None, run: Run, deed: str = "read", more: Sequence[str] = ()) -> str:
    """Return the list that pg_restore makes of an archive of PostgreSQL, of a format that has one.

    :param folder: of pg_restore, where it is not on the PATH.
    :param deed: what is done with the archive, for the message.
    :param more: options of pg_restore that keep entries out of the list.
    :raises MigrationError: ``archive_failed``, with the words of pg_restore.
    """
    program = f"{folder}/pg_restore" if folder else "pg_restore"
    try:
        # a damaged one, or one of a database in another encoding, says what is no UTF-8, and no result of a module may hold that
        status, said, errors = run([program, "--list", *more, path], handle_exceptions=False, errors="replace")
    except OSError as exc:
        raise MigrationError(
            f"{program} can not be run: {exc.strerror}.", "archive_failed", "Install it, or set programs."
        ) from exc
    if status:
        raise MigrationError(f"The archive {path} can not be {deed}: {errors.strip()}", "archive_failed")
    return said


def run_database(
    bridge: Bridge, params: Mapping[str, Any], operation: str, check: bool = False, diff: bool = False
) -> dict[str, Any]:
    """Carry out an operation on a database and return the module's result.

    :raises MigrationError: what the worker says went wrong, with all that was found out until then.
    """
    request = {name: value for name, value in params.items() if value is not None and name not in ("python", "virtualenv")}
    reply = bridge.call(dict(request, operation=operation, check=check))
    error = reply["error"]
    if error:
        facts = {name: value for name, value in error.items() if name not in _TOLD and value is not None}
        raise MigrationError(str(error["message"]), error["kind"], error.get("hint"), facts)
    values: dict[str, Any] = dict(reply["facts"])
    for warning in values.pop("warnings"):
        bridge.warn(warning)
    names = values.pop("names", None)
    if diff and names:
        label = f"{values['database']} and its snapshots"
        values["diff"] = [text_diff(label, _lines(names["before"]), _lines(names["after"]))]
    return values


#: What of an error is told by other means, or only means something to those who work on the worker.
_TOLD = ("kind", "message", "hint", "revision", "traceback", "warnings", "file", "line", "source", "use_url")


def _lines(names: list[str]) -> str:
    return "".join(f"{name}\n" for name in names)
