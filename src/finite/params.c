/* SPDX-License-Identifier: MIT
 *
 * params.c - finite networks: their parameters, outputs and derivatives.
 */
#include <math.h>
#include <stdlib.h>

#include "finite/finite.h"

/* ---- making */

/* Which values depend on parameters, so that cotangents reach back to them. */
static void find_dependence(struct ntk_params *p)
{
    for (int k = 0; k < p->tape.n; k++) {
        const struct ntk_tape_step *s = &p->tape.steps[k];

        p->depends[s->out] = s->trainable;
        for (int i = 0; i < s->n_in; i++)
            p->depends[s->out] = p->depends[s->out] || p->depends[s->in[i]];
    }
}

static int take_slot(struct ntk_params *p, bool *taken, int64_t size)
{
    int k = 0;

    while (k < p->n_slots && taken[k])
        k++;
    if (k == p->n_slots)
        p->slot_size[p->n_slots++] = 0;
    taken[k] = true;
    if (p->slot_size[k] < size)
        p->slot_size[k] = size;
    return k;
}

/* A cotangent lives from the last step that uses its value back to the step that makes it. */
static ntk_status assign_slots(struct ntk_params *p)
{
    bool *taken = ntk_alloc_zero(p->ctx, (size_t)p->tape.n_values, sizeof *taken);

    if (!taken)
        return NTK_ENOMEM;
    for (int v = 0; v < p->tape.n_values; v++)
        p->slot[v] = -1;
    if (p->depends[p->tape.out])
        p->slot[p->tape.out] = take_slot(p, taken, p->tape.size[p->tape.out]);
    for (int k = p->tape.n - 1; k >= 0; k--) {
        const struct ntk_tape_step *s = &p->tape.steps[k];

        for (int i = 0; i < s->n_in; i++)
            if (p->depends[s->in[i]] && p->slot[s->in[i]] < 0 && p->slot[s->out] >= 0)
                p->slot[s->in[i]] = take_slot(p, taken, p->tape.size[s->in[i]]);
        if (p->slot[s->out] >= 0)
            taken[p->slot[s->out]] = false;
    }
    free(taken);
    return NTK_OK;
}

#define DRAWN_AT_ONCE ((int64_t)1 << 22) /* numbers: a tenth of a second */

static ntk_status draw(struct ntk_params *p, uint32_t stream, int64_t offset, int64_t n, double deviation)
{
    const int64_t chunk = 1024;

    for (int64_t first = 0; first < n; first += DRAWN_AT_ONCE) {
        const int64_t end = n - first < DRAWN_AT_ONCE ? n : first + DRAWN_AT_ONCE;

#pragma omp parallel for num_threads(p->ctx->threads) if (end - first > 16 * chunk)
        for (int64_t i = first; i < end; i += chunk) {
            const int64_t m = end - i < chunk ? end - i : chunk;
            double z[1024];

            ntk_random_normal(p->seed, stream, i, m, z);
            for (int64_t k = 0; k < m; k++)
                ntk_store(p->theta, p->dtype, (size_t)(offset + i + k), deviation * z[k]);
        }
        if (p->tape.n_params > DRAWN_AT_ONCE)
            NTK_TRY(ntk_progress(p->ctx, "parameters", (double)(offset + end), (double)p->tape.n_params));
    }
    return NTK_OK;
}

ntk_status ntk_params_draw(ntk_params *p)
{
    uint32_t stream = 0;

    for (int k = 0; k < p->tape.n; k++) {
        const struct ntk_tape_step *s = &p->tape.steps[k];

        /* An array has its stream whether it is there or not, so that others do not depend on that. */
        for (int i = 0; i < s->n_arrays; i++, stream++)
            NTK_TRY(draw(p, stream, s->theta + s->arrays[i].at, s->arrays[i].size,
                         s->arrays[i].deviation));
    }
    return NTK_OK;
}

/* The tape is there. */
static ntk_status start(struct ntk_params *p)
{
    const size_t n = (size_t)p->tape.n_values;

    p->loops = ntk_finite_of(p->dtype);
    p->multiplier = 1;
    p->depends = ntk_alloc_zero(p->ctx, n, sizeof *p->depends);
    p->slot = ntk_alloc(p->ctx, n, sizeof *p->slot);
    p->slot_size = ntk_alloc(p->ctx, n, sizeof *p->slot_size);
    if (!p->depends || !p->slot || !p->slot_size)
        return NTK_ENOMEM;
    find_dependence(p);
    return assign_slots(p);
}

