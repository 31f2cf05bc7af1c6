# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases: order, batches, how many at a time and when no further one is begun, as tables; and what is told of them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.fleet_places import fleet_places
from ansible_collections.dbops.alembic.plugins.filter.fleet_url import fleet_url
from ansible_collections.dbops.alembic.plugins.module_utils import _errors
from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet, fleet_outcome
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet import Pace, Progress
from ansible_collections.dbops.alembic.plugins.module_utils._fleet import call, query, run, spec, targets
from ansible_collections.dbops.alembic.plugins.plugin_utils import _follow, _story_words


@pytest.mark.parametrize(
    ("text", "total", "count"),
    [
        ("0", 5, 0),
        ("3", 5, 3),
        ("9", 5, 9),
        (" 2 ", 5, 2),
        ("10%", 12, 1),
        ("10%", 9, 0),
        ("12.5%", 8, 1),
        ("100%", 7, 7),
        ("0%", 7, 0),
        ("33%", 100, 33),
        ("7%", 100, 7),
        ("29%", 100, 29),
        ("10 %", 50, 5),
        ("101%", 5, None),
        ("-1", 5, None),
        ("", 5, None),
        ("1.5", 5, None),
        ("many", 5, None),
        ("%", 5, None),
        ("1e2", 5, None),
    ],
)
def test_a_share_is_a_number_or_a_percentage(text: str, total: int, count: int | None) -> None:
    if count is None:
        with pytest.raises(ValueError, match="neither a number nor a percentage"):
            fleet.share(text, total)
    else:
        assert fleet.share(text, total) == count


@pytest.mark.parametrize(
    ("total", "sizes", "counts"),
    [
        (5, [], [5]),
        (5, ["2"], [2, 2, 1]),
        (7, ["1", "2"], [1, 2, 2, 2]),
        (10, ["10%", "50%"], [1, 5, 4]),
        (3, ["10%"], [1, 1, 1]),
        (3, ["9"], [3]),
        (3, ["0"], [1, 1, 1]),
        (0, ["2"], []),
        (0, [], []),
    ],
)
def test_batches_have_their_sizes(total: int, sizes: list[str], counts: list[int]) -> None:
    names = [f"t{number}" for number in range(total)]
    found = fleet.batches(names, sizes)
    assert [len(batch) for batch in found] == counts and [name for batch in found for name in batch] == names


def test_what_holds_many_targets_is_told_once() -> None:
    """Schemas of one database are held by it; what only the project can find is not known; nothing of a URL is told."""
    listed = [
        {"name": "a", "url": "postgresql://u:secret@one/shop", "schema": "a"},
        {"name": "b", "url": "postgresql://u:secret@one/shop", "schema": "b"},
        {"name": "c", "url": "postgresql://u:secret@two/shop"},
        {"name": "d", "schema": "d"},
        {"name": "e", "environment": {"TENANT": "e"}},
        {"name": "f", "x_arguments": ["tenant=f"]},
    ]
    assert fleet.places(listed) == [
        {"name": "a", "targets": ["a", "b"], "known": True},
        {"name": "c", "targets": ["c"], "known": True},
        {"name": "d", "targets": ["d"], "known": True},
        {"name": "e", "targets": ["e"], "known": False},
        {"name": "f", "targets": ["f"], "known": False},
    ]
    found = [{"name": name, "schema": None, "database": name, "file": None} for name in ("acme", "globex")]
    told = fleet_places(listed, "postgresql://u:secret@three:5433/all")
    assert [(place["database"], place["server"]) for place in told] == [
        ("shop", "one:5432"),
        ("shop", "two:5432"),
        ("all", "three:5433"),
        ("", ""),
        ("", ""),
    ]
    odd = [{"name": "odd", "url": "none"}, {"name": "x", "file": "/srv/x.sqlite"}, *found]
    assert [place["database"] for place in fleet_places(odd)] == ["", "/srv/x.sqlite", "", ""]
    assert "secret" not in str(told)
    assert [place["targets"] for place in fleet.places(found)] == [["acme"], ["globex"]]
    assert fleet_url(found, "acme", "postgresql://u:secret@one:5433/postgres?sslmode=require") == (
        "postgresql://u:secret@one:5433/acme?sslmode=require"
    )
    assert fleet_url(listed, "c", "postgresql://u@one/shop") == "postgresql://u:secret@two/shop"
    assert fleet_url(listed, "d", "postgresql://u@one/shop") == "postgresql://u@one/shop" and fleet_url(listed, "e") == ""
    assert fleet_url([{"name": "x", "file": "/srv/x.sqlite"}], "x") == "sqlite:////srv/x.sqlite"


