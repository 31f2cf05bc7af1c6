# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
PYTHON ?= python3

dev: ## Make the virtual environment and the collection tree in .cache
	$(PYTHON) tests/tooling/environments.py dev tree

.PHONY: dev
