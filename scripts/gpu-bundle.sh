#!/usr/bin/env bash
# Packs everything that scripts/gpu-check.sh and scripts/gpu-bench.sh need on a machine without cargo into target/gpu-check/ and
# target/gpu-check.tar.gz: the programs, the worker's tests with their recorded numbers, the manifests, and the measuring program with
# PyTorch's side.
set -euo pipefail
cd "$(dirname "$0")/.."
bundle=target/gpu-check

cargo build --release --bins
# Tests need not be fast, and their dependencies are built already where `make test` has run.
tests=$(cargo test --no-run --bin packtrain-worker --message-format=json |
    sed -n 's/.*"executable":"\([^"]*packtrain_worker[^"]*\)".*/\1/p' | tail -n 1)

table=$(cargo bench --no-run --bench table --message-format=json |
    sed -n 's/.*"executable":"\([^"]*table-[^"]*\)".*/\1/p' | tail -n 1)

rm -rf "$bundle" "$bundle.tar.gz"
mkdir -p "$bundle/pipelines" "$bundle/reference"
strip -o "$bundle/packtrain" target/release/packtrain
strip -o "$bundle/packtrain-worker" target/release/packtrain-worker
strip -o "$bundle/worker-tests" "$tests"
strip -o "$bundle/table" "$table"
cp scripts/gpu-check.sh scripts/gpu-bench.sh scripts/on-card.sh scripts/libtorch.sh benches/peers/networks.py "$bundle"
cp pipelines/demo.yaml pipelines/gpu-check.yaml "$bundle/pipelines"
cp tests/reference/*.json "$bundle/reference"
tar -C target -czf "$bundle.tar.gz" gpu-check
du -sh --apparent-size "$bundle" "$bundle.tar.gz"
