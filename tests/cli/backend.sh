# SPDX-License-Identifier: MIT
# The witness computes what cpu does, says how long it takes, and wants --force where that is long.
two_classes 4 >four.csv
net='serial(Dense(8, W_std=1.5, b_std=0.1), Relu(), Dense(8), Tanh(), Dense(1))'
for backend in cpu reference; do
    try ntk kernel --net "$net" --x1 four.csv --get both --backend $backend --out $backend.npz --quiet
    try ntk fit --net "$net" --train four.csv --targets raw --diag-reg 0.1 --backend $backend --out $backend.h5 --quiet
    ntk predict --model $backend.h5 --x four.csv --backend $backend --std --out $backend.csv --quiet
    cut -c 1-8 $backend.csv >$backend.txt
done
cmp cpu.txt reference.txt && echo "both predict the same"
try ntk kernel --net "$net" --x1 four.csv --backend gpu --out K.npy
try ntk layers --backend reference
try ntk kernel --net "$net" --x1 four.csv --force --out K.npy
try ntk kernel --net 'fc()' --x1 digits/test --backend reference --threads 1 --out K.npy
try ntk kernel --net 'fc()' --x1 digits/test --train-limit 3 --backend reference --force --out K.npy
