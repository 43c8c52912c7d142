#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tests/library.sh BUILD_DIR
# The library from outside: what it exports is what src/libntk.map lists, in these versions; structs and constants of the
# header are as tests/abi.txt has them, and it compiles on its own as C and as C++; the examples print what stands beside
# them.
build=${1:?usage: tests/library.sh BUILD_DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -r "$tmp"' EXIT
passed=0 failed=0 skipped=0

report() { # name, exit code
    if [ "$2" -eq 0 ]; then
        echo "PASS $1" && passed=$((passed + 1))
    else
        echo "FAIL $1" && failed=$((failed + 1))
    fi
}

# "name@@version" of each symbol that src/libntk.map lists; without a version where the linker knew none. clang exports
# the locks of critical sections there.
awk '/^NTK_.* \{$/ {version = $1} /^ +ntk_.*;$/ {sub(";", "", $1); print $1 "@@" version}' "$root/src/libntk.map" |
    LC_ALL=C sort >"$tmp/listed"
nm -D --defined-only "$build/libntk.so" | awk '$2 ~ /[B-Z]/ && $3 !~ /^(_(init|fini)$|\.gomp_)/ {print $3}' |
    LC_ALL=C sort >"$tmp/exported"
sed 's/@@.*//' "$tmp/listed" >"$tmp/names"
cc -E -P "$root/include/ntk.h" | tr '\n' ' ' | sed 's/__attribute__((visibility("default")))/\n&/g' |
    sed -n 's/^__attr.*"default")))[^;]*[ *]\(ntk_[a-z_0-9]*\)(.*/\1/p' | LC_ALL=C sort | diff "$tmp/names" - >&2
report header-symbols $?
if grep -q '@@' "$tmp/exported"; then
    diff "$tmp/listed" "$tmp/exported" >&2
else
    diff "$tmp/names" "$tmp/exported" >&2
fi
report symbols $?

sh "$root/tests/abi.sh" >"$tmp/abi" && diff "$root/tests/abi.txt" "$tmp/abi" >&2
report abi $?
# A struct that may grow has no padding at its end, which a program of this version would leave undefined.
awk 'function done() {if (grows && end != size) {print name; bad = 1}}
     NF == 2 {done(); name = $1; size = $2; grows = 0}
     NF == 3 {grows += $1 ~ /\.size$/ && $2 == 0; end = $2 + $3}
     END {done(); exit bad}' "$tmp/abi" >&2
report abi-padding $?

echo '#include "ntk.h"' | cc -std=c11 -Wall -Wextra -pedantic -Werror -I"$root/include" -xc -fsyntax-only -
report header-c $?

if command -v c++ >/dev/null 2>&1; then
    echo '#include "ntk.h"' | c++ -std=c++17 -Wall -Wextra -pedantic -Werror -I"$root/include" -xc++ -fsyntax-only -
    report header-c++ $?
else
    echo "SKIP header-c++ (no C++ compiler)"
    skipped=$((skipped + 1))
fi

for source in "$root"/examples/*.c; do
    name=$(basename "$source" .c)
    expected=$root/examples/$name.out
    "$build/examples/$name" | diff "$expected" - >&2
    report "example-$name" $?
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