LABELS = {"a": ["eu"], "b": ["us", "first"], "c": [], "first": ["us"]}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], ()),
        (["c"], ("c",)),
        (["eu", "c"], ("a", "c")),
        (["us"], ("b", "first")),
        (["first"], ("b", "first")),
        (["asia"], "asia"),
        (["eu", "x", "y"], "x, y"),
    ],
)
def test_targets_are_chosen_by_name_and_label(wanted: list[str], found: Any) -> None:
    if isinstance(found, str):
        with pytest.raises(ValueError, match=f"no target has the name or the label {found}$"):
            fleet.chosen(LABELS, wanted)
    else:
        assert fleet.chosen(LABELS, wanted) == found


def pace(*waves: str, servers: dict[str, str] | None = None, **more: Any) -> Pace:
    """Each letter is a target."""
    names = "".join(waves)
    given = {"canary": False, "servers": servers or dict.fromkeys(names, "one"), "parallel": 2, "allowed": 0, **more}
    return Pace(tuple(tuple(wave) for wave in waves), **given)


def progress(running: str = "", ended: str = "", failed: str = "") -> Progress:
    return Progress(frozenset(running), frozenset(ended + failed), frozenset(failed))


TWO = {"a": "one", "b": "one", "c": "one", "d": "two", "e": "two"}
DUE: list[tuple[str, Pace, Progress, str]] = [
    ("as many as may run", pace("abcd"), progress(), "ab"),
    ("one for one that ended", pace("abcd"), progress("b", "a"), "c"),
    ("no more than may run", pace("abcd"), progress("ab"), ""),
    ("nothing is left", pace("ab"), progress("", "ab"), ""),
    ("more room than targets", pace("ab", parallel=9), progress(), "ab"),
    ("a batch waits for the one before", pace("ab", "cd"), progress("b", "a"), ""),
    ("then it begins", pace("ab", "cd"), progress("", "ab"), "cd"),
    ("an empty batch keeps nobody", pace("", "cd"), progress(), "cd"),
    ("each server has its limit", pace("abcde", servers=TWO, parallel=9, per_server=1), progress(), "ad"),
    ("and what runs there counts", pace("abcde", servers=TWO, parallel=9, per_server=2), progress("ad"), "be"),
    ("both limits hold", pace("abcde", servers=TWO, parallel=2, per_server=2), progress("a"), "b"),
    ("files have no server", pace("abc", servers=dict.fromkeys("abc", ""), parallel=3, per_server=1), progress(), "abc"),
    ("one failed and none may", pace("abcd"), progress("b", "", "a"), ""),
    ("one failed and one may", pace("abcd", allowed=1), progress("b", "", "a"), "c"),
    ("two failed and one may", pace("abcd", allowed=1), progress("", "", "ab"), ""),
    ("all may fail", pace("abcd", allowed=4), progress("", "", "abc"), "d"),
    ("no limit at all", pace("abcd", allowed=None), progress("", "", "abc"), "d"),
    ("a canary failed, whatever may fail", pace("a", "bcd", canary=True, allowed=4), progress("", "", "a"), ""),
    ("a canary failed while another one runs", pace("abc", "d", canary=True, allowed=4), progress("b", "", "a"), ""),
    ("the canary is well", pace("a", "bcd", canary=True, allowed=4), progress("", "a"), "bc"),
    ("another one than the canary failed", pace("a", "bcd", canary=True, allowed=1), progress("", "a", "b"), "cd"),
]


@pytest.mark.parametrize(("given", "done", "names"), [case[1:] for case in DUE], ids=[case[0] for case in DUE])
def test_who_is_due(given: Pace, done: Progress, names: str) -> None:
    assert "".join(fleet.due(given, done)) == names


