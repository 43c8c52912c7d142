# SPDX-License-Identifier: MIT
# --solver out-of-core: what cholesky gives, by a factor on disk, in less memory; it stays beside a store, is gone on with
# after a kill, and checked; without a store it is a file that nobody sees.
data="--net fc(depth=3) --train digits/train --test digits/test"
eval="ntk eval $data --diag-reg 1e-3"
out="$eval --solver out-of-core"
results() { grep -Ev 'flattened|seconds' | sort; }
notes() { grep 'out-of-core\|factor' | sed 's/takes [0-9.]* MiB/takes some/'; }

echo "the answers of cholesky, in less memory than its matrix"
$eval --loo 2>&1 | results >plain
$out --loo --memory 8M --threads 2 2>&1 | results >said
grep -v out-of-core said | cmp - plain && notes <said
$eval --memory 8M --solver cholesky --quiet || echo "which cholesky needs more for"
ls -A

echo "beside a store: made once for a ridge"
ntk kernel --net 'fc(depth=3)' --x1 digits/train --out K.h5 --memory 8M --quiet
$out --kernel K.h5 2>&1 | results >first
notes <first
$out --kernel K.h5 2>&1 | results >second
notes <second
[ "$(grep -v out-of-core first)" = "$(grep -v out-of-core second)" ] && echo "the same report"
cp K.h5.factor whole.factor
$out --kernel K.h5 --diag-reg 1e-2 2>&1 | notes
ntk fit --net 'fc(depth=3)' --train digits/train --diag-reg 1e-3 --solver out-of-core --kernel K.h5 --out m.h5 2>&1 | notes
cmp K.h5.factor whole.factor && echo "the same bytes"
ntk fit --net 'fc(depth=3)' --train digits/train --diag-reg 1e-3 --out plain.h5 --quiet
for model in m plain; do
    ntk predict --model $model.h5 --x digits/test --out $model.csv --quiet
    cut -c 1-8 $model.csv | head -3
done

echo "killed, and gone on with"
rm K.h5.factor
for delay in 0.1 0.15 0.2 0.3 0.4; do
    $out --kernel K.h5 --memory 8M --threads 1 --quiet >said &
    pid=$!
    sleep $delay
    kill -KILL $pid 2>/dev/null
    wait $pid
done 2>/dev/null
$out --kernel K.h5 --quiet >said
cmp K.h5.factor whole.factor && echo "the same bytes"

echo "interrupted"
rm K.h5.factor
env --default-signal=INT $out --kernel K.h5 --memory 8M --threads 1 --quiet >said 2>&1 &
pid=$!
tries=0
until [ -s K.h5.factor ] || [ $tries -eq 300 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
kill -INT $pid
wait $pid
code=$?
[ $code = 0 ] || [ $code = 130 ] || cat said
$out --kernel K.h5 --quiet >said
cmp K.h5.factor whole.factor && echo "the same bytes"

echo "what is wrong"
printf '\377' | dd of=K.h5.factor bs=1 seek=1000000 conv=notrunc 2>/dev/null
try $out --kernel K.h5 --quiet
echo "something else" >K.h5.factor
try $out --kernel K.h5 --quiet
cat K.h5.factor
try $out --scratch nowhere --quiet
try $out --memory 2M --threads 1 --quiet
mkdir scratch
$out --kernel K.h5 --scratch scratch 2>&1 | notes
try $out --time 3 --quiet
try ntk fit --net 'fc(depth=3)' --train digits/train --solver out-of-core --diag-reg 1e-3 --factor --out m.h5 --quiet
ls -A . scratch
