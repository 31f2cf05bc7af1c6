# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""R01–R06: what undoing a revision does, and what can not be undone."""

from __future__ import annotations

from typing import Any, Iterator

from .._core.plan import Finding, Reversal
from . import blocking
from .columns import change_of_type
from .seen import Facts, Seen, plain

SECTION = "The way back"


_ALL = "Undo in downgrade() all that upgrade() does, types and functions too."
#: So much is shown of what a downgrade lacks.
_SHOWN = 5
#: What goes first takes nothing with it.
_ORDER = ("rule", "trigger", "policy", "index", "constraint", "column", "relation", "function", "type", "schema", "extension")
_KINDS = {"r": "TABLE", "p": "TABLE", "f": "FOREIGN TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE"}


def _undone(seen: Seen, residue: list[Facts]) -> str:
    """Return what a downgrade lacks, as far as the upgrade's changes say it: PostgreSQL."""
    changes = [change for change in seen.facts["changes"] if seen.dialect == "postgresql"]
    gone = {item["name"] for item in residue if item["kind"] == "relation"}
    texts = []
    for item in sorted(residue, key=lambda item: _ORDER.index(item["kind"]) if item["kind"] in _ORDER else -1):
        side = "after" if item["what"] == "left over" else "before"
        entries = (change[side] for change in changes if change["kind"] == item["kind"])
        entry = next((each for each in entries if each and each["name"] == item["name"]), None)
        if entry is None or item["what"] == "different" or entry.get("table") in gone or entry.get("owned"):
            continue  # with a table goes what it has
        texts.append(_drop(item["kind"], entry) if side == "after" else _make(item["kind"], entry))
    shown = "; ".join(f"op.execute({text!r})" for text in filter(None, texts[:_SHOWN]))
    return f"{_ALL} Here: {shown}." if shown else _ALL


def _drop(kind: str, entry: Facts) -> str | None:
    name, table = plain(entry["name"]), plain(str(entry.get("table")))
    own = entry["name"].rpartition(".")[2]
    if kind == "relation":
        return f"DROP {_KINDS[entry['relkind']]} {name}"
    if kind == "index":
        return None if entry["constraint"] else f"DROP INDEX {name}"
    if kind in ("column", "constraint"):
        return f"ALTER TABLE {table} DROP {kind.upper()} {own}"
    if kind in ("trigger", "policy", "rule"):
        return f"DROP {kind.upper()} {own} ON {table}"
    if kind == "function":
        what = "PROCEDURE" if entry["procedure"] else "FUNCTION"
        return f"DROP {what} {name.partition('(')[0]}({entry['arguments']})"
    return f"DROP {'DOMAIN' if entry.get('typtype') == 'd' else kind.upper()} {name}"


def _make(kind: str, entry: Facts) -> str | None:
    table, own = plain(str(entry.get("table"))), entry["name"].rpartition(".")[2]
    if kind == "constraint":
        return f"ALTER TABLE {table} ADD CONSTRAINT {own} {entry['definition']}"
    if kind == "column" and entry["relkind"] in "rpf" and not entry["generated"] and not entry["identity"]:
        default = f" DEFAULT {entry['default']}" if entry["default"] is not None else ""
        return f"ALTER TABLE {table} ADD COLUMN {own} {entry['type']}{default}"
    if kind == "index" and entry["constraint"]:
        return None
    return str(entry["definition"]) if kind in ("index", "trigger", "rule") else None


def check(seen: Seen) -> Iterator[Finding]:
    back = seen.downgrade
    if back is None:
        return
    error, again = back.facts["error"], back.facts["again"]
    if error:
        message = f"The downgrade of {seen.revision} fails: {_told(error)}."
        yield _finding("R01", seen.revision, message, "Write a downgrade, or expect that the way back is a backup.")
        return
    if back.facts["residue"]:
        shown = "; ".join(f"{item['kind']} {plain(item['name'])} is {item['what']}" for item in back.facts["residue"][:5])
        message = f"The downgrade of {seen.revision} does not bring the schema back: {shown}."
        yield _finding("R02", seen.revision, message, _undone(seen, back.facts["residue"]))
    if again:
        message = f"After its downgrade {seen.revision} can not be applied again: {_told(again)}."
        yield _finding("R03", seen.revision, message, _ALL)
    for finding in blocking.check(back):
        message = f"The downgrade of {seen.revision} blocks. {finding.message}"
        yield Finding("R04", "irreversible", finding.target, message, finding.fix, SECTION, lock=finding.lock, rows=finding.rows)
    for item in discards(seen):
        message = f"The downgrade of {seen.revision} drops {plain(item['object'])} with all that was written to it since."
        yield _finding("R05", item["object"], message, "Export it before going back, once the new code has written to it.")
    for item in losses(seen):
        message = f"No downgrade brings back what {seen.revision} does to {plain(item['object'])}: {item['how']}."
        yield Finding("R06", "irreversible", item["object"], message, "Have a backup.", SECTION, rows=item["rows"])


