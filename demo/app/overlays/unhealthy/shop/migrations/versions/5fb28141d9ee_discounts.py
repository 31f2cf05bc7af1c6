# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers have a discount, and cancelled orders cost nothing"""

import sqlalchemy as sa
from alembic import op

revision = "5fb28141d9ee"
down_revision = "c64b2e98d075"


def upgrade() -> None:
    op.add_column("customers", sa.Column("discount_percent", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE orders SET amount_cents = 0 WHERE status = 'cancelled'")


def downgrade() -> None:
    op.drop_column("customers", "discount_percent")
