# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as a site: it is built without a warning, and what points to a page finds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.failure import DOCUMENTATION, SEE, kind_line
from ansible_collections.dbops.alembic.plugins.module_utils._errors import ERROR_KINDS

from docs_site import PAGES, Site
from support.paths import ROOT

FROM_ELSEWHERE = re.compile(r"""\bsrc="(https?:)?//|<link [^>]*stylesheet[^>]*"(https?:)?//""")

pytestmark = pytest.mark.slow  # about half a minute


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site"))
    made.write()
    done = made.render()
    assert (done.returncode, done.stdout) == (0, "")
    return made


def test_every_guide_module_and_role_has_a_page(site: Site) -> None:
    pages = site.html / PAGES
    guides = {f"docsite/{path.stem}" for path in (ROOT / "docs" / "docsite" / "rst").glob("*.rst")}
    modules = {f"{path.stem}_module" for path in (ROOT / "plugins" / "modules").glob("*.py")}
    roles = {f"{path.parents[1].name}_role" for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")}
    assert len(guides) > 10 and len(modules) > 30 and len(roles) > 6
    assert {name for name in guides | modules | roles if not (pages / f"{name}.html").exists()} == set()


def test_the_first_page_leads_to_the_guides_and_has_its_picture(site: Site) -> None:
    text = (site.html / "index.html").read_text()
    for guide in ("guide_maintenance_window", "guide_error_kinds", "from_ansistrano", "design_decisions"):
        assert f'href="{PAGES}/docsite/{guide}.html' in text
    assert "_images/window.svg" in text and (site.html / "_images" / "window.svg").exists()


def test_an_error_kind_has_an_address(site: Site) -> None:
    text = (site.html / PAGES / "docsite" / "guide_error_kinds.html").read_text()
    address = kind_line("lock_timeout").partition(SEE)[2]
    assert address == f"{DOCUMENTATION}/{PAGES}/docsite/guide_error_kinds.html#lock-timeout"
    assert [kind for kind in ERROR_KINDS if f'id="{kind_line(kind).rpartition("#")[2]}"' not in text] == []


def test_a_page_needs_nothing_of_others(site: Site) -> None:
    """It can be read where no network is: no script, style or picture comes from elsewhere."""
    pages = list(site.html.rglob("*.html"))
    assert len(pages) > 50
    assert [path.name for path in pages if FROM_ELSEWHERE.search(path.read_text())] == []


def test_a_reference_that_leads_nowhere_fails_it(site: Site, tmp_path: Path) -> None:
    page = site.source / "index.rst"
    before = page.read_text()
    page.write_text(before + "\n:ref:`x <ansible_collections.dbops.alembic.docsite.guide_nowhere>`\n")
    done = site.render()
    page.write_text(before)
    assert done.returncode and "guide_nowhere" in done.stdout
