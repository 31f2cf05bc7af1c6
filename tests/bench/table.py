# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of text, and the measuring that they are filled by."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path


def show(title: str, rows: Iterable[Sequence[object]]) -> None:
    text = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in text) for column in range(len(text[0]))]
    print(f"\n{title}\n")
    for number, row in enumerate(text):
        cells = [cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width) for cell, width in zip(row, widths)]
        print("  " + "   ".join(cells).rstrip())
        if number == 0:
            print("  " + "   ".join("-" * width for width in widths))


def medians(subjects: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each. They take turns, so that a slow moment hits all of them; a first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            began = time.perf_counter()
            subject()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def processors() -> tuple[float, float]:
    """Seconds that the processors of this machine have worked and been idle since it was started; see proc(5), /proc/stat."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    ticks = os.sysconf("SC_CLK_TCK")
    idle = fields[3] + fields[4]  # waiting for a disk, too
    return (sum(fields) - idle) / ticks, idle / ticks


def busy(seconds: float = 3) -> float:
    """Which part of the machine others use now, from 0 to 1."""
    worked, idle = processors()
    time.sleep(seconds)
    now_worked, now_idle = processors()
    return (now_worked - worked) / ((now_worked - worked) + (now_idle - idle))
