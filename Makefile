# sdoctor: `make demo` and `make test` do everything on a fresh machine; the rest is for those who work on it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_HOME := out/demo

.PHONY: help demo test test-slow check format docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/ready ## install, then check, tune and draw with the built-in model
	mkdir -p $(DEMO_HOME)
	-SDOCTOR_HOME=$(DEMO_HOME) $(BIN)/sdoctor check
	SDOCTOR_HOME=$(DEMO_HOME) $(BIN)/sdoctor tune builtin:tiny --memory 512MiB --time-limit 3
	SDOCTOR_HOME=$(DEMO_HOME) $(BIN)/sdoctor generate "a red circle on a blue background" --seed 7 --plain --output $(DEMO_HOME)/circle.png

test: $(VENV)/ready check ## install, lint, types, import contracts, and the fast tests
	$(BIN)/python tests/in_parts.py

test-slow: $(VENV)/ready ## the tests that take minutes
	$(BIN)/pytest -m slow

check: $(VENV)/ready ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what was made
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
