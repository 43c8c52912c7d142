# SPDX-License-Identifier: MIT
# Finite networks: parameters, outputs, kernels, training, and wrong use of them.
ntk info | grep -q hdf5 || {
    echo "built without HDF5"
    exit 77
}
net='serial(Dense(16, W_std=2**0.5, b_std=0.1), Relu(), Dense(10))'
small="--train-limit 60 --test-limit 40 --quiet"
try ntk init --net "$net" --input-shape 64 --seed 3 --out p.h5
try ntk init --net "$net" --input-shape 64 --seed 3 --json --out p.h5
try ntk init --net "$net" --out p.h5
try ntk init --net "$net" --input-shape 8,x --out p.h5
try ntk init --net "$net" --input-shape 64 --seed -1 --out p.h5
try ntk init --net 'serial(Dense(4), Relu(), Dropout(0.5), Dense(1))' --input-shape 64 --out d.h5
try ntk apply --params p.h5 --x digits/test --test-limit 5 --out a.npy
try ntk apply --net "$net" --seed 3 --x digits/test --test-limit 5 --quiet --out b.npy
try cmp a.npy b.npy
try ntk apply --params p.h5 --net "$net" --x digits/test --out a.npy
try ntk apply --params a.npy --x digits/test --out b.npy
try ntk empirical --params p.h5 --x1 digits/test --train-limit 6 --out k.npy
try ntk empirical --params p.h5 --x1 digits/test --x2 digits/train --train-limit 6 --test-limit 4 --full --out k.npy
try ntk empirical --params p.h5 --x1 digits/test --full --trace --out k.npy
try ntk empirical --net "$net" --networks 4 --x1 digits/test --train-limit 6 --quiet --out k.npy
try ntk empirical --net "$net" --networks 4 --x1 digits/test --train-limit 6 --quiet --out k.npz

# A run that is cut in two gives the weights of one that is not.
train="ntk train --train digits/train --test digits/test $small --loss xent --mean --momentum 0.9 --batch 16 --lr 0.5 --every 10"
try $train --net "$net" --steps 40 --out whole.h5 --log log.csv --record r.npz --kernels
try cut -d, -f1 log.csv
try $train --net "$net" --steps 20 --out half.h5 --checkpoint c.h5
try $train --net "$net" --steps 40 --out resumed.h5 --checkpoint c.h5
try ntk apply --params whole.h5 --x digits/test --test-limit 9 --out a.npy
try ntk apply --params resumed.h5 --x digits/test --test-limit 9 --out b.npy
try cmp a.npy b.npy
try ntk train --net "$net" --train digits/train $small --steps 30 --json --out t.h5

# A run that is killed, and started again by the same command, gives the same weights, log and records.
long="$train --steps 2000 --log log.csv --record r.npz --every 5"
$long --net "$net" --out whole.h5
mv log.csv whole.csv && mv r.npz whole.npz
$long --net "$net" --out killed.h5 --checkpoint k.h5 & pid=$!
tries=0
while [ "$(grep -c . log.csv 2>&1)" -lt 20 ] 2>/dev/null && [ $tries -lt 600 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
try ls killed.h5
try $long --net "$net" --out killed.h5 --checkpoint k.h5
try cmp whole.h5 killed.h5
try cmp whole.npz r.npz
cut -d, -f1-5 whole.csv >a.csv
cut -d, -f1-5 log.csv >b.csv
try cmp a.csv b.csv

# What a checkpoint does not go on with.
try $train --net "$net" --steps 10 --out x.h5 --checkpoint k.h5
try $train --net "$net" --steps 5000 --lr 0.1 --out x.h5 --checkpoint k.h5
try $train --net 'serial(Dense(16), Erf(), Dense(10))' --steps 5000 --out x.h5 --checkpoint k.h5

# The flow of the network linearised where it is.
try ntk dynamics --params p.h5 --train digits/train --test digits/test $small --times 0,1,inf
try ntk dynamics --params p.h5 --train digits/train --test digits/test $small --times 1 --trace
try ntk dynamics --params p.h5 --train digits/train --times 1 --std
try ntk dynamics --params p.h5 --net "$net" --train digits/train --times 1
try ntk dynamics --params p.h5 --train digits/train --times 1 --get nngp

# What cannot be.
try ntk train --net 'serial(Dense(16), Tanh(), Dense(10))' --train digits/train $small --steps 300 --lr 50 --out x.h5
try ls x.h5
try ntk train --net "$net" --train digits/train $small --dtype float32 --steps 9 --lr 1e30 --checkpoint n.h5 --out x.h5
try ntk train --net "$net" --train digits/train $small --dtype float32 --steps 9 --lr 1e30 --every 9 --out x.h5
try ls x.h5
try ntk init --net "$net" --input-shape 64 --multiplier 0 --out x.h5
try ntk apply --params p.h5 --dtype float32 --x digits/test --out x.npy
try ntk empirical --net "$net" --networks 4 --multiplier 2 --x1 digits/test --out x.npz
try ntk train --net "$net" --train digits/train $small --lr fast --steps 3 --out x.h5
try ntk train --net "$net" --train digits/train $small --lr auto:0 --steps 3 --out x.h5
try ntk train --net "$net" --train digits/train $small --lr auto:1 --steps 30 --json --out x2.h5
try ntk train --net "$net" --train digits/train $small --steps 3 --record r.txt --out x.h5
try ntk train --net "$net" --train digits/train $small --out x.h5
try ntk train --net "$net" --train digits/train $small --loss xent --targets raw --steps 3 --out x.h5
try ntk train --net 'serial(Dense(5), Relu(), Dense(3))' --train digits/train $small --steps 3 --out x.h5
try ntk train --net "$net" --train digits/train $small --steps 3 --batch 1000 --out x.h5
