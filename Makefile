# After `git clone`, `make demo` and `make test` work with nothing done by hand.
# Another Python than python3, beside the first:  make PYTHON=python3.12 VENV=.venv-3.12 test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLING := $(VENV)/.installing
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lowest test-all lint clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## the whole loop on the embedded images, in minutes
	$(BIN)/supernet demo

test: $(INSTALLED) ## run the tests
	$(PYTEST)

lowest: ## run the tests with the lowest versions that pyproject.toml names
	$(MAKE) VENV=.venv-lowest LOWEST=yes test

test-all: $(INSTALLED) ## run the tests, the slow ones too, then again with the lowest versions
	$(PYTEST) -m 'slow or not slow'
	$(MAKE) lowest

lint: $(INSTALLED) ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/typecheck.py

clean: ## remove what builds and tools left behind; runs/ and .venv* stay
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name '.venv*' -prune -o -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# $(INSTALLING) stands for as long as the installation runs, so that one which was
# interrupted is started again from nothing and never taken as done.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'pass' 2>/dev/null || \
	    { echo "error: $(PYTHON) does not start; name a Python from 3.11: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or newer is needed, $(PYTHON) is older; name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "error: $(PYTHON) has no venv module; install it (Debian, Ubuntu: the package python3-venv)" >&2; exit 1; }
	@if [ -e $(INSTALLING) ]; then echo "The last installation did not finish: starting again."; rm -rf $(VENV); fi
	@mkdir -p $(VENV)
	@touch $(INSTALLING)
	@rm -f $(INSTALLED)
	@echo "Installing into $(VENV); the first time this fetches several GB."
	$(PYTHON) -m venv $(VENV)
	$(if $(LOWEST),$(BIN)/python tests/lowest.py >$(VENV)/lowest.txt)
	$(BIN)/python -m pip install --disable-pip-version-check $(if $(LOWEST),-c $(VENV)/lowest.txt) -e '.[dev]'
	@$(BIN)/python -W ignore -c 'import torchvision' || \
	    { echo "error: torchvision does not work with the torch that pip chose:" \
	      "$$($(BIN)/python -m pip list 2>/dev/null | grep '^torch' | tr -s ' ' | tr '\n' ' ')" \
	      "- both must come from one place; see 'pip config list'" >&2; exit 1; }
	@mv $(INSTALLING) $(INSTALLED)
