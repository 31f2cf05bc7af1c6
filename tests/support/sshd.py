# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real sshd on a free port of this machine, with throw-away keys, whose connections can be cut."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
from pathlib import Path
from typing import Any

from .processes import Daemon, free_port, program, run_as
from .runner import process_tree

CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""


class Sshd:
    def __init__(self, folder: Path):
        self.program = program("sshd")
        self.folder, self.port = folder / "sshd", free_port()
        self.folder.mkdir(parents=True)
        for name in ("host", "user"):
            run_as(None, [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)])
        (self.folder / "config").write_text(CONFIGURATION.format(port=self.port, folder=self.folder))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself in before a login
        self.daemon: Daemon | None = None

    def start(self) -> Sshd:
        self.daemon = Daemon([self.program, "-D", "-e", "-f", str(self.folder / "config")], None, self.folder / "log")
        self.daemon.start(self._ready)
        return self

    def _ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def variables(self) -> dict[str, Any]:
        """What a host of the inventory needs to be reached here. The keys of a known host are nobody's business."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o IdentityAgent=none"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.folder / "user"),
            "ansible_ssh_common_args": options,
            "ansible_ssh_timeout": 5,
            "ansible_control_path_dir": str(self.folder),
        }

    def cut(self) -> None:
        """Kill every connection, and nothing that was started over one."""
        for pid in process_tree(self.daemon.process.pid)[1:] if self.daemon and self.daemon.process else ():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "sshd":
                    os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Stop listening and kill every connection."""
        self.cut()
        if self.daemon:
            self.daemon.stop()
