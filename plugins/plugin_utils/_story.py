# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of a run: which of what happens is a line on the terminal. Plain Python; the callback tells it what happens, and when.

A play of ours is one step, unless a task in it is a step of its own (see ``_story_words``). A task of somebody else is one too.
A step is told when it is over, with the time since the one before it in the same play.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core.record import CLOSED

from ._follow import seconds
from ._story_layout import Line, counted, cut_off, failure, heading, note, running, step_line
from ._story_words import ARCHIVING, INCLUDES, SILENT, cause, deed, one_line, reminded, said, told
from ._text import part

#: Lines of what a failed program wrote.
LOG_LINES = 5


@dataclass(frozen=True)
class Task:
    """A task as it begins. ``ours`` is one of a role or a playbook of this collection."""

    id: str
    name: str
    action: str
    ours: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def silent(self) -> bool:
        return bool(SILENT.match(self.action))


@dataclass
class _Step:
    title: str
    began: float
    task: Task | None = None  # of which it is told; None for the rest of a play
    hosts: dict[str, str] = field(default_factory=dict)  # host → ok, changed, failed, unreachable
    remark: str = ""
    refused: bool = False  # which was told, and is how it ended

    @property
    def told(self) -> bool:
        """Whether there is something to tell: a host took it. Each one that failed has been told."""
        return not (self.refused or set(self.hosts.values()) <= {"failed", "unreachable"})


