# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Models against the database (check), and new revisions (revision)."""

from __future__ import annotations

import os
from typing import Any

from . import history, moved, project, target
from .environment import EnvironmentRun, Send, Visit
from .failure import Failure


def check(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Return the operations that would bring the database to the models, as ``alembic check`` finds them."""
    project.enter(request)
    versions = project.versions()
    moved.begin(request)
    environment, context = _comparing(request, send)
    environment.run()
    scripts = context.generated_revisions[-1]
    differences = [
        _difference(entry, operations.upgrade_token) for operations in scripts.upgrade_ops_list for entry in operations.as_diffs()
    ]
    databases = [{"database": visit.database, "current": sorted(visit.current)} for visit in environment.visits]
    return {"versions": versions, "databases": databases, "differences": differences}


def _comparing(request: dict[str, Any], send: Send) -> tuple[EnvironmentRun, Any]:
    from alembic import autogenerate

    config = project.load(request, "current")
    arguments = dict.fromkeys(("message", "branch_label", "version_path", "rev_id", "depends_on"))
    arguments.update(autogenerate=True, sql=False, head="head", splice=False)

    def compare(visit: Visit, heads: tuple[str, ...]) -> list[Any]:
        context.run_autogenerate(heads, visit.context)
        return []

    def prepare(visit: Visit) -> None:
        target.check_project(environment.script)
        target.check_known(environment.script, visit.current)
        pending = target.upgrade_steps(environment.script, "heads", visit.current)
        history.check_lengths(visit.context, pending)
        if pending:
            raise Failure(
                "database_behind",
                f"The database is at {', '.join(visit.current) or 'base'} and {len(pending)} revisions are pending.",
                "Upgrade it first; only then can the models be compared with it.",
            )

    environment = EnvironmentRun(request, config, compare, send, prepare)
    context = autogenerate.RevisionContext(config, environment.script, arguments)
    environment.options.update(template_args=context.template_args, revision_context=context)
    return environment, context


def _difference(entry: Any, name: str) -> dict[str, Any]:
    """Turn one of Alembic's diff tuples into plain data."""
    database = target.database_of(name)
    if isinstance(entry, list):  # changes of one column
        _operation, schema, table, column = entry[0][:4]
        details = "; ".join(f"{part[0].replace('modify_', '')}: {_text(part[5])} -> {_text(part[6])}" for part in entry)
        return {
            "operation": "modify_column",
            "schema": schema,
            "table": table,
            "name": column,
            "detail": details,
            "database": database,
        }
    operation, *rest = entry
    if operation in ("add_column", "remove_column"):
        schema, table, column = rest
        return {
            "operation": operation,
            "schema": schema,
            "table": table,
            "name": column.name,
            "detail": f"{column.name} {column.type}",
            "database": database,
        }
    item = rest[0]
    owner = getattr(item, "table", None)
    is_table = operation in ("add_table", "remove_table")
    return {
        "operation": operation,
        "schema": getattr(item if is_table else owner, "schema", None),
        "table": item.name if is_table else getattr(owner, "name", None),
        "name": None if is_table else str(getattr(item, "name", None) or ""),
        "detail": _text(item),
        "database": database,
    }


def _text(item: Any) -> str:
    try:
        return str(item)
    except Exception:  # a type that no dialect is bound to may not print
        return repr(item)


def revision(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Make a revision file: empty, from the models, or a merge of heads. With ``dry`` only say what would be made."""
    from alembic import command

    project.enter(request)
    versions = project.versions()
    config = project.load(request, "current")
    script = history.directory(config)
    made: list[dict[str, Any]] = []
    _without_version_table(command)
    if request["method"] == "merge":
        return {"versions": versions, "operations": [], "revisions": _merge(request, config, script)}
    if request.get("revision_id") and request["revision_id"] in target.graph(script):
        return {"versions": versions, "operations": [], "revisions": []}
    found = _Directives(request)
    arguments: dict[str, Any] = {name: request.get(name) for name in ("message", "branch_label", "version_path", "depends_on")}
    arguments["splice"] = bool(request.get("splice"))
    if request["method"] == "empty" and request.get("dry"):
        return {"versions": versions, "operations": [], "revisions": [_unmade(request)]}
    result = command.revision(
        config,
        autogenerate=request["method"] == "autogenerate",
        head=request.get("head") or "head",
        rev_id=request.get("revision_id"),
        process_revision_directives=found,
        **arguments,
    )
    scripts = result if isinstance(result, list) else [result]
    made = [_made(entry) for entry in scripts if entry is not None]
    if request.get("dry") and found.operations:
        made = [_unmade(request)]
    return {"versions": versions, "operations": found.operations, "revisions": made}


def _without_version_table(command: Any) -> None:
    """Let Alembic's own command run env.py as its ``current`` does: a database without a version table gets none."""
    make = command.EnvironmentContext
    command.EnvironmentContext = lambda *args, **options: make(*args, **dict(options, dont_mutate=True))


class _Directives:
    """Alembic's hook between comparing and writing: nothing to write means no file."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.operations: list[dict[str, Any]] = []

    def __call__(self, context: Any, heads: Any, directives: list[Any]) -> None:
        if self.request["method"] != "autogenerate" or not directives:
            return
        for operations in directives[0].upgrade_ops_list:
            self.operations += [_difference(entry, operations.upgrade_token) for entry in operations.as_diffs()]
        if self.request.get("dry") or all(operations.is_empty() for operations in directives[0].upgrade_ops_list):
            del directives[:]


def _merge(request: dict[str, Any], config: Any, script: Any) -> list[dict[str, Any]]:
    from alembic import command

    heads = [entry.revision for entry in script.get_revisions(request.get("heads") or "heads")]
    if len(heads) < 2:
        return []
    if request.get("dry"):
        return [dict(_unmade(request), down_revision=sorted(heads))]
    made = command.merge(
        config, heads, message=request.get("message"), branch_label=request.get("branch_label"), rev_id=request.get("revision_id")
    )
    return [_made(made)]


def _made(entry: Any) -> dict[str, Any]:
    with open(entry.path, encoding="utf-8") as file:
        return dict(target.describe_revision(entry), path=os.path.abspath(entry.path), content=file.read())


def _unmade(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "revision": request.get("revision_id"),
        "message": request.get("message") or "",
        "down_revision": [],
        "depends_on": [],
        "branch_labels": [],
        "path": None,
        "content": None,
    }
