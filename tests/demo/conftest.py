# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from support.services import pg, postgres  # noqa: F401
