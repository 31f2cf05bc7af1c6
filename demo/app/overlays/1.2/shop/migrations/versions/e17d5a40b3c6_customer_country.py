# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers have a country"""

import sqlalchemy as sa
from alembic import op

revision = "e17d5a40b3c6"
down_revision = "c64b2e98d075"


def upgrade() -> None:
    op.add_column("customers", sa.Column("country", sa.String(2)))


def downgrade() -> None:
    op.drop_column("customers", "country")
