# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is advised instead of a statement is that statement, with its own names."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal import fixes, rewrite

BLOCK = "with op.get_context().autocommit_block():"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "CREATE INDEX ix_a ON app.t (lower(a)) WHERE b",
            f"{BLOCK} op.execute('CREATE INDEX CONCURRENTLY ix_a ON app.t (lower(a)) WHERE b')",
        ),
        ("CREATE UNIQUE INDEX ix_a ON t (a);", f"{BLOCK} op.execute('CREATE UNIQUE INDEX CONCURRENTLY ix_a ON t (a)')"),
        (
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES u (id)",
            "op.execute('ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES u (id) NOT VALID'), and in a revision of its own "
            "op.execute('ALTER TABLE t VALIDATE CONSTRAINT f')",
        ),
        (
            "ALTER DOMAIN app.mail ADD CONSTRAINT len CHECK (VALUE > 3)",
            "op.execute('ALTER DOMAIN app.mail ADD CONSTRAINT len CHECK (VALUE > 3) NOT VALID'), and in a revision of its own "
            "op.execute('ALTER DOMAIN app.mail VALIDATE CONSTRAINT len')",
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b)",
            f"{BLOCK} op.execute('CREATE UNIQUE INDEX CONCURRENTLY u ON t (a, b)'), and in the next revision "
            "op.execute('ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u')",
        ),
        (
            "ALTER TABLE app.t ALTER COLUMN a SET NOT NULL",
            "op.execute('ALTER TABLE app.t ADD CONSTRAINT t_a_there CHECK (a IS NOT NULL) NOT VALID'), "
            "then in a revision of its own "
            "op.execute('ALTER TABLE app.t VALIDATE CONSTRAINT t_a_there'), then "
            "op.execute('ALTER TABLE app.t ALTER COLUMN a SET NOT NULL')",
        ),
        ("ALTER TABLE t ADD CONSTRAINT f CHECK (a > 1) NOT VALID", None),
        ("CREATE INDEX CONCURRENTLY ix_a ON t (a)", None),
        ("CREATE INDEX ix_a ON t (" + "a" * 500 + ")", None),
        ("VACUUM FULL t", None),
    ],
)
def test_a_statement_is_written_again(sql: str, expected: str | None) -> None:
    assert rewrite.of(sql) == expected


@pytest.mark.parametrize(
    ("dialect", "sql", "part"),
    [
        ("postgresql", "ALTER DOMAIN app.mail ADD CONSTRAINT len CHECK (VALUE > 3)", "ALTER DOMAIN app.mail VALIDATE"),
        ("postgresql", "CREATE TABLE m_7 PARTITION OF m FOR VALUES IN (7)", "CHECK that excludes"),
        ("postgresql", "CREATE INDEX ix ON t (a)", "CREATE INDEX CONCURRENTLY ix ON t (a)"),
        ("mysql", "CREATE INDEX ix ON t (a)", "gh-ost"),
    ],
)
def test_the_advice_is_for_that_statement(dialect: str, sql: str, part: str) -> None:
    fix, _section = fixes.for_statement(dialect, sql)
    assert part in fix and (dialect == "postgresql" or "op.execute" not in fix)
