# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a line of the story looks: 80 columns, names whole. Plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from ._follow import seconds
from ._text import WIDTH, clean, wrapped

#: Columns that a name of a host may take at the right, and those of the duration.
HOSTS, TOOK = 16, 12
GOOD, BAD, IGNORED = "  ok  ", "  !!  ", "  --  "
WORDS = {"failed": "failed", "unreachable": "could not be reached"}


@dataclass(frozen=True)
class Line:
    """A line and what it is: step, text, heading, note, waiting, warning or failure; the callback colours it by that."""

    text: str
    kind: str


def heading(text: str) -> Line:
    return Line(clean(text), "heading")


def note(text: str, kind: str = "note") -> Line:
    return Line("\n".join(wrapped(clean(text), WIDTH, "      ")), kind)


def running(title: str) -> str:
    """Return the line that stands on a terminal until the step is over; short enough never to be wrapped by it."""
    text = f"  ..  {' '.join(clean(title).split())}"
    return text if len(text) < WIDTH else text[: WIDTH - 4] + " …"


def step_line(title: str, hosts: Mapping[str, str], took: float, remark: str = "") -> Line:
    """Return the line of a step that is over: what, on how many hosts, how long.

    What does not fit beside the right columns goes on below; nothing is cut.
    """
    bad = [name for name, state in hosts.items() if state in WORDS]
    mark = BAD if bad else IGNORED if "ignored" in hosts.values() else GOOD
    right = f"{counted(hosts)}{' ' + seconds(took).rjust(TOOK - 1)}"
    room = WIDTH - len(right) - 2
    lines = wrapped(clean(f"{title}: {remark}" if remark else title), room, mark, " " * len(mark))
    if len(lines[0]) > room:  # one word that is longer than the room
        lines = [mark.rstrip(), *wrapped(clean(f"{title}: {remark}" if remark else title), WIDTH, " " * len(mark))]
    lines[0] = f"{lines[0]}{right.rjust(WIDTH - len(lines[0]))}"
    return Line("\n".join(lines), "failure" if bad else "step")


def counted(hosts: Mapping[str, str]) -> str:
    """Return how many hosts took a step; the name of a single one, where it is short."""
    good = [name for name, state in hosts.items() if state not in WORDS]
    if len(good) < len(hosts):
        return f"{len(good)} of {len(hosts)} hosts"
    only = good[0] if len(good) == 1 else ""
    return only if only and len(only) < HOSTS else "1 host" if only else f"{len(good)} hosts"


def failure(title: str, host: str, state: str, lines: list[str], took: float) -> list[Line]:
    """Return the lines about a step that failed on a host: what, where, and why."""
    text = f"{title}: {WORDS[state]} on {host} after {seconds(took)}" if state == "failed" else f"{title}: {host} {WORDS[state]}"
    head = wrapped(clean(text), WIDTH, BAD)
    why = [text for line in lines for text in wrapped(clean(line), WIDTH, "        ")]
    return [Line("\n".join([*head, *why]), "failure")]


def cut_off(title: str, took: float) -> list[Line]:
    return [Line("\n".join(wrapped(clean(f"{title}: cut off after {seconds(took)}"), WIDTH, BAD)), "failure")]
