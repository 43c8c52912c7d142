/* SPDX-License-Identifier: MIT
 *
 * pass.c - a block of samples through a network: forwards, with a tangent, backwards.
 */
#include <stdlib.h>

#include "finite/finite.h"

/* ---- memory */

static size_t scratch_bytes(const struct ntk_params *p, int threads)
{
    size_t most = 0;

    for (int k = 0; k < p->tape.n; k++) {
        const struct ntk_tape_step *s = &p->tape.steps[k];
        const struct ntk_step_loops *l = ntk_step_loops(s, p->dtype);
        const size_t bytes = l->scratch ? l->scratch(s, threads) : 0;

        most = bytes > most ? bytes : most;
    }
    return most;
}

static size_t sample_bytes(const struct ntk_params *p, int64_t copies, bool tangents)
{
    double numbers = 0, slots = 0;

    for (int v = 0; v < p->tape.n_values; v++)
        numbers += (double)p->tape.size[v];
    for (int k = 0; k < p->n_slots; k++)
        slots += (double)p->slot_size[k];
    return ntk_bytes((numbers * (tangents ? 2 : 1) + (double)copies * slots) * (int)p->dtype);
}

int64_t ntk_pass_block(const struct ntk_params *p, size_t bytes, int64_t n, int64_t copies,
                       bool tangents)
{
    const size_t block = bytes / (sample_bytes(p, copies, tangents) + 1);

    return (int64_t)block >= n ? n : block < 1 ? 1 : (int64_t)block;
}

static void *array(const struct ntk_pass *pass, int64_t size)
{
    return ntk_alloc(pass->p->ctx, (size_t)(pass->capacity * size), pass->p->dtype);
}

static ntk_status allocate(struct ntk_pass *pass, bool tangents)
{
    const struct ntk_params *p = pass->p;
    const size_t n = (size_t)p->tape.n_values;

    pass->value = ntk_alloc_zero(p->ctx, n, sizeof *pass->value);
    pass->there = ntk_alloc_zero(p->ctx, n, sizeof *pass->there);
    pass->slots = ntk_alloc_zero(p->ctx, (size_t)p->n_slots, sizeof *pass->slots);
    pass->tangent = tangents ? ntk_alloc_zero(p->ctx, n, sizeof *pass->tangent) : NULL;
    pass->scratch = ntk_alloc(p->ctx, scratch_bytes(p, pass->threads), 1);
    pass->input = array(pass, p->tape.size[0]);
    if (!pass->value || !pass->there || !pass->slots || !pass->scratch || !pass->input ||
        (tangents && !pass->tangent))
        return NTK_ENOMEM;
    for (int v = 1; v < p->tape.n_values; v++) {
        pass->value[v] = array(pass, p->tape.size[v]);
        if (tangents)
            pass->tangent[v] = array(pass, p->tape.size[v]);
        if (!pass->value[v] || (tangents && !pass->tangent[v]))
            return NTK_ENOMEM;
    }
    for (int k = 0; k < p->n_slots && pass->copies; k++) {
        pass->slots[k] = array(pass, p->slot_size[k] * pass->copies);
        if (!pass->slots[k])
            return NTK_ENOMEM;
    }
    return NTK_OK;
}

size_t ntk_pass_bytes(const struct ntk_params *p, int threads, int64_t capacity, int64_t copies,
                      bool tangents)
{
    return ntk_bytes((double)capacity * (double)sample_bytes(p, copies, tangents)) +
           scratch_bytes(p, threads);
}

ntk_status ntk_pass_new(const struct ntk_params *p, int threads, int64_t capacity, int64_t copies,
                        bool tangents, struct ntk_pass **pass)
{
    const size_t bytes = ntk_pass_bytes(p, threads, capacity, copies, tangents);
    ntk_status status;

    NTK_TRY(ntk_isa_resolve(p->ctx));
    NTK_TRY(ntk_ctx_check_memory(p->ctx, bytes, "a pass through the network"));
    *pass = ntk_alloc_zero(p->ctx, 1, sizeof **pass);
    if (!*pass)
        return NTK_ENOMEM;
    **pass = (struct ntk_pass){.p = p,
                               .simd = ntk_simd_of(p->ctx->isa, p->dtype),
                               .threads = threads,
                               .capacity = capacity,
                               .copies = copies};
    status = allocate(*pass, tangents);
    if (status != NTK_OK) {
        ntk_pass_free(*pass);
        *pass = NULL;
    }
    return status;
}

void ntk_pass_free(struct ntk_pass *pass)
{
    if (!pass)
        return;
    for (int v = 1; v < pass->p->tape.n_values && pass->value; v++) {
        free(pass->value[v]);
        if (pass->tangent)
            free(pass->tangent[v]);
    }
    for (int k = 0; k < pass->p->n_slots && pass->slots; k++)
        free(pass->slots[k]);
    free(pass->value);
    free(pass->tangent);
    free(pass->slots);
    free(pass->there);
    free(pass->scratch);
    free(pass->input);
    free(pass);
}

