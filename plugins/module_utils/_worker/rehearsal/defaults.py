# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether PostgreSQL takes what a column gets by its new default: a default is not held against anything until a row is written."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterable

from ..failure import describe, sqlstate_of
from ..server import literal
from .access import Session, qualified, quoted
from .catalog import Catalog, Entry, belonging, condition_of
from .trial import TABLE

_DATA = "22"  # the class of data exceptions
_CHECK_VIOLATION = "23514"
Ask = Callable[[str], "list[tuple[Any, ...]] | None"]


def refused(session: Session, changes: Iterable[dict[str, Any]], base: Catalog, after: Catalog, ask: Ask) -> dict[str, str]:
    """Return the columns, by OID, whose new default is refused → what refuses it.

    :param base: the catalogue as the real database has it. ``after``: as the copy has it now.
    :param ask: asks the real database; None is no answer.
    """
    found = {}
    for change in changes:
        old, new = change["before"], change["named"] or change["after"]
        if change["kind"] != "column" or not old or not new or new["relkind"] not in "rp" or new["generated"]:
            continue
        default = new["default"]
        if default is None or default == old["default"] or "nextval(" in default or new["identity"]:
            continue
        why = _why(session, new, base, after, ask)
        if why:
            found[str(old["oid"])] = why
    return found


def _why(session: Session, column: Entry, base: Catalog, after: Catalog, ask: Ask) -> str | None:
    shown = quoted(column["column"])
    with session.hurrying(), session.by_index():
        session.rows("begin")
        try:
            session.rows("set local statement_timeout = 2000")
            session.rows(f"create temporary table {TABLE} as select {shown} from {qualified(str(column['table']))} with no data")
            try:
                session.rows(f"insert into {TABLE} values ({column['default']})")
            except Exception as exc:
                state = sqlstate_of(exc) or ""
                return str(describe(exc)["message"]).splitlines()[0] if state[:2] == _DATA or state == _CHECK_VIOLATION else None
            return _by_constraints(session, column, base, after, ask)
        except Exception:  # it can not be tried here, which says nothing of it
            return None
        finally:
            with contextlib.suppress(Exception):
                session.rows("rollback")


def _by_constraints(session: Session, column: Entry, base: Catalog, after: Catalog, ask: Ask) -> str | None:
    number = int(column["oid"].rpartition("/")[2])
    own = [each for each in belonging(after, column["relation"]) if each["kind"] == "constraint" and each["columns"] == [number]]
    for constraint in own:
        condition = condition_of(constraint)
        if condition and session.value(f"select ({condition}) from {TABLE}") is False:
            return f"the check {constraint['name'].rpartition('.')[2]} asks for {condition}"
        if constraint["type"] == "f" and _points_to_nothing(session, column, constraint, base, ask):
            return f"the foreign key {constraint['name'].rpartition('.')[2]} finds nothing of that value"
    return None


def _points_to_nothing(session: Session, column: Entry, key: Entry, base: Catalog, ask: Ask) -> bool:
    other = base.get(("relation", key["foreign"]))
    target = base.get(("column", f"{key['foreign']}/{key['foreign_columns'][0]}"))
    value = session.value(f"select {quoted(column['column'])}::text from {TABLE}")
    if other is None or target is None or value is None:
        return False
    asked = f"select count(*) from {qualified(str(other['name']))} where {quoted(target['column'])} = {literal(str(value))}"
    rows = ask(asked)
    return bool(rows) and int(rows[0][0]) == 0  # type: ignore[index]