@pytest.mark.parametrize(
    ("given", "done", "why"),
    [
        (pace("ab"), progress("", "a"), None),
        (pace("ab"), progress("", "", "a"), "max_failures"),
        (pace("a", "b", canary=True, allowed=9), progress("", "", "a"), "canary"),
        (pace("a", "b", canary=True, allowed=None), progress("", "", "a"), None),
    ],
)
def test_why_no_further_one_is_begun(given: Pace, done: Progress, why: str | None) -> None:
    assert fleet.stopped(given, done) == why


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_in_whatever_order_they_end_each_is_begun_once_and_never_too_many_at_a_time(order: tuple[str, ...]) -> None:
    given = pace("a", "bcdefg", canary=True, parallel=3, servers={**TWO, "f": "three", "g": "three"}, per_server=1, allowed=0)
    begun: list[str] = []
    running: list[str] = []
    ended: set[str] = set()
    while True:
        due = fleet.due(given, Progress(frozenset(running), frozenset(ended)))
        begun, running = [*begun, *due], [*running, *due]
        assert len(running) <= 3 and len({given.servers[name] for name in running}) == len(running)
        if not running:
            break
        assert running == ["a"] or "a" in ended
        running.sort(key=lambda name: ("".join(order) + "defg").index(name))
        ended.add(running.pop(0))
    assert sorted(begun) == list("abcdefg")


@pytest.mark.parametrize(
    ("texts", "server"),
    [
        (["postgresql+psycopg://u:p@db.example.com:5433/shop"], "db.example.com:5433"),
        (["mysql://u:a@b@h/shop"], "h"),
        (["yes", "postgresql://db/shop?sslmode=require"], "db"),
        (["sqlite:////srv/a.sqlite"], ""),
        (["yes"], "unknown"),
        ([], "unknown"),
        (["postgresql:///shop?host=/run"], "local"),
        (["postgresql://u:p@[::1]:5432/shop"], "[::1]:5432"),
        (["postgresql://u:p%40x@h"], "h"),
    ],
)
def test_the_server_of_a_target_has_no_secret(texts: list[str], server: str) -> None:
    assert fleet.server_of(texts) == server


