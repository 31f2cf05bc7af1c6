# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The module database_schema: one schema of a PostgreSQL database is put back to what an archive holds."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Mapping

from ._argspec import ArgumentSpec
from ._bridge import Bridge
from ._core import schema_restore
from ._core.aside import aside
from ._core.diff import text_diff
from ._core.schema_restore import Contents
from ._database import Run, archive_contents, database_spec, run_database
from ._errors import MigrationError

if TYPE_CHECKING:
    from ._worker.schema import operations  # noqa: F401 - packed with the module that restores one


def schema_spec() -> ArgumentSpec:
    common = database_spec()
    options = {name: option for name, option in common.options.items() if name != "kubernetes"}
    return ArgumentSpec(
        options=dict(
            options,
            url=dict(type="str", required=True, no_log=True),
            schema=dict(type="str", required=True),
            archive=dict(type="path", required=True),
            version_table=dict(type="str", default="alembic_version"),
            keep_as=dict(type="str"),
            lock_wait=dict(type="float", default=30),
            lock_timeout=dict(type="float", default=30),
            programs=dict(type="path"),
        ),
        mutually_exclusive=common.mutually_exclusive,
    )


def run_schema(bridge: Bridge, params: Mapping[str, Any], run: Run, now: float, dry: bool = False) -> dict[str, Any]:
    """Put the schema back, or only read what there is, and return the module's result.

    :param run: ``run_command`` of the module.
    :param now: seconds since 1970.
    :raises MigrationError: why it can not be put back, before anything is touched; or what stopped it, when all is as it was.
    """
    schema = params["schema"]
    found = _contents(params, run)
    stamp = time.strftime("%Y%m%dt%H%M%Sz", time.gmtime(now))
    keep_as = params.get("keep_as") or aside(schema, stamp)
    common = {name: params.get(name) for name in database_spec().options if name != "kubernetes"}
    facts = run_database(bridge, {**common, "schema": schema, "keep_as": keep_as}, "database_schema_info")["facts"]
    refused = list(schema_restore.refusals(found, facts, schema, params["version_table"], keep_as))
    if refused:
        why = " ".join(f"{item.why} {item.remedy}" for item in refused)
        raise MigrationError(f"The schema {schema} is not restored, and nothing was touched. {why}", refused[0].kind)
    request = {
        **common,
        **{name: params.get(name) for name in ("schema", "archive", "version_table", "lock_wait", "lock_timeout", "programs")},
        "entries": list(found.lines),
        "foreign_keys": list(found.foreign_keys),
        "policies": list(found.policies),
        "keep_as": keep_as,
        "present": facts["owner"] is not None,
        "server": facts["server"],
    }
    told = run_database(bridge, request, "database_schema", dry)
    told["revisions"] = schema_restore.revisions(told.pop("version_rows"))
    told.update(schema=schema, present=facts["owner"] is not None)
    if dry:
        rows = run_database(bridge, {**common, "schema": schema, "keep_as": keep_as, "count": True}, "database_schema_info")["rows"]
        before, after = schema_restore.difference(rows, told["tables"])
        told.update(rows=rows, kept=keep_as if told["present"] else None, diff=text_diff(f"schema {schema}", before, after))
    return told


def _contents(params: Mapping[str, Any], run: Run) -> Contents:
    """Return what the archive holds of the schema.

    :raises MigrationError: ``archive_missing``, ``archive_failed``.
    """
    archive, schema = params["archive"], params["schema"]
    if not os.path.exists(archive):
        raise MigrationError(f"There is no archive {archive}.", "archive_missing", "Name one that is there.")
    if os.path.isfile(archive) and _is_plain(archive):
        raise MigrationError(
            f"The archive {archive} is of the format plain, of which no schema can be taken by itself.",
            "archive_failed",
            "Take one of the format custom or directory (backup_archive_format), or read this one into a scratch database, write an"
            " archive of that, and restore from it.",
        )
    listing = archive_contents(archive, params.get("programs"), run)
    inside = archive_contents(archive, params.get("programs"), run, more=[f"--schema={schema}"])
    found = schema_restore.contents(listing, inside, schema)
    if found is None:
        refusal = schema_restore.absent(archive, schema, schema_restore.schemas(listing))
        raise MigrationError(f"{refusal.why} Nothing was touched.", refusal.kind, refusal.remedy)
    return found


def _is_plain(archive: str) -> bool:
    with open(archive, "rb") as file:
        return file.read(5) != b"PGDMP"
