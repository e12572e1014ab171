# Everything runs in .venv, which `make setup` makes and keeps up to date. Nothing else is needed than Python 3.10 or later.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TESTS ?= tests
BENCH ?=

.PHONY: setup demo test test-real faults lint type bench bench-peer clean

setup: $(STAMP)

# uv installs the same in seconds where pip takes a minute; it is used where it is there and works.
$(STAMP): setup.cfg pyproject.toml redun/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "redun needs Python 3.10 or later, and '$(PYTHON)' is `$(PYTHON) --version 2>&1`: try make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with `$(PYTHON) --version`" && $(PYTHON) -m venv .venv; }
	@if uv --version >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --editable '.[dev]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	fi
	@touch $(STAMP)

demo: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

test: setup
	$(BIN)/python -m pytest -n 2 $(TESTS)

# The campaigns of tests/faults in their long form: ROUNDS kills, interruptions, torn files each.
ROUNDS ?= 300

faults: setup
	REDUN_FAULT_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -n 1 tests/faults

# Needs npm and an OpenSSH server (Debian: openssh-server).
test-real: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check adlfs sshfs || uv pip install --quiet --python $(BIN)/python adlfs sshfs
	@command -v radosgw >/dev/null || apt-get install -y -qq radosgw ceph-mon ceph-osd ceph-common
	@test -x .real/node_modules/.bin/azurite-blob || npm install --silent --prefix .real azurite
	REAL=1 $(BIN)/python -m pytest tests/real

lint: setup type
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: setup
	$(BIN)/mypy

# BENCH holds names and options, like BENCH="fanout=20000 fib --rounds 5"; see `python -m bench --help`.
bench: setup
	$(BIN)/python -m bench run $(BENCH)

bench-peer: setup
	$(BIN)/python -m bench peer $(BENCH)

clean:
	rm -rf .venv .bench build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
