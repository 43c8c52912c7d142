#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/sanitize.sh [thread]
# Builds with AddressSanitizer and UndefinedBehaviorSanitizer and passes the tests under them; `thread`: with ThreadSanitizer,
# the unit tests, in four threads. That takes clang and LLVM's OpenMP (Debian's libomp-dev), which tells it what waits for what.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1:-}" = thread ]; then
    build=${BUILD:-$root/build-tsan}
    [ -f "$build/build.ninja" ] || CC=${CC:-clang} meson setup "$build" "$root" -Dbuildtype=debugoptimized \
        -Db_sanitize=thread -Db_lundef=false
    ninja -C "$build"
    # Libraries are not instrumented: what they do among themselves is not seen, and not reported.
    OMP_NUM_THREADS=4 TSAN_OPTIONS=ignore_noninstrumented_modules=1:history_size=4:exitcode=66 \
        exec sh "$root/scripts/test.sh" "$build" 'test_*'
fi
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
