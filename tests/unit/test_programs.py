# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs are not started while a project is only looked at."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker import programs


@pytest.mark.parametrize(
    ("event", "args", "stopped"),
    [
        ("subprocess.Popen", ("alembic", ["alembic", "upgrade", "head"], None, None), True),
        ("subprocess.Popen", ("/v/bin/alembic", ["/v/bin/alembic", "-c", "a.ini", "downgrade", "-1"], None, None), True),
        ("subprocess.Popen", ("python", ["python", "-m", "alembic", "stamp", "head"], None, None), True),
        ("subprocess.Popen", ("/bin/sh", ["/bin/sh", "-c", "cd /app && alembic upgrade head"], None, None), True),
        ("subprocess.Popen", ("flask", ["flask", "--app", "shop", "db", "upgrade"], None, None), True),
        ("subprocess.Popen", ("python", ["python", "manage.py", "db", "upgrade"], None, None), True),
        ("os.system", (b"alembic upgrade head",), True),
        ("os.system", ("alembic 'upgrade' head; true",), True),
        ("os.exec", ("/v/bin/alembic", ["alembic", "upgrade", "head"], None), True),
        ("os.posix_spawn", ("/v/bin/alembic", ("alembic", "upgrade", "head"), {}), True),
        ("os.spawn", (1, "/v/bin/alembic", ["alembic", "upgrade", "head"], None), True),
        ("subprocess.Popen", ("alembic", ["alembic", "upgrade", "head", "--sql"], None, None), False),
        ("subprocess.Popen", ("alembic", ["alembic", "current"], None, None), False),
        ("subprocess.Popen", ("git", ["git", "-C", "/srv/alembic", "describe"], None, None), False),
        ("subprocess.Popen", ("pip", ["pip", "install", "--upgrade", "alembic"], None, None), False),
        ("subprocess.Popen", ("cat", ["cat", "alembic.upgrade"], None, None), False),
        ("subprocess.Popen", (None, "flask run --db upgraded", None, None), False),
    ],
)
def test_a_program_that_migrates_is_known(event: str, args: tuple[Any, ...], stopped: bool) -> None:
    assert programs.migrates(programs.words(event, args)) is stopped
