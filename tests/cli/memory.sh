# SPDX-License-Identifier: MIT
# Work that needs more than --memory is refused before it starts, and leaves nothing behind.
try ntk kernel --net 'fc()' --x1 digits/train --out K.npy --memory 1M --threads 1 --quiet
try ntk eval --net 'fc()' --train digits/train --test digits/test --memory 1M --threads 1 --quiet
try ntk fit --net 'fc()' --train digits/train --out model.h5 --memory 2M --threads 1 --quiet
try ntk dynamics --net 'fc()' --train digits/train --times 1 --out F.npz --memory 1M --threads 1 --quiet
try ntk kernel --net 'fc()' --x1 digits/train --train-limit 50 --out K.npy --memory 64M --quiet
try ntk kernel --net 'fc()' --x1 digits/train --out K.npy --memory 0 --quiet
try ntk train --net 'Dense(10)' --train digits/train --steps 100 --record r.npz --kernels --out p.h5 --memory 20M --quiet
ls
