.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv deps engine demo image run test test-image cover format lint types check bench chaos lock clean

# Variables named on make's command line (STOP, N, SEED, PYTHON) are in every recipe's environment.
BIN := .venv/bin
VENV := .venv/.installed
PACKAGES := $(wildcard entrypoint simulator demo tests bench)
DOCKERFILES := $(wildcard Dockerfile Dockerfile.* tests/image/*.Dockerfile deploy/*/*/*.Dockerfile)
WORKFLOWS := $(wildcard .github/workflows/*.yml)
SHELL_SCRIPTS = $(shell git grep --untracked -lE '^\#!.*[ /](ba|da)?sh( |$$)' -- \
	':!*.py' ':!*.md' ':!Dockerfile*')
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

venv: $(VENV) ## Make .venv from requirements-dev.lock (PYTHON=... chooses the interpreter)

$(VENV): requirements-dev.lock pyproject.toml scripts/venv
	scripts/venv .venv
	@touch $@

deps: ## Install the system programs that tests and benchmarks run
	@scripts/system-packages

engine: ## Start a Docker engine, installed if need be; where that cannot be, say why and go on
	@scripts/docker-engine >/dev/null || true

demo: $(VENV) ## Show one runner's life against the simulator (STOP=... stops it on the way)
	$(BIN)/python -m demo

image: ## Build the image (BASE=ubuntu|fedora, VARIANT=full|slim, BUILD_ARGS=...)
	@scripts/build-image

run: ## Run the image with the settings in .env, built if need be (ARGS=... goes to docker run)
	@scripts/run-image $(ARGS)

test: deps $(VENV) ## Run the tests that need no Docker engine (ARGS=... goes to pytest)
	$(BIN)/pytest -m 'not image' $(ARGS)

test-image: deps engine $(VENV) ## Build the image with Docker and run the tests that need it
	$(BIN)/pytest tests/image tests/lives/test_engine.py $(ARGS)

cover: deps $(VENV) ## Run the tests and show which lines they miss
	$(BIN)/pytest -m 'not image' --cov $(ARGS)

format: $(VENV) ## Put the Python code into its standard form
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lint: $(VENV) ## Look for mistakes in Python, shell scripts, Dockerfiles and workflows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PATH="$(BIN):$$PATH" shellcheck $(SHELL_SCRIPTS)
	$(if $(DOCKERFILES),$(BIN)/hadolint $(DOCKERFILES))
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	$(BIN)/zizmor --offline --no-progress --quiet --pedantic $(WORKFLOWS)

types: $(VENV) ## Check the types
	$(BIN)/mypy $(PACKAGES)

check: deps engine lint types ## Do all that CI does: lint, types and every test
	$(BIN)/pytest $(ARGS)

bench: deps $(VENV) ## Measure what PID 1 costs
	$(BIN)/python -m bench $(ARGS)

chaos: deps $(VENV) ## Stop runners at random moments (N=... times, SEED=... to repeat a run)
	$(BIN)/python -m tests.chaos

lock: $(VENV) ## Write the lock files anew (UPGRADE=1 takes newer versions)
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## Remove everything that make has made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* dist
	find . -name __pycache__ -prune -exec rm -rf {} +
