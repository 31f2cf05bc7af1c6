# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One run of the project's env.py, with our ``fn`` and a wrapped ``configure``.

``EnvironmentContext(config, script, fn=…)`` is how Alembic's own commands work. ``configure`` is replaced on the instance
before it is entered (the ``alembic.context`` proxy takes instance attributes), so no class is patched and no env.py edited.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, Iterator

from . import history, learned, moved, project, server, target
from .failure import Failure, describe
from .lock import Locks
from .statements import Statements, limit_session, unlimited
from .transaction import RUN, Undone, divide, transaction_per

_SESSION = ("schema", "search_path", "user", "login", "standby")
_ASK_SESSION = (
    "select current_schema()::text, current_setting('search_path'), current_user::text, session_user::text, pg_is_in_recovery()"
)
_ASK_SERVER = "select current_setting('server_version'), pg_backend_pid(), null"
_ASK_WRITER = _ASK_SERVER.replace("null", "(select backend_start::text from pg_stat_activity where pid = pg_backend_pid())")
Send = Callable[[Dict[str, Any]], None]


class Visit:
    """What one ``context.configure()`` of env.py is about: a database, or a tenant in it."""

    def __init__(self, number: int, context: Any) -> None:
        self.number, self.context = number, context
        self.database: dict[str, Any] = {}
        self.current: tuple[str, ...] = ()
        self.initialised = True
        self.read_only: str | None = None  # why it takes no writes
        self.steps: list[Any] | None = None
        self.error: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}
        self.ran = False  # env.py has called run_migrations()
        self.ended = False  # ... and that came back
        self.engine: Any = None
        self.session: dict[str, Any] = {}  # what env.py had set when it was last read: search path, roles, names of schemas
        self.held: Any = None  # the DBAPI connection in whose open transaction finished revisions are
        self.committing = False  # ... and that is being committed
        self.divides = False  # we commit after each revision
        self.executed: int | None = None  # how many statements there had been when env.py went on after configure()
        self.doubtful = False  # whether an id fits into the version table is seen when its turn comes

    @property
    def connection(self) -> Any:
        return self.context.connection

    @property
    def dbapi(self) -> Any:
        return server.dbapi_of(self.connection.connection)


