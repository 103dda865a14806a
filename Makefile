# Everything runs in a virtual environment of the checkout's own, made on first use.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

# Tests that compute, and so can go on beside those of streams, which mostly wait for a clock.
COMPUTING := tests/export $(addprefix tests/edgeseg/,compress data models optimize training)

.PHONY: demo test test-computing test-rest test-all soak lint clean

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

# At once, as one core of two would often be idle. What computes gives way, since streams are tested against a clock.
test: $(VENV)/.installed
	$(MAKE) --no-print-directory -j3 lint test-rest test-computing

test-rest: $(VENV)/.installed
	$(BIN)/python -m pytest $(addprefix --ignore=,$(COMPUTING))

test-computing: $(VENV)/.installed
	nice -n 19 $(BIN)/python -m pytest -p no:cacheprovider $(COMPUTING)

test-all: lint
	$(BIN)/python -m pytest -m ''

# A million frames through the live loop, and what else takes minutes of the live runtime's tests.
soak: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow tests/runtime tests/edgeseg/cli/acceptance

clean:
	rm -rf $(VENV) runs dist build .mypy_cache .ruff_cache .pytest_cache
