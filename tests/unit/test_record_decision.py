# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table "where it failed": what is decided at every step, for every state the database can be found in."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.decision import Decision, Observed, Policy, decide
from ansible_collections.dbops.alembic.plugins.module_utils._core.record import STATUSES, Record

#: The steps that stop the application; a rolling deployment has others.
WINDOW = {"stopping", "upgrading", "starting", "archiving", "restoring", "restarting"}
FROM, BETWEEN, TO = ("a1",), ("b2",), ("c3",)
FAILED = {"step": "upgrading", "message": "boom"}
SNAPSHOT = {"database": "restore", "source": "snapshot"}
ARCHIVE = {"database": "restore", "source": "archive"}
DOWNGRADE = {"database": "downgrade"}


def record(step: str, kind: str = "maintenance_window", **more: object) -> Record:
    ends = {"from_revision": list(FROM), "to_revision": list(TO)}
    if kind == "rollback":
        ends = {"from_revision": list(TO), "to_revision": list(FROM)}
    return Record(**{**dict(id="d", application="shop", kind=kind, owner="me", step=step, snapshot="shop__s"), **ends, **more})  # type: ignore[arg-type]


def told(decision: Decision) -> tuple[str, str, str, str]:
    return decision.action, decision.database, decision.source, decision.code


KEEP_OLD = ("revert", "keep", "", "from")
FORWARD = ("finish", "keep", "", "to")
SWAP = ("revert", "restore", "snapshot", "from")
UNPACK = ("revert", "restore", "archive", "from")
DOWN = ("revert", "downgrade", "", "from")
HALT = ("halt", "keep", "", "")

# step, what the record says, what is observed, the policy → the decision
MAINTENANCE_WINDOW = [
    # before the upgrade: start the old release
    ("stopping", {}, Observed(), Policy(), KEEP_OLD),
    ("stopping", {}, Observed(FROM), Policy(), KEEP_OLD),
    ("stopping", {"failure": FAILED}, Observed(FROM), Policy("finish"), KEEP_OLD),
    ("stopping", {}, Observed(BETWEEN), Policy(), HALT),
    # in the upgrade, database at the from-revision
    ("upgrading", {"failure": FAILED}, Observed(FROM, False, "complete"), Policy(), KEEP_OLD),
    ("upgrading", {"failure": FAILED}, Observed(FROM, False, "absent"), Policy(), KEEP_OLD),
    ("upgrading", {"failure": FAILED}, Observed(FROM, True, "complete"), Policy(), SWAP),
    ("upgrading", {}, Observed(FROM, None, "complete"), Policy(), SWAP),
    ("upgrading", {}, Observed(FROM, None, "absent", True), Policy(), UNPACK),
    ("upgrading", {}, Observed(FROM, None, "incomplete"), Policy(), HALT),
    ("upgrading", {"failure": FAILED}, Observed(FROM, True, "complete"), Policy("auto", True), SWAP),
    # in the upgrade, database between
    ("upgrading", {"failure": FAILED}, Observed(BETWEEN, False, "complete"), Policy(), SWAP),
    ("upgrading", {"failure": FAILED}, Observed(BETWEEN, False, "absent", True), Policy(), UNPACK),
    ("upgrading", {"failure": FAILED}, Observed(BETWEEN, False, "absent"), Policy(), HALT),
    ("upgrading", {"failure": FAILED}, Observed(BETWEEN, False, "absent"), Policy("auto", True), DOWN),
    ("upgrading", {"failure": FAILED}, Observed(BETWEEN, True, "absent"), Policy("auto", True), HALT),
    ("upgrading", {}, Observed(None, None, "complete"), Policy(), HALT),
    # the upgrade went through and the controller died
    ("upgrading", {}, Observed(TO, None, "complete"), Policy(), FORWARD),
    ("upgrading", {}, Observed(TO, None, "complete"), Policy("revert"), SWAP),
    ("upgrading", {"failure": FAILED}, Observed(TO, None, "complete"), Policy(), SWAP),
    ("upgrading", {"failure": FAILED}, Observed(TO, None, "complete"), Policy("finish"), FORWARD),
    ("upgrading", {}, Observed(TO, True, "complete"), Policy(), SWAP),
    # the pods that upgrade the database may serve already, so rows count as after the upgrade
    ("upgrading", {"rows": {"tables": {}}}, Observed(TO, None, "complete"), Policy(), FORWARD),
    ("upgrading", {"rows": {"tables": {}}}, Observed(TO, None, "complete", new_rows=3), Policy("revert"), HALT),
    ("upgrading", {"rows": {"tables": {}}}, Observed(TO, None, "complete"), Policy("revert"), HALT),
    ("upgrading", {"rows": {"tables": {}}}, Observed(TO, None, "complete", new_rows=0), Policy("revert"), SWAP),
    ("upgrading", {"rows": {"tables": {}}}, Observed(BETWEEN, None, "complete", new_rows=3), Policy(), SWAP),
    # after the upgrade
    ("starting", {}, Observed(TO), Policy(), FORWARD),
    ("starting", {}, Observed(FROM), Policy(), HALT),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, 0), Policy(), SWAP),
    ("starting", {"failure": FAILED}, Observed(TO, None, "absent", True, 0), Policy(), UNPACK),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, 7), Policy(), HALT),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, 7), Policy("auto", False, 6), HALT),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, 7), Policy("auto", False, 7), SWAP),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, 7), Policy("auto", True), DOWN),
    ("starting", {"failure": FAILED, "downgrade_trusted": True}, Observed(TO, None, "complete", False, 7), Policy(), DOWN),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, None), Policy("auto", False, 99), HALT),
    ("starting", {"failure": FAILED}, Observed(TO, None, "complete", False, None), Policy("auto", False, -1), SWAP),
    ("starting", {"failure": FAILED}, Observed(TO, None, "absent", False, 0), Policy(), HALT),
    ("starting", {"failure": FAILED, "to_revision": list(FROM)}, Observed(FROM, None, "absent", False, 9), Policy(), KEEP_OLD),
    ("starting", {"failure": FAILED}, Observed(FROM, None, "absent", False, 0), Policy(), KEEP_OLD),
    ("starting", {"failure": FAILED}, Observed(TO), Policy("finish"), FORWARD),
    ("starting", {}, Observed(TO, None, "complete", False, 0), Policy("revert"), SWAP),
    # it serves
    ("archiving", {}, Observed(TO, None, "complete", False, 9), Policy(), FORWARD),
    ("archiving", {"failure": FAILED}, Observed(TO, None, "complete", False, 9), Policy(), FORWARD),
    ("archiving", {}, Observed(TO, None, "complete", False, 9), Policy("revert"), HALT),
    ("archiving", {}, Observed(TO, None, "complete", False, 9), Policy("revert", False, 9), SWAP),
    # cut off on the way back
    ("restoring", {"failure": FAILED, "decision": SNAPSHOT}, Observed(TO, None, "complete", False, 3), Policy(), SWAP),
    ("restoring", {"failure": FAILED, "decision": SNAPSHOT}, Observed(None, None, "complete"), Policy(), SWAP),
    ("restoring", {"failure": FAILED, "decision": SNAPSHOT}, Observed(FROM, None, "absent"), Policy(), KEEP_OLD),
    ("restoring", {"failure": FAILED, "decision": SNAPSHOT}, Observed(TO, None, "absent"), Policy(), HALT),
    ("restoring", {"failure": FAILED, "decision": ARCHIVE}, Observed(FROM, None, "absent", True), Policy(), UNPACK),
    ("restoring", {"failure": FAILED, "decision": DOWNGRADE}, Observed(BETWEEN, None, "complete"), Policy(), DOWN),
    ("restarting", {"failure": FAILED}, Observed(FROM), Policy(), KEEP_OLD),
    ("restarting", {"failure": FAILED}, Observed(), Policy("finish"), KEEP_OLD),
]

