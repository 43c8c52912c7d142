# SPDX-License-Identifier: MIT
# Fit and test: the report, its JSON, and that the numbers hang together.
digits="--train digits/train --test digits/test --quiet"
try ntk eval --net 'fc(depth=3)' $digits --diag-reg 1e-4 --loo

ntk eval --net 'fc(depth=3)' $digits --train-limit 300 --loo --json >ntk.json
cat ntk.json
between 0.85 "$(field ntk.json accuracy)" 0.97
between 0.90 "$(field ntk.json loo_accuracy)" 1
awk -v low="$(field ntk.json lambda_min)" -v high="$(field ntk.json lambda_max)" \
    -v c="$(field ntk.json condition)" -v rate="$(field ntk.json max_learning_rate)" 'BEGIN {
    ok = low > 0 && c > 1 && (r = c * low / high) > 0.999 && r < 1.001 && (r = rate * high / 2) > 0.999 && r < 1.001
    print ok ? "the spectrum agrees" : "the spectrum disagrees"
}'

# Bayesian network, float32, several nets.
ntk eval --net 'fc(depth=1)' $digits --train-limit 300 --get nngp --json >nngp.json
between 0.85 "$(field nngp.json accuracy)" 0.97
ntk eval --net 'fc(depth=3)' $digits --train-limit 300 --dtype float32 --json >f32.json
awk -v a="$(field f32.json mse)" -v b="$(field ntk.json mse)" 'BEGIN {
    d = a - b
    result = (d < 1e-5 && d > -1e-5) ? "float32 agrees" : "float32: " a " against " b
    print result
}'
try ntk eval --net 'fc(depth=1)' --net 'Dense(1, b_std=0.1)' $digits --diag-reg 0.01 --json

# Training for a while; at time 0 the predictions are 0 and the error is the targets' variance.
try ntk eval --net 'fc(depth=1)' $digits --train-limit 100 --time 0 --json
ntk eval --net 'fc(depth=1)' $digits --train-limit 300 --time 1e9 --json >late.json
ntk eval --net 'fc(depth=1)' $digits --train-limit 300 --json >end.json
awk -v a="$(field late.json mse)" -v b="$(field end.json mse)" 'BEGIN {
    d = a - b
    result = (d < 1e-6 && d > -1e-6) ? "late time agrees" : "late: " a " against " b
    print result
}'

# Regression: y = 2 a - b + 1 is learnt exactly by a linear net with a bias.
awk 'BEGIN {
    print "a,b,y"
    for (i = 0; i < 20; i++) printf "%.6f,%.6f,%.6f\n", sin(i), cos(2 * i), 2 * sin(i) - cos(2 * i) + 1
}' >line.csv
try ntk eval --net 'Dense(1, b_std=1)' --train line.csv --test line.csv --targets raw --diag-reg 1e-9
ntk eval --net 'Dense(1, b_std=1)' --train line.csv --test line.csv --targets raw --diag-reg 1e-9 --json >line.json
between 0 "$(field line.json mse)" 1e-10
try ntk eval --net 'Dense(1, b_std=1)' --train line.csv --test line.csv

# Labels of a table; the target column by name.
two_classes 40 >two.csv
try ntk eval --net 'fc(depth=1)' --train two.csv --test two.csv --target label --diag-reg 1e-6 --quiet
try ntk eval --net 'fc(depth=1)' --train two.csv --test two.csv --target colour
