# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The programs of supervisor, through its own interface: states, stops and starts as data, where supervisorctl prints text."""

from __future__ import annotations

import base64
import configparser
import http.client
import os
import socket
import time
import xmlrpc.client
from typing import Any, Callable, Mapping, Sequence

from .._errors import MigrationError
from .services import Limits, Service, described, down

#: The faults of supervisor that are told apart.
_SHUTTING_DOWN, _BAD_NAME, _SPAWN_ERRORS, _NOT_RUNNING, _ALREADY_STARTED = 6, 10, (20, 21, 50), 70, 60
_LIVING = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")
_POLL_SECONDS = 0.1
#: How long after its end supervisor may take to start a program again: it looks once a second.
_RESTART_SECONDS = 2


def matches(service: str, group: str, name: str, groups: Sequence[str]) -> bool:
    """Return whether the name in the operator's list means this program, by the rules of supervisorctl.

    ``orders:*`` and ``orders:`` are a group, ``orders:web`` is one of its programs, ``web`` the program of that name. The name
    of a group alone means the group, where supervisorctl knows no such process.
    """
    if service == "all":
        return True
    wanted_group, colon, wanted = service.partition(":")
    if colon:
        return group == wanted_group and wanted in ("", "*", name)
    return group == service and (name == service or service in groups)


def is_exact(service: str, found: Sequence[tuple[str, str]]) -> bool:
    """Return whether ``service`` names one program, and not a group that may have programs which nobody started."""
    group, colon, name = service.partition(":")
    return (name not in ("", "*")) if colon else (group, group) in found


def full_name(group: str, name: str) -> str:
    return name if group == name else f"{group}:{name}"


def service_from(info: Mapping[str, Any], config: Mapping[str, Any], service: str, exact: bool) -> Service:
    """Judge one program, from its process information and, where supervisor is new enough, its configuration."""
    state = str(info["statename"])
    own_settling = config.get("startsecs", 1) != 0  # supervisor itself waits until it has stayed up for this long
    said = str(info.get("spawnerr") or "") if state in ("FATAL", "BACKOFF") else ""
    if state == "EXITED":
        said = f"exit status {info.get('exitstatus', 0)}"
    once = state == "EXITED" and not own_settling and info.get("exitstatus", 0) in (0, *_exit_codes(config))
    return Service(
        service=service,
        name=full_name(info["group"], info["name"]),
        state=state,
        detail=said,
        runs=state in _LIVING,
        waiting=state in ("STARTING", "BACKOFF", "STOPPING"),
        restarting=state == "EXITED" and info.get("now", 0) - info.get("stop", 0) < _RESTART_SECONDS,
        ended=once,
        failed=not exact and not once and state in ("EXITED", "FATAL"),
        starts_itself=bool(config.get("autostart", True)),
        exact=exact,
        generation="settled" if own_settling and state == "RUNNING" else f"{info.get('start', 0)} {info.get('pid', 0)}",
    )


def _exit_codes(config: Mapping[str, Any]) -> tuple[int, ...]:
    codes = config.get("exitcodes", ())
    return tuple(codes) if isinstance(codes, (list, tuple)) else ()


