# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reader sees: headed steps, marked lines, small tables; colours where a terminal shows them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

_started = float(os.environ.get("DEMO_BEGAN") or time.time())
_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
_step = 0


def _paint(text: str, code: str) -> str:
    return f"\033[{code}m{text}\033[0m" if _coloured else text


def elapsed() -> float:
    return time.time() - _started


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    global _step
    _step += 1
    say()
    say(_paint(f"{_step}. {text}", "1;36") + _paint(f"   [{elapsed():.0f} s]", "2"))


def note(text: str) -> None:
    say("   " + text)


def quoted(text: str) -> None:
    """A line that somebody else says."""
    say(("   | " + text).rstrip())


def good(text: str) -> None:
    say("   " + _paint("ok", "32") + "  " + text)


def bad(text: str) -> None:
    say("   " + _paint("!!", "1;31") + "  " + text)


@contextmanager
def timed(text: str) -> Iterator[None]:
    """Names what takes a while before it does, and says afterwards how long it took."""
    print(f"   {text} … ", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        say()
        raise
    say(_paint(f"{time.monotonic() - began:.1f} s", "2"))


def table(rows: Iterable[Sequence[str]]) -> None:
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        say(_paint(line, "1") if number == 0 else line)
