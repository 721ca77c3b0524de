# Everything runs in .venv, which is made when it is needed: Python 3.11 or newer and make are enough.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

ENV_FILE ?= deploy/demo.env
ARGS ?=
PROFILE ?= paper

VENV := .venv
BIN := $(VENV)/bin
# pip and the build tools: only installing needs them.
BUILD_VENV := .venv-build
# A name in PATH is not enough: version managers install shims that may stand for no interpreter.
FIND_PYTHON = for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
		>/dev/null 2>&1 && echo "$$python" && break; done

# Nothing below is listed by hand: a new folder with a pyproject.toml is installed, linted and tested.
ROOTS := libs services simulators tools clients
PROJECTS := $(wildcard protos/pyproject.toml $(ROOTS:%=%/*/pyproject.toml))
DEV_PROJECTS := $(filter libs/testing/%,$(PROJECTS))
RESEARCH_PROJECTS := $(filter tools/data/% tools/research/%,$(PROJECTS))
RUN_PROJECTS := $(filter-out $(DEV_PROJECTS) $(RESEARCH_PROJECTS),$(PROJECTS))
SOURCES := $(wildcard $(ROOTS:%=%/*/src))
TESTS := $(wildcard $(ROOTS:%=%/*/tests)) tests
PROGRAMS := $(wildcard scripts deploy bench conftest.py generate.py requirements/*.py protos/generate.py clients/*/*.py docs/*.py docs/console/*.py console/*.py)
PROTOS := $(wildcard protos/*.py protos/sep/*/v1/*.proto)
CONTRACT := protos/gen/sep_protos/contract.binpb

PIP := $(BUILD_VENV)/bin/python -m pip --quiet --disable-pip-version-check
# --no-compile: see requirements/precompile.py.
INSTALL := $(PIP) --python $(BIN)/python install --no-compile

empty :=
space := $(empty) $(empty)
# The only list of source folders that mypy gets. Without it mypy would find each module twice: in the
# tree, and through its installed package.
export MYPYPATH := $(subst $(space),:,protos/gen $(SOURCES) $(wildcard scripts/ops) requirements)

.PHONY: help
help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-10s\033[0m %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/installed $(CONTRACT)  ## run the whole stack here until Ctrl-C (ENV_FILE=deploy/demo.env, ARGS="--port-base 9000")
	@$(MAKE_CONSOLE) --optional
	$(BIN)/sep-stack up --console console/dist --env-file $(ENV_FILE) $(ARGS)

# It needs Node only while it is built: the system's, or a wheel's outside of .venv.
MAKE_CONSOLE = $(BIN)/python console/make.py --pip $(BUILD_VENV)/bin/python

.PHONY: console
console: $(VENV)/installed  ## build the operator console; make run does so by itself
	@$(MAKE_CONSOLE)

.PHONY: pictures
pictures: $(VENV)/installed-dev $(CONTRACT)  ## make the pictures of the console in docs/console (needs chromium)
	CONSOLE_PICTURES=1 $(BIN)/python -m pytest -q tests/console/test_states.py tests/console/test_research.py -k "fits or what_it_found"
	$(BIN)/python docs/console/choose.py

.PHONY: test
test: $(VENV)/installed-dev $(CONTRACT)  ## run every test (ARGS="-k guard"); tests/README.md describes the suites
	@$(BIN)/python tests/run.py $(ARGS)

.PHONY: test-fast
test-fast: $(VENV)/installed-dev $(CONTRACT)  ## run the quick domain and service tests: a minute on two cores
	@$(BIN)/python tests/run.py --fast $(ARGS)

.PHONY: lint
lint: $(VENV)/installed-dev $(CONTRACT)  ## what CI checks beside the tests: ruff, mypy --strict, buf, layers, console, generated files, digests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES) $(TESTS) $(PROGRAMS)
	cd protos && ../$(BIN)/buf lint gen/sep_protos/contract.binpb --config buf.yaml
	$(BIN)/python generate.py --check
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/contract/test_layers.py
	$(MAKE_CONSOLE) --check
	$(BIN)/python requirements/lock.py --check

.PHONY: format
format: $(VENV)/installed-dev  ## let ruff format the code and sort its imports
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

.PHONY: generate
generate: $(VENV)/installed-dev  ## make all generated files: contract code, client models, settings reference, dashboards
	$(BIN)/python protos/generate.py
	$(BIN)/python generate.py

.PHONY: lock
lock: $(VENV)/installed-dev  ## write the digests of changed versions (requirements/*.txt) to requirements/locked
	$(BIN)/python requirements/lock.py

.PHONY: sbom
sbom: $(VENV)/installed  ## list what is installed as CycloneDX JSON (ARGS="--out file")
	$(BIN)/python requirements/sbom.py $(ARGS)

.PHONY: audit
audit: $(BUILD_VENV)/installed  ## compare the pinned versions with published advisories (needs the network)
	$(BUILD_VENV)/bin/python requirements/audit.py

.PHONY: protos
protos: $(VENV)/installed-dev  ## make the contract's code and descriptor set only
	$(BIN)/python protos/generate.py

.PHONY: hooks
hooks: $(VENV)/installed-dev  ## let git run make lint before each commit, and the fast tests before each push
	git config core.hooksPath .githooks

.PHONY: bench
bench: $(VENV)/installed-bench $(CONTRACT)  ## measure (ARGS=--help lists the suites)
	$(BIN)/python -m bench $(ARGS)

.PHONY: soak
soak: $(VENV)/installed-bench $(CONTRACT)  ## for an hour: does a tab of the console grow (needs chromium); ARGS=journal, does the journal add up; ARGS=small, is 1 GB enough
	$(BIN)/python -m bench.soak $(ARGS)

.PHONY: replay
replay: $(VENV)/installed $(CONTRACT)  ## run recorded candles through the stack's decisions (CANDLES_DIR=folder, ARGS=...)
	@test -n "$(CANDLES_DIR)" || { echo 'make replay CANDLES_DIR=folder [ARGS=...]' >&2; exit 2; }
	$(BIN)/python -m sep_replay "$(CANDLES_DIR)" $(ARGS)

# The broker that the shell names is not the paper broker's.
without_broker = $(if $(filter paper,$(PROFILE)),env -u OANDA_API_TOKEN -u OANDA_ACCOUNT_ID \
	-u OANDA_API_URL -u OANDA_STREAM_URL)

.PHONY: research
research: $(VENV)/installed-research $(CONTRACT)  ## install sep-data and sep-research, which running does not need (0.2 GB)

.PHONY: up
up:  ## run the whole stack in containers (PROFILE= for none: no paper broker)
	$(without_broker) docker compose $(if $(PROFILE),--profile $(PROFILE)) up --detach --build

.PHONY: down
down:  ## stop the containers; state stays in its volume
	docker compose --profile '*' down

.PHONY: clean
clean:  ## remove what can be made again: .venv, generated code, caches (not .run, which is state)
	rm -rf $(VENV) $(BUILD_VENV) protos/gen console/dist console/gen console/node_modules console/.node .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +

# A virtual environment belongs to one folder: copied or moved, it would run the code of the folder
# where it was made. Its own record (the last words of "command" in pyvenv.cfg) says where that was.
VENV_IS_OURS := $(shell $(BIN)/python -c '' 2>/dev/null && test -x $(BUILD_VENV)/bin/pip && \
	case "$$(sed -n 's/^command = //p' $(VENV)/pyvenv.cfg)" in (*" $$(pwd -P)/$(VENV)") echo yes;; esac)

.PHONY: FORCE
$(VENV)/pyvenv.cfg: $(if $(VENV_IS_OURS),,FORCE)
	@python=$$($(FIND_PYTHON)); \
	if test -z "$$python"; then \
		echo 'Python 3.11 or newer with its venv module is needed, and neither python3.13,' \
			'python3.12, python3.11 nor python3 is one.' >&2; \
		echo 'On Debian or Ubuntu: apt install python3 python3-venv' >&2; \
		exit 1; \
	fi; \
	if test -e $(VENV); then echo '$(VENV) belongs to another folder or Python: making it anew'; fi; \
	rm -rf $(VENV) $(BUILD_VENV); \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv $(BUILD_VENV) && "$$python" -m venv --without-pip $(VENV)

# The stamps below install only what changed since they were written ($?): third-party packages when
# a requirements file changed, a package of this tree when its pyproject.toml did. A new .venv means all.
changed_requirements = $(filter $(LOCKED)/% $(VENV)/pyvenv.cfg,$?)
changed_projects = $(sort $(if $(filter $(VENV)/pyvenv.cfg,$?),$1,$(filter $1,$?) \
	$(if $(filter protos/%,$?),protos/pyproject.toml)))
editable = $(patsubst %/pyproject.toml,--editable ./%,$1)

# Only files with a known digest are installed. The lists are complete, so nothing is resolved.
LOCKED := requirements/locked
VERIFIED := --no-deps --require-hashes
# pip prints what is missing, but not with --quiet.
check_installed = $(filter-out --quiet,$(PIP)) --python $(BIN)/python check >$(VENV)/check.txt \
	|| { cat $(VENV)/check.txt >&2; exit 1; }
check_locked = $(BUILD_VENV)/bin/python requirements/lock.py --check

$(BUILD_VENV)/installed: $(LOCKED)/build.txt $(VENV)/pyvenv.cfg
	@$(check_locked)
	@$(PIP) install --no-compile $(VERIFIED) --requirement $(LOCKED)/build.txt
	@touch $@

# The packages of this tree are built without isolation: their build tools are pinned as well, and are
# not downloaded again for each package. Building the package of the contract generates its code.
with_build_tools = PATH="$(CURDIR)/$(BUILD_VENV)/bin:$$PATH" PYTHONPATH="$$($(BUILD_VENV)/bin/python \
	-c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
install_projects = $(if $1,$(with_build_tools) $(INSTALL) --no-build-isolation --no-deps \
	$(patsubst %/pyproject.toml,--editable ./%,$1))

$(VENV)/installed: $(LOCKED)/run.txt $(RUN_PROJECTS) $(PROTOS) $(VENV)/pyvenv.cfg \
		| $(BUILD_VENV)/installed
	@echo 'installing what running needs (one to two minutes the first time)'
	@$(check_locked)
	@$(if $(changed_requirements),$(INSTALL) $(VERIFIED) --requirement $(LOCKED)/run.txt)
	@# Their test suites are 20 MB that no one imports here.
	@find $(VENV)/lib -path '*/site-packages/num*' -name tests -type d -prune -exec rm -rf {} +
	@$(if $(changed_requirements),$(BIN)/python requirements/trim.py)
	@$(call install_projects,$(call changed_projects,$(RUN_PROJECTS)))
	@$(check_installed)
	@$(BIN)/python requirements/precompile.py
	@$(BIN)/python -m sep_evaluator.cli.compile_ahead
	@touch $@

# Columnar files and the cluster's client are larger than the services together.
$(VENV)/installed-research: $(LOCKED)/research.txt $(RESEARCH_PROJECTS) $(VENV)/pyvenv.cfg \
		| $(VENV)/installed
	@echo 'installing what research needs'
	@$(check_locked)
	@$(if $(changed_requirements),$(INSTALL) $(VERIFIED) --requirement $(LOCKED)/research.txt)
	@$(call install_projects,$(call changed_projects,$(RESEARCH_PROJECTS)))
	@$(check_installed)
	@touch $@

$(VENV)/installed-dev: $(LOCKED)/dev.txt $(LOCKED)/build.txt $(DEV_PROJECTS) $(VENV)/pyvenv.cfg \
		| $(VENV)/installed $(VENV)/installed-research
	@echo 'installing what development needs (one to two minutes the first time)'
	@$(check_locked)
	@$(if $(changed_requirements),$(INSTALL) $(VERIFIED) --requirement $(LOCKED)/build.txt)
	@# Some come as source only; they are built with the build tools just installed.
	@$(if $(changed_requirements),$(INSTALL) $(VERIFIED) --no-build-isolation --use-pep517 \
		--requirement $(LOCKED)/dev.txt)
	@$(call install_projects,$(call changed_projects,$(DEV_PROJECTS)))
	@$(check_installed)
	@# Some packages give warnings when they are compiled, which tests would take for errors.
	@$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(VENV)/installed-bench: $(LOCKED)/bench.txt $(VENV)/pyvenv.cfg | $(VENV)/installed-dev
	@$(INSTALL) $(VERIFIED) --no-build-isolation --use-pep517 --requirement $(LOCKED)/bench.txt
	@$(check_installed)
	@touch $@

# For a tree from which the generated code was removed.
$(CONTRACT): | $(VENV)/installed
	$(with_build_tools) $(BIN)/python protos/generate.py
