/* SPDX-License-Identifier: MIT
 *
 * loops.c - the table of the loops of all activations, for one instruction set and element type.
 */
#include "activations/near_dual.h"
#include "activations/sweep.h"

#define ACTIVATION(name) ntk_dual_fn NTK_DUAL_SYMBOL(name);
#define ACTIVATION_SERIES(name)
#include "activations/activations.def"
#undef ACTIVATION

#define SWEEP(name)                     \
    ntk_sweep_fn NTK_SWEEP_SYMBOL(name); \
    ntk_tail_fn NTK_TAIL_SYMBOL(name);
#include "activations/sweeps.def"
#undef SWEEP

#ifdef NTK_IS_F64
#define MANY(name) ntk_many_fn NTK_MANY_SYMBOL(name);
#include "activations/many.def"
#undef MANY
#define ACTIVATION(name) ntk_near_fn NTK_NEAR_SYMBOL(name);
#include "activations/activations.def"
#undef ACTIVATION
#endif

extern const struct ntk_dual_loops NTK_CAT4(ntk_dual_loops, NTK_SUFFIX, , );

const struct ntk_dual_loops NTK_CAT4(ntk_dual_loops, NTK_SUFFIX, , ) = {
    .dual =
        {
#define ACTIVATION(name) [NTK_DUAL_##name] = NTK_DUAL_SYMBOL(name),
#include "activations/activations.def"
#undef ACTIVATION
        },
    .sweep =
        {
#define SWEEP(name) [NTK_DUAL_##name] = NTK_SWEEP_SYMBOL(name),
#include "activations/sweeps.def"
#undef SWEEP
        },
    .tail =
        {
#define SWEEP(name) [NTK_DUAL_##name] = NTK_TAIL_SYMBOL(name),
#include "activations/sweeps.def"
#undef SWEEP
        },
#ifdef NTK_IS_F64
    .many =
        {
#define MANY(name) [NTK_DUAL_##name] = NTK_MANY_SYMBOL(name),
#include "activations/many.def"
#undef MANY
        },
    .near =
        {
#define ACTIVATION(name) [NTK_DUAL_##name] = NTK_NEAR_SYMBOL(name),
#include "activations/activations.def"
#undef ACTIVATION
        },
#endif
};
