# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What findings come to: the phase of a revision, whether it can be undone, and the route of a deployment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping, Sequence

#: What a finding says of a revision, the gravest first.
CLASSES = ("fails", "unknown", "blocks", "breaks", "may_break", "irreversible", "not_transactional")
PHASES = ("expand", "contract", "blocking", "unknown")
ROUTES = ("rolling", "maintenance_window", "refuse")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a revision.

    :param rule: stable id such as "C02".
    :param kind: one of :data:`CLASSES`.
    :param target: the object, as "public.users.legacy".
    :param message: what the danger is.
    :param fix: how the same is reached safely.
    :param section: heading of the guide on zero-downtime migrations that says more.
    :param lock: strongest lock that is held meanwhile, as "AccessExclusive".
    :param rows: how many rows of the real database it is about, if that is known.
    :param allowed: the reason for which the revision allows it.
    """

    rule: str
    kind: str
    target: str
    message: str
    fix: str
    section: str = ""
    lock: str | None = None
    rows: int | None = None
    source: str = "rehearsal"
    allowed: str | None = None

    def as_result(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "class": self.kind,
            "object": self.target,
            "lock": self.lock,
            "rows": self.rows,
            "message": self.message,
            "fix": self.fix,
            "section": self.section,
            "source": self.source,
            "allowed": self.allowed,
        }


@dataclass(frozen=True)
class Declared:
    """What a revision's file says: its phase, ``RULE:object`` → reason of what it allows, and what is wrong with that."""

    phase: str | None = None
    allow: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reversal:
    """What the rehearsal of the downgrade proved. None is for what was not tried.

    :param discards: what the upgrade makes and the downgrade drops again, with what was written there since.
    :param loses: what the upgrade itself destroys or changes, so that no downgrade brings it back.
    """

    schema_restored: bool | None = None
    reapplies: bool | None = None
    blocks: bool | None = None
    discards: tuple[Mapping[str, Any], ...] = ()
    loses: tuple[Mapping[str, Any], ...] = ()

    @property
    def proved(self) -> bool:
        """A downgrade brings back schema and rows, as long as nobody has written to the new schema."""
        return bool(self.schema_restored and self.reapplies and not self.blocks and not self.loses)

    def as_result(self) -> dict[str, Any]:
        return {
            "schema_restored": self.schema_restored,
            "reapplies": self.reapplies,
            "blocks": self.blocks,
            "discards": [dict(item) for item in self.discards],
            "loses": [dict(item) for item in self.loses],
            "proved": self.proved,
            "proved_after_traffic": self.proved and not self.discards,
        }


@dataclass(frozen=True)
class Policy:
    """What the user decided.

    :param may_break: "warn", or "contract" to deploy what may break old code like what breaks it.
    :param unknown: route of what could not be found out, "maintenance_window" or "refuse".
    """

    may_break: str = "warn"
    unknown: str = "maintenance_window"


@dataclass(frozen=True)
class Step:
    """A pending revision with what was found."""

    revision: str
    message: str
    findings: tuple[Finding, ...]
    declared: Declared = field(default_factory=Declared)
    reversal: Reversal = field(default_factory=Reversal)

    def open(self, *kinds: str) -> list[Finding]:
        """Return the findings of these classes that are not allowed."""
        return [finding for finding in self.findings if finding.kind in kinds and finding.allowed is None]

    def phase(self, policy: Policy) -> str:
        """Return when it may run: beside old code, after it is gone, only while it is stopped, or nobody knows."""
        if self.open("fails", "unknown"):
            return "unknown"
        if self.open("blocks"):
            return "blocking"
        breaking = ("breaks", "may_break") if policy.may_break == "contract" else ("breaks",)
        return "contract" if self.open(*breaking) or self.declared.phase == "contract" else "expand"


@dataclass(frozen=True)
class Route:
    """Which way a deployment goes, why, and which revisions run before and after the rollout."""

    name: str
    reason: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def allowed(findings: Iterable[Finding], declared: Declared) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Return the findings, with the reason for those that the revision allows, and the allowances that nothing was found for.

    ``RULE`` alone allows what the rule finds on any object; an object may be named without its schema "public".
    """
    found, used = [], set()
    for finding in findings:
        short = finding.target[len("public.") :] if finding.target.startswith("public.") else finding.target
        names = [f"{finding.rule}:{finding.target}", f"{finding.rule}:{short}", finding.rule]
        match = next((name for name in names if name in declared.allow), None)
        if match is not None:
            used.add(match)
            finding = replace(finding, allowed=declared.allow[match])
        found.append(finding)
    return tuple(found), tuple(sorted(set(declared.allow) - used))


def route(steps: Sequence[Step], policy: Policy) -> Route:
    """Return the route for these revisions, which run in this order."""
    if not steps:
        return Route("rolling", "Nothing is pending.")
    refusal = next((reason for step in steps for reason in _refusals(step)), None)
    if refusal:
        return Route("refuse", refusal)
    phases = [step.phase(policy) for step in steps]
    for step, phase in zip(steps, phases):
        if phase == "unknown":
            return Route(policy.unknown, f"Revision {step.revision}: {_first(step, 'unknown')}")
    for step, phase in zip(steps, phases):
        if phase == "blocking":
            return Route("maintenance_window", f"Revision {step.revision} blocks the running code: {_first(step, 'blocks')}")
    cut = phases.index("contract") if "contract" in phases else len(phases)
    if "expand" in phases[cut:]:
        behind = steps[cut + phases[cut:].index("expand")]
        return Route(
            "maintenance_window",
            f"Revision {behind.revision}, which has to run before the new code, follows {steps[cut].revision}, "
            "which has to wait until the old code is gone. Deploy them as two releases to avoid the window.",
        )
    before, after = (tuple(step.revision for step in part) for part in (steps[:cut], steps[cut:]))
    return Route("rolling", _split(before, after), before, after)


def _split(before: Sequence[str], after: Sequence[str]) -> str:
    if not after:
        return "The running code can go on while the revisions run."
    kept = f"{', '.join(before)} can run while the old code serves; " if before else ""
    return f"{kept}{', '.join(after)} can run when the last process of the old code is gone."


def _refusals(step: Step) -> list[str]:
    found = [f"Revision {step.revision}: {problem}." for problem in step.declared.problems]
    found += [f"Revision {step.revision}: {finding.message}" for finding in step.open("fails")]
    if step.declared.phase == "expand":
        found += [f"Revision {step.revision} is declared expand, but: {finding.message}" for finding in step.open("breaks")]
    return found


def _first(step: Step, *kinds: str) -> str:
    return step.open(*kinds)[0].message


def rollback(steps: Sequence[Step]) -> dict[str, Any]:
    """Return whether downgrading all of ``steps`` was proved to lose nothing, and if not why."""
    for step in steps:
        reversal = step.reversal
        told = next(
            (finding.message for finding in step.findings if finding.kind == "irreversible" and finding.rule != "R05"), None
        )
        if not reversal.proved:
            reason = told or "its downgrade was not rehearsed."
            return {"proved": False, "proved_after_traffic": False, "reason": f"Revision {step.revision}: {reason}"}
    later = next((step for step in steps if step.reversal.discards), None)
    told = (
        f"Revision {later.revision}: a downgrade discards what was written to {later.reversal.discards[0]['object']} since."
        if later
        else None
    )
    return {"proved": True, "proved_after_traffic": later is None, "reason": told}
