# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the story of a run calls the work of each module, and what it tells of a result. Plain Python."""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core import next_steps

from ._failure_text import shortened, text
from ._text import joined, part, size

Result = Mapping[str, Any]
Arguments = Mapping[str, Any]

OURS = "dbops.alembic."
#: The action that shows the summary of a run.
SUMMARY = OURS + "deployment_summary"
ARCHIVING = "Write the archive"
#: Modules of ours whose work is a step of its own, within a play of one host. Others belong to the step of their play.
DEEDS: dict[str, str] = {
    "alembic_plan": "Rehearse the pending revisions",
    "database_preflight": "Rehearse the pending revisions",
    "alembic_upgrade": "Upgrade the database",
    "alembic_downgrade": "Downgrade the database",
    "alembic_fleet": "Upgrade many databases",
    "alembic_stamp": "Stamp the database",
    "alembic_check": "Compare the models with the database",
    "backfill": "Fill rows",
    "database_steps": "Work on the database",
    "database_sessions": "Prove that no session is left",
    "database_snapshot": "Snapshot the database",
    "database_archive": ARCHIVING,
    "kubernetes_archive": ARCHIVING,
    "kubernetes_job": "Run the migration's Job",
}
#: Where the option ``state`` says that the module does something else.
OTHERWISE: dict[tuple[str, str], str] = {
    ("alembic_fleet", "listed"): "Find out which databases there are",
    ("alembic_fleet", "current"): "Read where many databases stand",
    ("alembic_fleet", "planned"): "Rehearse for many databases",
    ("alembic_fleet", "downgraded"): "Downgrade many databases",
    ("alembic_fleet", "stamped"): "Stamp many databases",
    ("alembic_fleet", "returned"): "Put many databases back",
    ("alembic_fleet", "pruned"): "Remove old snapshots",
    ("database_snapshot", "restored"): "Put the snapshot back",
    ("database_snapshot", "absent"): "Remove old snapshots",
    ("database_snapshot", "pruned"): "Remove old snapshots",
    ("kubernetes_archive", "restored"): "Restore the archive",
}
#: What they do in check mode, where that is something else.
PREVIEWS: dict[str, str] = {
    "alembic_upgrade": "Show what the upgrade would run",
    "alembic_downgrade": "Show what the downgrade would run",
}
#: Actions that never are work of their own: they decide, keep or show something.
SILENT = re.compile(
    r"^(?:(?:ansible\.(?:builtin|legacy)\.)?(?:set_fact|set_stats|debug|meta|include\w*|import\w*|assert|fail|add_host|group_by"
    r"|validate_argument_spec)|dbops\.alembic\.(?:deployment_record|deployment_summary))$"
)
#: Actions that only bring other tasks, whoever wrote them.
INCLUDES = re.compile(r"^(?:ansible\.(?:builtin|legacy)\.)?(?:meta|include\w*|import\w*)$")
_DEBUG = re.compile(r"^(?:ansible\.(?:builtin|legacy)\.)?debug$")


def short(action: str) -> str:
    """Return the name of a module of ours without its collection; empty for others."""
    return action[len(OURS) :] if action.startswith(OURS) else ""


def deed(action: str, arguments: Arguments, check_mode: bool = False) -> str:
    """Return what a task with that module does, in words; empty where it is no step of its own.

    :param arguments: as the task has them, templates and all.
    """
    name = short(action)
    if check_mode and name in PREVIEWS:
        return PREVIEWS[name]
    return OTHERWISE.get((name, str(arguments.get("state"))), DEEDS.get(name, ""))


def told(action: str, result: Result) -> str:
    """Return what is worth telling of a result, in a few words; empty where nothing is."""
    writer = _TOLD.get(short(action))
    return writer(result) if writer else ""


def said(action: str, result: Result) -> list[str]:
    """Return what a task shows on purpose: the message of a debug."""
    message = result.get("msg") if _DEBUG.match(action) else None
    texts = message if isinstance(message, list) else [] if message is None else [message]
    return [line for text in texts for line in str(text).splitlines()]


