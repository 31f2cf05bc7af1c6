# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers have a full name only"""

import sqlalchemy as sa
from alembic import op

revision = "c0a4f6d81e37"
down_revision = "7b1d9e52f0c8"

deploy = {"phase": "contract"}


def upgrade() -> None:
    op.drop_column("customers", "name")


def downgrade() -> None:
    op.add_column("customers", sa.Column("name", sa.String(100)))
    op.execute("UPDATE customers SET name = full_name")
