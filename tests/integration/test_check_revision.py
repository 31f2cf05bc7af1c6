# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""alembic_check and alembic_revision: do models and database agree, and new revision files for pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok, revisions


@pytest.fixture
def models(app: Application, pg: Any) -> Any:
    project = app.project("models", pg)
    ok(app.upgrade(project))
    return project


AHEAD = {"environment": {"MODELS": "ahead"}}


@pytest.mark.core
def test_in_sync(app: Application, models: Any, pg: Any) -> None:
    before = pg.dump()
    result = ok(app.run("check", models))
    assert result["in_sync"] is True and result["differences"] == [] and not result["changed"] and pg.dump() == before


@pytest.mark.core
def test_differences_are_data(app: Application, models: Any, pg: Any) -> None:
    before = pg.dump()
    result = failed(app.run("check", models, **AHEAD), "models_differ")
    assert result["in_sync"] is False and pg.dump() == before
    found = {(entry["operation"], entry["table"], entry["name"]) for entry in result["differences"]}
    assert ("add_column", "customers", "phone") in found and any(entry[:2] == ("add_table", "payments") for entry in found)
    assert "payments" in result["msg"] or "phone" in result["msg"]
    told = ok(app.run("check", models, fail_on_difference=False, **AHEAD))
    assert told["in_sync"] is False and told["differences"] == result["differences"]


def test_a_table_that_nobody_knows(app: Application, models: Any, pg: Any) -> None:
    pg.fetch("create table forgotten (id integer)")
    pg.fetch("alter table customers alter name drop not null")
    found = {
        (entry["operation"], entry["table"], entry["name"])
        for entry in failed(app.run("check", models), "models_differ")["differences"]
    }
    assert ("remove_table", "forgotten", None) in found and ("modify_column", "customers", "name") in found


def test_check_needs_models_and_a_database_at_head(app: Application, models: Any, pg: Any, sqlite: Any) -> None:
    ok(app.downgrade(models, "base"))
    failed(app.run("check", models), "database_behind")
    plain = app.project("linear", sqlite)
    ok(app.upgrade(plain))
    failed(app.run("check", plain), "models_missing")


@pytest.mark.core
def test_an_empty_revision(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    said = ok(app.run("revision", project, title="add orders.note", check=True))
    assert said["changed"] and len(list(project.versions().glob("*.py"))) == 5
    made = ok(app.run("revision", project, title="add orders.note", revision_id="r006"))
    new = made["revisions"][0]
    assert (
        made["changed"]
        and new["revision"] == "r006"
        and new["down_revision"] in ("r005", ["r005"])
        and new["message"] == "add orders.note"
    )
    assert "add orders.note" in Path(new["path"]).read_text() and ok(app.info(project))["heads"] == ["r006"]
    assert ok(app.upgrade(project))["after"] == ["r006"]
    again = ok(app.run("revision", project, title="add orders.note", revision_id="r006"))
    assert not again["changed"], "with its id given the task is idempotent"


@pytest.mark.core(quick=True)
def test_autogenerate(app: Application, models: Any, pg: Any) -> None:
    nothing = ok(app.run("revision", models, method="autogenerate", title="nothing"))
    assert not nothing["changed"] and nothing["revisions"] == [] and len(list(models.versions().glob("*.py"))) == 1
    said = ok(app.run("revision", models, method="autogenerate", title="phone and payments", check=True, diff=True, **AHEAD))
    assert said["changed"] and len(list(models.versions().glob("*.py"))) == 1 and said["operations"]
    made = ok(app.run("revision", models, method="autogenerate", title="phone and payments", **AHEAD))
    assert made["changed"] and len(made["operations"]) == len(said["operations"]) == 2
    text = Path(made["revisions"][0]["path"]).read_text()
    assert "create_table" in text and "payments" in text and "add_column" in text
    result = ok(app.upgrade(models, **AHEAD))
    assert result["after"] == revisions(made["revisions"]) and "payments" in pg.tables()
    assert ok(app.run("check", models, **AHEAD))["in_sync"] is True


def test_autogenerate_needs_a_database_at_head(app: Application, models: Any) -> None:
    ok(app.downgrade(models, "base"))
    failed(app.run("revision", models, method="autogenerate", title="x", **AHEAD), "database_behind")


@pytest.mark.core
def test_merge(app: Application, sqlite: Any) -> None:
    project = app.project("two_heads", sqlite)
    assert ok(app.run("revision", project, method="merge", title="one again", check=True))["changed"]
    assert len(list(project.versions().glob("*.py"))) == 3
    made = ok(app.run("revision", project, method="merge", title="one again"))
    assert made["changed"] and sorted(made["revisions"][0]["down_revision"]) == ["t002a", "t002b"]
    assert not ok(app.run("revision", project, method="merge", title="one again"))["changed"]
    assert ok(app.upgrade(project))["after"] == revisions(made["revisions"])


def test_a_revision_on_one_of_several_heads(app: Application, sqlite: Any) -> None:
    project = app.project("two_heads", sqlite)
    failed(app.run("revision", project, title="on which"), "multiple_heads")
    made = ok(app.run("revision", project, title="on the left", head="t002a", revision_id="t003a"))
    assert made["revisions"][0]["down_revision"] in ("t002a", ["t002a"])
    failed(app.run("revision", project, title="on a former head", head="t001"), "target_invalid")
    assert ok(app.run("revision", project, title="spliced in", head="t001", splice=True, branch_label="side"))["changed"]


def test_where_a_revision_goes(app: Application, sqlite: Any) -> None:
    project = app.project("version_locations", sqlite)
    path = project.folder / "plugins" / "reports" / "versions"
    made = ok(app.run("revision", project, title="more reports", version_path=str(path), depends_on=["v001"]))
    assert made["revisions"][0]["path"].startswith(str(path)) and "v001" in Path(made["revisions"][0]["path"]).read_text()
