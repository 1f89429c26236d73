#!/usr/bin/env bash
# Brings the Python programs that read what packtrain writes into .deps/python, for `make test-python`, and prints the path of its
# interpreter: TensorBoard, and PyTorch with what docs/PYTORCH.md uses.
#
# PACKTRAIN_PYTHON names an interpreter that has them already; nothing is fetched then. Runs again where it was cut off.
set -euo pipefail
cd "$(dirname "$0")/.."

. scripts/libtorch.sh
python=${PYTHON:-python3}
deps=$PWD/.deps
env=$deps/python

if [ -n "${PACKTRAIN_PYTHON:-}" ]; then
    echo "$PACKTRAIN_PYTHON"
    exit
fi
if [ -e "$env/ready" ]; then
    echo "$env/bin/python"
    exit
fi

say() { printf '%s\n' "python.sh: $*" >&2; }
install() {
    "$env/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2 || {
        say "pip could not install $*; run this again once it can, or set PACKTRAIN_PYTHON"
        exit 1
    }
}

say "fetching TensorBoard and PyTorch for the tests that read with them"
rm -rf "$env"
"$python" -m venv "$env" >&2
install "tensorboard==2.21.*" "numpy==2.*" "safetensors==0.*" "h5py==3.*" "opencv-python-headless==4.*" filelock fsspec jinja2 networkx sympy
# Without the CUDA libraries that it asks for, of which these two are the small ones: they would be 2 GB.
install --no-deps "torch==$torch_version" "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-cupti==13.0.*"

# PyTorch must find the others to be loaded, but calls none of them on a CPU: empty ones under their names will do, if functions are
# looked up when they are called.
packages=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
lib=$packages/torch/lib
ldd "$lib"/*.so | sed -n 's/^[[:space:]]*\(lib[^ ]*\) => not found$/\1/p' | sort -u | while read -r name; do
    echo | "${CXX:-c++}" -x c++ -shared -fPIC -Wl,-soname,"$name" -o "$lib/$name" -
done
echo 'import os, sys; sys.setdlopenflags(os.RTLD_LAZY)' >"$packages/lazy_libraries.pth"
"$env/bin/python" -c 'import cv2, h5py, safetensors, tensorboard, torch; torch.ones(2) @ torch.ones(2)' >&2
touch "$env/ready"
echo "$env/bin/python"
