# make run: the default experiment, from nothing to the table.   make test: all checks.
# CONFIG=configs/cifar10.yaml make run: another experiment.      ARGS="-n": more flags for Snakemake.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?=
ARGS ?=

.PHONY: run test lint unit docs clean
.DEFAULT_GOAL := run

run: $(VENV)/.run
	@$(BIN)/python -m pipeline run $(if $(CONFIG),--configfile $(CONFIG)) $(ARGS)

test: lint unit

lint: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakemake --lint

# The documentation as pages, in build/site.
docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

unit: $(VENV)/.test
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile

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
	rm -rf $(VENV) .snakemake .pytest_cache .mypy_cache .ruff_cache
