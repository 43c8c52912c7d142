# SPDX-License-Identifier: MIT
# --store: blocks of kernel rows in a folder, which later work finds; a folder is of one list of kernels and of samples.
net='serial(Dense(512, W_std=2**0.5), Relu(), Dense(1))'
x="--x1 digits/test --train-limit 60"
kernel="ntk kernel $x --net"

echo "one block"
$kernel "$net" --get both --out plain.npz --quiet
$kernel "$net" --get both --store S --out stored.npz
cmp plain.npz stored.npz && ls S
sed 's/hash .*/hash/' S/store.txt

echo "found by all commands, whatever is asked of its matrices"
$kernel "$net" --get both --store S --out again.npz
cmp plain.npz again.npz
$kernel "$net" --get nngp --store S
train="--train digits/test --train-limit 60 --targets onehot --diag-reg 1e-6"
ntk eval --net "$net" $train --test digits/train --test-limit 50 --quiet --json >plain.json
ntk eval --net "$net" $train --test digits/train --test-limit 50 --json --store S 2>said >stored.json
grep blocks said
[ "$(field plain.json mse)" = "$(field stored.json mse)" ] && echo "the same error"
ntk fit --net "$net" $train --out model.h5 --store S 2>&1 | grep blocks
ntk predict --model model.h5 --x digits/train --test-limit 50 --out stored.npy --quiet
ntk fit --net "$net" $train --out model.h5 --quiet
ntk predict --model model.h5 --x digits/train --test-limit 50 --out plain.npy --quiet
cmp plain.npy stored.npy
for loss in mse xent; do
    dynamics="ntk dynamics --net $(echo "$net" | tr -d ' ') --train digits/test --train-limit 60 --loss $loss --times 1"
    $dynamics --out plain.npz --quiet >/dev/null
    $dynamics --out stored.npz --store S 2>&1 | grep blocks
    cmp plain.npz stored.npz
done

echo "several networks, one by one"
several="ntk eval --net Dense(64) --net serial(Dense(64),Erf(),Dense(1)) $train --test digits/train --test-limit 50 --time 10"
$several --store M 2>&1 >/dev/null | grep blocks
cut -d : -f 1 M/store.txt | tail -n 2

echo "another kernel of a net that is there is added, and computed in the same blocks"
$kernel "$net" --store A --quiet
sed -i 's/^rows in a file: 60$/rows in a file: 33/' A/store.txt && rm A/*.f64 && $kernel "$net" --store A --quiet
cp -p A/0.ntk-000033.f64 first
ntk fit --net "$net" $train --out model.h5 --store A 2>&1 | grep ': A'
sed -n 's/^\([0-9.a-z]*\): serial.*/\1/p' A/store.txt
[ A/0.ntk-000033.f64 -nt first ] && echo "a block was written again"
$kernel "$net" --get both --store A --out both.npz --quiet && cmp again.npz both.npz
two="ntk eval --net Dense(64) --net serial(Dense(64),Erf(),Dense(1)) $train --test digits/train --test-limit 50"
$two --store B --quiet >/dev/null
$two --store B --get nngp 2>&1 >/dev/null | grep ': B'
sed -n 's/^\([0-9.a-z]*\): [sD]e.*/\1/p' B/store.txt
$kernel 'Dense(64)' --store N --quiet
$two --store N --get nngp 2>&1 >/dev/null | grep -o 'gets\|another list'
ntk eval --net 'Dense(64)' --net 'Dense(64)' $train --test digits/train --test-limit 50 --store N --get nngp 2>&1 >/dev/null |
    grep 'gets'
sed -n 's/^\([0-9.a-z]*\): De.*/\1/p' N/store.txt

echo "several blocks, of which one is missing"
rm S/0.* && sed -i 's/^rows in a file: 60$/rows in a file: 17/' S/store.txt
$kernel "$net" --get both --store S --out whole.npz
ls S
rm S/0.ntk-000017.f64
$kernel "$net" --get both --store S --out mended.npz
cmp whole.npz mended.npz

echo "test with training samples"
cross="$kernel $(echo "$net" | tr -d ' ') --x2 digits/train --test-limit 33 --dtype float32"
$cross --out plain.npy --quiet
$cross --store C --out stored.npy
cmp plain.npy stored.npy
sed -i 's/^rows in a file: 60$/rows in a file: 25/' C/store.txt && rm C/0.*
$cross --store C --quiet && ls C
$cross --store C --out stored.npy
cmp plain.npy stored.npy

echo "others are refused"
try $kernel 'serial(Dense(512), Relu(), Dense(1))' --store S --quiet
try $kernel "$net" --store S --dtype float32 --quiet
try $kernel "$net" --store S --x2 digits/train --quiet
try $kernel "$net" --store S --backend reference --quiet
try ntk kernel --net "$net" --x1 digits/train --train-limit 60 --store S --quiet
try ntk kernel --net "$net" --x1 digits/test --train-limit 59 --store S --quiet
try ntk dynamics --params p.h5 --train digits --times 1 --store S --quiet
mkdir other && cp S/0.* other
try $kernel "$net" --store other --quiet
cp S/store.txt is
for line in 'rows in a file: 0' 'rows in a file: 61' 'rows in a file: x'; do
    sed "s/^rows in a file: .*/$line/" is >S/store.txt
    try $kernel "$net" --store S --quiet
done
cp is S/store.txt
try $kernel "$net" --store no/folder --quiet
try $kernel "$net" --store is --quiet
try $kernel "$net" --store '' --quiet

echo "damaged files are named"
file=S/0.ntk-000034.f64
cp $file block
for bytes in 0 100; do
    head -c $bytes block >$file
    try $kernel "$net" --store S --quiet
done
{ cat block && echo; } >$file
try $kernel "$net" --store S --quiet
head -c 800 block >$file && printf '\377\377\377\377\377\377\377\377' >>$file && tail -c +809 block >>$file
try $kernel "$net" --store S --out again.npy --quiet
rm $file
$kernel "$net" --store S --quiet && cmp block $file && echo "computed again"

echo "interrupted, and gone on with"
slow="ntk kernel --net cntk(depth=12,pool='gap') --x1 images.npy --threads 1 --store I"
ntk kernel --net 'Dense(64)' --x1 digits/test --train-limit 200 --out plain.npy --quiet # numbers to take for images
{
    printf "\\223NUMPY\\001\\000\\166\\000"
    printf "%-117s\n" "{'descr': '<f8', 'fortran_order': False, 'shape': (120, 8, 8, 1), }"
    tail -c +129 plain.npy | head -c 61440
} >images.npy
$slow --quiet
sed -i 's/^rows in a file: 120$/rows in a file: 10/' I/store.txt && rm I/*.f64
env --default-signal=INT $slow --quiet 2>said &
pid=$!
tries=0
until [ -e I/0.ntk-000000.f64 ] || [ $tries -eq 3000 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
kill -INT $pid
wait $pid
echo "-> $?"
cat said
ls I/*.f64 >before
[ "$(wc -l <before)" -lt 12 ] || echo "it was done before it was interrupted"
cp -p I/0.ntk-000000.f64 first
$slow --out resumed.npy 2>said
sed -n 's/has [0-9]* of/has some of/p' said
[ I/0.ntk-000000.f64 -nt first ] && echo "a block was computed again"
rm I/*.f64
$slow --out whole.npy --quiet && cmp resumed.npy whole.npy && echo "the same numbers"
