# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers have a full name beside the name"""

import sqlalchemy as sa
from alembic import op

revision = "7b1d9e52f0c8"
down_revision = "f90c3b6d2e18"


def upgrade() -> None:
    op.add_column("customers", sa.Column("full_name", sa.String(100)))
    op.alter_column("customers", "name", nullable=True)


def downgrade() -> None:
    op.alter_column("customers", "name", nullable=False)
    op.drop_column("customers", "full_name")
