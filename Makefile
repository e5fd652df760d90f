PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARCHIVE ?= archive
SEED ?= 1
DAYS ?= 30

.PHONY: archive test torture press fortnight check bench clean

archive: $(VENV)/installed
	$(BIN)/scrapy replay -s ARCHIVE_DIR=$(ARCHIVE)

# Where PYTHONDONTWRITEBYTECODE is set, each of a thousand commands that tests start would compile the project anew.
test: $(VENV)/installed
	@$(BIN)/python -m compileall -q newsarchive spiders pipelines tests
	$(BIN)/pytest -n auto --dist worksteal -rs

torture: $(VENV)/installed
	TORTURE=1 $(BIN)/pytest -n auto --dist worksteal -rs tests/torture tests/test_warc_torn.py

press: $(VENV)/installed
	$(BIN)/python -m tests.press SEED=$(SEED) DAYS=$(DAYS)

fortnight: $(VENV)/installed
	$(BIN)/python -m tests.fortnight SEED=$(SEED)

check: $(VENV)/installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "newsarchive needs Python 3.11 or newer; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/installed-check: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[check]'
	@touch $@
