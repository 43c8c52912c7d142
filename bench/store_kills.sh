#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: bench/store_kills.sh BUILD_DIR/ntk [KILLS]
# `ntk kernel --out` of a store is killed (SIGKILL) at random times, 100 by default, and goes on after each; when it is done,
# its bytes are compared with those of a run that nothing disturbed, and it begins again. What differs is an error.
set -u
ntk=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
wanted=${2:-100}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
command="$ntk kernel --net fc(depth=4) --get both --train digits/train --test digits/test --memory 16M --quiet --out"

start=$(date +%s%N)
$command whole.h5 || exit 1
whole=$((($(date +%s%N) - start) / 1000000))
killed=0 ends=0 seed=$$
while [ $killed -lt "$wanted" ]; do
    $command store.h5 &
    pid=$!
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    sleep "$(awk -v s=$seed -v ms=$whole 'BEGIN { printf "%.3f", s / 2147483648 * ms / 1000 }')"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    if [ $? -eq 137 ]; then # else it had ended
        killed=$((killed + 1))
        [ ! -e store.h5 ] || $ntk kernel --verify store.h5 --quiet || exit 1
        [ $((killed % 4)) -ne 0 ] || $command store.h5 || exit 1
    fi
    $ntk kernel --info store.h5 2>/dev/null | grep -q 'goes on' && continue
    [ -e store.h5 ] || continue
    cmp whole.h5 store.h5 || exit 1
    ends=$((ends + 1))
    rm store.h5
done
left=$(ls -A | grep -cv '^whole.h5$\|^store.h5$')
echo "$killed kills, $ends whole stores, all with the same bytes; a run takes $whole ms; $left other files are left"