ROLLBACK = [
    ("stopping", {"decision": SNAPSHOT}, Observed(TO, None, "complete"), Policy(), KEEP_OLD),
    ("restoring", {"decision": SNAPSHOT}, Observed(TO, None, "complete"), Policy(), ("finish", "restore", "snapshot", "to")),
    ("restoring", {"decision": SNAPSHOT}, Observed(FROM, None, "absent"), Policy(), FORWARD),
    ("restoring", {"decision": SNAPSHOT}, Observed(TO, None, "absent"), Policy(), HALT),
    ("restoring", {"decision": DOWNGRADE}, Observed(BETWEEN), Policy(), ("finish", "downgrade", "", "to")),
    # it failed, and the database proves that nothing was put back: what was serving serves again
    ("restoring", {"decision": SNAPSHOT, "failure": FAILED}, Observed(TO, None, "complete"), Policy(), KEEP_OLD),
    ("restoring", {"decision": ARCHIVE, "failure": FAILED}, Observed(TO, None, "absent"), Policy(), KEEP_OLD),
    ("restoring", {"decision": DOWNGRADE, "failure": FAILED}, Observed(TO, False), Policy(), KEEP_OLD),
    ("restoring", {"decision": DOWNGRADE, "failure": FAILED}, Observed(TO, None), Policy(), ("finish", "downgrade", "", "to")),
    (
        "restoring",
        {"decision": DOWNGRADE, "failure": FAILED},
        Observed(BETWEEN, False),
        Policy(),
        ("finish", "downgrade", "", "to"),
    ),
    (
        "restoring",
        {"decision": SNAPSHOT, "failure": FAILED},
        Observed(None, None, "complete"),
        Policy(),
        ("finish", "restore", "snapshot", "to"),
    ),
    ("restoring", {"decision": SNAPSHOT}, Observed(TO, None, "complete"), Policy("revert"), KEEP_OLD),
    ("starting", {"decision": SNAPSHOT}, Observed(FROM), Policy(), FORWARD),
    ("archiving", {"decision": SNAPSHOT}, Observed(FROM), Policy("revert"), FORWARD),
    ("restarting", {"decision": SNAPSHOT}, Observed(TO), Policy(), KEEP_OLD),
]


