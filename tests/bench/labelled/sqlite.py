# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of SQLite."""

from __future__ import annotations

from . import Labelled, Old, mariadb
from .mariadb import execute

BASE = (
    "CREATE TABLE teams (id INTEGER PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE users (id INTEGER NOT NULL, email VARCHAR(50) NOT NULL, name VARCHAR(50), "
    "nick VARCHAR(50) DEFAULT 'x' NOT NULL, age INTEGER, status VARCHAR(10) DEFAULT 'active' NOT NULL, "
    "legacy TEXT, team_id INTEGER, PRIMARY KEY (id))",
    "CREATE INDEX ix_name ON users (name)",
    "CREATE TABLE orders (id INTEGER NOT NULL, user_id INTEGER NOT NULL, total INTEGER, note TEXT, qty INTEGER, "
    "ext_ref VARCHAR(40), PRIMARY KEY (id))",
    "CREATE UNIQUE INDEX uq_ext ON orders (ext_ref)",
    "CREATE INDEX ix_user ON orders (user_id)",
    "CREATE TABLE items (id INTEGER NOT NULL PRIMARY KEY, v VARCHAR(40))",
    "CREATE VIEW v_users AS SELECT id, email, status FROM users",
)
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
ROWS = (
    f"INSERT INTO teams (name) {_NUMBERS.format(100)} SELECT 'team ' || i FROM n",
    "INSERT INTO users (email, name, nick, age, legacy, team_id) "
    f"{_NUMBERS.format('{rows}')} SELECT 'u' || i || '@example.org', 'Name ' || i, 'n' || i, i % 90, 'l' || i, i % 100 + 1 FROM n",
    "INSERT INTO orders (user_id, total, note, qty, ext_ref) "
    f"{_NUMBERS.format('{rows}')} SELECT i, i, 'note ' || i, i % 10, 'e' || i FROM n",
    f"INSERT INTO items (v) {_NUMBERS.format(10)} SELECT 'i' || i FROM n",
    "ANALYZE",
)
OLD = {
    **{name: old for name, old in mariadb.OLD.items() if name != "called"},  # SQLite stores no functions
    "user_read": Old("SELECT id, email, name, nick, age, status, legacy, team_id FROM users WHERE id = 17"),
    "order_kept": Old(
        "INSERT INTO orders (user_id, ext_ref) VALUES (6, 'e77') ON CONFLICT (ext_ref) DO UPDATE SET total = {n}",
        "SELECT count(*) FROM orders WHERE ext_ref = 'e77'",
        1,
    ),
}


def batch(table: str, *actions: str) -> str:
    return f"with op.batch_alter_table({table!r}) as batch:\n" + "\n".join(f"    batch.{action}" for action in actions)


_BATCHES = """
with op.get_context().autocommit_block():
    for first in range(1, 400001, 2000):
        op.execute(f"UPDATE users SET legacy = 'new' WHERE id BETWEEN {first} AND {first + 1999}")
"""
_LOOP = """
connection = op.get_bind()
for number, qty in connection.execute(sa.text("SELECT id, qty FROM orders")).fetchall():
    connection.execute(sa.text("UPDATE orders SET qty = :q WHERE id = :i"), {"q": qty + 1, "i": number})
"""
CASES = {
    "s01_nullable": "op.add_column('users', sa.Column('bio', sa.Text))",
    "s02_default": execute("ALTER TABLE users ADD COLUMN level INTEGER NOT NULL DEFAULT 0"),
    "s03_required": execute("ALTER TABLE items ADD COLUMN kind VARCHAR(10) NOT NULL"),
    "s04_required_in_batch": batch("items", "add_column(sa.Column('kind', sa.String(10), nullable=False))"),
    "s05_column_dropped": execute("ALTER TABLE items DROP COLUMN v"),
    "s06_column_dropped_large": execute("ALTER TABLE users DROP COLUMN legacy"),
    "s07_column_renamed": execute("ALTER TABLE users RENAME COLUMN nick TO alias"),
    "s08_table_renamed": "op.rename_table('items', 'things')",
    "s09_table_dropped": "op.drop_table('items')",
    "s10_index": "op.create_index('ix_qty', 'orders', ['qty'])",
    "s11_unique_index": "op.create_index('uq_email', 'users', ['email'], unique=True)",
    "s12_index_dropped": "op.drop_index('ix_user')",
    "s13_unique_dropped": "op.drop_index('uq_ext')",
    "s14_type_in_batch": batch("orders", "alter_column('total', type_=sa.BigInteger)"),
    "s15_not_null_in_batch": batch("users", "alter_column('team_id', nullable=False, existing_type=sa.Integer)"),
    "s16_not_null_small": batch("items", "alter_column('v', nullable=False, existing_type=sa.String(40))"),
    "s17_left_out_small": batch("teams", "add_column(sa.Column('city', sa.Text))"),
    "s18_foreign_key": batch("orders", "create_foreign_key('fk_user', 'users', ['user_id'], ['id'])"),
    "s19_check": batch("orders", "create_check_constraint('ck_qty', 'qty >= 0')"),
    "s20_backfill": execute("UPDATE users SET legacy = upper(name)"),
    "s21_batches": _BATCHES,
    "s22_few_rows": execute("UPDATE users SET legacy = 'few' WHERE id IN (40001, 40002, 40003)"),
    "s23_row_by_row": _LOOP,
    "s24_trigger_raises": execute("CREATE TRIGGER no_more BEFORE INSERT ON items BEGIN SELECT RAISE(ABORT, 'no more'); END"),
    "s25_trigger_notes": execute(
        "CREATE TRIGGER noted AFTER INSERT ON items WHEN NEW.v IS NULL BEGIN UPDATE items SET v = 'none' WHERE id = NEW.id; END"
    ),
    "s26_view_dropped": execute("DROP VIEW v_users"),
    "s27_view_narrower": execute("DROP VIEW v_users", "CREATE VIEW v_users AS SELECT id, email FROM users"),
    "s28_view_wider": execute("DROP VIEW v_users", "CREATE VIEW v_users AS SELECT id, email, status, name FROM users"),
    "s29_new_table": "op.create_table('notes', sa.Column('id', sa.Integer, primary_key=True), "
    "sa.Column('user_id', sa.Integer, sa.ForeignKey('users.id')))",
    "s30_counted": execute("CREATE TABLE counted AS SELECT qty, count(*) AS n FROM orders GROUP BY qty"),
    "s31_seeded": "op.bulk_insert(sa.table('teams', sa.column('name', sa.String)), [{'name': 'a'}, {'name': 'b'}])",
    "s32_vacuum": "with op.get_context().autocommit_block():\n    op.execute('VACUUM')",
    "s33_emptied": execute("DELETE FROM orders"),
    "s34_stand_in": execute(
        "ALTER TABLE items RENAME TO things",
        "CREATE VIEW items AS SELECT id, v FROM things",
        "CREATE TRIGGER items_new INSTEAD OF INSERT ON items BEGIN INSERT INTO things (v) VALUES (NEW.v); END",
    ),
    "s35_not_null_large": batch("orders", "alter_column('total', nullable=False, existing_type=sa.Integer)"),
    "s36_default_changed": batch("items", "alter_column('v', server_default='y', existing_type=sa.String(40))"),
}
SET = Labelled("sqlite", BASE, ROWS, OLD, CASES)
