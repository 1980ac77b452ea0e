# Each target sets up what it needs and runs; PAIR, PROFILE and ARGS are passed on.
PYTHON ?= python3
PAIR ?= aligned
PROFILE ?=
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: gate test test-slow lint bench bench-gate organisms clean

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
	$(BIN)/python -m plugins.benchmarks.http
	$(BIN)/python -m plugins.benchmarks.store

bench-gate: $(STAMP)
	$(BIN)/python -m plugins.benchmarks.gate $(ARGS)

organisms: $(STAMP)
	$(BIN)/python -m fixtures.organisms

clean:
	rm -rf .venv build dist *.egg-info

$(STAMP): pyproject.toml ci-constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint ci-constraints.txt --editable '.[dev]'
	touch $(STAMP)
