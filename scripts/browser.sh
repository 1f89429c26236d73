#!/usr/bin/env bash
# Brings Chromium with its libraries into .deps/chromium, for `make test-browser`, and prints the path of a program that starts it.
#
# Debian's packages, from the machine's own apt sources, unpacked without root: nothing is installed, and apt's own state is not
# touched. PACKTRAIN_CHROMIUM names a Chromium or Chrome that is there already; nothing is fetched then. Runs again where it was cut
# off.
set -euo pipefail
cd "$(dirname "$0")/.."

deps=$PWD/.deps
root=$deps/chromium
start=$root/start

if [ -n "${PACKTRAIN_CHROMIUM:-}" ]; then
    echo "$PACKTRAIN_CHROMIUM"
    exit
fi
for found in "$start" chromium chromium-browser google-chrome; do
    if command -v "$found" >/dev/null; then
        command -v "$found"
        exit
    fi
done
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || {
        echo "browser.sh: no Chromium, and no $tool to fetch it; set PACKTRAIN_CHROMIUM to the path of a Chromium" >&2
        exit 1
    }
done

state=$deps/chromium-apt
mkdir -p "$state"/{lists/partial,archives/partial}
# Packages that the machine has count as there; what Chromium lacks comes along.
apt() {
    apt-get -qq -o Dir::State::Lists="$state/lists" -o Dir::Cache="$state" -o Dir::Cache::Archives="$state/archives" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=0 "$@" >&2
}
apt update || echo "browser.sh: not every package list could be fetched; going on with those that could" >&2
apt --yes --download-only install chromium fonts-dejavu-core

rm -rf "$root.new"
mkdir -p "$root.new"
for package in "$state"/archives/*.deb; do
    dpkg-deb --extract "$package" "$root.new"
done
cat >"$root.new/start" <<'START'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
lib=$here/usr/lib/x86_64-linux-gnu
LD_LIBRARY_PATH=$lib:$lib/pulseaudio:$here/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/usr/lib/chromium/chromium" "$@"
START
chmod +x "$root.new/start"
rm -rf "$root"
mv "$root.new" "$root"
rm -rf "$state/archives"
echo "$start"
