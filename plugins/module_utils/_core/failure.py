# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is told of a task that failed: the command, how it ended, the end of what it printed, and what to do about it."""

from __future__ import annotations

import shlex
from typing import Any, Mapping, Sequence

from .remedy import remedy

#: Lines that are shown of each of the two outputs.
TAIL = 10
#: Characters that are shown of a command and of a line.
WIDTH = 400
#: Begins the line that says what to do, and is looked for by :func:`brief`.
TO_DO = "What to do: "
#: Where the documentation is read, as galaxy.yml has it.
DOCUMENTATION = "https://git.example.org/dbops/alembic/docs"
#: Begins the line that names the error kind of a module of ours.
KIND = "Kind: "
#: Stands between the kind and the address of what is said about it.
SEE = ", see "
#: Lines that stand alone, also below the end of a log.
SAID = (TO_DO, KIND)
#: How the lines above the end of a log begin, here and where a host tells its own.
MARKS = ("The end of its log", "It printed, at the end:", "Its errors, at the end:")

# What modules say when they mean "look at the rest of my result".
_EMPTY = (
    "non-zero return code",
    "Error executing command",
    "MODULE FAILURE",
    "Module result deserialization failed",
    "Failure when unpacking",
)


def told(result: Mapping[str, Any], task: str = "") -> str:
    """Return the lines that tell why a task failed, from its ``result``; of a loop each item that failed.

    A module of this collection says all of it in its message, unless it ran a program, and its error kind is told below. Of a
    program and of anything else the command, its exit status, the last lines of both outputs and the remedy are told too. No line
    is told twice.
    """
    items = [item for item in result.get("results") or [] if isinstance(item, Mapping) and item.get("failed")]
    if items:
        return "\n".join(dict.fromkeys(told(item, task) for item in items))
    message = _message(result.get("msg"))
    kind = [kind_line(str(result["error_kind"]))] if result.get("error_kind") else []
    program = bool(kind) and "cmd" in result  # of our own module that runs one
    if kind and not program:
        return "\n".join([message, *_new(_tail(result.get("stderr")), message), *kind])
    head = _head(result, task)
    says_nothing = program or message.startswith(_EMPTY) or (bool(head) and message in _text(result))
    lines = [*([head] if head else []), *([] if says_nothing else _shortened(message, isinstance(result.get("msg"), list)))]
    lines += _outputs(result, "\n".join(lines))
    lines = lines or [f"{task}: no reason was given" if task else "no reason was given"]
    do = "" if TO_DO in message else remedy(_command(result), result.get("rc"), f"{message}\n{_text(result)}")
    named = f"{task}: " if task and do and not head else ""  # else the message is a sentence of its own, or the head has it
    return named + "\n".join([*lines, *([TO_DO + do] if do else []), *kind])


def kind_line(kind: str) -> str:
    """Return the line that names an error kind, and where it is explained."""
    return f"{KIND}{kind}{SEE}{DOCUMENTATION}/collection/docsite/guide_error_kinds.html#{kind.replace('_', '-')}"


def _message(said: Any) -> str:
    """The text of a message, which a debug task may have as a list of lines."""
    return "\n".join(str(line) for line in said) if isinstance(said, list) else str(said or "").strip()


def by_host(reasons: Mapping[str, str | Sequence[str]]) -> list[str]:
    """Return the lines of what hosts say, one text or several, sorted by host; what several say alike is told once."""
    return [line for hosts, text in _alike(reasons) for line in f"{hosts}: {text}".splitlines()]


def brief(reasons: Mapping[str, str | Sequence[str]]) -> list[str]:
    """Return one line for each thing that hosts say: how it begins, and what to do."""
    return [" ".join([f"{hosts}:", *_essence(text)]) for hosts, text in _alike(reasons)]


def _essence(text: str) -> list[str]:
    lines = text.splitlines()
    return [line.strip() for number, line in enumerate(lines) if number == 0 or line.startswith(TO_DO)]


def _alike(reasons: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
    hosts: dict[str, list[str]] = {}
    for host in sorted(reasons):
        said = reasons[host]
        for text in [said] if isinstance(said, str) else said:
            hosts.setdefault(text.strip(), []).append(host)
    return [(", ".join(names), text) for text, names in hosts.items()]


def _head(result: Mapping[str, Any], task: str) -> str:
    command, status = _command(result), result.get("rc")
    if not command and "module_stderr" not in result:
        return ""
    ended = "could not be run" if status is None else f"ended with exit status {status}"
    if isinstance(status, int) and status < 0:
        ended = f"was killed by signal {-status}"
    return f"{task + ': ' if task else ''}{_line(command) or 'the module'} {ended}."


def _command(result: Mapping[str, Any]) -> str:
    """The command as a shell would take it. ``unarchive`` has it one level below, with other names."""
    command = result.get("cmd") or _unpacked(result).get("cmd") or ""
    return command if isinstance(command, str) else shlex.join(str(word) for word in command)


def _unpacked(result: Mapping[str, Any]) -> Mapping[str, Any]:
    found = result.get("extract_results")
    return found if isinstance(found, Mapping) else {}


def _printed(result: Mapping[str, Any]) -> tuple[Any, Any]:
    inner = _unpacked(result)
    return (
        result.get("stdout") or result.get("module_stdout") or inner.get("out"),
        result.get("stderr") or result.get("module_stderr") or inner.get("err"),
    )


def _text(result: Mapping[str, Any]) -> str:
    return "\n".join(str(output or "") for output in _printed(result))


def _outputs(result: Mapping[str, Any], before: str) -> list[str]:
    out, err = _printed(result)
    lines: list[str] = []
    for title, output in (("It printed, at the end:", out), ("Its errors, at the end:", err)):
        new = _new(_tail(output), "\n".join([before, *lines]))
        lines += [title, *(f"  {line}" for line in new)] if new else []
    return lines


def _tail(output: Any) -> list[str]:
    return [_line(line) for line in str(output or "").splitlines() if line.strip()][-TAIL:]


def _line(text: str) -> str:
    return text.rstrip() if len(text) <= WIDTH else text[: WIDTH - 1].rstrip() + "…"


def _new(lines: Sequence[str], before: str) -> list[str]:
    known = {line.strip() for line in before.splitlines()}
    return [line for line in lines if line.strip() not in known and not (line.strip() and before.endswith(line.strip()))]


def _shortened(message: str, listed: bool) -> list[str]:
    """The lines of a message; those of a list are each of its own and are all told."""
    lines = [_line(line) for line in message.splitlines() if line.strip()]
    return lines if listed or len(lines) <= TAIL + 3 else [*lines[:3], "…", *lines[-TAIL:]]
