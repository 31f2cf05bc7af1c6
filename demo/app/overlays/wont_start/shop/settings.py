# SPDX-License-Identifier: GPL-3.0-or-later
"""All settings come from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    database_url: str
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 4
    carrier_key: str = ""


def from_environment() -> Settings:
    try:
        database_url = os.environ["DATABASE_URL"]
    except KeyError:
        raise SystemExit("DATABASE_URL is not set") from None
    if "CARRIER_KEY" not in os.environ:
        raise SystemExit("CARRIER_KEY is not set: this release needs a setting that nobody has given it")
    return Settings(
        database_url=database_url,
        carrier_key=os.environ["CARRIER_KEY"],
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        threads=int(os.environ.get("THREADS", "4")),
    )
