#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/python.sh BUILD_DIR [PYTEST_ARGUMENT ...]
# Builds the wheel, with its libraries inside, into BUILD_DIR/wheel; installs it in a virtual environment there;
# runs the Python tests. The last line counts them. PYTHON is the interpreter, 3.11 or newer. Where packages
# cannot be had from PyPI the tests are skipped, unless NTK_PYTHON=required.
set -u
build=$(cd "${1:?usage: scripts/python.sh BUILD_DIR [PYTEST_ARGUMENT ...]}" && pwd)
shift
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$build/venv

give_up() {
    echo "Python tests: $1" >&2
    [ "${NTK_PYTHON:-}" = required ] && echo "0 passed, 1 failed, 0 skipped" && exit 1
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

find_python() {
    for p in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        "$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$p" && return
    done
}

python=$(find_python)
[ -n "$python" ] || give_up "no Python of 3.11 or newer with the module venv"
if [ ! -f "$venv/ready" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || give_up "no virtual environment"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$root/scripts/python-requirements.txt" ||
        give_up "packages cannot be installed from PyPI"
    touch "$venv/ready"
fi
export PATH="$venv/bin:$PATH"
log=$build/python.log
rm -rf "$build/wheel"
if ! (cd "$root" && pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps \
        -Cbuild-dir="$build/python" -w "$build/wheel/plain" . &&
      auditwheel repair -w "$build/wheel" "$build"/wheel/plain/*.whl) >"$log" 2>&1; then
    cat "$log"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
pip install -q --disable-pip-version-check --no-deps --force-reinstall "$build"/wheel/*.whl || exit 1
export NTK_BUILD="$build" # where the documentation's C program finds the library
# Nothing of the source tree may stand in for what is installed.
(cd "$build" && python -m pytest -p no:cacheprovider -q -rs "$root/tests/python" "$@") | tee "$log"
summary=$(tail -n 1 "$log")
number() { echo "$summary" | grep -oE "[0-9]+ $1" | head -n 1 | tr -dc '0-9'; }
failed=$(number failed) errors=$(number error)
failed=$((${failed:-0} + ${errors:-0}))
passed=$(number passed) skipped=$(number skipped)
[ $((${passed:-0} + failed)) -gt 0 ] || failed=1
echo "${passed:-0} passed, $failed failed, ${skipped:-0} skipped"
[ "$failed" -eq 0 ]
