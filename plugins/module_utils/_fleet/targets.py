# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From the options of many databases to those of each one, and to the order in which they are worked on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence
from urllib.parse import parse_qsl, quote, urlencode

from .._core import fleet
from .._core.fleet_outcome import Entry, blank, listed
from .._errors import MigrationError
from .._worker.redaction import Redactor, redactor_for

Params = Mapping[str, Any]
#: Drivers that do not hand libpq's options on.
_NOT_LIBPQ = ("+asyncpg", "+pg8000")


#: What tells a target from others, as far as its options do.
_PLACE = ("url", "version_schema", "environment", "x_arguments")


@dataclass(frozen=True)
class Target:
    """One database of many.

    :param params: the options of a module that works on it alone.
    :param entry: its entry in the result while it was not begun.
    """

    name: str
    params: Params
    entry: Entry
    redactor: Redactor

    @property
    def server(self) -> str:
        return str(self.entry["server"])


def refused(message: str, hint: str | None = None) -> MigrationError:
    return MigrationError(message, "options_invalid", hint)


def targets_of(params: Params) -> dict[str, Target]:
    """Return the targets by their names, in order.

    :raises MigrationError: ``options_invalid``.
    """
    given = params["targets"]
    names = [target["name"] for target in given]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise refused(f"Several targets are called {listed(twice)}.", "Give each target a name of its own.")
    for target in given:
        _check(target)
    try:
        canary = fleet.chosen({target["name"]: target["labels"] for target in given}, params["canary"])
    except ValueError as exc:
        raise refused(f"canary can not be used: {exc}.") from exc
    targets = {target["name"]: _target(params, target, target["name"] in canary) for target in given}
    places: dict[str, str] = {}
    for name, target in targets.items():
        own = repr([target.params[item] for item in _PLACE])
        if places.setdefault(own, name) != name:
            raise refused(
                f"The targets {places[own]} and {name} are the same: url, schema, environment and x_arguments are equal.",
                "Give each what is its own, or leave one of them out.",
            )
    return targets


def _check(target: Params) -> None:
    """Refuse what is there and empty: a variable that was to hold it does not, and something else would be taken in its place.

    :raises MigrationError: ``options_invalid``.
    """
    if not target["name"].strip() or not target["name"].isprintable():
        raise refused(f"A target is called {target['name']!r}.", "Give it a name of printable characters.")
    empty = [name for name in ("url", "schema") if target[name] is not None and not target[name].strip()]
    if empty:
        raise refused(
            f"The {empty[0]} of the target {target['name']} is empty.",
            f"Look at the variable that it comes from, or leave {empty[0]} out where the target has none of its own.",
        )


def _target(params: Params, target: Params, canary: bool) -> Target:
    own = _own(params, target)
    redactor = redactor_for(own)
    environment = own["environment"].values()
    server = fleet.server_of([str(own["url"] or ""), *(own.get("urls") or {}).values(), *map(str, environment), *_values(own)])
    entry = blank(target["name"], target["labels"], server, target["schema"], canary)
    return Target(target["name"], own, redactor.clean(entry), redactor)


def _values(own: Params) -> list[str]:
    return [argument.partition("=")[2] for argument in own["x_arguments"]]


def _own(params: Params, target: Params) -> dict[str, Any]:
    """Return the options of the module that would work on this target alone."""
    url, schema = target["url"] or params["url"], target["schema"]
    environment = {**params["environment"], **target["environment"]}
    x_arguments = [*params["x_arguments"], *target["x_arguments"]]
    if schema is not None:
        if not (params["schema_variable"] or params["schema_x_argument"] or params["schema_search_path"]):
            raise refused(
                f"The target {target['name']} has a schema, and nothing says how the project learns of it.",
                "Set schema_variable, schema_x_argument or schema_search_path.",
            )
        if params["schema_search_path"]:
            url = with_search_path(url, schema)
        if params["schema_variable"]:
            environment[params["schema_variable"]] = schema
        if params["schema_x_argument"]:
            x_arguments.append(f"{params['schema_x_argument']}={schema}")
    if params["url_variable"] and url:
        environment[params["url_variable"]] = url
    if params["url_x_argument"] and url:
        x_arguments.append(f"{params['url_x_argument']}={url}")
    revision = params["revision"] or ("heads" if params["state"] == "current" else "head")
    changes = dict(url=url, environment=environment, x_arguments=x_arguments, revision=revision, job=None, version_schema=schema)
    return {**{name: value for name, value in params.items() if name != "targets"}, **changes}


def with_search_path(url: str | None, schema: str) -> str:
    """Return a URL of PostgreSQL whose sessions see ``schema`` and no other.

    :raises MigrationError: ``options_invalid``, for a URL that can not say that.
    """
    head, _mark, query = (url or "").partition("?")
    dialect = head.partition(":")[0]
    if not dialect.startswith("postgres") or dialect.endswith(_NOT_LIBPQ):
        raise refused(
            "schema_search_path needs a URL of PostgreSQL with the driver psycopg or psycopg2.",
            "Set schema_variable or schema_x_argument, and let env.py set the search path.",
        )
    identifier = '"' + schema.replace('"', '""') + '"'
    option = "-csearch_path=" + re.sub(r"([\\\s])", r"\\\1", identifier)
    pairs = parse_qsl(query, keep_blank_values=True)
    options = " ".join([value for name, value in pairs if name == "options"] + [option])
    rest = [(name, value) for name, value in pairs if name != "options"]
    return f"{head}?{urlencode([*rest, ('options', options)], quote_via=quote)}"


def pace_of(params: Params, targets: Mapping[str, Target], reading: bool) -> fleet.Pace:
    """Return in which order and how many at a time; whoever only reads reads all, whatever fails.

    :raises MigrationError: ``options_invalid``.
    """
    canary = [name for name, target in targets.items() if target.entry["canary"]]
    rest = [name for name in targets if name not in set(canary)]
    for name in ("parallel", "parallel_per_server"):
        if params[name] is not None and params[name] < 1:
            raise refused(f"{name} is {params[name]}; it has to be 1 at least.")
    try:
        waves: Sequence[Any] = [*([tuple(canary)] if canary else []), *fleet.batches(rest, params["batches"])]
        allowed = fleet.share(params["max_failures"], len(targets))
    except ValueError as exc:
        raise refused(f"max_failures or batches can not be used: {exc}.") from exc
    servers = {name: target.server for name, target in targets.items()}
    return fleet.Pace(
        (tuple(targets),) if reading else tuple(waves),
        bool(canary),
        servers,
        params["parallel"],
        params["parallel_per_server"] or 0,
        None if reading else allowed,
    )
