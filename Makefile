# make run: the default experiment, from nothing to the table.   make quick: checks in less than a minute.
# make test: the gate, all checks.   make nightly: the gate again, with random seeds and many more kills and examples.
# CONFIG=configs/cifar10.yaml make run: another experiment.      ARGS="-n": more flags for Snakemake.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
ARGS ?=

# The fast tests of what is pure: made for the loop of editing.
QUICK := tests/networks/test_genome.py tests/networks/test_cost.py tests/search/test_space.py tests/search/test_balance.py \
  tests/search/test_shards.py tests/search/test_evolution.py tests/search/test_algorithms.py tests/search/test_archive.py \
  tests/data/test_splits.py tests/data/test_splits_by_class.py tests/data/test_augmentation.py \
  $(filter-out tests/report/test_page.py,$(wildcard tests/report/test_[!fv]*.py)) tests/workflow/test_config.py tests/test_conventions.py tests/test_documentation.py tests/test_environment.py
KILLS ?= 300
# Three processes for two cores: one of them mostly waits for SLURM.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder

.PHONY: run test quick quick-lint quick-unit nightly lint unit docs clean
.DEFAULT_GOAL := run

run: $(VENV)/.run
	@$(BIN)/python -m pipeline run $(if $(CONFIG),--configfile $(CONFIG)) $(ARGS)

test: lint unit

quick: $(VENV)/.test
	@$(MAKE) --no-print-directory --jobs 2 quick-lint quick-unit

quick-lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache
	$(BIN)/python -m pytest -q tests/test_architecture.py

quick-unit:
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile -m "not slow" $(QUICK)

# Survivors and failures print the seed, with which BINARY_NAS_SEED repeats them.
nightly: lint
	BINARY_NAS_NIGHTLY=1 $(BIN)/python -m pytest -q $(PARALLEL) --deselect tests/workflow/test_survival.py
	BINARY_NAS_KILLS=$(KILLS) BINARY_NAS_SEED=$${BINARY_NAS_SEED:-$$(date +%s)} $(BIN)/python -m pytest -q -s tests/workflow/test_survival.py
	$(BIN)/python -m tests.support.mutations --faults

lint: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror pipeline/kernels/cpp/*/*.[ch]* tests/kernels/programs/*
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/snakemake --lint

# The documentation as pages, in build/site.
docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

unit: $(VENV)/.test
	$(BIN)/python -m pytest -q $(PARALLEL)

# pip reads constraints.txt for the versions that this commit was tested with; pyproject.toml has the ranges.
$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; call make with PYTHON=/path/to/a/newer/python3" >&2; exit 1; }
	@echo "Making the environment in $(VENV) (some minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --constraint constraints.txt
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' --constraint constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) .snakemake .import_linter_cache .pytest_cache .mypy_cache .ruff_cache
