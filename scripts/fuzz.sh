#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/fuzz.sh parse|data|h5 SECONDS [libFuzzer's options]
# Builds tests/fuzz/TARGET.c with clang's libFuzzer and the sanitizers, and runs it. What it finds
# and the corpus stay in the build's fuzz-TARGET directory.
set -eu
usage="usage: scripts/fuzz.sh parse|data|h5 SECONDS [OPTION ...]"
target=${1:?$usage} seconds=${2:?$usage}
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build-fuzz}
CC=${CC:-clang}
export CC
[ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dbuildtype=debugoptimized \
    -Dtests=false -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
libraries=$(ninja -C "$build" -t targets all | sed -n 's/^\(.*\.a\): .*/\1/p')
ninja -C "$build" $libraries
mkdir -p "$build/fuzz-$target/corpus"
$CC -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    -I"$root/include" -I"$root/src" "$root/tests/fuzz/$target.c" \
    -Wl,--start-group $(cd "$build" && realpath $libraries) -Wl,--end-group \
    $(pkg-config --libs openblas) $(pkg-config --libs hdf5 2>/dev/null || true) -lz -fopenmp -lm \
    -o "$build/fuzz-$target/fuzz"
cd "$build/fuzz-$target"
[ ! -f "$root/tests/fuzz/$target.dict" ] || set -- -dict="$root/tests/fuzz/$target.dict" "$@"
seeds='' length=4096
[ "$target" != h5 ] || seeds="$root/tests/golden/formats $root/tests/fuzz/h5" length=32768
exec ./fuzz -max_total_time="$seconds" -timeout=20 -max_len="$length" "$@" corpus $seeds
