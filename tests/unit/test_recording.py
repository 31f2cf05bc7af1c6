# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded terminal: what is cut out of a run of the demo, and that the picture in the guides shows what there is today."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import recording
from support.paths import CACHE, ROOT

TEXT = "{http://www.w3.org/2000/svg}text"
STEP = re.compile(r"^  (?:ok|!!)  (.+?)(?:  +|:|$)")
RUN = [
    (1.0, "2. A good release, 1.1   [1 s]"),
    (2.0, "   ansible-playbook dbops.alembic.maintenance_window -e release_version=1.1"),
    (3.0, "   |   ok  Stop the application"),
    (4.0, f"3. {recording.ACT}   [9 s]"),
    (5.0, "   A customer places order 20002."),
    (6.0, "   ansible-playbook dbops.alembic.maintenance_window -e release_version=2"),
    (66.0, "   |   !!  Work on the database: failed on <shop1>"),
    (67.0, f"   | Log           {CACHE}/demo/logs/x.log"),
    (67.0, f"   | Record        {CACHE}/demo/run-c5_x2ix/{'x' * 200}"),
    (67.0, "   |"),
    (68.0, "   After:  revision c64b2e98d075"),
    (69.0, "4. A release that is not healthy"),
    (70.0, "   |   ok  Stop the application"),
]


def test_the_command_and_what_it_printed_are_shown_and_nothing_of_this_machine() -> None:
    assert [text for _at, text in recording.shown(RUN)] == [
        "$ ansible-playbook dbops.alembic.maintenance_window -e release_version=2",
        "  !!  Work on the database: failed on <shop1>",
        "Log           logs/x.log",
        f"Record        {'x' * 81}…",
        "",
    ]


def test_lines_appear_in_their_order_without_long_waits() -> None:
    found = recording.delays(recording.shown(RUN))
    assert found == sorted(found) and found[1] - found[0] == recording.LONGEST
    many = [(float(number), "x") for number in range(200)]
    assert abs(recording.delays(many)[-1] - recording.delays(many)[0] - recording.WHOLE) < 0.01


def test_the_picture_shows_steps_that_there_are() -> None:
    """A step that is called otherwise today asks for a new recording: make recording."""
    picture = recording.PICTURE.read_text()
    lines = [node.text or "" for node in ElementTree.fromstring(picture).iter(TEXT)]
    steps = {found[1] for line in lines if (found := STEP.match(line))}
    folders = (ROOT / "playbooks", ROOT / "plugins" / "plugin_utils", ROOT / "roles")
    sources = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*") if path.suffix in (".yml", ".py"))
    assert len(steps) > 4 and {step for step in steps if step not in sources} == set()
    assert "/work" not in picture and "/home" not in picture and "/root" not in picture
    assert any(line.startswith("Kind: ") or " Kind: " in line for line in lines)
