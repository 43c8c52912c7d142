#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: bench/stores.sh BUILD_DIR/ntk MNIST_DIR CIFAR_DIR [WORK_DIR]
# What a store costs: `ntk kernel` into a store and into a .npy file, which is computed in memory first; medians of five, in
# turn. A kernel of 0.6 us a pair (1,500 images, three convolutions), and one of 15 ns (15,000 digits), whose store is a matter of
# the disk: `dd` of as many bytes, flushed, is beside it. Then the same command on the store that is whole, and one that goes on
# after half of it was killed, beside what was left to do.
set -eu
ntk=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mnist=$(cd "$2" && pwd)/train-images-idx3-ubyte.gz
cifar=cifar10:$(cd "$3" && pwd)/train
work=$(mktemp -d "$(cd "${4:-.}" && pwd)/stores-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

seconds() { /usr/bin/time -f %e "$@" 2>&1 >/dev/null | tail -n 1; }
median() { sort -g | sed -n 3p; }

# compare TITLE ARGUMENTS ...
compare() {
    title=$1
    shift
    : >npy && : >h5
    for _ in 1 2 3 4 5; do
        rm -f K.npy K.h5
        seconds "$ntk" kernel "$@" --dtype float32 --quiet --out K.npy >>npy
        seconds "$ntk" kernel "$@" --dtype float32 --quiet --out K.h5 >>h5
    done
    bytes=$(wc -c <K.h5)
    disk=$(seconds dd if=/dev/zero of=zeros bs=1M count=$((bytes / 1048576)) conv=fdatasync)
    rm zeros
    echo "$title: .npy $(median <npy) s, store $(median <h5) s, $bytes bytes, dd $disk s; once more $(seconds "$ntk" kernel "$@" --dtype float32 --quiet --out K.h5) s"
}
compare "1,500 images, cntk(depth=3)" --net 'cntk(depth=3)' --x1 "$cifar" --train-limit 1500
compare "15,000 digits, fc(depth=3)" --net 'fc(depth=3)' --x1 "$mnist" --train-limit 15000

whole=$(median <h5)
rm K.h5
"$ntk" kernel --net 'fc(depth=3)' --x1 "$mnist" --train-limit 15000 --dtype float32 --quiet --out K.h5 &
sleep "$(awk -v s="$whole" 'BEGIN { print s / 2 }')"
kill -KILL $!
wait $! || true
"$ntk" kernel --info K.h5 | grep -i tiles
echo "goes on: $(seconds "$ntk" kernel --net 'fc(depth=3)' --x1 "$mnist" --train-limit 15000 --dtype float32 --quiet --out K.h5) s of $whole s"
