# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How right the plan is: held against migrations of which is known whether they block and break running code.

DBOPS_CORPUS names the folder: an Alembic project that reads DB_URL, one base revision and the cases as its children, populate.sql
for rows, and labels.json with "blocks" (true or false) and "old_code" ("ok", "maybe", "break" or "fails") for each case.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from bench.table import show
from support import runner, venvs
from support.postgres import Postgres

VARIABLE = "DBOPS_CORPUS"
#: Enough for a table to be large; the labels were measured with more, which changes how long a case takes and not what it does.
ROWS = 120000
VERDICTS = {"blocks": ("blocks",), "breaks": ("breaks", "fails")}


def measure(server: Postgres) -> None:
    folder = os.environ.get(VARIABLE)
    if not folder or not (Path(folder) / "labels.json").exists():
        print(f"\nPrecision and recall of the plan are left out: {VARIABLE} names no folder with labelled migrations.")
        return
    for mode in ("rehearse", "static"):
        score(server, Path(folder), mode)


def score(server: Postgres, folder: Path, mode: str = "rehearse") -> dict[str, tuple[float, float]]:
    """Print the verdicts that are wrong, and precision and recall; return them. What is unknown counts as neither."""
    labels: dict[str, dict[str, Any]] = json.loads((folder / "labels.json").read_text())
    revisions = {
        path.stem: re.search(r'^revision\s*(?::.*)?=\s*"([^"]+)"', path.read_text(), re.M).group(1)  # type: ignore[union-attr]
        for path in (folder / "migrations" / "versions").glob("*.py")
        if path.stem in labels
    }
    database = server.database(attributes="createdb")
    variables = {"DB_URL": database.url()}
    python = venvs.application("alembic120")
    base = next(path.stem for path in (folder / "migrations" / "versions").glob("b*.py"))
    subprocess.run(
        [python, "-m", "alembic.config", "upgrade", base],
        cwd=folder,
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
    )
    rows = re.sub(r"\b\d{7,}\b", str(ROWS), (folder / "populate.sql").read_text())
    database.fetch(rows)
    counts: dict[str, Counter[str]] = {name: Counter() for name in VERDICTS}
    wrong: list[list[object]] = [["case", "verdict", "label", "findings"]]
    for case in sorted(labels):
        parameters = {
            "chdir": str(folder),
            "python": str(python),
            "environment": variables,
            "revision": revisions[case],
            "mode": mode,
        }
        plan = runner.run("alembic_plan", {**parameters, "url": database.url()})
        assert not plan.get("failed"), (case, plan["msg"])
        found = plan["revisions"][0]["findings"]
        truth = {"blocks": labels[case]["blocks"], "breaks": labels[case]["old_code"] in ("break", "fails")}
        for name, classes in VERDICTS.items():
            said = any(finding["class"] in classes for finding in found)
            counts[name][f"{said}{truth[name]}"] += 1
            if said != truth[name]:
                wrong.append([case, f"{name}: {said}", truth[name], " ".join(finding["rule"] for finding in found)])
    database.drop()
    if len(wrong) > 1:
        show(f"Verdicts of the plan ({mode}) that the labels do not share", wrong)
    result = {name: _rates(each) for name, each in counts.items()}
    rates = [[name, f"{precision:.2f}", f"{recall:.2f}"] for name, (precision, recall) in result.items()]
    show(f"The plan ({mode}) on {len(labels)} labelled migrations", [["verdict", "precision", "recall"], *rates])
    return result


def _rates(counts: Counter[str]) -> tuple[float, float]:
    hits = counts["TrueTrue"]
    return hits / max(1, hits + counts["TrueFalse"]), hits / max(1, hits + counts["FalseTrue"])
