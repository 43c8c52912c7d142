/* SPDX-License-Identifier: MIT
 *
 * gain.h - a step of the tests' own, with parameters: gain.c.
 */
#ifndef NTK_TEST_GAIN_H
#define NTK_TEST_GAIN_H

#include "steps/step.h"

extern const struct ntk_step_class ntk_step_gain;

void ntk_tape_gain(struct ntk_tape *t, const char *layer, bool trainable, const struct ntk_wire *in,
                   struct ntk_wire *out);

#endif
