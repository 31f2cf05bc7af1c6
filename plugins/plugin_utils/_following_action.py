# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that may run for long: shows its progress and survives a lost connection."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import Any, Callable, Mapping

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.dbops.alembic.plugins.plugin_utils._follow import ConnectionLost, HostLost, follow, public, was_cut_off

display = Display()

#: The module's own default, for a task that does not say.
RECONNECT = 300.0
GONE = (
    "{host} was lost while {action} was running, and could not be reached again for {seconds:.0f} seconds. The migration may"
    " still be running there. Look with dbops.alembic.alembic_info where the database stands; running this task again is safe,"
    " because it waits for the migration lock and then looks anew. Job {job}. Last error: {reason}"
)


def printer(task: Any, task_vars: Mapping[str, Any]) -> Callable[[str], None]:
    """Return what shows a line of a task, with its host where there are several, unless nothing of it may be shown."""
    several = len(task_vars.get("ansible_play_hosts_all") or ()) > 1
    prefix = "[{}] ".format(task_vars.get("inventory_hostname")) if several else ""

    def show(line: str) -> None:
        # Standard error, so that a callback that prints JSON on standard output stays readable for programs.
        if not task.no_log:
            display.display(prefix + line, stderr=True)

    return show


class FollowingAction(ActionBase):
    _supports_check_mode = True
    _supports_async = True
    gone = GONE

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        # With async, Ansible itself follows; check mode is over soon.
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        if wrap_async or self._task.check_mode or not self._follows():
            return self._execute_module(task_vars=task_vars, wrap_async=wrap_async)
        job = str(self._task.args.get("job") or uuid.uuid4().hex)
        # A host that was never there is unreachable at once; from here on, a lost connection may have left something running.
        self._low_level_execute_command("true", sudoable=False)
        caller = _Caller(self, task_vars)
        try:
            result = follow(caller.call, job, self._reconnect(), printer(self._task, task_vars), time.sleep)
        except HostLost as exc:
            host = str(task_vars.get("inventory_hostname", "The host"))
            msg = self.gone.format(host=host, action=self._task.action, seconds=exc.seconds, job=job, reason=exc.reason)
            return {"unreachable": True, "msg": msg, "job": job}
        caller.remove_folders()
        return public(result, self._task.args)

    def _follows(self) -> bool:
        """Whether there is something to show while it runs."""
        return True

    def cleanup(self, force: bool = False) -> None:
        """Remove the temporary folder; a connection that is lost now must not cost the result."""
        try:
            super().cleanup(force=force)
        except AnsibleConnectionFailure as exc:
            display.warning(f"could not remove the temporary folder on the host: {exc}")

    def _reconnect(self) -> float:
        """Return the option's value; the module itself complains about a wrong one, at the first call."""
        try:
            return max(0.0, float(self._task.args.get("reconnect", RECONNECT)))
        except (TypeError, ValueError):
            return 0.0


class _Caller:
    """Calls the module; remembers the temporary folders that a lost connection has left on the host."""

    def __init__(self, action: FollowingAction, task_vars: dict[str, Any]) -> None:
        self._action, self._task_vars = action, task_vars
        self._left: list[str] = []

    def call(self, more: dict[str, Any]) -> dict[str, Any]:
        action = self._action
        try:
            result = action._execute_module(module_args={**action._task.args, **more}, task_vars=self._task_vars)
        except AnsibleConnectionFailure as exc:
            self._forget_folder()
            raise ConnectionLost(str(exc)) from exc
        if was_cut_off(result):
            self._forget_folder()
            raise ConnectionLost(str(result.get("msg") or "the module was killed"))
        return result

    def _forget_folder(self) -> None:
        """Let the next call make a new folder: the host may have lost the old one."""
        shell = self._action._connection._shell
        if shell.tmpdir:
            self._left.append(shell.tmpdir)
            shell.tmpdir = None

    def remove_folders(self) -> None:
        shell = self._action._connection._shell
        current = shell.tmpdir
        with contextlib.suppress(AnsibleConnectionFailure):
            for folder in self._left:
                self._action._remove_tmp_path(folder)
        shell.tmpdir = current  # which removing another one makes it forget
