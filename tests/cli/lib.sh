# SPDX-License-Identifier: MIT
# What the scripts of the command line's tests share.

# Prints a command, what it says on both streams, and its exit code unless that is 0.
try() {
    echo "\$ $*"
    "$@" 2>&1
    code=$?
    [ $code -eq 0 ] || echo "-> $code"
}

# The last $2 numbers of a .npy file $1 of type $3 (f8 or f4), with six decimals.
numbers() {
    size=${3#f}
    tail -c $(($2 * size)) "$1" | od -An -v -w"$size" -t "$3" | awk '{
        x = sprintf("%.6f", $1)
        sub(/^-0\.000000$/, "0.000000", x)
        printf "%s%s", (NR > 1 ? " " : ""), x
    } END {print ""}'
}

# The value of number $2 in the line of JSON $1.
field() {
    sed -n 's/.*"'"$2"'": \([-0-9.e+]*\).*/\1/p' "$1" | head -n 1
}

# "yes" if a <= b <= c.
between() {
    awk -v a="$1" -v b="$2" -v c="$3" 'BEGIN {
        result = (a <= b && b <= c && b != "") ? "yes" : "no: " b
        print result
    }'
}

# Two classes around (1, 0) and (0, 1), $1 rows, as .csv with a header.
two_classes() {
    awk -v n="$1" 'BEGIN {
        print "a,b,label"
        for (i = 0; i < n; i++) {
            k = i % 2
            printf "%.4f,%.4f,%d\n", (k == 0) + 0.3 * sin(7 * i), (k == 1) + 0.3 * cos(5 * i + 1), k
        }
    }'
}

# cifar10_images DIR: the files of CIFAR-10, of random pixels, six images each.
cifar10_images() {
    mkdir -p "$1"
    for file in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
        for label in 0 1 2 3 4 5; do
            printf "\\00$label" && head -c 3072 /dev/urandom
        done >"$1/$file.bin"
    done
}
