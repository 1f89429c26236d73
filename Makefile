# What a newcomer needs: `make demo` and `make test`. Everything else is cargo.

PYTHON ?= python3
# `make demo PROFILE=dev` does with the programs that `make test` has built.
PROFILE ?= release
PACKTRAIN := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/packtrain

.PHONY: help tools setup build demo test test-browser test-python bench lint gpu-bundle gpu-check gpu-bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

tools:
	@scripts/check-tools.sh "$(PYTHON)"

setup: tools ## fetch libtorch and CMake into .deps/ (CUDA=1: the CUDA libraries too)
	PYTHON="$(PYTHON)" scripts/bootstrap.sh $(if $(filter 1 yes,$(CUDA)),--cuda)

build: setup ## build packtrain and packtrain-worker
	cargo build --profile $(PROFILE) --bins

demo: build ## generate pictures, train on them, evaluate: under three minutes after the build
	$(PACKTRAIN) demo-data
	$(PACKTRAIN) run pipelines/demo.yaml

test: setup ## run every test
	cargo test

test-browser: setup ## look at reports and at a live run in a headless Chromium, which is fetched into .deps/ if there is none
	PACKTRAIN_CHROMIUM=$$(scripts/browser.sh) && export PACKTRAIN_CHROMIUM && cargo test --test e2e browser -- --ignored

test-python: setup ## read what packtrain writes with TensorBoard and PyTorch, which are fetched into .deps/
	PACKTRAIN_PYTHON=$$(PYTHON="$(PYTHON)" scripts/python.sh) && export PACKTRAIN_PYTHON && cargo test --test e2e python -- --ignored --nocapture

bench: setup ## measure packtrain and print a table (ROWS=noop,stages: only these; PEERS=1: beside their Python peers; PHOTOGRAPHS=folder: pack these; LIST=1: name the rows)
	cargo bench --bench table -- --python "$(PYTHON)" $(if $(ROWS),--rows $(ROWS)) $(if $(PHOTOGRAPHS),--photographs "$(abspath $(PHOTOGRAPHS))") $(if $(filter 1 yes,$(PEERS)),--peers) $(if $(filter 1 yes,$(LIST)),--list)

lint: setup ## check formatting, lints and, where cargo-deny is installed, dependencies
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo "lint: cargo-deny is not installed; dependencies not checked"; fi

gpu-bundle: setup ## pack what gpu-check and gpu-bench need, for a machine without cargo
	scripts/gpu-bundle.sh

gpu-check: ## test and train on this machine's graphics card; without cargo, from what gpu-bundle packed
	@if command -v cargo >/dev/null; then $(MAKE) gpu-bundle; elif [ ! -d target/gpu-check ]; then tar -C target -xzf target/gpu-check.tar.gz; fi
	PYTHON="$(PYTHON)" target/gpu-check/gpu-check.sh

gpu-bench: ## measure networks on this machine's graphics card beside PyTorch (ROWS=train,crops: only these); without cargo, as gpu-check
	@if command -v cargo >/dev/null; then $(MAKE) gpu-bundle; elif [ ! -d target/gpu-check ]; then tar -C target -xzf target/gpu-check.tar.gz; fi
	PYTHON="$(PYTHON)" target/gpu-check/gpu-bench.sh $(ROWS)

clean: ## delete what was built; .deps/ and output/ stay
	cargo clean
