# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL server of our own on this host, for a role that may not create a database where the original is.

It listens on a Unix socket in a private folder and nowhere else, ends with the process that started it, and its folder is
removed in every case. Its roles are those of the original's server, so what a revision may not do there fails here too.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from typing import Any

from ..failure import Failure, describe
from . import programs
from .access import Access, Session, quoted
from .folder import Folder
from .scratch import Scratch

SUPERUSER = "dbops_rehearsal"
START_SECONDS = 60.0
#: Connect arguments that say where the original is, or who asks there.
_PLACE = (
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "passfile",
    "service",
    "dsn",
    "unix_sock",
    "channel_binding",
    "gssencmode",
)
_LONGEST_SOCKET = 100  # the system's limit is 107, terminated
_ROLES = """
select rolname::text, concat_ws(' ', case when rolsuper then 'superuser' end, case when not rolinherit then 'noinherit' end,
                                case when rolcreaterole then 'createrole' end, case when rolcreatedb then 'createdb' end,
                                case when rolbypassrls then 'bypassrls' end)
from pg_roles where rolname !~ '^pg_'"""
_MEMBERS = """
select r.rolname::text, m.rolname::text
from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
where m.rolname !~ '^pg_'"""
_OWN_SETTINGS = "select unnest(rolconfig) from pg_roles where rolname = current_user"
_OWNER = "select pg_get_userbyid(datdba)::text, session_user::text from pg_database where datname = current_database()"


class Cluster(Scratch):
    """Rehearses in a server of its own, made by initdb."""

    place = "cluster"

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        super().__init__(access, database, request)
        self.folder = Folder(*access.endpoint, "cluster")
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = ""

    def create(self) -> None:
        if self.access.cargs:
            raise Failure("rehearsal_impossible", "The project connects by a DSN, which can not be led to another server.")
        self.prune()
        self.kind = self.read_original()
        with self.access.connect(self.database, "rehearsal", reading=True).closing() as original:
            own = dict(row[0].split("=", 1) for row in original.rows(_OWN_SETTINGS))
            self.settings = dict(own, **self.settings)
            self.owner, user = original.rows(_OWNER)[0]
            roles, members = original.rows(_ROLES), original.rows(_MEMBERS)
        initdb = os.path.realpath(programs.find("initdb", self.request.get("postgresql_programs"), self.major))
        self._start(os.path.dirname(initdb), self.folder.make())
        self.here = self._access(str(user))
        for name, attributes in roles:
            self.admin.rows(f"create role {quoted(name)} login {attributes}")
        for role, member in members:
            self.admin.rows(f"grant {quoted(role)} to {quoted(member)}")
        try:
            self._make(self.name, self.kind)
        except Exception as exc:  # this host lacks the locale
            if describe(exc)["kind"] in ("connection_lost", "connection_failed"):
                raise
            self.kind = (self.kind[0], "C", "C", None, None)
            self._make(self.name, self.kind)
        self.missing = self._carry(self.name)

    def _sign(self, name: str) -> None:
        super()._sign(name)
        self.admin.rows(f"alter database {quoted(name)} owner to {quoted(self.owner)}")

    def _start(self, binaries: str, folder: str) -> None:
        """Make the cluster and start its server; PostgreSQL refuses to be root."""
        if len(os.path.join(folder, ".s.PGSQL.5432")) > _LONGEST_SOCKET:
            raise Failure(
                "rehearsal_impossible",
                f"The path of a socket in {folder} is too long for the system.",
                "Name a shorter folder in the environment variable TMPDIR.",
            )
        before = _identity(folder)
        data, log = os.path.join(folder, "data"), os.path.join(folder, "log")
        environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)}
        making = [
            os.path.join(binaries, "initdb"),
            "-D",
            data,
            "-U",
            SUPERUSER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        with open(log, "wb") as output:
            done = subprocess.run(  # pylint: disable=ansible-bad-function  # there is no Ansible here
                [*before, *making], env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
            if done.returncode:
                raise Failure("rehearsal_impossible", f"initdb failed: {_last_line(log)}.")
            settings = [
                "listen_addresses=",
                "fsync=off",
                "autovacuum=off",
                "shared_buffers=16MB",
                "wal_level=minimal",
                "max_wal_senders=0",
            ]
            starting = [os.path.join(binaries, "postgres"), "-D", data, "-k", folder, "-p", "5432"]
            starting += [part for setting in settings for part in ("-c", setting)]
            self.process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [*before, *starting], env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._wait(log)

    def _wait(self, log: str) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self._admin = self._access(SUPERUSER).connect("postgres", "rehearsal")
                return
            except Exception as exc:
                if self.process is None or self.process.poll() is not None:
                    raise Failure("rehearsal_impossible", f"postgres did not start: {_last_line(log)}.") from exc
                if time.monotonic() > until:
                    raise
            time.sleep(0.05)

    def _access(self, user: str) -> Access:
        """Return the way there: the arguments that the project gives its driver, but for place and person."""
        dialect = self.access.dialect
        kept = {name: value for name, value in self.access.cparams.items() if name not in _PLACE and not name.startswith("ssl")}
        kept["user"] = user
        if dialect.driver == "pg8000":
            kept["unix_sock"] = os.path.join(self.folder.path, ".s.PGSQL.5432")
        else:
            kept.update(host=self.folder.path, port=5432)
        return Access(dialect, [], kept)

    def connect(self, name: str | None = None) -> Session:
        return self._access(SUPERUSER).connect(name or self.name, "rehearsal")

    def prune(self, check: bool = False) -> list[str]:
        return self.folder.prune(check)

    def remove(self) -> None:
        self.let_go()
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)  # at once: nothing in it is to be kept
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        self.folder.remove()


def _identity(folder: str) -> list[str]:
    """Return what starts a program as a plain user, to whom ``folder`` is given, and ends it with us."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users.get("nobody")
    if setpriv is None or user is None:
        what = "setpriv (util-linux)" if setpriv is None else "a user postgres or nobody"
        raise Failure("rehearsal_impossible", f"PostgreSQL refuses to run as root, and there is no {what} to run it otherwise.")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [setpriv, "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups", "--pdeathsig", "KILL"]


def _last_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as handle:
        lines = [line.strip() for line in handle if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"
