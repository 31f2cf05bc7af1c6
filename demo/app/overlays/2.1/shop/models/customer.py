# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Customer(Base):
    """Knows nothing of the column name any more, which may be there or not."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str | None] = mapped_column("full_name", String(100))
    country: Mapped[str | None] = mapped_column(String(2))
