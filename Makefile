# Everything runs in .venv, which is built when it is needed: Python 3.11 or newer and make will do.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

ENV_FILE ?= deploy/demo.env
ARGS ?=
PROFILE ?= paper

BIN := .venv/bin
# Names count for nothing until they have run: a version manager's shims may stand for nothing.
FIND_PYTHON = for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
		>/dev/null 2>&1 && echo "$$python" && break; done

PACKAGES := $(wildcard protos/pyproject.toml libs/*/pyproject.toml services/*/pyproject.toml \
	tools/*/pyproject.toml clients/*/pyproject.toml)
SOURCES := $(wildcard libs/*/src services/*/src tools/*/src clients/*/src)
TESTS := $(wildcard libs/*/tests services/*/tests tools/*/tests clients/*/tests) tests
PROGRAMS := scripts deploy bench
CONTRACT := protos/gen/sep_protos/contract.binpb
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

empty :=
space := $(empty) $(empty)
# Without it mypy finds each module twice: here, and through its installed package.
export MYPYPATH := $(subst $(space),:,$(SOURCES))

.PHONY: help
help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-8s\033[0m %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

.PHONY: run
run: .venv/installed $(CONTRACT)  ## run the whole stack here until Ctrl-C (ENV_FILE=deploy/demo.env, ARGS="--port-base 9000")
	$(BIN)/sep-stack up --env-file $(ENV_FILE) $(ARGS)

.PHONY: test
test: .venv/installed $(CONTRACT)  ## run every test (ARGS="-k guard")
	$(BIN)/python -m pytest $(ARGS)

.PHONY: protos
protos: .venv/installed  ## generate the contract's code and descriptor set afresh
	$(BIN)/python protos/generate.py

.PHONY: lint
lint: .venv/installed $(CONTRACT)  ## ruff, mypy --strict, buf lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES) $(TESTS) $(PROGRAMS)
	cd protos && ../$(BIN)/buf lint gen/sep_protos/contract.binpb --config buf.yaml

.PHONY: bench
bench: .venv/installed-bench $(CONTRACT)  ## measure (ARGS=--help tells what there is)
	$(BIN)/python -m bench $(ARGS)

.PHONY: replay
replay: .venv/installed $(CONTRACT)  ## run recorded candles through the stack's decisions (CANDLES_DIR=folder, ARGS=...)
	@test -n "$(CANDLES_DIR)" || { echo 'make replay CANDLES_DIR=folder [ARGS=...]' >&2; exit 2; }
	$(BIN)/python -m sep_replay "$(CANDLES_DIR)" $(ARGS)

.PHONY: up
up:  ## run the whole stack in containers (PROFILE= for none: no paper broker)
	docker compose $(if $(PROFILE),--profile $(PROFILE)) up --detach --build

.PHONY: down
down:  ## stop the containers; state stays in its volume
	docker compose --profile '*' down

.PHONY: clean
clean:  ## remove what can be made again: .venv, generated code, caches (not .run: that is state)
	rm -rf .venv protos/gen .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +

# The packages of this tree are built without isolation: their build tools come first, pinned like
# the rest, and are not downloaded again for each.
.venv/installed: requirements/constraints.txt requirements/build.txt requirements/run.txt \
		requirements/dev.txt $(PACKAGES)
	@python=$$($(FIND_PYTHON)); \
	if test -x $(BIN)/python; then exit 0; fi; \
	if test -z "$$python"; then \
		echo 'Python 3.11 or newer with its venv module is needed, and neither python3.13,' \
			'python3.12, python3.11 nor python3 is one.' >&2; \
		echo 'On Debian or Ubuntu: apt install python3 python3-venv' >&2; \
		exit 1; \
	fi; \
	echo "making .venv with $$python"; \
	"$$python" -m venv .venv
	@echo 'installing into .venv (a few minutes the first time)'
	@$(PIP) --requirement requirements/build.txt
	@$(PIP) --no-build-isolation --requirement requirements/dev.txt
	@$(BIN)/python -m sep_evaluator.cli.compile_ahead
	@touch $@

.venv/installed-bench: .venv/installed $(wildcard requirements/bench.txt)
	@$(if $(wildcard requirements/bench.txt),$(PIP) --requirement requirements/bench.txt)
	@touch $@

# Changed protos, or a tree from which the generated code was removed.
$(CONTRACT): protos/generate.py $(wildcard protos/sep/*/v1/*.proto) | .venv/installed
	$(BIN)/python protos/generate.py
