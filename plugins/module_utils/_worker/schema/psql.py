# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A session of psql that is handed statements one after the other."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from typing import IO, Any, Iterable, cast

from ..database.dump import libpq_environment
from ..database.engine import Server
from ..failure import Failure
from .archived import last_words

_READY = "dbops.alembic is ready"


class Psql:
    """A session of psql in which one transaction is. Where its input ends before the commit, the server undoes all."""

    def __init__(self, server: Server, request: dict[str, Any]) -> None:
        folder = request.get("programs")
        program = os.path.join(folder, "psql") if folder else "psql"
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - read when psql has ended
        self.committing = False
        command = [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
        try:
            self.process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # there is no Ansible here
                command,
                env={
                    **libpq_environment(server, server.database),
                    "PGCLIENTENCODING": "UTF8",
                    "PGAPPNAME": "dbops.alembic restore of a schema",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
            )
        except OSError as exc:
            raise Failure("archive_failed", f"{program} can not be run: {exc.strerror}.", "Install it, or set programs.") from exc
        self.input: IO[bytes] = cast("IO[bytes]", self.process.stdin)
        self.output: IO[bytes] = cast("IO[bytes]", self.process.stdout)

    def say(self, statement: str) -> None:
        self.write(statement.encode("utf-8", "surrogateescape") + b"\n")

    def write(self, data: bytes) -> None:
        self.copy((data,))

    def copy(self, lines: Iterable[bytes]) -> None:
        """Hand statements over. An error of the server ends psql, which is found out at one of the next."""
        for line in lines:
            try:
                self.input.write(line)
            except BrokenPipeError:
                raise self._failed() from None

    def ready(self) -> None:
        """Return when all that was handed over is done."""
        self.say(f"\\echo {_READY}")
        try:
            self.input.flush()
        except BrokenPipeError:
            raise self._failed() from None
        if self.output.readline().strip() != _READY.encode():
            raise self._failed()

    def commit(self) -> None:
        self.committing = True
        self.say("commit;")
        self.ready()

    def _failed(self) -> Failure:
        status = self.process.wait()
        return Failure(
            "archive_failed", f"The restore stopped, and all is as it was: {last_words(self.said) or f'psql ended with {status}'}"
        )

    def end(self) -> None:
        """End the session; what is not committed is undone."""
        for pipe in (self.input, self.output):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()
