.DEFAULT_GOAL := help
PYTHON ?= python3
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := $(wildcard libs/*) $(wildcard services/*)
SOURCES := $(addsuffix /src,$(MEMBERS))
LOCKS := requirements.lock requirements-dev.lock requirements-setup.lock
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header

.PHONY: help
help: ## Show what can be done here
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: $(LOCKS) $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked requirements into $(VENV)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-setup.lock || echo "uv is not to be had here; pip does it, slower"
	@.ci/install $(BIN) --require-hashes -r requirements-dev.lock
	@.ci/install $(BIN) --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@.ci/debian $(BIN)
	@touch $@

.PHONY: setup
setup: $(VENV)/.installed ## Create .venv from the locks, with the workspace's members in it

.PHONY: lock
lock: setup ## Resolve requirements*.in anew into the hash-locked requirements*.lock
	$(COMPILE) requirements-setup.in -o requirements-setup.lock
	$(COMPILE) --upgrade requirements.in -o requirements.lock
	$(COMPILE) --upgrade requirements-dev.in -c requirements.lock -o requirements-dev.lock

.PHONY: lint
lint: setup ## Style, layers and what may import what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

.PHONY: format
format: setup ## Rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: setup ## mypy --strict over all members and bench
	$(BIN)/mypy $(SOURCES) bench

.PHONY: test
test: setup ## Everything that decides whether the product works, on real servers started once
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not e2e"
	$(BIN)/pytest -m e2e # a whole installation fills a machine: one after the other

.PHONY: test-fast
test-fast: setup ## What needs no servers, in under a minute
	$(BIN)/pytest -n $(WORKERS) -m "not servers and not e2e"

.PHONY: chaos
chaos: setup ## Faults under load, then the audit (SEEDS=1 SEED=first FAULTS=quick,F1,… all; or FAULTS=scenario KILLS=3, FAULTS=upgrade, alerts or F5)
ifeq ($(FAULTS),scenario)
	THROUGHLINE_KILLS=$(or $(KILLS),1) $(BIN)/pytest -s --show-capture=no tests/e2e/test_whole_installation.py
else ifeq ($(FAULTS),upgrade)
	$(BIN)/python -m testkit.upgrade $(if $(SEED),--seed $(SEED)) $(CHAOS)
else ifeq ($(FAULTS),alerts)
	THROUGHLINE_ALERTS=1 $(BIN)/pytest -s tests/e2e/test_alerts_under_faults.py
else ifeq ($(FAULTS),F5)
	$(BIN)/pytest libs/chassis/tests/test_kafka_errors.py
else
	$(BIN)/python -m testkit.chaos --faults $(or $(FAULTS),quick) --seeds $(or $(SEEDS),1) $(if $(SEED),--seed $(SEED)) $(CHAOS)
endif

PROOF ?= chaos-proof.jsonl
.PHONY: chaos-proof
chaos-proof: setup ## Every fault three times with volume; adds to $(PROOF), and goes on where it was stopped (SEED=1)
	$(BIN)/python -m testkit.chaos --faults $(or $(FAULTS),all) --seeds $(or $(SEEDS),3) --seed $(or $(SEED),1) \
		--seconds 12 --lasts 5 --rate 4 --crowd 98 --per-site 12 --report $(PROOF) $(CHAOS)

.PHONY: mutants
mutants: setup ## Plant every known bug into a copy; a test, or the audit of chaos, must see each (ONLY=L1,"naive cursor" JOBS=2)
	$(BIN)/python -m testkit.mutants --only $(if $(ONLY),"$(ONLY)",all) --jobs $(or $(JOBS),2)

.PHONY: demo
demo: setup ## Play a scenario from submit to invoice (REQUESTS=2000 REPORT=file KEEP=1; LOG=file MAPPING=file)
	@$(BIN)/throughline demo

.PHONY: up
up: setup ## Start Kafka, PostgreSQL and the five services
	@$(BIN)/throughline up

.PHONY: down
down: setup ## Stop what `make up` started
	@$(BIN)/throughline down

.PHONY: bench
bench: setup ## Measure (all, or one: BENCH=submit)
	$(BIN)/python -m bench$(addprefix .,$(BENCH))
	$(BIN)/python -m bench.table --write

.PHONY: bench-quick
bench-quick: setup ## A slice of every benchmark in some five minutes, nothing recorded (BENCH=submit for one)
	$(BIN)/python -m bench --quick $(BENCH)

.PHONY: plan
plan: setup ## What an installation needs, and where it ends (REQUESTS=1e6 a day, PLAN="--burst 5 …")
	@$(BIN)/python -m bench.plan --requests-per-day $(or $(REQUESTS),1e6) $(PLAN)

.PHONY: docs
docs: setup ## Write the generated references, rules and dashboards anew
	$(BIN)/python -m contracts.generate
	$(BIN)/python -m chassis.describe docs intake workflow approvals billing notifications
	$(BIN)/python -m bench.plan --write
	$(BIN)/python -m bench.table --write
	$(BIN)/python -m cli.observability deploy/observability
