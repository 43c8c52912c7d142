# SPDX-License-Identifier: MIT
# Experiments: the list, wrong use, and a small run on CIFAR-10 that goes on where it stopped.
try ntk lab
try ntk lab nothing
try ntk lab cifar10
try ntk lab cifar10 --data . --columns x
try ntk lab cifar10 --data . --depths 3,one
