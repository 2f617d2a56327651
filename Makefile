# Everything a developer or CI does, from a machine with Python >= 3.11 and make and nothing else.
# `make` alone prints this list. Nothing is installed outside .venv, node_modules, app/static/vendor and app/wheels.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENDOR := app/static/vendor
WHEELS := app/wheels
# With the folders: one is newer when a file was removed.
CLIENT := $(shell find jobtrack_client -name __pycache__ -prune -o -print)
ARGS ?=

# A tenth of a test's time is waiting, so a worker more than there are cores, and no more than four: each has a PostgreSQL
# and services of its own. A file's tests stay together, in their order. The last -n counts: ARGS="-n 0 ..." runs them in
# one process. The long tests measure deadlines over minutes, and run without company.
PYTEST = $(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print(min(os.cpu_count() + 1, 4))') --dist loadfile

# Some containers forbid Python its caches: each of the few hundred services and commands that the tests start would then
# compile the whole program anew, a third of a second each.
unexport PYTHONDONTWRITEBYTECODE

# The lock decides what is installed; questions about newer versions of pip only cost time.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# npm's comments on itself and on funding are nobody's concern here.
NPM_FLAGS := --ignore-scripts --no-audit --no-fund --loglevel=error
# Where the machine has no npm, one comes as a Python package.
ENSURE_NPM = command -v npm >/dev/null || test -x $(BIN)/npm || $(BIN)/python -m pip install --quiet --require-hashes -r requirements/node.lock

# A PostgreSQL 15 of the machine (Debian: package `postgresql`), for test-all.
PG15_BINDIR ?= $(shell for dir in /usr/lib/postgresql/15/bin "$$(pg_config --bindir 2>/dev/null)"; do \
	if [ -x "$$dir/initdb" ] && "$$dir/postgres" --version | grep -q ' 15\.'; then echo "$$dir"; break; fi; done)

.PHONY: help install assets run test test-all lint format bench bench-full screenshots openapi lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

install: $(VENV)/.installed ## Create .venv from the lock (the other targets do this themselves)

$(VENV)/.installed: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Jobtrack needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Say which to use: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

assets: $(VENDOR)/.fetched $(WHEELS)/.built ## Fetch the front-end libraries (htmx, uPlot, Swagger UI), build the client's wheel

# Their install scripts never run.
$(VENDOR)/.fetched: package.json package-lock.json deploy/vendor-assets | $(VENV)/.installed
	@echo "Fetching the front-end libraries ..."
	@$(ENSURE_NPM)
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci $(NPM_FLAGS) >/dev/null
	@deploy/vendor-assets node_modules $(VENDOR)
	@touch $@

# What the service serves at /client/. A new version has a new name, so whatever is in the folder goes first.
$(WHEELS)/.built: deploy/client-wheel client/pyproject.toml pyproject.toml $(CLIENT) | $(VENV)/.installed
	@deploy/client-wheel $(BIN)/python $(WHEELS)
	@touch $@

run: install assets ## Start everything: database, service and a demo job, on 127.0.0.1:8000
	@$(BIN)/jobtrack serve --demo $(ARGS)

# Node.js 22.18 runs TypeScript as it stands, which the worker of docs/worker-protocol.md is. Where the machine's is older
# the test uses the Python package beside it (tests/node.py).
$(VENV)/.node: requirements/node.lock | $(VENV)/.installed
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 18) ? 0 : 1)' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements/node.lock
	@touch $@

test: lint $(VENV)/.node $(VENV)/.generators ## Lint, then run every test (ARGS="-k waits -x" reaches pytest)
	@$(PYTEST) $(ARGS)

