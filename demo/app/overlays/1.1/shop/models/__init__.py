# SPDX-License-Identifier: GPL-3.0-or-later
from .base import Base
from .customer import Customer
from .order import Order
from .payment import Payment

__all__ = ["Base", "Customer", "Order", "Payment"]
