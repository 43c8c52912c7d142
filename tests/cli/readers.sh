# SPDX-License-Identifier: MIT
# One table in all the ways that it may be written as text: the same results, standardised alike.
net='fc(depth=1)'
two_classes 20 >table.csv
result() { ntk eval --net "$net" --train "$1" --test "$2" --diag-reg 1e-3 --quiet 2>&1 | grep -v seconds; }
result table.csv table.csv >want.txt
grep accuracy want.txt
same() {
    result "$1" table.csv >found.txt
    if cmp -s found.txt want.txt; then echo "$1: the same"; else echo "$1:" && cat found.txt; fi
}
cp table.csv TABLE.CSV
cp table.csv table.data
tr , '\t' <table.csv >table.tsv
tr , ' ' <table.csv >blanks.txt
tr , ';' <table.csv >semicolons.csv
tr , '|' <table.csv >bars.csv
tr '\n' '\r' <table.csv >returns.csv
{ echo 'sep=,' && cat table.csv; } >sep.csv
{ printf '# ' && cat table.csv; } >savetxt.txt
sed 's/$/,/' table.csv >trailing.csv
gzip <table.csv >table.csv.gz
gzip <blanks.txt >packed
for f in TABLE.CSV table.data table.tsv blanks.txt semicolons.csv bars.csv returns.csv sep.csv savetxt.txt \
    trailing.csv table.csv.gz packed; do
    same "$f"
done
for f in table.csv table.csv.gz blanks.txt; do
    ntk kernel --net "$net" --x1 - --target none --out piped.npy --quiet <$f
    ntk kernel --net "$net" --x1 $f --target none --out named.npy --quiet
    cmp piped.npy named.npy && echo "$f: the same from standard input"
done

# What is not read says what it is.
printf '\377\3761\000,\0002\000\n\000' >utf16.csv
try ntk kernel --net "$net" --x1 utf16.csv --out K.npy
printf 'PAR1....' >table.parquet
try ntk kernel --net "$net" --x1 table.parquet --out K.npy
printf '1,5;2,5\n3,5;4,5\n' >decimal.csv
try ntk kernel --net "$net" --x1 decimal.csv --out K.npy
printf '1,2\n3,?\n' >missing.csv
try ntk kernel --net "$net" --x1 missing.csv --out K.npy
head -c 60 table.csv.gz >cut.csv.gz
try ntk kernel --net "$net" --x1 cut.csv.gz --out K.npy

# Images as PyTorch has them: a note.
conv="serial(Conv(1, (3, 3), padding='SAME'), Relu(), GlobalAvgPool(), Dense(1))"
npy() {
    printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (2, $1), }"
    yes 12345 | head -c 216
}
npy '3, 6, 6' >first.npy
npy '6, 6, 3' >last.npy
try ntk kernel --net "$conv" --x1 first.npy --out K.npy
try ntk kernel --net "$conv" --x1 last.npy --out K.npy
try ntk kernel --net "$net" --x1 first.npy --out K.npy
try ntk init --net "$conv" --input-shape 3,6,6 --out params.h5
