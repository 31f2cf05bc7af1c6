# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""SQL as PostgreSQL's own parser reads it (pglast), where that is installed, and never needed.

Each action of an ALTER TABLE becomes a statement by itself, and each has the one spelling that the parser's printer gives it. The
body of a DO block in PL/pgSQL becomes its statements, where it holds no other than those that its text shows.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import Any, Iterator

#: What a body in PL/pgSQL may hold besides SQL, as the parser calls it; PERFORM, EXECUTE and the like run what is not seen.
_CONTROL = {
    f"PLpgSQL_{name}"
    for name in (
        *("function", "var", "type", "expr", "stmt_block", "stmt_return"),
        *("row", "stmt_if", "if_elsif", "stmt_loop", "stmt_while", "stmt_exit"),
        *("stmt_getdiag", "diag_item", "stmt_assign", "stmt_fori", "stmt_execsql"),
    )
}


def read(sql: str) -> dict[str, Any] | None:
    """Return the name of the ``parser`` and the ``statements``, each with its ``sql`` and its ``end`` in the text, or None.

    None says that there is no parser here, or that this is no SQL for it.
    """
    try:
        pglast, stream = (importlib.import_module(name) for name in ("pglast", "pglast.stream"))
    except ImportError:
        return None
    try:
        statements = [
            {"sql": text, "end": _end(sql, raw)}
            for raw in pglast.parse_sql(sql)
            for text in _texts(pglast, stream.RawStream, sql, raw)
        ]
    except Exception:  # its errors are of several kinds; what it does not read, we do
        return None
    version = ".".join(map(str, pglast.get_postgresql_version()))
    return {
        "parser": f"pglast {str(pglast.__version__).lstrip('v')} (the parser of PostgreSQL {version})",
        "statements": statements,
    }


def _end(sql: str, raw: Any) -> int:
    return raw.stmt_location + raw.stmt_len + 1 if raw.stmt_len else len(sql)


def _texts(pglast: Any, stream: Any, sql: str, raw: Any) -> list[str]:
    own = sql[raw.stmt_location : _end(sql, raw)].strip().rstrip(";")
    kind = type(raw.stmt).__name__
    if kind == "DoStmt":
        return list(_of_block(pglast, stream, own)) or [own]
    actions = [raw.stmt]
    if kind == "AlterTableStmt":
        whole, actions = raw.stmt.cmds, []
        for action in whole:
            copy = pglast.parse_sql(own)[0].stmt
            copy.cmds = (action,)
            actions.append(copy)
    try:
        return [str(stream()(action)) for action in actions]
    except Exception:  # a statement that the printer does not know
        return [own]


def _of_block(pglast: Any, stream: Any, own: str) -> Iterator[str]:
    try:
        found = pglast.parse_plpgsql(own)
        found = json.loads(found) if isinstance(found, str) else found
    except Exception:  # in another language
        return
    texts = list(_statements(found))
    if None in texts:
        return
    for text in texts:
        for raw in pglast.parse_sql(text):
            yield from _texts(pglast, stream, str(text), raw)


def _statements(node: Any) -> Iterator[str | None]:
    """Yield the statements of a body; None for what runs something that is not seen."""
    if isinstance(node, list):
        for item in node:
            yield from _statements(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "PLpgSQL_stmt_execsql":
                yield str(value["sqlstmt"]["PLpgSQL_expr"]["query"])
            elif name.startswith("PLpgSQL_") and name not in _CONTROL:
                yield None
            elif name == "PLpgSQL_expr":
                yield from [None] if re.search(r"\w\s*\(", str(value.get("query"))) else []
            else:
                yield from _statements(value)
