# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders have a reference, and "sent" is called "shipped" now"""

import sqlalchemy as sa
from alembic import op

revision = "1b7e4d0c95aa"
down_revision = "c64b2e98d075"


def upgrade() -> None:
    op.add_column("orders", sa.Column("reference", sa.String(20)))
    op.execute("UPDATE orders SET reference = 'S-' || id, status = CASE status WHEN 'sent' THEN 'shipped' ELSE status END")
    op.alter_column("orders", "reference", nullable=False)


def downgrade() -> None:
    op.execute("UPDATE orders SET status = 'sent' WHERE status = 'shipped'")
    op.drop_column("orders", "reference")
