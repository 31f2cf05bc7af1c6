# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of the modules for an application host, and the way from them to what is done."""

from __future__ import annotations

import os
import time
from typing import Any, Iterable, Mapping

from .._errors import MigrationError
from .health import Health, ask, judge, release_of
from .host import Wish, serve, stop_host
from .services import Limits, Manager, Service, problems

_HEALTH = dict(
    url=dict(type="str", default=""),
    status=dict(type="list", elements="int", default=[200]),
    text=dict(type="str", default=""),
    json=dict(type="dict", default={}),
    release_key=dict(type="str", default="", no_log=False),
    release_expected=dict(type="str", default=""),
    headers=dict(type="dict", default={}),
    validate_certs=dict(type="bool", default=True),
    ca_path=dict(type="path"),
    client_cert=dict(type="path"),
    client_key=dict(type="path", no_log=False),
    follow_redirects=dict(type="bool", default=True),
    unix_socket=dict(type="path"),
    command=dict(type="list", elements="str", default=[]),
    retries=dict(type="int", default=30),
    delay=dict(type="float", default=1),
    timeout=dict(type="float", default=10),
    failing_seconds=dict(type="float", default=10),
)
#: Headers whose values are kept out of results and logs.
_SECRET_HEADERS = ("authorization", "cookie", "token", "key", "secret", "password", "signature")


def info_options() -> dict[str, Any]:
    """The options that only look."""
    return dict(
        manager=dict(type="str", choices=["systemd", "supervisor"], default="systemd"),
        services=dict(type="list", elements="str", default=[]),
        scope=dict(type="str", choices=["system", "user", "global"], default="system"),
        supervisor_config=dict(type="path", default="/etc/supervisor/supervisord.conf"),
        link=dict(type="path"),
        health=dict(type="dict", options=_HEALTH, default={}, apply_defaults=True),
        log_lines=dict(type="int", default=0),
    )


def host_arguments() -> dict[str, Any]:
    """The keyword arguments of AnsibleModule for the module that acts."""
    options = {
        **info_options(),
        **dict(
            state=dict(type="str", choices=["serving", "stopped"], default="serving"),
            release=dict(type="str"),
            recorded=dict(type="list", elements="dict", default=[]),
            restart=dict(type="str", choices=["changed", "always", "never"], default="changed"),
            note=dict(type="list", elements="str", default=[]),
            noted=dict(type="dict", default={}),
            on_failure=dict(type="str", choices=["leave", "stop"], default="leave"),
            stop_timeout=dict(type="float", default=120),
            start_timeout=dict(type="float", default=120),
            settle=dict(type="float", default=1),
            log_lines=dict(type="int", default=50),
        ),
    }
    return dict(argument_spec=options, required_by=dict(release=["link"]), supports_check_mode=True)


def secrets_of(params: Mapping[str, Any]) -> set[str]:
    """Return what of the health check must not be shown: passwords in the URL, and headers that carry one."""
    health = params["health"] or {}
    headers = (health.get("headers") or {}).items()
    found = {str(value) for name, value in headers if any(part in name.lower() for part in _SECRET_HEADERS)}
    credentials = str(health.get("url") or "").partition("://")[2].partition("/")[0].rpartition("@")[0]
    return {text for text in {*found, credentials.partition(":")[2]} if text}


def manager_from(params: Mapping[str, Any]) -> Manager:
    limits = Limits(params.get("stop_timeout", 0), params.get("start_timeout", 0), params.get("settle", 0))
    if params["manager"] == "supervisor":
        from .supervisor import Supervisor

        return Supervisor(params["services"], params["supervisor_config"], limits)
    from .systemd import Systemd

    return Systemd(params["services"], params["scope"], limits)


def health_from(params: Mapping[str, Any]) -> Health:
    return Health(**{name: value for name, value in (params["health"] or {}).items() if value is not None})


def run_host(params: Mapping[str, Any], dry: bool) -> dict[str, Any]:
    """Bring the host to the state that is wanted, and return the module's result."""
    manager = manager_from(params)
    if params["state"] == "stopped":
        result = stop_host(manager, params["services"], dry)
    else:
        if params["link"] and params["release"] is None:
            raise MigrationError(
                "link says which link, and release is not given.", "options_invalid", "An empty release removes it."
            )
        wish = Wish(
            services=params["services"],
            link=params["link"],
            release=params["release"],
            recorded=params["recorded"],
            restart=params["restart"],
            log_lines=params["log_lines"],
            settle=params["settle"],
            health=health_from(params),
            on_failure=params["on_failure"],
        )
        result = serve(manager, wish, dry)
    return {**result, "diff": diff_from(result)}


def diff_from(result: Mapping[str, Any]) -> dict[str, str]:
    """Return Ansible's diff: the link and each service, before and after."""
    link = result.get("link") or {}
    return {side: _side(link, result[key], side) for side, key in (("before", "before"), ("after", "services"))}


def _side(link: Mapping[str, str], services: Any, side: str) -> str:
    lines = [f"{link['path']} -> {link[side] or 'nothing'}"] if link else []
    lines += [f"{item['name']} {item['state'] if item['runs'] or item['ended'] else 'stopped'}" for item in services]
    return "".join(f"{line}\n" for line in lines)


def _label(item: Service) -> str:
    return item.service if item.exact and item.part == "member" else item.name


def _state(item: Service) -> str:
    return item.state.lower() + (f" ({item.detail})" if item.detail else "")


def shown(found: Iterable[Service]) -> dict[str, Any]:
    """Return the services as results have them: each as it is, and its state in its manager's own words."""
    named = [item for item in found if item.part != "neighbour"]
    return {"services": [item.as_result() for item in named], "states": {_label(item): _state(item) for item in named}}


def run_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the host, and return the module's result. Nothing that is wrong with it is a failure."""
    manager, health = manager_from(params), health_from(params)
    found = manager.look()
    wrong = problems(found)
    names = [item.name for item in found if item.part in ("member", "companion") and not item.refused]
    result: dict[str, Any] = {
        **shown(found),
        "problems": wrong,
        "log": manager.logs(names, 0, params["log_lines"]) if names and params["log_lines"] > 0 else "",
    }
    if params["link"]:
        path = params["link"]
        target = os.readlink(path) if os.path.islink(path) else ""
        result["link"] = {"path": path, "target": target, "exists": os.path.exists(path)}
    if health.url:
        begun, answer = time.monotonic(), ask(health)
        result["health"] = {
            "status": answer.status,
            "release": release_of(health, answer),
            "problem": judge(health, answer),
            "seconds": round(time.monotonic() - begun, 3),
        }
    return result
