# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stdout callback of this collection: the story of a run, and the rest in a log file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment
type: stdout
short_description: The story of a deployment, and nothing else
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - One line for each step, with the hosts that took it, counted, and how long it took; the progress of migrations, of archives in
    bytes and of waits as they go on; failures with their cause; at the end what the deployment came to, the command that is next,
    and the path of the log.
  - Everything that Ansible would print otherwise goes to that log, which only its owner may read.
  - A task that is none of this collection is a line of its own. It suits any playbook.
  - A run that is interrupted with Ctrl-C says at which step it was, and which command is next.
    One that is killed says nothing; its log is there.
  - With C(-v) it is Ansible's own output, on the terminal, and no log is written.
  - Colours, and the line that says what is under way, are for terminals only. Names and paths are never cut.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
options:
  log_folder:
    description:
      - Where the logs are written. The folder is made.
      - Unless it is given, it is C(dbops_alembic_logs) in the home of Ansible, which is C(~/.ansible).
      - Where that can not be written to, the run goes on without a log and says so.
    type: path
    env:
      - name: DBOPS_ALEMBIC_LOG_FOLDER
    ini:
      - section: callback_dbops_alembic_deployment
        key: log_folder
  log_keep:
    description: How many logs stay in that folder, the newest; V(0) keeps all.
    type: int
    default: 50
    env:
      - name: DBOPS_ALEMBIC_LOG_KEEP
    ini:
      - section: callback_dbops_alembic_deployment
        key: log_keep
seealso:
  - module: dbops.alembic.deployment_summary
