# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts modules on this machine from a Python that has loaded what nearly all of them load, most of what a small one takes.

Each is run in a process of its own, with its own environment and folder, as if Python had been started for it:

* what Ansible would run as `python AnsiballZ_….py`. It finds those parts of Ansible that are loaded, and for all others looks
  into its archive alone;
* a module of ours as it is, by the name that Python imports it by, in a session of its own.

forkserver.py KIND NUMBER     forks for each request that comes over that descriptor
forkserver.py module MODULE   runs one, as it is run after a fork
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
import types
from typing import IO, Any, Iterable, Iterator, List, Mapping

COLLECTION = "ansible_collections.dbops.alembic.plugins.module_utils"
BASIC = "ansible.module_utils.basic"
LOADED = {
    "programs": (BASIC, "base64", "shutil", "tempfile", "zipfile"),
    "modules": (BASIC, f"{COLLECTION}._argspec", f"{COLLECTION}._kubernetes.runner"),
}
PACKAGE = "ansible"
#: Characters that the number of a process is told in; its status may be told by the time that somebody reads it.
NUMBER = 16


class Forker:
    """The process that others are forked from. It ends when the last process that could ask it has ended."""

    def __init__(self, kind: str, **options: Any) -> None:
        self._asked, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command, none = [sys.executable, __file__, kind, str(other.fileno())], subprocess.DEVNULL
            self.process = subprocess.Popen(command, pass_fds=[other.fileno()], stdin=none, stdout=none, **options)

    def ask(self, what: str, folder: str, environment: Mapping[str, str], given: int) -> list[int]:
        """Have it run that with this standard input; what it prints, its errors and its status come from what is returned."""
        request = file_of(json.dumps([what, folder, dict(environment)]).encode())
        pipes = [os.pipe() for _ in range(3)]
        handed = [request, given, *(end for _, end in pipes)]
        socket.send_fds(self._asked, [b"1"], handed)
        close(handed)
        return [begin for begin, _ in pipes]


class Server(Forker):
    """What Ansible's programs are forked from."""

    def __init__(self) -> None:
        # what it inherits is closed otherwise, since Ansible hands on none of its own
        super().__init__("programs", stderr=2)

    @staticmethod
    def program_of(command: str) -> str:
        """The archive that a command of Ansible's runs with this Python; empty where it is another command."""
        try:
            shell, option, inner = shlex.split(command)
            python, program, *rest = shlex.split(inner)
        except ValueError:
            return ""
        plain = (shell, option, python, rest) == ("/bin/sh", "-c", sys.executable, ["&&", "sleep", "0"])
        return program if plain and os.path.basename(program).startswith("AnsiballZ_") else ""

    def run(self, program: str, folder: str) -> tuple[int, bytes, bytes]:
        """The status of that program, run in that folder, what it printed and its errors."""
        descriptors = self.ask(program, folder, os.environ, os.open(os.devnull, os.O_RDONLY))
        out, errors, status = read([os.fdopen(descriptor, "rb") for descriptor in descriptors])
        if not status:
            raise RuntimeError(f"{program} was not run to its end: {errors.decode(errors='replace')}")
        return int(status), out, errors


