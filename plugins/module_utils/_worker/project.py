# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The application's Alembic project: its folder, environment, configuration and database URL."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from . import learned, meant, readonly, urls
from .failure import HINTS, Failure

MINIMUM_ALEMBIC = (1, 8)


def enter(request: dict[str, Any]) -> None:
    """Make this process what the application's own command would be: its environment, folder and import path."""
    os.environ.update({str(name): str(value) for name, value in (request.get("environment") or {}).items()})
    folder = request.get("chdir") or os.path.dirname(request.get("config") or "") or "."
    try:
        os.chdir(folder)
    except OSError as exc:
        raise Failure(
            "config_missing", f"The folder {folder} can not be entered: {exc.strerror}.", "Check chdir (in the roles schema_chdir)."
        ) from exc
    if sys.path and sys.path[0] == "":  # python -c puts the folder there, the alembic program doesn't
        del sys.path[0]
    readonly.start(request)
    meant.check(request)


def versions() -> dict[str, str]:
    """Return the versions of what the project runs on; an Alembic that is missing or too old is a failure."""
    try:
        import alembic
        import sqlalchemy
    except ImportError as exc:
        raise Failure("alembic_missing", f"{sys.executable} can not import Alembic: {exc}.", HINTS["alembic_missing"]) from exc
    learned.watch_connections()
    found = {"alembic": alembic.__version__, "sqlalchemy": sqlalchemy.__version__, "python": sys.version.split()[0]}
    if tuple(int(part) for part in found["alembic"].split(".")[:2]) < MINIMUM_ALEMBIC:
        raise Failure(
            "alembic_unsupported",
            f"Alembic {found['alembic']} is too old.",
            "Upgrade it to 1.8 or later in the application's environment.",
            versions=found,
        )
    readonly.listen()
    return found


def command_line(request: dict[str, Any], verb: str) -> list[str]:
    """Return the arguments that the alembic program would be given; env.py sees them as ``config.cmd_opts``."""
    arguments = ["-c", request["config"]] if request.get("config") else []
    arguments += ["-n", request["section"]] if request.get("section") else []
    for item in request.get("x_arguments") or ():
        arguments += ["-x", str(item)]
    target = request.get("target")
    if verb in ("upgrade", "downgrade"):
        return [*arguments, verb, str(target)]
    return [*arguments, verb, *str(target).split(",")] if verb == "stamp" else [*arguments, verb]


@functools.lru_cache(maxsize=None)  # it takes a tenth of what a database is read in, and nothing changes it
def command() -> Any:
    """Return Alembic's own program."""
    from alembic.config import CommandLine

    return CommandLine(prog="alembic")


def load(request: dict[str, Any], verb: str) -> Any:
    """Return Alembic's Config, made by the parser of its own program, then the prelude, then the URL."""
    from alembic.config import Config

    arguments, program = command_line(request, verb), command()
    sys.argv = ["alembic", *arguments]
    options = program.parser.parse_args(arguments)
    names: dict[str, Any] = {"__name__": "prelude", "config": None}
    if request.get("prelude"):
        sys.path.insert(0, os.getcwd())  # it imports the application, as `flask` and `python -m` let it
        exec(compile(request["prelude"], "<prelude>", "exec"), names)
    config = names.get("config")
    if config is None:
        config = _config(program, options, Config, request.get("config"))
    for section, url in _urls(request, config):
        config.set_section_option(section, "sqlalchemy.url", url.replace("%", "%%"))
    learned.configuration(config)
    return config


def _config(program: Any, options: Any, make: Any, given: str | None) -> Any:
    """Read alembic.ini, or since Alembic 1.16 pyproject.toml as well.

    :param given: the file that the user names; then no other that may be beside it is taken.
    """
    inis = getattr(program, "_inis_from_config", None)
    toml, ini = inis(options) if inis else (None, options.config)
    files = [given] if given else [name for name in (ini, toml) if name]
    if not any(os.path.isfile(name) for name in files):
        raise Failure(
            "config_missing",
            f"There is no {given or ' or '.join(map(os.path.basename, files))} in {os.getcwd()}.",
            "Check chdir and config (in the roles schema_chdir, schema_config).",
        )
    config = (
        make(file_=ini, toml_file=toml, ini_section=options.name, cmd_opts=options)
        if inis
        else make(file_=ini, ini_section=options.name, cmd_opts=options)
    )
    if options.name != "alembic" and os.path.isfile(ini) and not config.file_config.has_section(options.name):
        raise Failure("config_missing", f"{ini} has no section [{options.name}].", "Check section.")
    return config


def _urls(request: dict[str, Any], config: Any) -> list[tuple[str, str]]:
    found = [(config.config_ini_section, request["url"])] if request.get("url") else []
    return [(section, urls.spelled(url)) for section, url in [*found, *sorted((request.get("urls") or {}).items())]]


def asked_urls(request: dict[str, Any]) -> list[Any]:
    """Return the URLs that the request names, parsed; one of them is the database that a connection has to go to."""
    return [urls.parsed(url) for url in [request.get("url"), *(request.get("urls") or {}).values()] if url]
