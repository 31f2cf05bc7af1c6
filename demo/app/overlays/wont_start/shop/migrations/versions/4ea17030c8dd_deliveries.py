# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders are delivered at some time"""

import sqlalchemy as sa
from alembic import op

revision = "4ea17030c8dd"
down_revision = "c64b2e98d075"


def upgrade() -> None:
    op.add_column("orders", sa.Column("delivered_at", sa.DateTime))
    op.execute("UPDATE orders SET delivered_at = placed_at WHERE status = 'sent'")


def downgrade() -> None:
    op.drop_column("orders", "delivered_at")
