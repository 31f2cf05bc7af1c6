# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What squawk, a reader of PostgreSQL's SQL, says of a revision that nobody has run; where it is installed, and never needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

SECONDS = 60
#: Rules that it applies only when asked to. A squawk that does not know one of them is not asked for any.
EXTRA = (
    "ban-alter-generated-expression",
    "ban-alter-policy-condition",
    "ban-alter-policy-roles",
    "ban-alter-row-level-security",
    "ban-add-enum-value",
    "ban-create-policy",
    "ban-detach-inheritance",
    "ban-disable-trigger",
    "ban-drop-index",
    "ban-drop-policy",
    "ban-new-write-restriction",
    "ban-replace-view-function",
    "ban-revoke",
    "ban-set-default",
)


class Squawk:
    """:param version: of the server, as "15.4 (Debian 15.4-1)"."""

    def __init__(self, program: str, version: str) -> None:
        match = re.match(r"\d+", version)
        self.command = [program, "--reporter", "json", *(["--pg-version", f"{match.group(0)}.0"] if match else [])]
        self.name = _output([program, "--version"], "").strip()

    def read(self, sql: str) -> list[dict[str, Any]]:
        """Return what it finds: rule, line and column (from 0) and message.

        :raises OSError, ValueError, subprocess.SubprocessError: it can not be used.
        """
        try:
            found = json.loads(_output([*self.command, "--include", ",".join(EXTRA)], sql))
        except ValueError:
            found = json.loads(_output(self.command, sql))
        return [
            {"rule": item["rule_name"], "line": int(item["line"]), "column": int(item["column"]), "message": item["message"]}
            for item in found
        ]


def find(version: str) -> Squawk | None:
    """Return the squawk beside the project's Python, or the one in the PATH."""
    program = shutil.which("squawk", path=os.path.dirname(sys.executable)) or shutil.which("squawk")
    return Squawk(program, version) if program else None


def _output(command: list[str], text: str) -> str:
    done = subprocess.run(  # pylint: disable=ansible-bad-function  # there is no Ansible here
        command,
        input=text.encode("utf-8"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",  # not where a .squawk.toml of the project would be found: which rules count is decided here
        timeout=SECONDS,
        check=False,  # it ends with 1 when it finds something
    )
    return done.stdout.decode("utf-8", "replace")
