# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

from sqlalchemy import DateTime, ForeignKey, Integer, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base
from .customer import Customer


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    amount_cents: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(20), server_default="new")
    note: Mapped[str] = mapped_column(Text, server_default="")
    placed_at: Mapped[datetime.datetime] = mapped_column(DateTime, server_default=func.now())
    currency: Mapped[str] = mapped_column(String(3), server_default="EUR")
    delivered_at: Mapped[datetime.datetime | None] = mapped_column(DateTime)

    customer: Mapped[Customer] = relationship(lazy="joined")

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "customer": self.customer.name,
            "amount_cents": self.amount_cents,
            "currency": self.currency,
            "status": self.status,
            "placed_at": self.placed_at.isoformat(),
        }
