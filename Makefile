# `make help` explains the targets. Every target sets up what it needs by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-long test-compose check bench up down lock clean

PYTHON := .venv/bin/python
# A part of the tests: make test T=tests/unit/shared
T ?= tests
# Tests run in so many processes, each with a broker and a database of its own.
PROCESSES ?= 2
CALLS ?= 14
SPEED ?= 1
COMPOSE := docker compose -f deploy/docker-compose.yml
# Locks must name the public indexes alone, whatever this machine is configured to use.
PUBLIC := env $(foreach name,$(shell env | sed -n 's/^\(UV_[A-Z_]*\|PIP_[A-Z_]*\)=.*/\1/p'),-u $(name))

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Install what is missing: RabbitMQ, PostgreSQL, Caddy, the Python environment
	@bash deploy/local/setup.sh

run: setup  ## Run everything on this machine; Ctrl-C stops it, data stays in .run/ (CALLBUS_PORT=8080)
	@exec $(PYTHON) -m callbus.local.run

demo: setup  ## Play calls of every provider against the system that `make run` started (CALLS=14 SPEED=1)
	@exec $(PYTHON) -m callbus.player --calls $(CALLS) --speed $(SPEED)

up:  ## Start Callbus in containers: deploy/docker-compose.yml; needs Docker with compose 2
	@docker compose version >/dev/null 2>&1 || { echo "make up needs Docker with compose 2: 'docker compose version' fails here" >&2; exit 1; }
	@bash deploy/prepare.sh
	@$(COMPOSE) up -d --build --wait
	@echo "Callbus is up: $$(sed -n 's/^CALLBUS_BASE_URL=//p' deploy/.env). What to do next: deploy/README.md"

down:  ## Stop the containers; their data stays in volumes
	@$(COMPOSE) down

test: check  ## Run what CI runs, with a RabbitMQ and a PostgreSQL of its own (T=tests/unit for a part)
	@exec $(PYTHON) -m pytest $(T) -q -m 'not long' -n $(PROCESSES) --dist loadfile --durations=15

test-long: check  ## Run every test, the slow ones too: every seed, every kill; before a release
	@exec $(PYTHON) -m pytest $(T) -q -n $(PROCESSES) --dist loadfile --durations=30 --timeout=3600

test-compose:  ## Bring the containers up for real, from nothing, and play calls; as root on Debian 12, some minutes
	@exec bash deploy/compose-test/run.sh

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
