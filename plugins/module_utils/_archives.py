# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The folder of a host in which archives are kept: made, looked through, added to, and cleared of what is too old."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from typing import Any, Iterator, Mapping, Sequence

from ._argspec import ArgumentSpec
from ._core import owned
from ._core.archives import PARTIAL, SUFFIX, age, described, doomed, is_of, told_of
from ._core.diff import text_diff
from ._errors import MigrationError
from ._owned import checked, demand, file_at, look, make_folder, nearest, read, remove, usable, write

_BLOCK = 1 << 20


def archive_folder_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            directory=dict(type="path", required=True),
            database=dict(type="str", required=True),
            servers=dict(type="list", elements="str", default=[]),
            state=dict(type="str", choices=["present", "kept", "pruned"], default="pruned"),
            name=dict(type="str"),
            facts=dict(type="dict", default={}),
            keep_count=dict(type="int", default=0),
            keep_seconds=dict(type="float", default=0),
        ),
        required_if=(("state", "present", ("name",)), ("state", "kept", ("name",))),
    )


def archive_info_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            directory=dict(type="path", required=True),
            database=dict(type="str"),
            servers=dict(type="list", elements="str", default=[]),
            databases=dict(
                type="list",
                elements="dict",
                options=dict(
                    name=dict(type="str", required=True),
                    targets=dict(type="list", elements="str", default=[]),
                    known=dict(type="bool", default=True),
                    database=dict(type="str", default=""),
                    server=dict(type="str", default=""),
                ),
            ),
            name=dict(type="str"),
        ),
        required_one_of=(("database", "databases", "name"),),
        mutually_exclusive=(("database", "databases"),),
    )


def run_archive_folder(params: Mapping[str, Any], now: float, dry: bool = False) -> dict[str, Any]:
    """Do what the module ``archive_folder`` was asked for and return its result.

    :param now: seconds since 1970.
    :raises MigrationError: ``name_invalid``, ``not_ours``, ``folder_unusable``, ``archive_failed``.
    """
    checked("directory", "folder", params["directory"])
    folder = os.path.normpath(params["directory"])
    if params["state"] == "pruned":
        return _pruned(folder, params, now, dry)
    checked("name", "archive", params["name"])
    return _present(folder, params, dry) if params["state"] == "present" else _kept(folder, params, now, dry)


