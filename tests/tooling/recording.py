#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws what the terminal shows in the demo, line by line as it came: a release whose migration fails, and that is put back.

recording.py          runs the demo, on a quiet machine please, since its times are shown; see make recording
recording.py FILE     draws a recording that was made before
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterable, Tuple
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import CACHE, ROOT

PICTURE = ROOT / "docs" / "docsite" / "rst" / "images" / "terminal.svg"
KEPT = CACHE / "demo" / "recording.jsonl"
#: The act of the demo that is shown.
ACT = "A release whose migration fails"
HEAD = re.compile(r"^\d+\. ")
#: What the playbook printed begins so there; the rest is the demo's own.
PRINTED = re.compile(r"^   \| ?")
#: Folders of this machine and of this run.
OWN = re.compile(rf"{re.escape(str(CACHE))}/demo/(?:run-\w+/)?|{re.escape(str(ROOT))}/")
COLUMNS = 96
#: Seconds that the picture waits between two lines at most, and that it takes altogether.
LONGEST, WHOLE = 1.6, 20.0
WIDTH, TOP, STEP = 780, 26, 17
COLOURS = {"  ok": "#7ec98f", "  !!": "#f08b7d", "$": "#e6e6e6"}
STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#cfd3d8;white-space:pre}"
    ".l{opacity:0;animation:s .01s linear forwards}@keyframes s{to{opacity:1}}"
    "@media (prefers-reduced-motion:reduce),print{.l{opacity:1;animation:none}}"
)
#: Seconds since the beginning, and a line.
Line = Tuple[float, str]


def record() -> list[Line]:
    """Run the demo and keep its lines, with the time of each."""
    began = time.monotonic()
    found: list[Line] = []
    demo = subprocess.Popen([str(ROOT / "demo" / "run")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    for line in demo.stdout or ():
        found.append((round(time.monotonic() - began, 2), line.rstrip("\n")))
    if demo.wait():
        sys.exit("The demo failed:\n" + "\n".join(text for _at, text in found[-20:]))
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text("".join(json.dumps(line) + "\n" for line in found))
    return found


def kept(path: Path) -> list[Line]:
    """Return a recording that was made before."""
    return [(float(at), str(text)) for at, text in map(json.loads, path.read_text().splitlines())]


def shown(lines: Iterable[Line]) -> list[Line]:
    """Return the command and what it printed in the act, without what only this machine has."""
    inside = False
    found: list[Line] = []
    for at, text in lines:
        if HEAD.match(text):
            inside = ACT in text
        elif inside and text.strip().startswith("ansible-playbook "):
            found.append((at, f"$ {text.strip()}"))
        elif inside and PRINTED.match(text):
            found.append((at, fitting(OWN.sub("", PRINTED.sub("", text)))))
    return found


def fitting(text: str) -> str:
    """A path that the terminal would break goes out of the picture."""
    return text if len(text) <= COLUMNS else text[: COLUMNS - 1] + "…"


def delays(lines: list[Line]) -> list[float]:
    """When each line appears, in seconds: in its own rhythm, but without long waits."""
    gaps = [min(LONGEST, later - sooner) for (sooner, _), (later, _) in zip(lines, lines[1:])]
    factor = min(1.0, WHOLE / (sum(gaps) or 1.0))
    found = [0.3]
    for gap in gaps:
        found.append(found[-1] + gap * factor)
    return found


def svg(lines: list[Line]) -> str:
    height = TOP + STEP * len(lines) + 8
    rows = []
    for number, ((_at, text), delay) in enumerate(zip(lines, delays(lines))):
        colour = next(
            (f' fill="{value}" style="fill:{value};' for key, value in COLOURS.items() if text.startswith(key)), ' style="'
        )
        place = f'x="12" y="{TOP + STEP * number}" class="l"{colour}animation-delay:{delay:.2f}s"'
        rows.append(f'<text {place} xml:space="preserve">{escape(text)}</text>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(ACT)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#1d2126"/>',
            *rows,
            "</svg>\n",
        ]
    )


def main() -> None:
    lines = kept(Path(sys.argv[1])) if len(sys.argv) > 1 else record()
    found = shown(lines)
    if not found:
        sys.exit(f"There is no act {ACT!r} in it.")
    PICTURE.write_text(svg(found))


if __name__ == "__main__":
    main()
