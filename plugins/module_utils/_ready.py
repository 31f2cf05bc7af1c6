# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A process that is ready before it is needed: it has loaded what a job needs, and waits at a socket of the user's own to be told.

It is handed a job with the file that the job writes to. A process that nobody tells anything ends by itself and has done nothing;
where there is none, whoever needs one starts another.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import hashlib
import json
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping

from ._background import apart, let_go
from ._worker.channel import readable

#: Seconds without a word after which it ends.
IDLE = 60.0
#: Seconds that either side waits for the other's next word.
PATIENCE = 5.0
_HEADER = struct.Struct("!Q")
_TAKEN, _REFUSED, _GO = b"y", b"n", b"g"
_LOAD, _END = b"l", b"e"
#: Carries out a job: what it was told, the descriptors of the job's file and of what it prints, and the lock that is held for as
#: long as anything of it lives.
Serve = Callable[[Mapping[str, Any], int, int, str], None]


def fingerprint(options: Mapping[str, Any]) -> str:
    """Return what tells whether two calls mean the same application; nothing can be read from it."""
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()


class StandBy:
    """A process that stands by until it is worth while to be ready. Where this one dies, it ends by itself.

    :param told: where it hears what to do.
    """

    def __init__(self, told: int) -> None:
        self._told, self._loads = told, False

    def load(self) -> None:
        """Let it load what is needed; it is not in a hurry to be told until :meth:`leave`."""
        self._loads = True
        self._say(_LOAD)

    def leave(self, ready: bool) -> None:
        """Leave it to who comes next, if it is to be ready; else it ends."""
        if not (ready and self._loads):
            self._say(_END)
        os.close(self._told)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._told, word)


@dataclass(frozen=True)
class Ready:
    """The place of such a process.

    :param folder: of the user's own.
    :param name: of the process, 8 to 64 characters.
    :param knows: :func:`fingerprint` of what it has loaded; a job for anything else is refused.
    """

    folder: str
    name: str
    knows: str

    def make(self, begin: Callable[[tuple[int, ...]], Serve]) -> None:
        """Start the process.

        :param begin: loads what is needed, given the descriptors that all it starts has to keep open.
        :raises OSError: no socket can be made here, or another process has it.
        """
        with self._listener() as listener:
            apart(lambda: self._wait(listener, begin, None))

    def stand_by(self, begin: Callable[[tuple[int, ...]], Serve]) -> StandBy:
        """Start the process and let it stand by: it is begun while something else goes on.

        :raises OSError: as :meth:`make`.
        """
        hears, told = os.pipe()
        try:
            with self._listener() as listener:

                def work() -> None:
                    os.close(told)
                    self._wait(listener, begin, hears)

                apart(work)
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(hears)
        return StandBy(told)

    @contextlib.contextmanager
    def _listener(self) -> Iterator[socket.socket]:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with listener:
            with self._address() as address:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(address)
                listener.bind(address)
            listener.listen(1)
            yield listener

    def hand(self, message: Mapping[str, Any], descriptor: int, errors: int) -> bool | None:
        """Hand a job to the process; return whether it has it, or None where there is no such process.

        :param descriptor: of the job's file.
        :param errors: where what the process prints goes to.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with connection:
            connection.settimeout(PATIENCE)
            try:
                with self._address() as address:
                    connection.connect(address)
            except OSError:
                return None
            body = json.dumps({"knows": self.knows, "message": dict(message)}).encode()
            descriptors = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor, errors]))]
            try:
                connection.sendmsg([_HEADER.pack(len(body))], descriptors)
                connection.sendall(body)
                if connection.recv(1) != _TAKEN:
                    return False
                connection.sendall(_GO)  # from here on it is the other's: who did not hear this has not begun
            except OSError:
                return False
            return True

    def _wait(self, listener: socket.socket, begin: Callable[[tuple[int, ...]], Serve], hears: int | None) -> None:
        let_go(None)
        if hears is not None and os.read(hears, 1) != _LOAD:
            self._forget(listener)
            return
        lock = os.path.join(self.folder, f"{self.name}.{os.getpid()}.lock")
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        serve = begin((held,))
        try:
            if hears is not None and os.read(hears, 1) == _END:
                return
            while readable([listener.fileno()], IDLE):
                with contextlib.suppress(OSError, ValueError):  # who broke off has not begun
                    self._answer(listener, lambda message, descriptor, errors: serve(message, descriptor, errors, lock))
        finally:
            self._forget(listener, lock)

    def _forget(self, listener: socket.socket, *others: str) -> None:
        listener.close()
        for path in (os.path.join(self.folder, f"{self.name}.sock"), *others):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _answer(self, listener: socket.socket, serve: Callable[[Mapping[str, Any], int, int], None]) -> None:
        connection, _address = listener.accept()
        given: list[int] = []
        try:
            with connection:
                connection.settimeout(PATIENCE)
                told = _received(connection, given)
                known = told.get("knows") == self.knows and len(given) == 2
                connection.sendall(_TAKEN if known else _REFUSED)
                if not known or connection.recv(1) != _GO:
                    return
            serve(told["message"], *given)
        finally:
            for number in given:
                os.close(number)

    @contextlib.contextmanager
    def _address(self) -> Iterator[str]:
        """Yield the socket's address: a path of any length has a short name below an open folder."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{self.name}.sock"
        finally:
            os.close(folder)


def _received(connection: socket.socket, given: list[int]) -> dict[str, Any]:
    """Return what was told; the descriptors that came with it are added to ``given``."""
    space = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    data, ancillary, _flags, _from = connection.recvmsg(_HEADER.size, space)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
            given.extend(numbers)
    data += _exactly(connection, _HEADER.size - len(data))
    found = json.loads(_exactly(connection, _HEADER.unpack(data)[0]))
    return found if isinstance(found, dict) else {}


def _exactly(connection: socket.socket, number: int) -> bytes:
    data = b""
    while len(data) < number:
        part = connection.recv(number - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data
