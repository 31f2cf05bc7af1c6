# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments as the role hands them to the filter deployment_outcome: one of each kind that a report has to show."""

from __future__ import annotations

from typing import Any

from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import kind_line

BEGAN = 1_795_902_265.0  # 2026-11-28T21:44:25Z
LONG = "shop-worker-with-a-name-that-somebody-generated.region-1.internal.example.com"
DATABASE = {
    "dialect": "postgresql",
    "database": "shop",
    "host": "db1.example.com",
    "port": 5432,
    "user": "shop",
    "server_version": "16.4",
}
LOG = "The end of its log:\n" + "\n".join(f"12:00:{second:02d} ERROR column discount does not exist" for second in range(30))
UNWELL = f"The application is not healthy: /health answered 500 and not 200.\n{LOG}\n{kind_line('unhealthy')}"
DUPLICATE = (
    'Revision b2 (unique names) failed: UniqueViolation: could not create unique index "customers_name_key"\n'
    "DETAIL:  Key (name)=(Bela Berg) is duplicated (/srv/shop/releases/1.4/versions/b2.py:13).\n" + kind_line("migration_failed")
)


def marks(*steps: tuple[str, str, float]) -> list[dict[str, Any]]:
    return [{"pass": name, "step": step, "at": BEGAN + after} for name, step, after in steps]


def revision(name: str, message: str, **more: Any) -> dict[str, Any]:
    return {"revision": name, "message": message, "path": f"/srv/shop/releases/1.4/versions/{name}.py", **more}


def applied(name: str, message: str, *sql: str) -> dict[str, Any]:
    return revision(name, message, seconds=0.4, sql=list(sql))


def rehearsed(name: str, message: str, *statements: tuple[str, dict[str, str]]) -> dict[str, Any]:
    shown = [{"sql": sql, "locks": locks, "rewritten": [], "scanned": []} for sql, locks in statements]
    return revision(name, message, statements=shown, findings=[])


A1 = "ALTER TABLE orders ADD COLUMN currency VARCHAR(3) DEFAULT 'EUR' NOT NULL"
B2 = "ALTER TABLE customers ADD CONSTRAINT customers_name_key UNIQUE (name)"
PENDING = [revision("a1", "orders have a currency"), revision("b2", "unique names")]
REHEARSED = [
    rehearsed("a1", "orders have a currency", (A1, {"public.orders": "AccessExclusive"})),
    rehearsed("b2", "unique names", (B2, {"public.customers": "AccessExclusive"})),
]
APPLIED = [applied("a1", "orders have a currency", A1), applied("b2", "unique names", B2)]
THERE = (("first", "stop", 0.0), ("first", "database", 2.0), ("first", "upgrading", 5.0))


def result(outcome: str, hosts: tuple[str, ...] = ("shop1", "shop2"), **more: Any) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "message": "",
        "kind": "maintenance_window",
        "application": "shop",
        "id": "20261128T214424Z-1.4",
        "from_release": "1.3",
        "to_release": "1.4",
        "from_revision": ["00"],
        "to_revision": ["b2"],
        "pending": PENDING,
        "applied": [],
        "hosts": {host: {"from_release": "1.3", "to_release": "1.4"} for host in hosts},
        "unasked_hosts": [],
        "doubted_hosts": {},
        "by": {"user": "kim", "job": "", "controller": "deploy.example.com", "migrator": hosts[0]},
        "database": DATABASE,
        "way_back": "snapshot",
        "snapshot": "shop__snapshot_20261128t214424z",
        "route": "",
        "plan": {},
        "batches": [],
        "archive": {},
        "failure": {},
        "decision": {},
        "next": [],
        "warnings": [],
        "record": "/var/lib/dbops/shop/20261128T214424Z-1.4.json",
        "report": "/var/lib/dbops/shop/shop.html",
        **more,
    }


def known(reached: dict[str, list[str]], *steps: tuple[str, str, float], **more: Any) -> dict[str, Any]:
    last = steps[-1][2] if steps else 0.0
    return {
        "marks": marks(*steps),
        "now": BEGAN + last + 1.5,
        "recorded": [],
        "created_at": "2026-11-28T21:44:24Z",
        "step": "archiving",
        "recovering": False,
        "decision": {"action": "finish", "database": "upgrade", "code": "to"},
        "reached": reached,
        "failed": {},
        "managers": dict.fromkeys(reached, "systemd"),
        "batches_begun": 0,
        "stopped_nothing": False,
        "found": None,
        "rows_written": None,
        "rows_given_up": None,
        "baseline": False,
        "rows_before": {"public.orders": {"rows": 1200000}, "public.customers": {"rows": 300}},
        "rows_after": {},
        "rehearsed": REHEARSED,
        **more,
    }


def took(*steps: str, hosts: tuple[str, ...] = ("shop1", "shop2")) -> dict[str, list[str]]:
    return {host: list(steps) for host in hosts}