/* ---- forwards */

struct ntk_run ntk_pass_run(const struct ntk_pass *pass, int step, int64_t copies)
{
    const struct ntk_tape_step *s = &pass->p->tape.steps[step];

    return (struct ntk_run){.step = s,
                            .simd = pass->simd,
                            .threads = pass->threads,
                            .n = pass->n,
                            .copies = copies,
                            .theta = (const char *)pass->p->theta + ntk_params_before(pass->p, s),
                            .scratch = pass->scratch};
}

void ntk_step_inputs(const struct ntk_tape_step *s, void *const *values, const void **x)
{
    for (int k = 0; k < s->n_in; k++)
        x[k] = values[s->in[k]];
}

void ntk_pass_forward(struct ntk_pass *pass, const ntk_data *x, int64_t first, int64_t n)
{
    const struct ntk_params *p = pass->p;
    const int64_t size = p->tape.size[0];
    const ntk_dtype dtype = ntk_data_dtype(x);
    const char *samples = (const char *)ntk_data_x(x) + first * size * (int64_t)dtype;
    const void *in[NTK_BRANCHES_MAX];

    pass->n = n;
    p->loops->convert(n * size, samples, dtype, pass->input);
    pass->value[0] = pass->input;
    for (int k = 0; k < p->tape.n; k++) {
        const struct ntk_run r = ntk_pass_run(pass, k, 1);

        ntk_step_inputs(r.step, pass->value, in);
        ntk_step_loops(r.step, p->dtype)->forward(&r, in, pass->value[r.step->out]);
    }
}

const void *ntk_pass_output(const struct ntk_pass *pass)
{
    return pass->value[pass->p->tape.out];
}

const void *ntk_pass_jvp(struct ntk_pass *pass, const void *dtheta)
{
    const struct ntk_params *p = pass->p;
    const void *in[NTK_BRANCHES_MAX], *din[NTK_BRANCHES_MAX];

    for (int k = 0; k < p->tape.n; k++) {
        const struct ntk_run r = ntk_pass_run(pass, k, 1);
        const void *own = (const char *)dtheta + ntk_params_before(p, r.step);

        if (!p->depends[r.step->out]) {
            memset(pass->tangent[r.step->out], 0,
                   (size_t)(pass->n * p->tape.size[r.step->out]) * p->dtype);
            continue;
        }
        ntk_step_inputs(r.step, pass->value, in);
        ntk_step_inputs(r.step, pass->tangent, din);
        ntk_step_loops(r.step, p->dtype)
            ->jvp(&r, in, pass->value[r.step->out], din, r.step->trainable ? own : NULL,
                  pass->tangent[r.step->out]);
    }
    return pass->tangent[p->tape.out];
}

/* ---- backwards */

void ntk_pass_back_start(struct ntk_pass *pass, const void *cotangent)
{
    const struct ntk_params *p = pass->p;
    const int out = p->tape.out;

    memset(pass->there, 0, (size_t)p->tape.n_values * sizeof *pass->there);
    if (p->slot[out] < 0)
        return;
    p->loops->combine(pass->threads, pass->n * pass->copies * p->tape.size[out], p->multiplier,
                      cotangent, 0, pass->slots[p->slot[out]]);
    pass->there[out] = true;
}

const void *ntk_pass_cotangent(const struct ntk_pass *pass, int step)
{
    const int out = pass->p->tape.steps[step].out;

    return pass->there[out] ? pass->slots[pass->p->slot[out]] : NULL;
}

void ntk_pass_back_step(struct ntk_pass *pass, int step, void *dtheta)
{
    const struct ntk_params *p = pass->p;
    const struct ntk_run r = ntk_pass_run(pass, step, pass->copies);
    const void *in[NTK_BRANCHES_MAX];
    void *din[NTK_BRANCHES_MAX];
    bool add[NTK_BRANCHES_MAX];

    if (!pass->there[r.step->out])
        return;
    ntk_step_inputs(r.step, pass->value, in);
    for (int k = 0; k < r.step->n_in; k++) {
        const int v = r.step->in[k];

        din[k] = p->slot[v] < 0 ? NULL : pass->slots[p->slot[v]];
        add[k] = pass->there[v];
        pass->there[v] = pass->there[v] || din[k];
    }
    ntk_step_loops(r.step, p->dtype)
        ->vjp(&r, in, pass->value[r.step->out], pass->slots[p->slot[r.step->out]], din, add,
              dtheta && r.step->trainable ? (char *)dtheta + ntk_params_before(p, r.step) : NULL);
}

void ntk_pass_back(struct ntk_pass *pass, const void *cotangent, void *dtheta)
{
    ntk_pass_back_start(pass, cotangent);
    for (int k = pass->p->tape.n - 1; k >= 0; k--)
        ntk_pass_back_step(pass, k, dtheta);
}
