# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The one place where text that others wrote is made fit for a terminal or a report."""

from __future__ import annotations

import re

# Line feed and tab stay: messages have several lines. What moves the cursor, colours, erases, turns the reading direction or
# is no character at all (a lone surrogate, which no file and no terminal takes) is written out.
_COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Return ``text`` with control and escape characters written out: ``\x1b``, ``\x0d``, ``\u202e``.

    The end of line of Windows becomes the one of everybody else. Printable text comes back as it is, and so does a result of
    this function.
    """
    return _COMMANDS.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
