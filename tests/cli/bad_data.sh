# SPDX-License-Identifier: MIT
# Files that are missing, broken or do not fit together.
net='fc(depth=1)'
eval_on() { try ntk eval --net "$net" --train "$1" --test "$2" --quiet; }
two_classes 8 >good.csv

try ntk eval --net "$net" --train missing.csv --test good.csv
try ntk eval --net "$net" --train missing.npy --test good.csv
try ntk eval --net "$net" --train digits/validation --test digits/test
try ntk eval --net "$net" --train cifar10:nowhere/train --test digits/test
mkdir empty
try ntk eval --net "$net" --train mnist:empty/train --test mnist:empty/test
try ntk eval --net "$net" --train good --test good.csv

: >empty.csv
eval_on empty.csv good.csv
echo a,b,label >header.csv
eval_on header.csv good.csv
printf 'a,b,label\n1,2,0\n3,4\n' >ragged.csv
eval_on ragged.csv good.csv
printf 'a,b,label\n1,2,0\n3,nan,1\n' >nan.csv
eval_on nan.csv good.csv
eval_on good.csv nan.csv
printf 'a,b,label\n1,inf,0\n3,4,1\n' >inf.csv
eval_on inf.csv good.csv
printf 'a,b,label\n1,2,0\n3,four,1\n' >word.csv
eval_on word.csv good.csv
printf 'a,b,label\n1,2,0\n3,4,1.5\n' >half.csv
eval_on half.csv good.csv
printf 'a,c,label\n1,2,0\n3,4,1\n' >other.csv
eval_on good.csv other.csv
try ntk kernel --net "$net" --x1 good.csv --x2 other.csv --out K.npy
printf '1,2,3,0\n3,4,5,1\n' >wide.csv
eval_on good.csv wide.csv
eval_on good.csv digits/test
cut -d , -f 1,2 good.csv >unlabelled.csv
try ntk eval --net "$net" --train unlabelled.csv --test good.csv --target none
ntk kernel --net 'Dense(1)' --x1 good.csv --out x.npy --quiet
try ntk eval --net "$net" --train x.npy --test x.npy
try ntk eval --net "$net" --train x.npy --test x.npy --targets raw

# Arrays: cut short, of a wrong type, not an array.
head -c 150 x.npy >cut.npy
try ntk kernel --net "$net" --x1 cut.npy --out K.npy
sed 's/<f8/<c8/' x.npy >complex.npy
try ntk kernel --net "$net" --x1 complex.npy --out K.npy
cp good.csv text.npy
try ntk kernel --net "$net" --x1 text.npy --out K.npy
cp good.csv text.npz
try ntk kernel --net "$net" --x1 text.npz --out K.npy

# Standard input.
ntk kernel --net "$net" --x1 - --target none --out piped.npy --quiet <good.csv
ntk kernel --net "$net" --x1 good.csv --target none --out named.npy --quiet
cmp piped.npy named.npy && echo "equal from standard input"
[ -e K.npy ] && echo "K.npy is there"
exit 0
