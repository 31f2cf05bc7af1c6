# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revision files of which no history can be made: each is named with what is wrong in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker import revision_files
from ansible_collections.dbops.alembic.plugins.module_utils._worker.failure import Failure
from hypothesis import given
from hypothesis import strategies as st

GOOD = "revision = '0002'\ndown_revision = '0001'\n"


def load(folder: str, name: str) -> ModuleType:
    """As Alembic does, in what matters here."""
    module = ModuleType("revision")
    exec(compile(Path(folder, name).read_bytes(), name, "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def upgrade(): pass\n", "has no variable revision"),
        ("revision = '0002'\n", "has no variable down_revision"),
        ("revision = 2\ndown_revision = None\n", "is 2, which is no id"),
        ("revision = None\ndown_revision = None\n", "is None, which is no id"),
        ("revision = ' '\ndown_revision = None\n", "is ' ', which is no id"),
        ("revision = 'a@b+c'\ndown_revision = None\n", "holds @ +, which means a branch or a relative revision"),
        ("revision = '0002'\ndown_revision = 1\n", "down_revision in"),
        ("revision = '0002'\ndown_revision = ('0001', None)\n", "is ('0001', None), which is no id"),
        (GOOD + "depends_on = 7\n", "depends_on in"),
        ("revision = '0002'\ndown_revision = '0002'\n", "follows itself (0002 after 0002)"),
        (GOOD + "depends_on = ['0002']\n", "follows itself"),
    ],
)
def test_a_file_that_is_no_revision_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "0002.py").write_text(text)
    with pytest.raises(Failure) as caught:
        revision_files.checked(load)(str(tmp_path), "0002.py")
    assert caught.value.kind == "history_damaged" and said in caught.value.message and str(tmp_path) in caught.value.message
    assert caught.value.hint and caught.value.facts == {"file": str(tmp_path / "0002.py")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{GOOD}<<<<<<< HEAD\n".encode(), "0002.py is no Python: SyntaxError: invalid syntax"),
        (b'"""caf\xe9"""\n' + GOOD.encode(), "0002.py is no Python: "),
        (GOOD.encode() + b"\0", "0002.py is no Python: "),
        (b"import nothing_of_that_name\n", "0002.py could not be loaded: ModuleNotFoundError: No module named"),
    ],
)
def test_a_file_that_can_not_be_loaded_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "0002.py").write_bytes(text)
    with pytest.raises(Failure) as caught:
        revision_files.checked(load)(str(tmp_path), "0002.py")
    assert caught.value.kind == "environment_failed" and said in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("import oracledb\n", ModuleNotFoundError),  # a driver
        ("import sqlite3\nsqlite3.connect('/nowhere/at/all.sqlite').execute('select 1')\n", sqlite3.OperationalError),
    ],
)
def test_what_has_a_kind_of_its_own_keeps_it(tmp_path: Path, text: str, raised: type[Exception]) -> None:
    (tmp_path / "0002.py").write_text(text)
    with pytest.raises(raised):
        revision_files.checked(load)(str(tmp_path), "0002.py")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0002.py", GOOD),
        ("0002.py", "revision: str = '0002'\ndown_revision = ('0001', 'b001')\ndepends_on = None\n"),
        ("0002.py", "revision = '0002'\ndown_revision = None\ndepends_on = ['label']\n"),
        ("0a1b.py", "down_revision = None\n"),  # of Alembic 0.1
    ],
)
def test_a_revision_is_loaded(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert isinstance(revision_files.checked(load)(str(tmp_path), name), ModuleType)


def files(**told: Any) -> list[Any]:
    """Revisions as Alembic has them: id → what it follows, what it depends on, its labels."""
    made = []
    for name, one in told.items():
        down, depends, labels = (*one, None, None)[:3] if isinstance(one, tuple) else (one, None, None)
        module = SimpleNamespace(branch_labels=labels)
        path = f"/versions/{name}_x.py"
        made.append(SimpleNamespace(revision=name, down_revision=down, dependencies=depends, module=module, path=path))
    return made


@pytest.mark.parametrize(
    ("revisions", "said"),
    [
        (files(a=None, b="c", c="b"), "b_x.py and /versions/c_x.py follow each other in a circle (b after c after b)"),
        (files(a=None, b=(["a", "d"],), c="b", d="c"), "in a circle (b after d after c after b)"),
        (files(a=("b",), b=(None, "a")), "in a circle (a after b after a)"),
        (files(a=None, b=("a", "gone")), "depends_on 'gone' in /versions/b_x.py is the id of no revision file."),
        (files(a=None, b=("a", "a_x")), "It is the name of a file: the id in /versions/a_x.py is 'a'."),
        (files(a=None, b="gone"), "down_revision 'gone' in /versions/b_x.py"),
        (files(a=(None, None, "web"), b=(None, None, ["web"])), "have the same branch label 'web'"),
        ([*files(a=None), *files(a=None)], "have the same revision id 'a'"),
    ],
)
def test_files_that_contradict_each_other_are_told(revisions: list[Any], said: str) -> None:
    with pytest.raises(Failure) as caught:
        revision_files.check_together(revisions)
    assert caught.value.kind == "history_damaged" and said in caught.value.message and caught.value.hint


def test_a_label_may_be_depended_on_and_a_merge_is_no_circle() -> None:
    revision_files.check_together(files(a=(None, None, ("web",)), b="a", c=("a", "web"), d=(["b", "c"],), e=(None, "d")))


@given(st.data())
def test_what_only_names_earlier_ones_is_no_circle_and_one_arrow_back_is(data: st.DataObject) -> None:
    names = [f"r{number}" for number in range(data.draw(st.integers(2, 12)))]
    before = {names[0]: []}
    for at, name in enumerate(names[1:], 1):
        before[name] = data.draw(st.lists(st.sampled_from(names[:at]), max_size=3, unique=True))
    before[names[-1]] = sorted({*before[names[-1]], names[0]})
    revision_files.check_together(files(**{name: (down,) for name, down in before.items()}))
    with pytest.raises(Failure, match="circle"):
        revision_files.check_together(files(**{name: (down,) for name, down in {**before, names[0]: [names[-1]]}.items()}))