def _finding(rule: str, target: str, message: str, fix: str) -> Finding:
    return Finding(rule, "irreversible", target, message, fix, SECTION)


def _told(error: Facts) -> str:
    return str(error["message"]).splitlines()[0].rstrip(".")


def discards(seen: Seen) -> list[dict[str, Any]]:
    """Return what the upgrade adds and the downgrade drops: columns of tables that were there, and new tables."""
    back = seen.downgrade
    if back is None or back.facts["error"]:
        return []
    found = []
    new = {item["after"]["oid"] for item in seen.facts["changes"] if item["kind"] == "relation" and item["before"] is None}
    # by name: where revisions above it were undone and applied again, it may have been made anew
    dropped = {(item["kind"], item["before"]["name"]) for item in back.facts["changes"] if item["before"] and not item["after"]}
    for change in seen.facts["changes"]:
        entry = change["after"]
        if change["before"] is not None or entry is None or (change["kind"], entry["name"]) not in dropped:
            continue
        stored = change["kind"] in ("relation", "column") and entry["relkind"] in "rp" and not entry.get("generated")
        if stored and entry.get("relation") not in new:
            found.append({"kind": "table" if change["kind"] == "relation" else "column", "object": entry["name"], "rows": 0})
    return found


def losses(seen: Seen) -> list[dict[str, Any]]:
    """Return what the upgrade destroys or changes in rows that were there."""
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, how: str, rows: int | None) -> None:
        if rows != 0:
            found.setdefault(name, {"object": name, "how": how, "rows": rows})

    counted = {check["object"]: check["rows"] for check in seen.facts["checks"] if check["what"] == "data"}
    gone = {change["before"]["oid"] for change in seen.facts["changes"] if change["kind"] == "relation" and _dropped(change)}
    for change in seen.facts["changes"]:
        old, new = change["before"], change["after"]
        if old is None or change["pending"] or change["kind"] not in ("relation", "column") or old["relkind"] not in "rp":
            continue
        if change["kind"] == "relation" and _dropped(change):
            add(old["name"], "the table is dropped", _held(seen, old["oid"]))
        elif change["kind"] == "column" and old["relation"] not in gone and not old["generated"]:
            rows = counted.get(old["name"], _held(seen, old["relation"]))
            if _dropped(change):
                add(old["name"], "the column is dropped", rows)
            elif change_of_type(seen, old, new) not in ("same", "wider"):
                add(
                    old["name"], f"its values are converted from {_declared(old)} to {_declared(new)}", _held(seen, old["relation"])
                )
    for statement in seen.statements:
        changed = {*statement["procedural_writes"], *statement["touched"]}
        if statement["writes"] or statement["truncated"]:
            modes = ("RowExclusive", "AccessExclusive") if statement["truncated"] else ("RowExclusive",)
            changed |= {oid for oid, mode in statement["locks"].items() if mode in modes} | set(statement["written"])
        for oid in changed:
            add(seen.table(oid)["name"], "rows are written, changed or deleted", _held(seen, oid))
    return list(found.values())


def _declared(column: Facts) -> str:
    return str(column.get("declared") or column["type"])


def _dropped(change: Facts) -> bool:
    """Tell whether the object went with its rows, also when another one took its name."""
    return bool(change["before"] is not None and (change["after"] is None or change["remade"]))


def _held(seen: Seen, oid: Any) -> int | None:
    """Return how many rows the table has; 0 only when it really is empty."""
    table = seen.table(oid)
    return None if not table["rows"] and table["bytes"] > 0 else seen.rows(oid)


def proved(seen: Seen) -> Reversal:
    """Return what the rehearsal proved of the way back."""
    back = seen.downgrade
    if back is None:
        return Reversal()
    if back.facts["error"]:
        return Reversal(schema_restored=False, loses=tuple(losses(seen)))
    return Reversal(
        schema_restored=not back.facts["residue"],
        reapplies=back.facts["again"] is None,
        blocks=any(True for _finding in blocking.check(back)),
        discards=tuple(discards(seen)),
        loses=tuple(losses(seen)),
    )
