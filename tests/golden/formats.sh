#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: sh formats.sh NTK MODELS PARAMETERS
# Writes what NTK, a program whose files of models and of parameters have these format numbers, makes of
# formats/samples.csv: files of every kind that the library reads back, as formats/KIND-NUMBER.h5.
set -eu
usage='usage: formats.sh NTK MODELS PARAMETERS'
ntk=${1:?$usage} models=${2:?$usage} parameters=${3:?$usage}
cd "$(dirname "$0")/formats"
net='serial(Dense(3, b_std=0.1), Erf(), Dense(2))'
run='--momentum 0.5 --lr 0.1 --seed 7 --batch 3 --steps 4 --quiet'
for kind in model factor; do
    "$ntk" fit --net 'serial(Dense(8, b_std=0.1), Relu(), Dense(1))' --train samples.csv --diag-reg 1e-3 \
        --standardize feature --quiet $([ $kind = model ] || echo --factor) --out "$kind-$models.h5"
done
# From format 3 on: a weight of 2 and a ridge twice as large are what the models above are.
sed '1s/$/,w/; 2,$s/$/,2/' samples.csv >weighted.csv
for kind in weighted weighted_factor; do
    [ "$models" -ge 3 ] || break
    "$ntk" fit --net 'serial(Dense(8, b_std=0.1), Relu(), Dense(1))' --train weighted.csv --weights w --diag-reg 2e-3 \
        --standardize feature --quiet $([ $kind = weighted ] || echo --factor) --out "$kind-$models.h5"
done
rm -f weighted.csv
# From format 4 on: all samples as landmarks are what the first model above is; of the NNGP, with what variances need.
for kind in landmarks landmarks_factor; do
    [ "$models" -ge 4 ] || break
    "$ntk" fit --net 'serial(Dense(8, b_std=0.1), Relu(), Dense(1))' --train samples.csv --diag-reg 1e-3 --solver landmarks \
        --standardize feature --quiet $([ $kind = landmarks ] || echo --factor --get nngp) --out "$kind-$models.h5"
done
# From format 4 on: samples that stand for their mirror images.
for kind in symmetric symmetric_factor; do
    [ "$models" -ge 4 ] || break
    "$ntk" fit --net 'serial(Dense(8, b_std=0.1), Relu(), Dense(1))' --train samples.csv --diag-reg 1e-3 --standardize none \
        --input-shape 2,1 --augment flip --quiet $([ $kind = symmetric ] || echo --factor) --out "$kind-$models.h5"
done
"$ntk" init --net "$net" --input-shape 2 --seed 7 --multiplier 0.5 --quiet --out "parameters-$parameters.h5"
"$ntk" train --net "$net" --train samples.csv --standardize none $run --checkpoint "checkpoint-$parameters.h5" --out rest.h5
sed 's/,0$/,no/; s/,1$/,yes/' samples.csv >words.csv
"$ntk" train --net "$net" --train words.csv --standardize feature $run --out "trained-$parameters.h5"
rm -f rest.h5 words.csv
