# Everything runs from .venv, which is made on first use and again only when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: search test chaos check cluster-check bench clean

# A search that is there already goes on, or shows again what it found.
search: .venv/.installed
	$(BIN)/python run_search.py --space cycada.yaml --resume-if-begun

test: .venv/.test-installed
	$(BIN)/python -m pytest -m "not chaos"

chaos: .venv/.test-installed
	$(BIN)/python -m pytest tests/chaos

check: .venv/.test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/unit -m "not slow and not ray"

cluster-check: .venv/.test-installed
	$(BIN)/python cluster/check.py

bench: .venv/.installed
	$(BIN)/python benchmarks/trial_overhead.py

.venv/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --editable .
	touch $@

.venv/.test-installed: .venv/.installed
	$(PIP) install --editable '.[test]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
