# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The history as it is loaded, and what contradicts itself between its revisions and the version table."""

from __future__ import annotations

import contextlib
import os
import types
from typing import Any, Callable, Iterable, Iterator, Sequence

from . import leading, revision_files
from .revision_files import damaged, names

#: Revisions that were loaded before env.py ran: path → when the file was changed, its size, and the module.
_KEPT: dict[str, tuple[int, int, Any]] = {}


def directory(config: Any) -> Any:
    """Return Alembic's ScriptDirectory of ``config``; it refuses a damaged history as soon as it loads it.

    :raises Failure: ``history_damaged``, later, when a revision is asked for.
    """
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    revisions = script.revision_map
    load = revisions._generator  # what its map of revisions is made from, once

    def checked() -> Iterator[Any]:
        with _loading_by(lambda original: revision_files.checked(_loaded(original) if _KEPT else original)):
            found = list(load())
        revision_files.check_together(found)
        return iter(found)

    checked.unchecked = load  # type: ignore[attr-defined]
    revisions._generator = checked
    return script


def keep(script: Any) -> None:
    """Load those revisions of ``script`` that depend on libraries alone, for all that this process is going to run.

    Alembic keeps nothing of a revision but its module, and makes the rest from that each time.
    """
    places: list[tuple[Any, Any]] = []

    def noted(folder: Any, name: Any, *rest: Any) -> Any:
        places.append((folder, name))
        stand_in = types.ModuleType("noted")
        stand_in.revision, stand_in.down_revision = f"noted{len(places)}", None  # type: ignore[attr-defined]
        return stand_in

    from alembic import util

    with _loading_by(lambda original: noted):
        list(script.revision_map._generator.unchecked())
    for folder, name in places:
        path = os.path.join(str(folder), str(name))
        found = os.stat(path)
        with open(path, encoding="utf-8") as file:
            plain = path.endswith(".py") and leading.is_plain(file.read())
        if plain:
            _KEPT[path] = (found.st_mtime_ns, found.st_size, util.load_python_file(folder, name))


def _loaded(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(folder: Any, name: Any, *rest: Any) -> Any:
        path = os.path.join(str(folder), str(name))
        kept = _KEPT.get(path)
        if kept:
            found = os.stat(path)
            if kept[:2] == (found.st_mtime_ns, found.st_size):
                return kept[2]
        return original(folder, name, *rest)

    return load


@contextlib.contextmanager
def _loading_by(made: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Let Alembic load revisions by what ``made`` makes of its own function."""
    from alembic import util

    original = util.load_python_file
    util.load_python_file = made(original)
    try:
        yield
    finally:
        util.load_python_file = original


def heads_of(context: Any) -> tuple[str, ...]:
    """Return what the version table holds, which is there; Alembic would ask for that once more."""
    context._has_version_table = lambda: True
    try:
        return tuple(context.get_current_heads())
    finally:
        del context._has_version_table


def check_version_table(table: str, current: Iterable[str], script: Any) -> None:
    """Refuse a version table that holds a revision beside one that it follows.

    Only ``down_revision`` counts: of a revision that is depended on (``depends_on``) the row may stay.
    """
    rows = sorted(current)
    for name in rows if len(rows) > 1 else ():
        for older in sorted(_before(script, name) & set(rows)):
            kept = ",".join(row for row in rows if row != older)
            raise damaged(
                f"{table} holds {', '.join(rows)}, and {older} comes before {name}: its row was left behind.",
                f"See that the database really is at {kept}, then alembic_stamp with revision={kept} and purge=true.",
                [],
            )


def _before(script: Any, name: str) -> set[str]:
    seen: set[str] = set()
    todo = [name]
    while todo:
        for older in names(script.get_revision(todo.pop()).down_revision):
            if older not in seen:
                seen.add(older)
                todo.append(older)
    return seen


def check_lengths(context: Any, steps: Sequence[Any], stored: Sequence[str] = ()) -> list[str]:
    """Refuse revisions whose id does not fit into the version table, before the first of them has run.

    Alembic makes the column with 32 characters; the statement that writes a longer id fails at the end of its revision. One
    that comes after a revision which may widen the column is to be looked at when its turn comes: what to tell of such is returned.

    :param stored: what the version table holds: where none is longer than that, nobody has to be asked how long the column is.
    """
    ids = [len(step.revision.revision) for step in steps if getattr(step, "revision", None) is not None]
    if max(ids, default=0) <= max(map(len, stored), default=0):
        return []
    longest = _column_length(context)
    doubtful: list[str] = []
    widens: str | None = None
    for step in steps if longest is not None else ():
        revision = getattr(step, "revision", None)
        if revision is None:
            continue
        if len(revision.revision) > longest:  # type: ignore[operator]
            name, table = revision.revision, context.version_table
            told = (
                f"The revision id {name!r} in {revision.path} has {len(name)} characters, and the column {table}.version_num holds "
            )
            if widens is None:
                raise damaged(
                    f"{told}{longest}.",
                    f"Shorten the id, in the revisions that follow it too, or widen the column first: ALTER TABLE {table} ALTER "
                    "COLUMN version_num TYPE varchar(128) on PostgreSQL. A revision before it may do that.",
                    [str(revision.path)],
                )
            doubtful.append(f"{told}{longest} now. {widens} speaks of that column: whether it widens it is seen when it has run.")
        elif widens is None and _speaks_of(revision.path, ("version_num", context.version_table)):
            widens = str(revision.revision)
    return doubtful


def _speaks_of(path: Any, words: Iterable[str]) -> bool:
    try:
        with open(str(path), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    return any(word in text for word in words)


def _column_length(context: Any) -> int | None:
    """Return how many characters the version table takes; None where the database does not mind."""
    from sqlalchemy import inspect

    if context.as_sql or context.dialect.name == "sqlite":
        return None
    table = context._version
    inspector = inspect(context.connection)
    if inspector.has_table(table.name, schema=table.schema):
        columns = inspector.get_columns(table.name, schema=table.schema)
        found = [getattr(column["type"], "length", None) for column in columns if column["name"].lower() == "version_num"]
        return found[0] if found else None
    length: int | None = getattr(table.c.version_num.type, "length", None)
    return length
