# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story: a release that serves, a good one after it, and two bad ones that are put back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass

from support.paths import CACHE
from support.processes import Unavailable

from . import proof, terminal
from .playbook import Player
from .theatre import DATABASE, FIRST, Theatre

PLAYBOOK = "dbops.alembic.maintenance_window"


class Disappointed(Exception):
    """Something did not end as the story says; the message says what."""


@dataclass(frozen=True)
class Chapter:
    release: str
    title: str
    serves: str  # afterwards
    record: tuple[str, str]  # status and step of failure, as the deployment record has them
    lines: tuple[str, ...] = ()


CHAPTERS = (
    Chapter("1.1", "A good release, 1.1: two revisions, one of which fills a new table", "1.1", ("finished", "")),
    Chapter(
        "broken_migration",
        "A release whose migration fails",
        "1.1",
        ("reverted", "upgrading"),
        (
            "Its first revision renames a status in every order, and is committed. Its second one makes customers' names unique,",
            "which works on any empty test database, and not on this one.",
        ),
    ),
    Chapter(
        "unhealthy",
        "A release that migrates well and is not healthy",
        "1.1",
        ("reverted", "starting"),
        ("Its revision sets amounts to 0, which no downgrade can bring back; then its health page answers 500.",),
    ),
)


def chosen() -> tuple[Chapter, ...]:
    """The first ones, as many as DEMO_CHAPTERS says; all of them, where it says nothing."""
    said = os.environ.get("DEMO_CHAPTERS") or str(len(CHAPTERS))
    if said not in map(str, range(1, len(CHAPTERS) + 1)):
        sys.exit(f"DEMO_CHAPTERS is {said!r}: give how many of the {len(CHAPTERS)} deployments are to be played, such as 1.")
    return CHAPTERS[: int(said)]


class Story:
    def __init__(self, theatre: Theatre):
        self.theatre = theatre
        self.player = Player(theatre.variables, {"SHOP_DATABASE_URL": theatre.url}, theatre.logs)
        self.summary: list[tuple[str, ...]] = [("deployment", "ended", "serves now", "data", "took", "without service")]

    def contents(self) -> proof.Contents:
        return proof.contents(self.theatre.database, DATABASE)

    def tell(self, chapters: tuple[Chapter, ...]) -> None:
        self._serving(FIRST)
        for chapter in chapters:
            self.deploy(chapter)
        terminal.heading("In short")
        terminal.table(self.summary)

    def deploy(self, chapter: Chapter) -> None:
        terminal.heading(chapter.title)
        for line in chapter.lines:
            terminal.note(line)
        good = chapter.release == chapter.serves
        terminal.note(f"A customer places order {self.theatre.replicas[0].place_order(4200)}.")
        before = self.contents()
        terminal.note(f"Before: {before.text}")
        with proof.Client(self.theatre.replicas) as client:
            outcome = self.player.play(PLAYBOOK, release_version=chapter.release)
        after = self.contents()
        terminal.note(f"After:  {after.text}")
        self._check(chapter, outcome.status, before, after)
        serves = self._serving(chapter.serves)
        data = "new schema" if good else "as before, every row"
        gap = f"{client.without_service:.1f} s"
        ended = "deployed" if good else "failed, put back"
        self.summary.append((chapter.release, ended, serves, data, f"{outcome.seconds:.0f} s", gap))

    def _check(self, chapter: Chapter, status: int, before: proof.Contents, after: proof.Contents) -> None:
        record = self.theatre.last_record()
        told = (record.get("to_release"), record.get("status"), record.get("failure", {}).get("step", ""))
        if told != (chapter.release, *chapter.record):
            raise Disappointed(f"The deployment went otherwise: {told}, and not {(chapter.release, *chapter.record)}.")
        if chapter.release == chapter.serves:
            if status != 0 or after.revision == before.revision:
                raise Disappointed(f"Release {chapter.release} should have been deployed: status {status}, {after.text}.")
            terminal.good(f"the database went from {before.revision} to {after.revision}")
            return
        if status == 0:
            raise Disappointed(f"The playbook should have failed with release {chapter.release}.")
        if after != before:
            raise Disappointed(f"The database is not as it was: {before.text} became {after.text}.")
        terminal.good(
            "the playbook failed, and the database is as it was: same revision, same columns, same checksum over all rows"
        )

    def _serving(self, release: str) -> str:
        answers = proof.serving(self.theatre.replicas)
        terminal.table([("", "health", "release", "revision"), *answers])
        wrong = [name for name, status, served, _ in answers if (status, served) != ("200", release)]
        if wrong:
            raise Disappointed(f"{', '.join(wrong)} should serve release {release}.")
        terminal.good(f"all {len(answers)} replicas serve release {release}")
        return release


def keep_open(theatre: Theatre) -> None:
    terminal.heading("Everything keeps running until you press Ctrl-C")
    terminal.note("Look around, in another terminal:")
    for line in theatre.ways_to_look():
        terminal.say("     " + line)
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        signal.pause()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    chapters = chosen()
    try:
        terminal.heading("The stage: a database, three replicas of a web application, its releases")
        with Theatre(replica_count=3) as theatre:
            Story(theatre).tell(chapters)
            if os.environ.get("DEMO_KEEP", "") not in ("", "0"):
                keep_open(theatre)
    except Disappointed as problem:
        terminal.bad(str(problem))
        terminal.note(f"The logs of the playbooks are in {CACHE / 'demo' / 'logs'}.")
        return 1
    except Unavailable as problem:
        terminal.bad(str(problem))
        return 1
    except KeyboardInterrupt:
        return 130
    terminal.note(f"The logs of the playbooks, and their reports: {CACHE / 'demo' / 'logs'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
