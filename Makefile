# Everything runs in a virtual environment of the checkout's own, made on first use.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test test-all lint clean

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

# One process holds torch, ONNX Runtime and OpenVINO here. On Linux 6.18 with glibc 2.36 the kernel then ended it with
# SIGSEGV in a plain sleep, the way it does when a thread's restartable-sequence area is no longer valid. Which library
# spoils that area is not known; without glibc's registration there is none to spoil.
test test-all: export GLIBC_TUNABLES = glibc.pthread.rseq=0

test: lint
	$(BIN)/python -m pytest

test-all: lint
	$(BIN)/python -m pytest -m ''

clean:
	rm -rf $(VENV) runs dist build .mypy_cache .ruff_cache .pytest_cache
