# SPDX-License-Identifier: MIT
# Kernels that are not positive definite: named rows, a ridge that helps, no silent jitter.
printf 'a,b,label\n1,2,0\n3,1,1\n0,2,0\n3,1,0\n' >twins.csv
run="ntk eval --test twins.csv --quiet"
try $run --net 'fc(depth=1)' --train twins.csv
try $run --net 'fc(depth=1)' --train twins.csv --diag-reg 1e-3 | head -n 3
try $run --net 'Dense(1)' --train digits/train --train-limit 100 --test digits/test
two_classes 10 >ten.csv
try $run --net 'Dense(1)' --train ten.csv
try ntk fit --net 'Dense(1)' --train ten.csv --out model.h5 --quiet
[ -e model.h5 ] && echo "model.h5 is there"
exit 0