test-all: test ## The same and the long tests, on the embedded PostgreSQL 18 and on an installed 15
	@test -n "$(PG15_BINDIR)" || { echo "No PostgreSQL 15 was found. Install one (Debian 12: apt-get install postgresql) or say where: make test-all PG15_BINDIR=..."; exit 1; }
	@$(BIN)/python -m pytest -m long $(ARGS)
	@echo "Testing on PostgreSQL 15 from $(PG15_BINDIR) ..."
	@JOBTRACK_TEST_PG_BINDIR="$(PG15_BINDIR)" $(PYTEST) $(ARGS)
	@JOBTRACK_TEST_PG_BINDIR="$(PG15_BINDIR)" $(BIN)/python -m pytest -m long $(ARGS)

lint: install assets ## Check style, format, types and import boundaries
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

format: install ## Let ruff fix and format what it can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

bench: install ## Measure the service beside its baselines, some minutes (ARGS="--rows 1,2", ARGS=--help)
	@$(BIN)/python -m bench $(ARGS)

bench-full: $(VENV)/.plots $(VENV)/.peers ## The same at the full size of the figures, and write docs/performance.md; most of an hour
	@$(BIN)/python -m bench --full --report $(ARGS)

$(VENV)/.plots: requirements/bench.lock | $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.lock
	@touch $@

# An environment of their own: they need other versions of what the service runs on.
$(VENV)/.peers: requirements/peers.lock | $(VENV)/.installed
	@$(PYTHON) -m venv --clear $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --quiet --require-hashes -r requirements/peers.lock
	@touch $@

# What generates clients from the OpenAPI documents for the tests: Python packages, and TypeScript's beside them.
$(VENV)/.generators: requirements/sdk/generators.lock requirements/sdk/package.json requirements/sdk/package-lock.json | $(VENV)/.installed
	@echo "Installing the client generators for the tests ..."
	@$(PYTHON) -m venv --clear $(VENV)/generators
	@$(VENV)/generators/bin/python -m pip install --quiet --require-hashes -r requirements/sdk/generators.lock
	@$(ENSURE_NPM)
	@cp requirements/sdk/package.json requirements/sdk/package-lock.json $(VENV)/generators/
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci --prefix $(VENV)/generators $(NPM_FLAGS) >/dev/null
	@touch $@

screenshots: install assets ## Take pictures of the pages with Chromium, to docs/screenshots
	@$(BIN)/python -m tests.dashboard.screenshots

openapi: install ## Write the OpenAPI documents in openapi/ anew
	@$(BIN)/jobtrack openapi openapi

# Resolved for Linux and macOS and every Python from 3.11 on. Versions that still fit stay (ARGS=--upgrade renews them
# all, ARGS="--upgrade-package NAME" one). uv writes no index address, and npm is told not to.
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock"
lock: install ## Resolve requirements/*.lock and package-lock.json anew (ARGS=--upgrade for newer versions)
	$(UV_COMPILE) pyproject.toml --all-extras --group dev --output-file requirements/dev.lock $(ARGS)
	$(UV_COMPILE) pyproject.toml --all-extras --constraints requirements/dev.lock --output-file requirements/server.lock $(ARGS)
	$(UV_COMPILE) requirements/build.in --constraints requirements/dev.lock --output-file requirements/build.lock $(ARGS)
	$(UV_COMPILE) requirements/node.in --output-file requirements/node.lock $(ARGS)
	$(UV_COMPILE) requirements/bench.in --output-file requirements/bench.lock $(ARGS)
	$(UV_COMPILE) requirements/peers.in --output-file requirements/peers.lock $(ARGS)
	$(UV_COMPILE) requirements/sdk/generators.in --output-file requirements/sdk/generators.lock $(ARGS)
	for client in requirements/clients/*.in; do \
		$(UV_COMPILE) $$client --output-file $${client%.in}.lock $(ARGS) || exit 1; \
	done
	for folder in . requirements/sdk; do \
		PATH="$$PATH:$(CURDIR)/$(BIN)" npm install --prefix $$folder --package-lock-only --omit-lockfile-registry-resolved $(NPM_FLAGS) || exit 1; \
	done

clean: ## Remove what the other targets made (not your data)
	rm -rf $(VENV) node_modules $(VENDOR) $(WHEELS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
