# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Any Python from 3.8 on; it only makes .cache/venvs/dev, which everything else runs in.
PYTHON ?= python3
# For pytest: make unit ARGS="-k lock -x"
ARGS ?=
# For make test-all: K/N, the Kth of N parts
SHARD ?=
CACHE := $(or $(DBOPS_CACHE),.cache)
DEV := "$(CACHE)/venvs/dev/bin"
RUN := $(PYTHON) tests/tooling/run.py

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

dev: ## Make the virtual environment and the collection tree in .cache
	@$(PYTHON) tests/tooling/environments.py dev tree

test: ## Everything that this machine allows, but for what takes very long; says what it skipped and why
	@$(RUN) scenarios sanity demo integration unit lint packaging types kubernetes
	@echo "Left to make test-all: the slow tests, most deployments on real hosts (make molecule) and on a cluster (make test-kubernetes), projects from PyPI (make test-projects)"

test-all: ## Everything, in shards of about an hour; SHARD=2/7 for one of seven. What is green for this commit is not run again
	@$(PYTHON) tests/tooling/whole.py $(SHARD)

lint: ## ansible-lint, ruff, antsibull-docs, changelog, shellcheck, REUSE, mypy
	@$(RUN) lint types

types: ## mypy alone
	@$(RUN) types

format: dev ## Format the Python code as make lint wants it
	@$(DEV)/ruff check --fix --quiet; $(DEV)/ruff format

readmes: dev ## Write the README of every role from its argument specs
	@$(DEV)/python tests/tooling/role_readmes.py

sanity: ## ansible-test sanity on the oldest and the newest Python of this machine
	@$(RUN) sanity

unit: ## Unit tests
	@$(RUN) unit -- $(ARGS)

integration: ## Integration tests on real databases, which they start themselves
	@$(RUN) integration -- $(ARGS)

packaging: ## Build the collection, install it, use it elsewhere
	@$(RUN) packaging -- $(ARGS)

test-demo: ## That the sample releases fail where they say, and that the demo tells its story
	@$(RUN) demo -- $(ARGS)

molecule: ## Whole deployments on real hosts, which it makes (root, on Debian); ARGS="-k faults" for one of them
	@$(RUN) scenarios -- -m "slow or not slow" $(ARGS)

test-projects: ## Migrate projects from PyPI that nobody here wrote
	@$(RUN) --slow projects -- $(ARGS)

test-kubernetes: ## Whole deployments on a real cluster: DBOPS_KUBE names a program that starts one, else KUBECONFIG (tests/kubernetes/cluster.py)
	@$(RUN) --slow kubernetes -- $(ARGS)

docs: dev ## The documentation as a site, in .cache/docs/html
	@$(DEV)/python tests/tooling/docs_site.py

pictures: dev ## The drawings and the pictures of the report in README and guides; ARGS=FOLDER for every kind of report, to look at. Needs Chromium and pngquant
	@PYTHONPATH="$(CACHE)/tree:tests" $(DEV)/python tests/tooling/pictures.py $(ARGS)

recording: dev ## The recorded terminal in the guides, from the demo, on a quiet machine; ARGS=FILE for one that was made before
	@$(DEV)/python tests/tooling/recording.py $(ARGS)

bench: dev ## Compare with doing it by hand; ARGS=--only-plan for the plan alone
	@PATH=$(abspath $(DEV)):"$$PATH" python tests/bench/run.py $(ARGS)

demo: ## A whole deployment on this machine, in about two minutes; needs no root
	@demo/run

build: dev ## Build the collection's archive in dist/
	@$(DEV)/ansible-galaxy collection build --force --output-path dist

clean: ## Remove all that was made, .cache included
	rm -rf "$(CACHE)" dist tests/output .ansible
	find . -name __pycache__ -prune -exec rm -rf {} +

.DEFAULT_GOAL := help
.PHONY: help dev test test-all lint types format readmes sanity unit integration packaging test-demo molecule test-projects test-kubernetes docs pictures recording bench demo build clean
