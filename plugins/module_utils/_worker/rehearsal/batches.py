# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Code in PostgreSQL that commits as it goes: how the server would run each change of rows that its text has."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

from .. import server
from .pieces import COMMENTS

_CALLED = re.compile(r"\s*CALL\s+([\w.\"]+)\s*\(", re.I)
_SOURCE = "select prosrc, proargnames from pg_proc where oid::regproc = {}::regproc"
_CALLS_ON = re.compile(r"\b(?:EXECUTE|PERFORM|CALL)\b", re.I)  # what that does stands elsewhere
_CHANGES = re.compile(r"\b(?:UPDATE\s+[\w.\"]+\s+(?:AS\s+)?(?:\w+\s+)?SET|DELETE\s+FROM|INSERT\s+INTO|MERGE\s+INTO)\b[^;]*", re.I)
#: PostgreSQL manual, "Structure of PL/pgSQL" and "Control Structures".
_DECLARED = re.compile(r"\bDECLARE\b(.*?)\bBEGIN\b", re.I | re.S)
_FOR = re.compile(r"\bFOR(?:EACH)?\s+(\w+(?:\s*,\s*\w+)*)\s+IN\b", re.I)
_LOOP = re.compile(r"\bLOOP\b((?:(?!\bLOOP\b).)*)\bEND\s+LOOP\b", re.I | re.S)
_COMMIT = re.compile(r"\bCOMMIT\b", re.I)


def plans(dbapi: Any, statement: str) -> Iterator[Any]:
    """Yield the server's plan of each change of rows; None for one that is not known, or not known to be one batch of many.

    It is for a transaction that is undone.
    """
    called = _CALLED.match(COMMENTS.sub("", statement))
    source, names = statement, []
    if called:
        found = server.rows(dbapi, _SOURCE.format(server.literal(called.group(1))))
        source, names = (str(found[0][0]), found[0][1]) if len(found) == 1 else ("EXECUTE", [])
    source = COMMENTS.sub("", source)
    if _CALLS_ON.search(source):
        yield None
        return
    variables = _variables(source, names)
    committed = [match.group(1) for match in _LOOP.finditer(source) if _COMMIT.search(match.group(1))]
    server.value(dbapi, "set local plan_cache_mode = force_generic_plan")  # what a variable holds is not known
    for match in _CHANGES.finditer(source):
        text, count = _numbered(match.group(0), variables)
        looped = any(match.group(0) in body for body in committed)
        yield _explained(dbapi, text, count) if looped or not count else None


def _variables(source: str, arguments: Any) -> list[str]:
    declared = (piece.split() for match in _DECLARED.finditer(source) for piece in match.group(1).split(";"))
    looped = (re.split(r"\s*,\s*", match.group(1)) for match in _FOR.finditer(source))
    names = {*(words[0] for words in declared if words), *(name for each in looped for name in each), *(arguments or ())}
    return sorted(name.lower() for name in names if name)


def _numbered(text: str, variables: list[str]) -> tuple[str, int]:
    """Return a statement with parameters for the variables, as PL/pgSQL hands it to the server, and how many there are."""
    if not variables:
        return text, 0
    numbers: dict[str, int] = {}
    pattern = rf"'(?:[^']|'')*'|(?<![\w.$\"])(?:{'|'.join(map(re.escape, variables))})(?:\.\w+)?(?![\w(.\"])"

    def numbered(match: Any) -> str:
        found = match.group(0)
        return found if found.startswith("'") else f"${numbers.setdefault(found.lower(), len(numbers) + 1)}"

    return re.sub(pattern, numbered, text, flags=re.I), len(numbers)


def _explained(dbapi: Any, text: str, count: int) -> Any:
    server.value(dbapi, "savepoint dbops_batch")
    values = f"({', '.join(['null'] * count)})" if count else ""
    try:
        server.value(dbapi, f"prepare dbops_batch as {text}")
        found = server.value(dbapi, f"explain (verbose, format json) execute dbops_batch{values}")
        server.value(dbapi, "deallocate dbops_batch")
    except Exception:  # then it is none that the server would take like this
        found = None
        server.value(dbapi, "rollback to savepoint dbops_batch")
    server.value(dbapi, "release savepoint dbops_batch")
    return json.loads(found) if isinstance(found, str) else found
