# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fork server runs is told the same, and tells the same, as what Python runs."""

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

from support import forkserver
from support.forkserver import Modules, Server
from support.paths import TREE
from support.waiting import PATIENCE

#: Begins as Ansible's do, with the archive of what it imports first on the path.
HEAD = "import sys\nsys.path.insert(0, {archive!r})\n"
BOTH = {
    "what is open": "import os\nprint(sorted(n for n in range(64) if os.path.exists(f'/proc/self/fd/{n}')))",
    "signals": "import signal\nprint([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE)])",
    "what it starts": "import subprocess\nprint(subprocess.run(['sh', '-c', 'echo $SHOP; exit 5'], capture_output=True))",
    "much output": "print('x' * 300000)\nsys.stderr.write('y' * 300000)",
    "its end": "import atexit\natexit.register(print, 'the end')\nprint('begun', end=' ')",
    "a status": "sys.exit(3)",
    "a text for a status": "sys.exit('no')",
}
PROGRAMS = {
    "what it is": "import os, __main__\nprint(sys.argv, __name__, __main__.__file__, sys.path, os.getcwd(), os.umask(0))",
    "what it is told": "import os\nprint(sorted(os.environ.items()), os.getenv('SHOP'), sys.stdin.read())",
    "its own archive": "from ansible.module_utils.ours import here\nimport ansible.modules.one\nprint(here)",
    "the controller's": "import ansible.errors",
    "other module_utils": "import ansible.module_utils.urls",
    **BOTH,
}
MODULES = {
    "what it is": "import os, __main__\nprint(sys.argv, __name__, sys.path, os.getcwd(), os.umask(0), os.getpid() == os.getsid(0))",
    "what it is told": "import os\nfrom ansible.module_utils import basic\nprint(sorted(os.environ.items()), basic._ANSIBLE_ARGS)",
    "an exception": "raise ValueError('no')",
    "its death": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    **BOTH,
}
GIVEN = b'{"shop": "caf\xc3\xa9"}'


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


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**own, "PYTHONPATH": f"{tmp_path}:{TREE}", "SHOP": "ä"}


@pytest.fixture
def modules(environment: dict[str, str]) -> Iterator[Modules]:
    made = Modules(environment)
    yield made
    made.process.kill()
    made.process.wait()


@pytest.mark.parametrize("text", MODULES.values(), ids=MODULES)
def test_a_module_runs_as_python_runs_it(modules: Modules, environment: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "one.py").write_text(f"import sys\n{text}\n")
    command = [sys.executable, forkserver.__file__, "module", "one"]
    plain = subprocess.run(command, input=GIVEN, capture_output=True, env=environment, start_new_session=True)
    run = modules.start("one", GIVEN, environment)
    out, errors = run.communicate(PATIENCE)
    assert (run.returncode, out) == (plain.returncode, plain.stdout), errors
    assert errors.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def test_one_that_runs_can_be_waited_for_and_killed(modules: Modules, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import os\nprint('here', flush=True)\nos.read(os.pipe()[0], 1)\n")
    for kill in (lambda run: run.kill(), lambda run: os.killpg(run.pid, signal.SIGKILL)):
        run = modules.start("one", GIVEN, environment)
        assert os.read(run.stdout.fileno(), 5) == b"here\n" and run.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            run.communicate(0.01)
        kill(run)
        assert run.wait(PATIENCE) == run.poll() == -signal.SIGKILL


def test_what_python_reads_as_it_starts_needs_one_that_starts(modules: Modules, environment: dict[str, str]) -> None:
    assert modules.stands_for({**environment, "SHOP": "other"})
    assert not modules.stands_for({**environment, "PYTHONPATH": "elsewhere"})
