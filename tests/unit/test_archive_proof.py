# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a restored archive is what the database held."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.archive_proof import archive_proof


def tables(**counts: Any) -> dict[str, Any]:
    """Tables with a number of rows, or with that and a checksum."""
    pairs = {name: count if isinstance(count, tuple) else (count, None) for name, count in counts.items()}
    return {name: {"rows": rows, "exact": True, "checksum": checksum} for name, (rows, checksum) in pairs.items()}


#: Before, restored, after; proved, tables that differ, tables that were written to, and a part of the sentence.
CASES: list[Any] = [
    (tables(a=1, b=2), tables(a=1, b=2), None, True, [], [], "3 rows in 2 tables"),
    (tables(a=1), tables(a=2), None, False, ["a"], [], "a (1 rows in the database, 2 rows restored)"),
    (tables(a=1, b=2), tables(a=1), None, False, ["b"], [], "b (2 rows in the database, no such table restored)"),
    (tables(a=1), tables(a=1, b=2), None, False, ["b"], [], "b (no such table in the database, 2 rows restored)"),
    (tables(a=(1, "x")), tables(a=(1, "y")), None, False, ["a"], [], "a (1 rows of other content)"),
    (tables(a=1, b=2), tables(a=1, b=7), tables(a=1, b=3), True, [], ["b"], "so not compared: b"),
    (tables(a=1, b=2), tables(a=2, b=7), tables(a=1, b=3), False, ["a"], ["b"], "so not compared: b"),
    (tables(a=(1, "x")), tables(a=(1, "x")), tables(a=(1, "y")), False, [], ["a"], "could be compared"),
    ({}, {}, None, True, [], [], "0 rows in 0 tables"),
]


@pytest.mark.parametrize(("before", "restored", "after", "proved", "different", "written", "message"), CASES)
def test_what_is_proved(
    before: Any, restored: Any, after: Any, proved: bool, different: list[str], written: list[str], message: str
) -> None:
    found = archive_proof(before, restored, after)
    assert (found["proved"], list(found["different"]), found["written"]) == (proved, different, written)
    assert message in found["message"], found["message"]


@pytest.mark.parametrize("wrong", [None, [], "tables", {"a": 1}, {"a": {"rows": None}}])
def test_what_is_no_result_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError):
        archive_proof(wrong, tables(a=1))
