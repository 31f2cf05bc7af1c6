# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers"""

import sqlalchemy as sa
from alembic import op

revision = "4c1f0a7be201"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(200), nullable=False, unique=True),
        sa.Column("name", sa.String(100), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("customers")
