# Everything from a clean clone: make demo, make test. Needs Python 3.11 or later, make and git.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

SUITE ?= paper

.PHONY: demo data docs test test-kills fuzz test-slurm bench gpu-check format help
help:
	@echo "make demo    install into .venv, run the demo suite, print its tables"
	@echo "make data    fetch the data sets and weights that SUITE=$(SUITE) needs, and start no work;"
	@echo "             DATA=DIR is where they lie, ACCEPT=mvtec accepts MVTec AD's licence"
	@echo "make test    install into .venv, check format, lint and types, run the tests"
	@echo "make test-slurm  install into .venv, run a small suite through a Slurm on this machine (as root)"
	@echo "make test-kills  install into .venv, kill a small suite 20 times and compare its tables"
	@echo "make fuzz    install into .venv, feed it 5,000 odd suites, images, records and names"
	@echo "make bench   install into .venv-bench, measure beside others' code (15 minutes; QUICK=1: 3);"
	@echo "             DATA=DIR takes the images from MVTec AD's category folders in DIR"
	@echo "make gpu-check  install into .venv, check every step on this machine's GPU (8 minutes);"
	@echo "             REHEARSE=1 walks the checks on a CPU with small sizes"
	@echo "make docs    install into .venv, write the documentation as a site to site/"
	@echo "make format  put the code into shape"

demo: .venv/installed
	$(BIN)/snakemake --cores all --quiet rules host --config suite=demo threads=1
	@$(BIN)/reconpatch show demo

data: .venv/installed
	$(BIN)/snakemake data --cores 1 --quiet rules host --config suite=$(SUITE) \
		$(if $(DATA),data_root="$(DATA)") $(if $(ACCEPT),accept_$(ACCEPT)_licence=true)

test: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint --config suite=demo
	$(MAKE) docs
	$(BIN)/pytest

docs: .venv/installed-dev
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs site

test-kills: .venv/installed-dev
	RECONPATCH_TEST_KILLS=20 $(BIN)/pytest -s tests/test_kills.py

fuzz: .venv/installed-dev
	RECONPATCH_FUZZ=50 $(BIN)/pytest tests/test_fuzz.py

test-slurm: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-clusters.txt
	RECONPATCH_TEST_SLURM=1 $(BIN)/pytest -s tests/cluster

bench: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick) $(if $(DATA),--data "$(DATA)")

# requirements.txt is a GPU's too: its torch has CUDA on Linux, and neighbours are searched by matrix
# products on the GPU. Where faiss-gpu takes faiss-cpu's place, that is checked.
gpu-check: .venv/installed-dev
	$(BIN)/python -m benchmarks.gpu_check $(if $(REHEARSE),--rehearse)

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt requirements-docs.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv-bench/installed: requirements.txt requirements-bench.txt pyproject.toml
	test -d .venv-bench || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-bench.txt
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
