# Each target builds .venv itself on a machine that has only Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt

.PHONY: help demo test check soak bench docs dist results clean

help:
	@echo "make demo     train a variational autoencoder on handwritten digits and write its report"
	@echo "make test     the tests"
	@echo "make check    what CI runs: style, types, tests"
	@echo "make soak     the long tests: hundreds of kills, thousands of broken files"
	@echo "make bench    speed against peers, as ratios in one run"
	@echo "make docs     the documentation, in docs/_build"
	@echo "make dist     a wheel, installed and run in an empty environment"
	@echo "make results  RESULTS.md and README's table, from the findings"

.venv/.made:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	touch $@

.venv/.core: .venv/.made pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) --editable .
	touch $@

.venv/.dev: .venv/.core
	$(PIP) --editable .[dev,export]
	touch $@

.venv/.docs: .venv/.core
	$(PIP) --editable .[docs]
	touch $@

.venv/.bench: .venv/.core
	$(PIP) --editable .[bench]
	touch $@

demo: .venv/.core
	$(BIN)/etude train vae --data digits --quick

test: .venv/.dev
	$(BIN)/pytest -n 2

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m etude.report.results --check
	$(MAKE) test

soak: .venv/.dev
	ETUDE_SOAK=1 ETUDE_FUZZ=10000 $(BIN)/pytest --timeout 3600 tests/data tests/soak tests/engine

bench: .venv/.bench
	$(BIN)/python benchmarks/vae.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/autodiff.py
	$(BIN)/python benchmarks/clustering.py
	$(BIN)/python benchmarks/recurrent.py
	$(BIN)/python benchmarks/ltc.py
	$(BIN)/python benchmarks/dcgan.py
	$(BIN)/python benchmarks/coulomb.py

docs: .venv/.docs
	$(BIN)/python docs/pages.py
	$(BIN)/sphinx-build -W --quiet -b html docs docs/_build

dist: .venv/.dev
	rm -rf dist build && $(BIN)/python -m build --quiet --wheel
	$(PYTHON) -m venv build/venv
	build/venv/bin/pip install --quiet --constraint constraints.txt torch
	build/venv/bin/pip install --quiet --constraint constraints.txt dist/*.whl
	cd build && venv/bin/etude train vae --data digits --quick --epochs 2 --runs dist-runs && test -s dist-runs/*/report.html

results: .venv/.core
	$(BIN)/python -m etude.report.results

clean:
	rm -rf .venv build dist docs/_build docs/systems docs/api
