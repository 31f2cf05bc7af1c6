# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The list that ``pg_restore --list`` shows of an archive, without what the database that it goes into has already."""

from __future__ import annotations

import re
from typing import Sequence

_ENTRY = re.compile(r"\d+; \d+ \d+ (?P<entry>.*)")


def without(listing: str, kept: Sequence[str], roles: Sequence[str]) -> tuple[str, list[str]]:
    """Return the list for ``pg_restore --use-list``, and what was left out of it.

    :param kept: entries without their owner, ``EXTENSION - pgcrypto`` for example.
    :param roles: what the owner at the end of a line may be; some entries have none.
    """
    owners, there = {"", *roles}, set(kept)
    lines: list[str] = []
    left: list[str] = []
    for line in listing.splitlines():
        match = _ENTRY.fullmatch(line)
        found = match and next((item for item in _names(match["entry"], owners) if item in there), None)
        if found:
            left.append(found)
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines), left


def _names(entry: str, owners: set[str]) -> list[str]:
    """Return what may be the entry without its owner; names may have spaces in them, so there may be several."""
    found = [entry.rstrip()] if entry.endswith(" ") else []
    places = [place for place, letter in enumerate(entry) if letter == " "]
    return found + [entry[:place] for place in places if entry[place + 1 :] in owners]
