# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a path is ours to replace or to remove: the one place that says so.

It is, when it is an immediate child, by real path, of a folder that we made, has a name that could have come from us, is of the
kind of file that we would have made, and is shown to be ours by what we wrote into it or beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .names import KINDS, SYSTEM_FOLDERS, WHOLE, shown


@dataclass(frozen=True)
class Found:
    """What is at a path, and what speaks for its being ours.

    :param folder: the folder that it is in, as it was given.
    :param real_folder: the same without symbolic links.
    :param folder_is_link: the folder itself is a symbolic link.
    :param folder_proof: what shows that we made the folder, in words; empty when nothing does.
    :param folder_remedy: how to hand the folder over.
    :param name: the name in the folder.
    :param file: ``absent``, ``folder``, ``file``, ``link`` or ``other``.
    :param proof: what shows that it is ours; empty when nothing does.
    :param mounts: mount points at the path and below it.
    """

    folder: str
    real_folder: str
    folder_is_link: bool
    folder_proof: str
    name: str
    file: str
    proof: str
    folder_remedy: str = ""
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Thing:
    """What it should be.

    :param word: what it is, in words: ``a release``.
    :param grammar: one of :data:`.names.KINDS`.
    :param files: which kinds of file it may be.
    :param anywhere: its folder is whatever the user named, also one that others made; its own proof is enough.
    """

    word: str
    grammar: str
    files: tuple[str, ...]
    anywhere: bool = False


RELEASE = Thing("a release", "release", ("folder",))
LINK = Thing("the link to the active release", "record", ("link",), anywhere=True)
INNER_LINK = Thing("a link in a release", "inner", ("link", "file"), anywhere=True)
MARK = Thing("a mark of this collection", "mark", ("file",))
TEMPORARY = Thing("a temporary folder", "temporary", ("folder",), anywhere=True)
ARCHIVE = Thing("an archive", "archive", ("file", "folder"), anywhere=True)
PARTIAL = Thing("an archive that is still being written", "partial", ("file", "folder"), anywhere=True)
DESCRIPTION = Thing("what is written beside an archive", "archive", ("file",), anywhere=True)
REPORT = Thing("a report", "archive", ("file",), anywhere=True)
JOURNAL = Thing("a journal of SQLite", "archive", ("file",), anywhere=True)
MANIFEST = Thing("a manifest", "archive", ("file",), anywhere=True)


def folder_refusal(found: Found, anywhere: bool = False) -> str | None:
    """Return why nothing in the folder may be replaced or removed, or None."""
    if anywhere:
        return None
    where = shown(found.folder, WHOLE)
    if found.folder_is_link:
        return f"{where} is a symbolic link; name the folder that it points to, {shown(found.real_folder, WHOLE)}"
    if found.real_folder == "/" or found.real_folder in SYSTEM_FOLDERS:
        return f"{where} is {found.real_folder}, a folder of the system"
    if not found.folder_proof:
        return f"nothing shows that {where} was made by this collection.{' ' + found.folder_remedy if found.folder_remedy else ''}"
    return None


def refusal(thing: Thing, found: Found) -> str | None:
    """Return why a path is not ours to replace or to remove, or None where it is. What is not there is."""
    if not KINDS[thing.grammar].fits(found.name):
        return f"{shown(found.name)} is no name of {thing.word}"
    reason = folder_refusal(found, thing.anywhere)
    if reason or found.file == "absent":
        return reason
    if found.file not in thing.files:
        words = {"folder": "a folder", "file": "a file", "link": "a symbolic link"}
        return f"it is {words.get(found.file, 'neither a file nor a folder')}, and {thing.word} is {words[thing.files[0]]}"
    if found.mounts:
        return f"{', '.join(shown(mount, WHOLE) for mount in found.mounts)} is mounted there; unmount it first"
    if not found.proof:
        return "nothing in it or beside it shows that it was made by this collection; remove it by hand if nobody needs it"
    return None
