# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that the hosts of a run belong to. It boots them, and removes everything when it is told to, or when the process that
asked for them (DBOPS_LAB_OWNER) is gone, however that ended. What a killed keeper left is removed before the next one begins."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

from machine import REBOOT, Machine, remove_cgroup, remove_folder
from network import Network
from paths import KEY, RUN
from supplies import releases, wheels, write_secrets
from trees import tree

#: Host → last part of its address, and its Debian.
ALL_HOSTS = {
    "lb1": (10, "bookworm"),
    "db1": (11, "bookworm"),
    **{f"app{number}": (20 + number, "bookworm") for number in range(1, 11)},
    "new1": (31, "trixie"),
}
#: Those of this run: what the scenarios need, unless DBOPS_LAB_HOSTS names others.
HOSTS = {name: ALL_HOSTS[name] for name in os.environ.get("DBOPS_LAB_HOSTS", "lb1,db1,app1,app2,app3,new1").split(",")}
NSPAWN = Path("/run/systemd/nspawn")
ROOM = "dblab"  # the name of our file system there


def up() -> None:
    """Start a keeper, and return when all hosts answer."""
    if _keeper_pid():
        print(f"the hosts of {RUN} are up")
        return
    clean_up_after_the_dead()
    for suite in sorted({suite for _number, suite in HOSTS.values()}):
        tree(suite)
    RUN.mkdir(parents=True, exist_ok=True)
    write_secrets()
    for name, folder in (("releases", releases()), ("wheels", wheels())):
        (RUN / name).unlink(missing_ok=True)
        (RUN / name).symlink_to(folder)
    with open(RUN / "keeper.log", "ab") as log:
        command = [sys.executable, str(Path(__file__).parent), "keep", os.environ.get("DBOPS_LAB_OWNER", "0")]
        keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    while not (RUN / "ready").exists():
        if keeper.poll() is not None:
            raise SystemExit(f"the hosts did not come up:\n{(RUN / 'keeper.log').read_text()[-3000:]}")
        time.sleep(0.1)
    print(f"{', '.join(HOSTS)} are up in {(RUN / 'subnet').read_text()}.0/24")


def down() -> None:
    pid = _keeper_pid()
    if pid:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            os.kill(pid, signal.SIGTERM)
            _wait_for(descriptor)
    clean_up_after_the_dead()
    shutil.rmtree(RUN, ignore_errors=True)


def keep(owner: int) -> None:
    """Boot the hosts and wait; what is made here is removed here."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit())
    (RUN / "keeper.pid").write_text(str(os.getpid()))
    with alone():
        network = Network.claim(RUN)
        make_room_for_nspawn()
    machines: list[Machine] = []
    try:
        (RUN / "subnet").write_text(network.prefix)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(KEY)], stdin=subprocess.DEVNULL, check=True)
        addresses = {name: f"{network.prefix}.{number}" for name, (number, _suite) in HOSTS.items()}
        names = "".join(f"{address} {name}\n" for name, address in addresses.items())
        for name, (_number, suite) in HOSTS.items():
            machines.append(Machine(network, name, addresses[name], tree(suite)))
            machines[-1].prepare(f"127.0.0.1 localhost\n{network.prefix}.1 controller\n{names}")
            machines[-1].boot()
        with ThreadPoolExecutor() as pool:
            silent = [machine.said() for machine, ok in zip(machines, pool.map(Machine.answers, machines)) if not ok]
        if silent:
            raise SystemExit("\n".join(["These hosts did not answer.", *silent]))
        (RUN / "ready").touch()
        watch(machines, owner)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for machine in machines:
            machine.switch_off()
        for machine in machines:
            machine.remove()
        with alone():
            network.remove()
            give_room_back()
        shutil.rmtree(controllers(network), ignore_errors=True)
        if (RUN / "ready").exists():
            shutil.rmtree(RUN, ignore_errors=True)
        else:  # `up` shows the log
            (RUN / "keeper.pid").unlink()


def watch(machines: list[Machine], owner: int) -> None:
    """Until the owner's end; a host that wants to boot again is booted again."""
    waiting = selectors.DefaultSelector()
    if owner:
        try:
            waiting.register(os.pidfd_open(owner), selectors.EVENT_READ)
        except ProcessLookupError:
            return
    for machine in machines:
        assert machine.process
        waiting.register(os.pidfd_open(machine.process.pid), selectors.EVENT_READ, machine)
    while True:
        for key, _events in waiting.select():
            if not isinstance(key.data, Machine):
                return
            waiting.unregister(key.fd)
            machine = key.data
            assert machine.process
            if machine.process.wait() == REBOOT:
                machine.boot()
                waiting.register(os.pidfd_open(machine.process.pid), selectors.EVENT_READ, machine)


def clean_up_after_the_dead() -> None:
    """Remove what is left of runs whose keeper is gone, whichever checkout they were of."""
    with alone():
        dead = [(network, run) for network, run in Network.all() if not _keeper_pid(run)]
        for network, run in dead:
            _remove(network, run)
        if dead:
            give_room_back()


def _remove(network: Network, run: Path) -> None:
    for folder in (run / "hosts").glob("*"):
        for root in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified")):
            remove_cgroup(root / network.unique(folder.name))
        remove_folder(folder)
    network.remove()
    shutil.rmtree(controllers(network), ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Runs share the names of networks and one file system, so one at a time changes these."""
    with open("/run/lock/dblab", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def controllers(network: Network) -> Path:
    """Where the controllers of a run live: a short path, since the sockets of SSH connections are in it."""
    return Path("/tmp") / network.bridge


def make_room_for_nspawn() -> None:
    """systemd-nspawn does not clean up after itself when /run is on a disk."""
    NSPAWN.mkdir(parents=True, exist_ok=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(NSPAWN)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if kind != "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=1m", ROOM, str(NSPAWN)], check=True)


def give_room_back() -> None:
    """The last run takes its file system away."""
    mounts = [line.split()[:2] for line in Path("/proc/mounts").read_text().splitlines()]
    if [ROOM, str(NSPAWN)] in mounts and not Network.all():
        subprocess.run(["umount", str(NSPAWN)], check=False)


def _keeper_pid(run: Path = RUN) -> int:
    """The process id of a living keeper of that run, else 0; a dead one that nobody waited for has no command line."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((run / "keeper.pid").read_text())
        if b"keep" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    return 0


def _wait_for(descriptor: int) -> None:
    waiting = selectors.DefaultSelector()
    waiting.register(descriptor, selectors.EVENT_READ)
    if not waiting.select(300):
        raise SystemExit(f"the keeper of {RUN} does not end; see {RUN / 'keeper.log'}")
