# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts modules on this machine from a Python that has loaded what nearly all of them load, most of what a small one takes.

What Ansible would run as `python AnsiballZ_….py` is run in a process of its own, with the same environment and folder. It
finds those parts of Ansible that are loaded, and for all others looks into its archive alone.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import types
from typing import Any, Iterable, Iterator, List

LOADED = ("ansible.module_utils.basic", "base64", "runpy", "shutil", "tempfile", "zipfile")
PACKAGE = "ansible"


class Server:
    """The process that others are forked from. It ends when the last process that could ask it has ended."""

    def __init__(self) -> None:
        self._asked, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command = [sys.executable, __file__, str(other.fileno())]
            none = subprocess.DEVNULL
            # what it inherits is closed otherwise, since Ansible hands on none of its own
            self.process = subprocess.Popen(command, pass_fds=[other.fileno()], stdin=none, stdout=none, stderr=2)

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
        request = os.memfd_create("request")
        os.write(request, json.dumps([program, folder, dict(os.environ)]).encode())
        os.lseek(request, 0, os.SEEK_SET)
        nothing = os.open(os.devnull, os.O_RDONLY)
        pipes = [os.pipe() for _ in range(3)]
        given = [request, nothing, *(end for _, end in pipes)]
        socket.send_fds(self._asked, [b"1"], given)
        close(given)
        out, errors, status = read([begin for begin, _ in pipes])
        if not status:
            raise RuntimeError(f"{program} was not run to its end: {errors.decode(errors='replace')}")
        return int(status), out, errors


def read(descriptors: list[int]) -> list[bytes]:
    """All that comes from each of them."""
    found = {descriptor: bytearray() for descriptor in descriptors}
    left = list(descriptors)
    while left:
        for descriptor in select.select(left, [], [])[0]:
            part = os.read(descriptor, 65536)
            found[descriptor] += part
            if not part:
                os.close(descriptor)
                left.remove(descriptor)
    return [bytes(text) for text in found.values()]


class Packed(List[str]):
    """Where a package of Ansible's is looked for: in the archive that runs, which puts itself first on the path."""

    def __init__(self, name: str):
        super().__init__()
        self._folder = name.replace(".", os.sep)

    def __iter__(self) -> Iterator[str]:
        return iter([os.path.join(sys.path[0], self._folder)])


@functools.cache
def load() -> None:
    """Not before it is asked: not every play comes to a module."""
    for name in LOADED:
        __import__(name)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE and hasattr(module, "__path__"):
            module.__path__ = Packed(name)
    gc.collect()
    gc.freeze()


def serve(asked: socket.socket) -> str:
    """Fork for each request. It returns in the process that is to run a program, with that program."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # those that run have it, and so has who asked
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, *_ = socket.recv_fds(asked, 1, 5)
        if not message:
            os._exit(0)
        load()
        if not os.fork():
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return follow(descriptors, interrupted)
        close(descriptors)


def follow(descriptors: list[int], interrupted: Any) -> str:
    """Have it run, and tell its status when it has ended. It returns in the process that is to run it."""
    request, *streams, status = descriptors
    child = os.fork()
    if child:
        close([0, 1, 2, *streams])
        _, ended = os.waitpid(child, 0)
        os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
        os._exit(0)
    signal.signal(signal.SIGINT, interrupted)
    with open(request, "rb", closefd=False) as file:
        program, folder, environment = json.load(file)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    close(descriptors)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return str(program)


def close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def main() -> None:
    sys.path.pop(0)  # the folder of this file
    run(serve(socket.socket(fileno=int(sys.argv[1]))))


def run(program: str) -> None:
    """Run it as Python runs a file."""
    sys.argv[:] = [program]
    sys.path.insert(0, os.path.dirname(program))
    own = types.ModuleType("__main__")
    own.__file__ = program
    sys.modules["__main__"] = own
    with open(program, "rb") as source:
        code = compile(source.read(), program, "exec", dont_inherit=True)
    exec(code, own.__dict__)


if __name__ == "__main__":
    main()
