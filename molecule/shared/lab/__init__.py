# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenarios, and what is done to them and asked of them. `python molecule/shared/lab --help` lists it."""
