# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for a terminal: labelled lines and tables that keep names whole. Plain Python."""

from __future__ import annotations

import textwrap
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import Redactor

#: Columns of a terminal that nobody made wider.
WIDTH = 80
#: Columns before the text of a labelled line.
LABEL = 14


def clean(value: Any) -> Any:
    """Return ``value`` with control characters written out and passwords masked, in each text of it."""
    return Redactor().clean(value)


def wrapped(text: str, width: int = WIDTH, first: str = "", later: str | None = None) -> list[str]:
    """Break ``text`` into lines of ``width`` columns at spaces only: a path, a name or a URL is never cut.

    :param first: what stands before the first line.
    :param later: what stands before the others; as many spaces, unless given.
    """
    later = " " * len(first) if later is None else later
    found: list[str] = []
    for line in text.splitlines() or [""]:
        found += textwrap.wrap(
            line,
            width,
            initial_indent=later if found else first,
            subsequent_indent=later,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [(later if found else first).rstrip()]
    return found


def labelled(label: str, *texts: Any, width: int = WIDTH) -> list[str]:
    """Return lines that begin with ``label``, each text on one of its own; nothing where there is no text."""
    found: list[str] = []
    for text in texts:
        if str(text):
            found += wrapped(str(text), width, " " * LABEL if found else label.ljust(LABEL), " " * LABEL)
    return found


def table(rows: Sequence[Sequence[Any]], width: int = WIDTH) -> list[str]:
    """Return ``rows``, the first of them heads, with columns as wide as they have to be and two spaces between.

    The last cell of a row that does not fit into ``width`` takes the next line. Where the others do not fit, each row becomes a
    paragraph of labelled lines: nothing is cut, and nothing runs together. A column without anything in it is left out.
    """
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    used = [number for number in range(len(cells[0])) if any(row[number] for row in cells[1:])]
    widths = {number: max(len(row[number]) for row in cells) for number in used}
    found: list[str] = []
    before = sum(widths[number] + 2 for number in used[:-1])
    if before <= width * 3 // 4 or before + widths[used[-1]] <= width:
        for row in cells:
            head = "".join(row[number].ljust(widths[number] + 2) for number in used[:-1])
            last = row[used[-1]] if used else ""
            found += [(head + last).rstrip()] if len(head + last) <= width else [head.rstrip(), *wrapped(last, width, "  ")]
        return found
    for row in cells[1:]:
        first, *others = used
        found += wrapped(f"{cells[0][first]} {row[first]}", width)
        for number in others:
            found += labelled(f"  {cells[0][number]}", row[number], width=width)
    return found


def size(count: Any) -> str:
    """Return a number of bytes as people read it: ``512 B``, ``1.5 MB``."""
    value, unit = float(count or 0), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def joined(values: Iterable[Any], otherwise: str) -> str:
    return ", ".join(str(value) for value in values) or otherwise


def part(value: Any) -> Mapping[str, Any]:
    """Return a mapping, which is empty where there is none."""
    return value if isinstance(value, Mapping) else {}
