# Conclave's commands. Everything happens in .venv; a repeat costs nothing until a lock in requirements/ changes.
PYTHON ?= python3
PORT ?= 8000
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
RUN_STAMP := $(VENV)/run-$(shell cksum < requirements/run.txt | tr ' ' '-')
TEST_STAMP := $(VENV)/test-$(shell cksum < requirements/test.txt | tr ' ' '-')
BENCH := $(VENV)/bench-$(shell cksum < requirements/bench.txt | tr ' ' '-')
SOCKETIO := $(VENV)/socketio-$(shell cksum < benchmarks/socketio/package-lock.json | tr ' ' '-')
PIP := PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet --require-hashes -r
PYTEST := $(PY) -m pytest
# What the checks import must not depend on a developer's .env.
CHECK := DEBUG=1 SECRET_KEY= DATABASE_URL=sqlite://:memory: CHANNELS_URL=memory:// CACHE_URL= EMAIL_URL=
SOURCES := core accounts tenants chat tests .ci manage.py $(wildcard benchmarks)

.DEFAULT_GOAL := help
.PHONY: help run test test-all lint types bench mutants clean install servers
.PHONY: lint-style lint-format lint-house lint-imports lint-templates lint-migrations lint-locks

help:
	@echo "make run | test | test-all | lint | types | bench | mutants | clean   (PORT=8000 INSTALL=1 REQUIRE_ALL=1 PART=long PEERS=1 ARGS=...)"

run: export DEBUG = 1
run: export PUBLIC_URL = http://localhost:$(PORT)
run: $(RUN_STAMP) .env
	@$(PY) manage.py migrate --noinput --verbosity 0 </dev/null
	@exec $(PY) manage.py serve --port $(PORT) --demo </dev/null

# Two halves at once, one core each; the second one's output follows the first's.
test: servers
	@{ STACK=real $(PYTEST) -m "not long and not once" $(ARGS); real=$$?; \
	   STACK=embedded $(PYTEST) -m "not long and aside" $(ARGS) && test $$real = 0; } > $(VENV)/second.log 2>&1 & second=$$!; \
	STACK=embedded $(PYTEST) -m "not long and not aside and not on_real" $(ARGS); first=$$?; \
	wait $$second; second=$$?; cat $(VENV)/second.log; \
	test $$first = 0 -a $$second = 0

# The long part holds promised times, so nothing runs beside it.
test-all: $(if $(filter long,$(PART)),servers,test)
	STACK=embedded $(PYTEST) -m "long or on_real" $(ARGS)
	STACK=real $(PYTEST) -m "long and not once" $(ARGS)

lint: lint-style lint-format lint-house lint-imports lint-templates lint-migrations lint-locks

lint-style: $(TEST_STAMP)
	$(BIN)/ruff check $(SOURCES)

lint-format: $(TEST_STAMP)
	$(BIN)/ruff format --check $(SOURCES)

lint-house: $(TEST_STAMP)
	$(PY) .ci/house.py

lint-imports: $(TEST_STAMP)
	$(BIN)/lint-imports --no-cache

lint-templates: $(TEST_STAMP)
	git ls-files -z '*/templates/*.html' 'templates/*.html' | xargs -0 -r $(BIN)/djade --check --target-version 5.2

lint-migrations: $(TEST_STAMP)
	$(CHECK) $(PY) manage.py makemigrations --check --dry-run

lint-locks: $(TEST_STAMP)
	$(PY) .ci/locks.py

types: $(TEST_STAMP)
	$(CHECK) $(BIN)/mypy

# What only the benchmark needs lies beside the environment, not in it: no server that is measured may find uvloop there.
bench: $(TEST_STAMP) $(BENCH) $(if $(PEERS),$(SOCKETIO))
	@BENCH_PACKAGES=$(BENCH) $(PY) -m benchmarks $(if $(PEERS),--peers) $(ARGS)

mutants: $(TEST_STAMP)
	$(PY) -m tests.mutants $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache static build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(TEST_STAMP)

servers: $(TEST_STAMP)
	@if [ "$(INSTALL)" = 1 ]; then $(PY) -m tests.servers install; fi

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Conclave needs Python 3.11 or newer, not " + sys.version)'
	@$(PYTHON) -m venv $(VENV) || { echo "python3 has no venv or pip here (Debian: apt install python3-venv)"; rm -rf $(VENV); exit 1; }

$(RUN_STAMP): | $(PY)
	@echo "installing the locked dependencies"
	@$(PIP) requirements/run.txt
	@touch $@

$(TEST_STAMP): | $(PY)
	@echo "installing the locked dependencies, those of the tests too"
	@$(PIP) requirements/test.txt
	@touch $@

$(BENCH): | $(PY)
	@echo "installing what the benchmark needs"
	@rm -rf $(VENV)/bench-*
	@$(PIP) requirements/bench.txt --target $@.new
	@mv $@.new $@

$(SOCKETIO):
	@echo "installing Socket.IO"
	@rm -rf $(VENV)/socketio-*
	@mkdir -p $@.new
	@cp benchmarks/socketio/package.json benchmarks/socketio/package-lock.json $@.new
	@cd $@.new && npm ci --silent --ignore-scripts --no-audit --no-fund
	@mv $@.new $@

.env:
	@umask 077; $(PYTHON) -c 'import secrets; print("SECRET_KEY=" + secrets.token_urlsafe(48))' > .env.new && mv .env.new .env
