#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed_digits.py digits.txt OUT.c: the lines of data/digits.txt as a C array (src/data/digits.h)."""
import re
import sys

source, out = sys.argv[1:]
lines = open(source, encoding="ascii").read().splitlines()
for number, line in enumerate(lines, 1):
    if not re.fullmatch("[0-9a-g]{64} [0-9]", line):
        sys.exit(f"{source}, line {number}: expected 64 pixels 0-9 or a-g, a blank and a label")

with open(out, "w", encoding="ascii") as f:
    f.write('/* made from data/digits.txt by scripts/embed_digits.py */\n#include "data/digits.h"\n\n')
    f.write("const char ntk_digits[NTK_DIGITS][67] = {\n")
    f.writelines(f'    "{line}",\n' for line in lines)
    f.write("};\n_Static_assert(sizeof ntk_digits == "
            f'{len(lines)} * sizeof ntk_digits[0], "data/digits.txt");\n')
