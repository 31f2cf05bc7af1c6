# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


def _same_as_name(context) -> str | None:
    return context.get_current_parameters().get("name")


class Customer(Base):
    """Writes the name into both columns and reads the old one, which is what release 1.2 beside it knows."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str | None] = mapped_column(String(100))
    full_name: Mapped[str | None] = mapped_column(String(100), default=_same_as_name)
    country: Mapped[str | None] = mapped_column(String(2))
