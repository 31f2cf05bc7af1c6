# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment for machines: JSON, JUnit XML, and metrics for Prometheus in its text format. Plain Python."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from . import _times
from ._summary import place
from ._text import part

Result = Mapping[str, Any]

#: The first line of a file of metrics, by which it is known to be ours.
MARK = "# dbops.alembic\n"
#: The ways in which a deployment can have ended, for dbops_deployment_outcome.
OUTCOMES = ("finished", "reverted", "halted", "open")


def as_json(result: Result) -> str:
    return json.dumps({"generator": "dbops.alembic", **result}, indent=2, ensure_ascii=False) + "\n"


def junit(result: Result) -> str:
    """Return JUnit XML: a test case for the deployment as a whole, one for each revision, and one for each step of each host."""
    application = str(result.get("application") or "")
    suites = [
        _suite(f"{application}: deployment", [_whole(result)]),
        _suite(f"{application}: revisions", [_revision(item) for item in result.get("revisions") or ()]),
        _suite(
            f"{application}: hosts", [case for name, host in part(result.get("host_states")).items() for case in _host(name, host)]
        ),
    ]
    return (
        "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8"?>',
                "<!-- dbops.alembic -->",
                f"<testsuites name={_attribute(application)}>",
                *suites,
                "</testsuites>",
            ]
        )
        + "\n"
    )


def _suite(name: str, cases: list[tuple[str, str]]) -> str:
    failures, skipped = (sum(found == kind for found, case in cases) for kind in ("failure", "skipped"))
    numbers = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="{skipped}"'
    head = f"<testsuite name={_attribute(name)} {numbers}>"
    return "\n".join([head, *(case for found, case in cases), "</testsuite>"])


def _case(group: str, name: str, seconds: Any, kind: str = "", message: str = "", text: str = "") -> tuple[str, str]:
    body = f"<{kind} message={_attribute(message)}>{_text(text)}</{kind}>" if kind else ""
    time = f' time="{float(seconds):.3f}"' if isinstance(seconds, (int, float)) else ""
    return kind, f"<testcase classname={_attribute(group)} name={_attribute(name)}{time}>{body}</testcase>"


def _whole(result: Result) -> tuple[str, str]:
    verdict = part(result.get("verdict"))
    seconds = _times.seconds(result.get("ended_at")) - _times.seconds(result.get("started_at"))
    name = "{} to {}".format(result.get("kind") or "deployment", result.get("to_release") or "the same release")
    if result.get("outcome") == "finished":
        return _case("deployment", name, seconds)
    failure = part(result.get("failure"))
    text = "\n".join(
        filter(
            None,
            (str(failure.get("message") or ""), str(verdict.get("serves") or ""), str(part(result.get("data")).get("text") or "")),
        )
    )
    return _case("deployment", name, seconds, "failure", str(verdict.get("text") or result.get("message") or ""), text)


def _revision(item: Mapping[str, Any]) -> tuple[str, str]:
    name = "{} {}".format(item.get("revision"), item.get("message") or "").strip()
    if item.get("state") == "failed":
        return _case("revision", name, item.get("seconds"), "failure", "it failed")
    if item.get("state") in ("applied", "ran"):
        return _case("revision", name, item.get("seconds"))
    return _case("revision", name, item.get("seconds"), "skipped", str(item.get("state")).replace("_", " "))


