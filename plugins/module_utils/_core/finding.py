# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One reason why an archive is not written, or not restored: what, which object, why, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Iterator, Mapping, Sequence

Facts = Mapping[str, Any]
#: ``dump``: writing the archive. ``restore``: restoring it here. ``elsewhere``: only where the present database is lost.
AFFECTS = ("dump", "restore", "elsewhere")


@dataclass(frozen=True)
class Finding:
    """``severity`` is ``error`` where the dump or the restore would fail, else ``warning``."""

    id: str
    affects: str
    severity: str
    object: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        return f"{self.message} {self.remedy}".strip()


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more


def text_of(findings: Sequence[Finding]) -> str:
    return " ".join(finding.text() for finding in findings)


Findings = Iterator[Finding]
