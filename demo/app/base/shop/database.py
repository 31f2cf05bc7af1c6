# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine with its connection pool, one per process."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, make_url

from ._release import RELEASE


def make_engine(database_url: str, pool_size: int = 5) -> Engine:
    url = make_url(database_url)
    if url.get_backend_name() != "postgresql":
        return create_engine(url)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"application_name": f"shop {RELEASE}", "connect_timeout": 5},
    )
