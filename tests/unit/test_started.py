# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that is forked is told the same, and tells the same, as one that Python is started for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import started
from support.paths import TREE
from support.waiting import PATIENCE

MODULES = {
    "what it is": "import os, __main__\nprint(sys.argv, __name__, sys.path, os.getcwd(), os.umask(0), os.getpid() == os.getsid(0))",
    "what it is told": "import os\nfrom ansible.module_utils import basic\nprint(sorted(os.environ.items()), basic._ANSIBLE_ARGS)",
    "what is open": "import os\nprint(sorted(n for n in range(64) if os.path.exists(f'/proc/self/fd/{n}')))",
    "signals": "import signal\nprint([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE)])",
    "what it starts": "import subprocess\nprint(subprocess.run(['sh', '-c', 'echo $SHOP; exit 5'], capture_output=True))",
    "much output": "print('x' * 300000)\nsys.stderr.write('y' * 300000)",
    "its end": "import atexit\natexit.register(print, 'the end')\nprint('begun', end=' ')",
    "a status": "sys.exit(3)",
    "a text for a status": "sys.exit('no')",
    "an exception": "raise ValueError('no')",
    "its death": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
}
GIVEN = b'{"shop": "caf\xc3\xa9"}'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**own, "PYTHONPATH": f"{tmp_path}:{TREE}", "SHOP": "ä"}


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[started.Server]:
    made = started.Server(environment)
    yield made
    made.process.kill()
    made.process.wait()


@pytest.mark.parametrize("text", MODULES.values(), ids=MODULES)
def test_a_module_runs_as_python_runs_it(server: started.Server, environment: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "one.py").write_text(f"import sys\n{text}\n")
    command = [sys.executable, started.__file__, "one"]
    plain = subprocess.run(command, input=GIVEN, capture_output=True, env=environment, start_new_session=True)
    run = server.start("one", GIVEN, environment)
    out, errors = run.communicate(PATIENCE)
    assert (run.returncode, out) == (plain.returncode, plain.stdout), errors
    assert errors.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def test_one_that_runs_can_be_waited_for_and_killed(server: started.Server, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import os\nprint('here', flush=True)\nos.read(os.pipe()[0], 1)\n")
    for kill in (lambda run: run.kill(), lambda run: os.killpg(run.pid, signal.SIGKILL)):
        run = server.start("one", GIVEN, environment)
        assert os.read(run.stdout.fileno(), 5) == b"here\n" and run.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            run.communicate(0.01)
        kill(run)
        assert run.wait(PATIENCE) == run.poll() == -signal.SIGKILL


def test_what_python_reads_as_it_starts_needs_one_that_starts(server: started.Server, environment: dict[str, str]) -> None:
    assert server.stands_for({**environment, "SHOP": "other"})
    assert not server.stands_for({**environment, "PYTHONPATH": "elsewhere"})
