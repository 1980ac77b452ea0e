# Each target sets up what it needs and runs; PAIR, PROFILE and ARGS are passed on.
PYTHON ?= python3
PAIR ?= aligned
PROFILE ?=
ARGS ?=
RESULTS ?= reports/allure-results
BIN := .venv/bin
STAMP := .venv/.installed

# Every system at once has a configuration of its own; some of its pairs are made to fail.
ifeq ($(PROFILE),everything)
GATE := safety_tests/everything/everything.py --safety-config safety_tests/everything/safety.toml
else
GATE := safety_tests -m "$(PAIR)" $(if $(PROFILE),--safety-profile $(PROFILE))
endif

.PHONY: gate test test-slow test-browser lint bench bench-gate bench-judges organisms report clean

gate: $(STAMP)
	rm -rf reports/allure-results
	$(BIN)/pytest $(GATE) --alluredir=reports/allure-results $(ARGS)

# reports/site: the page of the last gate and, beside it, the Allure site of its results. Needs node 20.
report: node_modules/.package-lock.json
	@ls $(RESULTS)/*-result.json > /dev/null 2>&1 || \
		{ echo "no results in $(RESULTS): run make gate first, or name their folder with RESULTS="; exit 2; }
	rm -rf reports/site
	ALLURE_RESULTS=$(RESULTS) npx --no-install allure generate $(RESULTS) --config allurerc.mjs
	node site.mjs
	@echo "open reports/site/index.html"

test: $(STAMP)
	$(BIN)/pytest plugins/tests -n auto -m "not slow and not browser" $(ARGS)

# Real models end to end, and the wheel in an environment of its own.
test-slow: $(STAMP)
	$(BIN)/pytest plugins/tests -n auto -m "slow and not browser" $(ARGS)

# Reports as people see them, in a Chromium that is installed or that SAFEMLRM_CHROMIUM names.
test-browser: $(STAMP)
	$(BIN)/pytest plugins/tests -m browser $(ARGS)

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
	$(BIN)/python -m plugins.benchmarks.reports
	$(BIN)/python -m plugins.benchmarks.allure

bench-gate: $(STAMP)
	$(BIN)/python -m plugins.benchmarks.gate $(ARGS)

# Reads the labelled sets beside the repository, or those that SAFEMLRM_LABELS names; skips without.
bench-judges: $(STAMP)
	$(BIN)/python -m plugins.benchmarks.judges $(ARGS)
	$(BIN)/python -m plugins.benchmarks.judge_error

organisms: $(STAMP)
	$(BIN)/python -m fixtures.organisms

clean:
	rm -rf .venv node_modules build dist *.egg-info

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	touch node_modules/.package-lock.json

$(STAMP): pyproject.toml ci-constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint ci-constraints.txt --editable '.[dev]'
	touch $(STAMP)
