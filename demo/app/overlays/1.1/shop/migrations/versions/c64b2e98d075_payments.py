# SPDX-License-Identifier: GPL-3.0-or-later
"""Payments, filled from the paid orders"""

import sqlalchemy as sa
from alembic import op

revision = "c64b2e98d075"
down_revision = "a3f07d5e1c92"


def upgrade() -> None:
    op.create_table(
        "payments",
        sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("amount_cents", sa.Integer, nullable=False),
        sa.Column("paid_at", sa.DateTime, nullable=False),
    )
    op.execute(
        "INSERT INTO payments (order_id, amount_cents, paid_at)"
        " SELECT id, amount_cents, placed_at FROM orders WHERE status IN ('paid', 'sent')"
    )


def downgrade() -> None:
    op.drop_table("payments")
