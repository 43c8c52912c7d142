# SPDX-License-Identifier: MIT
# Stores: kernels in one HDF5 file, tile by tile, which later work reads or goes on with; a file is of one list of kernels
# and of samples; each tile has a checksum.
net='serial(Dense(512, W_std=2**0.5), Relu(), Dense(1))'
x="--x1 digits/test --train-limit 60"
kernel="ntk kernel $x --net"
tiles() { sed -n 's/^ntk [a-z]*: \(.* has [0-9]* of [0-9]* tiles\)$/\1/p'; }

echo "one tile"
$kernel "$net" --get both --out plain.npz --quiet
$kernel "$net" --get both --out S.h5
ntk kernel --info S.h5 | sed 's/hash .*/hash/; /^made by/d'
$kernel "$net" --get both --out S.h5 && echo "again: nothing is computed"
$kernel "$net" --get both --kernel S.h5 --out stored.npz --quiet && cmp plain.npz stored.npz
$kernel "$net" --get nngp --kernel S.h5
ntk kernel --verify S.h5

echo "read by all commands"
train="--train digits/test --train-limit 60 --targets onehot --diag-reg 1e-6"
test="--test digits/train --test-limit 50"
ntk eval --net "$net" $train $test --quiet --json >plain.json
ntk eval --net "$net" $train $test --json --kernel S.h5 2>said >stored.json
tiles <said
[ "$(field plain.json mse)" = "$(field stored.json mse)" ] && echo "the same error"
ntk fit --net "$net" $train --out model.h5 --kernel S.h5 2>&1 | tiles
ntk predict --model model.h5 --x digits/train --test-limit 50 --std --out stored.npz --quiet
ntk fit --net "$net" $train --out model.h5 --quiet
ntk predict --model model.h5 --x digits/train --test-limit 50 --std --out plain.npz --quiet
cmp plain.npz stored.npz
for loss in mse xent; do
    dynamics="ntk dynamics --net $(echo "$net" | tr -d ' ') --train digits/test --train-limit 60 --loss $loss --times 1"
    $dynamics --out plain.npz --quiet >/dev/null
    $dynamics --out stored.npz --kernel S.h5 2>&1 | tiles
    cmp plain.npz stored.npz
done

echo "made by them, too: several networks, one by one"
several="ntk eval --net Dense(64) --net serial(Dense(64),Erf(),Dense(1)) $train $test --time 10"
$several --kernel M.h5 2>&1 >/dev/null | tiles
ntk kernel --info M.h5 | grep -c '^[01].ntk: '

echo "several networks, training and test samples in one pass"
both="ntk kernel --net $(echo "$net" | tr -d ' ') --net Dense(64) $(echo "$train" | sed 's/ --targets.*//') $test"
$both --out T.h5 2>&1 | tiles
for k in 1 2; do
    [ $k = 1 ] && n=$net || n='Dense(64)'
    eval="ntk eval --net $(echo "$n" | tr -d ' ') --train digits/test --train-limit 60 --diag-reg 1e-6 $test --json"
    $eval --quiet >plain.json
    $eval --quiet --kernel T.h5 >stored.json
    [ "$(field plain.json mse)" = "$(field stored.json mse)" ] && echo "the same error"
    $eval --time 2 --quiet >plain.json
    $eval --time 2 --quiet --kernel T.h5 >stored.json
    [ "$(field plain.json mse)" = "$(field stored.json mse)" ] && echo "the same error at a time"
done
# Other test samples than its own are computed with.
ntk eval --net 'Dense(64)' --train digits/test --train-limit 60 --diag-reg 1e-6 --test digits/train --kernel T.h5 --quiet --json |
    grep -c '"n_test": 1297'

echo "of a network without its nngp, variances compute that"
$kernel "$net" --out A.h5 --quiet
ntk fit --net "$net" $train --out model.h5 --kernel A.h5 2>&1 | grep -o 'A.h5 has.*'
ntk predict --model model.h5 --x digits/train --test-limit 50 --std --out stored.npz --quiet
ntk fit --net "$net" $train --out model.h5 --quiet
ntk predict --model model.h5 --x digits/train --test-limit 50 --std --out plain.npz --quiet
cmp plain.npz stored.npz

echo "the type is the file's"
$kernel "$net" --dtype float32 --out F.h5 --quiet
ntk eval --net "$net" $train $test --kernel F.h5 2>&1 >/dev/null | grep float32
ntk eval --net "$net" $train $test --kernel F.h5 --json --quiet >stored.json
ntk eval --net "$net" $train $test --dtype float32 --json --quiet >plain.json
[ "$(field plain.json mse)" = "$(field stored.json mse)" ] && echo "the same error"
ntk dynamics --net "$net" --train digits/test --train-limit 60 --loss xent --times 1 --kernel F.h5 --quiet | tail -n 1

