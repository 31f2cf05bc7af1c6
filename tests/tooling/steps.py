# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a test run and their commands. {tree} is the folder above ansible_collections."""

from __future__ import annotations

import os
from dataclasses import dataclass

from environments import CORES

#: One more than there are cores, since tests wait for locks and for services that start.
PROCESSES = (os.cpu_count() or 1) + 1
OURS = "{tree}/ansible_collections/dbops/alembic"


@dataclass(frozen=True)
class Command:
    name: str
    argv: tuple[str, ...]

    @property
    def pytest(self) -> bool:
        return self.argv[0] == "pytest"

    @property
    def wide(self) -> bool:
        """Whether it keeps several cores busy by itself."""
        return any(part.startswith("--numprocesses") for part in self.argv)


def pytest(name: str, *arguments: str) -> list[Command]:
    return [Command(name, ("pytest", f"tests/{name}", *arguments))]


LINT = [
    Command("ansible-lint", ("ansible-lint", "--nocolor", "--offline", "--strict", "--profile", "production")),
    Command("ruff", ("ruff", "check")),
    Command("format", ("ruff", "format", "--check")),
    Command(
        "docs",
        (
            *(
                "antsibull-docs",
                "lint-collection-docs",
                "--plugin-docs",
                "--check-extra-docs-refs",
                "--validate-collection-refs=all",
            ),
            *("--disallow-unknown-collection-refs", "--skip-rstcheck", OURS),
        ),
    ),
    Command("changelog", ("antsibull-changelog", "lint")),
    Command("shell", ("python", "tests/tooling/shell.py")),
    Command("licences", ("python", "tests/tooling/licences.py")),
]

STEPS: dict[str, list[Command]] = {
    "lint": LINT,
    "types": [
        Command("plugins", ("mypy", "--package", "ansible_collections.dbops.alembic.plugins")),
        Command("tests", ("mypy", "tests/support", "tests/tooling")),
    ],
    "sanity": [Command("sanity", ("python", "tests/tooling/sanity.py", "ends"))],
    "sanity-all": [Command(core, ("python", "tests/tooling/sanity.py", core)) for core in CORES],
    "unit": pytest("unit"),
    "integration": pytest("integration", f"--numprocesses={PROCESSES}", "--dist=loadgroup"),
    "packaging": pytest("packaging"),
    "demo": pytest("demo"),
    "scenarios": pytest("scenarios"),
    "projects": pytest("projects"),
    "kubernetes": pytest("kubernetes"),
}

#: The steps that make up everything.
ALL = ("lint", "types", "sanity-all", "unit", "integration", "packaging", "demo", "scenarios", "projects", "kubernetes")
