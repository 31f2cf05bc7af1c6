# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""PostgreSQL's own programs: where they are, and a schema carried from one database to another by them."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from typing import Iterable

from ..failure import Failure, describe
from .access import Access, Session
from .pieces import COMMENTS, split

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/lib64/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin")
LOCK_WAIT_MILLISECONDS = 5000
#: What pg_dump would fail at, since it locks each table that it reads.
_UNREADABLE = """
select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not (has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE')) order by 1"""
#: What a role may often not make again, and no migration needs.
_NEEDLESS = ("pg_stat_statements", "extension plpgsql")
#: A command of psql, which no other client knows, ahead of all objects; the key, new for each dump, is on its last line again.
_RESTRICT = re.compile(rb"\A(?:--[^\n]*\n|\n)*\\restrict (\w+)\n")
#: With one, what is written to a foreign table of the copy would reach the real server behind it.
_MAPPING = re.compile(COMMENTS.pattern + r"(?:CREATE|ALTER)\s+USER\s+MAPPING\b", re.I | re.S)
#: A session goes on talking to its driver as it does.
_CLIENT = re.compile(COMMENTS.pattern + r"SET\s+client_encoding\b", re.I | re.S)
#: So many statements go to the server at once, in one transaction: each holds locks of which all sessions share a number.
_BATCH = 100
_REFUSED = "dbops.refused"
#: All of them at once, and where one is refused each by itself: what can be undone costs as much as a small statement.
#: In hexadecimal digits, so that nothing in between reads or changes what a schema has in its texts.
_RUN = f"""
do $do$
declare
  statements text[] := array(
    select convert_from(decode(piece, 'hex'), getdatabaseencoding())
    from unnest(string_to_array('{{pieces}}', ' ')) with ordinality p(piece, number) order by number);
  statement text;
begin
  execute array_to_string(statements, ';');
exception when others then
  foreach statement in array statements loop
    begin
      execute statement;
    exception when others then
      perform set_config('{_REFUSED}', current_setting('{_REFUSED}') || translate(sqlerrm, E'\\n', ' ') || E'\\n', false);
    end;
  end loop;
end
$do$"""


def find(name: str, folder: str | None, major: int) -> str:
    """Return the path of a program that is not older than the server.

    :param folder: where the user says that it is.
    :param major: major version of the server.
    :raises Failure: ``config_missing``.
    """
    if folder:
        given = os.path.join(folder, name)
        if os.access(given, os.X_OK):
            return given
        raise Failure("config_missing", f"There is no {name} in {folder}.", "Check postgresql_programs.")
    found = [path for pattern in _FOLDERS for path in glob.glob(os.path.join(pattern, name)) if os.access(path, os.X_OK)]
    versioned = sorted((int(match.group(1)), path) for path in found for match in [re.search(r"(\d+)/bin/", path)] if match)
    fitting = [path for version, path in versioned if version >= major]
    path = fitting[0] if fitting else shutil.which(name)
    if path:
        return path
    package = "server" if name == "initdb" else "client programs"
    raise Failure(
        "config_missing",
        f"There is no {name} on this host.",
        f"Install PostgreSQL's {package}, version {major} or later, or say with postgresql_programs where they are.",
    )


class Dump:
    """The schema of a database as SQL, and what of it could not be read.

    :raises Failure: pg_dump failed.
    """

    def __init__(self, source: Access, database: str, folder: str | None, major: int) -> None:
        program = find("pg_dump", folder, major)
        self.unread: list[str] = []
        try:
            self.text = _dumped(program, source, database, ())
        except Failure as exc:
            refused = _refused(source, database) if exc.kind == "insufficient_privilege" else {}
            if not refused:
                raise
            self.text = _dumped(program, source, database, refused)
            self.unread = list(refused.values())

    def restore(self, session: Session) -> list[str]:
        """Carry the schema into the database of ``session``; return what could not be read or restored, a line for each."""
        # one byte is one character: whatever the encoding of the server is, its bytes below 128 are ASCII
        pieces = [piece.encode("latin-1").hex() for piece in split(self.text.decode("latin-1")) if not _is_left(piece)]
        session.rows(f"select set_config('{_REFUSED}', '', false)")
        for start in range(0, len(pieces), _BATCH):
            session.rows(_RUN.format(pieces=" ".join(pieces[start : start + _BATCH])))
        told = str(session.value(f"select current_setting('{_REFUSED}')")).splitlines()
        return [*self.unread, *(line for line in told if not any(name in line for name in _NEEDLESS))]


def _is_left(statement: str) -> bool:
    return bool(_CLIENT.match(statement) or _MAPPING.match(statement))


def _refused(source: Access, database: str) -> dict[str, str]:
    """Return the tables that this role may not read, as pg_dump wants them named → the server's own words."""
    found = {}
    with source.connect(database, "rehearsal", reading=True).closing() as original:
        for (name,) in original.rows(_UNREADABLE):
            try:
                original.rows(f"select from {name} limit 0")
            except Exception as exc:
                found[str(name)] = f"{name}: {str(describe(exc)['message']).splitlines()[0].rstrip('.')}"
    return found


def _dumped(program: str, source: Access, database: str, without: Iterable[str]) -> bytes:
    command = [
        program,
        *(f"--exclude-table={name}" for name in without),
        "--schema-only",
        "--no-publications",
        "--no-subscriptions",
    ]
    command += ["--no-security-labels", "--no-tablespaces", f"--lock-wait-timeout={LOCK_WAIT_MILLISECONDS}"]
    done = subprocess.run(  # pylint: disable=ansible-bad-function  # there is no Ansible here
        command, env=_environment(source, database), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        kind = (
            "insufficient_privilege"
            if "permission denied" in said
            else "lock_timeout"
            if "lock timeout" in said
            else "database_error"
        )
        raise Failure(kind, f"pg_dump could not read the schema: {said.splitlines()[-1] if said else done.returncode}.")
    key = _RESTRICT.match(done.stdout)
    return re.sub(rb"(?m)^\\(?:un)?restrict " + key.group(1) + b"$", b"", done.stdout) if key else done.stdout


def _environment(access: Access, database: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG") or name == "PGPASSFILE"}
    return dict(kept, LC_ALL="C", **access.variables(database))
