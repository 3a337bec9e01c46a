# Two commands: `make run` shows the system at work, `make test` runs the whole suite.
# Needed beforehand: Python 3.11 to 3.13, make, and the package registries.

PYTHON ?= python3
PORT ?= 8080
DATA ?=
SIGNALS ?=
ARGS ?=

UV_VERSION := 0.13.9
UV := .uv/bin/uv
GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1 && echo yes)
ENGINE := $(if $(GPU),engine-gpu,engine-cpu)

.PHONY: help run test test-fast check test-deps install engine train parquet report tracing clean

help:
	@echo "make run        install what is missing, start everything, show one answer, stay up"
	@echo "                (PORT=8081, DATA=articles.jsonl.gz, SIGNALS=signals.jsonl)"
	@echo "make test       install what is missing, run the whole suite with real parts"
	@echo "make test-fast  the unit tests alone"
	@echo "make check      ruff, mypy --strict, import-linter, hadolint"
	@echo "make test-deps  install or name what the tests need beyond Python"
	@echo "make engine     install the engine environment alone (vLLM; the CPU build where there is no GPU)"
	@echo "make train      install the training environment alone (torch, TRL), for train and evaluate"
	@echo "make parquet    install what reads logs in Parquet"
	@echo "make report     install what reports of experiments need"
	@echo "make tracing    install what sends traces"
	@echo "make clean      remove environments, caches and local data"

run: .venv/.run .venv-engine/.installed
	@.venv/bin/interests up --port $(PORT) $(if $(DATA),--data "$(DATA)") $(if $(SIGNALS),--signals "$(SIGNALS)") $(ARGS)

test: .venv/.dev .venv-engine/.installed .venv-train/.installed test-deps
	.venv/bin/pytest $(ARGS)

test-fast: .venv/.dev
	.venv/bin/pytest tests/unit $(ARGS)

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile

test-deps: .venv/.dev
	.venv/bin/python -m tests.deps

install: .venv/.run

engine: .venv-engine/.installed

train: .venv-train/.installed

parquet: .venv/.run
	$(UV) sync --frozen --no-dev --extra local --extra parquet --inexact --python $(PYTHON)

report: .venv/.run
	$(UV) sync --frozen --no-dev --extra local --extra report --inexact --python $(PYTHON)

tracing: .venv/.run
	$(UV) sync --frozen --no-dev --extra local --extra tracing --inexact --python $(PYTHON)

clean:
	rm -rf .venv .venv-engine .venv-train .uv .cache .local

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "error: $(PYTHON) is not Python 3.11 to 3.13; say which is: make PYTHON=python3.12 …"; exit 2; }
	@echo "installing uv $(UV_VERSION) into .uv"
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.run: uv.lock pyproject.toml | $(UV)
	$(UV) sync --frozen --no-dev --extra local --inexact --python $(PYTHON)
	@touch $@

.venv/.dev: uv.lock pyproject.toml | $(UV)
	$(UV) sync --frozen --extra local --python $(PYTHON)
	@touch .venv/.run $@

.venv-engine/.installed: uv.lock pyproject.toml | $(UV)
	UV_PROJECT_ENVIRONMENT=.venv-engine $(UV) sync --frozen --no-dev --extra $(ENGINE) --python $(PYTHON)
	@touch $@

.venv-train/.installed: uv.lock pyproject.toml | $(UV)
	UV_PROJECT_ENVIRONMENT=.venv-train $(UV) sync --frozen --no-dev --extra train --python $(PYTHON)
	@touch $@
