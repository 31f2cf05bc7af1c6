# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What squawk found, as findings of ours: the static verdict's second opinion, which adds to the first and takes nothing away.

Only its rules about running code count. Whether a statement blocks depends on sizes, which it does not know.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, Mapping

from .._core.plan import Finding

#: Rule of squawk → ours.
RULES = {
    "ban-drop-table": "C01",
    "ban-drop-view": "C01",
    "ban-drop-sequence": "C01",
    "ban-drop-column": "C02",
    "renaming-table": "C03",
    "renaming-object": "C03",
    "ban-set-schema": "C03",
    "renaming-column": "C04",
    "ban-alter-identity": "C05",
    "ban-drop-constraint": "C07",
    "ban-drop-type": "C08",
    "ban-drop-domain": "C08",
    "ban-drop-function": "C08",
    "ban-drop-extension": "C08",
    "ban-drop-schema": "C08",
    "ban-drop-database": "C08",
    "adding-required-field": "C11",
    "ban-new-write-restriction": "M01",
    "ban-set-default": "M02",
    "ban-drop-generated-expression": "C09",
    "ban-alter-generated-expression": "M02",
    "ban-add-enum-value": "M03",
    "ban-disable-trigger": "M04",
    "ban-replace-view-function": "M04",
    "ban-detach-inheritance": "M04",
    "ban-drop-not-null": "M05",
    "ban-drop-policy": "M06",
    "ban-create-policy": "M06",
    "ban-alter-policy-condition": "M06",
    "ban-alter-policy-roles": "M06",
    "ban-alter-row-level-security": "M06",
    "ban-revoke": "M06",
    "ban-drop-index": "M07",
}
_KINDS = {"C": "breaks", "M": "may_break"}
_OBJECT = re.compile(
    r"\b(?:TABLE|VIEW|TYPE|INDEX|FUNCTION|SEQUENCE|SCHEMA|EXTENSION|DOMAIN|ON)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?"
    r'((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)',
    re.I,
)
SECTION = "When nothing can be rehearsed"


def of_statement(statement: str, found: Iterable[Mapping[str, Any]], revision: str, known: set[str]) -> Iterator[Finding]:
    """Yield what it found in one statement, but for the classes that our own reading found there already."""
    text = " ".join(statement.split())
    named = _OBJECT.search(text)
    target = named.group(1).replace('"', "") if named else revision
    for item in found:
        rule = RULES.get(str(item["rule"]))
        if rule is None or _KINDS[rule[0]] in known:
            continue
        message = f"squawk ({item['rule']}): {str(item['message']).strip().rstrip('.')}: {text[:100]}."
        yield Finding(rule, _KINDS[rule[0]], target, message, "Rehearse it to know more.", SECTION, source="squawk")
