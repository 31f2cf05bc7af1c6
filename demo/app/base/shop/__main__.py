# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m shop serve | seed --orders N"""

from __future__ import annotations

import argparse

from . import settings
from .database import make_engine
from .seed import seed
from .serve import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="shop")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service")
    filler = commands.add_parser("seed", help="fill an empty shop with the same customers and orders each time")
    filler.add_argument("--orders", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.command == "serve":
        serve(settings.from_environment())
    else:
        seed(make_engine(settings.from_environment().database_url), arguments.orders)


if __name__ == "__main__":
    main()
