# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal of a run, and the log file that has the rest: everything that Ansible displays goes through here."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterable, Iterator

from ansible import constants as C

from ._story_layout import Line
from ._text import WIDTH, wrapped

COLOURS = {
    "step": "COLOR_OK",
    "failure": "COLOR_ERROR",
    "warning": "COLOR_WARN",
    "heading": "COLOR_HIGHLIGHT",
    "note": "COLOR_VERBOSE",
    "waiting": "COLOR_VERBOSE",
}
ERASE = "\r\033[K"
_PAINT = re.compile(r"\033\[[0-9;]*[A-Za-z]")


class Terminal:
    """Takes over ``display`` until :meth:`restore`.

    What Ansible's own callback displays inside :meth:`logging` goes to the log file alone. What tasks show while they run, and
    warnings of Ansible, go to both. Forks hand theirs to this process, and never come here.
    """

    def __init__(self, display: Any, log: Path | None) -> None:
        self._display, self._own = display, display.display
        self._pid, self._lock, self._here = os.getpid(), threading.RLock(), threading.local()
        self._file = _opened(log) if log else None
        self._live = ""
        self.is_terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        display.display = self._displayed

    def restore(self) -> None:
        """Give the display back, and close the log."""
        self._erase()
        self._display.__dict__.pop("display", None)
        if self._file:
            self._file.close()
            self._file = None

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        self._here.logs = True
        try:
            yield
        finally:
            self._here.logs = False

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines of the story; they are in the log as well."""
        with self._lock:
            for line in lines:
                self._erase()
                self._write(line.text)
                self._own(line.text, color=getattr(C, COLOURS.get(line.kind, ""), None), screen_only=True)

    def live(self, text: str) -> None:
        """Show what is under way, where that can be taken back."""
        if self.is_terminal:
            with self._lock:
                self._live = text
                self._draw()

    def _displayed(self, msg: Any, *arguments: Any, **options: Any) -> Any:
        if os.getpid() != self._pid:
            return self._own(msg, *arguments, **options)
        with self._lock:
            self._write(str(msg))
            if getattr(self._here, "logs", False):
                return self._own(msg, *arguments, **{**options, "log_only": True})
            self._erase(keep=True)
            is_progress = options.get("stderr") and not options.get("color") and not arguments
            text = "\n".join(wrapped(str(msg).strip(), WIDTH, " " * 8)) if is_progress else msg
            shown = self._own(text, *arguments, **options)
            self._draw()
            return shown

    def _write(self, text: str) -> None:
        if self._file:
            try:
                self._file.write(_PAINT.sub("", text) + "\n")
            except (OSError, ValueError):  # a full disk must not end a deployment
                self._file = None

    def _erase(self, keep: bool = False) -> None:
        if self._live and self.is_terminal:
            sys.stdout.write(ERASE)
            sys.stdout.flush()
        if not keep:
            self._live = ""

    def _draw(self) -> None:
        if self._live:
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(ERASE + self._live.encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()


def _opened(path: Path) -> Any:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def log_path(folder: str, playbook: str, keep: int) -> Path:
    """Return the path of a new log in ``folder``, which is made; the newest ``keep`` logs that are there stay.

    :raises OSError: the folder can not be made or read.
    """
    place = Path(folder)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    ours = sorted(path for path in place.glob("[0-9]*T[0-9]*Z-*-*.log") if path.is_file() and not path.is_symlink())
    for path in ours[: max(0, len(ours) + 1 - keep)] if keep > 0 else []:
        with contextlib.suppress(OSError):
            path.unlink()
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(playbook).name)[:80]
    return place / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}-{name}.log"
