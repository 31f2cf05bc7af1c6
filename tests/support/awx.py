# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of AWX's API as the modules of awx.awx ask for when they make something: objects with names, associations, surveys.

It keeps what it is given, and judges only what was seen of a real AWX: a project has to be read before a job template may name a
playbook of it, an approval has no links, and a kind that is left out is an empty one. What else AWX refuses is not seen here.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATH = re.compile(r"/api/v2/(?P<kind>\w+)/(?:(?P<id>\d+)/(?:(?P<sub>\w+)/)?)?$")
#: An association is a list of objects of its own kind, but for these.
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
SECRET = "$encrypted$"


class Awx:
    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.links: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        self.surveys: dict[tuple[str, int], dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.read: set[int] = set()  # projects whose update somebody has waited for
        self._numbers = itertools.count(1)
        self.make("organizations", {"name": "Default"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"awx": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def make(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        url = f"/api/v2/{kind}/{number}/"
        related = {"survey_spec": f"{url}survey_spec/"}
        made = {**_as_kept(kind, given), "id": number, "url": url, "type": kind.rstrip("s"), "related": related}
        made["status"] = "successful"
        self.objects[kind][number] = made
        if kind == "projects":
            update = self.make(
                "project_updates", {"finished": "2026-01-01T00:00:00Z", "failed": False, "project": number, "scm_revision": "a1"}
            )
            made["scm_revision"] = ""
            made["summary_fields"] = {"current_update": {"id": update["id"]}}
        return made

    def named(self, kind: str) -> set[str]:
        return {found.get("name") or found["identifier"] for found in self.objects[kind].values()}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [entry for entry in self.objects[kind].values() if name in (entry.get("name"), entry.get("identifier"))]
        return found

    def linked(self, kind: str, name: str, sub: str) -> set[str]:
        found = [self.find(sub, number) for number in self.links[kind, self.one(kind, name)["id"], sub]]
        return {entry.get("name") or entry["identifier"] for entry in found}

    def find(self, sub: str, number: int) -> dict[str, Any]:
        return next(entries[number] for entries in self.objects.values() if number in entries)

    def listed(self, kind: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        kinds = UNIFIED if kind == "unified_job_templates" else (kind,)
        found = [entry for of in kinds for entry in self.objects[of].values()]
        return [entry for entry in found if all(str(entry.get(key)) == values[0] for key, values in query.items())]


class _Handler(BaseHTTPRequestHandler):
    awx: Awx

    def do_GET(self) -> None:
        kind, number, sub, query = self._asked()
        if number is None:
            return self._list(self.awx.listed(kind, query))
        if sub == "survey_spec":
            return self._answer(200, self.awx.surveys.get((kind, number), {}))
        if sub and kind == "workflow_approval_templates":
            return self._answer(404, {"detail": "The requested resource could not be found."})
        if kind == "project_updates":
            self.awx.read.add(self.awx.objects[kind][number]["project"])
        if sub:
            return self._list([self.awx.find(sub, linked) for linked in self.awx.links[kind, number, sub]])
        return self._answer(200, _shown(self.awx.objects[kind][number]))

    def do_POST(self) -> None:
        kind, number, sub, _ = self._asked()
        given = self._given("POST")
        if number is None and kind == "job_templates" and given["project"] not in self.awx.read:
            return self._answer(400, {"playbook": ["Playbook not found for project."]})
        if number is None:
            return self._answer(201, _shown(self.awx.make(kind, given)))
        if sub == "survey_spec":
            self.awx.surveys[kind, number] = given
            return self._answer(200, {})
        if sub == "create_approval_template":
            made = self.awx.make("workflow_approval_templates", given)
            self.awx.objects[kind][number]["related"]["unified_job_template"] = made["url"]
            return self._answer(201, made)
        links = self.awx.links[kind, number, str(sub)]
        links.remove(given["id"]) if given.get("disassociate") else links.append(given["id"])
        return self._answer(204, None)

    def do_PATCH(self) -> None:
        kind, number, _, _ = self._asked()
        self.awx.objects[kind][number or 0].update(_as_kept(kind, self._given("PATCH")))
        self._answer(200, _shown(self.awx.objects[kind][number or 0]))

    def _asked(self) -> tuple[str, int | None, str | None, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        found = PATH.match(parts.path)
        assert found, self.path
        return found["kind"], int(found["id"]) if found["id"] else None, found["sub"], parse_qs(parts.query)

    def _given(self, method: str) -> dict[str, Any]:
        self.awx.writes.append((method, self.path))
        given: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return given

    def _list(self, found: list[dict[str, Any]]) -> None:
        self._answer(200, {"count": len(found), "next": None, "results": [_shown(entry) for entry in found]})

    def _answer(self, status: int, content: Any) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _as_kept(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "kind": given.get("kind") or ""} if kind == "inventories" else given


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """An object as AWX shows it: what a credential holds is hidden."""
    if entry["type"] != "credential":
        return entry
    return {**entry, "inputs": dict.fromkeys(entry.get("inputs", {}), SECRET)}
