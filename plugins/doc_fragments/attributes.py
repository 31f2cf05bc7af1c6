# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each attribute of a plugin means; the plugins add how far they support it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
"""

    # Should be used with every module that drives Alembic.
    ALEMBIC = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/dbops.alembic.alembic) in C(module_defaults) to set the options of the project once for all its tasks.
    support: full
    membership:
      - dbops.alembic.alembic
"""

    # Should be used with modules that change nothing.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing, so it does the same in check mode.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
"""

    # Should be used with modules that have an action plugin which follows what they run.
    FOLLOW = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: full
    details:
      - With C(async), Ansible itself follows the task, no progress is shown, and O(job) is not used.
"""
