#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds with AddressSanitizer and UndefinedBehaviorSanitizer and passes the tests under them.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build-sanitize}
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dbuildtype=debugoptimized \
    -Db_sanitize=address,undefined -Db_lundef=false
ninja -C "$build"
# OpenBLAS keeps its buffers until the process ends.
ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
LSAN_OPTIONS=suppressions="$root/scripts/lsan.supp":print_suppressions=0 NTK_PYTHON=none \
    sh "$root/scripts/test.sh" "$build"
[ ! -x "$build/tests/fuzz/fuzz_h5" ] || ASAN_OPTIONS=detect_leaks=0 \
    "$build/tests/fuzz/fuzz_h5" 10 "$root"/tests/golden/formats/*.h5 "$root"/tests/fuzz/h5/*.h5 \
    "$root/tests/golden/data/xy.h5"
