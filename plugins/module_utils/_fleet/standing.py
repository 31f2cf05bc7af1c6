# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a ledger says, for those who only read it."""

from __future__ import annotations

import json
import os
from typing import Any

from .._core import fleet_ledger
from .._core.fleet_ledger import Standing
from .._errors import MigrationError


def lines_of(data: bytes, path: str) -> tuple[list[dict[str, Any]], int]:
    """Return the lines of a ledger, and how many bytes they are; a line that was cut off was never acted on, and is left out.

    :raises MigrationError: ``record_unreadable``.
    """
    whole = data[: data.rfind(b"\n") + 1]
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        fleet_ledger.folded(lines)
    except (ValueError, AttributeError) as exc:
        raise MigrationError(
            f"The ledger {path} can not be understood: {exc}.",
            "record_unreadable",
            "Nothing was touched. Mend the file or name another one, once you know where its targets stand.",
        ) from exc
    return lines, len(whole)


def standings_of(directory: str, name: str) -> dict[str, Standing] | None:
    """Return what the ledger ``name`` beside the records of ``directory`` says of each target; None where it is not there.

    :raises MigrationError: ``record_unreadable``.
    """
    path = os.path.join(directory, os.path.basename(name))
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise MigrationError(f"The ledger {path} can not be read: {exc.strerror}.", "record_unreadable") from exc
    return fleet_ledger.folded(lines_of(data, path)[0])
