# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long each task took, as lines of JSON, to the file that DBOPS_TASK_SECONDS names."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_seconds
type: notification
short_description: Seconds of each task
description: Seconds of each task, for the benchmark.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_seconds"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._began = time.perf_counter()

    def v2_runner_on_ok(self, result):
        self._write(result, True)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, False)

    def _write(self, result, worked):
        line = {"task": result.task_name, "seconds": time.perf_counter() - self._began, "worked": worked}
        with open(os.environ["DBOPS_TASK_SECONDS"], "a") as file:
            file.write(json.dumps(line) + "\n")
