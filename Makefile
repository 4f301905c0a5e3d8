# `make demo`, `make test`, and the paper's experiments: `make paper-small` and `make paper-full`.
# All need Python 3.11 to 3.13, pip and a package index, and make their own environment, .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A fifth of the time to install goes into compiling what is never imported.
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check \
	-c constraints.txt

# What is imported is compiled once, and not anew by each of the processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

# The pip of Python 3.11 takes twice as long for what follows.
define environment
$(PYTHON) -m venv $(VENV)
$(PIP) --upgrade pip
endef

# TensorFlow's log at start-up, and a notice of mkdocs-material's about another program.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export NO_MKDOCS_2_WARNING ?= 1

# A process per core, but no more than four: each holds a TensorFlow or JAX of its own. A file goes
# to one of them, for what its tests share is traced and compiled once; in the order of conftest.py.
PYTEST := $(BIN)/python -m pytest -q --numprocesses=auto --maxprocesses=4 --dist=loadfile \
	--no-loadscope-reorder

# What has to give the same answers on the second Keras backend, beside the certificates.
PORTABLE := attacks layers losses smoothing
PORTABLE_PATHS := $(PORTABLE:%=tests/%) $(PORTABLE:%=deel_seg/%) \
	tests/distributed tests/lipschitz/test_estimated_bound.py \
	tests/lipschitz/test_logit_error_bound.py tests/models/test_remat_parts.py \
	tests/models/test_training_together.py tests/models/test_accumulated_steps.py \
	tests/test_inference.py

# Of the certificates on the second backend: those that meet all of them, their sums in float32, and
# graphs. `make test-all` takes the others too.
ON_BOTH := every_certificate in_graph knapsack pixel_radius region_stability rounding
CERTIFICATES_ON_BOTH := $(ON_BOTH:%=tests/certificates/test_%.py)

.PHONY: demo test test-all side-by-side lint types pytest pytest-jax quickstart docs \
	paper-small paper-full clean

demo: $(VENV)/.core
	$(BIN)/python examples/quickstart.py

test: side-by-side pytest pytest-jax

# What leaves a core idle now and then; two at once, the longest last.
side-by-side: $(VENV)/.dev
	+$(MAKE) --jobs=2 --output-sync lint types quickstart docs

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# Every set of parameters of every test, the slow ones too, on both backends: before a release.
test-all: export DEEL_SEG_ALL := 1
test-all: PYTEST += -m "slow or not slow"
test-all: CERTIFICATES_ON_BOTH := tests/certificates
test-all: PORTABLE_PATHS += tests/lipschitz deel_seg/lipschitz \
	tests/models/test_sorted_convolutions.py
test-all: test

types: $(VENV)/.dev
	$(BIN)/mypy

# XLA compiles every test's shapes anew, and keeps them: without it, but where a test asks for it.
pytest: $(VENV)/.dev
	DEEL_SEG_XLA=0 KERAS_BACKEND=tensorflow $(PYTEST)

# JAX compiles every test's shapes too, for longer.
pytest-jax: $(VENV)/.dev
	KERAS_BACKEND=jax $(PYTEST) $(CERTIFICATES_ON_BOTH) $(PORTABLE_PATHS)

quickstart: $(VENV)/.dev
	$(BIN)/python examples/quickstart.py --toy

docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict

# The paper's experiments; DATA is the folder of the data sets, by default the one of DEEL_SEG_DATA.
paper-small paper-full: paper-%: $(VENV)/.dev
	$(BIN)/python benchmarks/paper/run.py $* $(if $(DATA),--data $(DATA))

$(VENV)/.core: pyproject.toml constraints.txt
	$(environment)
	$(PIP) -e '.[visualize]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(environment)
	$(PIP) -e '.[visualize,dev,docs]'
	touch $(VENV)/.core $@

clean:
	rm -rf $(VENV) build dist site runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
