# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers and orders, the same ones each time."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator

from sqlalchemy import Engine, func, insert, select

from .models import Customer, Order

FIRST = ("Ada", "Bela", "Chen", "Dora", "Emil", "Fatou", "Goran", "Hana")
LAST = ("Abend", "Berg", "Castro", "Diallo", "Eriksen", "Fischer")
STATUS = ("new", "paid", "paid", "paid", "sent", "sent", "cancelled")
START = datetime.datetime(2026, 1, 1)
BATCH = 5000


def customers(count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        name = f"{FIRST[number % len(FIRST)]} {LAST[number % len(LAST)]}"
        yield {"id": number, "email": f"customer{number}@example.org", "name": name}


def orders(count: int, customer_count: int) -> Iterator[dict]:
    dice = random.Random(20260101)
    for number in range(1, count + 1):
        yield {
            "id": number,
            "customer_id": dice.randint(1, customer_count),
            "amount_cents": dice.randint(100, 99_999),
            "status": dice.choice(STATUS),
            "note": f"order {number} of the shop, packed in box {dice.randint(1, 9999)} with {dice.randint(1, 30)} pieces",
            "placed_at": START + datetime.timedelta(minutes=number),
        }


def seed(engine: Engine, order_count: int) -> None:
    """Fill an empty shop; there is one customer for each ten orders."""
    customer_count = max(order_count // 10, 1)
    with engine.begin() as connection:
        if connection.scalar(select(func.count()).select_from(Customer)):
            raise SystemExit("The shop has customers already; only an empty one can be filled.")
        for table, rows in ((Customer, customers(customer_count)), (Order, orders(order_count, customer_count))):
            for batch in _batches(rows):
                connection.execute(insert(table), batch)
            if engine.dialect.name == "postgresql":
                name = table.__tablename__
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}")


def _batches(rows: Iterator[dict]) -> Iterator[list[dict]]:
    batch: list[dict] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
