# SPDX-License-Identifier: GPL-3.0-or-later
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass
