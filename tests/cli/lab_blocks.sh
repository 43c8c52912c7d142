# SPDX-License-Identifier: MIT
# Blocks of kernel rows that a restart finds: of these images, whole, finite; on images of random pixels.
images() { # directory
    mkdir -p "$1"
    for file in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
        for label in 0 1 2 3 4 5; do
            printf "\\00$label" && head -c 3072 /dev/urandom
        done >"$1/$file.bin"
    done
}
images one
images two
lab="ntk lab cifar10 --depths 3 --train-limit 12 --test-limit 5 --out lab --quiet"
$lab --data one >/dev/null || exit 1
$lab --data one >/dev/null && echo "the same images again"

# Numbers of the same images, but other ones; older directories do not say of which.
$lab --data two
echo "-> $?"
cp lab/cifar10.txt is
echo "12 training and 5 test images in blocks of 12" >lab/cifar10.txt
$lab --data one
echo "-> $?"
cp is lab/cifar10.txt

# A block of the right length that is not one.
for part in train test; do
    cp "lab/vanilla-3-$part-000000.f32" block
    printf '\377\377\377\377' | dd of="lab/vanilla-3-$part-000000.f32" bs=4 seek=3 conv=notrunc 2>/dev/null
    $lab --data one
    echo "-> $?"
    rm "lab/vanilla-3-$part-000000.f32"
    $lab --data one >/dev/null && cmp block "lab/vanilla-3-$part-000000.f32" && echo "computed again"
done
