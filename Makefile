# Few and tiny: each target does all its own set-up.
# `make demo` on a fresh machine needs Python 3.11, a C compiler and a Rust toolchain, nothing else.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: build dev demo test test-rust test-loom test-instructions test-python lint bench lock clean tools

PYTHON ?= python3.11
BIN := .venv/bin
PIP_INSTALL := pip install --require-hashes -r
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# ONNX Runtime reads this before it is loaded; the API call would come too late.
export ORT_DISABLE_TELEMETRY := 1
# A caller's environment must not shadow the project's.
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH

build: .venv/demo.stamp ## optimised extension and package into .venv
	$(BIN)/maturin develop --release --locked --quiet

dev: .venv/dev.stamp ## the same, quick to build and a little slower to run
	$(BIN)/maturin develop --profile quick --locked --quiet

demo: build ## the product's main job on real data, in two minutes
	$(BIN)/tidegate demo $(DEMO_ARGS)

test: test-rust test-loom test-instructions test-python ## everything that CI tests

test-rust: .venv/dev.stamp
	TIDEGATE_TEST_ORT="$$(ls -d "$$PWD"/$(BIN)/../lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime.so.*)" \
	  cargo test --workspace --locked --quiet

test-loom: | tools # every order of threads around the batcher's slot: no lost wake-up
	RUSTFLAGS='--cfg loom' cargo test --package tidegate-batching --test loom --locked --quiet \
	  --target-dir "$${CARGO_TARGET_DIR:-target}/loom"

test-instructions: | tools # of the hot functions, under valgrind where there is one
	cargo bench --profile quick --package tidegate-benches --bench instructions --locked --quiet

test-python: dev .venv-kserve/stamp .venv-triton/stamp
	$(BIN)/pytest $(PYTEST_ARGS)

lint: dev ## formatting, types, stubs, Dockerfile; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tidegate._core --allowlist tests/stubtest.allow
	$(BIN)/hadolint docker/Dockerfile
	@if git grep -nIE '(pypi|pythonhosted|npmjs|debian)[.]org|crates[.]io|proxy[.]golang[.]org' -- ':!Cargo.lock' ':!Makefile'; then \
	  echo 'name no package registry in a tracked file: the machine knows its own'; exit 1; fi

bench: build ## latency and throughput against peers, in ratios
	$(BIN)/tidegate bench $(BENCH_ARGS)

lock: ## after a change of dependencies
	uv pip compile $(LOCK) pyproject.toml --extra dev -o requirements/dev.lock
	uv pip compile $(LOCK) pyproject.toml requirements/build.in --extra demo -c requirements/dev.lock -o requirements/demo.lock
	uv pip compile $(LOCK) pyproject.toml --extra training --extra cpu -c requirements/dev.lock -o requirements/training.lock
	uv pip compile $(LOCK) pyproject.toml --extra cpu -c requirements/dev.lock -o requirements/cpu.lock
	uv pip compile $(LOCK) requirements/build.in -c requirements/dev.lock -o requirements/build.lock
	uv pip compile $(LOCK) requirements/kserve.in -o requirements/kserve.lock
	uv pip compile $(LOCK) requirements/triton.in -o requirements/triton.lock
	for asked in benches/peers/*/requirements.in benches/plots/requirements.in; do uv pip compile $(LOCK) $$asked -o $${asked%.in}.lock; done
LOCK := --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate

clean: ## keeps Cargo's target folder
	rm -rf .venv .venv-kserve .venv-triton .venv-peers demo-output dist

.venv/demo.stamp: requirements/demo.lock | tools
	$(PYTHON) -m venv .venv
	$(BIN)/$(PIP_INSTALL) $<
	touch $@

.venv/dev.stamp: requirements/dev.lock | tools
	$(PYTHON) -m venv .venv
	$(BIN)/$(PIP_INSTALL) $<
	touch .venv/demo.stamp $@

.venv-kserve/stamp: requirements/kserve.lock | tools
	$(PYTHON) -m venv .venv-kserve
	.venv-kserve/bin/$(PIP_INSTALL) $<
	touch $@

# The real Triton is built for some platforms only; where it is not, its tests say so.
.venv-triton/stamp: requirements/triton.lock | tools
	rm -rf .venv-triton
	$(PYTHON) -m venv .venv-triton
	.venv-triton/bin/$(PIP_INSTALL) $< || { \
	  test "$$(uname -sm)" != 'Linux x86_64'; rm -rf .venv-triton/bin; echo 'no Triton for this platform'; }
	touch $@

tools:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'tidegate needs Python 3.11 or newer with venv, as python3.11 or PYTHON=…: install python3.11 and python3.11-venv.'; exit 1; }
	@cargo --version >/dev/null 2>&1 || \
	  { echo 'tidegate needs a Rust toolchain, 1.92 or newer: install rustup, then type rustup default stable.'; exit 1; }
	@cc --version >/dev/null 2>&1 || \
	  { echo 'tidegate needs a C compiler as cc: install gcc, with the C library headers (on Debian: build-essential).'; exit 1; }
