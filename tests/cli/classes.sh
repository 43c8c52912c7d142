# SPDX-License-Identifier: MIT
# Classes are the distinct labels, numbers or words; predictions as CSV, with probabilities.
ntk info | grep -q hdf5 || { echo "built without HDF5"; exit 77; }
awk 'BEGIN {
    split("setosa virginica versicolor", name, " ")
    print "length,width,kind"
    for (i = 0; i < 30; i++) {
        k = i % 3
        printf "%.4f,%.4f,%s\n", k + 0.3 * sin(7 * i), (k == 1) + 0.3 * cos(5 * i), name[k + 1]
    }
}' >iris.csv
try ntk fit --net 'fc(depth=2)' --train iris.csv --diag-reg 1e-2 --out m.h5
try ntk predict --model m.h5 --x iris.csv --out y.csv
head -n 3 y.csv | cut -c 1-70
cut -d , -f 1 y.csv | tail -n +2 >chosen
cut -d , -f 3 iris.csv | tail -n +2 | cmp - chosen && echo "all right"
try ntk predict --model m.h5 --x iris.csv --proba --std --out p.csv --quiet
head -n 1 p.csv
awk -F , 'NR > 1 {
    s = $2 + $3 + $4
    if (s < 0.999999 || s > 1.000001) print "sum", s
    if ($(($1 == "setosa") ? 2 : ($1 == "versicolor") ? 3 : 4) < 0.34) print "not the largest", $0
}' p.csv
cut -d , -f 1 p.csv | tail -n +2 | cmp - chosen && echo "the same classes"
try ntk predict --model m.h5 --x iris.csv --proba --std --out p.npz --quiet
grep -a -o '[a-z]*\.npy' p.npz | sort -u
# In an archive their names are UTF-32, one after the other (docs/cli.md).
unicode() { tr -d '\0' <"$1" | grep -a -o "$2" | head -n 1; }
unicode p.npz setosaversicolorvirginica
ntk predict --model m.h5 --x iris.csv --out p.h5 --quiet
tr -s '\0' ' ' <p.h5 | grep -a -o 'setosa versicolor *virginica'
# So has what a finite network makes of them.
net='serial(Dense(4), Erf(), Dense(3))'
ntk train --net "$net" --train iris.csv --steps 2 --record r.npz --out f.h5 --quiet
ntk apply --params f.h5 --x iris.csv --out a.npz --quiet
ntk empirical --params f.h5 --x1 iris.csv --diagonal --out e.npz --quiet
ntk dynamics --params f.h5 --train iris.csv --times 1 --out d.npz --quiet | wc -l
for file in r a e d; do unicode $file.npz setosaversicolorvirginica; done
ntk empirical --params f.h5 --x1 iris.csv --out e.npz --quiet
unicode e.npz 'k\.npy\|classes'
# A class that was not there in training, and labels beside the features.
{ cat iris.csv; echo 0.5,0.5,rosa; } >more.csv
try ntk predict --model m.h5 --x more.csv --out y.csv
cut -d , -f 1,2 iris.csv >features.csv
try ntk predict --model m.h5 --x features.csv --out y.csv --json
try ntk eval --net 'fc(depth=2)' --train iris.csv --test more.csv --diag-reg 1e-2 --quiet

# Numbers: 1 to 3, and a label that must not need memory for its size.
numbers() { sed "s/setosa/$1/; s/virginica/$2/; s/versicolor/$3/" iris.csv >n.csv; }
numbers 1 2 3
ntk eval --net 'fc(depth=2)' --train n.csv --test n.csv --diag-reg 1e-2 --json --quiet | grep -o '"accuracy": [^,]*\|"classes": .*\]}' | head -2
numbers -1 0.5 200000002
try ntk fit --net 'fc(depth=2)' --train n.csv --diag-reg 1e-2 --out n.h5
try ntk fit --net 'fc(depth=2)' --train n.csv --diag-reg 1e-2 --targets onehot --memory 200M --out n.h5
try ntk predict --model n.h5 --x n.csv --out y.csv
head -n 2 y.csv | cut -c 1-50
try ntk predict --model n.h5 --x n.csv --out y.npz --quiet
grep -a -o '[a-z]*\.npy' y.npz | sort -u

# Digits have ten classes, however few of them are there.
ntk eval --net 'fc()' --train digits/train --train-limit 5 --test digits/test --json --quiet >five.json
grep -o '"classes": [^]]*\]' five.json

# Regression that was not asked for; and that was.
awk 'BEGIN {print "a,price"; for (i = 0; i < 50; i++) print i * i % 17 ".5," 3 * i}' >price.csv
try ntk fit --net 'fc()' --train price.csv --out r.h5
try ntk fit --net 'fc()' --train price.csv --targets raw --diag-reg 1 --out r.h5
try ntk predict --model r.h5 --x price.csv --std --out y.csv --quiet
head -n 1 y.csv
ntk predict --model r.h5 --x price.csv --out y.npz --quiet
unicode y.npz 'targets\.npy'
unicode y.npz price
try ntk predict --model r.h5 --x price.csv --proba --out y.csv
try ntk fit --net 'fc()' --train iris.csv --targets raw --out r.h5
awk 'BEGIN {print "a,y"; for (i = 0; i < 600; i++) print i ".5," i % 300}' >many.csv
try ntk fit --net 'fc()' --train many.csv --targets onehot --memory 1M --out r.h5
# Two identifiers that are one number in float64 would be one class.
printf 'a,b,id\n1.5,2,9007199254740992\n2,1.5,9007199254740993\n3,0.5,9007199254740992\n' >large.csv
try ntk fit --net 'fc()' --train large.csv --diag-reg 0.1 --out large.h5
