#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds for 64-bit ARM (NEON) and passes unit tests under qemu-user, all but those with threads. On
# Debian, as root, it installs the cross compiler and the ARM libraries first; without them it says
# so and exits 77.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build-arm64}
packages="qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross libcmocka-dev:arm64
libopenblas-openmp-dev:arm64 zlib1g-dev:arm64 libcjson-dev:arm64"

missing=""
for p in $packages; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $p"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "missing:$missing" >&2
        exit 77
    fi
    export DEBIAN_FRONTEND=noninteractive
    dpkg --add-architecture arm64
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -qq --no-install-recommends $missing >/dev/null || exit 77
fi

[ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dhdf5=disabled \
    --cross-file "$root/scripts/aarch64-debian.ini"
ninja -C "$build"
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
# One processor: new threads hang under some hosts' qemu.
export OMP_NUM_THREADS=1
WRAPPER="taskset -c 0 qemu-aarch64" sh "$root/scripts/test.sh" "$build" \
    test_base test_data test_activations test_model test_layers test_rfp
