# `make run` and `make test` are all that a newcomer needs; each target makes .venv itself on first use.
PYTHON ?= python3
PYTHON_LOWEST ?= python3.11
BIN := .venv/bin
READY := .venv/.ready-lab
TESTED := .venv/.ready-lab,test,export
SWEPT := .venv/.ready-lab,sweep
TORCH ?=# `TORCH=cpu` takes the small torch, for machines without a GPU
JUPYTER_OPTIONS ?=
# Three workers, also on two cores: one often waits for a browser or another process. They share the files in the order
# of tests/conftest.py: those with long tests first.
SHARED := --numprocesses 3 --dist loadfile --no-loadscope-reorder
NEEDED := "import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit('Python 3.11 to 3.13 is needed: make run PYTHON=python3.13')"

.PHONY: help install run test soak lowest colab-check lab lint bench notebooks recipes sweep html clean
.DEFAULT_GOAL := help

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

.venv/.ready-%: pyproject.toml
	@echo "installing the course into .venv (once; most of it is torch)"
	@test -x $(BIN)/python || { $(PYTHON) -c $(NEEDED) && $(PYTHON) -m venv .venv; } || { rm -rf .venv; exit 1; }
	@test -z "$(TORCH)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check torch torchvision \
		--index-url https://download.pytorch.org/whl/$(TORCH)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	@touch $@

install: $(READY)  ## make .venv: what is needed to run the lessons

run: $(READY)  ## run lesson 04: a photograph in the style of a painting, in about two minutes
	@$(BIN)/nst-lesson run 04
	@echo "now \`make lab\` opens the course in JupyterLab"

test: $(TESTED)  ## the tests that a change must pass (minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(SHARED)
	@echo "all tests pass; \`make soak\` runs the long ones"

soak: $(TESTED)  ## the long tests, with every lesson at its defaults
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m soak $(SHARED) --numprocesses 2
	@echo "all long tests pass"

LOWEST := .venv-lowest
$(LOWEST)/.ready: pyproject.toml
	@echo "installing the lowest versions that pyproject.toml allows into $(LOWEST) (gigabytes of torch, once)"
	@rm -rf $(LOWEST) && $(PYTHON_LOWEST) -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[lab,test]"
	@touch $@

lowest: $(LOWEST)/.ready  ## the same tests as `make test`, with the oldest Python and the lowest versions allowed
	@OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -q $(SHARED)
	@echo "all tests pass with the lowest versions"

colab-check: $(TESTED)  ## run the lessons in an environment like Colab's (part of soak)
	@$(BIN)/python -m pytest -q -m soak tests/test_colab.py
	@echo "the lessons run where the setup cell fetches them, with ipywidgets 7"

lab: $(READY)  ## open the course in JupyterLab
	@OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=1000 $(BIN)/jupyter lab $(JUPYTER_OPTIONS) notebooks/00_start_here.ipynb
	@echo "the lessons, with what you changed, are in notebooks/"

lint: $(TESTED)  ## check style, layout and types of the code
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run \`.venv/bin/ruff format .\`"; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@echo "no complaints from ruff and mypy"

bench: $(TESTED)  ## speed and memory on this machine (keep it idle meanwhile)
	@$(BIN)/python -m pytest -q tests/benchmarks --benchmark-only --benchmark-autosave
	@echo "results in .benchmarks/"

notebooks: $(READY)  ## execute the lessons at their defaults and store their outputs
	@$(BIN)/nst-lesson notebooks
	@echo "the lessons in notebooks/ have new outputs: look at them before you commit"

recipes: $(READY)  ## run the published recipes small, and store the table that lesson 05 shows
	@$(BIN)/python experiments/recipes.py
	@echo "pictures and numbers are in data/recipes/: look at them before you commit"

sweep: $(SWEPT)  ## four runs of lesson 04, each in its folder, and a gallery of them
	@$(BIN)/snakemake -s notebooks/sweep/Snakefile --directory runs/sweep --cores 2 --keep-going --quiet
	@echo "open runs/sweep/gallery.html; notebooks/sweep/config.yaml says what was run"

html: $(READY)  ## the lessons, as they are stored, as HTML pages that need no internet
	@$(BIN)/nst-lesson html -o site

clean:  ## remove .venv and what was made from the sources; runs/ stays
	@rm -rf .venv $(LOWEST) build dist site .benchmarks .browser .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@echo "removed .venv and all that was built; your results in runs/ are still there"
