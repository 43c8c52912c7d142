#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: sh formats.sh NTK VERSION
# Writes what NTK, a program whose files have that format number, makes of formats/samples.csv: files of
# every kind that the library reads back, as formats/KIND-VERSION.h5.
set -eu
ntk=${1:?usage: formats.sh NTK VERSION} version=${2:?usage: formats.sh NTK VERSION}
cd "$(dirname "$0")/formats"
net='serial(Dense(3, b_std=0.1), Erf(), Dense(2))'
for kind in model factor; do
    "$ntk" fit --net 'serial(Dense(8, b_std=0.1), Relu(), Dense(1))' --train samples.csv --diag-reg 1e-3 \
        --standardize feature --quiet $([ $kind = model ] || echo --factor) --out "$kind-$version.h5"
done
"$ntk" init --net "$net" --input-shape 2 --seed 7 --multiplier 0.5 --quiet --out "parameters-$version.h5"
"$ntk" train --net "$net" --train samples.csv --standardize none --momentum 0.5 --lr 0.1 --seed 7 --batch 3 --steps 4 \
    --quiet --checkpoint "checkpoint-$version.h5" --out rest.h5
rm -f rest.h5
