# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether an env.py leaves nothing behind in its process, as far as its text tells: then one process may read many databases.

Code of the application may keep what it was told first: a URL, an engine. So of the application an ordinary env.py takes the tables
and calls nothing; of libraries it calls what makes something new each time. Whatever is not known here is not ordinary.
"""

from __future__ import annotations

import ast
from typing import Iterator

from .leading import dotted, is_path, leading

#: What is no code of the application, and what may be called of it.
_MAY_CALL = {
    "alembic": ("config", "configure", "begin_transaction", "run_migrations", "get_x_argument", "is_offline_mode"),
    "sqlalchemy": (
        "create_engine",
        "engine_from_config",
        "create_async_engine",
        "async_engine_from_config",
        "AsyncEngine",
        "MetaData",
        "create",
        "make_url",
        "text",
    ),
    "os": ("getenv", "get", "getcwd", "exists", "join", "dirname", "abspath", "realpath"),
    "logging": ("getLogger", "fileConfig", "info", "debug", "warning"),
    "asyncio": ("run",),
    "pathlib": ("Path",),
    "urllib": ("quote", "quote_plus"),
    "typing": (),
    "__future__": (),
}
_MAY_CALL_BUILTIN = ("bool", "dict", "int", "isinstance", "len", "list", "print", "set", "sorted", "str", "tuple")
_MAY_RAISE = ("Exception", "KeyError", "RuntimeError", "ValueError")
_STATEMENTS = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.Pass),
    *(ast.If, ast.For, ast.With, ast.AsyncWith, ast.Try, ast.Return, ast.Raise),
)
_NEVER = (ast.Lambda, ast.NamedExpr, ast.Yield, ast.YieldFrom)
#: What may be set of something: it stays with the engine, which the run has made itself.
_MAY_SET = ("default_schema_name",)


def is_ordinary(source: str) -> bool:
    """Tell whether the env.py of this text may run again and again in one process, with another database each time."""
    try:
        body, ahead = ast.parse(source).body, {statement.lineno for statement in leading(source)}
    except (SyntaxError, ValueError):
        return False
    return _Text([statement for statement in body if not is_path(statement)], ahead).is_ordinary()


class _Text:
    """:param ahead: the lines of what is imported before, once for all."""

    def __init__(self, body: list[ast.stmt], ahead: set[int]) -> None:
        self.ahead = ahead
        self.nodes = [node for statement in body for node in ast.walk(statement)]
        self.libraries: dict[str, str] = {}
        self.tables: set[str] = set()  # names of what is the application's
        for node in self.nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    self._imported(node, alias)
        self.functions = {node.name for node in self.nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        self.harmless: set[int] = set()  # names where they do nothing but name tables, or something to call
        for node in self.nodes:
            self._find_harmless(node)

    def _imported(self, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> None:
        whole = alias.name if isinstance(node, ast.Import) else "" if node.level else node.module or ""
        root, name = whole.partition(".")[0], (alias.asname or alias.name).partition(".")[0]
        if root in _MAY_CALL:
            self.libraries[name] = root
        else:
            self.tables.add(name)

    def _find_harmless(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign) and self._name_tables(node.value):
            self.tables.update(_names(node.targets))
        elif isinstance(node, ast.keyword) and node.arg == "target_metadata":
            self._name_tables(node.value)
        elif isinstance(node, ast.Call):
            root = _root(node.func)
            if root is not None and root.id in self.libraries:
                self.harmless.add(id(root))
                for item in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    self._pass(item)
        elif isinstance(node, ast.Attribute) and dotted(node).startswith(("context.config", "os.environ.get")):
            self._pass(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and dotted(node.value) == "os.environ":
            self._pass(node.value)
        elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            self._annotate(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            self._annotate(node.returns)

    def _name_tables(self, value: ast.expr) -> bool:
        """Note a value that is nothing but tables of the application."""
        parts = value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
        plain = all(isinstance(part, ast.Name) or getattr(part, "attr", None) == "metadata" for part in parts)
        roots = [_root(part) for part in parts]
        if not plain or not all(root is not None and root.id in self.tables for root in roots):
            return False
        self.harmless.update(map(id, roots))
        return bool(roots)

    def _pass(self, value: ast.expr) -> None:
        root = _root(value)
        if isinstance(value, (ast.Name, ast.Attribute)) and root is not None and root.id in self.libraries:
            self.harmless.add(id(root))

    def _annotate(self, annotation: ast.expr) -> None:
        self.harmless.update(id(node) for node in ast.walk(annotation))

    def is_ordinary(self) -> bool:
        return all(self._is_known(node) for node in self.nodes)

    def _is_known(self, node: ast.AST) -> bool:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            return "*" not in names and (names <= set(self.libraries) or node.lineno in self.ahead)
        if isinstance(node, ast.Call):
            return self._may_call(node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            return id(node) in self.harmless or not (node.id in self.tables or node.id in self.libraries)
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            return node.attr in _MAY_SET
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.decorator_list:
            return False
        return not isinstance(node, _NEVER) and (not isinstance(node, ast.stmt) or isinstance(node, _STATEMENTS))

    def _may_call(self, node: ast.Call) -> bool:
        root = _root(node.func)
        if root is None:  # of a text, or of what another call gave, which is looked at by itself
            return isinstance(node.func, ast.Attribute)
        if root.id in self.libraries:
            parts = dotted(node.func).split(".")
            return any(part in _MAY_CALL[self.libraries[root.id]] for part in parts)
        if isinstance(node.func, ast.Name):
            return root.id in self.functions or root.id in (*_MAY_CALL_BUILTIN, *_MAY_RAISE)
        return root.id not in self.tables


def _root(node: ast.expr) -> ast.Name | None:
    """Return the name with which an expression of dots begins."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def _names(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id
