/* SPDX-License-Identifier: MIT
 *
 * pair.c - all tables of a pair, node after node.
 */
#include "backend/reference/reference.h"

static ntk_reference_fn *const instructions[] = {
#define INSTRUCTION(id, name) ntk_reference_##id,
#include "ops/instructions.def"
#undef INSTRUCTION
};

/* Equal positions of a sample with itself. */
static void keep(const struct ntk_reference_pair *x, const struct ntk_reference_node *n, long double *own)
{
    const size_t m = ntk_node_positions(n->v);

    for (size_t p = 0; p < m; p++)
        own[n->at + p] = x->table[n->at_pair + p * m + p];
}

void ntk_reference_compute(struct ntk_reference_pair *x, long double *own)
{
    for (int k = 0; k < x->c->n && !x->failed; k++) {
        const struct ntk_reference_node *n = &x->c->nodes[k];

        instructions[n->run.id](x, n);
        if (own)
            keep(x, n, own);
    }
}
