# Everything a newcomer needs: `make demo` and `make test`. The environment makes itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MARKS := not soak

.PHONY: help setup demo test check lint format soak bench lock clean

help: ## Say what each target does.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv from the lock file.

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "agt needs Python 3.11 or newer; set PYTHON=python3.12, say" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## Watch a live migration in this terminal.
	@$(BIN)/agt-tui --demo $(ARGS)

test: $(READY) ## Run every check and test, under five minutes.
	@$(BIN)/python scripts/lanes.py

check: $(READY) ## Format, lint, strict types, import contracts.
	@$(BIN)/python scripts/lanes.py check

format: $(READY) ## Write the canonical format.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

soak: $(READY) ## The long runs, about an hour: more worlds, more kills, fuzzing.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --only-binary :all: --require-hashes -r requirements-soak.lock || echo "no atheris for this Python: the parsers are not fuzzed" >&2
	@$(BIN)/python scripts/soak.py $(ARGS)

bench: $(READY) ## Measure beside the raw limits.
	@$(BIN)/agt bench transport $(ARGS)

lock: ## Write the lock files anew, with hashes and without registry addresses.
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras --group dev -o requirements.lock pyproject.toml
	@printf "atheris==3.0.0 ; python_full_version < '3.12'\natheris>=3.1 ; python_full_version >= '3.12'\n" | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-soak.lock -
	@echo uv | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-uv.lock -

clean: ## Remove what the targets made.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .soak
