# Every target is one line about one job; the work is in scripts/. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
PORT ?= 8000

export PORT

.PHONY: help run test lint format types imports test-sqlite test-postgres test-browser conformance \
	bench soak chaos screenshots demo-stripe lock audit clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

run: ## start web server and worker with demo data (PORT=8000)
	@./scripts/venv && exec $(PYTHON) -m scripts.run

test: ## everything: lint, types, contracts, checks, tests on SQLite and PostgreSQL, browser, conformance
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check

lint: ## ruff, formatting, templates, import contracts
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check lint format templates imports

format: ## let ruff and djade put the files in order
	@./scripts/venv --dev && .venv/bin/ruff check --fix . && .venv/bin/ruff format .
	@find templates -name "*.html" -exec .venv/bin/djade --target-version 5.2 {} +

types: ## mypy --strict
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check types

imports: ## the import contracts of .importlinter
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check imports

test-sqlite: ## the tests on SQLite
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check sqlite

test-postgres: ## the tests on PostgreSQL, with real concurrency
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check postgres

test-browser: ## the browser tests, in Chromium
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check browser

conformance: ## replay published specifications (SPECS_DIR)
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.check conformance

bench: ## measure the hot paths as ratios to an empty view; needs wrk
	@./scripts/venv --dev && exec $(PYTHON) -m bench

screenshots: ## picture every page in both sizes, light and dark, into var/screenshots
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.screenshots

soak: ## random lives and what-if histories at length: 2,000 of 50 steps (SOAK_EXAMPLES, SOAK_STEPS)
	@./scripts/venv --dev && SOAK_EXAMPLES=$${SOAK_EXAMPLES:-2000} SOAK_STEPS=$${SOAK_STEPS:-50} \
		$(PYTHON) -m pytest -q -n2 tests/rewards/test_machine.py tests/rewards/whatif/test_exact.py -k "whole_life or differs_in_nothing"

chaos: ## kill payout workers at every point: 1,000 stories (CHAOS_SEEDS, CHAOS_FROM), on PostgreSQL
	@./scripts/venv --dev && CHAOS_SEEDS=$${CHAOS_SEEDS:-1000} \
		$(PYTHON) -m scripts.postgres $(PYTHON) -m pytest -q -n2 tests/chaos

demo-stripe: ## a payment through a local Stripe imitation makes a reward due
	@./scripts/venv --dev && exec $(PYTHON) -m scripts.demo_stripe

lock: ## compile requirements*.in to exact versions with hashes
	@./scripts/venv --dev && ./scripts/lock

audit: ## look the locked versions up in the vulnerability database (needs the network)
	@./scripts/venv --dev && .venv/bin/pip-audit --disable-pip -r requirements.txt

clean: ## remove what tools and tests leave; keeps .venv and var
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov test-results staticfiles
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
