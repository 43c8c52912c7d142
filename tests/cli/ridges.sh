# SPDX-License-Identifier: MIT
# --diag-reg: several ridges from one kernel, a row each, as one by one; auto: that of the least leave-one-out error.
digits="--train digits/train --test digits/test --train-limit 200 --test-limit 100 --quiet"
eval="ntk eval $digits --net fc(depth=3)"

echo "a row each, which are those of single fits"
try $eval --diag-reg 1e-4,0.01,10 --loo
awk 'BEGIN {
    print "a,b,y"
    for (i = 0; i < 30; i++)
        printf "%.6f,%.6f,%.6f\n", sin(i), cos(2.3 * i), 2 * sin(i) - cos(2 * i) + 2 * sin(9 * i * i)
}' >line.csv
regression="ntk eval --net fc(depth=1) --train line.csv --test line.csv --targets raw --quiet"
try $regression --diag-reg 0.01,0.1 --loo
try $regression --diag-reg 0.1,0.01 --absolute

# Objects of JSON, without seconds and eigenvalues (which are good to 1e-3), of both ways to leave-one-out (a factorisation each, one eigen-decomposition) and at finite times.
objects() {
    sed 's/}, {"net"/}\n{"net"/g; s/^\[//; s/\]$//' "$1" |
        sed 's/"lambda_min".*"max_learning_rate": [^,]*, //; s/"solver": "[a-z]*", //; s/"seconds": {[^}]*}, //'
}
same() {
    awk -v tolerance="$1" '
    function numbers(line, into) {
        gsub(/[^-+.e0-9]+/, " ", line)
        return split(line, into, " ")
    }
    NR == FNR {one[FNR] = $0; lines = FNR; next}
    {
        n = numbers($0, x)
        if (n != numbers(one[FNR], y)) bad = 1
        for (k = 1; k <= n; k++) {
            d = x[k] - y[k]
            size = y[k] < 0 ? -y[k] : y[k]
            if (d > tolerance * (size + 1e-3) || -d > tolerance * (size + 1e-3)) bad = 1
        }
    }
    END {
        result = bad || FNR != lines ? "they differ" : FNR " rows, the same"
        print result
    }' "$2" "$3"
}
one_by_one() {
    ridges=$1 tolerance=$2
    shift 2
    for net in 'fc(depth=3)' 'fc(depth=1)'; do
        for ridge in $(echo "$ridges" | tr , ' '); do
            ntk eval --net "$net" "$@" --diag-reg "$ridge" --json
        done
    done >single.json
    ntk eval --net 'fc(depth=3)' --net 'fc(depth=1)' "$@" --diag-reg "$ridges" --json >several.json
    objects single.json >one && objects several.json >many
    same "$tolerance" one many
}
one_by_one 1e-4,1e-2,1 1e-9 $digits
one_by_one 1e-4,1e-2,1 1e-9 $digits --loo --get nngp
one_by_one 1e-5,1e-4,1e-3,1e-2,1e-1,1 1e-6 $digits --loo
one_by_one 1e-4,1e-2 1e-6 $digits --time 10

echo "the kernel is computed once"
$eval --diag-reg 1e-6,1e-4,1e-2 --kernel T.h5 --json >stored.json
rm T.h5
ntk eval --net 'fc(depth=3)' --train digits/train --test digits/test --train-limit 200 --diag-reg 1e-6,1e-4 --kernel T.h5 2>&1 >/dev/null |
    grep -c tiles

echo "auto"
sources="--train line.csv --targets raw --net fc(depth=1)"
noisy="ntk eval $sources --test line.csv"
try $noisy --diag-reg auto --quiet
try $noisy --diag-reg auto --json
$noisy --diag-reg auto --json --loo --quiet >chosen.json
grid=$(awk 'BEGIN {for (k = 0; k < 25; k++) printf "%s%.10g", k ? "," : "", exp(log(10) * (-9 + 10 * k / 24))}')
$noisy --diag-reg "$grid" --json --loo --quiet >all.json
objects all.json | awk -v chosen="$(field chosen.json diag_reg)" '
    function value(name, text) {
        text = $0
        sub(".*\"" name "\": ", "", text)
        return text + 0
    }
    {
        if (NR == 1 || value("loo_mse") <= least) {least = value("loo_mse"); best = value("diag_reg")}
    }
    END {
        r = best / chosen
        result = NR == 25 && r > 0.999 && r < 1.001 ? "the best of 25" : "not the best: " chosen " against " best
        print result
    }'
fit="ntk fit $sources --out model.h5"
try $fit --diag-reg auto
$fit --diag-reg auto --json --quiet >fit.json
[ "$(field fit.json diag_reg)" = "$(field chosen.json diag_reg)" ] && echo "fit chooses the same"
$fit --diag-reg "$(field chosen.json diag_reg)" --quiet
ntk predict --model model.h5 --x line.csv --out given.npy --quiet
$fit --diag-reg auto --quiet
ntk predict --model model.h5 --x line.csv --out chosen.npy --quiet
[ "$(numbers given.npy 30 f8)" = "$(numbers chosen.npy 30 f8)" ] && echo "the same predictions"
dynamics="ntk dynamics $sources --times 1,inf"
try $dynamics --diag-reg auto
$dynamics --diag-reg auto --json --quiet >flow.json
[ "$(field flow.json diag_reg)" = "$(field chosen.json diag_reg)" ] && echo "dynamics chooses the same"

echo "refused"
for ridges in '' , 1e-3, ,1e-3 1e-3,,1 1e-3,-1 -1 minus 1e-3,x 1e-3,nan inf 1e-3,auto auto,1 Auto; do
    try $eval --diag-reg "$ridges" 2>&1 | grep -v "^try\|^\\$"
done
try $fit --diag-reg 1e-3,1e-2
try $fit --diag-reg 1e-3,
try $dynamics --diag-reg 1e-3,1e-2
try $dynamics --diag-reg auto --momentum 0.5
try $dynamics --diag-reg 0.0 --momentum 0.5 --times 1 --quiet
sed 5p line.csv >twice.csv
try ntk eval --train twice.csv --test line.csv --targets raw --net 'fc(depth=1)' --diag-reg 1e-2,0 --quiet
