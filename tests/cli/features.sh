# SPDX-License-Identifier: MIT
# ntk features: features in a file, the same for any threads; how far they are from the kernel; ridge regression on them.
features="ntk features --net fc(depth=2) --train digits/train --count 600 --seed 3"

echo "features of 20 samples, by one thread and by three"
$features --train-limit 20 --out one.npy --threads 1 --quiet --json >one.json
$features --train-limit 20 --out three.npy --threads 3 --quiet --json >three.json
cmp one.npy three.npy
head -c 128 one.npy | tr -d '\0' | grep -ao "'shape': ([0-9, ]*)"
wc -c <one.npy | tr -d ' '
$features --train-limit 20 --out - --quiet | cmp - one.npy
$features --train-limit 20 --seed 4 --out four.npy --quiet --json >four.json
cmp one.npy four.npy >/dev/null || echo "another seed, other features"

echo "the error falls like the root of their number"
$features --count 500 --out few.npy --quiet --json >few.json
$features --count 8000 --train-limit 500 --out many.npy --quiet --json >many.json
between 0.01 "$(field few.json frobenius)" 0.06
between 0.002 "$(field many.json frobenius)" 0.015

echo "ridge regression"
$features --count 2000 --test digits/test --diag-reg 1e-2 --quiet --json >fit.json
between 0.92 "$(field fit.json accuracy)" 1
$features --count 300 --test digits/test --diag-reg auto 2>&1 | sed 's/[0-9.][0-9.e+-]*/N/g'
two_classes 60 >two.csv
ntk features --net 'fc(depth=1)' --train two.csv --test two.csv --count 50 --diag-reg 1e-3,1e-1 --quiet |
    grep accuracy | cut -c 1-36

echo "what is wrong"
try ntk features --net 'fc(depth=1)' --train digits/train --quiet
try ntk features --net 'fc(depth=1)' --out F.npy --quiet
try ntk features --net 'fc(depth=1)' --train digits/train --out F.npz --quiet
try ntk features --net 'fc(depth=1)' --train digits/train --out F.npy --diag-reg 1 --quiet
try ntk features --net 'fc(depth=1)' --train digits/train --out F.npy --get both --quiet
try ntk features --net 'serial(Conv(8, (3, 3)), Relu(), Flatten(), Dense(1))' --train digits/train --out F.npy --quiet
try ntk features --net 'serial(Dense(8), Relu(), Dropout(0.5), Dense(1))' --train digits/train --out F.npy --quiet
try ntk features --net 'fc(depth=1)' --train digits/train --out F.npy --count 2000000 --quiet
