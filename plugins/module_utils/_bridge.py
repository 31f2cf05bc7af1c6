# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Starts the worker with the application's Python and speaks its protocol.

Source and request go over standard input, events and the reply come back as JSON lines on a private descriptor: no secret
is ever in an argument, a file or the initial environment, and what the application prints cannot be mistaken for an answer.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Callable, Dict, Iterator, Mapping, Sequence, cast

from ._errors import MigrationError
from ._worker import boot, protocol
from ._worker.channel import is_abandoned, readable
from ._worker.redaction import redactor_for

if TYPE_CHECKING:
    from ._worker import supervisor  # noqa: F401 - so that Ansible packs the worker with each module that can start one

#: Variables that the interpreter itself reads when it starts; all others are set inside the worker.
_STARTUP_VARIABLES = ("PYTHON", "LD_", "LC_", "LANG", "TZ")
_START = "import json,sys;exec(json.loads(sys.stdin.buffer.readline()))"
Event = Dict[str, Any]
_PYTHON = "Set virtualenv or python (in the roles schema_virtualenv, schema_python) to the application's environment."


@functools.lru_cache(maxsize=None)  # read once: a module that goes on by itself loses the archive that it came in
def worker_sources(*operations: str) -> Mapping[str, str]:
    """Return module name → source of the files that ``operations`` need, under the names that they have in the worker.

    They are read and not loaded, which is the worker's part.
    """
    package = boot.__name__.rpartition(".")[0]
    needed = [part for part, begins in protocol.PARTS.items() if any(operation.startswith(begins) for operation in operations)]
    names = [name for each in (package, *(f"{package}.{part}" for part in needed)) for name in _files_of(each)]
    return {boot.PACKAGE + name[len(package) :]: _source_of(name) for name in names}


def _files_of(package: str) -> Iterator[str]:
    """Yield the name of a package and those of its files."""
    place = importlib.import_module(package).__path__
    yield package
    yield from (f"{package}.{found.name}" for found in pkgutil.iter_modules(place) if not found.ispkg)


def _source_of(name: str) -> str:
    found = importlib.util.find_spec(name)
    source = found.loader.get_source(name) if found and found.loader else None  # type: ignore[attr-defined]
    if source is None:
        raise MigrationError(f"The source of {name} can not be read.", "internal_error")
    return str(source)


def payload(request: Mapping[str, Any], descriptor: int, entry: str = "supervisor") -> bytes:
    """Return what a worker is sent on standard input.

    :param entry: the worker's file whose ``serve`` takes the request.
    """
    sources = worker_sources(str(request.get("operation")), *request.get("besides", ()))
    body = {"sources": sources, "request": dict(request), "descriptor": descriptor, "entry": entry}
    return b"\n".join(json.dumps(part).encode() for part in (inspect.getsource(boot), body))


