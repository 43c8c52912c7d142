# SPDX-License-Identifier: MIT
# Presets: the list, the text of one (which parses as it is), none of that name.
try ntk nets
try ntk nets fc
try ntk nets vgg
two_classes 4 >four.csv
for net in 'fc()' "fc(2, activation='erf')" 'fc(depth=2, b_std=0, outputs=3)'; do
    try ntk kernel --net "$net" --x1 four.csv --out K.npy
done
for net in 'fc(depth=0)' 'fc(layers=3)' "fc(activation='rellu')"; do
    try ntk kernel --net "$net" --x1 four.csv --out K.npy
done
