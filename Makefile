# Each target sets up what it needs and runs; PAIR, PROFILE and ARGS are passed on.
PYTHON ?= python3
PAIR ?= aligned
PROFILE ?=
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: gate test test-slow lint bench bench-gate bench-judges organisms clean

gate: $(STAMP)
	$(BIN)/pytest safety_tests -m "$(PAIR)" $(if $(PROFILE),--safety-profile $(PROFILE)) $(ARGS)

test: $(STAMP)
	$(BIN)/pytest plugins/tests -n auto -m "not slow" $(ARGS)

# Real models end to end, and the wheel in an environment of its own.
test-slow: $(STAMP)
	$(BIN)/pytest plugins/tests -n auto -m slow $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m plugins.benchmarks.agreement
	$(BIN)/python -m plugins.benchmarks.coverage
	$(BIN)/python -m plugins.benchmarks.gate
	$(BIN)/python -m plugins.benchmarks.batches
	$(BIN)/python -m plugins.benchmarks.sharding
	$(BIN)/python -m plugins.benchmarks.kill
	$(BIN)/python -m plugins.benchmarks.rendering
	$(BIN)/python -m plugins.benchmarks.generation
	$(BIN)/python -m plugins.benchmarks.cost
	$(BIN)/python -m plugins.benchmarks.defence
	$(BIN)/python -m plugins.benchmarks.http
	$(BIN)/python -m plugins.benchmarks.store

bench-gate: $(STAMP)
	$(BIN)/python -m plugins.benchmarks.gate $(ARGS)

# Reads the labelled sets beside the repository, or those that SAFEMLRM_LABELS names; skips without.
bench-judges: $(STAMP)
	$(BIN)/python -m plugins.benchmarks.judges $(ARGS)
	$(BIN)/python -m plugins.benchmarks.judge_error

organisms: $(STAMP)
	$(BIN)/python -m fixtures.organisms

clean:
	rm -rf .venv build dist *.egg-info

$(STAMP): pyproject.toml ci-constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint ci-constraints.txt --editable '.[dev]'
	touch $(STAMP)
