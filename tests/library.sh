#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tests/library.sh BUILD_DIR
# The library from outside: what it exports is what tests/symbols.txt lists, and the header compiles
# on its own as C and as C++; the examples print what stands beside them.
build=${1:?usage: tests/library.sh BUILD_DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
passed=0 failed=0 skipped=0

report() { # name, exit code
    if [ "$2" -eq 0 ]; then
        echo "PASS $1" && passed=$((passed + 1))
    else
        echo "FAIL $1" && failed=$((failed + 1))
    fi
}

# clang exports the locks of critical sections
nm -D --defined-only "$build/libntk.so" | awk '$2 ~ /[A-Z]/ && $3 !~ /^(_(init|fini)$|\.gomp_)/ {print $3}' |
    sed 's/@.*//' | LC_ALL=C sort | diff "$root/tests/symbols.txt" - >&2
report symbols $?

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
