/* SPDX-License-Identifier: MIT
 *
 * digits.h - data/digits.txt, made into C by scripts/embed_digits.py when the library is built.
 */
#ifndef NTK_DIGITS_H
#define NTK_DIGITS_H

#define NTK_DIGITS 1797

/* 64 pixels, a blank, the label. */
extern const char ntk_digits[NTK_DIGITS][67];

#endif
