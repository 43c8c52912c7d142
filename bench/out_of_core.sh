#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: bench/out_of_core.sh BUILD_DIR/ntk MNIST_DIR [N [MEMORY [WORK_DIR]]]
# The solver 'out-of-core' on N (default: 8,000) MNIST digits of MNIST_DIR, where its four files are, within MEMORY (default:
# 160M): a store of the kernel in float32; the fit and the predictions for 2,000 digits, with leave-one-out; the same again,
# when the factor is there; and Cholesky in memory, up to 20,000 digits. Of each command seconds, user seconds, peak memory, and
# what it says. Files, 6 N^2 bytes, are in a folder of WORK_DIR (default: here) that is removed at the end.
#
# 50,000 digits in 4 GB: bench/out_of_core.sh build/ntk mnist 50000 4G. That takes 15 GB of disk and, with two cores that do
# 83 GFLOP/s in dpotrf, 1 minute for the kernel, 9 each for the factor and for leave-one-out (n^3 / 3 operations), 1 for the
# predictions, and for the eigenvalues some 8 passes over the store and 45 over the factor, 500 GB: 8 minutes at 1 GB/s, less
# where the page cache has a part; so 28 minutes, and 10 for the second command.
set -eu
ntk=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mnist=$(cd "$2" && pwd)
n=${3:-8000} memory=${4:-160M}
work=$(mktemp -d "$(cd "${5:-.}" && pwd)/out-of-core-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
net='fc(depth=3)'
train="--train-limit $n --dtype float32"
eval="$ntk eval --net $net --train $mnist/train-images-idx3-ubyte.gz $train --test $mnist/t10k-images-idx3-ubyte.gz
    --test-limit 2000 --diag-reg 1e-2"

measured() { # TITLE COMMAND ...
    echo "## $1"
    shift
    /usr/bin/time -f '%e s, %U user s, %M kB' "$@" 2>&1 | grep -v flattened
}

# shellcheck disable=SC2086
{
    measured "kernel" "$ntk" kernel --net "$net" --x1 "$mnist/train-images-idx3-ubyte.gz" $train --out K.h5 --memory "$memory"
    measured "out of core, within $memory" $eval --kernel K.h5 --memory "$memory" --solver out-of-core --loo
    measured "the same, with its factor there" $eval --kernel K.h5 --memory "$memory" --solver out-of-core
    ls -l | awk 'NR > 1 { printf "%.2f GB %s\n", $5 / 1e9, $NF }'
    [ "$n" -gt 20000 ] || measured "cholesky" $eval --kernel K.h5 --solver cholesky --loo
}
