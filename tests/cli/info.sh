# SPDX-License-Identifier: MIT
# What this build can do; the instruction set is the user's choice.
try ntk info | grep -v '^warning'
try ntk info --json
try ntk info --isa baseline --threads 1 | grep -E '^(threads|instruction set)'
try ntk info --backend reference | grep '^backend'
NTK_ISA=baseline ntk info | grep '^instruction set'
NTK_ISA=mmx ntk info
echo "-> $?"
OPENBLAS_CORETYPE=Nehalem ntk info | grep warning
OMP_NUM_THREADS=1 ntk info | grep '^threads'
OMP_NUM_THREADS=100000 ntk info | grep '^threads'
