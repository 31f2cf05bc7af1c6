# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an archive of PostgreSQL has, as the statements that pg_restore makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from typing import IO, Any, Iterator, Sequence, cast

from ..failure import Failure

_COPY = re.compile(rb'COPY (?P<table>(?:"(?:[^"]|"")*"|[^".\s(]+)\.(?:"(?:[^"]|"")*"|[^".\s(]+)) .*FROM stdin;\s*')
_PART = re.compile(r'"(?:[^"]|"")*"|[^".]+')
#: A newer pg_restore sets it on every server, and one before version 17 does not know it.
_NEWER = b"SET transaction_timeout = 0;"
_SAID = 3000


class Archive:
    """The statements of an archive, in its own encoding, which they set.

    What they copy is counted on the way, and the rows of the version table are kept.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        folder = request.get("programs")
        self.program = os.path.join(folder, "pg_restore") if folder else "pg_restore"
        self.path, self.server = request["archive"], int(request.get("server") or 0)
        self.versions = (request["schema"], request.get("version_table") or "")
        self.rows: dict[str, int] = {}
        self.kept: list[str] = []

    @property
    def tables(self) -> dict[str, int]:
        """Return the rows of each table by its name without quotes."""
        return {".".join(_parts(table)): rows for table, rows in self.rows.items()}

    def statements(self, lines: Sequence[str], section: str) -> Iterator[bytes]:
        """Yield the statements of these entries that are of a section, line by line; nothing where there are none.

        :raises Failure: ``archive_failed``, with the words of pg_restore.
        """
        if not lines:
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="surrogateescape"
        ) as listed, tempfile.TemporaryFile() as said:
            listed.write("".join(f"{line}\n" for line in lines))
            listed.flush()
            command = [self.program, f"--section={section}", f"--use-list={listed.name}", "--file=-", self.path]
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # there is no Ansible here
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, bufsize=1 << 20
            )
            printed = cast("IO[bytes]", process.stdout)
            try:
                yield from self._counted(printed) if section == "data" else self._known(printed)
            finally:
                printed.close()
                status = process.wait()
            if status:
                raise Failure("archive_failed", f"The archive {self.path} can not be read: {last_words(said) or status}")

    def _known(self, lines: IO[bytes]) -> Iterator[bytes]:
        return (line for line in lines if not (self.server < 17 and line.rstrip() == _NEWER))

    def _counted(self, lines: IO[bytes]) -> Iterator[bytes]:
        table, keep = "", False
        for line in self._known(lines):
            if table:
                if line == b"\\.\n":
                    table = ""
                else:
                    self.rows[table] += 1
                    if keep:
                        self.kept.append(line.decode("utf-8", "replace").rstrip("\n"))
            else:
                found = _COPY.fullmatch(line)
                if found:
                    table = found.group("table").decode("utf-8", "surrogateescape")
                    keep = _parts(table) == self.versions
                    self.rows.setdefault(table, 0)
            yield line


def _parts(table: str) -> tuple[str, ...]:
    """Return schema and name of a table as ``COPY`` names it."""
    return tuple(part[1:-1].replace('""', '"') if part[0] == '"' else part for part in _PART.findall(table))


def last_words(file: IO[bytes]) -> str:
    """Return the end of what a program has written."""
    file.seek(0)
    return file.read().decode("utf-8", "replace").strip()[-_SAID:]
