# SPDX-License-Identifier: MIT
# CIFAR-10 rows, small; the second run finds the first one's blocks, of more networks than before.
data=$root/../shared/data/cifar10
[ -f "$data/test_batch.bin" ] || {
    echo "CIFAR-10 is not there: $data"
    exit 77
}
small="--data $data --train-limit 120 --test-limit 80 --out lab --quiet"
ntk lab cifar10 $small --depths 3 || exit 1
ntk lab cifar10 $small --depths 3,4 --json >again.json || exit 1
ls lab/vanilla-3-train-000000.f32 lab/vanilla-4-test-000000.f32
grep -c '"agrees": null' again.json
cmp again.json lab/cifar10.json && echo "the report is in the directory too"

# One network by itself gives the same accuracy.
ntk eval --net 'cntk(depth=4)' --train "cifar10:$data/train" --test "cifar10:$data/test" \
    --train-limit 120 --test-limit 80 --dtype float32 --quiet --json >eval.json
awk -v a="$(sed 's/.*depth 4[^}]*"measured": \([0-9.]*\).*/\1/' again.json)" \
    -v b="$(field eval.json accuracy)" 'BEGIN { print a == 100 * b ? "eval agrees" : a " is not " 100 * b }'

# Blocks of other numbers are not mixed up.
ntk lab cifar10 --data "$data" --train-limit 100 --test-limit 80 --out lab --depths 3 --quiet
echo "-> $?"
