# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of many combinations those that make test runs; the others are for make test-all."""

from __future__ import annotations

from typing import Any, Container, Iterable

import pytest


def some(cases: Iterable[Any], *quick: Any) -> list[Any]:
    """What parametrize takes: `quick` as they are, by themselves or by their name, and the other cases marked as slow.

    :raises ValueError: one of `quick` is no case, so nothing would run.
    """
    listed = list(cases)
    missing = [case for case in quick if case not in listed and case not in map(str, listed)]
    if missing:
        raise ValueError(f"{missing} is among none of {listed}")
    return [case if _among(case, quick) else _slow(case) for case in listed]


def _among(case: Any, quick: Container[Any]) -> bool:
    return case in quick or str(case) in quick


def _slow(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
