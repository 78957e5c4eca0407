# One door for people and CI. `make help` lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-system test-slurm ray lint format lock serve ui dashboard image-test benchmark clean

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

STORE ?= sqlite:///$(CURDIR)/outputs/mlflow.db
ui: $(STAMP)  ## compare runs in MLflow's own pages, on this machine only (another store: make ui STORE=...)
	@mkdir -p outputs
	$(BIN)/mlflow server --backend-store-uri $(STORE) \
	  --default-artifact-root file://$(CURDIR)/outputs/mlartifacts --host 127.0.0.1 --port 5000 --workers 1

OUTPUTS ?= outputs
PORT ?= 8080
dashboard: $(STAMP)  ## look into the latest study, at http://127.0.0.1:8080 (another: STUDY=name, STORAGE=postgresql://...)
	@storage='$(STORAGE)'; found=$$(ls -t '$(OUTPUTS)'/sweeps/*/study.journal 2>/dev/null); \
	if [ -z "$$storage" ] && [ -n '$(STUDY)' ]; then storage='$(OUTPUTS)/sweeps/$(STUDY)/study.journal'; fi; \
	if [ -z "$$storage" ]; then storage=$$(echo "$$found" | head -1); fi; \
	case "$$storage" in *://*) ;; *) [ -f "$$storage" ] || { \
	  names=$$(echo "$$found" | sed 's|.*/sweeps/||; s|/study.journal||' | head -5 | paste -sd' '); \
	  echo "There is no study$${storage:+ $$storage}. The latest below $(OUTPUTS): $${names:-none}"; \
	  echo "Make one: python scripts/train.py -m search=optuna; in a database: make dashboard STORAGE=postgresql://user@host/database"; exit 1; };; esac; \
	exec $(BIN)/optuna-dashboard --host 127.0.0.1 --port $(PORT) "$$storage"

serve: $(STAMP)  ## serve the champion: page and REST at http://127.0.0.1:8000
	$(BIN)/python -m serve

test: $(STAMP) test-system  ## the tests, under 12 minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu"

test-slow: $(STAMP) test-system test-slurm ray  ## all tests, those on the JAX backend and on Ray too
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-jax.lock
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not gpu"

# Ray's launcher wants an older cloudpickle, and that an older joblib: an environment on top of .venv, which stays as locked.
ray: $(STAMP)
	@test .venv-ray/.installed -nt requirements-ray.lock || { rm -rf .venv-ray && $(BIN)/python -m venv .venv-ray \
	  && $(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	    > "$$(.venv-ray/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/medexp-base.pth" \
	  && .venv-ray/bin/python -m pip install --quiet --require-hashes -r requirements-ray.lock && touch .venv-ray/.installed; }

test-system:  # a browser for the test of the page; without one that test says why it is skipped
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy chromium chromium-driver; } >/dev/null 2>&1 \
	  || echo "chromium could not be installed: the test of the page is skipped"

test-slurm:  # a SLURM of one node, with its accounting; without it those tests say why they are skipped
	@command -v sbatch >/dev/null || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ] \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends \
	       munge slurmctld slurmd slurmdbd slurm-client mariadb-server; } >/dev/null 2>&1 \
	  || echo "SLURM could not be installed: its tests are skipped"

lint: $(STAMP)  ## style, types, walls between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

image-test: $(STAMP)  ## build the service's image, start it, see that it answers (needs an image builder)
	bash tests/image_test.sh

benchmark: $(STAMP)  ## measure what docs/benchmarks.md claims
	$(BIN)/python scripts/benchmark.py startup
	$(BIN)/python scripts/benchmark.py train
	$(BIN)/python scripts/benchmark.py input
	$(BIN)/python scripts/benchmark.py sweep --repeats 1
	$(BIN)/python scripts/benchmark.py engine --repeats 3
	$(BIN)/python scripts/benchmark.py evaluation --repeats 3

LOCK = --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --quiet --output-file
lock: $(STAMP)  ## resolve the lock files anew (hashes, no index host)
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra postgres --extra dicom --extra slurm $(LOCK) requirements.lock
	$(BIN)/uv pip compile --group serve --constraints requirements.lock $(LOCK) requirements-serve.lock
	echo 'jax>=0.10' | $(BIN)/uv pip compile - --constraints requirements.lock $(LOCK) requirements-jax.lock
	awk '/^[a-z]/ {keep = !/^(cloudpickle|joblib)==/} keep' requirements.lock \
	  | $(BIN)/uv pip compile --group ray --constraints - $(LOCK) requirements-ray.lock

clean:  ## remove the environment and caches; outputs/ stays
	rm -rf $(VENV) .venv-ray .mypy_cache .ruff_cache .pytest_cache .import_linter_cache tests/artifacts
