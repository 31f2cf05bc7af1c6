# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of MariaDB."""

from __future__ import annotations

from . import Labelled, Old

BASE = (
    "CREATE TABLE teams (id int PRIMARY KEY AUTO_INCREMENT, name varchar(40))",
    "CREATE TABLE users (id int PRIMARY KEY AUTO_INCREMENT, email varchar(50) NOT NULL, name varchar(50), "
    "nick varchar(50) NOT NULL DEFAULT 'x', age int, status enum('active', 'banned') NOT NULL DEFAULT 'active', legacy text, "
    "team_id int, created_at datetime DEFAULT current_timestamp, KEY ix_name (name), KEY ix_team (team_id))",
    "CREATE TABLE orders (id int PRIMARY KEY AUTO_INCREMENT, user_id int NOT NULL, total int, note varchar(200), qty int, "
    "ext_ref varchar(40), UNIQUE KEY uq_ext (ext_ref), KEY ix_user (user_id))",
    "CREATE TABLE items (id int PRIMARY KEY AUTO_INCREMENT, v varchar(40))",
    "CREATE VIEW v_users AS SELECT id, email, status FROM users",
    "CREATE FUNCTION doubled(x int) RETURNS int DETERMINISTIC RETURN 2 * x",
)
ROWS = (
    "INSERT INTO teams (name) SELECT concat('team ', seq) FROM seq_1_to_100",
    "INSERT INTO users (email, name, nick, age, legacy, team_id) SELECT concat('u', seq, '@example.org'), concat('Name ', seq), "
    "concat('n', seq), seq % 90, concat('l', seq), seq % 100 + 1 FROM seq_1_to_{rows}",
    "INSERT INTO orders (user_id, total, note, qty, ext_ref) SELECT seq, seq, concat('note ', seq), seq % 10, concat('e', seq) "
    "FROM seq_1_to_{rows}",
    "INSERT INTO items (v) SELECT concat('i', seq) FROM seq_1_to_10",
    "ANALYZE TABLE teams, users, orders, items",
)
OLD = {
    "user_read": Old("SELECT id, email, name, nick, age, status, legacy, team_id, created_at FROM users WHERE id = 17"),
    "user_by_name": Old("SELECT id FROM users WHERE name = 'Name 19'"),
    "user_new": Old("INSERT INTO users (email, name, team_id) VALUES ('new{n}@example.org', 'new', 3)"),
    "user_least": Old("INSERT INTO users (email) VALUES ('l{n}@example.org')"),
    "user_new_in_full": Old(
        "INSERT INTO users (email, name, nick, age, status, legacy, team_id) "
        "VALUES ('f{n}@example.org', 'f', 'f', 3, 'banned', 'x', 4)"
    ),
    "user_changed": Old("UPDATE users SET nick = 'y{n}', age = 40 WHERE id = 20 + {n} % 50"),
    "user_gone": Old("DELETE FROM users WHERE id = 1000 + {n}"),
    "order_read": Old("SELECT id, user_id, total, note, qty, ext_ref FROM orders WHERE user_id = 9"),
    "order_new": Old("INSERT INTO orders (user_id, total, note, qty, ext_ref) VALUES (5, 2, 'n', 1, 'new{n}')"),
    "order_kept": Old(
        "INSERT INTO orders (user_id, ext_ref) VALUES (6, 'e77') ON DUPLICATE KEY UPDATE total = {n}",
        "SELECT count(*) FROM orders WHERE ext_ref = 'e77'",
        1,
    ),
    "order_changed": Old("UPDATE orders SET total = {n} WHERE id = 30 + {n} % 50"),
    "order_hot": Old("UPDATE orders SET total = {n} WHERE id = 50"),
    "item_least": Old("INSERT INTO items (id) VALUES (900000 + {n})"),
    "item_new": Old("INSERT INTO items (v) VALUES ('v{n}')"),
    "items_read": Old("SELECT id, v FROM items ORDER BY id LIMIT 5"),
    "view_read": Old("SELECT id, email, status FROM v_users WHERE id = 5"),
    "called": Old("SELECT doubled(4)"),
    "joined": Old("SELECT u.email, t.name FROM users u JOIN teams t ON t.id = u.team_id WHERE u.id = 12"),
}


