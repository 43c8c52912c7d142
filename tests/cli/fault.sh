# SPDX-License-Identifier: MIT
# Every system call that writes a file fails once, in a run of every command that writes one: a name stands for
# the old file or the new one, whole; the command says what failed; nothing else is left. tests/fault/fault.c
# makes the faults.
shim=$(dirname "$(readlink -f "$(command -v ntk)")")/tests/fault/fault.so
[ -f "$shim" ] && LD_PRELOAD=$shim ntk --version >/dev/null 2>&1 || {
    echo "needs tests/fault/fault.so, in a build without sanitizers"
    exit 77
}
mkdir new
two_classes 6 >six.csv
net='serial(Dense(4), Relu(), Dense(2))'
ntk fit --net "$net" --train six.csv --diag-reg 1e-3 --out model.h5 --quiet || exit 1
ntk init --net "$net" --input-shape 2 --out params.h5 >/dev/null || exit 1

# Runs a command with faults; whether the last of them happened.
with() {
    faults=$1
    shift
    : >new/met
    NTK_FAULT=$faults NTK_FAULT_LOG=$PWD/new/met LD_PRELOAD=$shim "$@" >/dev/null 2>new/said
    code=$?
    last=${faults##*,}
    grep -q "^${last%%:*} " new/met
}

problem() {
    echo "$name, $faults, exit code $code: $1"
    cat new/said
}

# What has to hold after a run that may have failed; $1: the code it may fail with, $files: what it writes.
judge() {
    case $code in
    0 | "$1") ;;
    *) problem "ended otherwise" ;;
    esac
    [ $code = 2 ] && ! grep -q "^ntk [a-z]*: cannot write .*: No space left on device$" new/said &&
        problem "does not say why"
    for file in $files; do
        cmp -s "$file" "new/$file" && continue
        if [ $code = 0 ] || [ "$(cat "$file")" != old ]; then
            problem "$file is neither old nor new"
        fi
    done
    [ "$(ls -A)" = "$all" ] || problem "$(ls -A) is left"
}

old() {
    for file in $files; do
        echo old >"$file"
        chmod 600 "$file"
    done
}

# Whole results to compare with.
reference() {
    name="ntk $3" files=$1
    shift
    old
    all=$(ls -A)
    "$@" >/dev/null 2>new/said || cat new/said
    cp -p $files new
    [ "$(stat -c %a $files | sort -u)" = 600 ] || echo "$name: another mode"
}

# Faults $2, with number K instead of K, one after the other, as long as there is a K-th call.
each() {
    may=$1 pattern=$2 k=1
    shift 2
    old
    while with "$(echo "$pattern" | sed "s/K/$k/")" "$@"; do
        judge "$may"
        old
        k=$((k + 1))
    done
    [ $k -gt 4 ] || problem "no faults"
}

one_by_one() { # FILES COMMAND ...
    reference "$@"
    shift
    each 2 any:K:ENOSPC "$@"
    echo "$name"
}

one_by_one K.npy ntk kernel --net "$net" --x1 six.csv --quiet --out K.npy
one_by_one K.npz ntk kernel --net "$net" --x1 six.csv --quiet --get both --out K.npz
one_by_one m.h5 ntk fit --net "$net" --train six.csv --diag-reg 1e-3 --factor --quiet --out m.h5
one_by_one Y.npz ntk predict --model model.h5 --x six.csv --std --quiet --out Y.npz
one_by_one F.npz ntk dynamics --net "$net" --train six.csv --test six.csv --times 1 --quiet --out F.npz
one_by_one p.h5 ntk init --net "$net" --input-shape 2 --out p.h5
one_by_one a.npy ntk apply --params params.h5 --x six.csv --quiet --out a.npy
one_by_one k.npy ntk empirical --params params.h5 --x1 six.csv --quiet --out k.npy

