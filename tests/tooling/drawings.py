#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the pictures of the guides that are no screenshots: the window and the rolling deployment in time, and who calls whom.

drawings.py           writes docs/docsite/rst/images/*.svg anew, as make pictures does
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Tuple
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import ROOT

IMAGES = ROOT / "docs" / "docsite" / "rst" / "images"
WIDTH = 960
LEFT = 150  # where the lanes begin; their names are left of it
LANE, GAP = 38, 10
#: Width of a letter of the font at 12 pixels, on the safe side; what does not fit is a defect that a test finds.
LETTER = 6.4
SMALL = 5.9  # at 10.5 pixels
COLOURS = {
    "old": ("#dbe7f5", "#2f5d95"),
    "new": ("#dcefdf", "#2a6b3c"),
    "down": ("#f8dcd8", "#a3291c"),
    "work": ("#f1ecdc", "#6d5a1e"),
    "record": ("#e9e4f2", "#54408a"),
    "plain": ("#f4f4f4", "#444444"),
}
STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#222}.small{font-size:10.5px;fill:#555}"
    ".name{font-weight:600}.axis{stroke:#999;stroke-dasharray:3 4}.arrow{stroke:#555;fill:none;marker-end:url(#tip)}"
)


@dataclass
class Drawing:
    """An SVG that grows; ``texts`` keeps what was written, with the room that it had, for the test."""

    title: str
    height: int
    parts: list[str] = field(default_factory=list)
    texts: list[tuple[str, float, float]] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, room: float, kind: str = "", anchor: str = "start") -> None:
        self.texts.append((text, len(text) * (SMALL if kind == "small" else LETTER), room))
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{named} text-anchor="{anchor}">{escape(text)}</text>')

    def box(self, x: float, y: float, width: float, height: float, colour: str, *lines: str) -> None:
        """A box with its lines in the middle; the second and later ones are small."""
        fill, stroke = COLOURS[colour]
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" stroke="{stroke}"/>'
        )
        lines = tuple(filter(None, lines))
        top = y + height / 2 + 4 - 7 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 14 * number, line, width - 4, "small" if number else "", "middle")

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" class="{kind}"/>')

    def svg(self) -> str:
        tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" role="img">',
                f"<title>{escape(self.title)}</title>",
                f"<style>{STYLE}</style>",
                f'<defs>{tip}<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
                f'<rect width="{WIDTH}" height="{self.height}" fill="#fff"/>',
                *self.parts,
                "</svg>\n",
            ]
        )


#: Lane → its pieces: where it begins and ends in hundredths of the way, the colour, the text and what is said below it.
Pieces = Tuple[Tuple[float, float, str, Tuple[str, ...]], ...]


def lanes(drawing: Drawing, top: float, *named: tuple[str, str, Pieces]) -> float:
    """Draw lanes below one another, and return where the last one ends."""
    width = (WIDTH - LEFT - 10) / 100
    for name, more, pieces in named:
        drawing.text(8, top + 17, name, LEFT - 12, "name")
        drawing.text(8, top + 31, more, LEFT - 12, "small")
        for begin, end, colour, lines in pieces:
            drawing.box(LEFT + begin * width, top, (end - begin) * width - 1.5, LANE, colour, *lines)
        top += LANE + GAP
    return top


def marks(drawing: Drawing, top: float, bottom: float, *at: tuple[float, str]) -> None:
    for place, text in at:
        x = LEFT + place * (WIDTH - LEFT - 10) / 100
        drawing.line(x, top, x, bottom, "axis")
        drawing.text(x + 4, top + 8, text, WIDTH - x, "small")


def window() -> Drawing:
    drawing = Drawing("A maintenance window in time", 356)
    marks(drawing, 6, 262, (0, "before the window"), (24, "drain: nobody is served from here"), (80, "undrain: served again"))
    end = lanes(
        drawing,
        24,
        (
            "Users",
            "see",
            (
                (0, 24, "old", ("the old release",)),
                (24, 80, "down", ("the maintenance page",)),
                (80, 100, "new", ("the new release",)),
            ),
        ),
        (
            "Application hosts",
            "all at once",
            (
                (0, 24, "work", ("build the release", "beside the active one")),
                (24, 36, "work", ("drain, stop", "one call each")),
                (67, 80, "work", ("activate, start", "health asked")),
                (80, 100, "plain", ("serve", "")),
            ),
        ),
        (
            "Migrator",
            "one process",
            (
                (0, 24, "work", ("look, rehearse", "on a copy of the schema")),
                (36, 45, "work", ("prove", "no session")),
                (45, 53, "work", ("copy", "snapshot")),
                (53, 67, "work", ("upgrade, verify", "under the lock")),
                (80, 100, "work", ("archive, prune", "of what was before")),
            ),
        ),
        (
            "Record",
            "written before",
            (
                (24, 53, "record", ("stopping", "the database is untouched")),
                (53, 67, "record", ("upgrading", "")),
                (67, 80, "record", ("starting", "")),
                (80, 100, "record", ("archiving, finished", "")),
            ),
        ),
        (
            "Fails here?",
            "the way back",
            (
                (0, 24, "plain", ("nothing was stopped", "")),
                (24, 53, "old", ("old release is started", "")),
                (53, 67, "old", ("snapshot back", "old release starts")),
                (67, 80, "old", ("as before", "if no new rows")),
                (80, 100, "plain", ("it serves; rollback", "on request")),
            ),
        ),
    )
    notes = (
        "Each step is in the record, on the migrator, before its first action. Where the controller dies, recover reads it from",
        "any other one and goes on or goes back. A downgrade takes the place of the snapshot where it was proved to restore all.",
    )
    for number, note in enumerate(notes):
        drawing.text(8, end + 28 + 18 * number, note, WIDTH - 10, "small")
    drawing.height = int(end + 60)
    return drawing


def rolling() -> Drawing:
    drawing = Drawing("A rolling deployment in time", 400)
    marks(drawing, 6, 310, (0, "before"), (30, "batch 1"), (46, "batch 2"), (62, "batch 3"), (78, "the last old process is gone"))

    def host(begin: int) -> Pieces:
        return (
            (0, begin, "old", ("the old release serves",)),
            (begin, begin + 16, "work", ("drain, activate,", "restart, undrain")),
            (begin + 16, 100, "new", ("the new release serves" if begin < 62 else "the new release",)),
        )

    end = lanes(
        drawing,
        24,
        ("Users", "are always served", ((0, 30, "old", ("old",)), (30, 78, "plain", ("old and new",)), (78, 100, "new", ("new",)))),
        ("app1", "", host(30)),
        ("app2", "", host(46)),
        ("app3", "", host(62)),
        (
            "Migrator",
            "lock_timeout, retries",
            (
                (0, 15, "work", ("plan", "route: rolling")),
                (15, 30, "work", ("expand part", "while old serves")),
                (78, 90, "work", ("contract", "if you ask")),
                (90, 100, "work", ("archive", "")),
            ),
        ),
        (
            "Record",
            "",
            (
                (15, 30, "record", ("expanding", "")),
                (30, 78, "record", ("rolling", "")),
                (78, 90, "record", ("contracting", "or backfilling")),
                (90, 100, "record", ("archiving", "")),
            ),
        ),
        (
            "Fails here?",
            "the way back",
            (
                (0, 15, "plain", ("nothing touched", "")),
                (15, 30, "old", ("downgrade, if", "proved lossless")),
                (
                    30,
                    78,
                    "old",
                    ("the former release, batch by batch, the last one first", "the expanded schema stays: old code runs on it"),
                ),
                (78, 100, "plain", ("the new release stays", "")),
            ),
        ),
    )
    drawing.height = int(end + 10)
    return drawing


#: Rooms of the house, from above: what it is called, what it does, where it is.
HOUSE = (
    ("playbooks", "pick hosts, order roles", "playbooks"),
    ("roles", "call modules; tables of contents", "roles"),
    ("modules", "options in, result out", "plugins/modules"),
    (
        "_operations, _steps, _host, _kubernetes, _fleet",
        "what a module does, once for all of them",
        "plugins/module_utils/_operations.py",
    ),
    ("_bridge", "starts the worker, speaks with it", "plugins/module_utils/_bridge.py"),
    ("_worker", "the only room that imports Alembic; standard library only", "plugins/module_utils/_worker"),
)
#: Those that rooms of it call, and in which row they stand.
BESIDE = (
    ("filters, callback", "what is decided, told and reported", "plugins/filter", 1),
    ("_core", "plan, record, decision, outcome: no I/O, no clock", "plugins/module_utils/_core", 3),
    ("_errors", "the closed list of kinds", "plugins/module_utils/_errors.py", 4),
)


def house() -> Drawing:
    drawing = Drawing("Who calls whom", 10)
    x, wide, high, step, top = 150, 420, 42, 62, 34
    drawing.text(8, 20, "Who calls whom. Nothing calls upwards.", 400, "name")
    for number, (name, does, _path) in enumerate(HOUSE):
        y = top + number * step
        drawing.box(x, y, wide, high, "new" if name == "_worker" else "old" if number > 2 else "work", name, does)
        drawing.line(x + wide / 2, y + high, x + wide / 2, y + step - 1, "arrow")
    bottom = top + len(HOUSE) * step
    drawing.box(
        x, bottom, wide, high, "plain", "Alembic, env.py, the revisions, the driver", "unchanged, as the application has them"
    )
    drawing.line(x + wide / 2, bottom + high, x + wide / 2, bottom + step - 1, "arrow")
    drawing.box(x, bottom + step, wide, high, "plain", "the database", "a second connection of the same engine holds the lock")
    for name, does, _path, row in BESIDE:
        y = top + row * step
        drawing.box(620, y, 330, high, "record", name, does)
        drawing.line(x + wide, y + high / 2, 619, y + high / 2, "arrow")
    drawing.line(785, top + step + high, 785, top + 3 * step - 1, "arrow")  # filters ask the core too
    for number, (name, more) in (
        (0, ("controller", "Ansible")),
        (2, ("host", "its Python, 3.8 on")),
        (5, ("host, pod", "application's Python")),
    ):
        y = top + number * step
        drawing.text(8, y + 17, name, x - 12, "name")
        drawing.text(8, y + 31, more, x - 12, "small")
        if number:
            drawing.line(8, y - 10, 600, y - 10, "axis")
    drawing.height = int(bottom + step + high + 10)
    return drawing


DRAWINGS = {"window": window, "rolling": rolling, "house": house}


def main() -> None:
    for name, draw in DRAWINGS.items():
        (IMAGES / f"{name}.svg").write_text(draw().svg())


if __name__ == "__main__":
    main()
