# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that waits to be told: who is heard, who is not, and when it ends."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Mapping

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _ready as ready

from support.waiting import until

NAME = "a" * 32


def begin(own: tuple[int, ...]) -> ready.Serve:
    def serve(message: Mapping[str, Any], descriptor: int, errors: int, lock: str) -> None:
        os.write(descriptor, f"{message['say']} {len(own)} {os.path.exists(lock)}\n".encode())

    return serve


@pytest.fixture
def place() -> Iterator[ready.Ready]:
    with tempfile.TemporaryDirectory() as folder:
        deep = Path(folder, "a" * 120, "b" * 120)  # longer than a socket's address may be
        deep.mkdir(parents=True)
        yield ready.Ready(str(deep), NAME, "shop")
        for path in deep.glob("*.lock"):
            os.kill(int(path.name.split(".")[1]), signal.SIGKILL)


@pytest.fixture
def waits(place: ready.Ready) -> ready.Ready:
    place.make(begin)
    return place


def told(place: ready.Ready, word: str) -> tuple[bool | None, str]:
    reading, writing = os.pipe()
    try:
        taken = place.hand({"say": word}, writing, writing)
        os.close(writing)
        return taken, os.read(reading, 100).decode().strip()
    finally:
        os.close(reading)


def test_it_is_told_more_than_once(waits: ready.Ready) -> None:
    assert told(waits, "one") == (True, "one 1 True")
    assert told(waits, "x" * 70) == (True, "x" * 70 + " 1 True")


def test_a_job_for_something_else_is_refused(waits: ready.Ready) -> None:
    assert told(ready.Ready(waits.folder, NAME, "other"), "no") == (False, "")
    assert told(waits, "yes") == (True, "yes 1 True")


def test_where_there_is_none_nothing_is_handed(place: ready.Ready) -> None:
    assert told(place, "nobody") == (None, "")
    with place._address() as address, socket.socket(socket.AF_UNIX) as dead:  # of one that was killed
        dead.bind(address)
    assert told(place, "nobody") == (None, "")
    place.make(begin)
    assert told(place, "now") == (True, "now 1 True")


@pytest.mark.parametrize(
    "said", [b"", b"abc", ready._HEADER.pack(3) + b"abc", ready._HEADER.pack(2) + b"{}", ready._HEADER.pack(2) + b"[]"]
)
def test_who_breaks_off_has_begun_nothing(waits: ready.Ready, said: bytes) -> None:
    with waits._address() as address, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(said)
    assert told(waits, "next") == (True, "next 1 True")


def test_who_does_not_say_go_has_begun_nothing(waits: ready.Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "_GO", b"")
    assert told(waits, "not begun") == (True, ""), "it is the other's, which then is gone"
    monkeypatch.undo()
    assert told(waits, "next") == (True, "next 1 True")


def test_it_ends_by_itself_and_leaves_nothing(place: ready.Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "IDLE", 0.1)
    place.make(begin)
    until(lambda: not os.listdir(place.folder))
    assert told(place, "gone") == (None, "")


def test_another_application_is_another_fingerprint() -> None:
    given = {"url": "postgresql://shop:secret@db/shop", "environment": {"A": "1"}}
    one = ready.fingerprint(given)
    assert one == ready.fingerprint(dict(reversed(given.items()))) and "secret" not in one
    assert one != ready.fingerprint({**given, "environment": {"A": "2"}})


def test_one_that_stands_by_is_told_when_it_is_left(place: ready.Ready) -> None:
    stands = place.stand_by(begin)
    stands.load()
    stands.leave(True)
    assert told(place, "now") == (True, "now 1 True")


def test_one_that_stands_by_is_not_idle_until_it_is_left(place: ready.Ready, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "IDLE", 0.0)
    stands = place.stand_by(begin)
    stands.load()
    until(lambda: any(name.endswith(".lock") for name in os.listdir(place.folder)))
    time.sleep(0.3)
    assert len(os.listdir(place.folder)) == 2  # its socket and its lock
    stands.leave(True)
    until(lambda: not os.listdir(place.folder))


def test_one_whose_maker_dies_ends(place: ready.Ready) -> None:
    maker = os.fork()
    if maker == 0:
        place.stand_by(begin)
        os._exit(0)
    os.waitpid(maker, 0)
    until(lambda: not os.listdir(place.folder))


@pytest.mark.parametrize(("loads", "wanted"), [(False, True), (False, False), (True, False)])
def test_one_that_is_not_needed_ends_at_once(place: ready.Ready, loads: bool, wanted: bool) -> None:
    stands = place.stand_by(begin)
    if loads:
        stands.load()
    stands.leave(wanted)
    until(lambda: not os.listdir(place.folder))
