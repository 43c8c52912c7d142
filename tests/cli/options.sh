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
try ntk dynamics --net 'fc()' --train four.csv --out F.npz
try ntk dynamics --net 'fc()' --train four.csv --out F.npz --times 1,two
try ntk dynamics --net 'fc()' --train four.csv --out F.npz --times 1 --loss hinge
try ntk bench nothing
try ntk apply --train-limit 3
