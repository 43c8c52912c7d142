# SPDX-License-Identifier: MIT
# Blocks of kernel rows that a restart finds: of these images, whole, finite; on images of random pixels.
cifar10_images one
cifar10_images two
lab="ntk lab cifar10 --depths 3 --train-limit 12 --test-limit 5 --out lab --quiet"
$lab --data one >/dev/null || exit 1
$lab --data one >/dev/null && echo "the same images again"

# Numbers of the same images, but other ones; folders that do not say of which.
$lab --data two
echo "-> $?"
mv lab/train-v3/store.txt is
$lab --data one
echo "-> $?"
head -n 2 is >lab/train-v3/store.txt
$lab --data one
echo "-> $?"
mv is lab/train-v3/store.txt

# A block of the right length that is not one.
for part in train test; do
    file=lab/$part-v3/0.ntk-000000.f32
    cp $file block
    printf '\377\377\377\377' | dd of=$file bs=4 seek=3 conv=notrunc 2>/dev/null
    $lab --data one
    echo "-> $?"
    rm $file
    $lab --data one >/dev/null && cmp block $file && echo "computed again"
done
