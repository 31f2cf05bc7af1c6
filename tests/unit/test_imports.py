# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing calls upwards: the imports of plugins/, those inside functions too, have no circle and no arrow that runs up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
OURS = "ansible_collections.dbops.alembic.plugins."
UTILS = "module_utils."
#: Room → the rooms of module_utils that it must not know of.
ABOVE = {
    "_errors": ("_core", "_bridge", "_jobs", "_operations", "_records", "_kubernetes", "_rehearsal", "_host", "_fleet"),
    "_core": ("_bridge", "_jobs", "_operations", "_records", "_kubernetes", "_rehearsal", "_host", "_fleet"),
    "_worker": ("_core", "_errors", "_bridge", "_jobs", "_operations", "_records", "_kubernetes", "_rehearsal", "_host", "_fleet"),
    "_rehearsal": ("_bridge", "_jobs", "_operations", "_records", "_kubernetes", "_host"),
    "_bridge": ("_jobs", "_operations", "_records", "_kubernetes", "_host", "_fleet"),
    "_jobs": ("_operations", "_records", "_kubernetes", "_host", "_fleet"),
    "_operations": ("_kubernetes", "_host", "_fleet"),
    "_warm": ("_jobs", "_operations", "_records", "_kubernetes", "_host", "_steps", "_background", "_fleet"),
    "_background": ("_jobs", "_operations", "_records", "_kubernetes", "_host", "_steps", "_warm", "_fleet"),
    "_steps": ("_kubernetes", "_host", "_fleet"),
    "_fleet": ("_kubernetes", "_host", "_steps"),
    "_records": ("_bridge", "_jobs", "_operations", "_kubernetes", "_host"),
    "_host": ("_bridge", "_jobs", "_operations", "_records", "_kubernetes"),
}


def modules() -> dict[str, Path]:
    """Name below plugins → file, of every module."""
    found = {}
    for path in PLUGINS.rglob("*.py"):
        parts = path.relative_to(PLUGINS).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            elif base.startswith(OURS):
                base = base[len(OURS) :]
            else:
                continue
            for alias in node.names:
                target = f"{base}.{alias.name}"
                yield target if target in known else base


def arrows() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imports(name, path, known)) & set(known) - {name} for name, path in known.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The first circle, as the way round; empty where there is none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for following in sorted(graph[name]):
            if found := visit(following, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_there_is_no_circle() -> None:
    graph = arrows()
    assert len(graph) > 100 and any(graph.values())
    assert circle(graph) == []


def test_no_arrow_runs_up() -> None:
    wrong = []
    for name, targets in arrows().items():
        room = name[len(UTILS) :].split(".")[0] if name.startswith(UTILS) else ""
        for target in sorted(targets):
            if target.startswith(UTILS) and target[len(UTILS) :].split(".")[0] in ABOVE.get(room, ()):
                wrong.append(f"{name} → {target}")
            if name.startswith(UTILS) and not target.startswith(UTILS):
                wrong.append(f"{name} → {target}")
    assert not wrong, wrong


def test_a_circle_and_an_arrow_up_would_be_found() -> None:
    graph = arrows()
    graph["module_utils._bridge"].add("module_utils._kubernetes.runner")
    assert "module_utils._kubernetes.runner" in circle(graph)


def behind(name: str, known: dict[str, set[str]]) -> set[str]:
    """All that comes with a module when Ansible packs it."""
    found: set[str] = set()
    left = [name]
    while left:
        at = left.pop()
        if at not in found:
            found.add(at)
            left += known.get(at, ())
    return found


#: These list operations that others ask for.
LISTS = ("module_utils._kubernetes.runner",)


def test_a_module_that_asks_for_a_part_of_the_worker_is_packed_with_it() -> None:
    known, files = arrows(), modules()
    packed = {name: behind(name, known) for name in files if name.startswith("modules.")}
    wrong = []
    for part in ("database", "schema", "rehearsal"):
        operations = f"{UTILS}_worker.{part}.operations"
        names = constants(files[operations]) - {"plan"}  # a word of its own too
        assert {"database_rows", "database_schema", "plan_schema"} & names
        callers = {
            name for name, path in files.items() if "_worker" not in name and name not in LISTS and constants(path) & names
        } & {name for name in files if name.startswith(UTILS)}
        wrong += [(name, part) for name, found in packed.items() if found & callers and operations not in found]
        assert [name for name, found in packed.items() if operations not in found], "a part that comes with every module"
    assert not wrong, "nothing would be there to send to the worker"


def constants(path: Path) -> set[str]:
    return {str(node.value) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
