# SPDX-License-Identifier: MIT
# Samples, variances and targets of any size: right numbers or an error that names the stage, never nan.
digits="--train digits/train --test digits/test --quiet"
for type in float32 float64; do
    ntk eval --net 'serial(repeat(serial(Dense(8,W_std=0.1),Relu()),17),Dense(1))' $digits --dtype $type \
        --diag-reg 1e-5 --train-limit 300 --loo --json >deep.json
    between 0.88 "$(field deep.json accuracy)" 0.93
    between 0.92 "$(field deep.json loo_accuracy)" 0.99
done

# Table $1: 12 samples times $2 with targets times $3.
table() {
    awk -v s="$2" -v t="$3" 'BEGIN {
        print "a,b,c,y"
        for (i = 0; i < 12; i++)
            printf "%.9e,%.9e,%.9e,%.9e\n", s * sin(3 * i + 1), s * cos(5 * i), s * sin(i * i), t * sin(i)
    }' >"$1"
}

# What is learnt does not depend on the samples' size where the net's activations do not.
table one.csv 1 1
try ntk eval --net 'serial(Dense(8),Relu(),Dense(8),Sign(),Dense(1))' --train one.csv --test one.csv \
    --targets raw --diag-reg 1e-2 --quiet | head -n 4
for s in 1e-20 1e-30; do
    table small.csv $s 1
    for net in 'Dense(8),Relu(),Dense(8),Sign(),Dense(1)' 'Dense(8),Sigmoid(),Dense(1)'; do
        try ntk eval --net "serial($net)" --train small.csv --test small.csv --targets raw --dtype float32 \
            --diag-reg 1e-2 --quiet | head -n 4
    done
done
table small.csv 1e-154 1
try ntk eval --net 'serial(Dense(8),Relu(),Dense(8),Sign(),Dense(1))' --train small.csv --test small.csv \
    --targets raw --diag-reg 1e-2 --quiet | head -n 4
for net in Relu LeakyRelu\(0.1\) Abs Tanh Sigmoid Softplus Silu Mish 'Polynomial((0,1,0.5))'; do
    case $net in *\)) ;; *) net="$net()" ;; esac
    table small.csv 1e-20 1
    ntk kernel --net "serial(Dense(8),$net,Dense(1))" --x1 small.csv --target y --dtype float32 --out k.npy --quiet
    table small.csv 1e-154 1
    ntk kernel --net "serial(Dense(8),$net,Dense(1))" --x1 small.csv --target y --out k64.npy --quiet
    { tail -c 576 k.npy | od -An -v -w4 -t f4; tail -c 1152 k64.npy | od -An -v -w8 -t f8; } | grep -ci nan
done

# Targets that are too large for some stage.
net='serial(Dense(8),Relu(),Dense(1))'
for t in 1e300 1e307; do
    table large.csv 1 $t
    try ntk eval --net "$net" --train large.csv --test large.csv --targets raw --diag-reg 1e-3 --quiet --json
done
try ntk fit --net "$net" --train large.csv --targets raw --diag-reg 1e-3 --out model.h5 --quiet
[ -e model.h5 ] && echo "model.h5 is there"
try ntk dynamics --net "$net" --train large.csv --targets raw --diag-reg 1e-3 --times 0.1,1 --quiet

# Samples that are too large.
table large.csv 1e25 1
try ntk kernel --net "$net" --x1 large.csv --target y --dtype float32 --out k.npy --quiet
table large.csv 1e200 1
try ntk kernel --net "$net" --x1 large.csv --target y --out k.npy --quiet

# One test sample has no variance that could be explained.
head -n 2 one.csv >single.csv
try ntk eval --net "$net" --train one.csv --test single.csv --targets raw --diag-reg 1e-3 --quiet | sed -n 5p
exit 0
