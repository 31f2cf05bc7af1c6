# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What to do about a command that failed, by what it printed: the usual causes, in the words of the usual programs."""

from __future__ import annotations

import re

# Words of the command (none: any command), what it printed, and what to do. The first that fits is told, so causes come before
# what follows from them: pip finds "no matching distribution" also where it reached no index.
_TABLE: tuple[tuple[str, str, str], ...] = (
    (
        "",
        r"No space left on device|Disk quota exceeded|\bENOSPC\b|\[Errno 28\]|disk full",
        "make room on that file system (df -h, df -i); release_keep_count and backup_archive_keep_count say how much is kept.",
    ),
    ("", r"Read-only file system", "that file system is mounted read-only; mount it for writing, or set another folder."),
    (
        "",
        r"ensurepip is not available|No module named '?(venv|ensurepip)\b|'-m', 'ensurepip'.{0,80} returned non-zero",
        "that Python can make no virtual environment. Install its package (python3-venv on Debian and Ubuntu, with the number of"
        " the version for another one, as in python3.12-venv), or choose another program with release_virtualenv_command.",
    ),
    (
        "git",
        r"Host key verification failed|host key .{0,80} (changed|unknown)",
        "the host does not know the key of the git server; add it to /etc/ssh/ssh_known_hosts there (ssh-keyscan, and compare it).",
    ),
    (
        "git",
        r"Permission denied \(publickey|could not read (Username|Password)|Authentication failed|Invalid username or"
        r"|terminal prompts disabled|HTTP Basic: Access denied|returned error: 40[13]",
        "the user that runs git on that host may not read the repository. Give it a deploy key or a token that may, or deploy"
        " an archive (release_source: archive), which needs no access to git.",
    ),
    (
        "git",
        r"detected dubious ownership",
        "the repository belongs to another user than the one that runs git; make them the same, or use the URL of a server.",
    ),
    (
        "git",
        r"did not match any file|[Rr]emote branch .{0,200} not found|couldn't find remote ref|Failed to checkout|not our ref"
        r"|unknown revision|reference is not a tree",
        "release_git_reference (which is release_version, unless it is set) names no branch, tag or commit of that repository."
        " Push it, or name another one.",
    ),
    (
        "git",
        r"Could not resolve host|Connection (refused|timed out)|Failed to connect|Network is unreachable|unable to access"
        r"|Could not resolve hostname",
        "the host reaches the git server not; look at its name, at the network and the proxy, or deploy an archive.",
    ),
    (
        "git",
        r"does not appear to be a git repository|repository .{0,200} not found|Repository not found|does not exist",
        "there is no repository at release_git_repository, or the user may not see it; look at the address.",
    ),
    (
        "",
        r"Failed to find required executable \"?git|\bgit: (command )?not found",
        "install git on that host, or deploy an archive.",
    ),
    (
        "pip|uv",
        r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate verify failed",
        "the host does not trust the certificate of the package index; install its authority, or name the file in"
        " release_pip_environment (PIP_CERT).",
    ),
    (
        "pip|uv",
        r"40[13] (Client )?Error|Credentials not correct",
        "the package index refused the user; set the credentials in release_pip_environment (PIP_INDEX_URL) or in pip.conf there.",
    ),
    (
        "pip|uv",
        r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Name or service not known|Temporary failure in name resolution"
        r"|Max retries exceeded|ProxyError|Network is unreachable|Connection refused",
        "the host reaches the package index not; look at the network and the proxy, name another index in release_pip_environment"
        " (PIP_INDEX_URL), or bring the packages with the release (release_pip_arguments: [--no-index, --find-links=wheels]).",
    ),
    (
        "pip|uv",
        r"requires a different Python|Ignored the following versions that require a different python|Requires-Python",
        "the release wants another version of Python; name it in release_python.",
    ),
    (
        "pip|uv",
        r"ResolutionImpossible|conflicting dependencies|No solution found",
        "the requirements contradict each other; pip names them above. Mend them in the release.",
    ),
    (
        "pip|uv",
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "what the index gives is not what the requirements were locked to. Find out which is right before you lock them anew.",
    ),
    (
        "pip|uv",
        r"No matching distribution found|Could not find a version that satisfies",
        "the package index of that host has no such version. Look at the name and the number in the requirements, at the index in"
        " use (release_pip_environment: PIP_INDEX_URL), and whether there is a wheel for this Python and machine.",
    ),
    (
        "pip|uv",
        r"Could not open requirements file|Invalid requirement",
        "look at the requirements of the release; release_requirements says which files they are.",
    ),
    (
        "pip|uv",
        r"gcc|cc failed|Python\.h|pg_config|mysql_config|pkg-config|[Mm]icrosoft Visual|Failed building wheel|Rust|cargo",
        "a package had to be compiled and the host can not. Take one that has a wheel (psycopg[binary] or psycopg2-binary for"
        " PostgreSQL), build wheels elsewhere, or install what the lines above miss.",
    ),
    (
        "pip|uv",
        r"not installable|neither 'setup.py' nor 'pyproject.toml'|No such file or directory",
        "there is nothing to install at that path; release_install and release_requirements say what is installed.",
    ),
    (
        "",
        r"not in gzip format|does not look like a tar archive|Unexpected EOF in archive|unexpected end of file"
        r"|Failed to find handler for|End-of-central-directory",
        "that file is no archive that tar or unzip reads, or only a part of one; make it anew, and look at release_archive.",
    ),
    (
        "",
        r"server version mismatch",
        "the programs of the database are older than its server; install newer ones on the migrator and name their folder in"
        " backup_programs_directory.",
    ),
    (
        "",
        r"Missing sudo password|a (terminal|password) is required|is not in the sudoers|not allowed to (execute|run)"
        r"|Incorrect sudo",
        "the user that Ansible logs in as may not become the other one there; give the right (sudoers), the password"
        " (--ask-become-pass), or set become_user.",
    ),
    (
        "",
        r"Permission denied|Operation not permitted|\[Errno 13\]|\bEACCES\b",
        "the user that runs this may not; set become for the host, or give it the folder.",
    ),
    ("", r"Cannot allocate memory|MemoryError|out of memory", "the host ran out of memory; give it more, or let less run there."),
    (
        "",
        r"command not found|interpreter .{0,200} was not found|bad interpreter|No such file or directory: (?:b'|'[^/']+')",
        "that program is not on the host; install it, or name another one (release_python, release_virtualenv_command,"
        " ansible_python_interpreter).",
    ),
)
_BY_STATUS = {
    -9: "somebody killed it, in most cases the kernel for want of memory (journalctl -k).",
    137: "somebody killed it, in most cases the kernel for want of memory (journalctl -k).",
    126: "that program can not be run by this user.",
    127: "that program is not on the host; install it, or name another one.",
}
_NOT_RUN = "that program is not on the host or can not be run by this user; install it, or name another one."
_WORD = r"(?:^|[\s/'])(?:{words})[\d.]*(?:$|[\s'])"


def remedy(command: str, status: object, text: str) -> str:
    """Return what to do about ``command`` that ended with ``status`` and printed ``text``; empty where that is not known."""
    text = " ".join(text.split())  # programs break their lines where they like
    for words, printed, do in _TABLE:
        if (not words or re.search(_WORD.format(words=words), command)) and re.search(printed, text):
            return do
    if command and text.startswith("Error executing command"):
        return _NOT_RUN
    return _BY_STATUS.get(status, "") if isinstance(status, int) else ""