# A store is not there, or good, after any of them, and goes on to the same bytes.
store() { # FAULTS, with K
    pattern=$1 k=1
    while rm -f S.h5 && with "$(echo "$pattern" | sed "s/K/$k/")" $kernel --out S.h5; do
        case $code in
        0 | 137) ;;
        2) grep -q "^ntk kernel: cannot write S.h5: No space left on device$" new/said || problem "does not say why" ;;
        *) problem "ended otherwise" ;;
        esac
        [ ! -e S.h5 ] || ntk kernel --verify S.h5 --quiet || problem "is not good"
        ntk kernel --net "$net" --x1 six.csv --quiet --get both --out S.h5 && cmp S.h5 whole.h5 || problem "does not go on"
        k=$((k + 1))
    done
    [ $k -gt 4 ] || problem "no faults"
}
kernel="ntk kernel --net $(echo "$net" | tr -d ' ') --x1 six.csv --quiet --get both"
$kernel --out whole.h5
name="a store"
for faults in any:K:ENOSPC write:K+:ENOSPC any:K:KILL; do
    store $faults
done
echo "$name"
rm -f S.h5 whole.h5 .ntk-*

# A factor beside a store is not there, or is gone on with, to the same bytes.
two_classes 90 >many.csv
eval="ntk eval --net $(echo "$net" | tr -d ' ') --train many.csv --test six.csv --diag-reg 1e-2 --solver out-of-core
    --kernel S.h5 --quiet"
$eval >/dev/null && mv S.h5.factor whole.factor
factor() { # FAULTS, with K
    pattern=$1 k=1
    while rm -f S.h5.factor && with "$(echo "$pattern" | sed "s/K/$k/")" $eval; do
        case $code in
        0 | 137) ;;
        2) grep -q "^ntk eval: .*cannot write S.h5.factor: No space left on device$" new/said || problem "does not say why" ;;
        *) problem "ended otherwise" ;;
        esac
        $eval >/dev/null && cmp S.h5.factor whole.factor || problem "does not go on"
        k=$((k + 7))
    done
    [ $k -gt 30 ] || problem "no faults"
}
name="a factor"
for faults in any:K:ENOSPC write:K+:ENOSPC any:K:KILL; do
    factor $faults
done
echo "$name"

# What a fit by landmarks keeps on the way is whole, or not there, and the fit ends with the same numbers; if it cannot be
# written, the fit goes on.
eval="ntk eval --net $(echo "$net" | tr -d ' ') --train many.csv --test six.csv --diag-reg 1e-2 --solver landmarks
    --landmarks 9 --checkpoint L.h5 --quiet"
numbers() { $eval | grep -v seconds; }
numbers >whole.txt
landmarks() { # FAULTS, with K
    pattern=$1 k=1
    while rm -f L.h5 && with "$(echo "$pattern" | sed "s/K/$k/")" $eval; do
        [ $code = 0 ] || [ $code = 137 ] || problem "ended otherwise"
        [ $code = 137 ] || [ ! -e L.h5 ] || problem "L.h5 is left"
        numbers | cmp - whole.txt || problem "does not go on"
        [ ! -e L.h5 ] || problem "L.h5 is left"
        k=$((k + 1))
    done
    [ $k -gt 3 ] || problem "no faults"
}
name="landmarks"
for faults in any:K:ENOSPC write:K+:ENOSPC any:K:KILL; do
    landmarks $faults
done
echo "$name"
rm -f S.h5 S.h5.factor whole.factor whole.txt many.csv .ntk-*

echo "a full disk"
reference p.h5 ntk init --net "$net" --input-shape 2 --out p.h5
each 2 write:K+:ENOSPC ntk init --net "$net" --input-shape 2 --out p.h5
echo "no O_TMPFILE"
each 2 tmpfile:1+:EOPNOTSUPP,any:K:ENOSPC ntk init --net "$net" --input-shape 2 --out p.h5

