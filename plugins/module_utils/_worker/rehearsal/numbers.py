# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Rows that a revision adds with numbers of its own, which a sequence of PostgreSQL will give to what the old code adds."""

from __future__ import annotations

from typing import Any

from ..server import literal
from .access import Session, qualified, quoted
from .catalog import Catalog
from .trial import FEEDS, STANDS

#: Further ahead nobody comes soon.
NEAR = 100_000


def taken(session: Session, statements: list[dict[str, Any]], base: Catalog, real: Any) -> list[dict[str, Any]]:
    """Return the sequences of the real database that come to numbers which the revision has given to rows itself.

    :param session: to the copy, whose tables hold what the revision has added.
    :param real: asks the real database.
    """
    inserts = [statement["locks"] for statement in statements if statement["writes"] == "insert"]
    added = {oid for locks in inserts for oid, mode in locks.items() if mode == "RowExclusive"}
    added = {oid for oid in added if base.get(("relation", oid), {}).get("name") not in (None, *real.borrowed)}
    if not added:
        return []
    found = []
    for oid, name, step, _table, table_name, column in session.rows(
        FEEDS.format(which=f"f.tab = any('{{{','.join(sorted(added))}}}'::oid[])")
    ):
        if ("relation", oid) not in base or int(step) <= 0:
            continue
        shown = qualified(str(base[("relation", oid)]["name"]))
        stands = real.ask(STANDS.format(literal=literal(shown), name=shown))
        if not stands:
            continue
        moved = session.rows(STANDS.format(literal=literal(qualified(name)), name=qualified(name)))  # by what took numbers from it
        following = max(int(last) + int(by) * bool(called) for last, called, by in (stands[0], moved[0]))
        own = qualified(str(table_name))
        with session.by_index():
            asked = f"select min({quoted(column)}), max({quoted(column)}) from {own} where {quoted(column)} >= {following}"
            least, most = session.rows(asked)[0]
        if least is not None and int(least) - following < NEAR:
            told = {"sequence": name, "table": table_name, "column": column, "next": following, "least": least, "most": most}
            found.append(dict(told, step=int(step), was=int(step)))
    return found
