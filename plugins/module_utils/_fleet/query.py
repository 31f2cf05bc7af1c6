# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many databases that are not listed by hand: schemas, databases, rows of a table of the application, or files."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from typing import Any, Mapping, Sequence

from .._bridge import Bridge
from .._core.aside import is_aside
from .._errors import MigrationError
from .._operations import facts_of
from .._worker.redaction import MASK

OPERATION = "database_targets"
Found = Mapping[str, Any]


def found_targets(bridge: Bridge, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the option ``query`` finds: name, labels, and schema, database or file; nothing of it is secret.

    :raises MigrationError: why nothing could be found, or that there is nothing.
    """
    query = params["query"]
    found = _files(query) if query["list"] == "files" else _asked(bridge, params)
    kept = [item for item in found if _matches(item["name"], query)]
    if not kept:
        raise MigrationError(
            f"The query finds no target; there are {len(found)} {query['list']} before match and exclude are looked at.",
            "options_invalid",
            "Look at url, list, match and exclude of the query.",
        )
    hidden = [item["name"] for item in kept if MASK in f"{item['name']}{item.get('schema')}{item.get('database')}"]
    if hidden:
        raise MigrationError(
            f"{len(hidden)} of the targets have a name that is a secret as well, and so can not be told: {hidden[0]}.",
            "name_invalid",
            "Give the role that looks for them another password.",
        )
    return kept


def listed_targets(bridge: Bridge, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return which targets there are, found or given, without looking at any; nothing of it is secret.

    :raises MigrationError: why nothing could be found, or that there is nothing.
    """
    found = found_targets(bridge, params) if params["query"] else params["targets"]
    return [
        {"labels": item["labels"], **{name: item.get(name) for name in ("name", "schema", "database", "file")}} for item in found
    ]


def _matches(name: str, query: Found) -> bool:
    """Paths were matched by the file system, and what a restore of one schema has put aside is nobody's."""
    if query["list"] == "schemas" and is_aside(name):
        return False
    wanted = query["list"] == "files" or not query["match"] or any(fnmatchcase(name, item) for item in query["match"])
    return wanted and not any(fnmatchcase(name, item) for item in query["exclude"])


def _files(query: Found) -> list[dict[str, Any]]:
    paths = sorted({path for item in query["match"] for path in glob.glob(item) if os.path.isfile(path)})
    return [{"name": os.path.splitext(os.path.basename(path))[0], "file": os.path.abspath(path), "labels": []} for path in paths]


def _asked(bridge: Bridge, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    query = params["query"]
    url = query["url"] or params["url"]
    if not url:
        raise MigrationError("The query has no URL to look at.", "options_invalid", "Set url, there or for the module.")
    names = ("environment", "timeout", "chdir")
    request = {name: params[name] for name in names if params.get(name) is not None}
    facts = facts_of(bridge, {**request, "operation": OPERATION, "url": url, "list": query["list"], "sql": query["sql"]})
    return [{"labels": [], **item} for item in facts["targets"]]


def as_targets(found: Sequence[Found], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was found as the option ``targets`` would have it.

    :raises MigrationError: ``name_invalid``, for a name that no URL can hold.
    """
    base = params["url"] or params["query"]["url"]
    blank: dict[str, Any] = {"environment": {}, "x_arguments": [], "schema": None}
    return [
        {**blank, "name": item["name"], "labels": item["labels"], "schema": item.get("schema"), "url": url_of(base, item)}
        for item in found
    ]


def url_of(base: str | None, item: Found) -> str | None:
    """Return the URL of what was found from that of the server, or of the database that holds all schemas.

    :raises MigrationError: ``name_invalid``.
    """
    if item.get("file"):
        return f"sqlite:///{item['file']}"
    return with_database(base, item["database"]) if base and item.get("database") else base


def with_database(url: str, name: str) -> str:
    """Return ``url`` with another database of the same server.

    :raises MigrationError: ``name_invalid``.
    """
    if any(sign in name for sign in "?#/@"):
        raise MigrationError(f"No URL can have the database {name!r}.", "name_invalid", "Leave it out with exclude.")
    head, mark, query = url.partition("?")
    scheme, _slashes, rest = head.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}://{user}{at}{place.partition('/')[0]}/{name}{mark}{query}"
