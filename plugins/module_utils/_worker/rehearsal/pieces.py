# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The statements of a text: a server takes several at once, and what the first word says is true of the first only."""

from __future__ import annotations

import re
from typing import Iterator

COMMENTS = re.compile(r"^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*", re.S)
#: What a semicolon ends nothing in, else what stands by itself. PostgreSQL manual, "Lexical Structure".
_TOKEN = re.compile(
    r"\b[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*|\*/|(\$(?:[^\W\d]\w*)?\$).*?\1|[;()]|(?:[^'\"$;()/*eE-]+|[eE](?!'))+|.",
    re.S,
)
#: The body of such a function is a list of statements without quotes.
_UNQUOTED_BODY = re.compile(r"\bBEGIN\s+ATOMIC\b", re.I)
_END = re.compile(r"\s*END\s*$", re.I)
_QUOTES = set("'\"$-")  # of texts, names and comments
_CONTROL = re.compile(
    r"^(?:BEGIN|START\s+TRANSACTION|COMMIT|ROLLBACK|ABORT|END|SAVEPOINT|RELEASE|SET|SHOW|RESET|DEALLOCATE|PRAGMA|PREPARE\s+TRANSACTION)\b",
    re.I,
)
_ENDS = re.compile(r"^(?:COMMIT|ROLLBACK(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b)|ABORT|END|PREPARE\s+TRANSACTION)\b", re.I)


#: What is no part of one database. PostgreSQL manual, "SQL Commands".
_SERVER = re.compile(
    r"^(?:(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION)\b|ALTER\s+SYSTEM\b"
    r"|(?:COMMENT|SECURITY\s+LABEL(?:\s+FOR\s+\S+)?)\s+ON\s+(?:DATABASE|ROLE|TABLESPACE)\b|(?:GRANT|REVOKE)\b.*?\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b"
    r"|(?:GRANT|REVOKE)\s+(?!.*\sON\s).*\s(?:TO|FROM)\s|(?:DROP|REASSIGN)\s+OWNED\b)",
    re.I | re.S,
)


#: What acts beyond the database, and no rollback takes back. PostgreSQL manual, "System Administration Functions".
_ACTS = re.compile(
    r"\bpg_(?:terminate_backend|cancel_backend|reload_conf|rotate_logfile|promote|switch_wal|wal_replay_(?:pause|resume)"
    r"|create_restore_point|backup_start|backup_stop|log_backend_memory_contexts|stat_reset_shared|file_(?:write|rename|unlink|sync)"
    r"|(?:create|drop|copy)_(?:(?:physical|logical)_)?replication_slot|replication_slot_advance)\s*\("
    r"|\bdblink(?:_\w+)?\s*\(|\blo_export\s*\(",
    re.I,
)
_RUNS = re.compile(r"^\s*(?:DO|CALL|SELECT|WITH|EXECUTE)\b", re.I)
_TO_FILE = re.compile(r"^\s*COPY\b.*\b(?:TO\s+E?'|(?:TO|FROM)\s+PROGRAM\b)", re.I | re.S)
_LITERAL = re.compile(r"'(?:[^']|'')*'")


def acts_outside(statement: str) -> bool:
    """Tell whether a statement ends sessions, writes files, or does something else that no rollback takes back."""
    text = COMMENTS.sub("", statement)
    return bool(_TO_FILE.match(text) or (_RUNS.match(text) and _ACTS.search(_LITERAL.sub("''", text))))


def is_of_the_server(statement: str) -> bool:
    """Tell whether a statement changes what all databases of a PostgreSQL server share."""
    return bool(_SERVER.match(COMMENTS.sub("", statement)))


def split(text: str) -> list[str]:
    """Return the statements of ``text``; one that can not be taken apart for sure is returned whole."""
    if ";" not in text:
        return [text]
    found, current, bare, comments, parentheses, body = [], "", "", 0, 0, False
    for match in _TOKEN.finditer(text):
        token = match.group(0)
        if token in ("/*", "*/"):
            comments = max(0, comments + (1 if token == "/*" else -1))
        elif not comments and token in "()":
            parentheses += 1 if token == "(" else -1
        elif not comments and not parentheses and token == ";":
            body = not _END.match(bare) if body else bool(_UNQUOTED_BODY.search(bare))
            bare = ""
            if not body:
                found.append(current)
                current = ""
                continue
        elif not comments and not set(token) & _QUOTES:
            bare += token
        current += token
    found = [piece for piece in [*found, current] if COMMENTS.sub("", piece + "\n").strip()]
    whole = not (comments or parentheses or (body and not _END.match(bare)))
    return found if found and whole else [text]


def tokens(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield what is in no quotes and no comment: where it begins, the text, and in how many parentheses it is."""
    comments = depth = 0
    for match in _TOKEN.finditer(text):
        token = match.group(0)
        if token in ("/*", "*/"):
            comments = max(0, comments + (1 if token == "/*" else -1))
        elif not comments and token in "()":
            depth += 1 if token == "(" else -1
        elif not comments and not set(token) & _QUOTES:
            yield match.start(), token, depth


#: A number or a text, which may be another one each time that the same change is written down.
_VALUE = re.compile(r"\b[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?<![\w.$])\d+(?:\.\d+)?\b")
_CHANGES_ROWS = re.compile(r"(?:INSERT|UPDATE|DELETE)\b", re.I)


def shape(statement: str) -> str:
    """Return a change of rows without its values, by which one of a loop is known again; another statement as it is."""
    return _VALUE.sub("…", statement) if _CHANGES_ROWS.match(COMMENTS.sub("", statement)) else statement


def is_control(statement: str) -> bool:
    """Tell whether one statement only begins, ends or sets something, and says nothing to the tables."""
    return bool(_CONTROL.match(COMMENTS.sub("", statement)))


def ends_transaction(statement: str) -> bool:
    return bool(_ENDS.match(COMMENTS.sub("", statement)))


def undoes(statement: str) -> bool:
    return bool(re.match(r"(?:ROLLBACK|ABORT)\b", COMMENTS.sub("", statement), re.I))