class Supervisor:
    """The programs that ``services`` names, of the supervisor that the section ``supervisorctl`` of ``path`` points at."""

    def __init__(
        self,
        services: Sequence[str],
        path: str,
        limits: Limits,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.services, self.path, self.limits, self.now, self.sleep = services, path, limits, now, sleep
        self.server = server_from(path) if services else None
        self._configs: dict[tuple[str, str], Mapping[str, Any]] | None = None

    def look(self) -> list[Service]:
        """Return every program that is named, each once, in the order of the names and of supervisor's own priorities."""
        if not self.services:
            return []
        infos = {(item["group"], item["name"]): item for item in self._call("getAllProcessInfo")}
        configs = self._read_configs()
        order = sorted(infos, key=lambda key: (*_priorities(configs.get(key, {})), key))
        groups = sorted({group for group, _name in infos})
        found: dict[str, Service] = {}
        for service in self.services:
            exact = is_exact(service, list(infos))
            keys = [key for key in order if matches(service, *key, groups)]
            if exact and ":" not in service:
                keys = [(service, service)]
            if not keys:
                unknown = Service(service, service, "unknown", refused=self._unknown(service, sorted(infos)))
                found.setdefault(service, unknown)
            for key in keys:
                found.setdefault(full_name(*key), service_from(infos[key], configs.get(key, {}), service, exact))
        return list(found.values())

    def _unknown(self, service: str, known: Sequence[tuple[str, str]]) -> str:
        bare = service.rstrip(":*").rpartition(":")[2]
        near = [full_name(*key) for key in known if bare in key]
        hint = f"did you mean {' or '.join(near)}?" if near else "after a change of its files, supervisorctl update makes it known."
        return f"supervisor on this host knows no {service}; {hint}"

    def stop(self, found: Sequence[Service]) -> None:
        """Stop all programs at once, the last one first, and wait until none is there and none will be started again."""
        names = [item.name for item in found if not item.refused]
        for name in reversed(names):
            self._stop_one(name)
        deadline, left = self.now() + self.limits.stop, len(names)
        while True:
            living = self._living(names)
            if not living:
                return
            for item in living:
                if item.state != "STOPPING":
                    self._stop_one(item.name)
            if len(living) < left:
                deadline, left = self.now() + self.limits.stop, len(living)
            if self.now() > deadline:
                raise MigrationError(
                    f"Not stopped after {self.limits.stop:g} s: {described(living)}.",
                    "not_stopped",
                    "stopwaitsecs of the program says when supervisor kills it; or give it more time.",
                )
            self.sleep(_POLL_SECONDS)

    def _living(self, names: Sequence[str]) -> list[Service]:
        """Return what is still there, or has just ended by itself and may be started again."""
        infos = [item for item in self._call("getAllProcessInfo") if full_name(item["group"], item["name"]) in names]
        found = [service_from(item, {}, item["name"], True) for item in infos]
        return [item for item in found if item.runs or item.restarting]

    def _stop_one(self, name: str) -> None:
        try:
            self._call("stopProcess", rpc_name(name), False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in (_NOT_RUNNING, _BAD_NAME):  # gone, or gone by itself
                raise _refused(name, "stopped", fault, "not_stopped") from fault

    def start(self, names: Sequence[str], wait: bool) -> None:
        """Start programs together, as supervisor starts a group; ``wait`` until each has stayed up, or has failed to."""
        for name in names:
            try:
                self._call("startProcess", rpc_name(name), False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != _ALREADY_STARTED and fault.faultCode not in _SPAWN_ERRORS:
                    raise _refused(name, "started", fault, "start_failed") from fault
        deadline = self.now() + self.limits.start
        while wait:
            own = [item for item in self.look() if item.name in names]
            if down(own, names) or not any(item.waiting for item in own):
                return  # whether all went well is judged by the caller, who knows what may fail
            if self.now() > deadline:
                late = [item for item in own if item.waiting]
                raise MigrationError(
                    f"Not started after {self.limits.start:g} s: {described(late)}.",
                    "start_failed",
                    "See its log; or give it more time.",
                )
            self.sleep(_POLL_SECONDS)

    def logs(self, names: Sequence[str], since: float, lines: int) -> str:
        """Return the end of what the programs wrote, of both outputs; supervisor has no times, so ``since`` is not used."""
        parts = []
        for name in names:
            for kind in ("Stdout", "Stderr"):
                try:
                    text = str(self._call(f"tailProcess{kind}Log", rpc_name(name), 0, 16000)[0]).rstrip()
                except (xmlrpc.client.Fault, MigrationError):  # no such file, or the output goes elsewhere
                    continue
                parts += [f"{name}: {line}" for line in text.splitlines()[-lines:]]
        return "\n".join(parts[-lines:])

    def _read_configs(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        if self._configs is None:
            try:
                found = self._call("getAllConfigInfo")
            except xmlrpc.client.Fault:  # older than 3.0
                found = []
            self._configs = {(item["group"], item["name"]): item for item in found}
        return self._configs

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self.server, f"supervisor.{method}")(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _SHUTTING_DOWN:
                raise MigrationError("supervisor on this host is shutting down.", "manager_unreachable") from fault
            raise
        except xmlrpc.client.ProtocolError as exc:
            hint = (
                "username and password in the section supervisorctl have to be those of the server." if exc.errcode == 401 else None
            )
            raise MigrationError(
                f"supervisor refused the request: {exc.errcode} {exc.errmsg}.", "manager_unreachable", hint
            ) from exc
        except (OSError, http.client.HTTPException) as exc:
            hint = (
                "Its socket belongs to another user; set become." if isinstance(exc, PermissionError) else "Is supervisord running?"
            )
            said = getattr(exc, "strerror", None) or exc
            raise MigrationError(
                f"supervisor, as {self.path} names it, can not be reached: {said}.", "manager_unreachable", hint
            ) from exc


def rpc_name(name: str) -> str:
    """Return the name by which supervisor's interface knows a program."""
    return name if ":" in name else f"{name}:{name}"


def _priorities(config: Mapping[str, Any]) -> tuple[int, int]:
    return int(config.get("group_prio", 999)), int(config.get("process_prio", 999))


def _refused(name: str, what: str, fault: xmlrpc.client.Fault, kind: str) -> MigrationError:
    return MigrationError(f"{name} could not be {what}: supervisor says {fault.faultString}.", kind, "See the log of supervisord.")


class _Transport(xmlrpc.client.Transport):
    """Requests over a socket file or to a port, with a name and password where the server wants them."""

    def __init__(self, url: str, username: str, password: str):
        super().__init__()
        self.url, self.credentials = url, f"{username}:{password}" if username else ""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._connection[1] is None:
            made = _SocketConnection(self.url[len("unix://") :]) if self.url.startswith("unix://") else _port(self.url)
            self._connection = host, made
        return self._connection[1]  # type: ignore[return-value]

    def send_headers(self, connection: http.client.HTTPConnection, headers: list[tuple[str, str]]) -> None:
        if self.credentials:
            headers = [*headers, ("Authorization", "Basic " + base64.b64encode(self.credentials.encode()).decode())]
        super().send_headers(connection, headers)


def _port(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.partition("://")[2].rstrip("/"), timeout=60)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def server_from(path: str) -> Any:
    """Return the interface of the supervisor that supervisorctl would talk to with this configuration file."""
    url, username, password = read_configuration(path, os.environ)
    return xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_Transport(url, username, password))


def read_configuration(path: str, environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Return URL, name and password from the section ``supervisorctl``, its ``%(here)s`` and ``%(ENV_…)s`` filled in."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, configparser.Error, UnicodeDecodeError) as exc:
        said = getattr(exc, "strerror", None) or str(exc).splitlines()[0]
        raise MigrationError(
            f"The configuration of supervisor {path} can not be read: {said}.",
            "manager_unreachable",
            "Correct application_supervisor_config, or set become.",
        ) from exc
    if not parser.has_section("supervisorctl"):
        raise MigrationError(
            f"{path} has no section [supervisorctl], so where supervisor listens is not known.", "manager_unreachable"
        )
    values = {"here": os.path.dirname(os.path.abspath(path)), **{f"ENV_{key}": value for key, value in environment.items()}}
    found = []
    for key, default in (("serverurl", "http://localhost:9001"), ("username", ""), ("password", "")):
        text = parser.get("supervisorctl", key, fallback=default)
        try:
            found.append(text % values if "%(" in text else text)
        except (KeyError, ValueError, TypeError) as exc:
            raise MigrationError(f"{key} in {path} can not be understood ({exc}).", "manager_unreachable") from exc
    return found[0], found[1], found[2]
