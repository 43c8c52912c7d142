/* SPDX-License-Identifier: MIT
 *
 * finite.h - finite networks: parameters, and passes of samples through them.
 */
#ifndef NTK_FINITE_H
#define NTK_FINITE_H

#include "language/net.h"
#include "data/data.h"
#include "steps/loops.h"
#include "store/operator.h"

struct ntk_params {
    ntk_ctx *ctx;
    ntk_net *net; /* own copy; the tape refers to it. NULL: of a tape alone, neither copied nor saved */
    ntk_shape shape;
    ntk_dtype dtype;
    uint64_t seed;
    struct ntk_tape tape;
    const struct ntk_finite *loops;
    void *theta;
    double multiplier;
    size_t held;        /* bytes of theta: ntk_ctx_keep */
    ntk_schema *schema; /* of the data that it was trained on; NULL: none; held */
    ntk_scaler *scaler; /* likewise; NULL: not known */
    bool *depends;      /* [n_values] on parameters: its cotangent is wanted */
    int *slot;          /* [n_values] where its cotangent lives while it is needed; -1: nowhere */
    int64_t *slot_size; /* [n_slots] numbers of a sample */
    int n_slots;
};

/* Parameters whose numbers are not there yet: their arrays are known, theta is NULL. */
ntk_status ntk_params_prepare(ntk_ctx *ctx, const ntk_net *net, ntk_shape shape, ntk_dtype dtype,
                              uint64_t seed, ntk_params **params);
/* The same of a tape, which they take over; NULL if it fails. */
ntk_status ntk_params_of_tape(struct ntk_tape *t, ntk_shape shape, ntk_dtype dtype, uint64_t seed,
                              ntk_params **params);
/* Room for theta, its numbers not set. */
ntk_status ntk_params_allocate(ntk_params *p);
/* The numbers that theta starts with. */
ntk_status ntk_params_draw(ntk_params *p);
/* Bytes of theta before a step's own. */
static inline size_t ntk_params_before(const struct ntk_params *p, const struct ntk_tape_step *s)
{
    return (size_t)s->theta * p->dtype;
}
/* NTK_ESHAPE, with both shapes, if x is not what the network takes. */
ntk_status ntk_params_check(const ntk_params *p, const ntk_data *x);
/* The tangent kernel of all samples' outputs, of order n outputs, which products are had of, and no entries. Both outlive
 * it; vectors are [n][outputs]. */
ntk_status ntk_operator_of_params(const ntk_params *params, const ntk_data *x, struct ntk_operator **o);
/* count standard normal numbers of stream `stream` of a seed, from number `first` on, in float64.
 */
void ntk_random_normal(uint64_t seed, uint32_t stream, int64_t first, int64_t count, double *out);
/* A permutation of 0 ... n - 1. */
void ntk_random_permutation(uint64_t seed, uint32_t stream, int64_t n, int64_t *out);

/* ---- a block of samples on its way through the network (pass.c) */
struct ntk_pass {
    const struct ntk_params *p;
    const struct ntk_simd *simd;
    int threads;         /* that scratch is for, whatever the context has later */
    int64_t capacity, n; /* samples */
    int64_t copies;      /* cotangents a sample; 0: none */
    void **value;        /* [n_values] [n][size] */
    void *input;         /* where samples of the other type are converted to */
    void **tangent;      /* [n_values]; NULL: none; tangent[0] = NULL */
    void **slots;        /* cotangents */
    bool *there;         /* [n_values] a cotangent has been written */
    void *scratch;
};

#define NTK_PASS_BYTES ((size_t)256 << 20)
/* Samples of a block for which a pass holds about so many bytes, at most n, at least 1. */
int64_t ntk_pass_block(const struct ntk_params *p, size_t bytes, int64_t n, int64_t copies,
                       bool tangents);
/* Bytes of a pass. */
size_t ntk_pass_bytes(const struct ntk_params *p, int threads, int64_t capacity, int64_t copies,
                      bool tangents);
ntk_status ntk_pass_new(const struct ntk_params *p, int threads, int64_t capacity, int64_t copies,
                        bool tangents, struct ntk_pass **pass);
void ntk_pass_free(struct ntk_pass *pass);
/* The next samples: n numbered first ... of x. Computes all values. */
void ntk_pass_forward(struct ntk_pass *pass, const ntk_data *x, int64_t first, int64_t n);
/* [n][outputs], without the multiplier. */
const void *ntk_pass_output(const struct ntk_pass *pass);
/* The output's derivative, likewise. */
const void *ntk_pass_jvp(struct ntk_pass *pass, const void *dtheta);
/* What a step's loops are given, for these samples; and its inputs, of the values of a pass. */
struct ntk_run ntk_pass_run(const struct ntk_pass *pass, int step, int64_t copies);
void ntk_step_inputs(const struct ntk_tape_step *s, void *const *values, const void **x);
/* Backwards: first the output's cotangents, [n][copies][outputs] with the multiplier; then step
 * after step from the last to the first, dtheta (NULL: none) gets what they add. */
void ntk_pass_back_start(struct ntk_pass *pass, const void *cotangent);
void ntk_pass_back_step(struct ntk_pass *pass, int step, void *dtheta);
/* Of a step's output, before that step goes back; NULL: there is none. */
const void *ntk_pass_cotangent(const struct ntk_pass *pass, int step);
/* All steps. */
void ntk_pass_back(struct ntk_pass *pass, const void *cotangent, void *dtheta);

#endif
