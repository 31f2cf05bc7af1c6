# SPDX-License-Identifier: GPL-3.0-or-later
"""An index for the orders of a customer, built while others write"""

from alembic import op

revision = "f90c3b6d2e18"
down_revision = "e17d5a40b3c6"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("orders_by_customer", "orders", ["customer_id", "placed_at"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("orders_by_customer", "orders", postgresql_concurrently=True)
