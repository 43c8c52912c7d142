# SPDX-License-Identifier: MIT
# --solver landmarks: sums over some of the samples, as exact as all where it takes all; saved models; fits that go on after
# a kill; what it lacks.
ntk info | grep -q hdf5 || { echo "built without HDF5"; exit 77; }
eval="ntk eval --net fc(depth=3) --train digits/train --test digits/test --diag-reg 1e-2"
notes() { grep -v 'flattened'; }

echo "all samples: as Cholesky's, to six digits"
for solver in cholesky landmarks; do
    $eval --solver $solver --loo 2>&1 | grep -E 'landmarks|accuracy|squared|leave'
done

echo "some: normal equations in float64, conjugate gradients in float32"
$eval --solver landmarks --landmarks 300 --loo 2>&1 | notes | grep -v seconds
$eval --solver landmarks --landmarks 300 --dtype float32 --tolerance 1e-6 2>&1 | notes | grep -E 'kept|steps|accuracy'

echo "several ridges, and one that is chosen"
$eval --diag-reg 1e-3,1e-2,1e-1 --solver landmarks --landmarks 200 2>&1 | notes | grep -v seconds
$eval --diag-reg auto --solver landmarks --landmarks 200 2>&1 | notes | grep -v seconds

echo "saved, with and without what deviations need"
fit="ntk fit --net fc(depth=3) --train digits/train --diag-reg 1e-2 --solver landmarks --landmarks 100"
$fit --out means.h5 --quiet
$fit --get nngp --factor --out all.h5 --quiet
ntk predict --model means.h5 --x digits/test --out means.csv 2>&1 | notes
ntk predict --model all.h5 --x digits/test --std --out all.csv 2>&1 | notes
cut -c 1-8 means.csv | head -3
tail -1 all.csv | tr , '\n' | tail -1 | cut -c 1-6
ntk predict --model means.h5 --x digits/test --std --out m.csv --quiet
ntk predict --model means.h5 --x digits/test --proba --out m.csv --quiet

echo "killed while sums are added up, and gone on with in other threads: the same, to the last digit"
many="ntk eval --net fc(depth=3) --train digits/train --test digits/test --augment shift=2 --copies 25 --diag-reg 1e-2
    --solver landmarks --landmarks 1200"
numbers() { grep -v seconds; }
$many --quiet | numbers >whole.txt
$many --quiet --threads 1 --checkpoint c.h5 >killed.txt & pid=$!
tries=0
while { [ ! -e c.h5 ] || [ "$(wc -c <c.h5)" -lt 1000000 ]; } && kill -0 $pid && [ $tries -lt 6000 ]; do
    sleep 0.02
    tries=$((tries + 1))
done 2>/dev/null
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
cat killed.txt
try $many --checkpoint c.h5 --landmarks 1000 --quiet
$many --threads 2 --checkpoint c.h5 2>said.txt | numbers >again.txt
grep -o 'goes on from c.h5 at row' said.txt
cmp whole.txt again.txt
ls c.h5 2>/dev/null

echo "what is wrong"
try $eval --landmarks 10 --quiet
try $eval --solver landmarks --landmarks 0 --quiet
try $eval --solver landmarks --time 1 --quiet
echo "no file of HDF5" >text.h5
try $eval --solver landmarks --landmarks 10 --checkpoint text.h5 --quiet
try $eval --solver cholesky --checkpoint text.h5 --quiet
try $eval --solver landmarks --kernel k.h5 --quiet
try $eval --solver landmarks --landmarks 800 --memory 4M --quiet
