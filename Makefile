.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-pythons test-servers fuzz check types rules audit format serve bench recording pictures docs clean

STAMP := .venv/.installed
BIN := .venv/bin
RUN_TESTS := scripts/run_tests.sh $(BIN)/python -m pytest
# For two cores, which the tests share with their servers, one for each worker: a test waits for half of its time.
WORKERS ?= 4
# Besides the one of .venv; scripts/ensure_python.sh says where they come from.
PYTHONS ?= 3.13 3.14
# Besides the machine's own; scripts/ensure_server.sh says where they come from.
SERVERS ?= mariadb-11.8 mysql-9.7
# How long `make fuzz` goes on; without a SEED it draws one and prints it.
SECONDS ?= 60
SEED ?=
# What of the tests asks a server anything.
PARTS ?= tests/integration tests/faults tests/contract tests/e2e
ROUND_TRIPS := tests/integration/test_types.py tests/integration/test_random_round_trip.py tests/e2e/test_cli_demo.py

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

$(STAMP): requirements-dev.lock pyproject.toml scripts/make_venv.sh hatch_build.py app/engine/native/row_text.h app/engine/native/_row_text.pyx
	@scripts/make_venv.sh $@

setup: $(STAMP) ## make .venv from the lock and find or install a MariaDB server
	@scripts/ensure_mariadb.sh
	@$(BIN)/python -m compileall -q app || true # what may be written nowhere is compiled by each start

demo: setup ## back up, damage and restore a sample shop on a private server
	@$(BIN)/backstay demo

test: setup ## run every test
	@scripts/ensure_test_tools.sh
	@$(RUN_TESTS) -n $(WORKERS) --dist worksteal $(ARGS)

test-long: setup ## run the long form of every series that has one: about two hours
	@scripts/ensure_test_tools.sh
	@BACKSTAY_TEST_LONG=1 $(RUN_TESTS) -n $(WORKERS) --dist worksteal -m long $(ARGS)

test-pythons: setup ## run unit tests and round trips on other Pythons (PYTHONS="3.13 3.14")
	@scripts/ensure_test_tools.sh
	@set -e; for version in $(PYTHONS); do \
	  scripts/ensure_python.sh $$version; \
	  .pythons/$$version/bin/python --version; \
	  scripts/run_tests.sh .pythons/$$version/bin/python -m pytest -q -p no:cacheprovider -n $(WORKERS) --dist worksteal tests/unit $(ROUND_TRIPS) $(ARGS); \
	done

test-servers: setup ## run the tests on other servers (SERVERS="mariadb-11.8 mysql-9.7", PARTS="tests/e2e")
	@scripts/ensure_test_tools.sh
	@set -e; for server in $(SERVERS); do scripts/ensure_server.sh $$server >/dev/null; done
	@failed=; for server in $(SERVERS); do \
	  BACKSTAY_TEST_SERVER=$$server $(RUN_TESTS) -q -p no:cacheprovider -n $(WORKERS) --dist worksteal $(PARTS) $(ARGS) \
	  || failed="$$failed $$server"; \
	done; test -z "$$failed" || { echo "tests failed on:$$failed" >&2; exit 1; }

fuzz: ## feed the compiled module with damaged rows under sanitizers (SECONDS=60, SEED=1)
	@scripts/fuzz_rows.sh $(SECONDS) $(SEED)

check: $(STAMP) ## run every static check
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target types rules

# Beside the others, which take a fourth of its time, one of them waiting for the network.
types:
	@$(BIN)/mypy

rules:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/interrogate --quiet tests
	@$(BIN)/codespell
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	@scripts/audit_dependencies.sh || test $$? -eq 2 # nobody answers: it has said so, and nothing was audited

audit: $(STAMP) ## ask whether dependencies have known vulnerabilities; needs the network
	@scripts/audit_dependencies.sh

format: $(STAMP) ## format the code and apply the safe fixes
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

serve: setup ## run pages and API, on a private server unless BACKSTAY_DATABASE_URL is set
	@$(BIN)/backstay serve --demo $(ARGS)

bench: setup ## measure speed and memory against the vendor's tools
	@$(BIN)/python -m benchmarks $(ARGS)

recording: setup ## record the demo again for the README: docs/demo.svg
	@$(BIN)/python scripts/record_demo.py

pictures: setup ## take the pictures of the pages for the README again
	@scripts/ensure_test_tools.sh
	@$(BIN)/python scripts/record_pages.py

docs: $(STAMP) ## prove that the documents are complete
	@$(BIN)/python -m pytest tests/architecture $(ARGS)

clean: ## remove everything that `make` made
	@rm -rf .venv .pythons .servers .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov dist
	@rm -f app/engine/native/*.so
	@find app tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
