# SPDX-License-Identifier: MIT
# Kernels of (1, 0), (0, 1), (1, 1) against values worked out by hand.
printf '1,0\n0,1\n1,1\n' >x.csv
x='--x1 x.csv --target none --quiet'

# One layer: x . x' / 2.
try ntk kernel --net 'Dense(1)' $x --out K.npy
numbers K.npy 9 f8

# One hidden ReLU layer with W_std = sqrt 2. NNGP: |x||x'| (sin a + (pi - a) cos a) / (2 pi), a the angle;
# NTK: that + x . x' (pi - a) / (2 pi).
net='serial(Dense(512, W_std=2**0.5), Relu(), Dense(1))'
try ntk kernel --net "$net" $x --get nngp --out K.npy
numbers K.npy 9 f8
awk 'BEGIN {
    pi = atan2(0, -1)
    for (i = 0; i < 9; i++) {
        a = i % 4 == 0 ? 0 : (i == 1 || i == 3) ? pi / 2 : pi / 4
        r = (i == 1 || i == 3) ? 1 : (i % 4 == 0 && i < 8) ? 1 : i == 8 ? 2 : sqrt(2)
        nngp[i] = r * (sin(a) + (pi - a) * cos(a)) / (2 * pi)
        ntk[i] = nngp[i] + r * cos(a) * (pi - a) / (2 * pi)
    }
    for (i = 0; i < 9; i++) printf "%.6f%s", nngp[i], i < 8 ? " " : "\n"
    for (i = 0; i < 9; i++) printf "%.6f%s", ntk[i], i < 8 ? " " : "\n"
}'
try ntk kernel --net "$net" $x --out K.npy
numbers K.npy 9 f8
try ntk kernel --net "$net" $x --dtype float32 --out K.npy
numbers K.npy 9 f4

# Rows and columns from two files; limits on both.
printf '1,1\n' >x2.csv
try ntk kernel --net "$net" $x --x2 x2.csv --out K.npy
numbers K.npy 3 f8
try ntk kernel --net 'Dense(1)' $x --x2 x.csv --train-limit 1 --test-limit 2 --out K.npy --json
numbers K.npy 2 f8

# A net from a file, and a kernel on standard output.
printf '# a comment\nserial(\n    Dense(1),\n)\n' >linear.ntk
try ntk kernel --net @linear.ntk $x --out - >out.npy
numbers out.npy 9 f8

# Several matrices: names in the .npz.
names() { grep -a -o '[0-9.]*[a-z]*\.npy' "$1" | sort -u | paste -s -d ' ' -; }
try ntk kernel --net 'Dense(1)' $x --get both --out both.npz
names both.npz
try ntk kernel --net 'Dense(1)' --net 'Dense(1, W_std=2)' $x --out two.npz --json
names two.npz
try ntk kernel --net 'Dense(1)' --net 'Dense(1, W_std=2)' $x --get both --out four.npz
names four.npz
ls
