/* SPDX-License-Identifier: MIT
 *
 * params_io.h - what files of parameters and checkpoints share.
 */
#ifndef NTK_PARAMS_IO_H
#define NTK_PARAMS_IO_H

#include "finite/finite.h"

struct ntk_h5; /* base/h5.h */

/* Attributes and arrays of p; NTK_ENUMERIC if some parameter is not finite. */
ntk_status ntk_params_write(struct ntk_h5 *f, const ntk_params *p);
/* Reads what is not arrays into p: shape, dtype, multiplier, seed. The format's number. */
int ntk_params_read_header(struct ntk_h5 *f, struct ntk_params *p);
/* The arrays alone, of theta [count]; all of them must be finite. */
void ntk_params_arrays_io(struct ntk_h5 *f, const ntk_params *p, void *theta, bool write);

#endif
