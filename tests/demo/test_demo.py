# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo as a stranger runs it: in a copy of this checkout, without a terminal, and nothing is left of it afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.paths import CACHE, ROOT
from support.waiting import PATIENCE

NOT_COPIED = shutil.ignore_patterns(".git", ".cache", "__pycache__", "output", ".ansible")
SECONDS = 1800  # where others keep the machine busy
pytestmark = pytest.mark.timeout(2 * SECONDS)


class Demo:
    def __init__(self, folder: Path, **variables: str):
        self.folder, self.cache, self.log = folder, folder / ".cache", folder.parent / f"{folder.name}.log"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DEMO", "DBOPS", "PYTHON", "ANSIBLE"))
        }
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(folder / "demo" / "run")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**environment, "CI": "true", **variables},
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.said:
            assert self.process.poll() is None and time.monotonic() < deadline, self.said
            time.sleep(0.2)

    def left(self) -> list[str]:
        """Processes that were started by this demo, and what it made that is still there."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(os.getpid()):
                for part in ("environ", "cmdline"):
                    try:
                        text = (entry / part).read_bytes()
                    except OSError:
                        continue
                    if os.fsencode(self.folder) in text:
                        found.append(text.replace(b"\0", b" ").decode(errors="replace")[:500])
        found += [str(path) for path in self.cache.glob("demo/run-*")]
        found += [str(path) for path in Path("/tmp").glob(f"dbops-*-{self.process.pid}-*")]
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts the demo in a copy of the checkout, which has downloads and environments from our cache."""
    demos = []

    def started(**variables: str) -> Demo:
        folder = tmp_path / "copy"
        shutil.copytree(ROOT, folder, symlinks=True, ignore=NOT_COPIED)
        (folder / ".cache").mkdir()
        for name in ("downloads", "venvs"):
            (CACHE / name).mkdir(parents=True, exist_ok=True)
            (folder / ".cache" / name).symlink_to(CACHE / name)
        demos.append(Demo(folder, **variables))
        return demos[-1]

    yield started
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.wait(PATIENCE)


#: What make test plays, and what make test-all plays: tests/integration puts the two bad releases back every day.
PLAYED = [pytest.param({"DEMO_CHAPTERS": "1"}, 1, 0, id="a good release"), pytest.param({}, 1, 2, id="all", marks=pytest.mark.slow)]


@pytest.mark.parametrize(("variables", "good", "bad"), PLAYED)
def test_the_whole_story(start: Any, variables: dict[str, str], good: int, bad: int) -> None:
    """Of the bad releases the first fails in its migration, the second when it serves."""
    demo = start(DEMO_KEEP="1", **variables)
    demo.wait_for("Everything keeps running until")
    demo.wait_for("ansible-playbook dbops.alembic.maintenance_window -e @")
    said = demo.said
    assert said.count("all 3 replicas serve release 1.0") == 1  # before anything is deployed
    assert said.count("all 3 replicas serve release 1.1") == good + bad
    assert said.count("the playbook failed, and the database is as it was") == bad
    assert "\033[" not in said and "TASK [" not in said
    told = [line.removeprefix("   | ") for line in said.splitlines() if line.startswith("   | ")]
    assert sum(line.startswith("  ok  Prepare the release") for line in told) == good + bad, said
    assert sum(bool(re.match("  ok  Work on the database: [12] revisions?, now at", line)) for line in told) == good + bad // 2
    assert sum(line.startswith("  !!  Work on the database: failed on ") for line in told) == bad // 2
    assert sum(line.startswith("  ok  Work on the database: the snapshot is back") for line in told) == bad
    assert "shop: release 1.1 serves." in told and len(told) < 200
    logs = [path for path in (demo.cache / "demo" / "logs").glob("*.log") if "PLAY RECAP" in path.read_text()]
    assert len(logs) == good + bad and all(str(path) in said for path in logs)
    for url in re.findall(r"curl (http://\S+/health)", said):
        assert json.load(urllib.request.urlopen(url))["release"] == "1.1"
    assert demo.left(), "the test looks in the wrong places"
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(PATIENCE) == 0, demo.said
    assert demo.left() == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_in_a_deployment_leaves_nothing(start: Any, how: signal.Signals) -> None:
    demo = start()
    demo.wait_for("| ")
    time.sleep(3)
    assert demo.left()
    demo.process.send_signal(how)
    assert demo.process.wait(PATIENCE) == 128 + how, demo.said
    assert demo.left() == []


@pytest.mark.slow
def test_a_demo_that_is_killed_leaves_no_server(start: Any) -> None:
    demo = start()
    demo.wait_for("starting supervisord")
    demo.wait_for("| ")
    demo.process.kill()
    demo.process.wait()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any("postgres" in text or "supervisord" in text for text in _servers(demo)):
        time.sleep(0.5)
    assert not _servers(demo)


def _servers(demo: Demo) -> list[str]:
    lines = subprocess.run(["ps", "-ww", "-eo", "args"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    marks = (str(demo.folder), f"dbops-pg-{demo.process.pid}-", f"dbops-demo-{demo.process.pid}-")
    return [line for line in lines if any(mark in line for mark in marks) and ("postgres" in line or "supervisord" in line)]
