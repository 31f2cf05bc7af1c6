# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this release able to serve? It asks for a column by the name that it had while the release was written."""

from __future__ import annotations

import logging

from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ._release import RELEASE
from .models import Base

log = logging.getLogger(__name__)


def report(session: Session) -> tuple[dict[str, object], int]:
    try:
        revision = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("SELECT max(discount) FROM customers"))
        for mapper in Base.registry.mappers:
            session.execute(select(mapper.class_).limit(1)).all()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        log.error("not healthy: %s", reason)
        return {"status": "failing", "release": RELEASE, "reason": reason}, 500
    return {"status": "ok", "release": RELEASE, "revision": revision}, 200