"""

EXAMPLES = r"""
# in ansible.cfg, or ANSIBLE_STDOUT_CALLBACK=dbops.alembic.deployment in the environment
# [defaults]
# stdout_callback = dbops.alembic.deployment
#
# [callback_dbops_alembic_deployment]
# log_folder = /var/log/deployments
"""

import atexit
import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Sequence

from ansible import constants as C
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.dbops.alembic.plugins.filter.deployment_hosts import NOBODY
from ansible_collections.dbops.alembic.plugins.plugin_utils._story import Story, Task
from ansible_collections.dbops.alembic.plugins.plugin_utils._story_layout import Line, note
from ansible_collections.dbops.alembic.plugins.plugin_utils._story_terminal import Terminal, log_path
from ansible_collections.dbops.alembic.plugins.plugin_utils._story_words import SUMMARY, next_command
from ansible_collections.dbops.alembic.plugins.plugin_utils._text import LABEL, labelled

ROOT = os.path.realpath(Path(__file__).parents[2])
PLACES = tuple(os.path.join(ROOT, name, "") for name in ("roles", "playbooks"))
Lines = Callable[[], "list[Line]"]


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "dbops.alembic.deployment"

    def __init__(self) -> None:
        super().__init__()
        self._story: Story | None = None
        self._terminal: Terminal | None = None
        self._log, self._playbook = "", ""
        self._tasks: dict[str, Task] = {}
        self._hosts: list[str] = []

    def _tell(self, own: Callable[[], Any], lines: Lines) -> None:
        """Let Ansible's own callback write to the log, and show what the story makes of it. Without a story, the former is all."""
        terminal, story = self._terminal, self._story
        if terminal is None or story is None:
            own()
            return
        try:
            found = lines()  # first, since Ansible takes the warnings out of a result when it shows them
            with terminal.logging():
                own()
            terminal.show(found)
            terminal.live(story.running())
        except Exception as exc:  # a defect in here is no reason to end a deployment
            self._story = self._terminal = None
            terminal.restore()
            self._display.warning(f"The story of this run can not be told further ({exc!r}); Ansible's own output follows.")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if not self._display.verbosity:
            self._begin(str(getattr(playbook, "_file_name", "") or ""))
        self._tell(partial(super().v2_playbook_on_start, playbook), list)

    def _begin(self, file_name: str) -> None:
        given: Sequence[str] = context.CLIARGS.get("args") or []
        self._playbook = str(given[0]) if len(given) == 1 else file_name
        self._story = Story(bool(context.CLIARGS.get("check")))
        problem = None
        try:
            folder = self.get_option("log_folder") or os.path.join(C.config.get_config_value("ANSIBLE_HOME"), "dbops_alembic_logs")
            path = log_path(str(folder), self._playbook, int(self.get_option("log_keep")))
            self._terminal, self._log = Terminal(self._display, path), str(path)
        except OSError as exc:
            problem = exc
            self._terminal = Terminal(self._display, None)
        if problem:
            self._terminal.show([note(f"There is no log of this run: {problem}", "warning")])
        atexit.register(self._cut_off, os.getpid())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._hosts = [play.hosts] if isinstance(play.hosts, str) else list(play.hosts or ())
        lines = partial(self._call, "play", play.get_name().strip(), time.monotonic())
        self._tell(partial(super().v2_playbook_on_play_start, play), lines)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: Any) -> None:
        self._tell(partial(super().v2_playbook_on_task_start, task, is_conditional), partial(self._task_begins, task))

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._tell(partial(super().v2_playbook_on_handler_task_start, task), partial(self._task_begins, task))

    def v2_runner_on_ok(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_on_ok, result), partial(self._ended, result, ""))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        state = "ignored" if ignore_errors else "failed"
        self._tell(partial(super().v2_runner_on_failed, result, ignore_errors), partial(self._ended, result, state))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_on_unreachable, result), partial(self._ended, result, "unreachable"))

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_on_skipped, result), list)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_item_on_ok, result), list)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_item_on_failed, result), list)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_item_on_skipped, result), list)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._tell(partial(super().v2_runner_on_start, host, task), list)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        self._tell(partial(super().v2_playbook_on_include, included_file), list)

    def v2_playbook_on_notify(self, handler: Any, host: Any) -> None:
        self._tell(partial(super().v2_playbook_on_notify, handler, host), list)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        meant = self._hosts == [NOBODY]  # a pass that does not run
        self._tell(super().v2_playbook_on_no_hosts_matched, lambda: [] if meant else [note("No hosts matched.")])

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._tell(super().v2_playbook_on_no_hosts_remaining, list)

    def v2_runner_retry(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_retry, result), partial(self._waits, result))

    def v2_runner_on_async_poll(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_on_async_poll, result), list)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_on_async_ok, result), list)

    def v2_runner_on_async_failed(self, result: Any) -> None:
        self._tell(partial(super().v2_runner_on_async_failed, result), list)

    def v2_on_file_diff(self, result: Any) -> None:
        self._tell(partial(super().v2_on_file_diff, result), partial(self._diff, result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._tell(partial(super().v2_playbook_on_stats, stats), partial(self._end, stats))
        terminal, self._story, self._terminal = self._terminal, None, None
        if terminal:
            terminal.restore()

    def _call(self, name: str, *arguments: Any) -> list[Line]:
        return getattr(self._story, name)(*arguments) if self._story else []

    def _task_begins(self, task: Any) -> list[Line]:
        return self._call("task", self._known(task), time.monotonic())

    def _known(self, task: Any) -> Task:
        if task._uuid not in self._tasks:
            path = os.path.realpath(str(task.get_path() or "").rpartition(":")[0])
            name = task.get_name().strip().split(" : ", 1)[-1]
            self._tasks[task._uuid] = Task(task._uuid, name, str(task.action), path.startswith(PLACES), dict(task.args or {}))
        return self._tasks[task._uuid]

    def _ended(self, result: Any, state: str) -> list[Line]:
        task, found = self._known(_part(result, "task")), _part(result, "result")
        if task.action == SUMMARY and not state:
            return self._call("text", list(found.get("lines") or ()))
        state = state or ("changed" if found.get("changed") else "ok")
        return self._call("result", task, _part(result, "host").get_name(), state, found, time.monotonic())

    def _waits(self, result: Any) -> list[Line]:
        found = _part(result, "result")
        attempts = found.get("retries") or 0
        known, host = self._known(_part(result, "task")), _part(result, "host").get_name()
        return self._call("waits", known, host, int(found.get("attempts") or 0), int(attempts), time.monotonic())

    def _diff(self, result: Any) -> list[Line]:
        found, task = _part(result, "result"), self._known(_part(result, "task"))
        if task.ours and task.silent:  # of the record, which is nobody's to read
            return []
        each = [one for one in found.get("results") or (found,) if isinstance(one, dict)]
        entries = [one for one in each if one.get("diff") and one.get("changed")]
        text = "".join(self._get_diff(one["diff"]) for one in entries).strip("\n")
        return [Line(text, "text")] if text else []

    def _end(self, stats: Any) -> list[Line]:
        lines = self._call("finish", {host: stats.summarize(host) for host in stats.processed}, time.monotonic())
        reported = (stats.custom.get("_run") or {}).get("dbops_deployment") or {}
        failed = bool(stats.failures or stats.dark) and not (self._story and self._story.only_refused)
        left = self._story.left_open if self._story and failed and not reported else ""
        return [*lines, *self._last(next_command(self._playbook, _inventories(), reported, failed, bool(left)), left)]

    def _cut_off(self, process: int) -> None:
        """Say where a run was that ends without a word: one that was interrupted, or that Ansible itself gave up."""
        terminal, story = self._terminal, self._story
        if terminal is None or story is None or os.getpid() != process:
            return
        self._story = self._terminal = None
        lines = story.cut_off(time.monotonic())
        command = next_command(self._playbook, _inventories(), {}, True, interrupted=True)
        terminal.show([*lines, *self._last(command, story.left_open)])
        terminal.restore()

    def _last(self, command: str, left: str = "") -> list[Line]:
        opened = labelled("Open", f"{left}; recover finishes it or takes it back" if left else "")
        told = [f"{'Next'.ljust(LABEL)}{command}"] if command else []  # on one line, so that it can be copied
        return [Line(line, "text") for line in [*opened, *told, *labelled("Log", self._log)]]


def _inventories() -> list[str]:
    return [str(path) for path in context.CLIARGS.get("inventory") or ()]


def _part(result: Any, name: str) -> Any:
    """Return the host, the task or the result proper of what a callback is given; ansible-core before 2.19 has private names."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")
