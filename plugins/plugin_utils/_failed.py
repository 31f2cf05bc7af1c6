# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed in a deployment: by host, what is said parted from the log below it, and what is alike once. Plain Python."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import MARKS, SAID

from ._text import part


def entries(result: Mapping[str, Any], most: int = 0) -> list[dict[str, Any]]:
    """Return the ``hosts`` that say something alike (empty where it is said of no host), their ``brief`` lines, and the ``log``.

    :param most: lines that are brief at most; what is more belongs to the log. 0 is any number.
    """
    found = part(result.get("failure"))
    whole = str(found.get("message") or "")
    named = {name: str(part(host).get("message") or "").strip() for name, host in part(result.get("host_states")).items()}
    texts = {name: text for name, text in named.items() if text and text in whole}
    texts |= {name: _of(name, whole) for name in found.get("hosts") or () if texts and name not in texts}
    alike: dict[str, list[str]] = {}
    for name, text in (texts or {"": whole}).items():
        alike.setdefault(text, []).append(name)
    return [dict(zip(("brief", "log"), _parted(text, most)), hosts=", ".join(filter(None, hosts))) for text, hosts in alike.items()]


def _of(host: str, whole: str) -> str:
    """What is said of a host that said nothing itself."""
    lines = [line.partition(": ")[2] for line in whole.splitlines() if host in line.partition(": ")[0].split(", ")]
    return lines[0] if lines else "it did not take the step"


def _parted(text: str, most: int) -> tuple[list[str], str]:
    """Part what is said from the log below it. What to do, and the kind, is said."""
    said: list[str] = []
    log: list[str] = []
    for line in text.splitlines():
        if line.startswith(SAID):
            said.append(line)
        elif log or line.startswith(MARKS) or (most and len(said) >= most):
            log.append(line)
        elif line.strip():
            said.append(line)
    return said, "\n".join(log)