ALL = ("first stop", "first start", "first undrain")
AFTER = {"public.orders": {"rows": 1200000, "exact": False}, "public.customers": {"rows": 300}, "public.payments": {"rows": 218}}
ARCHIVE = {
    "path": "/var/backups/shop/shop-20261128T214424Z-1.4.pgc",
    "bytes": 734003200,
    "sha256": "f8b5090417bf494e6ee08c4d14e7ac4c2386845ad0c73f2c8893796684bae12a",
    "created_at": "2026-11-28T21:44:46Z",
    "proof": {"proved": True, "at": "2026-11-28T21:45:00Z", "message": "restored and compared: 3 tables are the same"},
}
SERVED = (*THERE, ("first", "starting", 8.0), ("first", "start", 8.1), ("first", "undrain", 11.5), ("first", "done", 12.3))
PUT_BACK = (
    ("second", "stop", 20.0),
    ("second", "restoring", 22.0),
    ("second", "restarting", 24.9),
    ("second", "start", 25.0),
    ("second", "undrain", 27.5),
    ("second", "done", 28.0),
)


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        result("finished", applied=APPLIED, archive=ARCHIVE),
        known(took(*ALL), *SERVED, ("first", "archiving", 13.0), rows_after=AFTER, baseline=True),
    )


def failed() -> tuple[dict[str, Any], dict[str, Any]]:
    """The second revision fails, and the snapshot is put back."""
    decision = {
        "action": "revert",
        "database": "restore",
        "source": "snapshot",
        "code": "from",
        "reason": "The database is at a1, between the from-revision and the to-revision.",
    }
    return (
        result("reverted", failure={"step": "upgrading", "revision": "b2", "message": DUPLICATE}, decision=decision),
        known(
            took("first stop", "second stop", "second start", "second undrain"),
            *THERE,
            ("first", "start", 6.0),
            ("first", "done", 6.4),
            ("first", "upgrading", 6.9),
            *PUT_BACK,
            step="restarting",
            decision=decision,
            found=["00"],
        ),
    )


def unhealthy() -> tuple[dict[str, Any], dict[str, Any]]:
    """The new release does not come up, on both hosts for one reason, and rows that somebody wrote are given up."""
    made, more = failed()
    failures = {host: {"pass": "first", "step": "start", "serves": False, "message": UNWELL} for host in ("shop1", "shop2")}
    failure = {"step": "starting", "hosts": ["shop1", "shop2"], "message": f"shop1, shop2: {UNWELL}"}
    decision = {**made["decision"], "reason": "The upgraded database is swapped for the backup from before the upgrade."}
    tried = (("first", "starting", 8.0), ("first", "start", 8.1), ("first", "undrain", 18.0), ("first", "done", 18.2))
    return (
        {**made, "failure": failure, "applied": APPLIED, "decision": decision},
        {
            **more,
            "marks": marks(*THERE, *tried, *PUT_BACK),
            "decision": decision,
            "failed": failures,
            "baseline": True,
            "rows_written": 3,
            "rows_after": AFTER,
        },
    )


def halted() -> tuple[dict[str, Any], dict[str, Any]]:
    """Going back would give up rows: one host is stopped, one did not come up, one said nothing more."""
    hosts = ("shop1", "shop2", LONG)
    reason = "12 rows were written since the upgrade, and going back would lose them."
    command = f"ansible-playbook -i /etc/ansible/{LONG}.yml dbops.alembic.recover -e deployment_rows_given_up=12"
    return (
        result(
            "halted",
            hosts=hosts,
            applied=APPLIED,
            failure={"step": "starting", "hosts": ["shop2", LONG], "message": f"shop2: {UNWELL}\n{LONG}: it could not be reached"},
            decision={"action": "halt", "database": "keep", "reason": reason},
            next=[
                {"command": command, "does": "gives up 12 rows, puts the snapshot back and starts release 1.3."},
                {"command": "", "does": f"Make {LONG} reachable."},
            ],
            warnings=["The hook after_failure failed on shop1: no such file."],
        ),
        known(
            {"shop1": ["first stop"], "shop2": ["first stop"], LONG: []},
            *THERE,
            ("first", "start", 8.0),
            ("first", "undrain", 40.0),
            ("first", "done", 40.2),
            step="starting",
            decision={"action": "halt", "database": "keep", "code": ""},
            failed={"shop2": {"pass": "first", "step": "start", "serves": False, "message": UNWELL}},
            found=["b2"],
            rows_written=12,
            baseline=True,
            rows_after=AFTER,
        ),
    )


def rolling() -> tuple[dict[str, Any], dict[str, Any]]:
    hosts = ("shop1", "shop2", "shop3")
    plan = {"route": "rolling", "reason": "The running code can go on.", "accepted": ["C02"], "after": ["b2"], "contract": "later"}
    return (
        result(
            "finished",
            hosts=hosts,
            kind="rolling",
            to_revision=["a1"],
            applied=APPLIED[:1],
            way_back="code only",
            snapshot="",
            route="rolling",
            plan=plan,
            batches=[["shop1"], ["shop2", "shop3"]],
        ),
        known(
            took("rolling roll", hosts=hosts),
            ("rolling", "expanding", 0.0),
            ("rolling", "rolling", 3.0),
            ("rolling", "rolling", 3.8),
            ("rolling", "rolling", 9.0),
            ("rolling", "done", 18.0),
            ("rolling", "archiving", 19.0),
            batches_begun=2,
        ),
    )


