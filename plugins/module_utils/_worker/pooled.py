# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Connections of asyncpg and pg8000 through a pooler that gives each transaction another session: each transaction only reads.

Nothing may be set for the session there, since others get it next, and these drivers have no switch of a connection for it. So what
begins a transaction is completed on its way to the server, and what is sent outside of one gets one of its own.
"""

from __future__ import annotations

import re
from typing import Any, Callable

BEGIN, COMMIT, ROLLBACK = "begin read only", "commit", "rollback"
_BEGINS = re.compile(r"^\s*(?:BEGIN(?:\s+(?:WORK|TRANSACTION))?|START\s+TRANSACTION)\b[^;]*", re.I)
_IDLE = b"I"  # ReadyForQuery of the PostgreSQL protocol


def begun_reading(statement: str) -> str | None:
    """Return a statement that begins a transaction as one that begins one which only reads, or None for any other."""
    found = _BEGINS.match(statement)
    return None if found is None else f"{found.group().rstrip()} read only{statement[found.end() :]}"


class Protocol:
    """Stands before asyncpg's protocol of one connection."""

    def __init__(self, protocol: Any) -> None:
        self._protocol, self._ours = protocol, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    def is_in_transaction(self) -> bool:
        return bool(self._protocol.is_in_transaction()) and not self._ours

    async def query(self, statement: str, timeout: Any) -> Any:
        await self._end(COMMIT)
        begin = begun_reading(statement)
        if begin is not None:
            return await self._protocol.query(begin, timeout)
        return await self._within(self._protocol.query, statement, timeout)

    async def prepare(self, *args: Any, **keywords: Any) -> Any:
        await self._begin()  # a statement without a name would not outlast what begins a transaction after it
        return await self._protocol.prepare(*args, **keywords)

    async def bind_execute(self, *args: Any, **keywords: Any) -> Any:
        return await self._within(self._protocol.bind_execute, *args, **keywords)

    async def bind_execute_many(self, *args: Any, **keywords: Any) -> Any:
        return await self._within(self._protocol.bind_execute_many, *args, **keywords)

    async def copy_in(self, *args: Any, **keywords: Any) -> Any:
        return await self._within(self._protocol.copy_in, *args, **keywords)

    async def copy_out(self, *args: Any, **keywords: Any) -> Any:
        return await self._within(self._protocol.copy_out, *args, **keywords)

    async def _begin(self) -> None:
        if not self._protocol.is_in_transaction():
            await self._protocol.query(BEGIN, None)
            self._ours = True

    async def _end(self, how: str) -> None:
        if self._ours:
            self._ours = False
            await self._protocol.query(how, None)

    async def _within(self, run: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        await self._begin()
        try:
            found = await run(*args, **keywords)
        except BaseException:
            if self._protocol.is_connected():
                await self._end(ROLLBACK)
            raise
        await self._end(COMMIT)
        return found


def pg8000(connection: Any) -> None:
    """Complete what one connection of pg8000 sends."""
    simple = connection.execute_simple

    def within(run: Callable[..., Any]) -> Callable[..., Any]:
        def execute(statement: Any, *args: Any, **keywords: Any) -> Any:
            begin = begun_reading(statement) if isinstance(statement, str) else None
            if begin is not None:
                return run(begin, *args, **keywords)
            if connection._transaction_status != _IDLE:
                return run(statement, *args, **keywords)
            simple(BEGIN)
            try:
                found = run(statement, *args, **keywords)
            except BaseException:
                simple(ROLLBACK)
                raise
            simple(COMMIT)
            return found

        return execute

    for name in ("execute_simple", "execute_unnamed", "execute_named"):
        setattr(connection, name, within(getattr(connection, name)))
