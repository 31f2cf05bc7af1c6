# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The worker: what runs inside the application's own Python.

The only room that imports Alembic and SQLAlchemy, and only inside functions: the bridge imports these files too, to read
their source. They travel together over standard input, under another package name, so imports between them are relative.
Python 3.8 syntax, standard library only.
"""