def rolled_back() -> tuple[dict[str, Any], dict[str, Any]]:
    """The second batch fails: the first one gets its former release back, and what the expand part added stays."""
    made, more = rolling()
    failures = {"shop2": {"pass": "rolling", "step": "roll", "serves": False, "message": UNWELL}}
    decision = {"action": "revert", "database": "keep", "code": "from", "reason": "The former release runs on it."}
    steps = [*more["marks"][:5], *marks(("returning", "returning", 20.0), ("returning", "done", 29.0))]
    reached = {
        "shop1": ["rolling roll", "returning roll"],
        "shop2": ["returning roll"],
        "shop3": ["rolling roll", "returning roll"],
    }
    failure = {"step": "rolling", "hosts": ["shop2"], "message": f"shop2: {UNWELL}"}
    return (
        {**made, "outcome": "reverted", "failure": failure, "decision": decision},
        {
            **more,
            "marks": steps,
            "now": BEGAN + 30.5,
            "reached": reached,
            "failed": failures,
            "found": ["a1"],
            "decision": decision,
            "step": "returning",
        },
    )


def kubernetes() -> tuple[dict[str, Any], dict[str, Any]]:
    """A window in a cluster, with its record in a ConfigMap."""
    made, more = good()
    hosts = ("web", "worker")
    ends = {
        host: {"from_release": "registry.example.com/shop:1.3", "to_release": "registry.example.com/shop:1.4"} for host in hosts
    }
    by = {"user": "deployer", "job": "4711", "controller": "awx-job-4711", "migrator": "web"}
    archive = {**ARCHIVE, "path": "claim shop-backups: shop-20261128T214424Z-1.4.pgc"}
    release = {"from_release": "registry.example.com/shop:1.3", "to_release": "registry.example.com/shop:1.4"}
    return (
        {**made, **release, "hosts": ends, "by": by, "archive": archive, "record": "configmap shop-deployments/x.json"},
        {**more, "reached": took(*ALL, hosts=hosts), "managers": dict.fromkeys(hosts, "kubernetes")},
    )


def hundred() -> tuple[dict[str, Any], dict[str, Any]]:
    """A hundred revisions and forty tables, of names that nobody chose to be short."""
    made, more = good()
    names = [f"{number:012x}" for number in range(100)]
    text = "a revision with a message that goes on for a while, as those of generated ones do"
    ran = [applied(name, text, f"ALTER TABLE table_{number} ADD COLUMN note_{number} TEXT") for number, name in enumerate(names)]
    tables = {f"public.a_table_with_a_long_name_{number}": {"rows": number * 1000} for number in range(40)}
    after = {name: {"rows": table["rows"] + (7 if number == 30 else 0)} for number, (name, table) in enumerate(tables.items())}
    return (
        {**made, "pending": [revision(name, text) for name in names], "applied": ran, "to_revision": names[-1:]},
        {**more, "rehearsed": [], "rows_before": tables, "rows_after": after},
    )


def many() -> tuple[dict[str, Any], dict[str, Any]]:
    """Five hundred databases, of which twenty failed in their data and went back by themselves."""
    made, more = good()
    names = [f"customer_{number:03}" for number in range(500)]
    behind = names[::25]
    lines = [
        {
            "count": 480,
            "at": ["b2"],
            "state": "to_revision",
            "pending": [],
            "targets": [name for name in names if name not in behind],
            "remark": "",
        }
    ]
    lines += [
        {
            "count": 1,
            "at": ["00"],
            "state": "from_revision",
            "pending": ["a1", "b2"],
            "targets": [name],
            "remark": f"{DUPLICATE}\nIt has gone back to 00.",
        }
        for name in behind
    ]
    fleet = {"targets": 500, "on_failure": "one", "counts": {"targets": 500}, "behind": behind}
    warnings = ["20 of 500 databases are not at the release: customer_000 (migration_failed): …; and 15 more."]
    return ({**made, "database": {}, "fleet": fleet, "databases": lines, "warnings": warnings, "snapshot": ""}, more)


def recovered() -> tuple[dict[str, Any], dict[str, Any]]:
    """A run that was cut off in the upgrade, put back by another one an hour later."""
    made, more = failed()
    recorded = [
        {"step": "stopping", "at": "2026-11-28T20:40:00Z"},
        {"step": "upgrading", "at": "2026-11-28T20:40:09Z"},
        {"step": "taken_over", "at": "2026-11-28T21:44:20Z"},
    ]
    steps = (
        ("observe", "stop", 0.0),
        ("first", "stop", 3.0),
        ("first", "restoring", 5.0),
        ("first", "start", 8.0),
        ("first", "done", 11.0),
    )
    return (
        {**made, "failure": {}, "pending": []},
        {
            **more,
            "marks": marks(*steps),
            "recovering": True,
            "recorded": recorded,
            "created_at": "2026-11-28T20:40:00Z",
            "reached": took("observe stop", *ALL),
        },
    )


CASES = (good, failed, unhealthy, halted, rolling, rolled_back, kubernetes, hundred, many, recovered)
