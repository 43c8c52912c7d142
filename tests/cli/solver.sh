# SPDX-License-Identifier: MIT
# --solver: the same answers by each, to what they say of themselves; one that memory chooses; what they lack.
eval="ntk eval --net fc(depth=3) --train digits/train --test digits/test --diag-reg 1e-3"
notes() { grep -v 'flattened'; }

echo "the same accuracy and error, to six digits"
for solver in "cholesky" "mixed" "cg --tolerance 1e-9" "cg --rank 400" "lanczos"; do
    # shellcheck disable=SC2086
    $eval --solver $solver 2>&1 | grep -E 'accuracy|mean squared|steps|likelihood'
done

echo "kept in each type, and not at all: the same to what entries lose"
for triangle in float64 float32 int16 none; do
    $eval --solver cg --tolerance 1e-8 --triangle $triangle 2>&1 | grep -E 'accuracy|squared|entries'
done

echo "a likelihood that is estimated, within four standard errors of -4199.3"
$eval --solver cg --evidence --json --quiet >evidence.json
error=$(field evidence.json log_likelihood_error)
between "$(awk -v e="$error" 'BEGIN {print -4199.3 - 4 * e}')" "$(field evidence.json log_likelihood)" \
    "$(awk -v e="$error" 'BEGIN {print -4199.3 + 4 * e}')"
between 1 "$error" 100
between 5 "$(field evidence.json iterations)" 60
between 1e-5 "$(field evidence.json residual)" 1e-3

echo "infinite times by any solver"
for solver in cg mixed; do
    ntk dynamics --net 'fc(depth=3)' --train digits/train --test digits/test --diag-reg 1e-3 --times inf --solver $solver \
        --tolerance 1e-8 --quiet
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
try $eval --solver cg --diag-reg auto --quiet
try $eval --solver cg --triangle float16 --quiet
try $eval --solver cg --dtype float32 --triangle float64 --quiet
try ntk dynamics --net 'fc(depth=3)' --train digits/train --times 1,inf --solver cg --quiet
try ntk dynamics --net 'fc(depth=3)' --train digits/train --times inf --solver cg --loss xent --quiet
try $eval --solver cg --tolerance 0.5 --quiet
try $eval --solver cg --time 10 --quiet
try $eval --solver cg --rank 0 --quiet
try ntk fit --net 'fc(depth=3)' --train digits/train --solver mixed --factor --out m.h5 --quiet
