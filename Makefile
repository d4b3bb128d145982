# make demo, make test: all that is needed is python3.11 or newer, with pip.
#   PYTHON=python3.12       another interpreter
#   TORCH="torch==2.13.0"   another build of torch; see TORCH_INDEX
#   TORCH_INDEX=URL         where to look for torch first; default on Linux: PyTorch's index of CPU builds, if it answers

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
TORCH ?= torch>=2.11,<2.14
CPU_INDEX = https://download.pytorch.org/whl/cpu
TORCH_INDEX ?= $(shell $(PYTHON) -c "import urllib.request; urllib.request.urlopen('$(CPU_INDEX)/torch/', timeout=3)" \
	2>/dev/null && echo $(CPU_INDEX))
BIN = .venv/bin
RUN ?= runs/zero-tiny

.PHONY: demo test test-all check docs clean

demo: .venv/run
	$(BIN)/mull run recipes/zero-tiny.toml --out $(RUN)
	$(BIN)/mull report $(RUN)

test: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m "not slow"

test-all: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -q tests/test_imports.py
	$(BIN)/python scripts/cli_docs.py --check
	$(BIN)/mkdocs build --strict --quiet --site-dir .venv/site

docs: .venv/dev
	$(BIN)/python scripts/cli_docs.py
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv site

# Torch goes in first and alone: the build that is there then satisfies the package's own range.
.venv/torch:
	@test -n "$(PYTHON)" || { echo "mull needs python 3.11 or newer: install it, or name it with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$(TORCH)"
	@touch $@

.venv/run: .venv/torch pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/run
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@
