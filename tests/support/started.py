# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts modules from a Python that has loaded what nearly all of them load, most of what a short one takes.

Each runs in a process and a session of its own, with its own environment and folder, as if Python had been started for it.

started.py NUMBER     forks for each request that comes over that descriptor
started.py MODULE     runs one, as it is run after a fork
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from typing import IO, Any, Iterable, Mapping

COLLECTION = "ansible_collections.dbops.alembic.plugins.module_utils"
LOADED = ("ansible.module_utils.basic", f"{COLLECTION}._argspec", f"{COLLECTION}._kubernetes.runner")

#: Characters that the number of a process is told in; its status may be told by the time that somebody reads it.
NUMBER = 16


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
            told = os.read(self._status, 16)
            os.close(self._status)
            self.returncode = int(told or -signal.SIGKILL)  # who waits for it was killed with it
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """All that it prints, and its errors; it has ended then."""
        until = None if timeout is None else time.monotonic() + timeout
        found: dict[IO[bytes], bytearray] = {self.stdout: bytearray(), self.stderr: bytearray()}
        left = [stream for stream in found if not stream.closed]
        while left:
            ready = select.select(left, [], [], remaining(until))[0]
            if not ready:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            for stream in ready:
                part = os.read(stream.fileno(), 65536)
                found[stream] += part
                if not part:
                    stream.close()
                    left.remove(stream)
        self.wait(remaining(until))
        return bytes(found[self.stdout]), bytes(found[self.stderr])

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def remaining(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


class Server:
    """The process that modules are forked from. It ends when the last process that could ask it has ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._read = read_by_python(environment)
        self._asked, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command, none = [sys.executable, __file__, str(other.fileno())], subprocess.DEVNULL
            self.process = subprocess.Popen(
                command, pass_fds=[other.fileno()], stdin=none, stdout=none, env=dict(environment), start_new_session=True
            )

    def stands_for(self, environment: Mapping[str, str]) -> bool:
        """Whether a Python that is started with these variables is the same."""
        return read_by_python(environment) == self._read

    def start(self, module: str, parameters: bytes, environment: Mapping[str, str]) -> Started:
        """Start that module, of a name as Python imports it, with these parameters on its standard input."""
        request, given = os.memfd_create("request"), os.memfd_create("parameters")
        os.write(request, json.dumps([module, os.getcwd(), dict(environment)]).encode())
        os.write(given, parameters)
        for descriptor in (request, given):
            os.lseek(descriptor, 0, os.SEEK_SET)
        (out, its_out), (errors, its_errors), (status, its_status) = (os.pipe() for _ in range(3))
        handed = [request, given, its_out, its_errors, its_status]
        socket.send_fds(self._asked, [b"1"], handed)
        close(handed)
        pid = int(os.read(status, NUMBER))
        return Started(pid, open(out, "rb"), open(errors, "rb"), status)


def read_by_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that it reads as it starts."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_", "LC_", "LANG"))}


def close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def serve(asked: socket.socket) -> str:
    """Fork for each request. It returns in the process that is to run a module, with its name."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, *_ = socket.recv_fds(asked, 1, 5)
        if not message:
            os._exit(0)
        if not os.fork():
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return follow(descriptors)
        close(descriptors)


def follow(descriptors: list[int]) -> str:
    """Have it run; tell its number, and its status when it has ended. It returns in the process that is to run it."""
    request, *streams, status = descriptors
    child = os.fork()
    if child:
        close(streams)
        _, ended = os.waitpid(child, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
        os._exit(0)
    os.setsid()
    os.write(status, f"{os.getpid():{NUMBER}}".encode())
    with open(request, "rb", closefd=False) as file:
        module, folder, environment = json.load(file)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    close(descriptors)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return str(module)


def load() -> None:
    for name in LOADED:
        __import__(name)
    gc.collect()
    gc.freeze()


def main() -> None:
    sys.path[0] = ""  # and not the folder of this file
    module = sys.argv[1]
    if module.isdigit():
        load()
        module = serve(socket.socket(fileno=int(module)))
    else:
        __import__(LOADED[0])
    sys.argv[:] = ["-c", module]
    basic: Any = sys.modules[LOADED[0]]
    basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
    basic._ANSIBLE_PROFILE = "legacy"  # ansible-core 2.19 wants to know by which conventions a module is written
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
