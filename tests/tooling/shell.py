#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs shellcheck over every shell script of the checkout, whatever its name."""

from __future__ import annotations

import re
import subprocess
import sys

from checkout import files
from support.paths import ROOT

SHELL = re.compile(rb"#!\s*(/usr)?/bin/(env )?(ba|da)?sh\b")


def is_shell(name: str) -> bool:
    path = ROOT / name
    if not path.is_file():
        return False
    with open(path, "rb") as script:
        return bool(SHELL.match(script.readline(200)))


def main() -> int:
    scripts = [name for name in files() if is_shell(name)]
    return subprocess.run(["shellcheck", *scripts], cwd=ROOT, check=False).returncode if scripts else 0


if __name__ == "__main__":
    sys.exit(main())
