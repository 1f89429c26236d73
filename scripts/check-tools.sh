#!/usr/bin/env bash
# Says plainly what is missing for a build: Rust, a C++ compiler, Python 3 with pip.
#
#   scripts/check-tools.sh [PYTHON]
set -euo pipefail

python=${1:-python3}
rust_minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
missing=0

lacks() {
    printf 'missing: %s\n' "$*" >&2
    missing=1
}

# at_least MINIMUM VERSION
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

if command -v cargo >/dev/null && command -v rustc >/dev/null; then
    rust_found=$(rustc --version | cut -d ' ' -f 2)
    at_least "$rust_minimum" "$rust_found" || lacks "Rust $rust_minimum or newer (found $rust_found); run \`rustup update\`"
else
    lacks "Rust $rust_minimum or newer, with cargo; see https://rustup.rs"
fi
command -v "${CXX:-c++}" >/dev/null || lacks "a C++ compiler (${CXX:-c++}); Debian and Ubuntu: apt install g++"
if command -v "$python" >/dev/null; then
    "$python" -m pip --version >/dev/null 2>&1 || lacks "pip for $python; Debian and Ubuntu: apt install python3-pip"
else
    lacks "Python 3 with pip ($python); Debian and Ubuntu: apt install python3-pip"
fi
exit $missing
