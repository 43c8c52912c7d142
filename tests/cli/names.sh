# SPDX-License-Identifier: MIT
# Columns are matched by name: reordered, with others beside them, without the target; a missing one is refused.
ntk info | grep -q hdf5 || { echo "built without HDF5"; exit 77; }
awk 'BEGIN {
    print "quality,alcohol,ph,sugar"
    for (i = 0; i < 40; i++) {
        a = 10 + 2 * sin(i); p = 3 + cos(2 * i); s = 2 + 2 * sin(3 * i)
        printf "%.4f,%.4f,%.4f,%.4f\n", a / 2 - p + s / 5, a, p, s
    }
}' >wine.csv
awk -F , -v OFS=, '{print $4, $3, $1, (NR == 1 ? "id" : "x" NR), $2}' wine.csv >mixed.csv
cut -d , -f 2-4 wine.csv >features.csv
cut -d , -f 1,2,4 wine.csv >lacking.csv
tail -n +2 wine.csv >bare.csv
tail -n +2 features.csv >bare_features.csv
try ntk fit --net 'fc(depth=2)' --train wine.csv --target quality --targets raw --diag-reg 1e-4 --out m.h5
try ntk predict --model m.h5 --x wine.csv --out wine.npy --json --quiet
ntk predict --model m.h5 --x wine.csv --out wine.npy --json --quiet >predict.json
between 0 "$(field predict.json rmse)" 0.05
for x in mixed features bare bare_features; do
    try ntk predict --model m.h5 --x $x.csv --out $x.npy
    cmp wine.npy $x.npy && echo "equal"
done
try ntk predict --model m.h5 --x lacking.csv --out Y.npy
cut -d , -f 2-3 bare.csv >short.csv
try ntk predict --model m.h5 --x short.csv --out Y.npy

# eval and kernel: the second table as the first.
head -n 21 wine.csv >train.csv
fit="--net fc(depth=2) --train train.csv --target quality --targets raw --diag-reg 1e-4 --json --quiet"
ntk eval $fit --test wine.csv >a.json
ntk eval $fit --test mixed.csv >b.json
[ "$(field a.json mse)" = "$(field b.json mse)" ] && echo "eval says the same"
try ntk eval $fit --test lacking.csv
try ntk eval $fit --test features.csv
ntk kernel --net 'fc()' --x1 wine.csv --target quality --x2 wine.csv --out K1.npy --quiet
try ntk kernel --net 'fc()' --x1 wine.csv --target quality --x2 mixed.csv --out K2.npy
cmp K1.npy K2.npy && echo "equal"
try ntk kernel --net 'fc()' --x1 wine.csv --x2 lacking.csv --out K2.npy
try ntk kernel --net 'fc()' --x1 wine.csv --target ph,quality --drop sugar --out K.npy
try ntk kernel --net 'fc()' --x1 mixed.csv --target none --features ph,alcohol --out K.npy

# A finite network keeps the columns that it was trained on.
net='serial(Dense(8), Erf(), Dense(1))'
ntk train --net "$net" --train wine.csv --target quality --targets raw --standardize none --steps 3 --out p.h5 --quiet
for x in wine mixed features bare_features; do
    try ntk apply --params p.h5 --x $x.csv --out $x.npy
    cmp wine.npy $x.npy && echo "equal"
done
try ntk apply --params p.h5 --x lacking.csv --out F.npy
try ntk apply --params p.h5 --x wine.csv --drop ph --out F.npy
ntk empirical --params p.h5 --x1 wine.csv --x2 mixed.csv --out E.npy --quiet
ntk empirical --params p.h5 --x1 wine.csv --x2 features.csv --out E2.npy --quiet
cmp E.npy E2.npy && echo "equal"
more="--targets raw --standardize none --steps 6 --quiet --json"
ntk train --params p.h5 --train wine.csv $more --out q.h5 | grep -o '"loss": [^,]*' >loss
ntk train --params p.h5 --train mixed.csv $more --out q.h5 | grep -o '"loss": [^,]*' | cmp - loss && echo "equal"

# Several targets, and a header of numbers, as pandas writes it.
try ntk eval --net 'fc()' --train train.csv --test mixed.csv --target quality,ph --targets raw --diag-reg 1e-3 --quiet
printf '0,1,2\n5,3,0\n6,1,1\n2,3,1\n9,9,0\n' >pandas.csv
try ntk kernel --net 'fc()' --x1 pandas.csv --out K.npy
try ntk kernel --net 'fc()' --x1 pandas.csv --header no --out K.npy
try ntk kernel --net 'fc()' --x1 pandas.csv --header maybe --out K.npy
printf ',a,y\n0,3,0\n1,1,0\n2,3,0\n' >index.csv
try ntk kernel --net 'fc()' --x1 index.csv --out K.npy
try ntk kernel --net 'fc()' --x1 index.csv --drop 'Unnamed: 0' --out K.npy

# Commas part names, but not within quotes, nor if the list is a name.
printf '"a,b",a,b,y\n0.5,3,1,0\n2,1,2,0.5\n0.25,3,3,0.75\n' >commas.csv
try ntk kernel --net 'fc()' --x1 commas.csv --features a,b --out K.npy
try ntk kernel --net 'fc()' --x1 commas.csv --features '"a","b"' --out K.npy
try ntk kernel --net 'fc()' --x1 commas.csv --features 'b,"a,b"' --target 'y,a' --out K.npy
try ntk kernel --net 'fc()' --x1 commas.csv --drop '"a,b",1' --out K.npy
try ntk kernel --net 'fc()' --x1 commas.csv --drop 'b,"a,b' --out K.npy
# Two columns of one name: which is meant?
printf 'a,a,y,y\n7,2,0,1\n3,1,1,1\n5,5,1,0\n' >twins.csv
for option in "--drop a" "--target y" "--features a,y" "" "--target 2"; do
    try ntk fit --net 'fc()' --train twins.csv --diag-reg 0.1 --out t.h5 --quiet $option
done
# Where it is said, this is a warning, of columns that are used.
ntk fit --net 'fc()' --train twins.csv --diag-reg 0.1 --out t.h5 --target 2 --features 0 2>&1 | grep warning
try ntk predict --model t.h5 --x twins.csv --out Y.csv
cut -d , -f 2-4 twins.csv >targets.csv
ntk fit --net 'fc()' --train targets.csv --diag-reg 0.1 --out t.h5 --target 1 --drop 2 2>&1 | grep warning
try ntk predict --model t.h5 --x targets.csv --out Y.csv
try ntk predict --model t.h5 --x targets.csv --out Y.csv --target 1
try ntk predict --model t.h5 --x targets.csv --out Y.csv --target none
# Wide tables are matched in a moment: 100,000 columns took half a minute.
awk 'BEGIN {for (i = 0; i < 100000; i++) printf "%sc%d", i ? "," : "", i; print ",y"
            for (k = 1; k < 3; k++) {for (i = 0; i < 100000; i++) printf "%d,", k + i % 3; print k}}' >wide.csv
try timeout 20 ntk kernel --net 'fc()' --x1 wide.csv --x2 wide.csv --out W.npy --quiet
