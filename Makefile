# Everything runs in a virtual environment of the checkout's own, made on first use.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test tested test-all soak lint clean

# The stamp is newer than pyproject.toml once its requirements are installed.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all,dev]' --constraint constraints.txt
	touch $@

demo: $(VENV)/.installed
	$(BIN)/edgeseg demo

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two processes: while the types are checked, the tests have begun.
test: $(VENV)/.installed
	$(MAKE) --no-print-directory -j2 lint tested

tested: $(VENV)/.installed
	$(BIN)/python -m pytest

test-all: lint
	$(BIN)/python -m pytest -m ''

# A million frames through the live loop, and what else takes minutes of the live runtime's tests.
soak: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow tests/runtime tests/edgeseg/cli/acceptance

clean:
	rm -rf $(VENV) runs dist build .mypy_cache .ruff_cache .pytest_cache
