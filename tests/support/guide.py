# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guide gives its reader to copy: files, which tell their path in the first line, and commands."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

#: The first line of a block that is a file.
_PATH = re.compile(r"(?:#|--) (\S*[./]\S*)$")


def section(guide: Path, title: str) -> str:
    """The text of a section, without its title."""
    text = guide.read_text()
    begins = text.index(f"\n{title}\n{'-' * len(title)}\n") + len(title) + 1
    ends = re.compile(r"\n\S[^\n]*\n-{3,}\n").search(text, begins + len(title) + 2)
    return text[begins : ends.start() if ends else len(text)]


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the text of each block, as it stands on the page."""
    found = re.findall(r"^\.\. code-block:: (\w+)\n\n((?:(?:   .*)?\n)+)", text + "\n", re.MULTILINE)
    return [(language, re.sub(r"^   ", "", body, flags=re.MULTILINE).strip("\n") + "\n") for language, body in found]


def files(text: str) -> dict[str, str]:
    """Path → text of each file."""
    found = {}
    for language, body in blocks(text):
        match = _PATH.match(body.splitlines()[0])
        if match and language != "console":
            assert match.group(1) not in found, match.group(1)
            found[match.group(1)] = body
    return found


def commands(text: str) -> list[str]:
    return [line[2:] for language, body in blocks(text) if language == "console" for line in body.splitlines() if line[:2] == "$ "]


def pipeline(guide: Path, title: str) -> list[str]:
    """Every command of the pipeline in a section, in order: of GitHub Actions, or of GitLab CI."""
    (text,) = (body for language, body in blocks(section(guide, title)) if language == "yaml")
    made = yaml.safe_load(text)
    jobs = made.get("jobs") or made
    steps = [step["run"] for job in jobs.values() if isinstance(job, dict) for step in job.get("steps") or () if "run" in step]
    parts = ("before_script", "script", "after_script")
    steps += [line for job in jobs.values() if isinstance(job, dict) for name in parts for line in job.get(name) or ()]
    return [line for step in steps for line in step.split(" && ")]


def tree(text: str) -> set[str]:
    """The paths that the picture of a folder shows, below its top; those of folders end with a slash."""
    (picture,) = [body for _, body in blocks(text) if "└── " in body]
    found, above = set(), dict[int, str]()
    for line in picture.splitlines()[1:]:
        match = re.match(r"([│ ]*)[├└]── (\S+)", line)
        assert match, line
        depth = len(match.group(1)) // 4
        path = above.get(depth - 1, "") + match.group(2)
        above[depth] = path
        found.add(path)
    return found
