#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the releases of the sample application: a base tree, and for each release the overlays that lie on it.

releases.py list                       their names
releases.py tree    FOLDER [RELEASE…]  FOLDER/RELEASE/            source trees
releases.py archive FOLDER [RELEASE…]  FOLDER/shop-RELEASE.tar.gz, one top folder in each
releases.py wheel   FOLDER [RELEASE…]  FOLDER/shop-VERSION-py3-none-any.whl
releases.py git     FOLDER             a repository with a tag for each release

The same release is the same bytes each time, wheels apart.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
EPOCH = 1767225600  # 2026-01-01

# Release → the one that it follows
RELEASES = {
    "1.0": None,
    "1.1": "1.0",
    "1.2": "1.1",
    "2.0": "1.2",
    "2.1": "2.0",
    "broken_migration": "1.1",
    "broken_autocommit": "1.1",
    "wont_start": "1.1",
    "unhealthy": "1.1",
    "no_downgrade": "1.1",
}


def overlays(release: str) -> list[str]:
    """The overlays of a release, lowest first; release 1.0 is the bare base."""
    before = RELEASES[release]
    return [] if before is None else [*overlays(before), release]


def version(release: str) -> str:
    """What a wheel of this release is called; a name that is no version becomes a local one."""
    return release if release[0].isdigit() else "2.0+" + release.replace("_", ".")


def write_tree(release: str, folder: Path) -> Path:
    """Write the sources of a release into folder, which must not be there yet."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(HERE / "base", folder, ignore=ignored)
    for overlay in overlays(release):
        shutil.copytree(HERE / "overlays" / overlay, folder, ignore=ignored, dirs_exist_ok=True)
    named = folder / "shop" / "_release.py"
    heading = named.read_text().partition("RELEASE = ")[0]
    named.write_text(f'{heading}RELEASE = "{release}"\nVERSION = "{version(release)}"\n')
    return folder


def write_archive(release: str, folder: Path) -> Path:
    archive = folder / f"shop-{release}.tar.gz"
    top = f"shop-{release}"
    with tempfile.TemporaryDirectory() as temporary, open(archive, "wb") as raw:
        tree = write_tree(release, Path(temporary) / top)
        packed = gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=EPOCH)
        with packed, tarfile.open(fileobj=packed, mode="w") as tar:
            for path in [tree, *sorted(tree.rglob("*"))]:
                tar.add(path, arcname=str(path.relative_to(temporary)), recursive=False, filter=_anonymous)
    return archive


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = EPOCH
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def write_wheel(release: str, folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as temporary:
        tree = write_tree(release, Path(temporary) / "shop")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(tree)]
        subprocess.run(command, check=True)
    return folder / f"shop-{version(release)}-py3-none-any.whl"


def write_git(folder: Path) -> Path:
    """One commit per release, tagged with its name, on top of the release that it follows."""
    date = f"{EPOCH} +0000"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Shop"), ("EMAIL", "shop@example.org"), ("DATE", date))
        },
    }

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, env=environment)

    folder.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "commit.gpgsign", "false")
    for release, before in RELEASES.items():
        if before:
            git("checkout", "--quiet", "--detach", before)
            git("rm", "-r", "--quiet", ".")
        with tempfile.TemporaryDirectory() as temporary:
            shutil.copytree(write_tree(release, Path(temporary) / "shop"), folder, dirs_exist_ok=True)
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Release {release}")
        git("tag", release)
    git("checkout", "--quiet", "-B", "main", "1.2")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("list", "tree", "archive", "wheel", "git"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("releases", nargs="*", metavar="RELEASE")
    arguments = parser.parse_args()
    unknown = set(arguments.releases) - set(RELEASES)
    if unknown:
        parser.error(f"no such release: {', '.join(sorted(unknown))}; there are {', '.join(RELEASES)}")
    if arguments.command == "list":
        print("\n".join(RELEASES))
        return
    if arguments.folder is None:
        parser.error("which folder?")
    if arguments.command == "git":
        print(write_git(arguments.folder))
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write = {"tree": lambda release, folder: write_tree(release, folder / release), "archive": write_archive, "wheel": write_wheel}
    for release in arguments.releases or RELEASES:
        print(write[arguments.command](release, arguments.folder))


if __name__ == "__main__":
    main()
