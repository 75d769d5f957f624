# Every target does the set-up it needs, once: `make run` and `make test` are all a newcomer has to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# For a machine without a GPU: `make setup TORCH_BACKEND=cpu` takes the small torch build (then unhashed).
TORCH_BACKEND ?=
DATA ?= data
# How many tests run beside each other: one for each core here; those on servers wait half of their time.
WORKERS ?= auto
WORKERS_ON_SERVERS ?= 4
# Tests write databases and wait for the disk longer than for anything else: their files are in memory where that has room.
ROOMY = awk '/MemAvailable/ {exit $$2 < 8e6}' /proc/meminfo && test "$$(df --output=avail /dev/shm | tail -n 1)" -gt 8000000
IN_MEMORY := $(shell ($(ROOMY)) 2>/dev/null && echo /dev/shm)
# What only a real server can exercise: `make test-services` tests it, so it is not counted where no server is.
ON_SERVERS := bot/adapters/matrix/*,bot/matrix_cli.py,memory/adapters/neo4j*.py,memory/adapters/rabbitmq*.py,memory/adapters/redis*.py
SERVERS := deploy/local-services run --
# A worker that has done its tests takes half of what another still has before it.
BESIDE = --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal
BESIDE_ON_SERVERS = --numprocesses $(WORKERS_ON_SERVERS) --dist worksteal

# Where it forbids Python to keep compiled modules, each program that a test starts compiles 900 of them: 3 s instead of 1.
unexport PYTHONDONTWRITEBYTECODE
# Several tests run at a time; with two threads in each they only wait for each other.
test test-services test-all faults: export OMP_NUM_THREADS = 1
ifneq ($(IN_MEMORY),)
test test-services test-all: export TMPDIR = $(IN_MEMORY)
endif

.DEFAULT_GOAL := help
.PHONY: help setup run test test-services test-all faults lint bench lock clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## install everything into .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Weavebot needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
ifeq ($(TORCH_BACKEND),)
	@echo "Installing into $(VENV) (a first time takes some minutes, torch is large) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
else
	@echo "Installing into $(VENV) with torch for $(TORCH_BACKEND) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --torch-backend $(TORCH_BACKEND) -e '.[dev]'
endif
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: $(STAMP) ## the demo room in your terminal
	@$(BIN)/weavebot --data $(DATA) chat --demo

test: $(STAMP) ## all tests that need no server
	@$(BIN)/python -m pytest $(BESIDE) --cov --cov-report= --cov-fail-under=0
	@$(BIN)/coverage report --omit='$(ON_SERVERS)'

test-services: $(STAMP) ## the tests on real servers, which it installs, starts and stops
	@$(SERVERS) $(BIN)/python -m pytest -m services $(BESIDE_ON_SERVERS)

test-all: $(STAMP) ## both, beside each other, and at least 95 % of all lines must have run
	@$(SERVERS) $(BIN)/python -m pytest -m 'services or not services' $(BESIDE_ON_SERVERS) --cov

faults: $(STAMP) ## every fault of docs/reliability.md with 10,000 messages; writes its figures there
	@deploy/local-services run postgres neo4j -- $(BIN)/python -m benchmarks.faults

lint: $(STAMP) ## style, types and the arrows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --num-workers 2
	@$(BIN)/lint-imports

bench: $(STAMP) ## the benchmarks; tables on the screen, JSON in benchmarks/out
	@$(BIN)/python -m benchmarks

lock: ## renew requirements.lock after a change of pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --no-strip-extras --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml

clean: ## remove what was installed and built (not your data)
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* *.egg-info
