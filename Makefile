# `make run` and `make test` do all of their own set-up. `make help` lists the rest.

PYTHON ?= python3
PY     := .venv/bin/python
SEEDS  ?= 20
FIRST  ?= 1
MINUTES ?= 2
WORKERS ?= 2

# Not part of `make test`: minutes long, or in need of something that is not a Python package.
QUICK  := not slow and not real_kafka and not performance

.DEFAULT_GOAL := help
.PHONY: help run test prepare prepare-run lint types contracts dead unit test-gui test-widgets test-client \
        test-broker test-protocol durations integration simulate nemesis fuzz bench kafka external-clients tour pictures \
        coverage check format lock notices messages clean

help:                 ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

run: prepare-run      ## the application with a live demo cluster (without a display: a tour in pictures)
	@scripts/run

test: prepare         ## every test that takes seconds, in WORKERS=n processes (under eight minutes in all)
	$(PY) -m pytest -n $(WORKERS) --dist loadfile -m "$(QUICK)"

check: prepare        ## in about a minute: lint, types, contracts, dead code, layout
	@$(MAKE) -s --no-print-directory lint types contracts dead
	$(PY) -m pytest -q tests/test_layout.py tests/test_citations.py tests/test_habits.py tests/test_outgoing.py

lint: prepare         ## ruff: rules and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: prepare       ## ruff: apply the format and the safe fixes
	@$(PY) -m ruff check -q --fix . || true
	@$(PY) -m ruff format -q .

types: prepare        ## mypy: strict; exceptions are listed in pyproject.toml
	@$(PY) -m mypy
	@$(PY) -m mypy tests

contracts: prepare    ## import-linter: who may import whom
	@PYTHONPATH=. .venv/bin/lint-imports --no-cache >.contracts.log && tail -2 .contracts.log || { cat .contracts.log; exit 1; }

dead: prepare         ## vulture: code that no production code uses
	@$(PY) -m vulture

unit: prepare         ## the unit tests alone
	$(PY) -m pytest tests/unit -m "$(QUICK)"

test-gui: prepare     ## the tests of gui: units, and the real window over a fake cluster
	$(PY) -m pytest tests/unit/gui tests/ui -m "$(QUICK)"

test-widgets: prepare ## the tests of widgets
	$(PY) -m pytest tests/unit/widgets -m "$(QUICK)"

test-client: prepare  ## the unit tests of kafka_client
	$(PY) -m pytest tests/unit/kafka_client -m "$(QUICK)"

test-broker: prepare  ## the unit tests of embedded_broker, and a few simulated clusters
	$(PY) -m pytest tests/unit/embedded_broker tests/simulation -m "$(QUICK)"

test-protocol: prepare ## the tests of kafka_protocol
	$(PY) -m pytest tests/unit/kafka_protocol -m "$(QUICK)"

durations: prepare    ## the slowest twenty of the quick tests, with their times
	$(PY) -m pytest -q -m "$(QUICK)" --durations=20 --durations-min=1

integration: prepare  ## whole brokers over sockets, with external clients
	$(PY) -m pytest -m "integration and not real_kafka"

simulate: prepare     ## SEEDS=n clusters in virtual time under seeded faults, from seed FIRST
	$(PY) -m embedded_broker.simulator --seeds $(SEEDS) --first $(FIRST)

nemesis: prepare      ## MINUTES=n of random faults on real broker processes (needs root)
	$(PY) -m tests.nemesis --minutes $(MINUTES)

fuzz: prepare         ## MINUTES=n of hostile requests to real broker processes beside a healthy client
	$(PY) -m tests.fuzz --minutes $(MINUTES)

bench: prepare        ## measure the embedded broker and the tables
	PYTHONPATH=. $(PY) tests/performance/bench.py

kafka:                ## fetch a real Apache Kafka (Maven) for the tests that compare with one
	@$(PYTHON) tests/real_kafka/fetch.py

external-clients:     ## install kcat and kafkajs, for the tests with external clients
	@$(PYTHON) tests/integration/external_clients/install.py

coverage: prepare     ## which lines the quick tests execute
	$(PY) -m pytest -q -m "$(QUICK)" --cov --cov-report=term:skip-covered

tour: prepare-run     ## a picture of every page, offscreen, into tour/
	@scripts/run tour tour

pictures: prepare-run ## take the pictures of README.md again
	@scripts/run tour docs/pictures

lock: prepare         ## requirements/ again, after pyproject.toml or constraints.txt has changed
	$(PY) scripts/lock.py

notices: prepare      ## the licence texts of what Kafkarium runs with, after requirements/run.txt has changed
	$(PY) scripts/notices.py

messages: prepare     ## generate kafka_protocol/messages
	$(PY) scripts/generate_messages.py

clean:                ## remove what the other targets made (not .kafka)
	rm -rf tour build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov .contracts.log
	test -L .venv || rm -rf .venv

prepare:
	@$(PYTHON) scripts/prepare.py test

prepare-run:
	@$(PYTHON) scripts/prepare.py run
