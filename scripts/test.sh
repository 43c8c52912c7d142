#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: scripts/test.sh BUILD_DIR [NAME ...]
# Runs every test of a build, or those named (test_data, 'cli/*', python/docs), and ends with one line that counts them:
# run_tests.py, which has the environment variables.
exec python3 "$(dirname "$0")/run_tests.py" "$@"
