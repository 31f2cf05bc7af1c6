# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Looks at what a host brings. Changes nothing, and nothing that it finds is a failure."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import tempfile
from dataclasses import replace
from typing import Any, Mapping, NamedTuple, Sequence
from urllib.parse import urlsplit

from .._core.host_needs import Answered, Folder, Found, Python, problems, warnings
from .._errors import MigrationError
from .._owned import nearest
from .._releases import read_releases
from .health import Answer, Health, ask, judge
from .health import shown as shown_url
from .reach import database_options, look_at, said
from .services import Service
from .services import problems as service_problems
from .spec import health_from, info_options, manager_from, shown
from .starts import Started, starts

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Characters of an answer that are told.
_LINE = 200
_TEMPORARY = ("dbops-release.", "dbops-restore.")
_MODULES = (
    "import sys, importlib.util as u;"
    "print('%d.%d' % sys.version_info[:2], *[n for n in ('venv', 'ensurepip') if not u.find_spec(n)])"
)


def needs_options() -> dict[str, Any]:
    """The options of the module."""
    looked_at = ("manager", "services", "scope", "supervisor_config", "health")
    return dict(
        {name: option for name, option in info_options().items() if name in looked_at},
        serving=dict(type="bool", default=False),
        unit_files_binding=dict(type="bool", default=True),
        root=dict(type="path"),
        version=dict(type="str"),
        room_binding=dict(type="bool", default=True),
        folders=dict(type="list", elements="path", default=[]),
        files=dict(type="dict", default={}),
        links=dict(type="dict", default={}),
        python=dict(type="list", elements="str", default=[]),
        programs=dict(type="list", elements="str", default=[]),
        programs_directory=dict(type="path"),
        database=dict(type="dict", options=database_options()),
    )


class Looked(NamedTuple):
    """What is wrong with a host, what is to be looked at, and what a deployment has to know of it besides."""

    problems: list[str]
    remarks: list[str]
    facts: dict[str, Any]


def look(params: Mapping[str, Any]) -> Looked:
    """Look at a host; what could not be found out is missing in the facts."""
    refused, services = _services(params)
    wrong, answered = _answered(params, services)
    there, release = _release(params)
    started = _started(params, services)
    built = release.get("prepared", False)
    usual = os.pathsep.join([os.environ.get("PATH", ""), PATH])
    first = [params["programs_directory"]] if params["programs_directory"] else []
    root = params["root"]
    found = Found(
        user=_user(),
        told=[*refused, *there, *wrong],
        folders=_folders([*([root, os.path.join(root, "releases")] if root else []), *params["folders"]]),
        python=_python(params["python"]) if params["python"] and not built else None,
        programs={} if built else {name: bool(shutil.which(name, path=usual)) for name in params["programs"]},
        starts={unit.name: unit.text for unit in started},
        absent=[*(text for unit in started for text in unit.absent), *_unreadable(params["files"], root)],
        absent_binding=params["unit_files_binding"],
        room_binding=params["room_binding"],
        link=os.path.join(root, "current") if root else "",
        dangling=_dangling(params["links"], root),
        database=look_at(params["database"], os.pathsep.join([*first, PATH])) if params["database"] else None,
        answered=answered,
    )
    place = _place(root) if root and params["version"] and not built else ""
    known = {
        "release": release,
        "place": place,
        **(shown(services) if services else {}),
        "health_problem": answered.problem if answered else "",
    }
    told = {name: value for name, value in known.items() if value}
    return Looked(problems(found), warnings(found), {**told, "temporary": _temporary()})


def _services(params: Mapping[str, Any]) -> tuple[list[str], list[Service]]:
    if not params["services"]:
        return [], []
    try:
        found = manager_from(dict(params)).look()
    except MigrationError as exc:
        return [_told(exc)], []
    return service_problems(found), list(found)


def _answered(params: Mapping[str, Any], services: Sequence[Service]) -> tuple[list[str], Answered | None]:
    """Ask the health check of what serves now, once; where nothing does, only whether its host has an address."""
    try:
        health = replace(health_from(params), release_key="")  # which the next release may bring
    except MigrationError as exc:
        return [_told(exc)], None
    if not health.url:
        return [], None
    host = "" if health.unix_socket else str(urlsplit(health.url).hostname)
    unresolved = _without_address(host) if host else ""
    serves = params["serving"] or any(item.runs and item.part == "member" for item in services)
    problem = _judged(health) if serves and not unresolved else ""
    return [], Answered(shown_url(health.url), host, unresolved, _cut_short(problem))


def _judged(health: Health) -> str:
    answer = ask(health)
    page = answer.text.lstrip().startswith("<") and not health.text  # of which the beginning says nothing
    return judge(health, Answer(answer.status) if page else answer)


