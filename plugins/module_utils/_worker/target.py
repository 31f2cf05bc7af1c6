# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which revisions a target means. Validated here first: what Alembic does with a wrong one differs between its versions."""

from __future__ import annotations

import re
from typing import Any, Iterable, Sequence

from . import history
from .failure import Failure
from .revision_files import names

_RELATIVE = re.compile(r"^(?:(?P<branch>[^@+-][^@]*)@)?(?P<revision>[^@+-]\w*)?(?P<step>[+-]\d+)$")


def targets(text: str) -> tuple[str, ...]:
    """Split a target: several are given with commas (stamp)."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise Failure(
            "target_invalid",
            "The target revision is empty.",
            "Name a revision, 'head', 'heads', 'base' or a relative target such as +1.",
        )
    return found


def check_upgrade(script: Any, target: str) -> None:
    """Refuse an upgrade target that Alembic would misread, or that is several heads where one was asked for."""
    targets(target)
    relative = _RELATIVE.match(target)
    if relative and relative.group("step").startswith("-") and not relative.group("revision"):
        raise Failure(
            "target_invalid",
            f"{target!r} is no target for an upgrade: it points backwards.",
            "Use alembic_downgrade, or a target such as +1 or head.",
        )
    if target == "base" or target.endswith("@base"):
        raise Failure("target_invalid", f"{target!r} is no target for an upgrade: it points backwards.", "Use alembic_downgrade.")
    _check_head(script, target)


def check_downgrade(target: str, current: Sequence[str]) -> None:
    """Refuse a downgrade target that points forwards, or a relative one from several heads."""
    targets(target)
    relative = _RELATIVE.match(target)
    if (
        target in ("head", "heads")
        or target.endswith(("@head", "@heads"))
        or (relative and relative.group("step").startswith("+") and not relative.group("revision"))
    ):
        raise Failure(
            "target_invalid",
            f"{target!r} is no target for a downgrade: it points forwards.",
            "Use alembic_upgrade, or a target such as -1, base or a revision.",
        )
    if relative and not relative.group("revision") and not relative.group("branch") and len(current) > 1:
        raise Failure(
            "target_invalid",
            f"{target!r} is ambiguous: the database is at several heads ({', '.join(sorted(current))}).",
            "Name the branch (branch@-1) or the revision to go to.",
        )


def _check_head(script: Any, target: str) -> None:
    heads = script.get_heads()
    if target == "head" and len(heads) > 1:
        raise Failure(
            "multiple_heads",
            f"The scripts have {len(heads)} heads ({', '.join(sorted(heads))}) and the target is 'head'.",
            "Merge them in the project (alembic_revision, method: merge), name one (branch@head), or ask for all with 'heads'.",
            heads=sorted(heads),
        )


def check_project(script: Any) -> None:
    """Refuse a project without revisions: a wrong version_locations otherwise looks like "nothing to do"."""
    if not list(script.get_heads()):
        raise Failure(
            "no_migrations",
            f"No revisions were found below {script.dir}.",
            "Check script_location and version_locations, and chdir when they are relative.",
        )


def check_known(script: Any, current: Iterable[str]) -> None:
    """Refuse a database at a revision that the scripts do not have, or with a version table that contradicts them."""
    missing = unknown(script, current)
    if missing:
        raise Failure(
            "database_ahead",
            f"The database is at revision {', '.join(missing)}, which is not in {script.dir}: "
            "it is ahead of this release, or belongs to another project.",
            "Deploy the release that has this revision first, or downgrade with its scripts.",
            unknown=missing,
        )
    history.check_version_table("The version table", current, script)


def unknown(script: Any, current: Iterable[str]) -> list[str]:
    """Return the revisions among ``current`` that the scripts do not have."""
    known = graph(script)
    return sorted(revision for revision in current if revision not in known)


def upgrade_steps(script: Any, target: str, current: Sequence[str]) -> list[Any]:
    check_project(script)
    check_upgrade(script, target)
    check_known(script, current)
    return list(_asking(target, lambda: script._upgrade_revs(target, tuple(current))))


def downgrade_steps(script: Any, target: str, current: Sequence[str]) -> list[Any]:
    check_project(script)
    check_downgrade(target, current)
    check_known(script, current)
    if not current:
        return []
    return list(_asking(target, lambda: script._downgrade_revs(target, tuple(current))))


def stamp_steps(script: Any, target: str, current: Sequence[str]) -> list[Any]:
    check_project(script)
    for part in targets(target):
        if _RELATIVE.match(part):
            raise Failure(
                "target_invalid", f"{part!r} is no target for a stamp: it is relative.", "Name the revision, head, heads or base."
            )
        _check_head(script, part)
    check_known(script, current)
    steps = _asking(target, lambda: script._stamp_revs(targets(target), tuple(current)))
    return [step for step in steps if set(step.from_revisions) != set(step.to_revisions)]


def _asking(target: str, plan: Any) -> Any:
    """Turn what Alembic says of a target into our words."""
    try:
        return plan()
    except AttributeError as exc:  # a revision file without upgrade() or downgrade(): Alembic looks for it when it plans
        module = getattr(getattr(exc, "obj", None), "__file__", None)
        where = module or str(exc)
        raise Failure(
            "migration_failed", f"A revision on the way to {target!r} lacks the function for it ({where}).", file=module
        ) from exc
    except AssertionError as exc:  # what Alembic has for a step that leads out of the history
        raise Failure(
            "target_invalid",
            f"The target {target!r} can not be reached: it is beyond the first or the last revision.",
            "alembic_info lists the revisions and branches.",
        ) from exc
    except Exception as exc:
        if type(exc).__name__ not in ("CommandError", "RevisionError", "ResolutionError", "RangeNotAncestorError"):
            raise
        text = str(exc).strip()
        kind = (
            "revision_unknown"
            if "can't locate" in text.lower() or "no such revision" in text.lower() or "no such branch" in text.lower()
            else "target_invalid"
        )
        raise Failure(
            kind, f"The target {target!r} can not be reached: {text.rstrip('.')}.", "alembic_info lists the revisions and branches."
        ) from exc


def graph(script: Any) -> dict[str, list[str]]:
    """Return revision → the revisions it follows, dependencies included."""
    parents = {}
    for revision in script.walk_revisions():
        parents[revision.revision] = names(revision.down_revision) + names(
            getattr(revision, "_resolved_dependencies", None) or revision.dependencies
        )
    return parents


def ancestors(parents: dict[str, list[str]], revisions: Iterable[str]) -> set[str]:
    """Return ``revisions`` and all that they follow."""
    todo = list(revisions)
    seen: set[str] = set()
    while todo:
        revision = todo.pop()
        if revision not in seen:
            seen.add(revision)
            todo.extend(parents.get(revision, ()))
    return seen


def describe_revision(revision: Any) -> dict[str, Any]:
    """Return what a reply says of a script."""
    return {
        "revision": revision.revision,
        "message": (revision.doc or "").strip(),
        "down_revision": names(revision.down_revision),
        "depends_on": names(revision.dependencies),
        "branch_labels": sorted(names(revision.branch_labels)),
        "path": os_path(revision),
    }


def os_path(revision: Any) -> str | None:
    path = getattr(revision, "path", None)
    return str(path) if path else None


def describe_step(step: Any) -> dict[str, Any]:
    """Return what a reply says of a step: a revision to run, or the version rows that a stamp changes."""
    revision = getattr(step, "revision", None)
    if revision is not None:
        return describe_revision(revision)
    return {
        "revision": ",".join(step.to_revisions) or "base",
        "message": "stamp",
        "down_revision": list(step.from_revisions),
        "depends_on": [],
        "branch_labels": [],
        "path": None,
    }


def database_of(token: str | None) -> str | None:
    """Return the database's name in an ``upgrade_token``: the multidb template has "engine1_upgrades", others "upgrades"."""
    name = (token or "")[: -len("upgrades")].rstrip("_") if (token or "").endswith("upgrades") else token
    return name or None