static ntk_status copy_net(const ntk_net *net, ntk_net **copy)
{
    char *text;
    ntk_status status;

    NTK_TRY(ntk_net_print(net, &text));
    status = ntk_net_parse(net->ctx, text, copy);
    ntk_text_free(text);
    return status;
}

ntk_status ntk_params_of_tape(struct ntk_tape *t, ntk_shape shape, ntk_dtype dtype, uint64_t seed,
                              ntk_params **params)
{
    ntk_params *p = ntk_alloc_zero(t->ctx, 1, sizeof *p);
    ntk_status status = NTK_ENOMEM;

    *params = NULL;
    if (p) {
        *p = (struct ntk_params){
            .ctx = t->ctx, .shape = shape, .dtype = dtype, .seed = seed, .tape = *t};
        status = t->status == NTK_OK ? start(p) : t->status;
    }
    if (status == NTK_OK) {
        *params = p;
        return NTK_OK;
    }
    if (p)
        ntk_params_free(p);
    else
        ntk_tape_free(t);
    return status;
}

ntk_status ntk_params_prepare(ntk_ctx *ctx, const ntk_net *net, ntk_shape shape, ntk_dtype dtype,
                              uint64_t seed, ntk_params **params)
{
    struct ntk_tape tape = {.ctx = ctx};
    ntk_net *copy;

    if (dtype != NTK_F32 && dtype != NTK_F64)
        return ntk_fail(ctx, NTK_EINVAL, "dtype must be NTK_F32 or NTK_F64, got %d", (int)dtype);
    ntk_net_check_axes(ctx, net, shape);
    NTK_TRY(copy_net(net, &copy));
    tape.status = ntk_net_unroll(copy, shape, &tape);
    tape.status = ntk_params_of_tape(&tape, shape, dtype, seed, params);
    if (tape.status == NTK_OK)
        (*params)->net = copy;
    else
        ntk_net_free(copy);
    return tape.status;
}

ntk_status ntk_params_allocate(ntk_params *p)
{
    NTK_TRY(ntk_ctx_check_memory(p->ctx, (size_t)p->tape.n_params * p->dtype,
                                 "the network's parameters"));
    p->theta = ntk_alloc(p->ctx, (size_t)p->tape.n_params, p->dtype);
    if (!p->theta)
        return NTK_ENOMEM;
    ntk_ctx_keep(p->ctx, (size_t)p->tape.n_params * p->dtype, &p->held);
    return NTK_OK;
}

ntk_status ntk_params_new(ntk_ctx *ctx, const ntk_net *net, ntk_shape shape, ntk_dtype dtype,
                          uint64_t seed, ntk_params **params)
{
    ntk_params *p;
    ntk_status status;

    NTK_TRY(ntk_params_prepare(ctx, net, shape, dtype, seed, &p));
    status = ntk_params_allocate(p);
    if (status == NTK_OK)
        status = ntk_params_draw(p);
    if (status != NTK_OK) {
        ntk_params_free(p);
        return status;
    }
    *params = p;
    return NTK_OK;
}

ntk_status ntk_params_copy(const ntk_params *params, ntk_params **copy)
{
    ntk_params *p;
    ntk_status status;

    NTK_TRY(ntk_params_prepare(params->ctx, params->net, params->shape, params->dtype, params->seed,
                               &p));
    status = ntk_params_allocate(p);
    if (status == NTK_OK)
        status = ntk_params_set_scaler(p, params->scaler);
    if (status != NTK_OK) {
        ntk_params_free(p);
        return status;
    }
    memcpy(p->theta, params->theta, (size_t)params->tape.n_params * params->dtype);
    p->multiplier = params->multiplier;
    p->schema = ntk_schema_hold(params->schema);
    *copy = p;
    return NTK_OK;
}

void ntk_params_free(ntk_params *params)
{
    if (!params)
        return;
    ntk_ctx_release(params->ctx, params->held);
    ntk_tape_free(&params->tape);
    ntk_net_free(params->net);
    ntk_schema_free(params->schema);
    ntk_scaler_free(params->scaler);
    free(params->theta);
    free(params->depends);
    free(params->slot);
    free(params->slot_size);
    free(params);
}

/* ---- asking */

void ntk_params_set_schema(ntk_params *params, ntk_schema *schema)
{
    ntk_schema_hold(schema);
    ntk_schema_free(params->schema);
    params->schema = schema;
}

const ntk_schema *ntk_params_schema(const ntk_params *params)
{
    return params->schema;
}

