/* SPDX-License-Identifier: MIT
 *
 * mask.h - a shorter way to the trace at the last hidden layer.
 *
 * From the outputs back to the last activation all steps are linear, so that the cotangents B_o of
 * that activation's output are the same for all samples. Before it they are f'(z) B_o, and the
 * layer before needs of them, in the sum over outputs o, only sum_o (f'(z_i) B_o)[c] (f'(z_j)
 * B_o)[c] = (f'(z_i) M)[c] (f'(z_j) M)[c],    M[c]^2 = sum_o B_o[c]^2: one cotangent a sample
 * instead of one an output. With positions B_o must be the same at all of them, as it is before
 * global pooling.
 */
#ifndef NTK_MASK_H
#define NTK_MASK_H

#include "finite/finite.h"

/* The step that is that activation (elementwise), with a trained step of its own right before it whose
 * parameters are each of one channel; -1: there is none. */
int ntk_mask_step(const ntk_params *p);
/* M into out [size]; *same is false, and out not written, if B depends on the position. x: any
 * sample. */
ntk_status ntk_mask_weights(const ntk_params *p, int step, const ntk_data *x, void *out,
                            bool *same);
/* f'(z) M into out [n][size], for the samples of a pass. work is [n][size]. */
void ntk_mask_cotangent(const struct ntk_pass *pass, int step, const void *M, void *work,
                        void *out);

#endif
