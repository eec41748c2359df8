# Every target sets up what it needs in .venv.  `make help` lists them.
#
#   make demo ARGS=--exit     arguments for a target go into ARGS
#   make test ARGS="-k claim"
#   make chaos SEED=7 MINUTES=4 RUNS=800
#   PYTHON=/path/to/python3.12 make setup

SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.14 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# On two cores: tests also wait, for processes and for moments to come, and one of three does.
WORKERS ?= 3
SEED ?=
MINUTES ?= 10
RUNS ?= 2000

# What `make generate` writes; `make verify` compares these.
GENERATED := schema.graphql client/prefect/_generated server/flowstead_server/migrations/schema.sql docs/cli.md docs/states.md

.DEFAULT_GOAL := help
.PHONY: help setup demo test check generate verify bench chaos ui clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A half-made environment must not survive: the next try would take it for a whole one.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and no python3 was found; install it or set PYTHON=/path/to/python." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, but $(PYTHON) is `"$(PYTHON)" --version 2>&1`; set PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Creating $(VENV) ..."
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.plain: pyproject.toml | $(BIN)/python
	@echo "Installing Flowstead ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing Flowstead and its development tools ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.plain $@

setup: $(VENV)/.dev ## Create .venv with Flowstead and the development tools

demo: $(VENV)/.plain ## Start server and agent, run a first flow (ARGS=--exit ends after it)
	@$(BIN)/prefect demo $(ARGS)

# Bytecode is kept, whatever the environment says: the tests start hundreds of processes, which would all compile again.
test: $(VENV)/.dev ## Run the tests, against a real PostgreSQL that comes with the installation
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --ignore=tests/benchmarks $(ARGS)

check: $(VENV)/.dev ## Lint, formatting, types, and which part may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

generate: $(VENV)/.dev ## Write the schema, the client's operations, schema.sql and the generated pages anew
	@$(BIN)/python -m flowstead_server.api.schema_export schema.graphql
	@$(BIN)/python -m tools.codegen
	@$(BIN)/python -m flowstead_server.db.schema_dump
	@$(BIN)/python -m flowstead_server.domain.state_docs docs/states.md
	@$(BIN)/python -m flowstead_cli.reference docs/cli.md

# Compares with a copy rather than with the repository, so that it also works in an unpacked source archive.
verify: $(VENV)/.dev ## Fail if a generated file differs from what its source gives
	@rm -rf build/verify && mkdir -p build/verify
	@tar -cf - $(GENERATED) | tar -xf - -C build/verify
	@$(MAKE) --no-print-directory generate
	@(for path in $(GENERATED); do diff -ru -x __pycache__ build/verify/$$path $$path || exit 1; done) \
	  || { echo "The files above differed from what their sources give; they are regenerated now, commit them." >&2; exit 1; }
	@rm -rf build/verify
	@$(BIN)/python -m tools.ui_build check
	@echo "Generated files are what their sources give."

bench: $(VENV)/.dev ## Measure speed and memory beside their targets
	@$(BIN)/python tests/benchmarks $(ARGS)

chaos: $(VENV)/.dev ## Kill, freeze and cut everything while runs go through, then check them (SEED, MINUTES, RUNS)
	@$(BIN)/python tests/chaos $(if $(SEED),--seed $(SEED)) --minutes $(MINUTES) --runs $(RUNS) $(ARGS)

ui: $(VENV)/.dev ## Build the web page anew, with Node from the development tools
	@cd server/ui && PATH="$(abspath $(BIN)):$$PATH" && npm ci --loglevel=error && npm run --silent build
	@$(BIN)/python -m tools.ui_build stamp

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
