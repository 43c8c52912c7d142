# SPDX-License-Identifier: MIT
# Ctrl-C ends long work with code 130 and leaves no file. Where it is ignored, as in the background, it stays so.
work="ntk kernel --net fc(depth=2000) --x1 digits --threads 1 --out K.npy --quiet"
INT=0x2 TERM=0x4000
trap 'kill -9 $pid 2>/dev/null' EXIT

# Whether signal $2 is among those that process $pid catches (SigCgt) or ignores (SigIgn).
has() {
    mask=$(awk -v of="$1:" '$1 == of {print substr($2, 13)}' "/proc/$pid/status")
    [ $((0x${mask:-0} & $2)) -ne 0 ]
}

# Waits up to a minute until process $pid is the program that ntk becomes and catches signal $1.
until_it_catches() {
    tries=0
    until grep -qE '^Name:.ntk-run$' "/proc/$pid/status" && has SigCgt "$1"; do
        sleep 0.1
        tries=$((tries + 1))
        [ $tries -lt 600 ] || {
            echo "it does not catch the signal"
            return
        }
    done
}

env --default-signal=INT $work &
pid=$!
until_it_catches $INT
kill -INT $pid
wait $pid
echo "-> $?"

env --ignore-signal=INT $work &
pid=$!
until_it_catches $TERM
has SigIgn $INT && ! has SigCgt $INT && echo "Ctrl-C is ignored"
kill -TERM $pid
wait $pid
echo "-> $?"
ls

echo "input that never comes"
mkfifo pipe
sleep 300 >pipe &
writer=$!
trap 'kill -9 $pid $writer 2>/dev/null' EXIT
env --default-signal=INT ntk kernel --net 'fc(depth=1)' --x1 pipe --out K.npy &
pid=$!
until_it_catches $INT
kill -INT $pid
wait $pid
echo "-> $?"
kill $writer
ls
