# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others wrote commands no terminal; what people write stays."""

from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._worker.printable import printable
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import Redactor
from ansible_collections.dbops.alembic.plugins.plugin_utils._follow import lines
from hypothesis import given, settings
from hypothesis import strategies as st

COMMANDS = {
    "colour": ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    "title of the window": ("\x1b]0;gone\x07", r"\x1b]0;gone\x07"),
    "link": ("\x1b]8;;http://x\x1b\\here", r"\x1b]8;;http://x\x1b" + "\\here"),
    "C1": ("\x9b2J", r"\x9b2J"),
    "back to the start of the line": ("failed\rok    ", r"failed\x0dok    "),
    "backspace": ("bad\b\b\bok", r"bad\x08\x08\x08ok"),
    "reading direction": ("\u202egnp.exe\u2066x\u2069", r"\u202egnp.exe\u2066x\u2069"),
    "invisible": ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
    "tags": ("a\U000e0041", r"a\U000e0041"),
    "half a character": ("a\udc80", r"a\udc80"),
    "NUL and DEL": ("a\0b\x7f", r"a\x00b\x7f"),
    "line separator": ("a\u2028b\x85c", r"a\u2028b\x85c"),
}
LEFT_ALONE = ["two\nlines\tand a tab", "schön, Ω, 日本語, 😀", "नी क्‍ष می‌خواهم 👩‍💻", "C:\\new\\x1b", ""]


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_written_out(name):
    raw, shown = COMMANDS[name]
    assert printable(raw) == Redactor().text(raw) == shown


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_text_stays(text):
    assert printable(text) == text


def test_line_ends_of_windows_are_line_ends():
    assert printable("a\r\nb\r\r\n") == "a\nb\\x0d\n"


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.text())
def test_nothing_that_is_left_is_a_command(text):
    shown = printable(text)
    assert not [
        character for character in shown if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t"
    ]
    assert not [
        character
        for character in shown
        if unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    assert printable(shown) == shown
    shown.encode()


def test_keys_and_nested_values_too():
    assert Redactor().clean({"a\x1b": [("b\r", {"c": "d\u202e"})], "n": 1}) == {"a\\x1b": [["b\\x0d", {"c": "d\\u202e"}]], "n": 1}


def test_a_failure_and_its_hint():
    class Module:
        def fail_json(self, msg, **values):
            raise SystemExit((msg, values["hint"]))

    with pytest.raises(SystemExit) as ended:
        MigrationError("bad\x1b[2J postgresql://u:pw@h/d", "migration_failed", "look\r").fail(Module())
    assert ended.value.code == (r"bad\x1b[2J postgresql://u:***@h/d look\x0d", r"look\x0d")


def test_lines_of_progress():
    event = {"event": "revision_start", "number": 1, "total": 1, "revision": "r1\x1b[2J", "message": "\x1b]0;x\x07\u202e"}
    assert list(lines([event])) == [r"[1/1] r1\x1b[2J \x1b]0;x\x07\u202e …"]
