#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: bench/large.sh BUILD_DIR/ntk MNIST_DIR WORK_DIR [CASE ...]
# Exact solvers on more samples than a float64 matrix in memory would take, fc(depth=3), predictions for MNIST's 10,000 test
# digits included. Of each case seconds, user seconds, peak memory, and what the command says. Cases, all by default:
#   cg-60000     the 60,000 digits within 8 GB, to 1e-3
#   int16-120000 with a shifted copy of each, the triangle in 16 bits, within 20 GB
#   none-120000  the same within 2 GB: the matrix computed again at each step, up to --tolerance 0.1
#   mixed-90000  half of the copies, a float32 factor and float64 refinement, within 18 GB
# MNIST_DIR has the four files. WORK_DIR/rows.npz is made once by bench/million.py.
set -eu
ntk=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
bench=$(cd "$(dirname "$0")" && pwd)
mnist=$(cd "$2" && pwd)
mkdir -p "$3"
work=$(cd "$3" && pwd)
shift 3
[ $# -gt 0 ] || set -- cg-60000 int16-120000 none-120000 mixed-90000
[ -e "$work/test.npz" ] || python3 "$bench/million.py" --mnist "$mnist" --work "$work" --only none

rows="--train $work/rows.npz --test $work/test.npz"
measured() {
    /usr/bin/time -f '%e s, %U user s, %M kB' "$ntk" eval --net 'fc(depth=3)' --dtype float32 --diag-reg 1e-2 "$@" 2>&1
}

# shellcheck disable=SC2086 # words
for case in "$@"; do
    echo "## $case"
    case $case in
    cg-60000) measured --train "$mnist/train-images-idx3-ubyte.gz" --test "$mnist/t10k-images-idx3-ubyte.gz" --solver cg --memory 8G ;;
    int16-120000) measured $rows --train-limit 120000 --solver cg --triangle int16 --memory 20G ;;
    none-120000) measured $rows --train-limit 120000 --solver cg --triangle none --tolerance 0.1 --memory 2G ;;
    mixed-90000) measured $rows --train-limit 90000 --solver mixed --memory 18G ;;
    *) echo "no case $case" >&2 && exit 2 ;;
    esac
done
