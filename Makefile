# `make help` explains the targets. Every target sets up what it needs by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run test test-long check bench lock clean

PYTHON := .venv/bin/python
# A part of the tests: make test T=tests/unit/shared
T ?= tests
# Locks must name the public indexes alone, whatever this machine is configured to use.
PUBLIC := env $(foreach name,$(shell env | sed -n 's/^\(UV_[A-Z_]*\|PIP_[A-Z_]*\)=.*/\1/p'),-u $(name))

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Install what is missing: RabbitMQ, PostgreSQL, Caddy, the Python environment
	@bash deploy/local/setup.sh

run: setup  ## Run everything on this machine; Ctrl-C stops it, data stays in .run/ (CALLBUS_PORT=8080)
	@exec $(PYTHON) -m callbus.local.run

test: check  ## Run what CI runs, with a RabbitMQ and a PostgreSQL of its own (T=tests/unit for a part)
	@exec $(PYTHON) -m pytest $(T) -q -m 'not long' --durations=15

test-long: check  ## Run every test, the slow ones too: every seed, every kill; before a release
	@exec $(PYTHON) -m pytest $(T) -q --durations=30 --timeout=3600

check: setup  ## Check format, lint, types and import boundaries
	@.venv/bin/ruff format --check --quiet . || { .venv/bin/ruff format --check .; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --strict --no-error-summary
	@output=$$(.venv/bin/lint-imports 2>&1) || { echo "$$output"; exit 1; }

bench: setup  ## Measure ratios against simpler ways of doing the same; never passes or fails
	@exec $(PYTHON) -m tests.bench

lock:  ## Lock the Python dependencies again after a change of pyproject.toml
	@set -e; uv=$$(mktemp -d); trap 'rm -rf "$$uv"' EXIT; \
	python3 -m venv "$$uv" && "$$uv/bin/pip" install -q uv; \
	$(PUBLIC) "$$uv/bin/uv" lock -q --no-config; \
	export="$$uv/bin/uv export -q --frozen --no-emit-project --no-header --no-default-groups"; \
	$(PUBLIC) $$export -o requirements/runtime.txt >/dev/null; \
	$(PUBLIC) $$export --group dev -o requirements/dev.txt >/dev/null

clean:  ## Stop what runs in this checkout and delete its data (.run/)
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m callbus.local.clean; else rm -rf .run; fi
