# SPDX-License-Identifier: MIT
# ntk plan: numbers that follow from sizes, memory as the fit's, the chosen solver with its reason; the table; what is wrong.
get() { python3 -c "import json, sys; j = json.load(open('$1')); print($2)"; }

echo "of numbers: pairs, and sums"
ntk plan --net 'fc(depth=3)' --train 60000 --test 10000 --input-shape 784 --outputs 10 --dtype float32 --json >numbers.json
get numbers.json "j['pairs_train'] == 60000 * 60001 / 2, j['pairs_test'] == 6e8, j['samples_bytes'] == 70000 * 784 * 4"
get numbers.json "j['store_bytes'] == 4 * (j['pairs_train'] + j['pairs_test']), j['outputs'], j['features'], j['positions']"
get numbers.json "[s['solver'] for s in j['solvers']]"
get numbers.json "all(abs(sum(s['seconds'][k] for k in ('kernel', 'solve', 'predict')) - s['seconds']['all']) <= 1e-6 * s['seconds']['all'] for s in j['solvers'])"
get numbers.json "all(abs(s['passes'] * j['pairs_train'] * j['rates']['pair_seconds'] / s['seconds']['kernel'] - 1) < 1e-6 for s in j['solvers'])"
get numbers.json "all(s['fits'] == (s['bytes'] <= j['memory_bytes']) for s in j['solvers'])"

echo "of data: the solver that the fit takes, in each kind of memory"
for memory in 100M 9M 6M; do
    ntk plan --net 'fc(depth=3)' --train digits/train --test digits/test --diag-reg 1e-3 --memory $memory --threads 1 --quiet --json >data.json
    get data.json "j['n_train'], j['n_test'], j['outputs'], j['solver'], j['reason']"
    ntk eval --net 'fc(depth=3)' --train digits/train --test digits/test --diag-reg 1e-3 --memory $memory --threads 1 2>&1 | grep 'solver is'
done

echo "with deviations, as 'ntk fit' needs it"
ntk plan --net 'fc(depth=3)' --train digits/train --std --memory 8M --threads 1 --quiet | tail -1
try ntk fit --net 'fc(depth=3)' --train digits/train --memory 8M --threads 1 --out m.h5 --quiet

echo "the table: pairs of each size, and the more the net does, the longer"
ntk plan --net 'fc(depth=1)' --input-shape 20 --json >table.json
get table.json "[(p['n_train'], p['pairs_train']) for p in j]"
ntk plan --json >lecture.json
get lecture.json "[p['net'] for p in j[::3]], [p['n_train'] for p in j[:3]]"
get lecture.json "j[0]['rates']['pair_seconds'] < j[3]['rates']['pair_seconds'] < j[6]['rates']['pair_seconds']"
get lecture.json "len({p['rates']['pair_seconds'] for p in j}), [p['positions'] > 0 for p in j[::3]]"

echo "in words"
ntk plan --net 'fc(depth=3)' --train 1000 --test 50 --input-shape 784 --ranks 2 --memory 1G
ntk plan --net 'fc(depth=3)' --input-shape 784

echo "what is wrong"
try ntk plan --net 'fc()' --train 1000
try ntk plan --net 'fc()' --train 0 --input-shape 3
try ntk plan --net 'fc()' --train 5000000000 --input-shape 3
try ntk plan --net 'fc()' --train 10 --test digits/test --input-shape 64
try ntk plan --net 'fc()' --train digits/train --input-shape 64 --quiet
try ntk plan --net 'fc()' --train 10 --train-limit 5 --input-shape 64
try ntk plan --net 'fc()' --train 10 --weights w --input-shape 64
try ntk plan --net 'fc()' --net 'fc()' --train 10 --input-shape 64
try ntk plan --net 'fc()' --train nothing.csv
try ntk plan --net 'fc()' --train 10 --input-shape 64 --solver gauss
ntk plan --net 'fc()' --train 10 --input-shape 64 --solver landmarks | tail -1
try ntk plan --net 'fc()' --train 10 --input-shape 64 --ranks 0
ntk plan --net 'fc()' --train 60000 --input-shape 784 --memory 300M --threads 1 | tail -1