class Story:
    """Takes what happens, in order, and returns the lines to show. Times are seconds of any clock."""

    def __init__(self, check_mode: bool = False) -> None:
        self._check = check_mode
        self._play = ""
        self._play_shown = False
        self._rest: _Step | None = None
        self._step: _Step | None = None
        self._since = 0.0
        self._said = ""  # all that was told, in one line
        self._causes: list[str] = []  # each in one line
        self._failing = ("", 0.0)  # the task that failed last, and when it began
        self._lost: set[str] = set()  # hosts on which something failed that is more than a refusal of ours
        self._refused: set[str] = set()
        self._started = False
        self._reported = False
        self.failed = False
        self.left_open = ""  # the deployment whose record is open, and its step

    def play(self, name: str, at: float) -> list[Line]:
        """A play begins."""
        found = self.end(at)
        if self._check and not self._started:
            found.append(note("Check mode: nothing is changed."))
        self._started = True
        self._play, self._play_shown = name, False
        self._rest = _Step(name, at)
        self._since = at
        return found

    def task(self, task: Task, at: float) -> list[Line]:
        """A task begins."""
        if self._step and self._step.task and self._step.task.id == task.id:
            return []  # another strategy comes back to it
        found = self._close(at)
        title = deed(task.action, task.arguments, self._check) if task.ours else "" if INCLUDES.match(task.action) else task.name
        if title:
            self._step = _Step(title, self._since, task)
        return found

    def running(self) -> str:
        """What is under way, in a line for a terminal; empty where nothing is worth one."""
        step = self._step or self._rest
        return running(step.title) if step and step.title else ""

    def result(self, task: Task, host: str, state: str, result: Mapping[str, Any], at: float) -> list[Line]:
        """A host is done with a task: ``ok``, ``changed``, ``failed``, ``ignored`` or ``unreachable``."""
        if INCLUDES.match(task.action) and state in ("ok", "changed"):
            return []
        record = result.get("record") if task.ours and not self._check else None
        if isinstance(record, Mapping) and "status" in record:
            self.left_open = "" if record["status"] in CLOSED else f"{record['id']} at {record['step']}"
        if state in ("ok", "changed") and (texts := said(task.action, result)):
            self._step = None
            if task.ours and reminded(texts, self._causes) != texts:  # it tells of each host what was told of one
                return []
            return [line for text in texts for line in self._once(text)]
        step = self._step if self._step and self._step.task and self._step.task.id == task.id else None
        found: list[Line] = []
        if step is None and not task.ours:  # another strategy comes back to it
            found += self._close(at)
            step = self._step = _Step(task.name, self._since, task)
        if state in ("failed", "unreachable", "ignored"):
            return found + self._failed(step, task, host, state, result, at)
        if task.ours and task.silent:
            return found + self._kept(task, host, result, at)
        for one in (step, self._rest):
            if one and one.hosts.get(host) not in ("failed", "unreachable"):
                one.hosts[host] = state
        if step:
            step.remark = told(task.action, result) or step.remark
            for warning in result.get("warnings") or ():
                found += self._once(f"warning: {warning}")
        for remark in result.get("remarks") or () if task.action.endswith("host_check") else ():
            found += self._once(f"warning: {host}: {remark}")
        return found

    def waits(self, task: Task, host: str, attempt: int, attempts: int, at: float) -> list[Line]:
        """A task is tried again. How long it may still be is what the tries took until now, for each that is left."""
        began = self._step.began if self._step else self._since
        took = max(0.0, at - began)
        left = took / attempt * (attempts - attempt) if attempt else 0.0
        more = f", {seconds(round(took))} so far, about {seconds(round(left))} left" if took >= 1 else ""
        return [note(f"{host}: {task.name}: not yet, try {attempt} of {attempts}{more}", "waiting")]

    def end(self, at: float) -> list[Line]:
        """The play is over, and perhaps the run."""
        told_alone = self._step is not None
        found = self._close(at)
        rest, self._rest = self._rest, None
        if rest and rest.told and (not (self._play_shown or told_alone) or rest.title.startswith("Batch ")):
            found.append(step_line(rest.title, rest.hosts, at - rest.began))
        return found

    def text(self, lines: list[str]) -> list[Line]:
        """Lines that a task showed; what is in them is not said a second time."""
        self._play_shown = self._reported = True
        self._new(lines)
        return [Line("", "text"), *(Line(line, "text") for line in lines)]

    def finish(self, hosts: Mapping[str, Mapping[str, int]], at: float) -> list[Line]:
        """The run is over. ``hosts`` is host → how many tasks ended in which way."""
        found = self.end(at)
        if self._reported or not hosts:
            return found
        bad = {host: "failed" if ways.get("failures") or ways.get("unreachable") else "ok" for host, ways in hosts.items()}
        failed = sorted(host for host, state in bad.items() if state == "failed")
        if failed and self.only_refused:
            return found  # what was refused says so, and is no matter of a host
        failed = [host for host in failed if host not in self._refused - self._lost]
        if self.failed and not failed:
            return found
        text = f"Failed on {', '.join(failed)}." if failed else f"Done on {counted(bad)}."
        return [*found, Line("", "text"), *([note(text, "failure")] if failed else [note(text, "text")])]

    def cut_off(self, at: float) -> list[Line]:
        """The run ends here, and nobody says more of it: it was interrupted, or Ansible gave up."""
        step = self._step or self._rest
        found = [] if step is None else cut_off(step.title, at - step.began)
        self._step = self._rest = None
        return found

    @property
    def only_refused(self) -> bool:
        """Whether nothing failed but what we refuse to do."""
        return bool(self._refused) and not self._lost

    def _close(self, at: float) -> list[Line]:
        step, self._step = self._step, None
        if step is None or not step.told:
            return []
        if step.task and step.task.ours and step.title.startswith("Remove") and set(step.hosts.values()) == {"ok"}:
            return []
        if step.task and step.task.ours and step.title == ARCHIVING and not {"failed", "unreachable"} & set(step.hosts.values()):
            return []  # it is told with its size when it has its name
        return self._shown(step, at)

    def _shown(self, step: _Step, at: float) -> list[Line]:
        found = [] if step.task is None or step.task.ours or self._play_shown else [heading(self._play)]
        self._play_shown = True
        took, self._since = at - step.began, at
        remark = "failed, ignored" if "ignored" in step.hosts.values() else step.remark
        return [*found, step_line(step.title, step.hosts, took, remark)]

    def _kept(self, task: Task, host: str, result: Mapping[str, Any], at: float) -> list[Line]:
        """What a task of ours says that decides or keeps something: an archive that was written, a batch that begins."""
        facts = part(result.get("ansible_facts"))
        written = part(facts.get("backup_archive"))
        if written.get("bytes"):
            step = _Step(ARCHIVING, self._since, task, {host: "changed"}, told("dbops.alembic.database_archive", written))
            return self._shown(step, at)
        if facts.get("_deployment_batch"):
            found = self._batch_ends(at)
            self._rest = _Step("Batch {}".format(str(facts["_deployment_batch"]).split()[-1]), at)
            return found
        return []

    def _batch_ends(self, at: float) -> list[Line]:
        rest = self._rest
        if rest is None or not rest.title.startswith("Batch ") or not rest.told:
            return []
        self._play_shown = True
        return [step_line(rest.title, rest.hosts, at - rest.began)]

    def _failed(self, step: _Step | None, task: Task, host: str, state: str, result: Mapping[str, Any], at: float) -> list[Line]:
        refuses = task.ours and task.silent and "module_stdout" not in result  # which only a module that broke has
        for one in (step, self._rest):
            if one:
                one.hosts[host], one.refused = state, one.refused or (refuses and state == "failed")
        if state == "ignored":
            return []
        self.failed = True
        (self._refused if refuses else self._lost).add(host)
        again = self._failing[0] == task.id
        if not again:
            self._failing = (task.id, step.began if step else self._since)
        lines = cause(result, 0 if again else LOG_LINES)
        whole = one_line(lines)
        if again:  # what every host says alike, but for its beginning
            lines = [line for number, line in enumerate(lines) if not number or one_line([line]) not in self._said]
        if not self._new(lines):
            if refuses:  # it repeats why something before it failed
                return []
            lines = ["The cause is the one above."]
        elif refuses:
            lines = reminded(lines, self._causes)
        self._causes.append(whole)
        found = [] if task.ours or self._play_shown else [heading(self._play)]
        self._play_shown = self._play_shown or bool(found)
        title = step.title if step else self._play if task.ours else task.name
        self._since = at
        return [*found, *failure(title, host, state, lines, at - self._failing[1])]

    def _new(self, lines: list[str]) -> bool:
        """Keep that these lines were told; tell whether one of them was not told before."""
        keys = [one_line([line]) for line in lines]
        known = all(key in self._said for key in keys)
        self._said += " " + " ".join(keys)
        return not known

    def _once(self, text: str) -> list[Line]:
        return [note(text, "warning")] if self._new([text]) else []
