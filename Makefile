# Everything a fresh machine needs: Python 3.11+, pip and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell grep -i '^torch==' constraints.txt)

.PHONY: help install demo test test-slow faults fuzz check format bench clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## create .venv and install balora with its development tools

# torch first and by its exact pin: any other request for it may resolve to another build of several GB.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## watch BA-LoRA train, offline, in a few minutes
	$(BIN)/balora demo

test: $(STAMP) ## the whole test suite except what is marked slow
	$(BIN)/python -m pytest -n 2

test-slow: $(STAMP) ## the slow tests as well
	$(BIN)/python -m pytest -n 2 -m 'slow or not slow'

faults: $(STAMP) ## every row of docs/reliability.md with the full counts; FAULTS="R3 R20" for some (hours)
	$(BIN)/python -W ignore -m tests.faults $(FAULTS) --json faults.json

fuzz: $(STAMP) ## mutated input for every reader, FUZZ_SECONDS (600) each, other draws for every FUZZ_SEED
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) $(BIN)/python -m pytest -n 2 tests/faults/security/test_fuzz.py

check: $(STAMP) ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## let ruff repair style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## the benchmarks that run on this machine
	$(BIN)/python -m benchmarks

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build src/*.egg-info
