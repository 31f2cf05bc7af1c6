# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that dies in the middle of a maintenance window, and another one that puts things right."""

from __future__ import annotations

import json
from typing import Any

import controller
import expect
import shop
from paths import RUN

DEPLOYMENT = {"variables": {"release_version": "1.1"}}
TRACE = RUN / "trace.json"
POINTS = RUN / "kill-points.json"


def killed_at(point: dict[str, Any]) -> None:
    """Kill the deployment of release 1.1 there, recover from another controller, and find one of the two good ends."""
    shop.reset("1.0")
    controller.play("maintenance_window", {**DEPLOYMENT, "ends": "killed", "at": {**point, "kill": True}})
    controller.play("recover", {"controller": "two", "ends": "well or badly"})  # what counts is the end state
    end = expect.one_of(["1.0", "1.1"])
    records = sorted(shop.look()["records"].items())
    if records:
        expect.record({"1.0": "reverted", "1.1": "finished"}[end])
    elif end != "1.0":
        raise expect.Expected("release 1.1 serves, and no record says so")


def find_points() -> None:
    """Cases for every task of a maintenance window that changes something: before it, and after the first host is done with it."""
    shop.reset("1.0")
    TRACE.unlink(missing_ok=True)
    controller.play("maintenance_window", {**DEPLOYMENT, "trace": str(TRACE)})
    tasks = [json.loads(line) for line in TRACE.read_text().splitlines()]
    points = [{**task, "moment": moment} for task in tasks for moment in ("before", "after")]
    name = "killed {moment} {task} ({number})"
    POINTS.write_text(json.dumps([{"name": name.format(**point), "steps": [["killed", point]]} for point in points]))
