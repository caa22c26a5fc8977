# `make search` and `make test` set up .venv once, from setup.py under third_party/constraints.txt.
# A search by a local language model, which the preset or ARGS names, needs the extra `lm` as well.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LM_STAMP := $(VENV)/.installed_lm
PRESET ?= laptop
ARGS ?=
LM := $(lastword $(filter --lm=%,\
	$(shell grep -hs '^--lm=' launch/presets/$(PRESET).flags) $(ARGS)))
IS_LOCAL := $(filter --lm=embedded --lm=hf:%,$(LM))

.PHONY: search test test-slow check format report lm clean

search: $(if $(IS_LOCAL),$(LM_STAMP),$(STAMP))
	$(BIN)/python -m launch.search --flagfile=launch/presets/$(PRESET).flags $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow or not slow" $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

report: $(STAMP)
	$(BIN)/python -m launch.report runs/$(PRESET) $(ARGS)

lm: $(LM_STAMP)

$(LM_STAMP): $(STAMP)
	@echo "Adding torch, transformers and peft to $(VENV) (once; 1 GB on disk with torch for CPUs,"
	@echo "several with CUDA's libraries). make search ARGS=--lm=grammar needs none of them."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint third_party/constraints.txt --editable ".[dev,lm]"
	@touch $(LM_STAMP)

$(STAMP): setup.py third_party/constraints.txt
	@echo "Setting up $(VENV) with $(PYTHON) (once; about 1 GB is downloaded)."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint third_party/constraints.txt --editable ".[dev]"
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
