# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which revisions share a transaction: each has its own where that is the same to the project, else it is the project's.

Alembic runs all revisions in the one transaction that ``context.begin_transaction()`` of env.py began, unless env.py says
``transaction_per_migration``. What env.py did in it before ``run_migrations()`` (SET LOCAL, a role, an advisory lock) holds for all
of them, and would be lost with the first commit. So a transaction is divided only if nothing at all has happened in it, and that is
not guessed from statements: the driver knows whether the server has begun one.
"""

from __future__ import annotations

from typing import Any

from .server import in_transaction

#: Values of a database's ``transaction_per``.
RUN, REVISION = "run", "revision"


def transaction_per(context: Any, dbapi: Any) -> tuple[str, bool]:
    """Return what a transaction spans (``run`` or ``revision``), and whether we have to divide the one of env.py for that.

    To be asked when env.py calls ``run_migrations()``, before anything else is asked of the connection.

    :param context: Alembic's MigrationContext.
    :param dbapi: the DBAPI connection below it.
    """
    if context._in_external_transaction:
        return RUN, False
    if context._transaction_per_migration or not context.impl.transactional_ddl:
        return REVISION, False
    if context._transaction is None:  # env.py began none with Alembic, so it is env.py that commits
        return RUN, False
    untouched = in_transaction(dbapi) is False  # a driver that does not say: env.py may have done something
    return (REVISION, True) if untouched else (RUN, False)


def divide(context: Any) -> None:
    """Commit what one revision did and begin the transaction of the next, as Alembic does around its autocommit_block."""
    transaction, context._transaction = context._transaction, None
    if not transaction.is_active:  # the revision ended it itself; what came after that is in another one
        transaction = context.connection.get_transaction()
    if transaction is not None:
        transaction.commit()
    context._transaction = context.connection.begin()


class Undone:
    """Stands in for the transaction of env.py where it only reads: however env.py ends it, it is rolled back."""

    def __init__(self, transaction: Any) -> None:
        self.transaction = transaction

    @property
    def is_active(self) -> bool:
        return bool(self.transaction.is_active)

    def rollback(self) -> None:
        if self.transaction.is_active:
            self.transaction.rollback()

    commit = rollback

    def __exit__(self, *exc: Any) -> None:
        self.rollback()
