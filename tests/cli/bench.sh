# SPDX-License-Identifier: MIT
# Benchmarks on small sizes: they run, and their JSON has its keys.
keys() { grep -o '"[a-z_]*": ' "$1" | tr -d '": ' | sort -u | paste -s -d ' ' -; }
small="--n 50 --m 20 --d 8 --repeat 1"
ntk bench kernel $small --dtype float32 --net 'fc(depth=2)' --json >kernel.json
keys kernel.json
ntk bench predict $small --outputs 2 --times 3 --json >predict.json
keys predict.json
ntk bench isa $small --json >isa.json
keys isa.json
ntk bench conv --d 6 --n 4 --repeat 1 --net 'cntk(depth=3)' --json >conv.json
keys conv.json
try ntk bench $small | grep -vE "^(avx512|avx2|neon) "
# Settings that slow BLAS down are left out.
OPENBLAS_CORETYPE=Prescott ntk bench kernel $small --json | grep -c Prescott
try ntk bench kernel $small --net 'fc(depth=two)'