@pytest.mark.parametrize(
    ("url", "schema", "expected"),
    [
        ("postgresql://h/d", "acme", "postgresql://h/d?options=-csearch_path%3D%22acme%22"),
        (
            "postgresql+psycopg://h/d?sslmode=require",
            "a b",
            "postgresql+psycopg://h/d?sslmode=require&options=-csearch_path%3D%22a%5C%20b%22",
        ),
        ("postgresql://h/d?options=-cx%3D1", 'q"', "postgresql://h/d?options=-cx%3D1%20-csearch_path%3D%22q%22%22%22"),
        ("postgresql+asyncpg://h/d", "acme", None),
        ("mysql://h/d", "acme", None),
        (None, "acme", None),
    ],
)
def test_a_search_path_becomes_a_part_of_the_url(url: str | None, schema: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(_errors.MigrationError) as caught:
            targets.with_search_path(url, schema)
        assert caught.value.kind == "options_invalid"
    else:
        assert targets.with_search_path(url, schema) == expected


def params(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    options = spec.fleet_spec().options
    filled = [
        {**{name: option.get("default") for name, option in options["targets"]["options"].items()}, **target} for target in given
    ]
    return {**{name: option.get("default") for name, option in options.items()}, "state": "upgraded", "targets": filled, **more}


def test_a_target_has_what_the_module_says_and_its_own() -> None:
    found = targets.targets_of(
        params(
            {"name": "a", "environment": {"TENANT": "a"}, "x_arguments": ["x=1"], "schema": "sa", "labels": ["eu"]},
            {"name": "b", "url": "postgresql://u:geheim-b@two:5/b"},
            url="postgresql://u:geheim-a@one/all",
            environment={"TENANT": "none", "LEVEL": "1"},
            x_arguments=["y=2"],
            url_variable="DATABASE_URL",
            url_x_argument="url",
            schema_variable="SCHEMA",
            schema_x_argument="tenant",
            canary=["eu"],
        )
    )
    first, second = found["a"], found["b"]
    assert first.params["environment"] == {
        "TENANT": "a",
        "LEVEL": "1",
        "SCHEMA": "sa",
        "DATABASE_URL": "postgresql://u:geheim-a@one/all",
    }
    assert first.params["x_arguments"] == ["y=2", "x=1", "tenant=sa", "url=postgresql://u:geheim-a@one/all"]
    assert second.params["url"] == "postgresql://u:geheim-b@two:5/b" and second.params["environment"]["TENANT"] == "none"
    assert (first.server, second.server) == ("one", "two:5") and (first.entry["canary"], second.entry["canary"]) == (True, False)
    assert "geheim" not in repr([target.entry for target in found.values()])
    assert {target.params["revision"] for target in found.values()} == {"head"}


PG = "postgresql://u@h/d"


@pytest.mark.parametrize(
    ("given", "more", "told"),
    [
        ([{"name": "a"}, {"name": "a"}], {}, "called a"),
        ([{"name": "  "}], {}, "printable"),
        ([{"name": "a\nb"}], {}, "printable"),
        ([{"name": "a", "url": ""}], {"url": "sqlite:///all"}, "The url of the target a is empty"),
        ([{"name": "a", "schema": " "}], {"schema_x_argument": "s"}, "The schema of the target a is empty"),
        ([{"name": "a", "url": "sqlite:///x"}, {"name": "b", "url": "sqlite:///x"}], {}, "a and b are the same"),
        (
            [{"name": "a", "schema": "s"}, {"name": "b", "schema": "s"}],
            {"schema_search_path": True, "url": PG},
            "a and b are the same",
        ),
        ([{"name": "a"}], {"canary": ["z"]}, "label z"),
        ([{"name": "a", "schema": "s"}], {}, "schema_x_argument"),
        ([{"name": "a"}], {"parallel": 0}, "parallel is 0"),
        ([{"name": "a"}], {"parallel_per_server": -1}, "parallel_per_server is -1"),
        ([{"name": "a"}], {"max_failures": "x"}, "'x' is neither"),
        ([{"name": "a"}], {"batches": ["1", "200%"]}, "'200%' is neither"),
    ],
)
def test_options_that_can_not_be_used_are_refused(given: list[dict[str, Any]], more: dict[str, Any], told: str) -> None:
    with pytest.raises(_errors.MigrationError) as caught:
        asked = params(*given, **more)
        targets.pace_of(asked, targets.targets_of(asked), False)
    assert caught.value.kind == "options_invalid" and told in f"{caught.value.msg} {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("postgresql://u:p%40@h:5/old?sslmode=require", "new", "postgresql://u:p%40@h:5/new?sslmode=require"),
        ("postgresql://u:p/q@h/old", "new", "postgresql://u:p/q@h/new"),
        ("mysql://h", "new one", "mysql://h/new one"),
        ("postgresql:///old?host=/run", "new", "postgresql:///new?host=/run"),
        ("postgresql://h/old", "a?b", None),
        ("postgresql://h/old", "a/b", None),
    ],
)
def test_a_url_gets_another_database(url: str, name: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(_errors.MigrationError) as caught:
            query.with_database(url, name)
        assert caught.value.kind == "name_invalid"
    else:
        assert query.with_database(url, name) == expected


def test_what_was_found_has_the_url_of_the_module_before_that_of_the_query() -> None:
    found = [{"name": "a", "schema": "sa", "labels": ["x"]}, {"name": "b", "database": "bb", "labels": []}]
    asked = {"url": "postgresql://owner@h/shop", "query": {"url": "postgresql://looker@h/postgres"}}
    urls = [item["url"] for item in query.as_targets(found, asked)]
    assert urls == ["postgresql://owner@h/shop", "postgresql://owner@h/bb"]
    urls = [item["url"] for item in query.as_targets(found, {**asked, "url": None})]
    assert urls == ["postgresql://looker@h/postgres", "postgresql://looker@h/bb"]
    assert query.as_targets([{"name": "c", "file": "/srv/c.sqlite", "labels": []}], asked)[0]["url"] == "sqlite:////srv/c.sqlite"


def test_a_defect_in_one_of_the_threads_is_not_waited_for() -> None:
    found = targets.targets_of(params({"name": "a"}, {"name": "b", "url": "sqlite:///b"}))
    fleet_run = run.Fleet(params(), found, pace("ab"), None, False, lambda message: None)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        fleet_run.each(["a", "b"], lambda target: 1 / 0, lambda name, result: ())


def test_no_target_at_all_is_refused() -> None:
    with pytest.raises(_errors.MigrationError, match="targets is empty"):
        call.run_fleet({**params(), "query": None, "python": None}, True, False, print)


def entry(name: str, outcome: str = "changed", **more: Any) -> dict[str, Any]:
    moved = {"before": ["r1"], "after": ["r2"], "planned": [{"revision": "r2", "message": "two"}], "state": "to_revision"}
    blank = fleet_outcome.blank(name, [], "one", None, False)
    if outcome == "failed":
        failure = {**fleet_outcome.NO_FAILURE, "kind": "migration_failed", "message": f"no {name}."}
        moved = {**moved, "after": ["r1"], "state": "from_revision", "failure": failure, "pending": ["r2"]}
    return blank if outcome == "not_begun" else {**blank, **moved, "outcome": outcome, "changed": outcome == "changed", **more}


def test_targets_are_counted_and_grouped() -> None:
    entries = [entry("a"), entry("x", "failed"), entry("b"), entry("c", "unchanged", planned=[]), entry("z", "not_begun")]
    assert fleet_outcome.counted(entries) == {"targets": 5, "changed": 2, "unchanged": 1, "failed": 1, "not_begun": 1}
    groups = [
        (group["at"], group["state"], group["pending"], group["count"], group["targets"])
        for group in fleet_outcome.grouped(entries)
    ]
    assert groups == [
        (["r2"], "to_revision", [], 3, ["a", "b", "c"]),
        (["r1"], "from_revision", ["r2"], 1, ["x"]),
        (None, None, [], 1, ["z"]),
    ]


def test_the_sql_is_shown_once_for_all_that_make_the_same_move() -> None:
    names = [f"t{number}" for number in range(7)]
    entries = [entry(name, after=["r1"]) for name in names] + [entry("other", before=[], after=[]), entry("u", planned=[])]
    planned = {"t0": [{"revision": "r2", "message": "two", "sql": "ALTER 1", "previewable": True, "reason": None}]}
    found = fleet_outcome.diffs(entries, planned, True)
    assert [item.get("before_header", item.get("prepared")) for item in found] == [
        "t0, t1, t2, t3, t4 and 2 more (revision)",
        "-- r2 two\nALTER 1\n",
        "other (revision)",
        "-- r2 two\n-- not previewable: no SQL is rendered for it\n",
    ]
    done = fleet_outcome.diffs([entry("a"), entry("b"), entry("x", "failed")], {}, False)
    assert done == [{"before_header": "a, b (revision)", "after_header": "a, b (revision)", "before": "r1\n", "after": "r2\n"}]


def test_the_sentence_names_the_first_failures_and_why_others_were_not_begun() -> None:
    entries = [entry("a"), *(entry(f"x{number}", "failed") for number in range(6)), entry("z", "not_begun")]
    text = fleet_outcome.sentence(entries, "max_failures")
    assert (
        text.startswith("6 of 8 targets failed: x0 (migration_failed): no x0.; x1") and "x5" not in text and "; and 1 more." in text
    )
    assert text.endswith("1 were not begun, because more have failed than max_failures allows: z.")
    assert "canary" in fleet_outcome.sentence(entries, "canary") and "cut off" in fleet_outcome.sentence(entries, "worker_died")


@pytest.mark.parametrize(
    "text", ["FATAL: sorry, too many clients already", "(1040, 'Too many connections')", "remaining connection slots are"]
)
def test_a_server_without_connections_is_told_as_that(text: str) -> None:
    found = fleet_outcome.migrated(entry("a", "not_begun"), {}, {"kind": "connection_failed", "message": text, "hint": "?"}, False)
    assert found["failure"]["hint"] == fleet_outcome.FULL_HINT and found["state"] == "unknown" and found["outcome"] == "failed"


def test_the_end_of_each_target_is_a_line() -> None:
    entries = [entry("a"), entry("x", "failed"), entry("c", "unchanged", after=["r1"], canary=True), entry("z", "not_begun")]
    events = [{"event": "target_end", "number": 1, "total": 4, "entry": entries[0]}]
    assert list(_follow.lines(events)) == ["[1/4] a: r1 → r2"]
    assert list(_follow.lines(_follow.unseen({"targets": entries}, events))) == [
        "[2/4] c: nothing to do",
        "[3/4] x failed (migration_failed): no x.",
    ]
    read = [entry("a", "unchanged", state="behind", after=[], pending=["r1", "r2"]), entry("b", "unchanged", state="at_target")]
    assert list(_follow.lines(_follow.unseen({"targets": read}, []))) == [
        "[1/2] a: base, behind, 2 pending",
        "[2/2] b: r2, at target",
    ]


def test_the_story_of_a_run_calls_it_by_what_it_does() -> None:
    name = "dbops.alembic.alembic_fleet"
    states = ("upgraded", "downgraded", "stamped", "current")
    verbs = [_story_words.deed(name, {"state": state}).split()[0] for state in states]
    assert verbs == ["Upgrade", "Downgrade", "Stamp", "Read"]
    counts = fleet_outcome.counted([entry("a"), entry("x", "failed"), entry("z", "not_begun")])
    assert _story_words.told(name, {"counts": counts}) == "1 changed, 1 failed, 1 not begun" and not _story_words.told(name, {})
