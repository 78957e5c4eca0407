# One door for people and CI. `make help` lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
export MEDEXP_PYTHON := $(CURDIR)/$(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-system lint format lock serve ui image-test benchmark clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	  || { echo "medexp needs Python 3.11 or 3.12. Received: $$($(PYTHON) --version). Name one: make install PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-* && touch $@

install: $(STAMP)  ## make .venv from requirements.lock

demo: $(STAMP)  ## train on synthetic images: the whole job in one command
	$(BIN)/python scripts/train.py

lock:  ## resolve both lock files anew (hashes, no index host)
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra postgres --generate-hashes --universal \
	  --python-version 3.11 --no-emit-index-url --no-header --quiet --output-file requirements.lock
	$(BIN)/uv pip compile --group serve --constraints requirements.lock --generate-hashes --universal \
	  --python-version 3.11 --no-emit-index-url --no-header --quiet --output-file requirements-serve.lock