(
    unit=$(dirname "$shim")/../unit/test_outfile
    name=test_outfile NTK_FAULT_PROGRAM=test_outfile
    export NTK_FAULT_PROGRAM
    with tmpfile:1+:EOPNOTSUPP "$unit" || problem "no faults"
    [ $code = 0 ] || problem "fails"
)

# What is no error: signals, writes in halves, no /proc.
for faults in write:1:EINTR fsync:1:EINTR write:1+:SHORT proc:1:ENOENT; do
    old
    with $faults ntk init --net "$net" --input-shape 2 --out p.h5
    [ $code = 0 ] || problem "failed"
    judge 0
done

# A process that is killed leaves a file at most, and that to the next run.
killed() { # FAULT BEFORE
    k=1
    old
    while with "$2any:$k:KILL" ntk init --net "$net" --input-shape 2 --out p.h5; do
        [ "$(cat p.h5)" = old ] || cmp -s p.h5 new/p.h5 || problem "p.h5 is neither old nor new"
        [ "$(ls -A | grep -c '^\.ntk-')" -le "$1" ] || problem "$(ls -A) is left"
        with "${2}write:1000:KILL" ntk init --net "$net" --input-shape 2 --out p.h5
        judge 0
        old
        k=$((k + 1))
    done
    [ $k -gt 4 ] || problem "no faults"
}
echo "killed"
killed 1 ""
killed 1 tmpfile:1+:EOPNOTSUPP,

# A run of training that fails, at any call, goes on by the same command to the same end.
echo "train"
train="ntk train --train six.csv --steps 2 --every 1 --lr 0.1 --checkpoint c.h5 --log log.csv --record r.npz
    --quiet --out p.h5"
name="ntk train" files="c.h5 log.csv p.h5 r.npz"
$train --net "$net" && mv $files c.h5.records new
k=1
while with any:$k:ENOSPC $train --net "$net"; do
    [ $code = 1 ] || [ $code = 2 ] || [ "$(cut -d, -f1 log.csv)" = "$(cut -d, -f1 new/log.csv)" ] ||
        problem "ended otherwise"
    [ $code = 0 ] || grep -q "^ntk train: .*: No space left on device" new/said || problem "does not say why"
    $train --net "$net" || problem "does not go on"
    for file in c.h5 p.h5 r.npz; do
        cmp -s $file new/$file || problem "$file is another"
    done
    rm -f $files c.h5.records
    k=$((k + 2))
done
[ $k -gt 40 ] || problem "no faults"

# Folders: tables, plots and pages.
echo "lab"
name="ntk lab"
k=1
while with any:$k:ENOSPC ntk lab init --quick --quiet --out lab; do
    [ $code = 2 ] || [ -s lab/init.part ] || problem "ended otherwise"
    [ $code = 0 ] || grep -q "^ntk lab: cannot write lab/init.*: No space left on device$" new/said ||
        problem "does not say why"
    ls -A lab | grep -v '^init\.' && problem "is left"
    rm -rf lab
    k=$((k + 5))
done
[ $k -gt 20 ] || problem "no faults"
echo "lab cifar10"
name="ntk lab cifar10"
cifar10_images images && rm -rf lab
lab="ntk lab cifar10 --data images --depths 3 --train-limit 12 --test-limit 5 --quiet --out lab"
$lab >/dev/null && mv lab new/lab || problem "fails"
k=1
while with any:$k:ENOSPC $lab; do
    [ $code = 2 ] || diff -r lab new/lab || problem "ended otherwise" # at what is only tried first
    [ $code = 0 ] || grep -q "^ntk lab: .*: No space left on device$" new/said || problem "does not say why"
    $lab >/dev/null || problem "does not go on"
    diff -r lab new/lab || problem "ends otherwise"
    rm -rf lab
    k=$((k + 5))
done
[ $k -gt 20 ] || problem "no faults"
echo "demo"
name="ntk demo"
with open:1+:ENOSPC ntk demo --out demo || problem "no faults"
[ $code = 2 ] && cat new/said