echo "test with training samples"
cross="$kernel $(echo "$net" | tr -d ' ') --x2 digits/train --test-limit 33 --dtype float32"
$cross --out plain.npy --quiet
$cross --out C.h5
$cross --kernel C.h5 --out stored.npy --quiet
cmp plain.npy stored.npy
ntk kernel --info C.h5 | grep '^tiles'

echo "others are refused"
try $kernel 'serial(Dense(512), Relu(), Dense(1))' --out S.h5 --quiet
try $kernel "$net" --out S.h5 --dtype float32 --quiet
try $kernel "$net" --out S.h5 --x2 digits/train --quiet
try $kernel "$net" --out S.h5 --backend reference --quiet
try ntk kernel --net "$net" --x1 digits/train --train-limit 60 --out S.h5 --quiet
try ntk kernel --net "$net" --x1 digits/test --train-limit 59 --out S.h5 --quiet
try ntk dynamics --params p.h5 --train digits --times 1 --kernel S.h5 --quiet
try $kernel "$net" --out model.h5 --quiet
echo "no store" >is.h5
try $kernel "$net" --out is.h5 --quiet
try $kernel "$net" --out no/file.h5 --quiet
try ntk kernel --net "$net" --x1 digits/train --out small.h5 --memory 1M --quiet 2>&1 | sed 's/needs [0-9.]* MiB/needs more/'
[ -f small.h5 ] || echo "no file is made"
# In another type the same samples, standardised, are other numbers: the type is what is said.
scaled="ntk kernel --net Dense(8) --train digits/test --train-limit 60 --standardize feature --quiet --out D.h5"
$scaled
try $scaled --dtype float32
try $kernel "$net" --kernel '' --quiet
try $kernel "$net" --out new.h5 --kernel S.h5
try $kernel "$net" --train digits/test --out new.h5
try ntk kernel --net "$net" --train digits/train --test digits/test --out new.npy
try ntk kernel --net "$net" --test digits/test --x1 digits/train --out new.h5
try ntk kernel --info nowhere.h5
try ntk kernel --info S.h5 --verify S.h5
try ntk kernel --net "$net" $x --standardize feature --out new.h5
try ntk kernel --verify nowhere.h5
try ntk kernel --verify model.h5
try ntk kernel --mend model.h5

echo "what is wrong is found, and computed again"
big="ntk kernel --net $(echo "$net" | tr -d ' ') --x1 digits/train --memory 24M"
$big --out B.h5 2>&1 | tiles
cp B.h5 whole.h5
printf '\377' | dd of=B.h5 bs=1 seek=$(($(stat -c %s B.h5) - 4000000)) conv=notrunc 2>/dev/null
try ntk kernel --verify B.h5
try ntk eval --net "$net" --train digits/train --test digits/test --diag-reg 1e-4 --kernel B.h5 --quiet
ntk kernel --verify B.h5 --json 2>/dev/null
$big --out B.h5 && echo "it does not look at what is there"
ntk kernel --mend B.h5 --json
$big --out B.h5 2>&1 | tiles
cmp B.h5 whole.h5 && ntk kernel --verify B.h5
truncate -s 5000000 B.h5
try ntk kernel --info B.h5
try $big --out B.h5 --quiet
ntk kernel --mend B.h5 2>&1 | tail -n 1
$big --out B.h5 --quiet
cmp B.h5 whole.h5 && echo "the same bytes"

echo "interrupted, and gone on with"
slow="ntk kernel --net cntk(depth=12,pool='gap') --x1 images.npy --threads 1"
ntk kernel --net 'Dense(64)' --x1 digits/test --train-limit 200 --out plain.npy --quiet # numbers to take for images
{
    printf "\\223NUMPY\\001\\000\\166\\000"
    printf "%-117s\n" "{'descr': '<f8', 'fortran_order': False, 'shape': (300, 8, 8, 1), }"
    tail -c +129 plain.npy | head -c 153600
} >images.npy
$slow --memory 7M --out J.h5 --quiet
env --default-signal=INT $slow --memory 7M --out I.h5 --quiet 2>said &
pid=$!
tries=0
until ntk kernel --info I.h5 2>/dev/null | grep -q '; [1-9]' || [ $tries -eq 300 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
kill -INT $pid
wait $pid
echo "-> $?"
cat said
ntk kernel --info I.h5 | tail -n 1
$slow --out I.h5 2>said
sed -n 's/has [0-9]* of/has some of/p' said
cmp I.h5 J.h5 && echo "the same bytes"

echo "killed, and gone on with"
for delay in 0.05 0.1 0.2 0.3 0.5 0.8; do
    $slow --memory 7M --out K.h5 --quiet &
    pid=$!
    sleep $delay
    kill -KILL $pid 2>/dev/null
    wait $pid
done 2>/dev/null
$slow --memory 7M --out K.h5 --quiet
cmp K.h5 J.h5 && ls -A
