# SPDX-License-Identifier: MIT
# Dynamics that are integrated: cross-entropy, momentum, and wrong use of them.
ntk info | grep -q sundials || exit 77
data="--train digits/train --test digits/test --train-limit 60 --test-limit 40 --quiet"
try ntk dynamics --net 'fc(depth=2)' $data --loss xent --times 0.01,1,100 --out F.npz
try ntk dynamics --net 'fc(depth=2)' $data --loss xent --get nngp --mean --times 100 --json
try ntk dynamics --net 'fc(depth=2)' $data --momentum 0.9 --times 1,30
try ntk dynamics --net 'fc(depth=2)' $data --loss xent --times 1,inf
try ntk dynamics --net 'fc(depth=2)' $data --loss xent --times 1 --std
try ntk dynamics --net 'fc(depth=2)' $data --loss xent --times 1 --targets centered
try ntk dynamics --net 'fc(depth=2)' $data --loss xent --times 1 --rtol 3
try ntk dynamics --net 'fc(depth=2)' $data --loss hinge --times 1
