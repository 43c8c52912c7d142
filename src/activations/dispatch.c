/* SPDX-License-Identifier: MIT
 *
 * dispatch.c - the tables of loops for the instruction sets that are built in. Compiled as simd/dispatch.c is.
 */
#include "activations/loops.h"

#define ISA(isa, runs, half) extern const struct ntk_dual_loops ntk_dual_loops_##isa##_f32, ntk_dual_loops_##isa##_f64;
#include "simd/isas.def"
#undef ISA

/* In the order of struct ntk_isa's place. */
static const struct ntk_dual_loops *const loops[][2] = {
#define ISA(isa, runs, half) {&ntk_dual_loops_##isa##_f32, &ntk_dual_loops_##isa##_f64},
#include "simd/isas.def"
#undef ISA
};

const struct ntk_dual_loops *ntk_dual_loops_of(const struct ntk_isa *isa, ntk_dtype dtype)
{
    return loops[isa->place][dtype == NTK_F64];
}
