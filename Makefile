# Two commands on a fresh machine: `make demo` and `make test`. Both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check static lint types floors package docs bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/segdistill demo --out runs/demo

# One process for each core, eight at most, each on one thread: half the time of one process on two cores.
test: $(READY)
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/pytest --doctest-modules --numprocesses auto --maxprocesses 8 --dist loadscope --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/basedpyright

floors: $(READY)
	$(BIN)/lint-imports

package: $(READY)
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/python scripts/check_wheel.py

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

static: lint types floors package docs

check: static test

bench: $(READY)
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/data_wait.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/large_image.py
	$(BIN)/python benchmarks/objects.py
	$(BIN)/python benchmarks/post_processing.py
	$(BIN)/python benchmarks/tile_offsets.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/tiled_inference.py
	$(BIN)/python benchmarks/against_sam.py

clean:
	rm -rf $(VENV) dist build site runs
