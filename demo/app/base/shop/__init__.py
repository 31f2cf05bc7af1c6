# SPDX-License-Identifier: GPL-3.0-or-later
"""A small shop, as many are: Flask in front, SQLAlchemy behind, migrations by Alembic."""
