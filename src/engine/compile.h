/* SPDX-License-Identifier: MIT
 *
 * compile.h - what the files that make a program share.
 */
#ifndef NTK_COMPILE_H
#define NTK_COMPILE_H

#include "engine/program.h"

/* One axis of a link; sum: the target is one number. False: no memory. */
bool ntk_link_dim_make(const struct ntk_graph *g, struct ntk_arena *arena, const struct ntk_link_axis *axis,
                       bool sum, struct ntk_link_dim *dim);
/* Which offsets of which nodes are needed, backwards from what is wanted (needs.c). False: no memory. */
bool ntk_program_needs(struct ntk_program *p);

#endif
