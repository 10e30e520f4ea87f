# Forebay. `make` alone lists what there is; everything is usable from a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= var
PORT ?= 8080
PROCESSES ?= 2
CHAOS ?= --jobs 2000 --faults 60 --seed 7
ROOMS := web workers tasks forecasting ingest analysis db embedded

export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup run demo demo-sources test check fix lint types walls up down bench bench-scale bench-forecast bench-ingest bench-accuracy bench-anomaly chaos lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Forebay needs Python 3.11 or newer; set PYTHON=/path/to/it"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 -m venv failed; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/embedded.done: requirements/embedded.txt | $(VENV)/pyvenv.cfg
	@echo "Installing what Forebay needs (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/dev.done: requirements/dev.txt | $(VENV)/pyvenv.cfg
	@echo "Installing what Forebay and its tests need (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@ $(VENV)/embedded.done

setup: $(VENV)/dev.done ## Create .venv with everything a developer needs

run: $(VENV)/embedded.done ## Start the whole platform at your desk, with real data
	@$(BIN)/python -m embedded run --home $(HOME_DIR) --port $(PORT)

demo: $(VENV)/embedded.done ## The same, then leave with exit code 0
	@$(BIN)/python -m embedded demo --home $(HOME_DIR) --port $(PORT)

demo-sources: $(VENV)/embedded.done ## EIA, FRED and weather without keys, played here (STAY=1)
	@$(BIN)/python -m embedded demo-sources --home $(HOME_DIR) --port $(PORT) $(if $(STAY),--stay)

test: $(VENV)/dev.done ## All tests against real servers of their own, with coverage
	@$(BIN)/python -m tests.servers.debian
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m compileall -q $(ROOMS) bench tests  # once, not in each process
	$(BIN)/python -m coverage run -m pytest -n $(PROCESSES) --dist loadfile $(TESTS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --skip-covered --show-missing $(COVERAGE)

check: $(VENV)/dev.done lint types walls ## Lint, types and walls between the rooms

lint: $(VENV)/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.done
	$(BIN)/mypy

walls: $(VENV)/dev.done
	$(BIN)/lint-imports

fix: $(VENV)/dev.done ## Format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.done ## Measure the job path beside a hand-written Flask + Celery
	@$(BIN)/python -m tests.servers.debian
	@$(BIN)/python -m bench.job_path

bench-scale: $(VENV)/dev.done ## Measure a million jobs, more workers, fairness and 300 streams
	@$(BIN)/python -m tests.servers.debian
	@$(BIN)/python -m bench.scale
	@$(BIN)/python -m bench.workers
	@$(BIN)/python -m bench.fairness
	@$(BIN)/python -m bench.streams

bench-forecast: $(VENV)/dev.done ## Measure panels in parts, and a stream of 10 million points
	@$(BIN)/python -m tests.servers.debian
	@$(BIN)/python -m bench.forecasting $(FORECAST)

bench-ingest: $(VENV)/dev.done ## Measure loads, sources and uploads beside a bare COPY
	@$(BIN)/python -m tests.servers.debian
	@$(BIN)/python -m bench.loading
	@$(BIN)/python -m bench.ingest $(INGEST)

bench-accuracy: $(VENV)/dev.done ## Forecast the collections in DATA=dir, beside bare libraries
	@test -n "$(DATA)" || { echo "DATA=dir names the folder of the collections"; exit 2; }
	@$(BIN)/python -m bench.accuracy --data "$(DATA)" $(ACCURACY)

bench-anomaly: $(VENV)/dev.done ## Analyse the labelled collections in DATA=dir, beside simple methods
	@test -n "$(DATA)" || { echo "DATA=dir names the folder of the collections"; exit 2; }
	@$(BIN)/python -m bench.anomaly --data "$(DATA)" $(ANOMALY)

chaos: $(VENV)/dev.done ## Strike the running platform with faults, then audit its tables
	@$(BIN)/python -m tests.servers.debian
	@$(BIN)/python -m tests.chaos $(CHAOS)

compose/forebay.env: compose/forebay.env.sample
	@$(PYTHON) -c 'import pathlib, secrets; t = pathlib.Path("$<").read_text(); \
	  [t := t.replace(f"change-me-{w}", secrets.token_hex(24)) \
	    for w in ("database", "broker", "cookies")]; \
	  pathlib.Path("$@").write_text(t)'
	@chmod 600 $@

up: compose/forebay.env ## Start the platform on RabbitMQ and TimescaleDB with Docker Compose
	docker compose -f compose/compose.yaml up --build --detach --wait

down: ## Stop what `make up` started; the data stays
	docker compose -f compose/compose.yaml down

lock: $(VENV)/dev.done ## Renew the locked requirements of every extra
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@requirements/lock $(BIN)/uv

clean: ## Delete the environment, caches and the data of `make run`
	rm -rf $(VENV) $(HOME_DIR) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
