# SPDX-License-Identifier: MIT
# --solver: the same answers by each, to what they say of themselves; one that memory chooses; what they lack.
eval="ntk eval --net fc(depth=3) --train digits/train --test digits/test --diag-reg 1e-3"
notes() { grep -v 'flattened'; }

echo "the same accuracy and error, to six digits"
for solver in "cholesky" "mixed" "cg --tolerance 1e-9" "cg --rank 400" "lanczos"; do
    # shellcheck disable=SC2086
    $eval --solver $solver 2>&1 | grep -E 'accuracy|mean squared|steps|likelihood'
done

echo "and of several ridges, from one kernel"
$eval --diag-reg 1e-3,1e-2 --solver cg 2>&1 | grep -v 'flattened\|seconds'

echo "where memory does not hold Cholesky's factor"
$eval --dtype float32 --memory 6M 2>&1 | notes | grep -v seconds
$eval --memory 3M 2>&1 | notes
$eval --memory 6M --solver cholesky 2>&1 | notes

echo "predictions of a saved model, and their deviations, by its solution"
ntk fit --net 'fc(depth=3)' --train digits/train --diag-reg 1e-3 --solver cg --tolerance 1e-8 --out cg.h5 --quiet
ntk fit --net 'fc(depth=3)' --train digits/train --diag-reg 1e-3 --out cholesky.h5 --quiet
for model in cg cholesky; do
    ntk predict --model $model.h5 --x digits/test --out $model.csv --quiet
    cut -c 1-8 $model.csv | head -3
done

echo "what is wrong"
try $eval --solver gauss --quiet
try $eval --solver cg --loo --quiet
try $eval --solver cg --tolerance 0.5 --quiet
try $eval --solver cg --time 10 --quiet
try $eval --solver cg --rank 0 --quiet
try ntk fit --net 'fc(depth=3)' --train digits/train --solver mixed --factor --out m.h5 --quiet
