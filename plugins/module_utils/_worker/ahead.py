# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Done once before many databases are worked on: the imports with which env.py begins, and the revisions.

A process of its own tries each first. What looks at something that differs between the databases, opens something, starts a
thread or fails is left to each, with all that env.py imports after it.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import sys
import time
from typing import Any, Iterator

from . import history, leading, learned, ordinary, project
from .channel import readable
from .refused import VARIABLE

#: Seconds that the trial may take; a project that hangs as it is imported does so for each database as well.
PATIENCE = 120.0
_FORK = os.fork
#: Not empty where all that env.py imports is there, and it leaves nothing behind that the next database would meet.
ORDINARY: list[bool] = []
#: Set in a process that only reads, whatever the project.
_OURS = (VARIABLE, "PGOPTIONS")


def load(request: dict[str, Any]) -> None:
    """Import what the project's env.py begins with, as far as that is the same for all databases.

    :param request: what all have in common; ``varying`` are the names of the variables that they have not.
    """
    if request.get("prelude") or not request.get("chdir"):
        return  # a prelude comes before env.py, and may set up what that imports
    tried = _tried(request)
    if not tried["statements"]:
        return
    work = _Work(request)
    with contextlib.suppress(Exception, SystemExit):  # it went well before
        work.begin()
        with work.path():
            for statement in work.statements[: tried["statements"]]:
                work.carry_out(statement)
            if tried["revisions"]:
                work.keep_revisions()
                if not tried["hooked"] and ordinary.is_ordinary(work.text):
                    ORDINARY.append(True)
    learned.forget()


def _tried(request: dict[str, Any]) -> dict[str, Any]:
    """Try it in another process; return how many statements of env.py are safe, and whether the revisions are."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setpgid(0, 0)
            os.close(reading)
            _try(request, lambda found: os.write(writing, (json.dumps(found) + "\n").encode()))
        os._exit(0)
    os.close(writing)
    data, until = b"", time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if readable([reading], 0.5):
            part = os.read(reading, 65536)
            data += part
            if not part:
                break
    else:
        data = b""
    with contextlib.suppress(ProcessLookupError):  # and what it started
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    lines = data.splitlines()
    return json.loads(lines[-1]) if lines and data.endswith(b"\n") else {"statements": 0, "revisions": False, "hooked": True}


def _try(request: dict[str, Any], tell: Any) -> None:
    """Carry out one statement after the other, and tell how far it is safe after each."""
    work = _Work(request)
    work.begin()
    watch = _Watch(request.get("varying") or ())
    for number, statement in enumerate(work.statements, 1):
        work.carry_out(statement)
        if not watch.is_clean():
            return
        tell({"statements": number, "revisions": False, "hooked": True})
    work.keep_revisions()
    if watch.is_clean():
        tell({"statements": len(work.statements), "revisions": True, "hooked": watch.hooked})


class _Work:
    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.statements: list[ast.stmt] = []
        self.text = ""
        self.script: Any = None
        self.names: dict[str, Any] = {"__name__": "env_py"}

    def begin(self) -> None:
        os.chdir(self.request["chdir"])
        before = list(sys.path)
        arguments, sys.argv = sys.argv, ["alembic"]
        try:
            self.script = history.directory(project.load({**self.request, "url": None, "urls": None, "x_arguments": []}, "current"))
        finally:
            sys.argv = arguments
        self.added, sys.path[:] = list(sys.path), before
        place = str(self.script.env_py_location)
        self.names["__file__"] = place
        with open(place, encoding="utf-8") as file:
            self.text = file.read()
        self.statements = leading.leading(self.text)

    @contextlib.contextmanager
    def path(self) -> Iterator[None]:
        """Keep the import path, to which each run of env.py adds by itself."""
        before = list(sys.path)
        try:
            yield
        finally:
            sys.path[:] = before

    def carry_out(self, statement: ast.stmt) -> None:
        if self.added:
            sys.path[:], self.added = self.added, []
        module = ast.Module(body=[statement], type_ignores=[])
        exec(compile(module, self.names["__file__"], "exec"), self.names)

    def keep_revisions(self) -> None:
        history.keep(self.script)


class _Watch(dict):  # type: ignore[type-arg]
    """Stands in for the variables of this process, and notes who asks for what differs between the databases."""

    def __init__(self, varying: Any) -> None:
        variables: Any = os.environ
        super().__init__(variables._data)
        encode = variables.encodekey
        self.names = {encode(str(name)) for name in varying}
        self.ours = {encode(name) for name in _OURS}
        self.asked = False
        self.hooked = False
        self._watch_hooks()
        self.threads, self.descriptors = threads(), descriptors()
        variables._data = self

    def _watch_hooks(self) -> None:
        """Note who wants to be told of every connection of this process: such code may keep what it made for the first one."""
        from sqlalchemy import event
        from sqlalchemy.engine import Dialect, Engine
        from sqlalchemy.pool import Pool

        listen: Any = event.listen

        def listening(target: Any, *args: Any, **keywords: Any) -> None:
            self.hooked = self.hooked or (isinstance(target, type) and issubclass(target, (Dialect, Engine, Pool)))
            listen(target, *args, **keywords)

        def listens_for(*args: Any, **keywords: Any) -> Any:
            def decorate(function: Any) -> Any:
                listening(*args[:2], function, *args[2:], **keywords)
                return function

            return decorate

        event.listen, event.listens_for = listening, listens_for

    def _ask(self, name: Any) -> None:
        self.asked = self.asked or name in self.names or name in self.ours

    def __getitem__(self, name: Any) -> Any:
        self._ask(name)
        return super().__getitem__(name)

    def get(self, name: Any, default: Any = None) -> Any:
        self._ask(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self._ask(name)
        return super().__contains__(name)

    def __iter__(self) -> Iterator[Any]:
        self.asked = self.asked or bool(self.names)
        return super().__iter__()

    def keys(self) -> Any:
        self.asked = self.asked or bool(self.names)
        return super().keys()

    def items(self) -> Any:
        self.asked = self.asked or bool(self.names)
        return super().items()

    def copy(self) -> Any:
        self.asked = self.asked or bool(self.names)
        return super().copy()

    def is_clean(self) -> bool:
        """Tell whether what was imported is the same in every process that is forked from this one, and harmless there."""
        return not self.asked and threads() <= self.threads and descriptors() <= self.descriptors and os.fork is _FORK


def threads() -> int:
    """Return how many threads there are, those of libraries too; 1 where that can not be told."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def descriptors() -> set[str]:
    """Return what is open: files, sockets and pipes with their numbers; that of this very look is left out."""
    found: set[str] = set()
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    found.add(f"{name} {os.readlink(os.path.join(folder, name))}")
            break
    return {item for item in found if not item.endswith(("/fd", "/dev/null", "/dev/urandom"))}
