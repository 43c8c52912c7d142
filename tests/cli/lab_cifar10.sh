# SPDX-License-Identifier: MIT
# CIFAR-10 rows, small; each list of networks has its own store, which another run of it finds.
data=$root/../shared/data/cifar10
[ -f "$data/test_batch.bin" ] || {
    echo "CIFAR-10 is not there: $data"
    exit 77
}
small="--data $data --train-limit 120 --test-limit 80 --out lab"
ntk lab cifar10 $small --quiet --depths 3 || exit 1
ntk lab cifar10 $small --quiet --depths 3,4 --json >again.json || exit 1
ls lab/*.h5
ntk lab cifar10 $small --depths 3,4 --json 2>&1 >/dev/null | grep -c tiles
grep -c '"agrees": null' again.json
cmp again.json lab/cifar10.json && echo "the report is in the directory too"

# One network by itself gives the same accuracy.
ntk eval --net 'cntk(depth=4)' --train "cifar10:$data/train" --test "cifar10:$data/test" \
    --train-limit 120 --test-limit 80 --dtype float32 --quiet --json >eval.json
awk -v a="$(sed 's/.*depth 4[^}]*"measured": \([0-9.]*\).*/\1/' again.json)" \
    -v b="$(field eval.json accuracy)" 'BEGIN { print a == 100 * b ? "eval agrees" : a " is not " 100 * b }'

# Kernels of other numbers are not mixed up.
ntk lab cifar10 --data "$data" --train-limit 100 --test-limit 80 --out lab --depths 3 --quiet
echo "-> $?"
