#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/install-deps.sh [mpi]
# Installs the Debian packages that building and testing need and that are missing; with `mpi` also those of -Dmpi=enabled.
# Without root it says what it would install. Elsewhere than on Debian it only checks for the build tools.
set -eu

packages="gcc meson ninja-build pkg-config libc6-dev libopenblas-openmp-dev libhdf5-dev libsundials-dev
librandom123-dev zlib1g-dev
libcmocka-dev libcjson-dev gnuplot-nox python3 python3-venv python3-dev"

[ "${1:-}" = mpi ] && packages="$packages openmpi-bin libopenmpi-dev libscalapack-openmpi-dev"

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for p in $packages; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $p"
    done
else
    for c in cc meson ninja pkg-config; do
        command -v "$c" >/dev/null 2>&1 || missing="$missing $c"
    done
    [ -z "$missing" ] && exit 0
    echo "missing:$missing (and OpenBLAS, HDF5, zlib, cmocka with their headers)" >&2
    exit 1
fi
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "These Debian packages are missing; as root, run:" >&2
    echo "    apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