@dataclass(frozen=True)
class Bridge:
    """A way to one application's Python.

    :param python: path of the interpreter.
    """

    python: str
    warn: Callable[[str], None] = field(default=lambda message: None)

    @classmethod
    def for_module(cls, module: Any) -> Bridge:
        """Return the bridge that a module's ``python`` or ``virtualenv`` names."""
        return cls(interpreter(module.params), module.warn)

    def start(
        self,
        request: Mapping[str, Any],
        descriptor: int,
        errors: IO[bytes] | int,
        own: Sequence[int] = (),
        entry: str = "supervisor",
    ) -> subprocess.Popen[bytes]:
        """Start a worker that writes to ``descriptor``.

        :param own: further descriptors that it inherits.
        :param entry: as for :func:`payload`.
        :raises MigrationError: ``python_missing``.
        """
        given = {str(name): str(value) for name, value in (request.get("environment") or {}).items()}
        environment = dict(os.environ, **{name: value for name, value in given.items() if name.startswith(_STARTUP_VARIABLES)})
        label = f"dbops.alembic:{request.get('operation')}"
        try:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # run_command passes no descriptor
                [self.python, "-c", _START, label],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(descriptor, *own),
                env=environment,
                start_new_session=True,
            )
        except OSError as exc:
            raise MigrationError(f"{self.python} can not be run: {exc.strerror}.", "python_missing", _PYTHON) from exc
        pipe = cast("IO[bytes]", process.stdin)
        try:
            pipe.write(payload(request, descriptor, entry))
            pipe.close()
        except BrokenPipeError:
            pass  # it died at once; the missing reply says so
        return process

    def start_serving(
        self, first: Mapping[str, Any], entry: str, own: Sequence[int]
    ) -> tuple[subprocess.Popen[bytes], int, IO[bytes], IO[bytes]]:
        """Start a worker that reads requests for as long as it is asked; return it, where to ask, its answers and its errors.

        :param first: what all requests have in common.
        :raises MigrationError: ``python_missing``.
        """
        reading, writing = os.pipe()
        asked, commands = os.pipe()
        errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by who asks
        request = dict(first, commands=asked, own=list(own))
        try:
            process = self.start(request, writing, errors, (asked, *own), entry)
        except BaseException:
            for descriptor in (reading, commands):
                os.close(descriptor)
            errors.close()
            raise
        finally:
            for descriptor in (writing, asked):
                os.close(descriptor)
        return process, commands, os.fdopen(reading, "rb"), errors

    def call(self, request: Mapping[str, Any], on_event: Callable[[Event], None] = lambda event: None) -> dict[str, Any]:
        """Carry out ``request`` and return the reply.

        :param on_event: called with each event as it happens.
        :raises MigrationError: the worker could not be started, or died without a reply (``worker_died``).
        """
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as errors, os.fdopen(reading, "rb") as replies:
            try:
                process = self.start(request, writing, errors)
            finally:
                os.close(writing)
            reply: dict[str, Any] | None = None
            outlives = request.get("operation") in protocol.OUTLIVING
            for message in messages_of(lines_of(replies, lambda: outlives or not is_alone())):
                if message["event"] == "reply":
                    reply = message
                    break  # not the end of the stream: a process that a migration left behind may hold it open
                on_event(message)
            process.wait()
            if reply is None:
                errors.seek(0)
                raise death(request, process.returncode, errors.read())
        return checked(reply)


def write_line(descriptor: int, message: Mapping[str, Any]) -> None:
    """Write a request for a worker; of one that died, the missing reply says so."""
    data = (json.dumps(dict(message)) + "\n").encode()
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(descriptor, data) :]


def lines_of(pipe: IO[bytes], goes_on: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the lines of a pipe while ``goes_on``; otherwise end this process, which closes the pipe and so ends the worker."""
    buffer = b""
    while goes_on():
        if not readable([pipe.fileno()], 0.5):
            continue
        data = os.read(pipe.fileno(), 65536)
        *lines, buffer = (buffer + data).split(b"\n")
        yield from lines
        if not data:
            return
    raise SystemExit(1)


def is_alone() -> bool:
    """Tell whether nobody waits for this module's answer: the controller, or the connection to it, is gone."""
    try:
        return is_abandoned(1)
    except OSError:
        return False


def messages_of(lines: Iterator[bytes] | IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError as exc:
            raise MigrationError(
                "The worker's answer is not JSON.",
                "protocol_error",
                "Something in the application writes to descriptors that it did not open.",
            ) from exc


def checked(reply: dict[str, Any]) -> dict[str, Any]:
    """Return ``reply`` if it speaks our protocol."""
    if reply.get("protocol") != protocol.PROTOCOL:
        raise MigrationError(f"The worker speaks protocol {reply.get('protocol')!r}, not {protocol.PROTOCOL}.", "protocol_error")
    return reply


def death(request: Mapping[str, Any], status: int | None, errors: bytes) -> MigrationError:
    """Return the failure of a worker that ended without a reply."""
    printed = redactor_for(request, os.environ).text(errors.decode("utf-8", "replace"))[-4000:].strip()
    how = (
        f"was killed by signal {-status}"
        if status is not None and status < 0
        else f"ended with status {status}"
        if status is not None
        else "is gone"
    )
    last = printed.splitlines()[-1:] or [""]
    return MigrationError(
        f"The worker {how} without an answer{': ' + last[0] if last[0] else ''}.",
        "worker_died",
        "Look with alembic_info where the database stands.",
        {"output": printed},
    )


def interpreter(options: Mapping[str, Any]) -> str:
    """Return the Python that ``python`` or ``virtualenv`` names; without either the module's own.

    :raises MigrationError: ``python_missing``.
    """
    path = options.get("python") or (
        os.path.join(options["virtualenv"], "bin", "python") if options.get("virtualenv") else sys.executable
    )
    if os.sep in path and not os.access(path, os.X_OK):
        raise MigrationError(f"There is no Python that can be run at {path}.", "python_missing", _PYTHON)
    return str(path)
