# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests, bench and demo share: environments, servers, fixture projects, ways to run a module. One file a subject."""
