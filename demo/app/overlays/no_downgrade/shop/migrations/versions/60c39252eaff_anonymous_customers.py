# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of customers who never paid are forgotten"""

import sqlalchemy as sa
from alembic import op

revision = "60c39252eaff"
down_revision = "c64b2e98d075"


def upgrade() -> None:
    op.add_column("customers", sa.Column("anonymous", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE customers SET anonymous = true, name = 'somebody'"
        " WHERE id NOT IN (SELECT customer_id FROM orders WHERE status IN ('paid', 'sent'))"
    )


def downgrade() -> None:
    raise NotImplementedError("The names are gone; only a backup has them.")
