# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders"""

import sqlalchemy as sa
from alembic import op

revision = "8d25e9c3f6a4"
down_revision = "4c1f0a7be201"


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("amount_cents", sa.Integer, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="new"),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("placed_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    op.drop_table("orders")
