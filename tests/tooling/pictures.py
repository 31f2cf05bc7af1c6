#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the pictures of README and guides: drawings, and the report, from the deployments of its tests. The latter needs Chromium
and pngquant.

pictures.py           all of them, as make pictures does
pictures.py FOLDER    every deployment, at 1100 and 390 pixels, dark, and on paper, to look at
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.dbops.alembic.plugins.filter.deployment_outcome import deployment_outcome
from ansible_collections.dbops.alembic.plugins.filter.deployment_report import deployment_report

import drawings
from drawings import IMAGES
from support import deployments

PICTURES = {"report_good": deployments.good, "report_put_back": deployments.failed}
#: Chromium makes no window that is narrower than about 500 pixels, so a narrow page is shown in a frame.
FRAME = '<body style="margin:0"><iframe src="page.html" style="width:390px;height:{height}px;border:0"></iframe>'
Case = Callable[[], tuple[dict[str, Any], dict[str, Any]]]


def chromium(*arguments: str) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        sys.exit("Chromium is not installed (Debian: chromium).")
    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}")
        subprocess.run([program, *options, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def smaller(path: Path) -> None:
    """Keep as many colours as one sees: everybody who installs the collection downloads it."""
    program = shutil.which("pngquant") or sys.exit("pngquant is not installed (Debian: pngquant).")
    subprocess.run([program, "--quality", "70-95", "--strip", "--force", "--output", str(path), str(path)], check=True)


def page(case: Case, folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(deployment_report(deployment_outcome(*case()), "html"))
    return path


def picture(path: Path, target: Path, width: int, height: int, *more: str) -> None:
    chromium(f"--window-size={width},{height}", f"--screenshot={target}", *more, str(path))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if len(sys.argv) == 1:
            drawings.main()
            for title, case in PICTURES.items():
                picture(page(case, folder), IMAGES / f"{title}.png", 1000, 760)
                smaller(IMAGES / f"{title}.png")
            return
        target = Path(sys.argv[1])
        target.mkdir(parents=True, exist_ok=True)
        for case in deployments.CASES:
            path, title, height = page(case, folder), case.__name__, 2200
            picture(path, target / f"{title}-1100.png", 1100, height)
            picture(
                path, target / f"{title}-dark.png", 1100, height, "--force-dark-mode", "--blink-settings=preferredColorScheme=0"
            )
            frame = folder / "frame.html"
            frame.write_text(FRAME.format(height=height))
            picture(frame, target / f"{title}-390.png", 500, height)
            chromium("--no-pdf-header-footer", f"--print-to-pdf={target / title}.pdf", str(path))


if __name__ == "__main__":
    main()
