# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

from sqlalchemy import DateTime, ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Payment(Base):
    __tablename__ = "payments"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    amount_cents: Mapped[int] = mapped_column(Integer)
    paid_at: Mapped[datetime.datetime] = mapped_column(DateTime)
