# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole deployments on this machine: a real PostgreSQL, a real supervisor, the sample application, and the playbooks."""
