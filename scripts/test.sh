#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/test.sh BUILD_DIR
# Runs every test of a build and ends with one line that counts them.
set -u
build=${1:?usage: scripts/test.sh BUILD_DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

count() { grep -c "$1" "$log" || true; }

for t in "$build"/tests/unit/test_*; do
    [ -f "$t" ] && [ -x "$t" ] || continue
    echo "== $(basename "$t")"
    CMOCKA_MESSAGE_OUTPUT=stdout "$t" "$root" >"$log" 2>&1
    code=$?
    ok=$(count '^\[ *OK \]') bad=$(count '^\[  FAILED  \] [a-z]') skip=$(count '^\[  SKIPPED \] [a-z]')
    if [ "$code" -ne 0 ]; then
        cat "$log"
        [ "$bad" -gt 0 ] || bad=1
    else
        grep '^\[  SKIPPED' "$log" || true
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

if [ -f "$root/tests/cli/run.sh" ]; then
    echo "== command line"
    sh "$root/tests/cli/run.sh" "$build/ntk" >"$log" 2>&1 || true
    grep -v '^PASS' "$log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [ -z "$line" ]; then
        failed=$((failed + 1))
    else
        set -- $(echo "$line" | tr -dc '0-9 \n')
        passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
    fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
