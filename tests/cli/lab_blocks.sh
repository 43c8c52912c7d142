# SPDX-License-Identifier: MIT
# The store that a restart finds: of these images, whole; on images of random pixels.
cifar10_images one
cifar10_images two
lab="ntk lab cifar10 --depths 3 --train-limit 12 --test-limit 5 --out lab --quiet"
$lab --data one >/dev/null || exit 1
cp lab/v3.h5 before
$lab --data one >/dev/null && cmp lab/v3.h5 before && echo "the same images again"

# Numbers of the same images, but other ones; a file that is no store.
$lab --data two
echo "-> $?"
mv lab/v3.h5 is
echo "no store" >lab/v3.h5
$lab --data one
echo "-> $?"
mv is lab/v3.h5

# Numbers that are others: those of the images with themselves.
printf '%300s' x | tr ' x' '\377' | dd of=lab/v3.h5 bs=1 seek=2400 conv=notrunc 2>/dev/null
$lab --data one
echo "-> $?"
