# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README of a role says what its argument specs say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import role_readmes
from support.paths import ROOT

PAGES = role_readmes.pages()


def test_every_role_has_one() -> None:
    assert {path.parent for path in PAGES} == {path for path in (ROOT / "roles").iterdir() if path.is_dir()}


def test_the_guide_of_what_few_need_is_up_to_date() -> None:
    (text,) = role_readmes.guides().values()
    assert role_readmes.GUIDE.read_text() == text, "run make readmes, which is tests/tooling/role_readmes.py"
    assert len(re.findall(r"^``\w+`` \(", text, re.M)) > 50 and not re.search(r"\b[OVCMR]\(", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_it_is_up_to_date(path: Path) -> None:
    assert path.read_text() == PAGES[path], "run make readmes, which is tests/tooling/role_readmes.py"


@pytest.mark.parametrize("text", PAGES.values(), ids=[path.parent.name for path in PAGES])
def test_its_example_can_be_read_and_its_rows_have_all_cells(text: str) -> None:
    for example in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        assert yaml.safe_load(example)[0]["tasks"][0]["ansible.builtin.include_role"]["name"].startswith("dbops.alembic.")
    rows = re.findall(r"^\| `.*", text.split("## Variables")[1], re.MULTILINE)
    assert rows
    assert [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != 5] == []
    assert not re.search(r"\b[OVCMR]\(", text), "markup of Ansible's is left"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("For O(a_b=c) and V(x@*), C(. _ -) in M(n.c.m).", "For `a_b=c` and `x@*`, `. _ -` in `n.c.m`."),
        ("In R(Some words, a.b.docsite.guide_x).", "In [Some words](../../docs/docsite/rst/guide_x.rst)."),
        (["Of O(n.c.r#role:main:its_option).", "I(Both) | B(two)."], "Of `its_option`. *Both* \\| *two*."),
        ("V(a\\)b) and C(f(x\\))", "`a)b` and `f(x)`"),
        ("C(f(x)) is a call", "`f(x)` is a call"),
    ],
)
def test_markup(written: str, shown: str) -> None:
    assert role_readmes.markdown(written) == shown
