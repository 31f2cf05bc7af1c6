# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of an archive without what a database has already."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.archive_list import without

LIST = """;
; Archive created at 2026-11-28 14:07:05 UTC
;
3; 3079 16417 EXTENSION - file_fdw
3395; 0 0 COMMENT - EXTENSION file_fdw
7; 2615 16500 SCHEMA - app orders
8; 2615 16501 SCHEMA - app two orders
9; 2615 16502 SCHEMA - apple orders
215; 1259 16390 TABLE app orders orders
3398; 0 0 ACL - FOREIGN DATA WRAPPER file_fdw postgres
3399; 0 0 ACL - SCHEMA app my role
""".replace("file_fdw\n", "file_fdw \n")
ROLES = ["orders", "postgres", "my role"]


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        ([], []),
        (["EXTENSION - file_fdw", "COMMENT - EXTENSION file_fdw"], ["EXTENSION - file_fdw", "COMMENT - EXTENSION file_fdw"]),
        (["EXTENSION - file"], []),
        (["SCHEMA - app"], ["SCHEMA - app"]),
        (["SCHEMA - app two"], ["SCHEMA - app two"]),
        (["ACL - FOREIGN DATA WRAPPER file_fdw"], ["ACL - FOREIGN DATA WRAPPER file_fdw"]),
        (["ACL - SCHEMA app"], ["ACL - SCHEMA app"]),
        (["TABLE app"], []),
    ],
)
def test_only_whole_entries_are_left_out(kept: list[str], left: list[str]) -> None:
    text, found = without(LIST, kept, ROLES)
    assert found == left
    assert len(LIST.splitlines()) - len(text.splitlines()) == len(left)
    assert set(text.splitlines()) <= set(LIST.splitlines())
