# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What of a project's files may be done once for many databases, as far as their text tells.

Of an env.py these are the imports with which it begins, up to the first statement that may change what a later import finds.
"""

from __future__ import annotations

import ast
from typing import Iterator, Sequence

#: What env.py calls between its imports without changing what they find.
_READS = (
    "context.get_x_argument",
    "context.is_offline_mode",
    "config.get_main_option",
    "config.get_section",
    "config.get_section_option",
    "context.config.get_main_option",
    "os.getenv",
    "os.environ.get",
    "os.getcwd",
    "os.path.",
    "logging.getLogger",
    "Path",
    "pathlib.Path",
)
_CHANGES_CONFIG = ("config.set_main_option", "config.set_section_option", "context.config.set_main_option")
_LOGGING = ("fileConfig", "logging.config.fileConfig", "logging.config.dictConfig", "logging.basicConfig", "dictConfig")
_PATH = ("sys.path.insert", "sys.path.append")
#: What a name may be made of that is needed to change the import path.
_PLACES = ("os.path.", "os.getcwd", "Path", "pathlib.Path")
#: Where the imports of a revision may come from for it to be loaded before env.py has run.
_PLAIN = ("sqlalchemy", "alembic", "__future__", "typing", "datetime", "decimal", "enum", "uuid", "json", "textwrap")


def leading(source: str) -> list[ast.stmt]:
    """Return the statements of an env.py that can be carried out before it: imports, and what the import path needs.

    :raises SyntaxError: it is no Python; env.py says so itself.
    """
    found: list[ast.stmt] = []
    names = {"__file__"}
    for statement in ast.parse(source).body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            found.append(statement)
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        elif is_path(statement):
            found.append(statement)
        elif not _is_harmless(statement):
            break
        elif _is_place(statement, names):
            found.append(statement)
            names |= set(_targets(statement))
    return found


def is_plain(source: str) -> bool:
    """Tell whether what a revision file is made of depends on nothing but libraries, whoever loads it and when."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return False
    for statement in body:
        if isinstance(statement, ast.Import):
            plain = all(_is_plain_module(alias.name) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            plain = not statement.level and _is_plain_module(statement.module or "")
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            plain = not statement.decorator_list and not any(_calls(default) for default in _defaults(statement))
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            plain = bool(_targets(statement)) and not any(name.startswith(("op.", "context.")) for name in _calls(statement))
        else:
            plain = _is_text(statement)
        if not plain:
            return False
    return True


def _is_plain_module(name: str) -> bool:
    return name.partition(".")[0] in _PLAIN


def _defaults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    return [*function.args.defaults, *(item for item in function.args.kw_defaults if item is not None)]


def _is_harmless(statement: ast.stmt) -> bool:
    """Tell whether nothing that is imported afterwards can depend on it."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return not statement.decorator_list and not any(_calls(default) for default in _defaults(statement))
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return bool(_targets(statement)) and _only(_calls(statement), _READS)
    if isinstance(statement, ast.Expr):
        return _is_text(statement) or (
            isinstance(statement.value, ast.Call) and _only(_calls(statement), (*_READS, *_LOGGING, *_CHANGES_CONFIG))
        )
    if isinstance(statement, ast.If):
        inside = [*statement.body, *statement.orelse]
        return _only(_calls(statement.test), _READS) and all(_is_harmless(item) for item in inside)
    return isinstance(statement, ast.Pass)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def is_path(statement: ast.stmt) -> bool:
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    return dotted(statement.value.func) in _PATH and _only(_calls(statement), (*_PATH, *_PLACES))


def _is_place(statement: ast.stmt, names: Sequence[str] | set[str]) -> bool:
    """Tell whether it names a place, and needs nothing for it but what is known."""
    used = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return (
        isinstance(statement, ast.Assign)
        and bool(_calls(statement))
        and _only(_calls(statement), _PLACES)
        and used <= {*names, "str"}
    )


def _targets(statement: ast.stmt) -> list[str]:
    """Return the names that an assignment gives; none where it changes something else."""
    given = statement.targets if isinstance(statement, ast.Assign) else [statement.target]  # type: ignore[attr-defined]
    flat = [part for item in given for part in (item.elts if isinstance(item, ast.Tuple) else [item])]
    return [item.id for item in flat if isinstance(item, ast.Name)] if all(isinstance(item, ast.Name) for item in flat) else []


def _calls(node: ast.AST) -> list[str]:
    """Return the dotted names of all that is called, or that does as much as a call."""
    return list(_called(node))


def _called(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            yield dotted(part.func)
        elif isinstance(part, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)):
            yield "?"


def dotted(node: ast.expr) -> str:
    """Return the dotted name, of what a call gives that of the call; ``?`` for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call):
        return dotted(node.func)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return dotted(node.value) if isinstance(node, ast.Subscript) else "?"


def _only(calls: Sequence[str], allowed: Sequence[str]) -> bool:
    def is_allowed(name: str) -> bool:
        return any(
            name == item or (item.endswith(".") and name.startswith(item)) or name.startswith(item + ".") for item in allowed
        )

    return all(is_allowed(name) for name in calls)