class EnvironmentRun:
    """Runs env.py once.

    :param request: the operation's request.
    :param config: Alembic's Config.
    :param work: what to do in each context, called as Alembic's ``fn``.
    :param send: takes events.
    :param prepare: called for each context when env.py has set everything up and runs the migrations, before anything runs.
    :param approach: called for each context as soon as it is configured; what env.py does until it runs the migrations is to come.
    :param writing: the run may change the database.
    :param offline: SQL is rendered; nothing connects.
    """

    def __init__(
        self,
        request: dict[str, Any],
        config: Any,
        work: Callable[[Visit, tuple[str, ...]], Any],
        send: Send,
        prepare: Callable[[Visit], None] | None = None,
        writing: bool = False,
        offline: bool = False,
        approach: Callable[[Visit], None] | None = None,
    ) -> None:
        # a fresh one for each run, not looked into before env.py has run: an env.py may set its version_locations
        self.script = history.directory(config)
        self.request, self.config, self.work, self.send = request, config, work, send
        self.prepare, self.approach, self.writing, self.offline = prepare, approach, writing, offline
        self.visits: list[Visit] = []
        self.revision: dict[str, Any] | None = None
        self.options: dict[str, Any] = {}
        self.asked = project.asked_urls(request)
        self.locks = Locks(float((request.get("lock") or {}).get("wait") or 0), lambda told: send(dict(told, event="lock_wait")))
        self.statements = Statements(send, request.get("limits") or {}, writing)

    def run(self) -> EnvironmentRun:
        """Run env.py; afterwards ``visits`` says what it did. An env.py that swallows a tenant's failure fails here."""
        from alembic.runtime.environment import EnvironmentContext
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        environment = EnvironmentContext(
            self.config,
            self.script,
            fn=self._fn,
            as_sql=self.offline,
            tag=None,
            dont_mutate=not self.writing,
            destination_rev=self.request.get("target") or "heads",
            **self.options,
        )
        environment.configure = self._configure(environment, environment.configure)  # type: ignore[method-assign]
        listeners: list[tuple[str, Callable[..., Any]]] = [
            *self.statements.events(),
            ("checkin", self._checkin),
            ("commit", self._commit),
            ("handle_error", self._error),
        ]
        for name, listener in listeners:
            event.listen(Engine, name, listener)
        try:
            with environment:
                self.script.run_env()
        finally:
            for name, listener in listeners:
                event.remove(Engine, name, listener)
            self._say_what_is_committed()
            self.locks.release()
        if not self.visits:
            raise Failure(
                "no_migrations",
                "env.py did not call context.configure(), so no migrations ran.",
                "Run `alembic current` there by hand; env.py may have to be told what to do with environment or x_arguments.",
            )
        if not self.offline and not any(visit.ran for visit in self.visits):
            raise Failure(
                "no_migrations", "env.py configured a context and ran no migrations.", "It has to call context.run_migrations()."
            )
        return self

    def visit_of(self, context: Any) -> Visit:
        return next(visit for visit in self.visits if visit.context is context)

    def _configure(self, environment: Any, original: Callable[..., None]) -> Callable[..., None]:
        def configure(connection: Any = None, *args: Any, **keywords: Any) -> None:
            if self.offline:
                keywords["output_buffer"] = self.request["buffer"]  # the multidb template would write files of its own
                environment.context_opts["starting_rev"] = self.request["starting"](len(self.visits))
            original(connection, *args, **keywords)
            visit = Visit(len(self.visits), environment.get_context())
            self.visits.append(visit)
            if self.offline:
                return
            visit.context.opts = dict(visit.context.opts, dont_mutate=not self.writing)  # its own: env.py's are shared by all
            try:
                self._meet(visit)
                if self.approach:
                    self.approach(visit)
                visit.executed = self.statements.executed
                self._wrap(visit)
            except BaseException as exc:
                visit.error = describe(exc, self.revision)
                raise

        return configure

    def _meet(self, visit: Visit) -> None:
        """Find out which database this is, and refuse another one than was asked for."""
        context, connection = visit.context, visit.connection
        visit.engine = connection.engine
        learned.engine_url(connection.engine.url)
        address = server.actual_address(connection.engine.url, visit.dbapi)
        if self.asked and not any(server.same_database(asked, connection.engine.url, address) for asked in self.asked):
            found = f"{address['database']} on {address['host'] or 'the local server'}"
            raise Failure(
                "wrong_database",
                f"The project connected to database {found}, which is not the one that url names.",
                "env.py takes its URL elsewhere: hand it over with environment or x_arguments, or drop url.",
                database=dict(address, dialect=connection.dialect.name),
            )
        name = context.opts.get("upgrade_token")
        visit.database = dict(
            address,
            name=target.database_of(name),
            dialect=connection.dialect.name,
            driver=connection.dialect.driver,
            version_table=context.version_table,
            version_table_schema=context.version_table_schema,
            # an env.py may claim transactional DDL where the database has none: believe the dialect
            transactional_ddl=bool(context.impl.transactional_ddl)
            and connection.dialect.name in ("postgresql", "cockroachdb", "mssql"),
            schema=None,
            pooler=False,
            server_version=None,
            schema_translate_map=None,
            served_by=None,
            transaction_per=None,
        )
        with server.looking(visit.dbapi) as dbapi:
            if connection.dialect.name == "postgresql":
                version, pid, started = server.rows(dbapi, _ASK_WRITER if self.writing else _ASK_SERVER)[0]
                visit.database.update(server_version=version, pooler=server.announced_pid(dbapi) not in (None, pid))
                if self.writing and not visit.database["pooler"]:
                    self.send({"event": "backend", "pid": pid, "started": started})
            elif connection.dialect.name in server.MYSQL:
                visit.database["server_version"] = server.value(dbapi, "select version()")
            elif connection.dialect.name == "sqlite":
                visit.database["server_version"] = server.value(dbapi, "select sqlite_version()")

    def read(self, visit: Visit) -> None:
        """Read the heads where Alembic itself would now find them, and leave no transaction behind that was not open before."""
        moved.meet(visit)
        visit.database["served_by"] = moved.place(visit)
        was_open = visit.connection.in_transaction()
        with server.looking(visit.dbapi, was_open, together=True) as dbapi:
            if visit.database["dialect"] == "postgresql":
                visit.session = dict(zip(_SESSION, server.rows(dbapi, _ASK_SESSION)[0]))
                visit.database["schema"] = visit.session["schema"]
            visit.read_only = "standby" if visit.session.get("standby") else server.read_only(visit.database["dialect"], dbapi)
            visit.session["translate"] = _translated(visit)
            visit.database["schema_translate_map"] = _plain(visit.session["translate"])
            visit.initialised = visit.context._has_version_table()
            visit.current = history.heads_of(visit.context) if visit.initialised else ()
            if not was_open and visit.connection.in_transaction():
                visit.connection.rollback()

    def lock(self, visit: Visit) -> None:
        """Take the migration lock of this context's version table, then read the heads again under it."""
        if not (self.request.get("lock") or {}).get("enabled", True):
            visit.facts["lock"] = {"mode": "none", "waited_seconds": 0.0, "kept": None, "holder": None}
            return
        address = visit.database
        identity = f"{address['host']}:{address['port']}/{address['database']}"
        scope = f"{address['version_table_schema'] or address['schema'] or ''}.{address['version_table']}"
        visit.facts["lock"] = self.locks.acquire(visit.connection, visit.dbapi, identity, scope)
        self.read(visit)

    def limit(self, visit: Visit) -> None:
        warning = limit_session(visit.connection.dialect.name, visit.dbapi, self.request.get("limits") or {})
        if warning:
            self.send({"event": "warning", "message": warning})

    def _checkin(self, dbapi: Any, record: Any) -> None:
        self.locks.release(dbapi)

    def _commit(self, conn: Any) -> None:
        for visit in self.visits:  # the event comes before the COMMIT, which can fail
            visit.committing = visit.committing or (visit.held is not None and visit.held is server.dbapi_of(conn.connection))

    def _error(self, context: Any) -> None:
        if context.statement is None and context.connection is not None:
            for visit in self.visits:
                visit.committing = visit.committing and visit.held is not server.dbapi_of(context.connection.connection)

    def _say_what_is_committed(self) -> None:
        for visit in self.visits:
            if visit.committing:
                self.send({"event": "committed", "context": visit.number, "running": False})

    def _fn(self, heads: tuple[str, ...], context: Any) -> Any:
        return self.work(self.visit_of(context), tuple(heads))

    def _wrap(self, visit: Visit) -> None:
        """Watch this context's run_migrations and autocommit_block, on the instance."""
        run, block, statements = visit.context.run_migrations, visit.context.autocommit_block, self.statements
        statements.await_setup(visit.dbapi)

        def run_migrations(**keywords: Any) -> None:
            try:
                self._begin(visit)
                run(**keywords)
                visit.ended = True
            except BaseException as exc:
                visit.error = describe(exc, self.revision)
                self._say_who_blocked(visit)
                self.send({"event": "error", "number": visit.number, "error": visit.error})
                raise
            finally:
                self.revision = None
                statements.stop()

        @contextlib.contextmanager
        def autocommit_block() -> Iterator[None]:
            with block():
                statements.autocommit = True
                statements.committed()  # entering it committed all that came before
                dbapi = server.dbapi_of(visit.context.connection.connection)
                back = [] if visit.database["pooler"] else unlimited(visit.database["dialect"], dbapi)
                yield
                for statement in back:
                    server.value(dbapi, statement)
            statements.autocommit = False

        visit.context.run_migrations, visit.context.autocommit_block = run_migrations, autocommit_block

    def _begin(self, visit: Visit) -> None:
        """All that env.py sets up for the migrations is set up now: look at the database with that, and prepare."""
        visit.ran = True
        visit.database["transaction_per"], visit.divides = transaction_per(visit.context, visit.dbapi)
        if visit.database["pooler"] and not self.writing and not visit.context._in_external_transaction:
            visit.database["transaction_per"] = None  # each transaction was told already that it only reads
        if not self.writing and visit.context._transaction is not None:
            visit.context._transaction = Undone(visit.context._transaction)
        unlimited_yet = self.statements.set_up(visit.dbapi)
        if not self._is_as_read(visit):
            self.read(visit)
        if self.prepare:
            self.prepare(visit)
        if unlimited_yet:
            self.statements.limit(visit.connection)
        if not self.writing:  # Alembic is about to ask the same again
            visit.context.get_current_heads = lambda: visit.current

    def _is_as_read(self, visit: Visit) -> bool:
        """Tell whether all is as it was when the heads were read under the lock: env.py has done nothing since. Whoever does not
        mind the lock is noticed when Alembic reads them once more."""
        mode = (visit.facts.get("lock") or {}).get("mode")
        if mode != "session" or visit.executed != self.statements.executed or server.in_transaction(visit.dbapi) is not False:
            return False
        if visit.database["dialect"] != "postgresql" or visit.session["translate"] != _translated(visit):
            return False
        with server.looking(visit.dbapi) as dbapi:
            return all(visit.session[name] == now for name, now in zip(_SESSION, server.rows(dbapi, _ASK_SESSION)[0]))

    def _say_who_blocked(self, visit: Visit) -> None:
        error = visit.error or {}
        if error.get("kind") not in ("lock_timeout", "deadlock"):
            return
        own = [pid for pid in (server.announced_pid(visit.dbapi),) if pid]
        for lock in self.locks.of(visit.dbapi):
            with contextlib.suppress(Exception):  # it only adds to a failure that is reported anyway
                error["blockers"] = server.blockers(visit.database["dialect"], lock.dbapi, error.get("statement") or "", own)  # type: ignore[attr-defined]

    def steps(self, visit: Visit, steps: list[Any]) -> Iterator[Any]:
        """Hand ``steps`` to Alembic one by one; it runs each between two of our ``yield``s. What is whole is committed then,
        unless the project keeps all of them in one transaction."""
        together = visit.database["transaction_per"] == RUN
        for number, step in enumerate(steps, 1):
            about = self.revision = target.describe_step(step)
            if visit.doubtful:
                history.check_lengths(visit.context, [step])
            self.statements.start(visit.database["dialect"], together and number > 1)
            facts = {
                "context": visit.number,
                "number": number,
                "total": len(steps),
                "revision": about["revision"],
                "message": about["message"],
                "database": visit.database["name"],
            }
            self.send(dict(facts, event="revision_start"))
            started = time.monotonic()
            yield step
            self.statements.stop()
            if visit.divides:
                if number == len(steps):  # nothing of ours comes in the transaction that is begun now
                    self.statements.await_setup(visit.dbapi)
                divide(visit.context)
            visit.held = visit.dbapi if together else None
            self.send(dict(facts, event="revision_end", held=together, seconds=round(time.monotonic() - started, 3)))
        self.revision = None


def _translated(visit: Visit) -> Any:
    return visit.connection.get_execution_options().get("schema_translate_map")


def _plain(mapping: dict[Any, Any] | None) -> dict[str, Any] | None:
    return mapping and {str(key): item for key, item in mapping.items()}
