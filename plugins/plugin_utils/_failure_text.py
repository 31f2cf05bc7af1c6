# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, from its result as Ansible has it: with passwords masked, and no more read than is shown. Plain Python."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core import failure
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import Redactor, cut

#: All that is read of a result; of an output its end is enough.
_READ = ("cmd", "rc", "msg", "error_kind", "failed")
_OUTPUTS = ("stdout", "stderr", "module_stdout", "module_stderr")
_KEPT = 20_000
#: A token that stands where a URL of git has its user; it is no password to anybody else.
_TOKEN = re.compile(r"(https?://)[^\s/@:]{16,}@")


def text(result: Mapping[str, Any], task: str = "", brief: bool = False) -> str:
    """Return the lines that tell why a task failed.

    :param brief: whether a module of this collection that says why is to be given with its message alone.
    """
    if brief and result.get("error_kind") and result.get("msg"):
        return Redactor().clean(str(result["msg"]))
    return _TOKEN.sub(r"\1***@", failure.told(Redactor().clean(_read(result)), task))


def shortened(lines: Sequence[str], count: int) -> list[str]:
    """Leave out all but the last ``count`` lines of each log that is told, with 0 its heading too; what is said besides stays."""
    found: list[str] = []
    log: list[str] = []
    in_log = False
    for line in lines:
        begins = line.startswith(failure.MARKS)
        if begins or line.startswith(failure.SAID):
            found, log, in_log = [*found, *_end(log, count), *([line] if count or not begins else [])], [], begins
        elif in_log:
            log.append(line)
        else:
            found.append(line)
    return [*found, *_end(log, count)]


def _end(log: list[str], count: int) -> list[str]:
    return log if len(log) <= count else ["…", *log[-count:]] if count else []


def _read(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: result[key] for key in _READ if key in result}
    found |= {key: cut(str(result[key] or ""), -_KEPT) for key in _OUTPUTS if key in result}
    if isinstance(result.get("extract_results"), Mapping):
        found["extract_results"] = dict(result["extract_results"])
    if isinstance(result.get("results"), list):
        found["results"] = [_read(item) for item in result["results"] if isinstance(item, Mapping)]
    return found
