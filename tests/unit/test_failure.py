# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a task that failed, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.failure_text import failure_text
from ansible_collections.dbops.alembic.plugins.filter.host_failures import host_failures
from ansible_collections.dbops.alembic.plugins.module_utils._core import failure
from ansible_collections.dbops.alembic.plugins.module_utils._core.remedy import remedy

PIP = "/srv/shop/releases/2/venv/bin/python -m pip install --quiet --requirement=requirements.txt"
VENV = "python3 -m venv /srv/shop/releases/2/venv"
GIT = "/usr/bin/git clone --depth 1 https://git.example.org/shop.git /srv/shop/releases/2"


@pytest.mark.parametrize(
    ("command", "printed", "says"),
    [
        (
            VENV,
            "The virtual environment was not created successfully because ensurepip is not\navailable.  On Debian",
            "python3-venv",
        ),
        (
            VENV,
            "Error: Command '['/v/bin/python', '-m', 'ensurepip', '--upgrade']' returned non-zero exit status 1.",
            "python3-venv",
        ),
        (VENV, "/usr/bin/python3: No module named venv", "python3-venv"),
        (VENV, "Error: [Errno 13] Permission denied: '/srv/shop/releases/2/venv'", "become"),
        (VENV, "OSError: [Errno 28] No space left on device", "make room"),
        (PIP, "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "make room"),
        (PIP, "ERROR: No matching distribution found for shop==9", "no such version"),
        (
            PIP,
            "WARNING: Retrying: NewConnectionError\nERROR: No matching distribution found for shop==9",
            "reaches the package index not",
        ),
        (PIP, "SSLError(SSLCertVerificationError(1, 'certificate verify failed'))\nERROR: No matching", "PIP_CERT"),
        (PIP, "ERROR: HTTP error 401 Client Error: Unauthorized for url", "refused the user"),
        (PIP, "ERROR: Package 'shop' requires a different Python: 3.9.2 not in '>=3.11'", "release_python"),
        (PIP, "ERROR: ResolutionImpossible: for help visit …", "contradict"),
        (PIP, "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "locked"),
        (PIP, "Error: pg_config executable not found.", "psycopg"),
        (PIP, "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'x.txt'", "release_requirements"),
        (GIT, "git@git.example.org: Permission denied (publickey).\nfatal: Could not read from remote repository.", "deploy key"),
        (GIT, "fatal: could not read Username for 'https://git.example.org': terminal prompts disabled", "deploy key"),
        (GIT, "Host key verification failed.\nfatal: Could not read from remote repository.", "known_hosts"),
        (GIT, "error: pathspec 'v9' did not match any file(s) known to git", "release_git_reference"),
        (GIT, "fatal: unable to access 'https://git.example.org/': Could not resolve host: git.example.org", "proxy"),
        (GIT, "fatal: '/srv/x' does not appear to be a git repository", "release_git_repository"),
        ("tar -xzf a.tar.gz", "gzip: stdin: unexpected end of file", "only a part"),
        ("pg_dump -Fc", "pg_dump: error: aborting because of server version mismatch", "backup_programs_directory"),
        ("sudo x", "Missing sudo password", "--ask-become-pass"),
        ("", "/bin/sh: 1: /usr/bin/python3.99: command not found", "install it"),
        ("", "[Errno 2] No such file or directory: b'git'", "install it"),
        ("", "FileNotFoundError: [Errno 2] No such file or directory: 'git'", "install it"),
        ("", "FileNotFoundError: [Errno 2] No such file or directory: '/root/.local/state/jobs/a.lock'", ""),
        ("make migrate", "all went wrong", ""),
        ("digit", "pathspec 'v9' did not match any file", ""),  # git is a word of the command, or it is not git
    ],
)
def test_the_usual_causes_have_a_remedy(command: str, printed: str, says: str) -> None:
    found = remedy(command, 1, printed)
    assert (says in found) if says else not found


@pytest.mark.parametrize(("status", "says"), [(-9, "memory"), (137, "memory"), (127, "not on the host"), (3, "")])
def test_a_status_may_tell_what_no_output_tells(status: int, says: str) -> None:
    found = remedy("make migrate", status, "")
    assert (says in found) if says else not found


def kind(name: str) -> str:
    """The line that names it."""
    return failure.kind_line(name)


COMMAND: dict[str, Any] = {
    "msg": "non-zero return code",
    "cmd": ["pip", "install", "a b"],
    "rc": 1,
    "stdout": "one\n\ntwo\n",
    "stderr": "two\nERROR: No matching distribution found for a",
    "failed": True,
}


def test_a_command_is_told_with_its_end_and_each_line_once() -> None:
    assert failure.told(COMMAND, "Install").splitlines()[:-1] == [
        "Install: pip install 'a b' ended with exit status 1.",
        "It printed, at the end:",
        "  one",
        "  two",
        "Its errors, at the end:",
        "  ERROR: No matching distribution found for a",
    ]
    assert failure.told(COMMAND, "Install").splitlines()[-1].startswith("What to do: the package index")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"msg": "It is so. Do that.", "error_kind": "not_ours"}, f"It is so. Do that.\n{kind('not_ours')}"),
        (
            {"msg": "It printed:\nno", "stderr": "no\nnever\n", "error_kind": "command_failed"},
            f"It printed:\nno\nnever\n{kind('command_failed')}",
        ),
        ({"msg": "Permission denied", "error_kind": "not_ours"}, f"Permission denied\n{kind('not_ours')}"),
        (
            {
                "msg": "pip ended with status 1: no",
                "error_kind": "command_failed",
                "cmd": ["pip", "install"],
                "rc": 1,
                "stderr": "no",
            },
            f"pip install ended with exit status 1.\nIts errors, at the end:\n  no\n{kind('command_failed')}",
        ),
        (
            {"msg": "fatal: no", "cmd": "git clone x", "rc": 128, "stderr": "fatal: no\n"},
            "git clone x ended with exit status 128.\nIts errors, at the end:\n  fatal: no",
        ),
        ({"msg": "Failed to checkout", "cmd": ["a"], "rc": 1}, "a ended with exit status 1.\nFailed to checkout"),
        ({"msg": "non-zero return code", "cmd": "x", "rc": -15}, "x was killed by signal 15."),
        (
            {"msg": "MODULE FAILURE: see stdout", "module_stderr": "Traceback", "rc": 1},
            "the module ended with exit status 1.\nIts errors, at the end:\n  Traceback",
        ),
        ({"msg": "plain"}, "plain"),
        ({}, "no reason was given"),
        ({"msg": "One or more", "results": [{"failed": True, "msg": "a"}, {"msg": "b"}, {"failed": True, "msg": "a"}]}, "a"),
    ],
)
def test_what_is_told_of_each_kind_of_result(result: dict[str, Any], told: str) -> None:
    assert failure.told(result) == told


