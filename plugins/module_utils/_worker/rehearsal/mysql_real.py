# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How many rows an UPDATE or DELETE reads and so locks in the real MySQL or MariaDB database, as that plans it; it is never run."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Callable

from .. import server
from .access import Session
from .chosen import Chosen, of
from .questions import limits
from .real import COUNTED

COLUMNS = "select lower(column_name) from information_schema.columns where table_schema = database() and table_name = '{}'"
_NAMES = re.compile(r"[\w$]+")
_SET = re.compile(r"([\w$]+)`?\s*=")
_LIMIT = re.compile(r"\bLIMIT\s+(?:(\d+)\s*,\s*)?(\S+)\s*$", re.I)


class MysqlReal:
    """:param connect: makes a connection of ours to the real database.
    :param seconds: time limit of each question; 0 is none.
    :param counts: rows may be counted there. InnoDB estimates twice as many as it thinks (btr0cur, "n_rows * 2").
    """

    answers = False
    borrowed: frozenset[str] = frozenset()

    def __init__(self, connect: Callable[[], Session], seconds: float, counts: bool) -> None:
        self.connect, self.seconds, self.counts = connect, seconds, counts
        self._set: set[str] = set()  # columns that revisions have given other values
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = self.connect()
            for limit in limits(self._session, self.seconds):
                self._session.rows(limit)
        return self._session

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def affected(self, dbapi: Any, statement: str, parameters: Any) -> int | None:
        """Return the number of rows; None where it is not known.

        They are counted where no revision has given values to a column of the condition, up to what was estimated.

        :param dbapi: the connection to the copy, which has the columns that pending revisions have made.
        """
        chosen = of(statement)
        limit = _LIMIT.search(chosen.condition) if chosen else None
        if chosen is None or (limit and not limit.group(2).isdigit()):
            return None
        known = not self._set & {word.lower() for word in _NAMES.findall(f"{chosen.others} {chosen.condition}")}
        self._set.update(word.lower() for word in _SET.findall(chosen.values))
        with contextlib.suppress(Exception):  # it has no such table, or it was not planned in time
            query = chosen.query(dict.fromkeys(self._new(dbapi, chosen), ""), "`")
            rows = self._explained(query, chosen.parameters(parameters)) if query else []
            names = {name.strip("`").lower() for name in (chosen.alias, chosen.table)}
            read = [int(row["rows"] or 0) for row in rows if str(row["table"]).lower() in names]
            most = min([max(read), *([int(limit.group(2))] if limit else [])])
            return self._counted(str(query), chosen.parameters(parameters), most) if known and most > COUNTED else most
        return None

    def _counted(self, query: str, parameters: Any, most: int) -> int:
        with contextlib.suppress(Exception):  # it takes too long, or calls what does not only read
            if self.counts and "(" not in query:
                return int(self._asked(f"select count(*) from ({query} limit {most}) s", parameters)[1][0][0])
        return most

    def _new(self, dbapi: Any, chosen: Chosen) -> set[str]:
        asked = COLUMNS.format(chosen.table.strip("`").replace("'", "''"))
        here, there = ({str(name) for (name,) in rows} for rows in (server.rows(dbapi, asked), self.session.rows(asked)))
        return here - there if there else set()

    def _explained(self, query: str, parameters: Any) -> list[dict[str, Any]]:
        names, rows = self._asked("explain " + query, parameters)
        return [dict(zip(names, row)) for row in rows]

    def _asked(self, query: str, parameters: Any) -> tuple[list[str], list[Any]]:
        cursor = self.session.dbapi.cursor()
        try:
            with server.asking():
                cursor.execute(query, parameters) if parameters else cursor.execute(query.replace("%%", "%"))
            return [str(item[0]).lower() for item in cursor.description], list(cursor.fetchall())
        finally:
            cursor.close()
