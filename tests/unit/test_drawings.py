# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawings of the guides: drawn anew they are those in the checkout, and they say what the code does."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.record import STEPS

import drawings
from support.paths import ROOT

#: Steps of a way back, which have no place in a picture of the way there.
BACK = {"restoring", "restarting", "downgrading", "returning"}


@pytest.mark.parametrize("name", drawings.DRAWINGS)
def test_the_picture_in_the_guides_is_what_is_drawn(name: str) -> None:
    drawn = drawings.DRAWINGS[name]().svg()
    assert (drawings.IMAGES / f"{name}.svg").read_text() == drawn, "make pictures draws it anew"
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


@pytest.mark.parametrize("name", drawings.DRAWINGS)
def test_no_text_runs_out_of_its_box(name: str) -> None:
    assert [text for text, wide, room in drawings.DRAWINGS[name]().texts if wide > room] == []


@pytest.mark.parametrize("name", drawings.DRAWINGS)
def test_a_guide_shows_it_and_says_what_it_is(name: str) -> None:
    pages = "\n".join(path.read_text() for path in drawings.IMAGES.parent.glob("*.rst"))
    assert re.search(rf"^\.\. (figure|image):: images/{name}\.svg\n   :alt: .{{20,}}$", pages, re.MULTILINE)


def test_every_step_of_a_record_is_in_a_picture() -> None:
    written = [text for name in ("window", "rolling") for text, _wide, _room in drawings.DRAWINGS[name]().texts]
    words = set(re.findall(r"\w+", " ".join(written)))
    assert set(STEPS) - BACK <= words


def test_the_rooms_of_the_house_are_there() -> None:
    rooms = [room[:3] for room in (*drawings.HOUSE, *drawings.BESIDE)]
    assert [path for _name, _does, path in rooms if not (ROOT / path).exists()] == []
    below, names = ROOT / "plugins" / "module_utils", [name for name, *_ in rooms]
    assert [word for word in re.findall(r"_\w+", " ".join(names)) if not list(below.glob(f"{word}*"))] == []