def execute(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


_BATCHES = """
with op.get_context().autocommit_block():
    for first in range(1, 400001, 5000):
        op.execute(f"UPDATE users SET legacy = 'new' WHERE id BETWEEN {first} AND {first + 4999}")
"""
_LOOP = """
connection = op.get_bind()
for number, qty in connection.execute(sa.text("SELECT id, qty FROM orders")).fetchall():
    if number % 50 == 0:
        connection.execute(sa.text("UPDATE orders SET qty = :q WHERE id = :i"), {"q": qty + 1, "i": number})
"""
CASES = {
    "m01_nullable": "op.add_column('users', sa.Column('bio', sa.Text))",
    "m02_default": execute("ALTER TABLE users ADD level int NOT NULL DEFAULT 0"),
    "m03_required": execute("ALTER TABLE items ADD kind varchar(10) NOT NULL"),
    "m04_required_large": execute("ALTER TABLE users ADD region varchar(10) NOT NULL"),
    "m05_volatile_default": execute("ALTER TABLE users ADD token char(36) NOT NULL DEFAULT (uuid())"),
    "m06_column_dropped": "op.drop_column('users', 'legacy')",
    "m07_column_renamed": "op.alter_column('users', 'nick', new_column_name='alias', existing_type=sa.String(50), "
    "existing_nullable=False, existing_server_default='x')",
    "m08_table_renamed": "op.rename_table('items', 'things')",
    "m09_table_dropped": execute("DROP TABLE items"),
    "m10_wider": execute("ALTER TABLE users MODIFY name varchar(60)"),
    "m11_much_wider": execute("ALTER TABLE users MODIFY name varchar(150)"),
    "m12_bigint": execute("ALTER TABLE orders MODIFY total bigint"),
    "m13_not_null": execute("ALTER TABLE users MODIFY team_id int NOT NULL"),
    "m14_index": "op.create_index('ix_qty', 'orders', ['qty'])",
    "m15_index_locked": execute("ALTER TABLE orders ADD INDEX ix_note (note), LOCK=SHARED"),
    "m16_fulltext": execute("CREATE FULLTEXT INDEX ft_note ON orders (note)"),
    "m17_unique_dropped": "op.drop_index('uq_ext', 'orders')",
    "m18_index_dropped": execute("DROP INDEX ix_team ON users"),
    "m19_foreign_key": "op.create_foreign_key('fk_team', 'users', 'teams', ['team_id'], ['id'])",
    "m20_foreign_key_unchecked": execute(
        "SET foreign_key_checks = 0", "ALTER TABLE users ADD CONSTRAINT fk_team FOREIGN KEY (team_id) REFERENCES teams (id)"
    ),
    "m21_check": "op.create_check_constraint('ck_qty', 'orders', 'qty >= 0')",
    "m22_label_added": execute("ALTER TABLE users MODIFY status enum('active', 'banned', 'gone') NOT NULL DEFAULT 'active'"),
    "m23_label_removed": execute("ALTER TABLE users MODIFY status enum('active') NOT NULL DEFAULT 'active'"),
    "m24_backfill": execute("UPDATE users SET legacy = upper(name)"),
    "m25_batches": _BATCHES,
    "m26_few_rows": execute("UPDATE users SET legacy = 'few' WHERE id IN (40001, 40002, 40003)"),
    "m27_row_by_row": _LOOP,
    "m28_trigger_raises": execute(
        "CREATE TRIGGER no_more BEFORE INSERT ON items FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no more'"
    ),
    "m29_trigger_fills": execute("CREATE TRIGGER filled BEFORE INSERT ON items FOR EACH ROW SET NEW.v = coalesce(NEW.v, 'none')"),
    "m30_default_dropped": execute("ALTER TABLE users ALTER nick DROP DEFAULT"),
    "m31_default_changed": execute("ALTER TABLE users ALTER nick SET DEFAULT 'y'"),
    "m32_new_table": "op.create_table('notes', sa.Column('id', sa.Integer, primary_key=True), "
    "sa.Column('user_id', sa.Integer, sa.ForeignKey('users.id')))",
    "m33_counted": execute("CREATE TABLE counted AS SELECT qty, count(*) AS n FROM orders GROUP BY qty"),
    "m34_view_dropped": execute("DROP VIEW v_users"),
    "m35_view_narrower": execute("CREATE OR REPLACE VIEW v_users AS SELECT id, email FROM users"),
    "m36_function_dropped": execute("DROP FUNCTION doubled"),
    "m37_function_changed": execute(
        "DROP FUNCTION doubled", "CREATE FUNCTION doubled(x int, y int) RETURNS int DETERMINISTIC RETURN 2 * x + y"
    ),
    "m38_rebuilt": execute("ALTER TABLE orders ENGINE=InnoDB"),
    "m39_charset": execute("ALTER TABLE orders CONVERT TO CHARACTER SET latin1"),
    "m40_generated": execute("ALTER TABLE orders ADD twice int AS (total * 2) STORED"),
}
SET = Labelled("mariadb", BASE, ROWS, OLD, CASES)
