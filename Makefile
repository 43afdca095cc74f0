# Every target sets up what it needs; nothing but Python 3.11 or newer and make must be there.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
KEDRO := $(BIN)/kedro

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage quality bench style viz mlflow clean docs

help:  ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(READY)  ## Create .venv with the tested versions of everything

demo: $(READY)  ## Synthetic receipts, five folds, ensemble, submission and report (CPU, minutes)
	$(KEDRO) run --env=demo --pipeline=synthesis
	$(KEDRO) run --env=demo
	@$(KEDRO) summary --env=demo

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test: quality  ## All checks: lint, types, layers and tests
	$(PYTEST)

# Apart from the tests: counting lines takes as long again as a third of them.
coverage: $(READY)  ## The tests once more, and which lines they leave out (at least 95 % run)
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=95

quality: $(READY)  ## Lint, types and layers only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## Time the numeric core against plain versions: a table, and JSON (minutes)
	$(BIN)/python -m benchmarks

style: $(READY)  ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

viz: $(READY)  ## The graph of the demo in a browser
	$(KEDRO) viz run --env=demo

mlflow: $(READY)  ## Recorded runs in a browser, http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

# SERVE=1 shows the pages while they are edited.
docs: $(READY)  ## The documentation site into site/, or in a browser: make docs SERVE=1
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs $(if $(SERVE),serve,build --strict)

clean:  ## Remove the demo's data and results
	rm -rf data/demo

# Bytecode is compiled at installation: without it the first start takes half a minute.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)
