# `make` alone lists what can be done. ARGS passes options on: make demo ARGS=--exit
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS :=

# An environment of your own (make test VENV=/path) is used as it is; ours is made and kept up to date.
ifeq ($(VENV),.venv)
set_up = @command -v $(PYTHON) >/dev/null || { echo "cikg: there is no $(PYTHON) here. Install Python 3.11 or newer" >&2; exit 2; }; \
	$(PYTHON) platform/bootstrap.py
else
set_up = @true
endif

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test lint types lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make the environment .venv from the lock, fetch the embedded Neo4j, and have it rehearse
	$(set_up)

setup-test:
	$(set_up) --test

demo: setup ## Run everything on the demo catalogue, then serve the dashboard (ARGS=--exit stops at the end)
	@$(BIN)/cikg demo $(ARGS)

# Each process has servers of its own, and a file's tests stay together; the long files come first.
test: setup-test ## Run every test, a few files at a time (ARGS=… goes to pytest)
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup-test ## Check style, formatting and who may import whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports

types: setup-test ## Check types
	@$(BIN)/mypy

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet
lock: setup-test ## Make both locks again after a change of pyproject.toml (ARGS=--upgrade for newer versions)
	@$(LOCK) --extra setup --output-file requirements.lock $(ARGS)
	@$(LOCK) --extra setup --extra test --constraint requirements.lock --output-file requirements-test.lock $(ARGS)

clean: ## Remove the environment, caches and builds; the data in .cikg stays
	@rm -rf .venv dist build web/static/vendor web/assets/node_modules tests/browser/node_modules
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find platform workers web tests -name __pycache__ -prune -exec rm -rf {} +
