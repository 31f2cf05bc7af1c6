# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Line breaks in templates of the roles: what YAML has not made one of stays two characters, which people then read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from support import sources
from support.paths import ROOT

TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def test_no_template_has_an_escape_that_is_left_as_it_stands() -> None:
    paths = [*ROOT.glob("roles/*/*/*.yml"), *ROOT.glob("playbooks/**/*.yml")]
    found = [
        f"{path.relative_to(ROOT)}: {part}"
        for path in paths
        for text in texts(sources.read(path))
        for part in TEMPLATE.findall(text)
        if re.search(r"""(['"])[^'"]*\\[nt][^'"]*\1""", part)
    ]
    assert len(paths) > 100 and not found, "\n".join(found)
