# SPDX-License-Identifier: MIT
# --augment: mirror images by a sum over copies, against a file that has them; shifted copies as new samples; --average.
# Images of 3 x 3 pixels with a label, and with "copies" their mirror images after them.
images() {
    awk -v copies="${1:-}" 'BEGIN {
        for (c = 0; c <= (copies ? 1 : 0); c++)
            for (i = 0; i < 12; i++) {
                for (k = 0; k < 9; k++) {
                    j = c ? k - k % 3 + 2 - k % 3 : k
                    printf "%.6f,", sin(3 * i + 7 * j + i * j)
                }
                print i % 2
            }
    }'
}
images >images.csv
images copies >copies.csv
options="--header no --standardize none --diag-reg 0.1 --quiet"
shape="--input-shape 3,3,1"
net="--net fc(depth=2)"
echo "the same predictions as of a file with mirror images, here and from a model file"
ntk fit $net --train images.csv $shape --augment flip $options --out symmetric.h5
ntk fit $net --train copies.csv $options --out copies.h5
for model in symmetric copies; do
    ntk predict --model $model.h5 --x copies.csv --header no --quiet --out $model.npy
    numbers $model.npy 48 f8 >$model.txt
done
cmp symmetric.txt copies.txt && echo "the same"
numbers symmetric.npy 24 f8 >second.txt
head -c 1000000 symmetric.txt | tr ' ' '\n' | head -n 24 | tr '\n' ' ' | sed 's/ $//' >first.txt
[ "$(cat first.txt)" = "$(cat second.txt)" ] && echo "of mirror images, too"
echo "dynamics of the mean loss, in closed form and integrated"
for loss in "--loss mse --targets onehot" "--loss mse --targets onehot --momentum 0.5 --diag-reg 0" "--loss xent --diag-reg 0"; do
    for train in "images.csv $shape --augment flip" copies.csv; do
        ntk dynamics $net --train $train --test images.csv --header no --standardize none --quiet --mean --times 1,20,90 $loss \
            --json | sed 's/"null_directions[^,]*//g; s/}, {/\n/g' | tr ',' '\n' | sed -n 's/"train_[a-z]*": //p; s/"test_[a-z]*": //p' |
            awk '{printf "%.5f ", $1} END {print ""}'
    done | uniq
done
echo "leave-one-out, several ridges and nets, a ridge that is chosen"
ntk eval $net --net 'fc(depth=1)' --train images.csv $shape --augment flip --test images.csv --header no --standardize none \
    --diag-reg 1e-2,1 --loo --quiet | sed '/^seconds/d'
ntk fit $net --train images.csv $shape --augment flip --header no --standardize none --diag-reg auto --out chosen.h5 2>&1 |
    grep 'least leave-one-out' | sed 's/ of 25.*//'
echo "a store of sums over copies"
try ntk kernel $net --train images.csv $shape --augment flip --header no --standardize none --quiet --out K.h5
ntk kernel --info K.h5 | grep rows: | sed 's/hash .*/hash/'
ntk eval $net --train images.csv $shape --augment flip --test images.csv $options --kernel K.h5 | sed '/^seconds/d'
ntk eval $net --train images.csv --test images.csv $options --kernel K.h5 2>&1 | sed 's/hash [0-9a-f]*/hash/g'
echo "shifts: all, some, together with flips; predictions at shifted copies"
for augment in shift=1 "shift=1 --copies 4 --seed 3" flip,shift=1; do
    ntk eval $net --train images.csv $shape --augment $augment --test images.csv --average shift=1 --header no --standardize none \
        --diag-reg 0.1 2>&1 | grep -v 'memory\|seconds\|header'
done
ntk fit $net --train images.csv $shape --augment shift=1 $options --out shifted.h5
try ntk predict --model shifted.h5 --x images.csv --header no --average shift=1 $shape --out f.csv
try ntk predict --model shifted.h5 --x images.csv --header no --proba --quiet --out f.csv
try ntk predict --model shifted.h5 --x images.csv --header no --std --average shift=1 $shape --quiet --out f.csv
echo "what is refused"
for wrong in "--augment flop" "--augment shift=0 $shape" "--augment flip" "--augment flip --input-shape 4,2,1" "--augment shift=3 $shape" \
    "--augment shift=1 --copies 10 $shape" "--augment flip --copies 2 $shape" "--copies 2" "--augment shift=1 --loo $shape" \
    "--augment shift=1 --diag-reg auto $shape" "--augment flip --standardize feature $shape" "--average flip $shape" \ "$shape"; do
    # shellcheck disable=SC2086
    ntk eval $net --train images.csv --test images.csv --header no --standardize none --quiet $wrong 2>&1 | grep -v "^try"
done
ntk eval $net --train digits/train --test digits/test --augment shift=2 --memory 4M --quiet 2>&1 | sed 's/of memory.*//'
ntk kernel $net --x1 images.csv --augment flip --out K.npy 2>&1 | grep -v "^try"
echo "a net without the symmetry"
ntk eval --net 'serial(Conv(1, (3, 3), strides=(2, 2)), Relu(), Flatten(), Dense(1))' --train digits/train --train-limit 50 \
    --test digits/test --augment flip --quiet 2>&1 | sed 's/is -\{0,1\}[0-9.e+-]*, not -\{0,1\}[0-9.e+-]* as/is A, not B as/'
