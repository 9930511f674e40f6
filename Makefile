# `make` alone lists what there is. Python 3.11+ and make are all that is needed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-daemons test-screens test-rest chaos looks quick lint types imports bench deb

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Made again whenever the metadata changes. The dev tools are read from the same file.
$(VENV)/made: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("jobd needs Python 3.11 or newer; try make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@echo 'making $(VENV), half a minute, once'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[server,demo]' --group dev
	touch $@

demo: $(VENV)/made ## a shop at work, with accidents; IMAGES=folder with your pictures, ORDERS=number
	@$(BIN)/python -m examples.shop $${IMAGES:+--images "$$IMAGES"} $${ORDERS:+--orders "$$ORDERS"}

test: lint types imports ## everything CI runs: lint, types, layers, tests
	@$(MAKE) --no-print-directory -j3 --output-sync=line test-daemons test-screens test-rest

# Most of them wait for something: three parts of about a length run beside each other.
DAEMONS := $(addprefix tests/,process systemd zoo chaos)
SCREENS := $(addprefix tests/,browser cli supervisor testing alerter house)

# Real daemons under real faults on two busy processors: a window may be missed that holds when it is
# looked at again. Three times in a part, with the traceback of what failed first; more of it is no accident.
# `make test AGAIN=` bears none.
AGAIN := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks

test-daemons: $(VENV)/made
	$(BIN)/python -m pytest $(AGAIN) $(DAEMONS)

test-screens: $(VENV)/made
	$(BIN)/python -m pytest $(AGAIN) $(SCREENS)

test-rest: $(VENV)/made
	$(BIN)/python -m pytest $(AGAIN) tests $(patsubst %,--ignore=%,$(DAEMONS) $(SCREENS))

chaos: $(VENV)/made ## the long proof: processes, hosts and Redis killed, frozen and cut off, with figures
	JOBD_WORLDS=1 $(BIN)/python -m pytest -m chaos tests
	JOBD_WORLDS=1 $(BIN)/python -m pytest tests/laws tests/core/test_slots.py tests/core/test_health.py

looks: $(VENV)/made ## every page of the dashboard, judged in a browser: axe, phone, dark, without scripts
	$(BIN)/python -m pytest -m looks tests/browser

quick: lint types $(VENV)/made ## what needs no Redis and no process
	$(BIN)/python -m pytest tests/core tests/house

lint: $(VENV)/made ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/made ## mypy --strict
	$(BIN)/mypy

imports: $(VENV)/made ## the layering of the house
	$(BIN)/lint-imports

bench: $(VENV)/made ## beside BullMQ, dramatiq and bare Redis; make bench ARGS="--quick" for a try
	$(BIN)/python -m benchmarks $(ARGS)

deb: ## the Debian package of this release, into dist/
	packaging/build-deb dist
