.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv deps engine demo pictures image run test test-image test-deploy test-action cover format lint types check exhaustive bench fleet chaos lock clean

# Python keeps what it has compiled: every test worker and every life would compile it again.
unexport PYTHONDONTWRITEBYTECODE

# Variables named on make's command line (STOP, N, SEED, PYTHON) are in every recipe's environment.
VENV := .venv
BIN := $(VENV)/bin
# .venv is filled in two steps, so that a first `make demo` need not wait for linters.
FOR_DEMO := $(VENV)/.demo
FOR_ALL := $(VENV)/.dev
FOR_AWS := $(VENV)/.aws
PACKAGES := $(wildcard entrypoint image simulator demo action tests bench deploy/krun/krunpool release)
DOCKERFILES := $(wildcard Dockerfile Dockerfile.* tests/image/*.Dockerfile deploy/*/*/*.Dockerfile)
WORKFLOWS := $(wildcard .github/workflows/*.yml)
SHELL_SCRIPTS = $(shell git grep --untracked -lE '^\#!.*[ /](ba|da)?sh( |$$)' -- \
	':!*.py' ':!*.md' ':!Dockerfile*')
# Several tests at a time, unless ARGS names a single file; see tests/support/side_by_side.py.
SIDE_BY_SIDE := -n auto
EVERY_DAY := -m 'not exhaustive'
# Each of these folders has a target of its own.
WITHOUT_ENGINE := -m 'not image and not exhaustive' $(foreach own,image deploy krun action,--ignore=tests/$(own))
# What a target tests: these files, unless ARGS names others.
files = $(if $(filter tests/%,$(ARGS)),,$(1))
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

venv: $(FOR_ALL) ## Make .venv from the lock files (PYTHON=... with that interpreter, VENV=... elsewhere)

$(FOR_DEMO): requirements-demo.lock pyproject.toml scripts/venv
	scripts/venv $(VENV) $<
	@touch $@

$(FOR_ALL): requirements-dev.lock $(FOR_DEMO)
	scripts/venv $(VENV) $<
	@touch $@

$(FOR_AWS): requirements-aws.lock $(FOR_ALL)
	scripts/venv $(VENV) $<
	@touch $@

deps: ## Install the system programs that tests and benchmarks run
	@scripts/system-packages

engine: ## Start a Docker engine, installed if need be; where that cannot be, say why and go on
	@scripts/docker-engine >/dev/null || true

demo: $(FOR_DEMO) ## Show one runner's life on the simulator (STOP=TERM|INT, WHEN=idle|job: stop it there)
	$(BIN)/python -m demo

pictures: $(FOR_DEMO) ## Draw the pictures of the README from a demo
	PICTURES=1 $(BIN)/python -m demo

image: ## Build the image (BASE=ubuntu|fedora, VARIANT=full|slim, BUILD_ARGS=...)
	@scripts/build-image

run: ## Run the image with the settings in .env, built if need be (ARGS=... goes to docker run)
	@scripts/run-image $(ARGS)

test: deps $(FOR_ALL) ## Run the tests that need no Docker engine (ARGS=... goes to pytest)
	$(BIN)/pytest $(SIDE_BY_SIDE) $(WITHOUT_ENGINE) $(ARGS)

test-image: deps engine $(FOR_ALL) ## Build the image with Docker and run the tests that need it
	$(BIN)/pytest $(EVERY_DAY) $(call files,tests/image tests/lives/test_engine.py tests/simulator/test_containers.py) $(ARGS)

test-deploy: deps engine $(FOR_ALL) ## Run each way to deploy: register, job, replacement, stop
	$(BIN)/pytest -n 3 $(EVERY_DAY) $(call files,tests/deploy tests/krun) $(ARGS)

test-action: deps engine $(FOR_AWS) ## Run the action that starts runners on ECS
	$(BIN)/pytest $(SIDE_BY_SIDE) $(EVERY_DAY) $(call files,tests/action) $(ARGS)

cover: deps $(FOR_ALL) ## Run the tests and show which lines they miss
	$(BIN)/pytest $(SIDE_BY_SIDE) $(WITHOUT_ENGINE) --cov $(ARGS)

format: $(FOR_ALL) ## Put the Python code into its standard form
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lint: $(FOR_ALL) ## Look for mistakes in Python, shell scripts, Dockerfiles and workflows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	PATH="$(BIN):$$PATH" shellcheck $(SHELL_SCRIPTS)
	$(if $(DOCKERFILES),$(BIN)/hadolint $(DOCKERFILES))
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	PATH="$(BIN):$$PATH" actionlint $(WORKFLOWS)
	$(BIN)/zizmor --offline --no-progress --quiet --pedantic $(WORKFLOWS) action.yml .github/dependabot.yml

types: $(FOR_ALL) ## Check the types
	$(BIN)/mypy $(PACKAGES)

check: lint types test ## Do what should be done before each commit: lint, types, test

exhaustive: deps engine $(FOR_AWS) ## Do what takes hours: before a release, and every week
	@scripts/system-packages qemu-system-x86_64:qemu-system-x86 cpio:cpio
	$(BIN)/pytest -m exhaustive $(ARGS)
	N=$(or $(N),2000) $(BIN)/python -m tests.chaos
	N=500 PHASE=window $(BIN)/python -m tests.chaos

bench: deps $(FOR_ALL) ## Measure what PID 1 costs
	$(BIN)/python -m bench $(ARGS)

fleet: deps $(FOR_ALL) ## Measure many runners on one host and on one credential (docs/fleet.md)
	$(BIN)/python -m bench.fleet $(ARGS)

chaos: deps $(FOR_ALL) ## Stop runners at random moments (N=... times, SEED=... to repeat a run)
	$(BIN)/python -m tests.chaos

lock: $(FOR_ALL) ## Write the lock files anew (UPGRADE=1 takes newer versions)
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) pyproject.toml --group demo --constraint requirements.lock --output-file requirements-demo.lock
	$(LOCK) pyproject.toml --group dev --constraint requirements-demo.lock --output-file requirements-dev.lock
	$(LOCK) pyproject.toml --group aws --constraint requirements-dev.lock --output-file requirements-aws.lock

clean: ## Remove everything that make has made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* dist
	find . -name __pycache__ -prune -exec rm -rf {} +
