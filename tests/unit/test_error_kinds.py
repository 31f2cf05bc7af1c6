# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error kinds: the closed list, what the code uses of it, and the guide that tells what each one means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _errors
from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import KIND, told
from ansible_collections.dbops.alembic.plugins.module_utils._errors import ERROR_KINDS
from ansible_collections.dbops.alembic.plugins.module_utils._worker import failure

from support.paths import ROOT

PLUGINS = ROOT / "plugins"
GUIDE = (ROOT / "docs" / "docsite" / "rst" / "guide_error_kinds.rst").read_text()
#: Exception → which of its arguments is the kind.
PLACES = {"MigrationError": 1, "Failure": 0}
FAILS = re.compile(r"\bfail (\w+) [\"\\]")  # of a shell script that runs in a pod


def sources() -> list[Path]:
    return [path for path in sorted(PLUGINS.rglob("*.py")) if path != Path(_errors.__file__).resolve()]


def raised(path: Path) -> Iterator[str]:
    """Every kind that a file writes out where it makes a failure."""
    text = path.read_text()
    yield from FAILS.findall(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACES:
            given = [*node.args[PLACES[node.func.id] :][:1], *(word.value for word in node.keywords if word.arg == "kind")]
            yield from (one.value for one in given if isinstance(one, ast.Constant))


def sections() -> dict[str, str]:
    """Kind → what the guide says below its heading."""
    parts = re.split(r"^(\w+)\n~+\n", GUIDE, flags=re.MULTILINE)[1:]
    texts = [re.split(r"^[^\n]+\n-{3,}\n", text, flags=re.MULTILINE)[0] for text in parts[1::2]]
    return dict(zip(parts[::2], (" ".join(text.split()) for text in texts)))


def test_what_is_raised_is_in_the_list() -> None:
    found = {kind: path.name for path in sources() for kind in raised(path)}
    assert len(found) > 40  # else this looks at nothing
    tables = {*failure.SQLSTATES.values(), *failure.MYSQL_ERRORS.values(), *dict(failure.MESSAGES).values(), *failure.HINTS}
    assert ({*found} | tables) - set(ERROR_KINDS) == set()


def test_what_is_in_the_list_is_used() -> None:
    text = "\n".join(path.read_text() for path in sources())
    assert [kind for kind in ERROR_KINDS if not re.search(rf"\"{kind}\"|\bfail {kind} ", text)] == []


def test_the_guide_has_each_kind_and_no_other() -> None:
    assert set(sections()) == set(ERROR_KINDS)
    assert len(re.findall(r"^~+$", GUIDE, re.MULTILINE)) == len(ERROR_KINDS)  # none of them twice


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_the_guide_says_what_it_means_and_what_to_do(kind: str) -> None:
    meaning, _, to_do = sections()[kind].partition("* ")
    assert meaning == f"*{ERROR_KINDS[kind]}"
    assert len(to_do) > 20 and to_do.endswith(".")


@pytest.mark.parametrize(
    "result",
    [
        {"msg": "It is busy. Stop it.", "error_kind": "database_busy"},
        {"msg": "It is busy.\nThe end of its log:\n  a\n  b", "stderr": "c", "error_kind": "database_busy"},
        {"msg": "no", "cmd": ["pg_dump"], "rc": 1, "stderr": "permission denied", "error_kind": "database_busy"},
        {"msg": "all", "results": [{"failed": True, "msg": "one", "error_kind": "database_busy"}, {"msg": "fine"}]},
    ],
)
def test_a_failure_is_told_with_its_kind_as_the_guide_shows_it(result: dict[str, object]) -> None:
    lines = told(result).splitlines()
    assert [line for line in lines if line.startswith(KIND)] == [lines[-1]]
    assert f"\n   {lines[-1]}\n" in GUIDE


@pytest.mark.parametrize("path", sorted((PLUGINS / "modules").glob("*.py")), ids=lambda path: path.stem)
def test_the_documentation_of_a_module_leads_to_the_guide(path: Path) -> None:
    """An ``error_kind`` of a result; that of a single attempt is one of them too."""
    described = re.findall(r"^error_kind:\n  description: (.*(?:\n    .*)*)\n", path.read_text(), re.MULTILINE)
    link = "R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds)"
    assert all(link in text for text in described), f"{path.name}: the description of error_kind needs {link}"
    assert len(described) == ("\nerror_kind:\n" in path.read_text())
