# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that dies in the middle of a playbook, and another one that puts things right."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Callable

import controller
import expect
import shop
from paths import RUN

TRACE = RUN / "trace.json"


@dataclass(frozen=True)
class Play:
    """A playbook that is cut off: what is made ready before it, and how things are when it is `reverted` or `finished`."""

    prepare: Callable[[], None]
    options: dict[str, Any]
    reverted: list[dict[str, Any]]
    finished: dict[str, Any]

    @property
    def release(self) -> str | None:
        """The release that it makes on the hosts; a deployment of one that is there already has no such steps."""
        version: str | None = self.options.get("variables", {}).get("release_version")
        return version

    def ended(self) -> str:
        """Which of the two good ends it is."""
        reasons = []
        for status, end in [*(("reverted", end) for end in self.reverted), ("finished", self.finished)]:
            try:
                expect.serves(**end)
                return status
            except expect.Expected as problem:
                reasons.append(f"not {status}:\n{problem}")
        raise expect.Expected("\n".join(reasons))


def _deployed() -> None:
    shop.reset("1.0")
    controller.play("maintenance_window", {"variables": {"release_version": "1.1"}})


def _backed_up() -> None:
    shop.reset("1.1")
    controller.play("backup")
    shop.write_orders(3)
    expect.remember()


PLAYS = {
    "maintenance_window": Play(
        lambda: shop.reset("1.0"),
        {"variables": {"release_version": "1.1"}},
        reverted=[{"release": "1.0"}],
        finished={"release": "1.1"},
    ),
    "rollback": Play(_deployed, {}, reverted=[{"release": "1.1"}], finished={"release": "1.0"}),
    "restore": Play(
        _backed_up,
        {"variables": {"deployment_rows_given_up": -1}, "newest": {"deployment_restore_from": ["app1", "/var/backups/shop/*.pgc"]}},
        reverted=[{"release": "1.1", "rows": "remembered"}],
        finished={"release": "1.1"},
    ),
    "rolling": Play(
        lambda: shop.reset("1.1"),
        {"variables": {"release_version": "1.2"}},
        reverted=[{"release": "1.1"}, {"release": "1.1", "rows": "1.2"}],  # what was expanded stays
        finished={"release": "1.2"},
    ),
}


def killed_at(point: dict[str, Any], name: str = "maintenance_window") -> None:
    """Kill the playbook there, recover from another controller, and find that one of its two good ends which the record tells."""
    play = PLAYS[name]
    play.prepare()
    before = set(shop.look()["records"])
    controller.play(name, {**play.options, "ends": "killed", "at": {**point, "kill": True}})
    controller.play("recover", {"controller": "two"})
    end, after = play.ended(), set(shop.look()["records"])
    if after > before:
        expect.record(end)
    elif end != "reverted":
        raise expect.Expected(f"the {name} is done, and no record says so")


def find_points(name: str = "maintenance_window") -> None:
    """Cases for every task of the playbook that changes something: before it, and after the first host is done with it."""
    play = PLAYS[name]
    play.prepare()
    if play.release:
        shop.forget(play.release)
    TRACE.unlink(missing_ok=True)
    controller.play(name, {**play.options, "trace": str(TRACE)})
    if play.ended() != "finished":
        raise expect.Expected(f"the {name} that nobody killed is not finished")
    tasks = [json.loads(line) for line in TRACE.read_text().splitlines()]
    building = tasks[: tasks.index({"task": "Begin the record", "number": 1})] if play.release else []
    title = "{name} killed {moment} {task} ({number})"
    cases = []
    for task in tasks:
        first = [["forget", play.release]] if task in building else []  # what is built already is not built again
        for point in ({**task, "moment": moment} for moment in ("before", "after")):
            cases.append({"name": title.format(name=name, **point), "steps": [*first, ["killed", point, name]]})
    (RUN / f"kill-points-{name}.json").write_text(json.dumps(part_of(cases, os.environ.get("DBOPS_PART", "1/1"))))


def part_of(cases: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    """Every Nth case from the Kth on, of K/N."""
    number, of = map(int, part.split("/"))
    return cases[number - 1 :: of]
