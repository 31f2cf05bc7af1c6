# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How a deployment goes on that halted or was cut off: commands, each with what it will do."""

from __future__ import annotations

import re
import shlex
from typing import Any, Mapping, Sequence

_COMMAND = re.compile(r"(dbops\.alembic\.[a-z_]+(?: -e \S+)*): (.+)", re.DOTALL)
#: What a put back or a second try does with the database.
_DATABASE = {"restore": "puts the database back", "downgrade": "downgrades the database"}


def recover(does: str, **variables: object) -> str:
    """Return a remedy that is a command: the playbook recover with ``variables``, and what it ``does``."""
    given = "".join(f" -e {name}={value}" for name, value in variables.items())
    return f"dbops.alembic.recover{given}: {does}"


def program(inventories: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
    """Return the program as a shell takes it, with what it needs to find the same hosts: inventories and extra ``variables``."""
    given = [f"-e {shlex.quote(f'{name}={value}')}" for name, value in (variables or {}).items()]
    return " ".join(["ansible-playbook", *(f"-i {shlex.quote(path)}" for path in inventories), *given])


def command(playbook: str, program: str) -> str:
    """Return the command that runs ``playbook``, which may have variables behind it."""
    return f"{program} {playbook}"


def next_steps(decision: Mapping[str, Any], record: Mapping[str, Any], program: str) -> list[dict[str, str]]:
    """Return what an operator can do about a deployment that is not closed, each with a ``command`` (or none) and what it ``does``.

    :param program: the program with its inventory, to which the playbook is added.
    """
    remedies = [str(remedy) for remedy in decision.get("remedies") or []]
    if not any(_COMMAND.fullmatch(remedy) for remedy in remedies):
        remedies.append(recover(_goes_on(decision, record)))
    remedies.append("dbops.alembic.status: shows what runs where and where the database stands; it changes nothing.")
    return [_step(remedy, program) for remedy in remedies]


def _step(remedy: str, program: str) -> dict[str, str]:
    found = _COMMAND.fullmatch(remedy)
    return {"command": command(found.group(1), program), "does": found.group(2)} if found else {"command": "", "does": remedy}


def _goes_on(decision: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    release = record.get("from_release" if decision.get("code") == "from" else "to_release")
    starts = f"starts {'release ' + str(release) if release else 'the application'} where it does not serve"
    parts = ", ".join(part for part in (_DATABASE.get(str(decision.get("database"))), starts) if part)
    if decision.get("action") == "revert":
        return f"goes on with the way back, once what failed is put right: {parts}."
    if decision.get("action") == "finish":
        return f"goes on, once what failed is put right: {parts}."
    return "looks at database and hosts, and finishes or puts back."
