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
# Standard output that is full, or closed: a report, or a result, that does not arrive is an error.
[ -e /dev/full ] || exit 77
$kernel - >/dev/full
echo "-> $?"
$kernel - >&-
echo "-> $?"
ntk init --net 'Dense(2)' --input-shape 2 --out p.h5 >/dev/null
for command in --help --version layers nets info lab 'layers --json' 'eval --help' \
    'init --net Dense(2) --input-shape 2 --out q.h5' 'init --net Dense(2) --input-shape 2 --json --out q.h5' \
    'eval --net fc() --train six.csv --test six.csv --quiet' \
    'eval --net fc() --train six.csv --test six.csv --diag-reg 1e-3 --quiet --json' \
    'dynamics --net fc() --train six.csv --times 1 --quiet' \
    'kernel --net fc() --x1 six.csv --quiet --json --out K.npy' \
    'fit --net fc() --train six.csv --quiet --json --out m.h5' \
    'predict --model m.h5 --x six.csv --quiet --json --out Y.npy' \
    'train --net Dense(2) --train six.csv --steps 2 --quiet --json --out t.h5' \
    'bench kernel --n 10 --d 2 --repeat 1 --quiet --json'; do
    echo "\$ ntk $command"
    ntk $command >/dev/full
    echo "-> $?"
    ntk $command >&-
    echo "-> $?"
done
cmp p.h5 q.h5 && echo "the file is not the report"
ntk kernel --net 'fc()' --x1 six.csv --out K.npy --quiet >&- && echo "no report, no error"
# A log that cannot be written: not from the start, or not to the end.
train="ntk train --net Dense(2) --train six.csv --steps 2 --every 1 --quiet"
try $train --out q.h5 --log /dev/full
try $train --out q.h5 --log .
# To standard output, by each option that names a file, or a sentence.
$train --out q.h5 --log - | cut -d , -f 1,3
try ntk train --net 'Dense(2)' --train missing.csv --steps 2 --out -
try ntk train --net 'Dense(2)' --train missing.csv --steps 2 --out q.h5 --checkpoint -
try ntk train --net 'Dense(2)' --train missing.csv --steps 2 --out q.h5 --record -
try ntk init --net 'Dense(2)' --input-shape 2 --out -
try ntk fit --net 'fc()' --train missing.csv --out -
try ntk lab init --out -
try ntk kernel --net 'fc()' --x1 six.csv --json --out -
try $train --out q.h5 --json --log -
try ntk demo --out -
$train --out q.h5 --log - >/dev/full
echo "-> $?"
ls -d ./- 2>/dev/null
limited() {
    (ulimit -f "$1" && shift && "$@" 2>&1; echo "-> $?") | cat
}
limited 20 ntk train --net 'Dense(2)' --train six.csv --steps 1000 --every 1 --lr 0.1 --quiet --out u.h5 --log log.csv
ls u.h5
# HDF5, too, says it once, and ends.
cp p.h5 before.h5
limited 1 ntk init --net 'serial(Dense(64), Relu(), Dense(2))' --input-shape 2 --out p.h5
limited 1 ntk kernel --net 'fc()' --x1 six.csv --quiet --get both --out K.h5
cmp p.h5 before.h5 && echo "unchanged"
# Links are followed, also to what is not there yet; modes stay; names may be long.
mkdir sub
ln -s sub/K.npy link.npy
$kernel link.npy && cmp sub/K.npy K.npy
chmod 600 sub/K.npy
$kernel link.npy
stat -c '%F %a' link.npy sub/K.npy
long=$(printf '%0251d' 0).npy
$kernel "$long" && cmp "$long" K.npy
rm "$long"
try ntk kernel --net 'fc()' --x1 six.csv --quiet --out "0$long"
# What is not a file.
mkfifo pipe.npy pipe.h5
$kernel pipe.npy &
cmp pipe.npy K.npy
wait $!
try ntk kernel --net 'fc()' --x1 six.csv --quiet --out pipe.h5
cat pipe.h5 &
try ntk fit --net 'fc()' --train six.csv --diag-reg 1 --quiet --out pipe.h5
wait $!
ntk init --net 'Dense(2)' --input-shape 2 --out /dev/null | tail -n 1
rm -r pipe.npy pipe.h5 link.npy sub log.csv
# A reader that goes away.
ntk layers --json | head -c 10
echo
ls