def test_an_archive_that_could_not_be_unpacked() -> None:
    inner = {"cmd": ["/bin/tar", "-x"], "rc": 2, "out": "", "err": "tar: a: Cannot open: No space left on device"}
    result = {"msg": "Failure when unpacking", "extract_results": inner}
    assert failure.told(result).splitlines()[0].startswith("/bin/tar -x")
    assert "make room" in failure.told(result)


def test_a_long_message_of_another_module_keeps_both_ends() -> None:
    message = 'Failed to find handler for "/tmp/source".\n' + "\n".join(f"could not {n}" for n in range(40))
    lines = failure.told({"msg": message}, "Unpack").splitlines()
    assert lines[0] == 'Unpack: Failed to find handler for "/tmp/source".' and "…" in lines and "could not 39" in lines
    assert len(lines) == 15 and lines[-1].startswith("What to do: that file is no archive")
    assert failure.told({"msg": "All is lost."}, "Refuse") == "All is lost."


def test_long_outputs_keep_their_end() -> None:
    long = {**COMMAND, "stdout": "\n".join(map(str, range(1000))), "stderr": "x" * 5000}
    lines = failure.told(long).splitlines()
    assert lines[2] == "  990" and "  999" in lines and max(map(len, lines)) <= failure.WIDTH + 2


def test_nothing_secret_or_unprintable_is_told() -> None:
    result = {
        **COMMAND,
        "cmd": ["pip", "install", "--index-url", "https://joe:hunter22@example.org/simple"],
        "stderr": "\x1b[31mgit+https://ghp_0123456789abcdefghij@example.org failed\nPASSWORD=hunter23",
    }
    told = failure_text(result, "Install")
    assert "hunter2" not in told and "ghp_" not in told and "\x1b" not in told and "https://***@example.org" in told


def test_a_cause_that_a_nested_task_has_told_is_not_told_again() -> None:
    inner = failure.told(COMMAND, "Install")
    assert failure.told({"msg": f"The hook before_stop failed: {inner}"}).count("What to do: ") == 1


def test_hosts_that_say_the_same_are_told_together() -> None:
    text = failure.told(COMMAND, "Install")
    reasons = {"b": text, "c": "gone", "a": text}
    assert host_failures(reasons)[0] == "a, b: Install: pip install 'a b' ended with exit status 1."
    assert host_failures(reasons)[-1] == "c: gone"
    first, second = host_failures(reasons, brief=True)
    assert first.startswith("a, b: Install: pip install 'a b' ended with exit status 1. What to do: the package index")
    assert "\n" not in first and second == "c: gone"


def test_a_module_that_was_killed_has_printed_nothing() -> None:
    """So ansible-core gives it: with both outputs, and both empty."""
    result = {"failed": True, "rc": -9, "module_stdout": "", "module_stderr": "", "msg": "MODULE FAILURE\nSee stdout/stderr"}
    for told in (failure_text(result, "Take the steps"), failure_text(result, brief=True)):
        assert "the module was killed by signal 9." in told
    own = {"failed": True, "msg": "It is gone. password=hunter22", "error_kind": "connection_lost"}
    assert failure_text(own, brief=True) == "It is gone. password=***" and "Kind: " in failure_text(own)


def test_a_message_that_is_a_list_is_told_whole() -> None:
    lines = [f"host{number}: no git" for number in range(30)]
    assert failure_text({"failed": True, "msg": lines}).splitlines() == lines


def test_hosts_may_say_several_things() -> None:
    reasons = {"b": ["no git", "no room"], "a": ["no room"]}
    assert host_failures(reasons) == host_failures(reasons, brief=True) == ["a, b: no room", "b: no git"]
