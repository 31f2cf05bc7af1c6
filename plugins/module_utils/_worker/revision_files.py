# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Revision files that Alembic can not make a history of: each is named, with what is wrong in it and the remedy.

Alembic itself ends at most of these with the error of a line of its own, such as ``KeyError: '0099'``.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Sequence

from .failure import Failure, describe, is_database_error

#: What Alembic refuses in an id, since it means a branch or a relative revision. Source: alembic.script.revision of 1.8 to 1.13;
#: later ones refuse a colon too, which the older ones run.
_RESERVED = ("@", "+", "-")
#: Names of files of Alembic 0.1, which had the id in the name alone. Source: alembic.script.base.
_WITHOUT_ID = re.compile(r"[a-f0-9]+\.py")


def checked(load: Callable[..., Any]) -> Callable[..., Any]:
    """Return Alembic's function that loads a file so that it refuses what is no revision.

    :raises Failure: ``history_damaged``, later, where a file does not say which revision it is. ``environment_failed`` where it is
        no Python, or its own code fails in a way that has no kind of its own.
    """

    def checking(folder: Any, name: Any, *rest: Any) -> Any:
        path = os.path.join(str(folder), str(name))
        try:
            module = load(folder, name, *rest)
        except Failure:
            raise
        except Exception as problem:
            if isinstance(problem, SyntaxError) or "null bytes" in str(problem):  # which is one from Python 3.12 on
                raise _unreadable(path, problem) from None
            told = describe(problem)
            if is_database_error(problem) or told["kind"] != "environment_failed":
                raise  # that is classified by itself: a missing driver, a server that is not there
            raise Failure(
                "environment_failed",
                f"{path} could not be loaded: {told['message']}.",
                "The application's Python loads it whenever the history is read: install what it imports there, or mend the file; "
                "a project that needs its framework set up first takes a prelude.",
                file=path,
                traceback=told["traceback"],
            ) from problem
        _check_module(path, module)
        return module

    return checking


def _unreadable(path: str, problem: Exception) -> Failure:
    return Failure(
        "environment_failed",
        f"{path} is no Python: {type(problem).__name__}: {problem}.",
        "Mend the file; look for what a merge or an editor has left in it.",
        file=path,
    )


def _check_module(path: str, module: Any) -> None:
    own = vars(module)
    if "revision" not in own and "down_revision" in own and _WITHOUT_ID.fullmatch(os.path.basename(path)):
        return
    for name in ("revision", "down_revision"):
        if name not in own:
            raise damaged(
                f"{path} has no variable {name}, and Alembic takes every Python file of that folder for a revision.",
                "Write revision and down_revision as in the files beside it, or move what is no revision to another folder.",
                [path],
            )
    if not isinstance(own["revision"], str) or not own["revision"].strip():
        raise damaged(
            f"revision in {path} is {own['revision']!r}, which is no id.", "Write it as text in quotes: revision = '0002'.", [path]
        )
    held = [character for character in _RESERVED if character in own["revision"]]
    if held:
        raise damaged(
            f"The revision id {own['revision']!r} in {path} holds {' '.join(held)}, which means a branch or a relative revision.",
            "Use letters, digits and _, in the down_revision of the revisions that follow it too.",
            [path],
        )
    for name in ("down_revision", "depends_on"):
        given = own.get(name)
        several = given if isinstance(given, (list, tuple, set, frozenset)) else [given] if given is not None else []
        if not all(isinstance(item, str) for item in several):
            raise damaged(
                f"{name} in {path} is {given!r}, which is no id.", f"Write it as text in quotes, or {name} = None.", [path]
            )
        if own["revision"] in several:
            raise _circle([path], [own["revision"]] * 2)


def check_together(revisions: Sequence[Any]) -> None:
    """Refuse an id or a label that two files have, a revision that no file has, and revisions that go round in a circle.

    :param revisions: Alembic's, of all files.
    :raises Failure: ``history_damaged``.
    """
    files: dict[str, list[str]] = {}
    labels: dict[str, list[str]] = {}
    for revision in revisions:
        files.setdefault(revision.revision, []).append(str(revision.path))
        for label in names(getattr(revision.module, "branch_labels", None)):
            labels.setdefault(label, []).append(str(revision.path))
    for name, paths in files.items():
        if len(paths) > 1:
            raise damaged(
                f"{_listed(paths)} have the same revision id {name!r}, so only one of them would ever run.",
                "Give each file an id of its own, and let the later one follow the earlier one with down_revision. Mind which of "
                "them has run on your databases already.",
                paths,
            )
    for label, paths in labels.items():
        if len(paths) > 1:
            raise damaged(
                f"{_listed(paths)} have the same branch label {label!r}.",
                "A label belongs to one revision, and holds for those that follow it: take it out of the others.",
                paths,
            )
    for revision in revisions:
        for name in names(revision.down_revision):
            if name not in files:
                raise _missing(revision, "down_revision", name, files)
        for name in names(revision.dependencies):
            if name not in files and name not in labels:
                raise _missing(revision, "depends_on", name, files)
    _check_circles({revision.revision: revision for revision in revisions})


def _check_circles(revisions: dict[str, Any]) -> None:
    """Walk from each revision to those before it; who comes to itself is in a circle."""
    done: set[str] = set()
    for start in sorted(revisions):
        way: list[str] = []
        turns = [iter([start])]
        while turns:
            name = next(turns[-1], None)
            if name is None:
                turns.pop()
                done.update(way[-1:])
                del way[-1:]
            elif name in way:
                circle = way[way.index(name) :]
                raise _circle([str(revisions[one].path) for one in circle], [*circle, name])
            elif name not in done and name in revisions:
                way.append(name)
                revision = revisions[name]
                turns.append(iter([*names(revision.down_revision), *names(revision.dependencies)]))


def _circle(paths: Sequence[str], names_of_it: Sequence[str]) -> Failure:
    what = "follows itself" if len(paths) == 1 else "follow each other in a circle"
    return damaged(
        f"{_listed(paths)} {what} ({' after '.join(names_of_it)}), so none of it could ever be the first.",
        "Let the earlier one follow what was there before: down_revision and depends_on name what has to run first.",
        paths,
    )


def _missing(revision: Any, variable: str, name: str, files: dict[str, list[str]]) -> Failure:
    path = str(revision.path)
    meant = [known for known, paths in files.items() if name in (_stem(paths[0]), os.path.basename(paths[0]))]
    meant = meant or [known for known in files if known.startswith(name) or (name.startswith(known) and len(known) > 3)]
    what = f"{variable} {name!r} in {path} is the id of no revision file"
    if len(meant) == 1:
        other = files[meant[0]][0]
        why = "It is the name of a file" if name in (_stem(other), os.path.basename(other)) else "It looks like another"
        return damaged(f"{what}. {why}: the id in {other} is {meant[0]!r}.", f"Write {variable} = {meant[0]!r}.", [path, other])
    return damaged(
        f"{what}.",
        "Bring the file with this id into the release (it may not have been committed or copied), or name the revision meant.",
        [path],
    )


def damaged(message: str, hint: str, files: Sequence[str]) -> Failure:
    """Return the failure of a history that has to be mended, with the file to begin with."""
    return Failure("history_damaged", message, hint, **({"file": files[0]} if files else {}))


def names(value: Any) -> list[str]:
    """Return what a revision file gives as one name, as several, or not at all, as a list."""
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


def _listed(paths: Sequence[str]) -> str:
    return f"{', '.join(paths[:-1])} and {paths[-1]}" if len(paths) > 1 else "".join(paths)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
