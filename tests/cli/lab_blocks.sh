# SPDX-License-Identifier: MIT
# Blocks of kernel rows that a restart finds: of these images, whole, finite; on images of random pixels.
cifar10_images one
cifar10_images two
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
