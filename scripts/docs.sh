#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/docs.sh BUILD_DIR
# Builds the documentation site, BUILD_DIR/html, with the tools of docs/requirements.txt in a virtual environment,
# BUILD_DIR/venv. The package ntk is the one that PYTHONPATH has, if any, else it is built and installed there;
# pages with the output of `ntk` use NTK_COMMAND, else the package's own command. Warnings are errors.
set -eu
build=${1:?usage: scripts/docs.sh BUILD_DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build"
build=$(cd "$build" && pwd)

[ -x "$build/venv/bin/python" ] || python3 -m venv "$build/venv"
"$build/venv/bin/pip" install -q --disable-pip-version-check -r "$root/docs/requirements.txt"
[ -n "${PYTHONPATH:-}" ] && "$build/venv/bin/python" -c 'import ntk' 2>/dev/null ||
    "$build/venv/bin/pip" install -q --disable-pip-version-check "$root"
cd "$build" # where no folder is called ntk
"$build/venv/bin/python" -m sphinx -q -W --keep-going -b html "$root/docs" "$build/html"
echo "$build/html/index.html"
