# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The services of systemd, through systemctl: one call that looks at all of them, one that stops them."""

from __future__ import annotations

import fnmatch
import os
import subprocess
from typing import Any, Callable, Mapping, Sequence

from .._errors import MigrationError
from .services import Limits, Service, described

TRIGGERS = (".socket", ".timer", ".path")
_SUFFIXES = (".service", ".target", ".mount", ".automount", ".swap", ".device", ".scope", ".slice", *TRIGGERS)
#: Whatever systemd stops together with a unit; targets among them are left alone, since many units hang on them.
_STOPPED_TOO = ("ConsistsOf", "BoundBy", "RequiredBy")
_PROPERTIES = (
    "Id,Names,LoadState,ActiveState,SubState,Result,Type,RemainAfterExit,NRestarts,ExecMainCode,ExecMainStatus,NeedDaemonReload,"
    "TriggeredBy,Triggers,Wants,Requires,ActiveEnterTimestampMonotonic," + ",".join(_STOPPED_TOO)
)
_LIVING = ("active", "activating", "reloading", "refreshing", "deactivating", "maintenance")
_LOOK_SECONDS = 30.0
Block = Mapping[str, str]


def parse_show(text: str) -> list[dict[str, str]]:
    """Read the output of ``systemctl show`` for several units: blocks of ``key=value``, parted by empty lines."""
    blocks = [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in text.split("\n\n")]
    return [block for block in blocks if block.get("Id")]


