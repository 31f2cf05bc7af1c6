# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter is given as a dictionary of variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ansible.errors import AnsibleFilterError


def known(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given; what is empty is as good as not given. Before ansible-core 2.19 null is an empty text too."""
    return {str(key): value for key, value in given.items() if value is not None and value != ""}


def made(name: str, kind: Any, given: Any) -> Any:
    """Return the dataclass ``kind`` of what the filter ``name`` was given."""
    keys = {field.name for field in fields(kind)}
    if not isinstance(given, Mapping) or set(given) - keys:
        raise AnsibleFilterError(f"{name}: the input has to be a dictionary of {', '.join(sorted(keys))}")
    return kind(**known(given))
