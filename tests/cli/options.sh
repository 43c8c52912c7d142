# SPDX-License-Identifier: MIT
# How options are read: before or after arguments, with = or a blank, and what is refused.
try ntk
try ntk kernal
try ntk nets fc --quiet | head -n 3
try ntk nets --quiet -- fc | head -n 3
try ntk nets fc twice
two_classes 4 >four.csv
try ntk kernel --net=Dense\(1\) --x1 four.csv --out=K.npy --quiet
try ntk eval --trian four.csv
try ntk eval --xyzzy
try ntk eval --net
try ntk eval --json=yes
try ntk eval --train-limit 0
try ntk eval --train-limit 3.5
try ntk eval --diag-reg minus
try ntk eval --diag-reg -1
try ntk info --threads 0
try ntk info --threads 4000
try ntk info --memory lots
try ntk info --memory 1e30T
try ntk info --isa mmx
for option in "get neither" "dtype float16" "standardize rows" "targets twohot"; do
    try ntk eval --net 'fc()' --train four.csv --test four.csv --$option
done
try ntk eval --net 'fc()' --train four.csv --test four.csv --get both
try ntk eval --train four.csv --test four.csv
try ntk eval --net 'fc()' --test four.csv
try ntk eval --net 'fc()' --train four.csv
try ntk kernel --net 'fc()' --out K.npy
try ntk kernel --net 'fc()' --x1 four.csv
try ntk predict --x four.csv --out Y.npy
try ntk predict --model model.h5 --x four.csv --out Y.txt
try ntk predict --model model.h5 --x four.csv --out Y.npy --std
try ntk dynamics --net 'fc()' --train four.csv --out F.npz
try ntk dynamics --net 'fc()' --train four.csv --out F.npz --times 1,two
try ntk dynamics --net 'fc()' --train four.csv --out F.npz --times 1 --loss hinge
try ntk bench nothing
try ntk apply --train-limit 3
# A list of columns that is given twice would be half forgotten.
try ntk eval --drop a --drop=b
try ntk info --memory 0.5
try ntk info --threads 4294967297
try ntk init --net 'Dense(1)' --input-shape 2 --seed 99999999999999999999 --out p.h5
# An output that is a file of the command's own, under whatever name, would be lost.
ntk fit --net 'fc()' --train four.csv --diag-reg 0.1 --out model.h5 --quiet
ln -s model.h5 link.h5
cp four.csv before.csv
try ntk predict --model model.h5 --x four.csv --out link.h5
try ntk predict --model model.h5 --x four.csv --out ./four.csv
cmp four.csv before.csv
train="ntk train --train four.csv --steps 1 --quiet"
net='serial(Dense(2), Relu(), Dense(2))'
try $train --net "$net" --out p.h5 --record p.h5
try $train --net "$net" --out p.h5 --log four.csv
# Also of one that is not there yet.
mkdir folder
ln -s folder way
ln -s new.h5 to_new.h5
try $train --net "$net" --out way/new.h5 --checkpoint folder/new.h5
try $train --net "$net" --out to_new.h5 --checkpoint ./new.h5
try $train --net "$net" --out p.h5 --record r.npz --checkpoint c.h5 --log ./c.h5.records
try $train --net "$net" --out p.h5
try $train --params p.h5 --out p.h5
try ntk apply --params p.h5 --x four.csv --out p.h5
echo 'fc()' >net.npy
try ntk kernel --net @net.npy --x1 four.csv --out net.npy
try ntk kernel --net 'fc()' --x1 - --x2 - --out K.npy
# What is no net's file.
printf 'fc()\0fc()' >nul
for file in /dev/zero . missing nul; do
    try ntk kernel --net @$file --x1 four.csv --out K.npy
done
