# What a newcomer needs: `make demo` and `make test`. Everything else is cargo.

PYTHON ?= python3
PACKTRAIN := target/release/packtrain

.PHONY: help tools setup build demo test test-browser lint gpu-bundle gpu-check clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

tools:
	@scripts/check-tools.sh "$(PYTHON)"

setup: tools ## fetch libtorch and CMake into .deps/ (CUDA=1: the CUDA libraries too)
	PYTHON="$(PYTHON)" scripts/bootstrap.sh $(if $(filter 1 yes,$(CUDA)),--cuda)

build: setup ## build packtrain and packtrain-worker
	cargo build --release --bins

demo: build ## generate pictures, train on them, evaluate: under three minutes after the build
	$(PACKTRAIN) demo-data
	$(PACKTRAIN) run pipelines/demo.yaml

test: setup ## run every test
	cargo test

test-browser: setup ## look at reports and at a live run in a headless Chromium, which is fetched into .deps/ if there is none
	PACKTRAIN_CHROMIUM=$$(scripts/browser.sh) && export PACKTRAIN_CHROMIUM && cargo test --test e2e browser -- --ignored

lint: setup ## check formatting, lints and, where cargo-deny is installed, dependencies
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo "lint: cargo-deny is not installed; dependencies not checked"; fi

gpu-bundle: setup ## pack what gpu-check needs, for a machine without cargo
	scripts/gpu-bundle.sh

gpu-check: ## test and train on this machine's graphics card; without cargo, from what gpu-bundle packed
	@if command -v cargo >/dev/null; then $(MAKE) gpu-bundle; elif [ ! -d target/gpu-check ]; then tar -C target -xzf target/gpu-check.tar.gz; fi
	PYTHON="$(PYTHON)" target/gpu-check/gpu-check.sh

clean: ## delete what was built; .deps/ and output/ stay
	cargo clean