ntk_status ntk_params_set_scaler(ntk_params *params, const ntk_scaler *scaler)
{
    ntk_scaler *copy = NULL;

    if (scaler)
        NTK_TRY(ntk_scaler_copy(scaler, &copy));
    ntk_scaler_free(params->scaler);
    params->scaler = copy;
    return NTK_OK;
}

const ntk_scaler *ntk_params_scaler(const ntk_params *params)
{
    return params->scaler;
}

int64_t ntk_params_count(const ntk_params *params)
{
    return params->tape.n_params;
}
int64_t ntk_params_outputs(const ntk_params *params)
{
    return ntk_features_of(params->tape.out_shape);
}
ntk_shape ntk_params_shape(const ntk_params *params)
{
    return params->shape;
}
const ntk_net *ntk_params_net(const ntk_params *params)
{
    return params->net;
}
ntk_dtype ntk_params_dtype(const ntk_params *params)
{
    return params->dtype;
}
void *ntk_params_theta(ntk_params *params)
{
    return params->theta;
}

size_t ntk_params_arrays(const ntk_params *params, const ntk_param_array **arrays)
{
    *arrays = params->tape.arrays;
    return (size_t)params->tape.n_arrays;
}

size_t ntk_params_layers(const ntk_params *params, const ntk_param_layer **layers)
{
    *layers = params->tape.layers;
    return (size_t)params->tape.n_layers;
}

ntk_status ntk_params_set_multiplier(ntk_params *params, double s)
{
    if (!(s > 0) || !isfinite(s))
        return ntk_fail(params->ctx, NTK_EINVAL, "the multiplier must be positive, got %g", s);
    params->multiplier = s;
    return NTK_OK;
}

double ntk_params_multiplier(const ntk_params *params)
{
    return params->multiplier;
}

ntk_status ntk_params_check(const ntk_params *p, const ntk_data *x)
{
    const ntk_shape a = p->shape, b = ntk_data_shape(x);
    char wanted[64], got[64];

    if (ntk_data_symmetry(x, NULL))
        return ntk_fail(p->ctx, NTK_ENOTSUP, "these samples stand for their copies, too, which a finite network does not know: "
                                             "give it the copies");
    if (a.spatial == b.spatial && a.h == b.h && a.w == b.w && a.c == b.c)
        return NTK_OK;
    return ntk_fail(p->ctx, NTK_ESHAPE, "the network takes samples of %s, got %s",
                    ntk_shape_text(a, wanted), ntk_shape_text(b, got));
}

/* ---- outputs and derivatives: blocks of samples, one pass each */

/* What is done with a block of samples after the forward pass. */
typedef ntk_status block_fn(struct ntk_pass *pass, int64_t first, void *user);

static ntk_status in_blocks(const ntk_params *p, const ntk_data *x, int64_t copies, bool tangents,
                            block_fn *done, void *user)
{
    const int64_t n = ntk_data_n(x), block = ntk_pass_block(p, NTK_PASS_BYTES, n, copies, tangents);
    const struct ntk_blas blas = ntk_blas_begin(1);
    struct ntk_pass *pass = NULL;
    ntk_status status = ntk_pass_new(p, p->ctx->threads, block, copies, tangents, &pass);

    for (int64_t first = 0; first < n && status == NTK_OK; first += block) {
        const int64_t m = n - first < block ? n - first : block;

        ntk_pass_forward(pass, x, first, m);
        status = done(pass, first, user);
        if (status == NTK_OK && n > block)
            status = ntk_progress(p->ctx, "samples", (double)(first + m), (double)n);
    }
    ntk_pass_free(pass);
    ntk_blas_end(blas);
    return status;
}

struct outputs {
    void *f, *df;
    const void *tangent;
};

static void put(const struct ntk_pass *pass, int64_t first, const void *from, void *to)
{
    const ntk_params *p = pass->p;
    const int64_t c = ntk_params_outputs(p);

    p->loops->combine(p->ctx->threads, pass->n * c, p->multiplier, from, 0,
                      (char *)to + (size_t)(first * c) * p->dtype);
}

/* Numbers of samples first ... that go out. */
static ntk_status check_finite(const struct ntk_pass *pass, int64_t first, const char *what,
                               const void *x)
{
    const ntk_params *p = pass->p;

    if (p->loops->all_finite(pass->n * ntk_params_outputs(p), x))
        return NTK_OK;
    return ntk_fail(p->ctx, NTK_ENUMERIC,
                    "%s of samples %lld to %lld are not finite: parameters or samples are too large",
                    what, (long long)first, (long long)(first + pass->n - 1));
}

