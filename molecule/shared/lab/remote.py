# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on the hosts, by SSH, and past it into a host that can't be reached."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Sequence

from keeper import HOSTS
from network import Network
from paths import KEY, RUN

OPTIONS = (
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "ConnectTimeout=10", "-o", "BatchMode=yes", "-i", str(KEY)),
)


def network() -> Network:
    return Network(int((RUN / "subnet").read_text().rpartition(".")[2]))


def address(host: str) -> str:
    return f"{network().prefix}.{HOSTS[host][0]}"


def on(host: str, script: str, check: bool = True, stdin: str = "") -> str:
    """Run a shell script as root on the host; what it prints."""
    command = ["ssh", *OPTIONS, f"root@{address(host)}", script]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"{host}: {script}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def on_all(hosts: Sequence[str], script: str) -> dict[str, str]:
    """The same on several hosts at once."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(hosts, pool.map(lambda host: on(host, script), hosts)))
