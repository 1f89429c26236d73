# To be sourced: the libtorch that packtrain is made for.
# shellcheck shell=bash

torch_version=2.11.0

# The version that a libtorch folder's headers say it has; a Python package `torch` is such a folder.
version_of() {
    sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\)$/\2/p' "$1/include/torch/headeronly/version.h" 2>/dev/null | paste -sd .
}
