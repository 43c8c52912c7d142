# SPDX-License-Identifier: MIT
# --weights and --noise: what is added to the diagonal for a sample is (ridge + noise) / weight; 0 leaves it out.
net='fc(depth=2)'
# 15 rows, of which number 3 has the weight 2, 5 and 11 have none; with "copies" each is there as often as its weight.
rows() {
    awk -v copies="${1:-}" 'BEGIN {
        print "a,w,b,s,y"
        for (i = 0; i < 15; i++) {
            w = i == 3 ? 2 : i == 5 || i == 11 ? 0 : 1
            for (k = 0; k < (copies ? w : 1); k++)
                printf "%.6f,%s,%.6f,0.25,%.6f\n", sin(i), w, cos(2.3 * i), 2 * sin(i) - cos(2 * i) + sin(9 * i * i)
        }
    }'
}
rows >all.csv
rows copies >copies.csv
raw="--target y --targets raw --standardize none --net $net --quiet"
predictions() {
    ntk fit --train "$@" $raw --out model.h5 && ntk predict --model model.h5 --x all.csv --out f.npz --std --quiet &&
        ntk predict --model model.h5 --x all.csv --out f.npy --quiet && numbers f.npy 15 f8
    ntk predict --model model.h5 --x all.csv --out f.csv --std --quiet && cut -d , -f 2 f.csv
}
# Whether two fits predict the same, in mean and deviation.
agree() {
    what=$1 one=$2 other=$3
    predictions $one >one.txt
    predictions $other >other.txt
    awk -v what="$what" '
    NR == FNR {line[FNR] = $0; next}
    {
        n = split($0, x, " ")
        if (n != split(line[FNR], y, " ")) bad = 1
        for (k = 1; k <= n; k++) {
            d = x[k] - y[k]
            if (d > 2e-6 || -d > 2e-6) bad = 1
        }
    }
    END {
        result = bad || FNR != 17 ? "they differ" : "the same"
        print what ": " result
    }' one.txt other.txt
}
for get in ntk nngp; do
    agree "a row twice, another left out, $get" "all.csv --weights w --drop s --get $get --diag-reg 0.02 --absolute" \
        "copies.csv --drop w,s --get $get --diag-reg 0.02 --absolute"
done
agree "noise with weights" "all.csv --weights w --noise s" "copies.csv --drop w --noise s"
agree "equal noise is an absolute ridge" "all.csv --noise s --drop w" "all.csv --drop s,w --diag-reg 0.25 --absolute"
agree "noise beside a ridge" "all.csv --noise 3 --drop w --diag-reg 0.5 --absolute" "all.csv --drop s,w --diag-reg 0.75 --absolute"
agree "columns by their numbers" "all.csv --weights 1 --noise 3" "all.csv --weights w --noise s"

raw="--target y --targets raw --net $net --quiet"
agree "the same, standardised" "all.csv --weights w --drop s --diag-reg 0.02 --absolute" \
    "copies.csv --drop w,s --diag-reg 0.02 --absolute"
awk -F , -v OFS=, '$2 == "0" {$1 = 1e6; $3 = -1e6} 1' all.csv >far.csv
agree "numbers in a row that is left out" "far.csv --weights w --noise s" "all.csv --weights w --noise s"
raw="$raw --standardize none"

echo "what eval says: a row of weight 0 is not there, but for the number of samples"
awk -F , '$2 != 0' all.csv >left.csv
eval="ntk eval --test all.csv $raw --loo"
$eval --train all.csv --weights w --drop s --diag-reg 0.02 --absolute | grep -v '^seconds' >one
try cat one
awk -F , -v OFS=, '$2 != "w" {$2 = $2 * 2} 1' all.csv >double.csv
$eval --train double.csv --weights w --drop s --diag-reg 0.04 --absolute | grep -v '^seconds' | diff - one && echo "the same"
sed 's/^\([^,]*\),2,/\1,1,/' all.csv >ones.csv
$eval --train ones.csv --weights w --drop s --diag-reg 0.02 | grep -v '^s[ea]' >one
$eval --train left.csv --drop w,s --diag-reg 0.02 | grep -v '^s[ea]' | diff - one && echo "the same"
try $eval --train all.csv --weights w --drop s --diag-reg 0.02,0.2,2 --absolute | sed 's/^seconds.*/seconds/'
try $eval --train all.csv --weights w --noise s --diag-reg auto | sed 's/^seconds.*/seconds/'
ntk fit --train all.csv --weights w --noise s $raw --diag-reg auto --out model.h5 --json | sed 's/, "seconds".*//'

echo "which columns they are, by name"
named="ntk eval --target y --targets raw --net Dense(1) --test all.csv --train all.csv --diag-reg 1"
$named --weights 1 --noise s 2>&1 | grep '^ntk'
$named --weights w --noise 3 --json --quiet | tr '{' '\n' | grep 'all.csv'

echo "refused"
rm model.h5
for row in '-1' 'x' '' 'inf'; do
    sed "6s/,1,/,$row,/" all.csv >bad.csv
    try $eval --train bad.csv --weights w --drop s 2>&1 | grep -v '^\$'
    sed "6s/,0.25,/,$row,/" all.csv >bad.csv
    try $eval --train bad.csv --noise s --drop w 2>&1 | grep -v '^\$'
done
sed 's/^\([^,]*\),[12],/\1,0,/' all.csv >zero.csv
ntk="ntk fit --target y --targets raw --net Dense(1) --quiet --out model.h5"
try $ntk --train zero.csv --weights w --drop s
try $ntk --train all.csv --weights weight
try $ntk --train all.csv --weights w --noise w
try $ntk --train all.csv --weights y
try $ntk --train all.csv --weights w --drop w
try $ntk --train all.csv --noise a --features a,b
try ntk fit --train digits/train --train-limit 50 --net 'Dense(1)' --quiet --out model.h5 --weights w
try $eval --train all.csv --weights w --drop s --time 1
try ntk dynamics --train all.csv --noise s --drop w $raw --times 1
try ntk dynamics --train all.csv --weights w --drop s $raw --times 1 --momentum 0.5
ls model.h5 2>&1 | grep -c 'No such file'
