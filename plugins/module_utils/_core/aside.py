# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The names of schemas that a restore has put aside; nobody takes one for a target."""

from __future__ import annotations

import re

_BEGINS = "dbops_before_"
_ASIDE = re.compile(rf"{_BEGINS}\d{{8}}t\d{{6}}z_")
_LONGEST = 63  # bytes that PostgreSQL keeps of a name


def aside(schema: str, stamp: str) -> str:
    """Return the name under which the present schema is kept.

    :param stamp: a time such as ``20261129t020000z``.
    """
    head = f"{_BEGINS}{stamp}_"
    return head + schema.encode()[: _LONGEST - len(head)].decode("utf-8", "ignore")


def is_aside(schema: str) -> bool:
    """Tell whether a schema is one that a restore has put aside, by its name."""
    return _ASIDE.match(schema) is not None
