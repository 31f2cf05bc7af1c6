# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every task in the examples of the modules and in the guide has options that its module takes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.module_utils import _argspec as specs
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.spec import fleet_spec

from support.paths import ROOT

PREFIX = "dbops.alembic.alembic_"
GUIDES = [ROOT / "docs" / "docsite" / "rst" / f"guide_{name}.rst" for name in ("alembic", "many_databases")]
MODULES = sorted((ROOT / "plugins" / "modules").glob("alembic_*.py"))


def guide() -> list[str]:
    text = "\n".join(path.read_text() for path in GUIDES)
    blocks = re.findall(r"\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)", text)
    return [textwrap.dedent(block) for block in blocks]


def examples() -> list[str]:
    return [re.search(r'EXAMPLES = r"""\n(.*?)"""', path.read_text(), re.DOTALL).group(1) for path in MODULES]


def calls(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every use of one of the modules, and of their group, in whatever depth."""
    if isinstance(value, list):
        for item in value:
            yield from calls(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.startswith((PREFIX, "group/dbops.alembic")):
                yield key, item or {}
            yield from calls(item)


def spec_of(name: str) -> Any:
    if name.startswith("group/"):
        return specs.project_spec()
    return fleet_spec() if name == "dbops.alembic.alembic_fleet" else getattr(specs, name[len(PREFIX) :] + "_spec")()


TEXTS = [*guide(), *examples()]


@pytest.mark.parametrize("text", TEXTS)
def test_options_exist(text):
    for name, given in calls(yaml.safe_load(text)):
        spec = spec_of(name)
        assert set(given) <= set(spec.options), name
        for option, value in given.items():
            choices = spec.options[option].get("choices")
            assert choices is None or set(value if isinstance(value, list) else [value]) <= set(choices), f"{name}: {option}"


def test_there_is_something_to_look_at():
    used = {name for text in TEXTS for name, _given in calls(yaml.safe_load(text))}
    assert {PREFIX + path.stem[len("alembic_") :] for path in MODULES} <= used
    assert len(guide()) > 8 and len(MODULES) == 8