def unit_name(name: str) -> str:
    """Return the full name of a unit, or of a pattern of them: what has no suffix is a service."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def members(services: Sequence[str], blocks: Sequence[Block]) -> list[tuple[str, Block]]:
    """Return which unit belongs to which name of ``services``; one that fits several belongs to the first."""
    found: list[tuple[str, Block]] = []
    taken: set[str] = set()
    for service in services:
        wanted = unit_name(service)
        for block in blocks:
            names = block.get("Names", "").split() or [block["Id"]]
            fits = fnmatch.filter(names, wanted) if is_pattern(wanted) else wanted in [*names, block["Id"]]
            if fits and block["Id"] not in taken:
                taken.add(block["Id"])
                found.append((service, block))
    return found


def followers(block: Block) -> list[tuple[str, str]]:
    """Return the units that have to be looked at because of this one, each with the part that it has."""
    found = [(name, "trigger") for name in block.get("TriggeredBy", "").split()]
    keys = [*_STOPPED_TOO, *(["Triggers"] if block["Id"].endswith(TRIGGERS) else [])]
    for key in keys:
        found += [(name, "companion") for name in block.get(key, "").split() if name.endswith((".service", *TRIGGERS))]
    if block["Id"].endswith(".target"):
        wanted = [*block.get("Wants", "").split(), *block.get("Requires", "").split()]
        found += [(name, "neighbour") for name in wanted if name.endswith(".service")]
    return list(dict(reversed(found)).items())


def service_from(block: Block, service: str, part: str = "member") -> Service:
    """Judge one unit."""
    state, sub, load = block.get("ActiveState", "inactive"), block.get("SubState", ""), block.get("LoadState", "loaded")
    return Service(
        service=service,
        name=block["Id"],
        state="not found" if load == "not-found" else "masked" if load == "masked" and state == "inactive" else state,
        part=part,
        detail=_detail(block, state, sub),
        runs=state in _LIVING,
        waiting=state in ("activating", "deactivating"),
        ended=_once(block) and state == "inactive" and block.get("Result", "success") == "success",
        starts_itself=not is_pattern(service),
        exact=not is_pattern(service),
        generation=f"{block.get('NRestarts', '')} {block.get('ActiveEnterTimestampMonotonic', '')}",
        refused=_refused(block, load) if part == "member" else "",
        warning=(
            f"{block['Id']} was changed on disk and not reloaded; run systemctl daemon-reload."
            if block.get("NeedDaemonReload") == "yes"
            else ""
        ),
    )


def _once(block: Block) -> bool:
    return block.get("Type") == "oneshot" and block.get("RemainAfterExit") != "yes"


def _detail(block: Block, state: str, sub: str) -> str:
    parts = [sub] if sub not in ("", "running", "dead", state) else []
    if state == "failed" or block.get("Result", "success") != "success" or sub == "auto-restart":
        parts.append(block.get("Result", ""))
        code, status = block.get("ExecMainCode", "0"), block.get("ExecMainStatus", "0")
        parts.append(f"exit status {status}" if code == "1" else f"killed by signal {status}" if code in ("2", "3") else "")
    if block.get("NRestarts", "0") not in ("0", ""):
        parts.append(f"restarted {block['NRestarts']} times by systemd")
    if state == "activating" and sub in ("start", "start-pre", "start-post"):
        parts.append(f"Type={block.get('Type', '')}")
    return ", ".join(dict.fromkeys(part for part in parts if part and part != "success"))


def _refused(block: Block, load: str) -> str:
    name = block["Id"]
    if load == "masked":
        return f"{name} is masked on this host; systemctl unmask it, or take it out of the services."
    if load == "not-found":
        return f"{name} is not known to systemd on this host; install the unit, or correct the name."
    return f"{name} can not be loaded by systemd ({load}); see systemctl status {name}." if load != "loaded" else ""


class Systemd:
    """The units that ``services`` names, of the system or of a user (``scope``)."""

    def __init__(self, services: Sequence[str], scope: str, limits: Limits, run: Callable[..., Any] = subprocess.run):
        self.services, self.scope, self.limits, self.run = services, scope, limits, run

    def look(self) -> list[Service]:
        """Return the units, what triggers them, and what systemd stops with them."""
        if not self.services:
            return []
        templates = [service for service in self.services if unit_name(service).rpartition(".")[0].endswith("@")]
        if templates:
            raise MigrationError(
                f"Nothing was touched. {templates[0]} is a template and no unit.",
                "service_refused",
                f"Name its instances, or {templates[0].partition('@')[0]}@* for those that run.",
            )
        blocks = self._show([unit_name(service) for service in self.services])
        found = [service_from(block, service) for service, block in members(self.services, blocks)]
        known = {item.name for item in found}
        newest = members(self.services, blocks)
        while newest:
            parts = {name: (part, owner) for owner, block in newest for name, part in followers(block) if name not in known}
            newest = [
                (parts[block["Id"]][1], block) for block in (self._show(sorted(parts)) if parts else []) if block["Id"] in parts
            ]
            known |= set(parts)
            found += [service_from(block, owner, parts[block["Id"]][0]) for owner, block in newest]
        return found

    def stop(self, found: Sequence[Service]) -> None:
        """Stop what would bring the services back, then all of them at once, and wait until they have ended."""
        running = [item for item in found if item.runs and item.part != "neighbour"]
        for names in (
            [item.name for item in running if item.name.endswith(TRIGGERS)],
            [item.name for item in running if not item.name.endswith(TRIGGERS)],
        ):
            if names:
                self._stop(names)

    def _stop(self, names: Sequence[str]) -> None:
        """The time limit is each unit's own: it begins anew whenever one of them has ended."""
        left = len(names)
        while True:
            try:
                done = self._call("stop", *names, seconds=self.limits.stop)
            except subprocess.TimeoutExpired:
                living = [item for item in map(_as_member, self._show(names)) if item.runs]
                if living and len(living) < left:
                    left = len(living)
                    continue
                raise MigrationError(
                    f"Not stopped after {self.limits.stop:g} s: {described(living) or ', '.join(names)}.",
                    "not_stopped",
                    "Look why it does not end, or give it more time.",
                ) from None
            if done.returncode:
                raise _failed("stopped", names, done, "not_stopped")
            return

    def start(self, names: Sequence[str], wait: bool) -> None:
        """Start units one after the other. What failed before starts with a clean sheet, as it does for a person's first start."""
        self._call("reset-failed", *names, seconds=_LOOK_SECONDS)
        for name in names:
            try:
                done = self._call("start", name, seconds=self.limits.start)
            except subprocess.TimeoutExpired:
                found = described(map(_as_member, self._show([name])))
                raise MigrationError(
                    f"Not started after {self.limits.start:g} s: {found}.",
                    "start_failed",
                    "A unit of Type=notify has to say READY=1; else give it more time.",
                ) from None
            if done.returncode:
                found = described(map(_as_member, self._show([name])))
                raise _failed("started", [name], done, "start_failed", found)

    def logs(self, names: Sequence[str], since: float, lines: int) -> str:
        """Return the end of the journal of the units, from ``since`` (seconds of the epoch; 0: from any time)."""
        option = "--user-unit" if self.scope == "user" else "--unit"
        command = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", *(f"{option}={name}" for name in names)]
        try:
            command += [f"--since=@{int(since)}"] if since else []
            said = str(self.run(command, timeout=_LOOK_SECONDS, env=self._environment(), check=False, **_OUTPUT).stdout).strip()
            return "" if said == "-- No entries --" else said
        except (OSError, subprocess.TimeoutExpired):
            return ""

    def _show(self, names: Sequence[str]) -> list[dict[str, str]]:
        return parse_show(self.show(names, _PROPERTIES))

    def show(self, names: Sequence[str], properties: str) -> str:
        """Return what systemd says of units: a block of ``key=value`` for each, in their order, parted by empty lines.

        :raises MigrationError: ``manager_unreachable``.
        """
        try:
            done = self._call("show", f"--property={properties}", *names, seconds=_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            raise MigrationError(f"systemd did not answer in {_LOOK_SECONDS:g} s.", "manager_unreachable") from None
        if done.returncode:
            raise _failed("read", names, done, "manager_unreachable")
        return str(done.stdout)

    def _call(self, *arguments: str, seconds: float) -> Any:
        scope = [] if self.scope == "system" else [f"--{self.scope}"]
        command = ["systemctl", *scope, "--no-pager", "--no-ask-password", *arguments]
        try:
            return self.run(command, timeout=seconds, env=self._environment(), check=False, **_OUTPUT)
        except OSError as exc:
            raise MigrationError(
                f"systemctl can not be run: {exc.strerror}.", "manager_unreachable", "This host needs systemd, or another manager."
            ) from exc

    def _environment(self) -> dict[str, str]:
        """A session of su or sudo lacks the folder by which systemctl finds a user's systemd."""
        runtime = f"/run/user/{os.getuid()}"
        wants = self.scope == "user" and "XDG_RUNTIME_DIR" not in os.environ and os.path.isdir(runtime)
        return {**os.environ, "LC_ALL": "C", **({"XDG_RUNTIME_DIR": runtime} if wants else {})}


_OUTPUT: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "universal_newlines": True,
}


def _as_member(block: Block) -> Service:
    return service_from(block, block["Id"])


def _failed(what: str, names: Sequence[str], done: Any, kind: str, found: str = "") -> MigrationError:
    said = " ".join(str(done.stderr or done.stdout).split())
    hint = None
    if "authentication required" in said or "Access denied" in said:
        hint = "The task needs the right to do this; set become."
    elif "Failed to connect to" in said or "not been booted" in said:
        hint = "For units of a user, loginctl enable-linger starts its systemd; without systemd, choose another manager."
    return MigrationError(f"{', '.join(names)} could not be {what}: {said}{f' Now {found}.' if found else ''}", kind, hint)
