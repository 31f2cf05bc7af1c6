# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a reader of SQL has to know of the real PostgreSQL database, where nothing could be rehearsed. It is only read."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from . import catalog, parsed, pieces, rights
from .looked import Looked
from .real import Real

_PLANNED = re.compile(r"(?:UPDATE|DELETE|INSERT|MERGE|WITH|SELECT)\b", re.I)
#: What asks whether there is a database tells nothing of what it does with one.
_ASKS = re.compile(r"\bas_sql\b")
OFFLINE = "it asks whether there is a database, and does something else with one"


def known(looked: Looked, request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the catalogue, and what the roles of running code may do; None where it can not be read."""
    if looked.access is None:
        return None
    try:
        with looked.access.connect(looked.database["database"], "plan", reading=True).closing() as session:
            entries = catalog.look(session, [looked.database["version_table"]])
            roles = rights.roles(session, request.get("application_roles") or [])
            held = rights.look(session, roles)
    except Exception:  # what is not known is told as such, statement by statement
        return None
    return {
        "entries": list(entries.values()),
        "roles": roles,
        "rights": [[*key, sorted(privileges)] for key, privileges in held.items()],
    }


def read(step: dict[str, Any], real: Real | None) -> None:
    """Add to a pending revision with its SQL how PostgreSQL's parser reads that, and what the server plans for its statements."""
    if step.get("asks") or _ASKS.search(_source(step)):
        step.update(sql=None, reason=OFFLINE)
    if not step.get("sql"):
        return
    step["parsed"] = found = parsed.read(step["sql"])
    texts = [item["sql"] for item in found["statements"]] if found else []
    own = (pieces.COMMENTS.sub("", text) for text in pieces.split(step["sql"]))
    plans = {}
    for text in dict.fromkeys([*texts, *(" ".join(text.split()) for text in own)]):
        if real is not None and _PLANNED.match(text):
            plans[text] = real.estimate(text)
    step["plans"] = {text: plan for text, plan in plans.items() if plan is not None}


def _source(step: dict[str, Any]) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError), open(step["path"], encoding="utf-8") as stream:
        return stream.read()
    return ""
