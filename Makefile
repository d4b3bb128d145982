# mull on a bare machine: python3.11+ with pip and venv is all that has to be there.
#
#   make demo       a base model teaches itself to think, then one page says what it gained
#   make test       the tests;            make test-all   also the slow ones
#   make check      lint, types, layers, documentation
#   make docs       write docs/cli.md and build the site
#   make clean      remove .venv and caches (runs/ stays)
#
# PYTHON=…       the interpreter of .venv; by default the first of 3.13, 3.12, 3.11 and python3 that is new enough.
# TORCH=…        another torch, as in TORCH="torch==2.12.*"; by default the tested one of constraints.txt.
# TORCH_INDEX=…  the package index to take torch from. By default torch's own CPU index, when it answers within three
#                seconds, else pip's default index (there, the Linux wheel is the CUDA one: larger, works as well).
#                TORCH_INDEX=none never asks torch's index; TORCH_INDEX=https://download.pytorch.org/whl/cu130 is CUDA 13.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check docs clean
.DELETE_ON_ERROR:

CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH ?= $(shell grep '^torch==' constraints.txt)
TORCH_INDEX ?=
PYTHON ?=
RECIPE ?= recipes/zero-tiny.toml
RUN ?= runs/zero-tiny
BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Two workers of one thread each: torch's own threads would fight over the same two cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

help:
	@sed -n '3,7s/^# *//p' Makefile

demo: $(STAMP)
	$(BIN)/mull run $(RECIPE) --out $(RUN)
	$(BIN)/mull report $(RUN)

test: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: $(STAMP)
	$(PYTEST)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest -q tests/test_imports.py
	$(BIN)/python scripts/cli_docs.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: $(STAMP)
	$(BIN)/python scripts/cli_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

clean:
	rm -rf .venv site build dist .pytest_cache .ruff_cache .hypothesis
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and by itself, so that its index serves nothing else; then the package with every version pinned,
# to the torch that is there (without build isolation: the builder is pinned too). The stamp is written last: an
# installation that was cut short is taken up again.
$(STAMP): pyproject.toml constraints.txt .venv/pyvenv.cfg
	index="$(TORCH_INDEX)"; \
	if [ -z "$$index" ]; then \
	  if $(BIN)/python -c "import urllib.request as u; u.urlopen('$(CPU_INDEX)/torch/', timeout=3)" 2>/dev/null; \
	  then index="$(CPU_INDEX)"; else echo "torch's CPU index does not answer: taking torch from pip's default index"; fi; \
	fi; \
	if [ -z "$$index" ] || [ "$$index" = none ]; then set --; else set -- --extra-index-url "$$index"; fi; \
	grep -v '^torch==' constraints.txt > .venv/constraints.txt; \
	$(PIP) install "$$@" -c .venv/constraints.txt "$(TORCH)"
	echo "torch==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("torch"))')" >> .venv/constraints.txt
	$(PIP) install -c .venv/constraints.txt hatchling editables
	$(PIP) install -c .venv/constraints.txt --no-build-isolation --editable '.[dev]'
	touch $(STAMP)

.venv/pyvenv.cfg:
	found=; \
	for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "mull needs Python 3.11 or newer with venv and pip (on Debian: python3-venv); name one with PYTHON=…" >&2; exit 2; \
	fi; \
	echo "using $$found: $$("$$found" --version)"; \
	"$$found" -m venv .venv
