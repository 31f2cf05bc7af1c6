# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fork server runs is told the same, and tells the same, as what Python runs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.forkserver import Server
from support.waiting import PATIENCE

#: Begins as Ansible's do, with the archive of what it imports first on the path.
HEAD = "import sys\nsys.path.insert(0, {archive!r})\n"
PROGRAMS = {
    "what it is": "import os, __main__\nprint(sys.argv, __name__, __main__.__file__, sys.path, os.getcwd(), os.umask(0))",
    "what it is told": "import os\nprint(sorted(os.environ.items()), os.getenv('SHOP'), sys.stdin.read())",
    "what is open": "import os\nprint(sorted(n for n in range(64) if os.path.exists(f'/proc/self/fd/{n}')))",
    "signals": "import signal\nprint([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE)])",
    "what it starts": "import subprocess\nprint(subprocess.run(['sh', '-c', 'echo $SHOP; exit 5'], capture_output=True))",
    "much output": "print('x' * 300000)\nsys.stderr.write('y' * 300000)",
    "its end": "import atexit\natexit.register(print, 'the end')\nprint('begun', end=' ')",
    "a status": "sys.exit(3)",
    "a text for a status": "sys.exit('no')",
    "its own archive": "from ansible.module_utils.ours import here\nimport ansible.modules.one\nprint(here)",
    "the controller's": "import ansible.errors",
    "other module_utils": "import ansible.module_utils.urls",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    kept = os.get_inheritable(2)
    os.set_inheritable(2, False)  # as Ansible has it
    made = Server()
    os.set_inheritable(2, kept)
    yield made
    made.process.kill()
    made.process.wait()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP", "ä")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for name in ("", "module_utils/", "modules/"):
            archive.writestr(f"ansible/{name}__init__.py", "")
        archive.writestr("ansible/module_utils/ours.py", "here = __file__")
        archive.writestr("ansible/modules/one.py", "")
    return tmp_path


def written(folder: Path, text: str) -> str:
    program = folder / "AnsiballZ_one.py"
    program.write_text(HEAD.format(archive=str(folder / "archive.zip")) + text)
    return str(program)


@pytest.mark.parametrize("text", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_runs_as_python_runs_it(server: Server, folder: Path, text: str) -> None:
    program = written(folder, text)
    plain = subprocess.run([sys.executable, program], stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ}, cwd=folder)
    status, out, errors = server.run(program, str(folder))
    assert (status, out) == (plain.returncode, plain.stdout), errors
    assert errors.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def test_one_that_is_killed_says_so_and_the_next_one_runs(server: Server, folder: Path) -> None:
    status, _, _ = server.run(written(folder, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"), str(folder))
    assert status == -signal.SIGKILL
    assert server.run(written(folder, "print('well')"), str(folder)) == (0, b"well\n", b"")


def test_it_ends_with_the_last_that_could_ask() -> None:
    """However that ended. The server has its errors open too, which are read to their end."""
    code = "import os\nfrom support.forkserver import Server\nServer()\nos.kill(os.getpid(), 9)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, env=environment, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, b"")


@pytest.mark.parametrize(
    ("command", "taken"),
    [
        ("{python} /tmp/a/AnsiballZ_stat.py && sleep 0", True),
        ("LC_ALL=C {python} /tmp/a/AnsiballZ_stat.py && sleep 0", False),
        ("/usr/bin/python3 /tmp/a/AnsiballZ_stat.py && sleep 0", False),
        ("{python} /tmp/a/async_wrapper.py 1 60 /tmp/a/AnsiballZ_stat.py _ && sleep 0", False),
        ("{python} /tmp/a/stat.py && sleep 0", False),
        ("echo it's", False),
    ],
)
def test_only_a_module_with_this_python_is_its_business(command: str, taken: bool) -> None:
    inner = command.format(python=sys.executable)
    assert Server.program_of(f"/bin/sh -c {shlex.quote(inner)}") == ("/tmp/a/AnsiballZ_stat.py" if taken else "")
    assert Server.program_of(inner) == ""
