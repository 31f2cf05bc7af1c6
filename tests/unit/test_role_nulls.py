# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be null in a fact: before ansible-core 2.19 it is an empty text there, which no test for none finds."""

from __future__ import annotations

import re

from support.paths import ROOT

#: Facts that are null where nobody knows.
NULLABLE = ("schema_found", "schema_found_pending", "schema_rows_written")
ASKED = re.compile(
    r"\b({})\s+is\s+(?:not\s+)?none|\b({})\s*\|\s*default\(none\)\s*(?:if|else|[,}}%]|$)".format(*["|".join(NULLABLE)] * 2)
)


def test_no_fact_that_may_be_null_is_tested_for_none_alone() -> None:
    found = []
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/templates/*.j2"), *ROOT.glob("roles/*/vars/**/*.yml")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # A fact that is kept as it was, or handed to a module without what is empty, is not asked.
            if ASKED.search(line) and not re.match(r"\s*(schema_found|revisions|new_rows):", line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
