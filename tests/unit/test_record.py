# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: what may be written into it, which step may follow which, and how it is read back."""

from __future__ import annotations

import json

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core import record as core
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError

IDENTITY = {"id": "20260301T220000Z-2.4.0", "kind": "maintenance_window", "owner": "run-1"}
FACTS = {"application": "shop", "from_revision": ["a1"], "to_revision": ["b2"], "hosts": {"app1": {"from_release": "2.3.0"}}}


def begun(step: str = "stopping", **facts: object) -> core.Record:
    return core.begin(IDENTITY, {**FACTS, **facts}, step, "2026-03-01T22:00:00.000Z")


def refused(call: object, *args: object, **more: object) -> MigrationError:
    with pytest.raises(MigrationError) as caught:
        call(*args, **more)  # type: ignore[operator]
    return caught.value


def test_a_new_record_is_open_and_survives_its_file() -> None:
    record = begun()
    assert record.is_open and record.step == "stopping"
    assert core.parse(core.serialise(record), "x.json") == record


@pytest.mark.parametrize("before", sorted(core.STEPS))
@pytest.mark.parametrize("after", sorted(core.STEPS))
def test_a_step_follows_only_where_the_table_says_so(before: str, after: str) -> None:
    allowed = before == after or after in core.STEPS[before].successors
    if allowed:
        assert core.advance(begun(before), "run-1", after, {}, "later").step == after
    else:
        assert refused(core.advance, begun(before), "run-1", after, {}, "later").kind == "record_conflict"


def test_every_step_leads_to_an_end() -> None:
    for name, step in core.STEPS.items():
        reached, todo = {name}, list(step.successors)
        while todo:
            following = todo.pop()
            if following not in reached:
                reached.add(following)
                todo += core.STEPS[following].successors
        assert reached & {"archiving", "restarting"}, name


def test_only_the_owner_moves_a_record() -> None:
    taken = core.take_over(begun(), "run-2", {"controller": "ops2"}, "later")
    error = refused(core.advance, taken, "run-1", "upgrading", {}, "later")
    assert error.kind == "record_conflict" and "ops2" in error.msg
    assert core.advance(taken, "run-2", "upgrading", {}, "later").step == "upgrading"


def test_a_record_is_taken_over_from_the_run_that_is_meant() -> None:
    taken = core.take_over(begun(), "run-2", {"controller": "ops2"}, "later")
    error = refused(core.take_over, taken, "run-1-again", {}, "later", from_owner="run-1")
    assert error.kind == "record_conflict" and "ops2" in error.msg
    assert core.take_over(taken, "run-3", {}, "later", from_owner="run-2").owner == "run-3"


def test_a_closed_record_is_not_moved_but_may_be_annotated() -> None:
    closed = core.close(begun(), "run-1", "reverted", {}, "later")
    assert not closed.is_open and closed.closed_at == "later"
    assert refused(core.advance, closed, "run-1", "upgrading", {}, "later").kind == "record_conflict"
    assert refused(core.take_over, closed, "run-2", {}, "later").kind == "record_conflict"
    assert core.annotate(closed, {"undone_by": "other"}, "later").status == "reverted"


def test_a_halted_record_is_open_and_goes_on() -> None:
    halted = core.close(begun("starting"), "run-1", "halted", {}, "later")
    assert halted.is_open and halted.closed_at == ""
    assert core.advance(halted, "run-1", "restoring", {}, "later").status == "open"


def test_the_timeline_tells_every_step() -> None:
    record = core.advance(begun(), "run-1", "upgrading", {}, "2026-03-01T22:00:05.000Z")
    record = core.close(record, "run-1", "reverted", {}, "2026-03-01T22:00:09.000Z")
    assert [(entry["step"], entry["at"][-7:]) for entry in record.timeline] == [
        ("stopping", "00.000Z"), ("upgrading", "05.000Z"), ("reverted", "09.000Z"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "facts",
    [
        {"database": {"name": "postgresql://shop:geheim@db/shop"}},
        {"database": {"password": "geheim"}},
        {"database": {"url": "postgresql://db/shop"}},
        {"hosts": {"app1": {"note": ["mysql://shop:geheim@db/shop"]}}},
        {"snapshot": "password=geheim"},
    ],
)
def test_a_secret_is_refused(facts: dict[str, object]) -> None:
    with pytest.raises(MigrationError) as caught:
        begun(**facts)
    assert caught.value.kind == "options_invalid" and "geheim" not in caught.value.msg


def test_a_table_or_a_host_may_be_named_like_a_secret() -> None:
    rows = {"tables": {"public.user_token": {"rows": 3}, "public.password": {"rows": 1}}}
    assert begun(rows=rows, hosts={"token": {"from_release": "1"}}).rows == rows


def test_a_secret_in_a_message_is_masked() -> None:
    record = begun(failure={"step": "upgrading", "message": "could not reach postgresql://shop:geheim@db/shop"})
    assert "geheim" not in core.serialise(record) and "shop:***@db" in record.failure["message"]
    record = begun(doubted={"app1": "http://app1/ answered 500: postgresql://shop:geheim@db/shop"})
    assert "geheim" not in core.serialise(record) and "answered 500: postgresql://shop:***@db" in record.doubted["app1"]


@pytest.mark.parametrize("facts", [{"status": "finished"}, {"owner": "me"}, {"colour": "red"}])
def test_facts_can_not_be_what_the_record_manages_or_does_not_know(facts: dict[str, object]) -> None:
    assert refused(core.annotate, begun(), facts, "later").kind == "options_invalid"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 200])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    assert refused(core.begin, {**IDENTITY, "id": name}, FACTS, "stopping", "now").kind == "options_invalid"


def spoilt(**changes: object) -> str:
    data = {**begun().as_dict(), **changes}
    return json.dumps({name: value for name, value in data.items() if value is not ...})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ('{"id": "x"', "not JSON"),
        ("[]", "not a JSON object"),
        (spoilt(schema_version=2), "schema_version is 2"),
        (spoilt(schema_version=...), "schema_version is None"),
        (spoilt(owner=...), "owner is missing"),
        (spoilt(colour="red"), "'colour' is unknown"),
        (spoilt(step="guessing"), "step is 'guessing'"),
        (spoilt(status="done"), "status is 'done'"),
        (spoilt(kind="rolling2"), "kind is 'rolling2'"),
        (spoilt(from_revision="a1"), "from_revision is str"),
        (spoilt(hosts=[]), "hosts is list"),
    ],
)
def test_what_is_not_understood_is_an_error(text: str, why: str) -> None:
    error = refused(core.parse, text, "/r/x.json")
    assert error.kind == "record_unreadable" and why in error.msg and "/r/x.json" in error.msg
