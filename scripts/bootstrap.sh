#!/usr/bin/env bash
# Brings what cargo cannot: libtorch 2.11.0 (CPU) and CMake >= 3.26, into .deps/.
#
#   scripts/bootstrap.sh          the CPU libraries, about 550 MB to download
#   scripts/bootstrap.sh --cuda   the CUDA libraries as well, about 2 GB more
#
# Both come from the Python package index as wheels; nothing is installed outside .deps/. Every wheel is unpacked
# beside its destination, checked against the hashes that it carries, and moved in at once, so the script can be
# interrupted and run again. A LIBTORCH of the right version in the environment is linked instead of downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."

. scripts/libtorch.sh
python=${PYTHON:-python3}
deps=.deps
cuda=no
[ "${1:-}" = "--cuda" ] && cuda=yes

say() { printf '%s\n' "bootstrap: $*" >&2; }
fail() { say "$*"; exit 1; }
[ "$(uname -sm)" = "Linux x86_64" ] || [ -n "${LIBTORCH:-}" ] || fail "the wheels used here are for Linux on x86-64; set LIBTORCH to a libtorch $torch_version"

# fetch DEST REQUIREMENT PATTERN...: unpacks the files of a wheel that match a pattern into .deps/DEST.
fetch() {
    local dest=$deps/$1 requirement=$2 wheel
    shift 2
    [ -e "$dest" ] && return
    say "fetching $requirement"
    rm -rf "$deps/download"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$deps/download" "$requirement" || fail "pip could not download $requirement; run this again once it can"
    wheel=$(echo "$deps"/download/*.whl)
    rm -rf "$dest.partial"
    "$python" scripts/unpack_wheel.py "$wheel" "$dest.partial" "$@"
    rm -rf "$deps/download"
    mv "$dest.partial" "$dest"
}

link_existing() {
    local found
    found=$(version_of "$1")
    [ "$found" = "$torch_version" ] || { say "not using $1: it is libtorch ${found:-of unknown version}, packtrain needs $torch_version"; return 1; }
    say "using the libtorch $found at $1"
    rm -rf "$deps/libtorch.partial"
    mkdir -p "$deps/libtorch.partial/lib"
    ln -s "$1/include" "$deps/libtorch.partial/include"
    local lib
    for lib in "$1"/lib/*.so*; do
        case $(basename "$lib") in libtorch.so | libtorch_cuda* | libc10_cuda*) ;; *) ln -s "$lib" "$deps/libtorch.partial/lib/" ;; esac
    done
    ln -s libtorch_cpu.so "$deps/libtorch.partial/lib/libtorch.so"
    mv "$deps/libtorch.partial" "$deps/libtorch"
}

# torch-sys would link libtorch_cuda.so if it lay in the folder that it links against, and the program would then
# need CUDA to start. So that folder holds the CPU libraries alone, and the worker opens the CUDA ones at run time.
libtorch() {
    [ -e "$deps/libtorch" ] && return
    case ${LIBTORCH:-} in
    "" | "$PWD/$deps/libtorch") ;;
    *) link_existing "$LIBTORCH" && return ;;
    esac
    fetch torch "torch==$torch_version" 'torch/include/*' torch/lib/libtorch_cpu.so torch/lib/libc10.so 'torch/lib/libgomp*'
    fetch cudart "nvidia-cuda-runtime==13.0.*" '*/libcudart.so.13'
    fetch cupti "nvidia-cuda-cupti==13.0.*" '*/libcupti.so.13'
    rm -rf "$deps/libtorch.partial"
    mkdir "$deps/libtorch.partial"
    cp -rl "$deps/torch/torch/." "$deps/libtorch.partial"
    cp -l "$deps"/cudart/nvidia/cu13/lib/*.so.13 "$deps"/cupti/nvidia/cu13/lib/*.so.13 "$deps/libtorch.partial/lib"
    ln -s libtorch_cpu.so "$deps/libtorch.partial/lib/libtorch.so"
    mv "$deps/libtorch.partial" "$deps/libtorch"
    rm -rf "$deps/torch" "$deps/cudart" "$deps/cupti"
}

# HDF5 is built from source by its crate and needs CMake >= 3.26, newer than many systems have.
cmake() { fetch cmake "cmake>=3.26" 'cmake/data/*'; }

# A Python environment of its own, because the CUDA libraries find each other by their places in it.
cuda_libraries() {
    [ -e "$deps/cuda/ready" ] && return
    say "fetching the CUDA libraries of torch $torch_version"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$deps/cuda" --upgrade "torch==$torch_version" ||
        fail "pip could not install torch with its CUDA libraries; run this again once it can"
    touch "$deps/cuda/ready"
}

mkdir -p "$deps"
libtorch
cmake
[ $cuda = no ] || cuda_libraries
say "ready: libtorch $(version_of "$deps/libtorch"), $("$deps/cmake/cmake/data/bin/cmake" --version | head -n 1)"
