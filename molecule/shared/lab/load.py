# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that ask the balancer all the time, in a process of their own, until somebody wants to know what they saw."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from paths import ROOT, RUN
from remote import address

sys.path.insert(0, str(ROOT / "tests"))
from flows.load import Load

SEEN, RUNNING = RUN / "load.json", RUN / "load.pid"
LAB = [sys.executable, str(Path(__file__).parent)]


def begin() -> None:
    stop()
    SEEN.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*LAB, "ask"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    RUNNING.write_text(str(process.pid))


def ask() -> None:
    """Ask until SIGTERM; then write what was seen. Nothing is ordered, so that the rows stay those of a reference."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    with Load(8080, address("lb1"), writes=False) as load:
        signal.sigtimedwait([signal.SIGTERM], 3600)
    part = SEEN.with_suffix(".part")
    part.write_text(json.dumps({"asked": load.asked, "failed": load.failed, "releases": sorted(load.releases)}))
    part.rename(SEEN)


def stop() -> None:
    if RUNNING.exists():
        subprocess.run(["kill", RUNNING.read_text()], check=False, stderr=subprocess.DEVNULL)
        RUNNING.unlink()


def end() -> dict[str, object]:
    """What the clients saw."""
    stop()
    deadline = time.monotonic() + 90
    while not SEEN.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    seen: dict[str, object] = json.loads(SEEN.read_text())
    return seen
