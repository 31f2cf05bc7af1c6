# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a process that has read one database may read the next: all in it has to be as it was before."""

from __future__ import annotations

import gc
import os
import sys

from . import ahead, learned

#: How many databases a process reads at most; whatever grows in it is gone after that.
MAXIMUM = 100


class Kept:
    """What this process was before its first request; to be made when everything of ours is open."""

    def __init__(self) -> None:
        self.counted = 0
        self.environment, self.path, self.folder = dict(os.environ), list(sys.path), os.getcwd()
        self.threads, self.descriptors = ahead.threads(), ahead.descriptors()

    def begin(self) -> None:
        """Make the process again what it was, before another request."""
        for name in set(os.environ) - set(self.environment):
            del os.environ[name]
        os.environ.update({name: value for name, value in self.environment.items() if os.environ.get(name) != value})
        sys.path[:] = self.path
        os.chdir(self.folder)
        learned.forget()

    def may_stay(self) -> bool:
        """Tell whether it may: env.py is an ordinary one, and left nothing open."""
        if not ahead.ORDINARY:
            return False
        self.counted += 1
        return self.counted < MAXIMUM and self._is_clean()

    def _is_clean(self) -> bool:
        if ahead.descriptors() != self.descriptors:
            gc.collect()  # an engine that keeps its connections is gone only with all that knows it
        return ahead.descriptors() == self.descriptors and ahead.threads() == self.threads
