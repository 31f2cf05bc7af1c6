# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Secrets that the project brings along: what it connects with, what its configuration holds, and what it adds to its environment.

They are told to the supervisor before anything that may show them, since only it sees all that leaves the worker.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Callable, Mapping
from urllib.parse import quote

from .redaction import environment_secrets

Send = Callable[[dict], None]  # type: ignore[type-arg]  # evaluated; Python 3.8 has no dict[…]
_DSN = re.compile(r"(?i)pass(?:word|wd)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)+))")
#: Where drivers keep the password that they connected with.
_PLACES = ("info.password", "password", "_connection.info.password", "_connection._params.password", "_connection._password")
#: Events that come after code of the project had its say.
_LATE = ("context", "failed", "error", "done")


class Learned:
    """What this process has told; there is one, since SQLAlchemy's listeners are of the process too."""

    def __init__(self) -> None:
        self.send: Send = lambda message: None
        self.told: set[str] = set()
        self.watching = False

    def tell(self, secrets: set[str], urls: list[str]) -> None:
        fresh = {text for text in secrets if text and text not in self.told}
        known = [url for url in urls if url not in self.told]
        if fresh or known:
            self.told.update(fresh, known)
            self.send({"event": "secret", "secrets": sorted(fresh), "urls": known})

    def environment(self) -> None:
        """Tell what the environment of this process holds now: an application may read a file into it."""
        values = dict(os.environ)
        self.tell(environment_secrets(values), [value for value in values.values() if "://" in value])


_learned = Learned()


def forget() -> None:
    """Tell all anew: what was found so far, in a process that others are forked from, nobody has heard."""
    _learned.told.clear()


def telling(send: Send) -> Send:
    """Return ``send`` with each secret that is known by then before what may show it."""
    _learned.send = send

    def relay(message: dict[str, Any]) -> None:
        if message["event"] in _LATE:
            _learned.environment()
        send(message)

    return relay


def engine_url(url: Any) -> None:
    """Tell the password of an engine's URL, and which of its parts are none."""
    # not by SQLAlchemy, whose 1.4 leaves a % of the password as it is: read back, that is another password
    user, password = (quote(str(part or ""), safe="") for part in (url.username, url.password))
    known = environment_secrets({str(name): str(value) for name, value in dict(url.query).items()})
    _learned.tell(known, [f"{url.drivername}://{user}:{password}@{url.host or ''}/{url.database or ''}"])


def configuration(config: Any) -> None:
    """Tell what alembic.ini holds, with its variables filled in where that can be done."""
    parser = config.file_config
    for section in parser.sections():
        for name, raw in parser.items(section, raw=True):
            value = raw.replace("%%", "%")
            with contextlib.suppress(Exception):  # a variable that is filled in later
                value = parser.get(section, name)
            _learned.tell(environment_secrets({name: value}), [value] if "://" in value else [])


def watch_connections() -> None:
    """Tell what every engine of this process connects with, before it does; a connection of the project's own making, after."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool

    if not _learned.watching:
        _learned.watching = True
        event.listen(Engine, "do_connect", _before)
        event.listen(Pool, "connect", _after)


def _before(dialect: Any, record: Any, arguments: Any, keywords: Mapping[str, Any]) -> None:
    with contextlib.suppress(Exception):  # it must not cost the connection
        found = environment_secrets(
            {str(name): _text(value) for name, value in keywords.items() if isinstance(value, (str, bytes))}
        )
        for text in [*arguments, *keywords.values()]:
            if isinstance(text, str):
                found |= {re.sub(r"\\(.)", r"\1", quoted or plain) for quoted, plain in _DSN.findall(text)}
        _learned.tell(found, [text for text in arguments if isinstance(text, str) and "://" in text])
        _learned.environment()


def _after(connection: Any, record: Any) -> None:
    for place in _PLACES:
        with contextlib.suppress(Exception):
            value = connection
            for name in place.split("."):
                value = getattr(value, name)
            if isinstance(value, (str, bytes)):
                _learned.tell({_text(value)}, [])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