def _host(name: str, host: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for step in host.get("steps") or ():
        title = "{} {}".format(step["pass"], step["step"])
        if step["state"] == "failed":
            message = str(host.get("message") or "")
            yield _case(name, title, None, "failure", message.split("\n", 1)[0], message)
        elif step["state"] == "not_taken":
            yield _case(name, title, None, "skipped", "not taken")
        else:
            yield _case(name, title, None)


def _text(text: str) -> str:
    """Leave out what XML has no way to write."""
    return escape("".join(character for character in text if _writable(character)))


def _attribute(text: str) -> str:
    return quoteattr("".join(character if _writable(character) and character not in "\n\t" else " " for character in text))


def _writable(character: str) -> bool:
    number = ord(character)
    return character in "\n\t" or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or number >= 0x10000


def prometheus(result: Result) -> str:
    """Return the metrics of a deployment in the text format of Prometheus, for the node exporter's textfile collector.

    What is not known has no sample, as there is no number for it. Times are given as such and not as ages, as Prometheus has it.
    """
    labels = _labels(result)
    ended, outcome = _times.seconds(result.get("ended_at")), str(result.get("outcome") or "")
    outcomes = [({**labels, "outcome": name}, int(name == outcome)) for name in OUTCOMES]
    took = ended - _times.seconds(result.get("started_at"))
    return MARK + "".join(
        [
            _metric("deployment_outcome", "How the last deployment ended: 1 for the one that holds.", *outcomes),
            _metric("deployment_ended_timestamp_seconds", "When the last deployment ended.", (labels, ended)),
            _metric("deployment_duration_seconds", "How long the last deployment took.", (labels, took)),
            _downtime(result, labels),
            _metric("deployment_downtime_lasts", "Whether the application is down after it.", (labels, int(_lasts(result)))),
            _metric("deployment_info", "What serves and where the database stands after it.", (_info(result, labels), 1)),
            _databases(result, labels),
        ]
    )


def _downtime(result: Result, labels: Mapping[str, str]) -> str:
    """Nothing where nobody has measured it: 0 would say that there was none."""
    if not result.get("downtime_measured", True):
        return ""
    text = "Downtime of the last deployment; 0 where nothing was stopped, and absent where it was not measured."
    return _metric("deployment_downtime_seconds", text, (labels, float(result.get("downtime_seconds") or 0)))


def prometheus_backup(result: Result) -> str:
    """Return the metrics of the archive that a deployment or a backup wrote; none where it wrote none."""
    labels, archive = _labels(result), part(result.get("archive"))
    if not archive.get("created_at"):
        return MARK
    proved, created = part(archive.get("proof")).get("proved"), _times.seconds(archive["created_at"])
    return MARK + "".join(
        [
            _metric("backup_created_timestamp_seconds", "When the newest archive was written.", (labels, created)),
            _metric("backup_bytes", "Size of the newest archive.", (labels, float(archive.get("bytes") or 0))),
            _metric("backup_proved", "Whether the newest archive was restored and compared.", (labels, int(bool(proved)))),
        ]
    )


def _labels(result: Result) -> dict[str, str]:
    return {"application": str(result.get("application") or "")}


def _lasts(result: Result) -> bool:
    down = part(result.get("downtime"))
    return bool(down) and not down.get("to")


def _info(result: Result, labels: Mapping[str, str]) -> dict[str, str]:
    hosts = [part(host) for host in part(result.get("host_states")).values()]
    releases = sorted({str(host.get("release")) for host in hosts if host.get("state") == "serves" and host.get("release")})
    found = {**labels, "kind": str(result.get("kind") or ""), "release": ",".join(releases)}
    return found if result.get("databases") else {**found, "revision": _revision_label(result.get("database_revision"))}


def _revision_label(at: Sequence[str] | None) -> str:
    return "unknown" if at is None else ",".join(at) or "base"


def _databases(result: Result, labels: Mapping[str, str]) -> str:
    """How many databases stand where: a sample for each place, since one for each of hundreds would be many for every rule."""
    lines = result.get("databases") or ()
    if not lines:
        return ""
    counts: dict[str, int] = {}
    for line in lines:
        where = place(line) if line["at"] is None else _revision_label(line["at"])
        counts[where] = counts.get(where, 0) + line["count"]
    samples = [({**labels, "revision": revision}, float(count)) for revision, count in counts.items()]
    behind = float(len(part(result.get("fleet")).get("behind") or ()))
    return _metric("deployment_databases", "How many databases stand at a revision after it.", *samples) + _metric(
        "deployment_databases_behind", "How many databases did not get to the release.", (labels, behind)
    )


def _metric(name: str, text: str, *samples: tuple[Mapping[str, str], float]) -> str:
    lines = [f"# HELP dbops_{name} {text}", f"# TYPE dbops_{name} gauge"]
    for labels, value in samples:
        told = ",".join(f'{label}="{_label(given)}"' for label, given in labels.items())
        lines.append(f"dbops_{name}{{{told}}} {value:.15g}")
    return "\n".join(lines) + "\n"


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