static ntk_status put_outputs(struct ntk_pass *pass, int64_t first, void *user)
{
    const size_t at = (size_t)(first * ntk_params_outputs(pass->p)) * pass->p->dtype;
    const struct outputs *o = user;

    NTK_TRY(check_finite(pass, first, "outputs", ntk_pass_output(pass)));
    if (o->f) {
        put(pass, first, ntk_pass_output(pass), o->f);
        NTK_TRY(check_finite(pass, first, "outputs", (const char *)o->f + at));
    }
    if (o->df) {
        put(pass, first, ntk_pass_jvp(pass, o->tangent), o->df);
        NTK_TRY(check_finite(pass, first, "derivatives", (const char *)o->df + at));
    }
    return NTK_OK;
}

ntk_status ntk_params_apply(const ntk_params *params, const ntk_data *x, void *f)
{
    struct outputs o = {.f = f};

    NTK_TRY(ntk_params_check(params, x));
    return in_blocks(params, x, 0, false, put_outputs, &o);
}

ntk_status ntk_params_jvp(const ntk_params *params, const ntk_data *x, const void *tangent, void *f,
                          void *df)
{
    struct outputs o = {.f = f, .df = df, .tangent = tangent};

    NTK_TRY(ntk_params_check(params, x));
    return in_blocks(params, x, 0, true, put_outputs, &o);
}

struct gradient {
    const char *cotangent;
    void *sum;
};

static ntk_status add_gradient(struct ntk_pass *pass, int64_t first, void *user)
{
    const ntk_params *p = pass->p;
    const struct gradient *g = user;

    ntk_pass_back(pass, g->cotangent + (size_t)(first * ntk_params_outputs(p)) * p->dtype, g->sum);
    return NTK_OK;
}

ntk_status ntk_params_vjp(const ntk_params *params, const ntk_data *x, const void *cotangent,
                          void *gradient)
{
    struct gradient g = {.cotangent = cotangent, .sum = gradient};

    NTK_TRY(ntk_params_check(params, x));
    memset(gradient, 0, (size_t)params->tape.n_params * params->dtype);
    NTK_TRY(in_blocks(params, x, 1, false, add_gradient, &g));
    if (!params->loops->all_finite(params->tape.n_params, gradient))
        return ntk_fail(params->ctx, NTK_ENUMERIC,
                        "the gradient is not finite: parameters, samples or cotangents are too large");
    return NTK_OK;
}

ntk_status ntk_params_linearized(const ntk_params *params, const ntk_data *x, const void *theta,
                                 void *f)
{
    const int64_t count = params->tape.n_params, n = ntk_data_n(x) * ntk_params_outputs(params);
    void *step = ntk_alloc(params->ctx, (size_t)count, params->dtype);
    void *df = ntk_alloc(params->ctx, (size_t)n, params->dtype);
    ntk_status status = NTK_ENOMEM;

    if (step && df) {
        memcpy(step, theta, (size_t)count * params->dtype);
        params->loops->combine(params->ctx->threads, count, -1, params->theta, 1, step);
        status = ntk_params_jvp(params, x, step, f, df);
    }
    if (status == NTK_OK) {
        params->loops->combine(params->ctx->threads, n, 1, df, 1, f);
        if (!params->loops->all_finite(n, f))
            status = ntk_fail(params->ctx, NTK_ENUMERIC,
                              "the linearised outputs are not finite: parameters are too large");
    }
    free(step);
    free(df);
    return status;
}

struct values {
    int64_t n;
    void *const *f;
};

static ntk_status put_values(struct ntk_pass *pass, int64_t first, void *user)
{
    const struct ntk_tape *t = &pass->p->tape;
    const struct values *v = user;

    for (int k = 0; k < t->n; k++) {
        const int out = t->steps[k].out;
        const size_t bytes = (size_t)t->size[out] * pass->p->dtype;

        memcpy((char *)v->f[k] + (size_t)first * bytes, pass->value[out], (size_t)pass->n * bytes);
    }
    return NTK_OK;
}

ntk_status ntk_params_values(const ntk_params *params, const ntk_data *x, size_t *n_values,
                             int64_t *sizes, void *const *f)
{
    struct values v = {.f = f};

    if (f) {
        NTK_TRY(ntk_params_check(params, x));
        NTK_TRY(in_blocks(params, x, 0, false, put_values, &v));
    }
    *n_values = (size_t)params->tape.n;
    for (int k = 0; k < params->tape.n && sizes; k++)
        sizes[k] = params->tape.size[params->tape.steps[k].out];
    return NTK_OK;
}