def _moved(result: Result) -> str:
    applied = [step for entry in result.get("databases") or () for step in entry.get("applied") or ()]
    after = [revision for entry in result.get("databases") or () for revision in entry.get("after") or ()]
    count = "1 revision" if len(applied) == 1 else f"{len(applied)} revisions"
    return f"{count}, now at {joined(dict.fromkeys(after), 'base')}" if applied else ""


def _stepped(result: Result) -> str:
    kinds = {step["step"] for step in result.get("steps") or ()}
    if "restore" in kinds:
        return "the snapshot is back"
    if "downgrade" in kinds:
        return "downgraded"
    return _moved(result) or ("seen where it stands" if "look" in kinds else "")


def _counted(result: Result) -> str:
    counts = part(result.get("counts"))
    return ", ".join(
        f"{counts[name]} {name.replace('_', ' ')}" for name in ("changed", "unchanged", "failed", "not_begun") if counts.get(name)
    )


def _planned(result: Result) -> str:
    return str(result.get("route") or "").replace("_", " ")


def _found_out(result: Result) -> str:
    return _planned(part(result.get("rehearsal"))) or ("" if part(result.get("plan")).get("pending") else "nothing is pending")


def _written(result: Result) -> str:
    archive = part(result.get("archive")) or result
    return size(archive["bytes"]) if archive.get("bytes") else ""


def _filled(result: Result) -> str:
    return "{} rows".format(result["rows"]) if result.get("rows") else ""


_TOLD: dict[str, Callable[[Result], str]] = {
    "alembic_upgrade": _moved,
    "alembic_downgrade": _moved,
    "database_steps": _stepped,
    "alembic_fleet": _counted,
    "alembic_plan": _planned,
    "database_preflight": _found_out,
    "database_archive": _written,
    "kubernetes_archive": _written,
    "backfill": _filled,
}


def cause(result: Result, lines: int) -> list[str]:
    """Return why a task failed, as the filter failure_text tells it, with ``lines`` at most of each log."""
    if result.get("censored"):
        return ["The result is hidden, as no_log of the task asks for."]
    return shortened([line for line in text(result).splitlines() if line.strip()], lines)


def one_line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def reminded(lines: list[str], causes: list[str]) -> list[str]:
    """Return the lines of what is refused, without the causes in them that were told before."""
    text = whole = one_line(lines)
    for cause_ in sorted(causes, key=len, reverse=True):
        if len(cause_) > _WORTH:
            text = text.replace(cause_, "as told above.")
    return lines if text == whole else [text]


#: Characters of a cause from which on leaving it out is worth it.
_WORTH = 40


def next_command(
    playbook: str, inventories: list[str], reported: Mapping[str, Any], failed: bool, interrupted: bool = False
) -> str:
    """Return the command that is next after a run; empty where none is, or where the summary has told the commands that go on.

    :param playbook: the name of the playbook as it was called; the others of this collection are called in the same way.
    :param reported: ``dbops_deployment``; empty where no deployment was reported.
    """
    if interrupted and playbook in _RECORDED:
        return next_steps.command(OURS + "recover", next_steps.program(inventories))
    outcome = str(reported.get("outcome") or "")
    if not playbook.startswith(OURS) or not (failed or outcome) or reported.get("next"):
        return ""
    name = _NEXT.get(outcome, "status" if failed else "")
    if not name or name == playbook[len(OURS) :]:
        return ""
    return next_steps.command(OURS + name, next_steps.program(inventories))


#: Playbooks that keep a record, and may leave it open.
_RECORDED = tuple(OURS + name for name in ("maintenance_window", "rolling", "rollback", "recover", "restore"))
#: Outcome of a deployment → the playbook that says or does what is next.
_NEXT = {"finished": "", "nothing_to_do": "", "checked": "", "reverted": "status", "halted": "recover", "open": "recover"}
