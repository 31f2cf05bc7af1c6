# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many databases: in which order they are worked on, how many at a time, and when no further one is begun."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Iterable, Mapping, Sequence, Tuple

Names = Tuple[str, ...]
_SHARE = re.compile(r"^(\d+(?:\.\d+)?) *%$")
_ADDRESS = re.compile(r"^[a-zA-Z][\w.+-]*://(?:.*@)?(\[[^\]]+\]|[^/:?@]*)(?::(\d+))?(?:[/?]|$)", re.DOTALL)


def share(text: str, total: int) -> int:
    """Return how many of ``total`` a number, or a percentage such as ``10%``, means; parts are rounded down.

    :raises ValueError: it is neither, or more than 100 percent.
    """
    text = text.strip()
    part = _SHARE.match(text)
    if part and Fraction(part.group(1)) <= 100:
        return int(Fraction(part.group(1)) * total / 100)
    if not re.match(r"^\d+$", text):
        raise ValueError(f"{text!r} is neither a number nor a percentage of 100% at most")
    return int(text)


def batches(names: Sequence[str], sizes: Sequence[str]) -> tuple[Names, ...]:
    """Return ``names`` in batches of these sizes; the last size is repeated, and each batch has one name at least.

    :raises ValueError: as :func:`share`.
    """
    rest, total = tuple(names), len(names)
    found: list[Names] = []
    counts = [max(1, share(size, total)) for size in sizes] or [max(1, total)]
    while rest:
        count = counts[min(len(found), len(counts) - 1)]
        found.append(rest[:count])
        rest = rest[count:]
    return tuple(found)


def chosen(labels: Mapping[str, Sequence[str]], wanted: Iterable[str]) -> Names:
    """Return the targets that ``wanted`` means, by their names or by one of their labels.

    :param labels: target → its labels.
    :raises ValueError: one of ``wanted`` means no target.
    """
    wanted = tuple(wanted)
    found = tuple(name for name, own in labels.items() if name in wanted or set(own) & set(wanted))
    known = set(found) | {label for name in found for label in labels[name]}
    missing = [item for item in wanted if item not in known]
    if missing:
        raise ValueError(f"no target has the name or the label {', '.join(missing)}")
    return found


def places(targets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the databases that hold the targets, in order: the name of the first of each, the names of all, and whether one can
    tell where it is.

    :param targets: as they are listed, or as they were found; schemas of one database have its URL, or that of the whole fleet.
    """
    held: dict[tuple[Any, ...], list[str]] = {}
    for target in targets:
        where = tuple(target.get(name) or None for name in ("url", "database", "file"))
        hidden = not any((*where, target.get("schema"))) and bool(target.get("environment") or target.get("x_arguments"))
        held.setdefault((*where, target["name"] if hidden else None), []).append(target["name"])
    return [{"name": names[0], "targets": names, "known": key[-1] is None} for key, names in held.items()]


@dataclass(frozen=True)
class Pace:
    """How many at a time, and how many may fail.

    :param waves: the targets; those of a wave begin when all of the one before have ended.
    :param canary: whether the first wave is a canary, in which none may fail.
    :param servers: target → its server; empty for one that is a file.
    :param parallel: how many at a time.
    :param per_server: how many at a time on one server; 0 is no limit of its own.
    :param allowed: how many may fail; None is no limit.
    """

    waves: tuple[Names, ...]
    canary: bool
    servers: Mapping[str, str]
    parallel: int
    per_server: int = 0
    allowed: int | None = None


@dataclass(frozen=True)
class Progress:
    """What has begun by now."""

    running: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


def stopped(pace: Pace, progress: Progress) -> str | None:
    """Return why no further target is begun: ``canary``, ``max_failures``, or None while the work goes on."""
    if pace.allowed is None:
        return None
    if pace.canary and progress.failed & set(pace.waves[0]):
        return "canary"
    return "max_failures" if len(progress.failed) > pace.allowed else None


def due(pace: Pace, progress: Progress) -> Names:
    """Return the targets that are to begin now, in order."""
    if stopped(pace, progress):
        return ()
    wave = next((names for names in pace.waves if not set(names) <= progress.ended), ())
    busy: dict[str, int] = {}
    for name in progress.running:
        busy[pace.servers[name]] = busy.get(pace.servers[name], 0) + 1
    found: list[str] = []
    for name in wave:
        if len(progress.running) + len(found) >= pace.parallel:
            break
        server = pace.servers[name]
        full = pace.per_server and server and busy.get(server, 0) >= pace.per_server
        if name not in progress.running and name not in progress.ended and not full:
            busy[server] = busy.get(server, 0) + 1
            found.append(name)
    return tuple(found)


def server_of(texts: Iterable[str]) -> str:
    """Return host and port of the first URL of a database among ``texts``; nothing of it is secret.

    Empty for a file; ``unknown`` where there is no URL, so that those count as one server.
    """
    for text in texts:
        found = _ADDRESS.match(text)
        if found and text.startswith("sqlite"):
            return ""
        if found:
            return (found.group(1) or "local") + (f":{found.group(2)}" if found.group(2) else "")
    return "unknown"