def _without_address(host: str) -> str:
    """Return why a name has no address; a name service that does not answer now may answer later."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as exc:
        final = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        return str(exc.strerror) if exc.errno in final else ""
    except UnicodeError:
        return "it is no name of a host"
    return ""


def _cut_short(problem: str) -> str:
    """Return the beginning of what is wrong with an answer, which may be a page."""
    line = " ".join(problem.split()).rstrip(".:")
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def _unreadable(files: Mapping[str, Any], root: str | None) -> list[str]:
    """Say which files can not be read; those of a release may come with the next one."""
    own = tuple(os.path.join(root, name) + os.sep for name in ("current", "releases")) if root else ()
    paths = {what: os.path.expandvars(os.path.expanduser(str(path or ""))) for what, path in files.items()}
    asked = [(what, path) for what, path in paths.items() if path and not (own and path.startswith(own))]
    return [
        f"{what} is {path}, which {'can not be read by ' + _user() if os.path.exists(path) else 'is not there'}. Put it there, or"
        " name another file."
        for what, path in asked
        if not (os.path.isfile(path) and os.access(path, os.R_OK))
    ]


def _dangling(links: Mapping[str, Any], root: str | None) -> dict[str, str]:
    """Return the links of a release whose target is not there; what is in a release may come with it, as what is relative to it."""
    own = os.path.join(root, "releases") + os.sep if root else ""
    absolute = {name: str(target) for name, target in links.items() if os.path.isabs(str(target or ""))}
    return {name: path for name, path in absolute.items() if not (own and path.startswith(own)) and not os.path.lexists(path)}


def _started(params: Mapping[str, Any], found: Sequence[Service]) -> list[Started]:
    names = [item.name for item in found if item.part == "member" and not item.refused]
    below = os.path.join(params["root"], "current") if params["root"] else ""
    return starts(params["manager"], names, params["scope"], params["supervisor_config"], below) if found else []


def _release(params: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Return what keeps a release from being built, and which releases there are."""
    if not params["root"]:
        return [], {}
    try:
        found = read_releases({"root": params["root"], "version": params["version"]})
    except MigrationError as exc:
        return [_told(exc)], {}
    except OSError:  # _folders tells of it
        return [], {}
    return found["refused"], {name: value for name, value in found.items() if name != "changed"}


def _place(path: str) -> str:
    """Return what tells whether two hosts mean one folder: the machine's boot, the file that is there, the rest of the path."""
    path = os.path.realpath(path)
    there = nearest(path)
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        found = os.stat(there)
    except OSError:
        return ""
    return f"{boot} {found.st_dev} {found.st_ino} {os.path.relpath(path, there)}"


def _temporary() -> list[dict[str, Any]]:
    """Return the folders that a run which was killed may have left, as ansible.builtin.find tells of them."""
    found: list[dict[str, Any]] = []
    for folder in sorted({"/tmp", "/var/tmp", tempfile.gettempdir()}):  # where ansible.builtin.tempfile makes them
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # the run that had made it has ended
                    if entry.name.startswith(_TEMPORARY) and entry.is_dir(follow_symlinks=False):
                        mtime = entry.stat(follow_symlinks=False).st_mtime
                        found.append({"path": entry.path, "mtime": mtime, "isdir": True, "islnk": False})
    return found


def _told(exc: MigrationError) -> str:
    return " ".join(part.rstrip(".") + "." for part in (exc.msg, exc.hint) if part)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _folders(paths: Sequence[str]) -> list[Folder]:
    """Look at folders; one that is made together with the one above it is not told of twice."""
    found: list[Folder] = []
    for path in dict.fromkeys(os.path.normpath(path) for path in paths):
        folder = _folder(path)
        if not any(path.startswith(other.path + os.sep) and other.nearest == folder.nearest for other in found):
            found.append(folder)
    return found


def _folder(path: str) -> Folder:
    there = nearest(path)
    try:
        space = os.statvfs(there)
    except NotADirectoryError:
        return Folder(path, there, False, False)
    except OSError as exc:
        return Folder(path, there, False, False, reason=str(exc.strerror or exc))
    # File systems without a size, or without a table of files, tell 0 of them.
    size = space.f_bavail * space.f_frsize if space.f_blocks else None
    files = space.f_favail if space.f_files else None
    return Folder(path, there, os.path.isdir(there), os.access(there, os.W_OK | os.X_OK), size, files)


def _python(command: Sequence[str]) -> Python:
    status, out, errors = said([*command, "-c", _MODULES])
    if status:
        lines = [line.strip() for line in (errors or out).splitlines() if line.strip()]
        return Python(shlex.join(command), said=lines[-1].rstrip(".") if lines else f"it ended with exit status {status}")
    words = out.split()
    return Python(shlex.join(command), words[1:], version=words[0] if words else "")