class Modules(Forker):
    """What modules are forked from that run with these variables."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._read = read_by_python(environment)
        super().__init__("modules", env=dict(environment), start_new_session=True)

    def stands_for(self, environment: Mapping[str, str]) -> bool:
        """Whether a Python that is started with these variables is the same."""
        return read_by_python(environment) == self._read

    def start(self, module: str, parameters: bytes, environment: Mapping[str, str]) -> Started:
        """Start that module, of a name as Python imports it, with these parameters on its standard input."""
        out, errors, status = self.ask(module, os.getcwd(), environment, file_of(parameters))
        pid = int(os.read(status, NUMBER))
        return Started(pid, open(out, "rb"), open(errors, "rb"), status)


class Started:
    """A module that runs, or has run; what subprocess.Popen would be for it."""

    def __init__(self, pid: int, stdout: IO[bytes], stderr: IO[bytes], status: int):
        self.pid, self.stdout, self.stderr, self._status = pid, stdout, stderr, status
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            told = os.read(self._status, NUMBER)
            os.close(self._status)
            self.returncode = int(told or -signal.SIGKILL)  # who waits for it was killed with it
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """All that it prints, and its errors; it has ended then."""
        until = None if timeout is None else time.monotonic() + timeout
        try:
            out, errors = read([self.stdout, self.stderr], until)
        except TimeoutError:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
        self.wait(remaining(until))
        return out, errors

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def file_of(text: bytes) -> int:
    """A file in memory that holds that, open at its beginning."""
    descriptor = os.memfd_create("given")
    os.write(descriptor, text)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read(streams: list[IO[bytes]], until: float | None = None) -> list[bytes]:
    """All that comes from each of them, which are closed then.

    :raises TimeoutError: it is not all there by that time of the monotonic clock.
    """
    found = {stream: bytearray() for stream in streams}
    left = [stream for stream in streams if not stream.closed]
    while left:
        ready = select.select(left, [], [], remaining(until))[0]
        if not ready:
            raise TimeoutError
        for stream in ready:
            part = os.read(stream.fileno(), 65536)
            found[stream] += part
            if not part:
                stream.close()
                left.remove(stream)
    return [bytes(text) for text in found.values()]


def remaining(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def read_by_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that it reads as it starts."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_", "LC_", "LANG"))}


class Packed(List[str]):
    """Where a package of Ansible's is looked for: in the archive that runs, which puts itself first on the path."""

    def __init__(self, name: str):
        super().__init__()
        self._folder = name.replace(".", os.sep)

    def __iter__(self) -> Iterator[str]:
        return iter([os.path.join(sys.path[0], self._folder)])


@functools.cache
def load(kind: str) -> None:
    """Not before it is asked: not every play comes to a module."""
    for name in LOADED[kind]:
        __import__(name)
    for name, module in list(sys.modules.items()) if kind == "programs" else ():
        if name.partition(".")[0] == PACKAGE and hasattr(module, "__path__"):
            module.__path__ = Packed(name)
    gc.collect()
    gc.freeze()


def serve(asked: socket.socket, kind: str) -> str:
    """Fork for each request. It returns in the process that is to run what is asked for, with its name."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # those that run have it, and so has who asked
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, *_ = socket.recv_fds(asked, 1, 5)
        if not message:
            os._exit(0)
        load(kind)
        if not os.fork():
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return follow(descriptors, kind, interrupted)
        close(descriptors)


def follow(descriptors: list[int], kind: str, interrupted: Any) -> str:
    """Have it run, and tell its status when it has ended. It returns in the process that is to run it.

    A module has a session of its own, and tells its number first.
    """
    request, *streams, status = descriptors
    child = os.fork()
    if child:
        close([0, 1, 2, *streams])
        _, ended = os.waitpid(child, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
        os._exit(0)
    signal.signal(signal.SIGINT, interrupted)
    if kind == "modules":
        os.setsid()
        os.write(status, f"{os.getpid():{NUMBER}}".encode())
    with open(request, "rb", closefd=False) as file:
        what, folder, environment = json.load(file)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    close(descriptors)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return str(what)


def close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def main() -> None:
    sys.path.pop(0)  # the folder of this file
    kind, what = sys.argv[1:]
    if kind == "programs":
        run_program(serve(socket.socket(fileno=int(what)), kind))
    else:
        sys.path.insert(0, "")
        run_module(serve(socket.socket(fileno=int(what)), kind) if kind == "modules" else what)


def run_program(program: str) -> None:
    """Run it as Python runs a file."""
    sys.argv[:] = [program]
    sys.path.insert(0, os.path.dirname(program))
    own = types.ModuleType("__main__")
    own.__file__ = program
    sys.modules["__main__"] = own
    with open(program, "rb") as source:
        code = compile(source.read(), program, "exec", dont_inherit=True)
    exec(code, own.__dict__)


def run_module(module: str) -> None:
    """Run it as Ansible runs what it has unpacked."""
    sys.argv[:] = ["-c", module]
    __import__(BASIC)
    basic: Any = sys.modules[BASIC]
    basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 wants to know by which conventions a module is written
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
