/* SPDX-License-Identifier: MIT
 *
 * registry.c - all operations, and what each must have.
 */
#include "ops/op.h"

#define OP(name) extern const struct ntk_op ntk_op_##name;
#include "ops/ops.def"
#undef OP

const struct ntk_op *const ntk_ops[] = {
#define OP(name) &ntk_op_##name,
#include "ops/ops.def"
#undef OP
};
const size_t ntk_n_ops = sizeof ntk_ops / sizeof *ntk_ops;

/* The face that a node's operation lacks; NULL: none. */
static const char *missing(const struct ntk_node *v)
{
    const struct ntk_op *op = v->op;
    const bool links = v->place == NTK_LINKS || v->place == NTK_SUMS;

    if (!op->instruct)
        return "instruct";
    if (links && !op->axis)
        return "axis";
    if (!links && v->place != NTK_SAMPLES && !op->variance)
        return "variance";
    if (v->place != NTK_SAMPLES && !op->range)
        return "range";
    if (op->setup && !op->sides)
        return "sides";
    if (!op->degree)
        return "degree";
    return v->bytes && !op->print ? "print" : NULL;
}

int ntk_degree_of_input(const struct ntk_node *v, const int *in, bool limit)
{
    (void)limit;
    return in[v->in[0]];
}

struct ntk_range ntk_range_of_input(const struct ntk_graph *g, const struct ntk_node *v,
                                    const struct ntk_range *in, const struct ntk_dual *dual)
{
    (void)g;
    (void)dual;
    return in[v->in[0]];
}

ntk_status ntk_op_check(ntk_ctx *ctx, const struct ntk_node *v)
{
    const char *face = missing(v);

    return face ? ntk_fail(ctx, NTK_EINVAL, "the operation %s has no %s", v->op->name, face) : NTK_OK;
}

const char *ntk_instruction_name(enum ntk_instruction_id id)
{
    static const char *const names[] = {
#define INSTRUCTION(id, name) name,
#include "ops/instructions.def"
#undef INSTRUCTION
    };

    return names[id];
}
