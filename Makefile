# Needs Python 3.11 or newer and make; everything else goes into $(VENV).

PYTHON   ?= python3
VENV     ?= .venv
EXTRAS   ?= dev
# Requirements beside constraints.txt, such as gymnasium==1.0.0.
PINS     ?=
JOBS     ?= 2
COVERAGE ?= 90
TESTS    ?=

READY := $(VENV)/.ready
BIN   := $(VENV)/bin
# One thread a process: the tests run side by side, and small tensors gain nothing from more.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-gym10 test-ray docs links bench-peers lint types format hooks clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make the environment in .venv

# torch comes first and pinned: resolved together with the rest, pip may look through several builds of it, each of gigabytes.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "recgym needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt $(PINS) -e '.[$(EXTRAS)]'
	@touch $@

demo: $(READY) ## From a log to a trained policy, with a report in runs/demo/report.html
	$(BIN)/recgym demo --out runs/demo

test: $(READY) ## The tests, with line coverage of at least 90 %
	$(TEST_ENV) $(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE) $(TESTS)

test-gym10: ## The tests with gymnasium 1.0.0 and the extra `offline`, in .venv-gym10
	$(MAKE) test VENV=.venv-gym10 EXTRAS=dev,offline PINS=gymnasium==1.0.0

# Ray goes into the same environment when it is first needed. Each of its workers is a process: one test at a time.
$(VENV)/.ray: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ray]'
	@touch $@

test-ray: $(VENV)/.ray ## The tests of the extra `ray`, which all other environments skip
	$(TEST_ENV) $(BIN)/python -m pytest tests/scale

# The tools of the extra `docs` go into the same environment when they are first needed.
$(VENV)/.docs: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## The documentation, with warnings as errors: docs/_build/html/index.html
	$(TEST_ENV) $(BIN)/sphinx-build -W --keep-going -n -q -b html docs docs/_build/html

links: $(VENV)/.docs ## The documentation's links to other sites, followed; needs the internet, so CI leaves it out
	$(TEST_ENV) $(BIN)/sphinx-build -q -b linkcheck docs docs/_build/links

bench-peers: $(READY) ## Other packages for the benchmarks to run beside, in .venv-peers and .venv-gym10
	$(BIN)/python -m benchmarks.peers.setup --root .venv-peers
	$(MAKE) setup VENV=.venv-gym10 EXTRAS=dev,offline PINS=gymnasium==1.0.0

lint: $(READY) ## Style, formatting and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(READY) ## Strict type checks
	$(BIN)/mypy

format: $(READY) ## Put the code into the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

hooks: $(READY) ## Check every commit before it is made
	$(BIN)/pre-commit install

clean: ## Remove the environments, caches and runs
	rm -rf .venv .venv-gym10 .venv-peers build dist docs/_build docs/_generated runs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
