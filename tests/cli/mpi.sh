# SPDX-License-Identifier: MIT
# Several processes that work together: one store, one fit, whatever their number; what one of them lacks ends all of them
# with one message; who is killed leaves a store that any number goes on with.
command -v mpirun >/dev/null 2>&1 || { echo "mpirun is not installed" && exit 77; }
ntk info | grep -q '^features.* mpi' || { echo "this build has no MPI" && exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
mpi() { mpirun --oversubscribe --bind-to none "$@"; }
# What ntk says of a failure; mpirun says more, and interrupts the other ranks, which may say so.
said() { grep '^ntk' | grep -v 'flattened\|ranks of\|: interrupted$' | sort -u; }
net='serial(Dense(512,W_std=2**0.5),Relu(),Dense(1))'
# Tiles are small where memory is.
kernel="ntk kernel --net $net --x1 digits/train --train-limit 1200 --get both --memory 24M --threads 1"

echo "a store, by one process and by several"
$kernel --out one.h5 --quiet
for ranks in 2 3; do
    mpi -n $ranks $kernel --out $ranks.h5 2>&1 | said
    cmp one.h5 $ranks.h5 && echo "the same bytes"
done
mpi -n 2 $kernel --out 2.h5 --json --quiet | sed 's/.*"ranks": 2, "sent_bytes": [1-9][0-9]*,.*/counted/'
ntk kernel --verify 2.h5

echo "a rank is killed, and another number goes on"
layer='Conv(4,(3,3),padding="SAME"),Relu()'
slow="ntk kernel --net serial($layer,GlobalAvgPool(),Dense(1)) --net serial($layer,$layer,GlobalAvgPool(),Dense(1))"
slow="$slow --get both --x1 digits/train --train-limit 600 --threads 1 --memory 24M"
$slow --out whole.h5 --quiet
there() { ntk kernel --info K.h5 --json 2>/dev/null | sed 's/.*"done": \([0-9]*\).*/\1/'; }
mpi -n 3 $slow --out K.h5 >log 2>&1 &
run=$!
# Of this test's processes, rank 1.
rank() {
    for p in /proc/[0-9]*; do
        grep -qz '^OMPI_COMM_WORLD_RANK=1$' "$p/environ" 2>/dev/null && [ "$(readlink "$p/cwd")" = "$PWD" ] && echo "${p#/proc/}"
    done
}
until pid=$(rank); [ -n "$pid" ] && [ -s K.h5 ] && [ "$(there)" -gt 0 ]; do sleep 0.05; done
kill -KILL "$pid"
wait $run
grep -o 'process rank 1 with PID .* exited on signal 9' log | sed 's/PID .* exited/PID, exited/'
done=$(there)
[ "$done" -gt 0 ] && [ "$done" -lt 24 ] && ntk kernel --verify K.h5
mpi -n 2 $slow --out K.h5 --quiet
cmp whole.h5 K.h5 && echo "the same bytes"

echo "eval: the same predictions"
eval="ntk eval --net $net --train digits/train --test digits/test --train-limit 700 --diag-reg 1e-3 --threads 1"
near() { awk -v a="$(field "$1" mse)" -v b="$(field "$2" mse)" -v t="$3" 'BEGIN {d = a - b; print (d < 0 ? -d : d) <= t * a ? "near" : "far: " a " " b}'; }
$eval --json --quiet >one.json
for ranks in 2 3 4; do
    mpi -n $ranks $eval --json --quiet >several.json
    near one.json several.json 1e-9
    mpi -n $ranks $eval --solver cg --tolerance 1e-10 --json --quiet >several.json
    near one.json several.json 1e-6
done
mpi -n 2 $eval --kernel E.h5 --json --quiet >several.json
near one.json several.json 1e-9
mpi -n 3 $eval --get nngp --json --quiet >several.json
$eval --get nngp --json --quiet >one.json
near one.json several.json 1e-9
mpi -n 2 ntk fit --net $net --train digits/train --train-limit 700 --diag-reg 1e-3 --out model.h5 --quiet
ntk fit --net $net --train digits/train --train-limit 700 --diag-reg 1e-3 --out own.h5 --quiet
for f in model own; do
    ntk predict --model $f.h5 --x digits/test --out $f.npy --quiet
done
python3 - <<'END'
import struct
def values(path):
    data = open(path, "rb").read()
    n = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%dd" % ((len(data) - n) // 8), data[n:])
print("fit: near" if max(abs(a - b) for a, b in zip(values("model.npy"), values("own.npy"))) < 1e-9 else "fit: far")
END

echo "a fit by cg is killed, and goes on from its checkpoint"
# Badly conditioned: thousands of steps, and seconds, to the first tolerance, some hundred to the second.
cg='ntk fit --net serial(Dense(512,W_std=2**0.5),Erf(),Dense(1)) --train digits/train --get nngp --solver cg'
cg="$cg --diag-reg 1e-10 --rank 1 --threads 1 --out fit.h5"
steps() { field "$1.json" iterations; }
mpi -n 2 $cg --tolerance 0.1 --json --quiet >whole.json && rm fit.h5
mpi -n 3 $cg --tolerance 1e-9 --checkpoint fit.cg >log 2>&1 &
run=$!
until pid=$(rank); [ -n "$pid" ] || ! kill -0 $run; do sleep 0.02; done
until [ -s fit.cg ] || ! kill -0 $run; do sleep 0.02; done
kill -KILL "$pid"
wait $run
grep -o 'process rank 1 with PID .* exited on signal 9' log | sed 's/PID .* exited/PID, exited/'
[ -f fit.h5 ] || echo "no model"
cp fit.cg alone.cg
mpi -n 2 $cg --tolerance 0.1 --checkpoint fit.cg --json 2>log >fit.json
$cg --tolerance 0.1 --checkpoint alone.cg --json 2>>log >alone.json
grep -o 'goes on from .*' log
for f in fit alone; do
    [ "$(steps $f)" -lt "$(steps whole)" ] && echo "in fewer steps, as near: $(between 0 "$(field $f.json residual)" 0.1)"
done
[ -f fit.cg ] || [ -f alone.cg ] || echo "the checkpoints are gone"
mpi -n 1 $cg --checkpoint a.cg : -n 1 $cg --checkpoint b.cg 2>&1 | said
mpi -n 1 $cg --checkpoint a.cg : -n 1 $cg 2>&1 | said
echo "no checkpoint" >bad.cg
mpi -n 2 $cg --checkpoint bad.cg 2>&1 | said

echo "memory is planned for each rank's part"
mpi -n 1 $eval --train-limit 1200 --solver scalapack --memory 20M 2>&1 | said
mpi -n 4 $eval --train-limit 1200 --memory 20M --json --quiet | grep -o '"ranks": 4'

echo "refused, with one message"
mpi -n 1 $kernel --out D.h5 : -n 1 ntk kernel --net $net --x1 digits/train --train-limit 1199 --get both --out D.h5 2>&1 |
    said | sed 's/hash [0-9a-f]*/hash/g'
[ -f D.h5 ] || echo "no file is made"
mpi -n 2 $eval : -n 1 $eval --diag-reg 2e-3 2>&1 | said | sed "s/, hash [0-9a-f]*//g"
mpi -n 2 $kernel --out nowhere/K.h5 2>&1 | said
mpi -n 2 ntk eval --net 'Dense(' --train digits/train --test digits/test 2>&1 | said
mpi -n 1 $kernel --out D.h5 : -n 1 ntk kernel --net $net --x1 digits/none --get both --out D.h5 2>&1 | said
mpi -n 2 $eval --solver cholesky 2>&1 | said
mpi -n 2 $kernel --out K.npy 2>&1 | said
mpi -n 2 ntk predict --model model.h5 --x digits/test --out Y.npy 2>&1 | said
mpi -n 2 $eval --diag-reg 0 --train-limit 1200 --get nngp --net 'Dense(1)' 2>&1 | said
