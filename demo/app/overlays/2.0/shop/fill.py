# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m shop.fill [LIMIT]: gives up to LIMIT customers their full name, and prints how many."""

from __future__ import annotations

import sys

from sqlalchemy import text

from . import settings
from .database import make_engine

FILL = text(
    "UPDATE customers SET full_name = name WHERE id IN"
    " (SELECT id FROM customers WHERE full_name IS NULL AND name IS NOT NULL ORDER BY id LIMIT :limit)"
)


def main() -> None:
    with make_engine(settings.from_environment().database_url).begin() as connection:
        print(connection.execute(FILL, {"limit": int((sys.argv[1:] or ["1000"])[0])}).rowcount)


if __name__ == "__main__":
    main()
