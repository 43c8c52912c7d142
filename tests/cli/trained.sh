# SPDX-License-Identifier: MIT
# Parameters know the table that they were trained on: standardisation, columns, classes.
ntk info | grep -q hdf5 || { echo "built without HDF5"; exit 77; }
awk 'BEGIN {
    print "quality,alcohol,ph,sugar"
    for (i = 0; i < 40; i++) {
        a = 10 + 2 * sin(i); p = 3 + cos(2 * i); s = 200 + 100 * sin(3 * i)
        printf "%.4f,%.4f,%.4f,%.4f\n", a / 2 - p + s / 500, a, p, s
    }
}' >wine.csv
awk -F , -v OFS=, '{print $4, $3, $1, (NR == 1 ? "id" : "x" NR), $2}' wine.csv >mixed.csv
cut -d , -f 1,2,4 wine.csv >lacking.csv
tail -n +2 wine.csv | cut -d , -f 2-4 >bare.csv
net='serial(Dense(8, b_std=0.1), Erf(), Dense(1))'
train="ntk train --targets raw --steps 30 --lr 0.005 --quiet"

# The table, standardised by hand.
awk -F , -v OFS=, '
    NR == FNR {for (k = 2; k < 5 && FNR > 1; k++) {n[k]++; sum[k] += $k; square[k] += $k * $k}; next}
    FNR > 1 {for (k = 2; k < 5; k++) {m = sum[k] / n[k]; $k = sprintf("%.17g", ($k - m) / sqrt(square[k] / n[k] - m * m))}}
    {print}' wine.csv wine.csv >by_hand.csv

# What apply gives is what training ended with: half the sum of squares is its loss.
$train --net "$net" --train wine.csv --target quality --json --out p.h5 >train.json
for x in wine mixed bare; do
    try ntk apply --params p.h5 --x $x.csv --out $x.npy
    cmp wine.npy $x.npy && echo "equal"
done
numbers wine.npy 40 f8 | tr ' ' '\n' >f
loss=$(tail -n +2 wine.csv | cut -d , -f 1 | paste - f | awk '{sum += ($1 - $2)^2 / 2} END {print sum}')
between 0.999 "$(awk -v a="$loss" -v b="$(field train.json loss)" 'BEGIN {print a / b}')" 1.001
try ntk apply --params p.h5 --x lacking.csv --out f.npy
$train --net "$net" --train by_hand.csv --target quality --standardize none --out q.h5
ntk apply --params q.h5 --x by_hand.csv --quiet --out f.npy
numbers wine.npy 40 f8 >a
numbers f.npy 40 f8 | cmp - a && echo "as by hand"

# Kernels, the flow from there, and more training are of standardised samples, too.
ntk empirical --params p.h5 --x1 wine.csv --x2 mixed.csv --test-limit 5 --quiet --out k.npy
numbers k.npy 200 f8 >a
ntk empirical --params q.h5 --x1 by_hand.csv --x2 by_hand.csv --test-limit 5 --quiet --out k.npy
numbers k.npy 200 f8 | cmp - a && echo "as by hand"
flow="ntk dynamics --targets raw --times 0,1 --quiet --json"
$flow --params p.h5 --train wine.csv --test mixed.csv | grep -o '"train_mse": [^,]*' >a
$flow --params q.h5 --train by_hand.csv | grep -o '"train_mse": [^,]*' | cut -c 1-20 >b
cut -c 1-20 a | cmp - b && echo "as by hand"
head -n 21 mixed.csv >half.csv
$train --params p.h5 --train half.csv --test wine.csv --json --out r.h5 | grep -o '"loss": .\{8\}' >a
head -n 21 by_hand.csv >half_by_hand.csv
$train --params q.h5 --train half_by_hand.csv --json --out s.h5 | grep -o '"loss": .\{8\}' | cmp - a && echo "as by hand"
ntk apply --params r.h5 --x wine.csv --quiet --out f.npy
numbers f.npy 40 f8 >a
ntk apply --params s.h5 --x by_hand.csv --quiet --out f.npy
numbers f.npy 40 f8 | cmp - a && echo "as by hand"
try ntk train --params p.h5 --train wine.csv --targets raw --standardize none --steps 1 --out f.h5
try ntk train --params q.h5 --train wine.csv --targets raw --standardize feature --steps 1 --out f.h5

# A run that goes on from a checkpoint; and a checkpoint is a file of parameters.
$train --net "$net" --train wine.csv --target quality --steps 10 --checkpoint c.h5 --out f.h5
$train --net "$net" --train mixed.csv --target quality --features alcohol,ph,sugar --checkpoint c.h5 --out f.h5
for params in f c; do
    ntk apply --params $params.h5 --x wine.csv --quiet --out f.npy
    cmp f.npy wine.npy && echo "equal"
done

# What is not known is said: networks that were not trained, or on arrays; files of earlier versions.
ntk init --net "$net" --input-shape 3 --out i.h5 >init.out
try ntk apply --params i.h5 --x bare.csv --target none --out f.npy
formats=$root/tests/golden/formats
ntk apply --params "$formats/trained-2.h5" --x "$formats/samples.csv" --out f.npy 2>&1 | sed "s|$formats/||g"

# What a file knows.
try ntk info --params p.h5
try ntk info --params q.h5 | grep standardisation
try ntk info --params i.h5
awk -F , -v OFS=, '{$1 = NR == 1 ? "\"kind, of wine\"" : NR % 2 ? "red" : "white"; print}' wine.csv >kinds.csv
ntk fit --net 'fc()' --train kinds.csv --target '"kind, of wine"' --diag-reg 1e-2 --quiet --out m.h5
try ntk info --model m.h5
try ntk info --model m.h5 --json
try ntk info --model p.h5
try ntk info --model m.h5 --params p.h5
