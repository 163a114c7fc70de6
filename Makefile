# Every target sets up what it needs: a .venv with the pinned, hashed requirements.
.DEFAULT_GOAL := help
PY ?= python3
PORT ?= 9800
BIN := .venv/bin
# uv keeps its cache and its files on different disks on some machines; copying always works.
export UV_LINK_MODE := copy
UV := $(BIN)/uv pip

.PHONY: help run unit test soak attack memory check lint types contracts bench docs reference screenshots wheel lock clean .packages .clients

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.venv/.uv: requirements/uv.txt
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tidewire needs Python 3.11 or newer: make PY=python3.11 ..." >&2; exit 2; }
	@# pip, not python: a .venv that was made while ensurepip was missing has python only.
	@test -x $(BIN)/pip || { echo "Making .venv ..."; $(PY) -m venv .venv; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.run: .venv/.uv requirements/run.txt pyproject.toml
	@$(UV) install -q -p $(BIN)/python --require-hashes -r requirements/run.txt
	@$(UV) install -q -p $(BIN)/python --require-hashes -r requirements/build.txt
	@$(UV) install -q -p $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@echo "Installing the development requirements ..."
	@$(UV) install -q -p $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

run: .venv/.run ## a demo server on 127.0.0.1:9800 (PORT=9900 moves it)
	@exec $(BIN)/tidewire demo --port $(PORT)

unit: .venv/.dev ## the tests that need nothing beside Python, in less than a minute
	@$(BIN)/python -m pytest -n 2 tests/unit tests/test_architecture.py $(ARGS)

test: .packages .venv/.dev .clients ## the whole test suite, in some twelve minutes
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: .venv/.dev ## the fault harness with 200 kills, for a quarter of an hour (ARGS="--kills 1000 --seed 7")
	@$(BIN)/python tests/soak.py $(ARGS)

attack: .packages .venv/.dev ## every form of request smuggling at each proxy, for half an hour (ARGS="--tries 2000 --seed 7")
	@$(BIN)/python tests/attack.py $(ARGS)

memory: .venv/.dev ## random load against a memory budget, with kills, for ten minutes (ARGS="--minutes 2 --budget 100 --seed 7")
	@$(BIN)/python tests/memory.py $(ARGS)

check: lint types contracts ## lint, types, import contracts

lint: .venv/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/.dev
	@$(BIN)/mypy

contracts: .venv/.dev
	@$(BIN)/lint-imports

bench: .venv/.dev ## the benchmarks (bench/README.md says how to read them)
	@PYTHONPATH=tests $(BIN)/python bench/run.py $(ARGS)

docs: .venv/.dev ## the documentation site, into docs/_build/html
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

reference: .venv/.dev ## the generated pages of the reference, written anew
	@PYTHONPATH=tools $(BIN)/python -m reference

screenshots: .packages .venv/.dev ## the documentation's pictures of the console, made by its tests
	@mkdir -p docs/images/console
	@TIDEWIRE_SCREENSHOTS=docs/images/console $(BIN)/python -m pytest -q tests/browser/test_console.py -k operator

wheel: .venv/.dev ## the wheel, into dist/
	@$(BIN)/hatchling build -t wheel -d dist

lock: .venv/.uv ## pins the requirements anew from pyproject.toml
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group installer -o requirements/uv.txt
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements/run.txt
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group build -o requirements/build.txt
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group dev pyproject.toml -o requirements/dev.txt
	@$(UV) compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group zulip-bots -o requirements/clients/zulip-bots.txt
	@$(UV) compile -q --universal --python-version 3.12 --generate-hashes --no-annotate --no-header --group async-zulip-bot-sdk -o requirements/clients/async-zulip-bot-sdk.txt

# Tests need a few Debian packages; root gets them installed, others are told.
.packages:
	@.ci/run packages

# The published clients that tests run, each apart from the server's own requirements.
.clients: .packages .venv/.uv
	@requirements/clients/install

clean: ## removes what the targets made
	@rm -rf .venv .clients dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis coverage
