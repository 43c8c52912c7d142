#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/python.sh BUILD_DIR
# Builds the wheel, with its libraries inside, into BUILD_DIR/wheel and installs it in a virtual environment, BUILD_DIR/venv,
# for the Python tests (BUILD_DIR/venv/bin/python -m pytest tests/python). The last line counts: whether that worked, or is
# skipped (exit code 77) where packages cannot be had from PyPI, unless NTK_PYTHON=required. PYTHON is the interpreter, 3.11
# or newer.
set -u
build=$(cd "${1:?usage: scripts/python.sh BUILD_DIR}" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$build/venv

give_up() {
    echo "Python tests: $1" >&2
    [ "${NTK_PYTHON:-}" = required ] && echo "0 passed, 1 failed, 0 skipped" && exit 1
    echo "0 passed, 0 failed, 1 skipped"
    exit 77
}

find_python() {
    for p in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        "$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$p" && return
    done
}

python=$(find_python)
[ -n "$python" ] || give_up "no Python of 3.11 or newer with the module venv"
if ! cmp -s "$root/scripts/python-requirements.txt" "$venv/ready"; then
    rm -rf "$venv"
    "$python" -m venv "$venv" || give_up "no virtual environment"
    # Modules are compiled when they are first imported, which most are not.
    "$venv/bin/pip" install -q --disable-pip-version-check --no-compile -r "$root/scripts/python-requirements.txt" ||
        give_up "packages cannot be installed from PyPI"
    cp "$root/scripts/python-requirements.txt" "$venv/ready"
fi
export PATH="$venv/bin:$PATH"
set -e
rm -rf "$build/wheel"
# Beside the build and with its options, so that ccache finds what was compiled there.
werror=false
grep -q -e ' -Werror ' "$build/compile_commands.json" && werror=true
(cd "$root" && pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps -Cbuild-dir="$build-python" \
    -Csetup-args=-Db_ndebug=false -Csetup-args=-Dwerror=$werror -w "$build/wheel/plain" .)
auditwheel repair -z 1 -w "$build/wheel" "$build"/wheel/plain/*.whl >"$build/wheel/log" 2>&1 || {
    cat "$build/wheel/log"
    exit 1
}
pip install -q --disable-pip-version-check --no-compile --no-deps --force-reinstall "$build"/wheel/*.whl
echo "1 passed, 0 failed, 0 skipped"
