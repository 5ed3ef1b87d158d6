# Every target runs from .venv. It is created on first use and updated when pyproject.toml or
# constraints.txt changes.
PYTHON ?= python3
BIN := .venv/bin
# Options of pytest for test, check and chaos, for example --no-skips or --durations=20.
PYTEST_OPTIONS ?=
# Tests without Ray run in a process per core, tests with Ray one after the other.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 8 --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help search test lint check format docs chaos lowest bench cluster-check clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# `make search` resumes an interrupted search. Once the search has finished, it prints the result
# again.
search: .venv/.installed  ## run the default search, or resume it
	$(BIN)/python run_search.py --space cycada.yaml --resume-if-begun

test: .venv/.test-installed  ## run all tests except those that kill parts of a cluster
	$(BIN)/python -m pytest -m "not ray and not chaos" $(SIDE_BY_SIDE) $(PYTEST_OPTIONS)
	$(BIN)/python -m pytest -m "ray and not chaos" $(PYTEST_OPTIONS)

lint: .venv/.test-installed  ## check style, types and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint  ## lint, and run the quick unit tests
	$(BIN)/python -m pytest tests/unit -m "not slow and not ray" $(SIDE_BY_SIDE) $(PYTEST_OPTIONS)

format: .venv/.test-installed  ## sort the imports and format the code
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format

docs: .venv/.installed  ## regenerate docs/reference.md and search_spaces/schema.json
	$(BIN)/python -m adaptune.spec.reference > docs/reference.md.part
	mv docs/reference.md.part docs/reference.md
	$(BIN)/python -m adaptune.spec.reference --schema > search_spaces/schema.json.part
	mv search_spaces/schema.json.part search_spaces/schema.json

chaos: .venv/.test-installed  ## kill workers, nodes and drivers, and stop searches by signals
	$(BIN)/python -m pytest tests/chaos $(PYTEST_OPTIONS)
	$(BIN)/python -m pytest tests/integration -m chaos $(PYTEST_OPTIONS)

lowest: .venv-lowest/.installed  ## run the quick unit tests with the oldest versions accepted
	@# The newest releases of indirect dependencies deprecate what old direct ones use.
	.venv-lowest/bin/python -m pytest tests/unit -m "not slow and not ray" \
	    -W default::DeprecationWarning $(SIDE_BY_SIDE) $(PYTEST_OPTIONS)

bench: .venv/.installed  ## measure the overhead of a trial
	$(BIN)/python benchmarks/trial_overhead.py

cluster-check: .venv/.test-installed  ## check the launch files without a cluster
	$(BIN)/python -m cluster.check

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

.venv/.test-installed: .venv/.installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

.venv-lowest/.installed: .venv/.installed .ci/lowest_versions.py
	$(BIN)/python .ci/lowest_versions.py > .venv/lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip --disable-pip-version-check --quiet install --prefer-binary \
	    --constraint .venv/lowest.txt --editable '.[test]'
	touch $@

clean:  ## remove the environments and the caches of the tools
	rm -rf .venv .venv-lowest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
