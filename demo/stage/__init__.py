# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: an application with three replicas and a database, deployed by this collection, well and badly."""
