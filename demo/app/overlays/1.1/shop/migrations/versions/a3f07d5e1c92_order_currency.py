# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders have a currency"""

import sqlalchemy as sa
from alembic import op

revision = "a3f07d5e1c92"
down_revision = "8d25e9c3f6a4"


def upgrade() -> None:
    op.add_column("orders", sa.Column("currency", sa.String(3), nullable=False, server_default="EUR"))


def downgrade() -> None:
    op.drop_column("orders", "currency")