def run_archive_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the archives of a database, or of each of many, oldest first, and what one file is.

    :raises MigrationError: ``name_invalid``, ``folder_unusable``.
    """
    checked("directory", "folder", params["directory"])
    folder = os.path.normpath(params["directory"])
    result: dict[str, Any] = {"changed": False, "archives": [], "other_servers": [], "sha256": None, "bytes": None}
    database, servers, many = params.get("database"), params["servers"], params.get("databases")
    if database:
        there = _there(folder, [database])
        result["archives"] = [item for item in there if told_of(item, database, servers)]
        result["other_servers"] = sorted({item["server"] for item in there if item not in result["archives"]})
    elif many is not None:
        result["archives"] = list(_of_many(folder, [one for one in many if one["database"]], servers))
    if params.get("name"):
        checked("name", "archive", params["name"])
        result.update(_summed(os.path.join(folder, params["name"])) or {})
    return result


def _of_many(folder: str, many: Sequence[Mapping[str, Any]], servers: Sequence[str]) -> Iterator[dict[str, Any]]:
    named: dict[str, list[dict[str, Any]]] = {one["database"]: [] for one in many}
    for item in _there(folder, list(named)):
        named[item["database"]].append(item)
    for one in many:
        own = [one["server"], *servers] if one["server"] else []
        yield from ({**item, "name": one["name"]} for item in named[one["database"]] if told_of(item, one["database"], own))


def _there(folder: str, databases: Sequence[str]) -> list[dict[str, Any]]:
    """Return the archives of databases of these names that are there, oldest first, with the path that they have now."""
    found = [dict(item, path=_here(folder, item)) for item in _archives(folder) if item["database"] in databases]
    return [item for item in sorted(found, key=age) if file_at(item["path"]) in owned.ARCHIVE.files]


def _present(folder: str, params: Mapping[str, Any], dry: bool) -> dict[str, Any]:
    """Make the folder where there is none, and clear the name under which an archive is written until it is whole.

    The mode of a folder that is there stays: others may have their own archives in it.
    """
    name, made = params["name"], file_at(folder) == "absent"
    if made and not dry:
        make_folder(folder)
    if not made:
        _refuse_open(folder)
        _refuse_namesake(os.path.join(folder, name), params["database"], params["servers"])
    partial = os.path.join(folder, PARTIAL + name)
    left = look(partial, "the archives in it", "its name")
    demand(owned.PARTIAL, left)
    if not dry:
        remove(owned.PARTIAL, left)
    changes = [folder] * made + [partial] * (left.file != "absent")
    diff = text_diff(folder, f"{partial}\n" * (left.file != "absent"), f"{folder}\n" * made)
    return {"changed": bool(changes), "partial": partial, "free_bytes": _free(folder), "diff": diff}


def _refuse_open(folder: str) -> None:
    with usable(folder):
        mode = os.stat(folder).st_mode
    if mode & 0o002:
        raise MigrationError(
            f"Everybody may write into {folder} (mode {stat.S_IMODE(mode):04o}), so an archive there could be anybody's.",
            "folder_unusable",
            f"Take that right away, chmod o-w {folder}, or keep the archives in another folder.",
        )


def _free(folder: str) -> int:
    """Return how many bytes this user may still write there; of a folder that is not made yet, where it would be."""
    with usable(folder):
        found = os.statvfs(nearest(folder))
    return found.f_bavail * found.f_frsize


def _kept(folder: str, params: Mapping[str, Any], now: float, dry: bool) -> dict[str, Any]:
    """Give an archive that is whole its name, and write beside it what it is."""
    path, partial = os.path.join(folder, params["name"]), os.path.join(folder, PARTIAL + params["name"])
    servers = params["servers"]
    _refuse_namesake(path, params["database"], servers)
    new, old = look(partial, "the archives in it", "its name"), replaceable(path, params["database"])
    source, target = demand(owned.PARTIAL, new), demand(owned.ARCHIVE, old)
    if dry and new.file == "absent":  # what would have written it was in check mode too
        return {"changed": True, "archive": None, "diff": text_diff(path, "", f"{path}\n")}
    sums = _summed(source)
    if sums is None:
        raise MigrationError(f"There is no {partial}, so nothing was archived.", "archive_failed", "Write the archive there first.")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    whose = {"database": params["database"], **({"server": servers[0]} if servers else {})}
    archive = {**params["facts"], **sums, "path": path, **whose, "created_at": created}
    if not dry:
        with usable(folder):
            _settle(source)
        if old.file == "folder":
            remove(owned.ARCHIVE, old)  # a rename replaces no folder that holds something
        text = json.dumps(archive, indent=4, sort_keys=True)
        write(owned.DESCRIPTION, look(path + SUFFIX, "the archives in it", "the archive"), text, 0o600)
        with usable(folder):  # last, so that an archive is never without what shows whose it is
            os.rename(source, target)
    before = f"{path}\n" if old.file != "absent" else ""
    return {"changed": True, "archive": archive, "diff": text_diff(path, before, f"{path}\n{sums['sha256']}\n")}


def _refuse_namesake(path: str, database: str, servers: Sequence[str]) -> None:
    """:raises MigrationError: ``not_ours``, where the name is taken by a database of this name that another server has."""
    found = _description(path)
    if found is None or found["database"] != database or is_of(found, database, servers):
        return
    server = found.get("server") or "a server that it does not name"
    raise MigrationError(
        f"{path} is an archive of {database} on {server}, and this one is on {servers[0]}.",
        "not_ours",
        "Give this one another name (backup_archive_name), or each server a folder of its own (backup_archive_directory)."
        " Where it is the same server at a former address, add that to backup_archive_servers.",
    )


def replaceable(path: str, database: str) -> owned.Found:
    """Return what is at a path; it and what is written beside it may be replaced.

    :raises MigrationError: ``not_ours``.
    """
    proof = shows_archive(path, database)
    found = look(path, "the archives in it", proof)
    demand(owned.ARCHIVE, found)
    demand(owned.DESCRIPTION, look(path + SUFFIX, "the archive", proof))
    return found


def _settle(path: str) -> None:
    """Keep others from reading it, and let the disk have it: what takes its name is whole after a power cut too."""
    for name in dict.fromkeys((*_files(path), path)):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o700 if os.path.isdir(name) else 0o600)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _summed(path: str) -> dict[str, Any] | None:
    """Return the size and the checksum of an archive: that of its only file, or of the checksums of its files by name.

    :raises MigrationError: ``folder_unusable``.
    """
    if file_at(path) not in ("file", "folder"):
        return None
    digests, size = [], 0
    with usable(os.path.dirname(path)):
        for name in _files(path):
            digest = hashlib.sha256()
            with open(name, "rb") as file:
                for block in iter(lambda: file.read(_BLOCK), b""):
                    digest.update(block)
                    size += len(block)
            digests.append(digest.hexdigest())
    if not digests:
        return None
    return {"sha256": digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(), "bytes": size}


def _files(path: str) -> list[str]:
    """Return the files that an archive consists of, by name."""
    if not os.path.isdir(path):
        return [path]
    return [entry.path for entry in sorted(os.scandir(path), key=lambda entry: entry.name) if entry.is_file()]


def shows_archive(path: str, database: str) -> str:
    """Return what shows that an archive is of a database, in words; empty where nothing does."""
    found = _description(path)
    return "what is written beside it" if found and found["database"] == database else ""


def _pruned(folder: str, params: Mapping[str, Any], now: float, dry: bool) -> dict[str, Any]:
    """Remove the archives of a database that are too many or too old, never the last one."""
    archives = [item for item in _archives(folder) if is_of(item, params["database"], params["servers"])]
    before = [_here(folder, item) for item in sorted(archives, key=age)]
    removed = [_here(folder, {"path": path}) for path in doomed(archives, params["keep_count"], params["keep_seconds"], now)]
    found = [look(path, "the archives in it", shows_archive(path, params["database"])) for path in removed]
    for one in found:
        demand(owned.ARCHIVE, one)
    for path, one in zip(removed, found) if not dry else ():
        remove(owned.ARCHIVE, one)
        _remove_descriptions(path)
    after = [path for path in before if path not in removed]
    lines = ["".join(f"{path}\n" for path in paths) for paths in (before, after)]
    return {"changed": bool(removed), "removed": removed, "diff": text_diff(f"archives in {folder}", *lines)}


def _archives(folder: str) -> list[dict[str, Any]]:
    if file_at(folder) == "absent":
        return []
    with usable(folder):
        names = [name[: -len(SUFFIX)] for name in sorted(os.listdir(folder)) if name.endswith(SUFFIX) and not name.startswith(".")]
    return [found for found in (_description(os.path.join(folder, name)) for name in names) if found]


def _here(folder: str, item: Mapping[str, Any]) -> str:
    """Return where an archive is: its folder may have been moved since it was written."""
    return os.path.join(folder, str(item["path"]).rpartition("/")[2])


def _description(path: str) -> dict[str, Any] | None:
    """Return what is written beside an archive, or None."""
    try:
        text = read(path + SUFFIX)
        return described(json.loads(text or "null"), os.path.basename(path))
    except ValueError:
        return None
    except OSError as exc:
        raise MigrationError(f"{path + SUFFIX} can not be read: {exc}.", "folder_unusable") from exc


def _remove_descriptions(path: str) -> None:
    """Remove what is written beside an archive, which goes last, so that half a removal is still known to be ours."""
    folder, name = os.path.split(path)
    with usable(folder):
        beside = [item for item in os.listdir(folder) if item.startswith(f"{name}.") and item.endswith(SUFFIX)]
    for item in sorted(beside, key=lambda item: item == name + SUFFIX):
        remove(owned.DESCRIPTION, look(os.path.join(folder, item), "the archives in it", "the archive that was removed"))
