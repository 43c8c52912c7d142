# SPDX-License-Identifier: MIT
# Architectures that cannot be read, do not fit their input, or have no infinite-width kernel.
two_classes 4 >four.csv
parse() { try ntk kernel --net "$1" --x1 four.csv --out K.npy --quiet; }

# Spelling and syntax.
parse 'serial(Dnese(1))'
parse 'serial(Dense(1), relu())'
parse 'Dense(1, W_sdt=2)'
parse 'Dense()'
parse 'Dense(0)'
parse 'Dense(-3)'
parse 'Dense(1.5)'
parse "Dense('wide')"
parse 'Dense(1, W_std=-1)'
parse 'Dense(1, 2, W_std=2)'
parse 'Dense(1, W_std=1/0)'
parse 'Dense(1'
parse 'Dense(1))'
parse 'serial(Dense(1),, Relu())'
parse 'serial(Dense(1) Relu())'
parse "Elementwise('tanh"
parse ''
parse 'serial()'
parse 'serial(layer=Relu())'
parse 'serial(Dense(8), FanOut(), Dense(1))'
parse 'repeat(n=2)'
parse 'repeat(Dense(4))'
parse 'repeat(Dense(4), 0)'
parse 'repeat(Dense(4), 1.5)'
parse 'Dense(1__0)'
parse 'Conv(2, (1, 1), s=(1, 2, 3))'
parse 'serial(GlobalSumPool(), Dense(1))'
parse 'serial(LayerNorm(axis=2), Dense(1))'
parse '# nothing'
parse '12'
printf 'serial(\n    Dense(512),\n    Rellu(),\n)\n' >typo.ntk
parse @typo.ntk
parse @missing.ntk

# Theory.
parse 'serial(Relu(), Dense(1))'
parse 'serial(Dense(8), FanOut(2), parallel(Identity(), Identity()), FanInSum(), Dense(1))'
parse 'serial(Dense(8), FanOut(2), parallel(Dense(8), Dense(8)), Dense(1))'
parse 'serial(Dense(8), FanOut(3), parallel(Dense(8), Dense(8)), FanInSum(), Dense(1))'
parse 'serial(Dense(8), FanInSum())'
parse 'serial(Dense(8), Relu(), LayerNorm(), Dense(1))'

# Images: a net that keeps their positions.
try ntk kernel --net 'serial(Flatten(), Dense(1))' --x1 digits/test --test-limit 2 --train-limit 2 --out K.npy
ls