@pytest.mark.parametrize(("step", "says", "observed", "policy", "expected"), MAINTENANCE_WINDOW)
def test_maintenance_window(
    step: str, says: dict[str, object], observed: Observed, policy: Policy, expected: tuple[str, ...]
) -> None:
    assert told(decide(record(step, **says), observed, policy)) == expected


@pytest.mark.parametrize(("step", "says", "observed", "policy", "expected"), ROLLBACK)
def test_rollback(step: str, says: dict[str, object], observed: Observed, policy: Policy, expected: tuple[str, ...]) -> None:
    assert told(decide(record(step, "rollback", **says), observed, policy)) == expected


def test_the_tables_name_every_step() -> None:
    assert {row[0] for row in MAINTENANCE_WINDOW} == WINDOW
    assert {row[0] for row in ROLLBACK} == WINDOW - {"upgrading"}


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in ("open", "halted")])
def test_nothing_is_done_about_a_closed_one(status: str) -> None:
    assert decide(record("starting", status=status), Observed(TO), Policy("revert")).action == "none"


EVERYTHING = list(
    itertools.product(
        sorted(WINDOW), (None, FROM, BETWEEN, TO), (None, False, True), ("complete", "incomplete", "absent", "unknown"),
        (False, True), (None, 0, 5), ("auto", "finish", "revert"), (False, True), ({}, FAILED),
    )
)  # fmt: skip


def test_in_no_state_at_all_is_data_put_at_risk() -> None:
    """The rules that hold in all of the states that there are, not only in those that somebody thought of."""
    for step, revisions, dirty, snapshot, archive, rows, direction, trusted, failure in EVERYTHING:
        subject = record(step, failure=failure, decision=SNAPSHOT)
        found = Observed(revisions, dirty, snapshot, archive, rows)
        decision = decide(subject, found, Policy(direction, trusted))
        case = (subject, found, direction, trusted, decision)
        assert decision.action in ("finish", "revert", "halt"), case
        assert (decision.code == "") == (decision.action == "halt"), case
        assert decision.reason, case
        if decision.action == "halt":
            assert decision.remedies and not decision.stop, case
        if decision.database != "keep" or (decision.action == "revert" and step in ("starting", "archiving")):
            assert decision.stop, case
        if decision.database == "restore":
            assert (decision.source == "snapshot" and snapshot == "complete") or (decision.source == "archive" and archive), case
            assert step != "stopping" and (step not in ("starting", "archiving") or rows == 0), case
        if decision.database == "downgrade":
            assert trusted, case
        if decision.action == "finish" and step == "upgrading":
            assert revisions == TO and not dirty, case
        if decision.action == "revert" and decision.database == "keep" and step not in ("stopping", "restarting"):
            assert revisions == FROM and not dirty, case


@pytest.mark.parametrize(("policy", "expected"), [(Policy(), ("finish", "restore", "archive", "to")), (Policy("revert"), KEEP_OLD)])
def test_a_restore_between_equal_revisions_is_given_up_by_the_operator_alone(policy: Policy, expected: tuple[str, ...]) -> None:
    """The revision does not tell whether the archive is in place already."""
    failed = record("restoring", "restore", from_revision=list(TO), to_revision=list(TO), decision=ARCHIVE, failure=FAILED)
    assert told(decide(failed, Observed(TO, None, "absent", True), policy)) == expected


def test_a_restore_that_failed_before_it_changed_anything_is_given_up_and_called_failed() -> None:
    failure = {"step": "restoring", "message": 'pg_restore: relation "colours" does not exist', "untouched": True}
    failed = record("restoring", "restore", from_revision=list(TO), to_revision=list(TO), decision=ARCHIVE, failure=failure)
    decision = decide(failed, Observed(TO, None, "absent", True), Policy())
    assert told(decision) == KEEP_OLD
    assert decision.reason.startswith("The restore failed: pg_restore") and "cut off" not in decision.reason
    # what can not be read, or is elsewhere, is no proof; and the operator may insist
    for observed, policy in (
        (Observed(None, None, "absent", True), Policy()),
        (Observed(FROM, None, "absent", True), Policy()),
        (Observed(TO, None, "absent", True), Policy("finish")),
    ):
        again = decide(failed, observed, policy)
        assert told(again) == ("finish", "restore", "archive", "to")
        assert "failed" in again.reason and "cut off" not in again.reason


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "The restore was cut off and is done again from the beginning."),
        ({"failure": FAILED}, "The restore was cut off and is done again from the beginning."),
        ({"failure": FAILED, "status": "halted"}, "The restore failed and is done again from the beginning."),
        (
            {"failure": {"step": "restoring", "message": "no room."}},
            "The restore failed: no room. It is done again from the beginning.",
        ),
    ],
)
def test_a_restore_is_called_what_it_was(more: dict[str, object], reason: str) -> None:
    decision = decide(record("restoring", decision=ARCHIVE, **more), Observed(BETWEEN, None, "absent", True), Policy())
    assert (told(decision), decision.reason) == (UNPACK, reason)
