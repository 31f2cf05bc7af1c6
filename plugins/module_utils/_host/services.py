# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What runs on a host, in terms that every process manager has, and the decision what shall run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, Protocol, Sequence


@dataclass(frozen=True)
class Service:
    """One unit of systemd or one program of supervisor.

    ``service`` is the name in the operator's list that it belongs to, ``part`` why: a ``member`` of it, a ``trigger`` that
    would bring it back, a ``companion`` that its manager stops together with it, or a ``neighbour`` that a target starts and
    does not stop. ``state`` is the manager's own word.
    """

    service: str
    name: str
    state: str
    part: str = "member"
    detail: str = ""
    runs: bool = False  # a process of it is there, or will be without anybody's doing
    waiting: bool = False  # on its way up, or about to be started again
    restarting: bool = False  # it has just ended, and its manager may be about to start it again
    ended: bool = False  # it had its turn and is done, as a oneshot is
    failed: bool = False  # one of a group that its manager has given up; it may fail again
    starts_itself: bool = True
    exact: bool = True  # named as it is, not by a group or a pattern
    generation: str = ""  # another one after each start
    refused: str = ""  # why it can be neither stopped nor started
    warning: str = ""

    def as_result(self) -> dict[str, Any]:
        kept = ("service", "name", "part", "state", "detail", "runs", "ended", "failed")
        return {key: value for key, value in asdict(self).items() if key in kept}


@dataclass(frozen=True)
class Limits:
    """Seconds that one service may take to stop and to start, and how long it has to stay up to count as started."""

    stop: float
    start: float
    settle: float


@dataclass(frozen=True)
class Turn:
    """What is started for one name of the operator's list: what has to run, and what may fail again as it did before."""

    service: str
    must: tuple[str, ...]
    may: tuple[str, ...] = ()


class Manager(Protocol):
    """A process manager. Each method looks at, or acts on, the services that it was made for."""

    def look(self) -> list[Service]: ...

    def stop(self, found: Sequence[Service]) -> None: ...

    def start(self, names: Sequence[str], wait: bool) -> None: ...

    def logs(self, names: Sequence[str], since: float, lines: int) -> str: ...


def recorded_from(data: Iterable[Mapping[str, Any]]) -> list[Service]:
    """Read what an earlier call returned; what another version wrote besides is left out."""
    found = []
    for item in data:
        if item.get("name"):
            found.append(
                Service(
                    service=str(item.get("service", item["name"])),
                    name=str(item["name"]),
                    state=str(item.get("state", "")),
                    part=str(item.get("part", "member")),
                    runs=item.get("runs") in (True, "True", "true"),
                    ended=item.get("ended") in (True, "True", "true"),
                    failed=item.get("failed") in (True, "True", "true"),
                )
            )
    return found


def turns(services: Sequence[str], found: Sequence[Service], recorded: Sequence[Service]) -> list[Turn]:
    """Return what shall be started, in order: what ran before, or what is named where nothing did.

    Of several recordings the first counts, and what runs now counts for what nobody recorded.
    """
    before: dict[str, Service] = {}
    for item in [*recorded, *found]:
        before.setdefault(item.name, item)
    ran = {name for name, item in before.items() if item.runs}
    return [_turn(service, found, recorded, ran) for service in dict.fromkeys(services)]


def _turn(service: str, found: Sequence[Service], recorded: Sequence[Service], ran: set[str]) -> Turn:
    own = [item for item in found if item.service == service]
    known = {item.name for item in own}
    own += [item for item in recorded if item.service == service and item.name not in known]
    members = [item for item in own if item.part == "member"]
    exact = any(item.exact and item.name in known for item in members)
    triggers = tuple(item.name for item in own if item.part == "trigger" and item.name in ran)
    companions = tuple(item.name for item in own if item.part == "companion" and item.name in ran)
    running = tuple(item.name for item in members if item.name in ran)
    if exact:
        wanted = () if triggers and not running else tuple(item.name for item in members)
    else:
        wanted = running or tuple(item.name for item in members if item.starts_itself) or tuple(item.name for item in members)
    may = tuple(
        item.name
        for item in members
        if item.name not in ran and ((item.ended and item.name in wanted) or (_again(item) and running))
    )
    sockets = tuple(name for name in triggers if name.endswith(".socket"))  # can not be started after their service
    others = tuple(name for name in triggers if name not in sockets)
    must = [*sockets, *(name for name in wanted if name not in may), *companions, *others]
    return Turn(service, tuple(dict.fromkeys(must)), may)


def _again(item: Service) -> bool:
    """A program of a group that its manager starts by itself and that has ended is run again with the rest of the group."""
    return (item.ended or item.failed) and item.starts_itself and not item.exact


def problems(found: Sequence[Service]) -> list[str]:
    """Return why services can not be handled, each once."""
    return list(dict.fromkeys(item.refused for item in found if item.refused))


def down(found: Sequence[Service], must: Sequence[str]) -> list[Service]:
    """Return what has to run, does not, and will not by itself. A trigger that runs stands for what it triggers."""
    triggered = {item.service for item in found if item.part == "trigger" and item.runs}
    return [
        item
        for item in found
        if item.name in must and not item.runs and not item.ended and not (item.part == "member" and item.service in triggered)
    ]


def described(items: Iterable[Service]) -> str:
    return "; ".join(f"{item.name} is {item.state}" + (f" ({item.detail})" if item.detail else "") for item in items)
