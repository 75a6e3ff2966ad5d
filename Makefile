# make demo   a filled server on 127.0.0.1:8080 (PORT=… elsewhere)
# make test   the whole suite on SQLite
# make test-browser   the Call Me Back widget and the examples of streams in a real Chromium
# make test-pbx   calls between real phones through a real Asterisk; as root, on Debian
# make bench-memory   the memory of a server while a PBX tells it of 100,000 calls; some minutes
# make five-years FOLDER=/tmp/years CALLS=100000   a company's history, in and out, with what it takes
PYTHON ?= python3
PORT ?= 8080
FOLDER ?= var/five-years
CALLS ?= 10000000
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-postgres test-browser test-pbx lint types bench bench-memory five-years demo-data clean

$(VENV)/run: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ringback needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev: $(VENV)/run requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

demo: $(VENV)/run
	$(BIN)/ringback demo --dir var/demo --port $(PORT)

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2

test-postgres: $(VENV)/dev
	RINGBACK_TEST_ENGINE=postgres $(BIN)/python -m pytest -n 2

test-browser: $(VENV)/dev
	bash tools/checks/browser

test-pbx: $(VENV)/dev
	bash tools/checks/pbx

lint: $(VENV)/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks

bench-memory: $(VENV)/dev
	$(BIN)/python -m benchmarks.pbx memory

five-years: $(VENV)/dev
	$(BIN)/python -m benchmarks.years $(FOLDER) --calls $(CALLS)

demo-data:
	sh tools/demo-data/run

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
