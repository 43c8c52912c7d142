#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: [WRAPPER=qemu-aarch64] [ONLY_UNIT="test_data ..."] scripts/test.sh BUILD_DIR
# Runs every test of a build and ends with one line that counts them. WRAPPER runs the unit tests'
# executables; ONLY_UNIT names some of them, and the rest is left out. NTK_PYTHON=none leaves out Python,
# NTK_PYTHON=required makes it a failure where its packages cannot be had.
set -u
build=${1:?usage: scripts/test.sh BUILD_DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

# cmocka names a failed or skipped test again in its summary
count() { grep -E "$1" "$log" | sort -u | wc -l; }

# A script that ends with "N passed, N failed[, N skipped]".
run_script() { # title, command ...
    echo "== $1"
    shift
    "$@" >"$log" 2>&1
    grep -v '^PASS' "$log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [ -z "$line" ]; then
        failed=$((failed + 1))
        return
    fi
    set -- $(echo "$line" | tr -dc '0-9 ')
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
}

for t in "$build"/tests/unit/test_*; do
    [ -f "$t" ] && [ -x "$t" ] || continue
    name=$(basename "$t")
    case " ${ONLY_UNIT:-$name} " in *" $name "*) ;; *) continue ;; esac
    echo "== $name"
    CMOCKA_MESSAGE_OUTPUT=stdout ${WRAPPER:-} "$t" >"$log" 2>&1
    code=$?
    ok=$(count '^\[ *OK \]') bad=$(count '^\[  FAILED  \] [a-z_0-9]*$')
    skip=$(count '^\[  SKIPPED \] [a-z_0-9]*$')
    if [ "$code" -ne 0 ]; then
        cat "$log"
        [ "$bad" -gt 0 ] || bad=1
    else
        grep -v -E '^\[(  RUN|       OK| RUN|==|  PASSED)' "$log"
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

if [ -z "${ONLY_UNIT:-}" ]; then
    run_script "library" sh "$root/tests/library.sh" "$build"
    run_script "command line" sh "$root/tests/cli/run.sh" "$build/ntk"
    [ "${NTK_PYTHON:-}" = none ] || run_script "Python" sh "$root/scripts/python.sh" "$build"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
