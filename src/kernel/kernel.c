/* SPDX-License-Identifier: MIT
 *
 * kernel.c - nets compiled for a sample shape, and their kernels.
 */
#include <stdlib.h>

#include "language/net.h"
#include "kernel/blocks.h"
#include "kernel/kernel.h"

#define NETS_MAX 64
#define COSTLY   1e8 /* positions a pair from which the log warns */

struct ntk_kernel {
    ntk_ctx *ctx;
    ntk_dtype dtype;
    ntk_shape shape;
    struct ntk_plan plan;
};

/* A node that is one number a pair: an image of one position counts as a vector. */
static int output(struct ntk_graph *g, int v)
{
    if (v != NTK_ZERO && g->status == NTK_OK && g->nodes[v].plane)
        v = ntk_graph_trace(g, v, 1);
    return ntk_graph_materialise(g, v);
}

/* Adds all nets to one graph, so that they share what is equal. */
static ntk_status lower_all(const ntk_net *const *nets, size_t n_nets, unsigned want,
                            ntk_shape shape, struct ntk_graph *g, int *outputs)
{
    int n = 0;

    for (size_t k = 0; k < n_nets; k++) {
        g->planes = g->planes || (shape.spatial > 0 && ntk_net_uses_positions(nets[k]));
        g->cyclic = g->cyclic || ntk_net_wraps(nets[k]);
    }
    g->h = (int)shape.h;
    g->w = (int)shape.w;
    ntk_graph_input(g);
    for (size_t k = 0; k < n_nets; k++) {
        struct ntk_field out;
        char text[64];

        NTK_TRY(ntk_net_lower(nets[k], shape, g, &out));
        if (ntk_positions(out.shape) > 1)
            return ntk_fail(g->ctx, NTK_ETHEORY,
                            "the net's output still has positions (%s): end with Flatten() or "
                            "GlobalAvgPool()",
                            ntk_shape_text(out.shape, text));
        if (want & NTK_NNGP)
            outputs[n++] = output(g, out.sigma);
        if (want & NTK_NTK)
            outputs[n++] = output(g, out.theta);
    }
    return g->status;
}

ntk_status ntk_kernel_new(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets, unsigned want,
                          ntk_dtype dtype, ntk_shape shape, ntk_kernel **kernel)
{
    const int per_net = (want & NTK_NNGP ? 1 : 0) + (want & NTK_NTK ? 1 : 0);
    int outputs[2 * NETS_MAX];
    struct ntk_graph g;
    ntk_kernel *k;
    ntk_status status;

    if (n_nets < 1 || n_nets > NETS_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "1 to %d nets at once, got %zu", NETS_MAX, n_nets);
    if (per_net == 0 || want > (NTK_NNGP | NTK_NTK))
        return ntk_fail(ctx, NTK_EINVAL, "want must be NTK_NNGP, NTK_NTK or both, got %u", want);
    if (dtype != NTK_F32 && dtype != NTK_F64)
        return ntk_fail(ctx, NTK_EINVAL, "dtype must be NTK_F32 or NTK_F64, got %d", (int)dtype);
    NTK_TRY(ntk_isa_resolve(ctx));
    k = ntk_alloc_zero(ctx, 1, sizeof *k);
    if (!k)
        return NTK_ENOMEM;
    k->ctx = ctx;
    k->dtype = dtype;
    k->shape = shape;
    for (size_t i = 0; i < n_nets; i++)
        ntk_net_check_axes(ctx, nets[i], shape);
    ntk_graph_init(&g, ctx);
    status = lower_all(nets, n_nets, want, shape, &g, outputs);
    if (status == NTK_OK)
        status = ntk_plan_make(&g, per_net * (int)n_nets, outputs, &k->plan);
    ntk_graph_free(&g);
    if (status != NTK_OK) {
        free(k);
        return status;
    }
    if (ntk_kernel_positions(k) > COSTLY)
        ntk_log(ctx, 0,
                "each pair of samples sends %.2g pairs of positions through activations, of the "
                "order of "
                "%.1g s on one processor",
                ntk_kernel_positions(k), ntk_kernel_positions(k) / 1e9);
    *kernel = k;
    return NTK_OK;
}

void ntk_kernel_free(ntk_kernel *kernel)
{
    if (!kernel)
        return;
    ntk_plan_free(&kernel->plan);
    free(kernel);
}

size_t ntk_kernel_outputs(const ntk_kernel *kernel)
{
    return (size_t)kernel->plan.n_outputs;
}

double ntk_kernel_positions(const ntk_kernel *kernel)
{
    return kernel->plan.space ? kernel->plan.space->entries : 0;
}

static const struct ntk_simd *simd_of(const ntk_kernel *k, ntk_dtype dtype)
{
    return dtype == NTK_F32 ? k->ctx->isa->f32 : k->ctx->isa->f64;
}

/* What one computation has of the samples. */
struct prepared {
    struct ntk_way way;
    struct ntk_samples s[2];
    struct ntk_duals duals;
    struct ntk_groups groups;
    struct ntk_fields fields;
};

/* Everything but the output matrices, computed in that way; before samples are prepared (p NULL) without
 * positions and without side values that depend on variances. */
static size_t work_bytes(const ntk_kernel *k, const struct ntk_way *way, const ntk_data *x1,
                         const ntk_data *x2, const struct prepared *p)
{
    const struct ntk_duals *duals = p ? &p->duals : NULL;
    size_t bytes = ntk_samples_bytes(&k->plan, way, x1, duals) +
                   (x2 ? ntk_samples_bytes(&k->plan, way, x2, duals) : 0) +
                   (size_t)k->ctx->threads * (ntk_tile_bytes(&k->plan, way->dtype) +
                                              (k->plan.near ? ntk_near_bytes(&k->plan) : 0));

    if (k->plan.space && p)
        bytes += ntk_blocks_bytes(&p->fields, x1->n, x2 ? x2->n : 0);
    return bytes;
}

static size_t matrix_bytes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2)
{
    return ntk_bytes((double)ntk_kernel_outputs(k) * (double)x1->n *
                     (double)(x2 ? x2->n : x1->n) * (double)k->dtype);
}

ntk_status ntk_kernel_check_shape(const ntk_kernel *k, const char *name, const ntk_data *x)
{
    char a[64], b[64];

    if (x->shape.spatial != k->shape.spatial || x->shape.h != k->shape.h ||
        x->shape.w != k->shape.w || x->shape.c != k->shape.c)
        return ntk_fail(k->ctx, NTK_ESHAPE,
                        "samples of %s have shape %s, the kernel was made for %s", name,
                        ntk_shape_text(x->shape, a), ntk_shape_text(k->shape, b));
    return NTK_OK;
}

static void forget(const ntk_kernel *k, struct prepared *p)
{
    if (k->plan.space)
        ntk_fields_free(&p->fields);
    ntk_samples_free(p->s, &k->plan, &p->duals, &p->groups);
    ntk_way_free(&p->way);
    *p = (struct prepared){.way = {.dtype = p->way.dtype}};
}

/* In the kernel's type, or where that does not take what is met on the way in another way. The caller
 * forgets p, also on failure. */
static ntk_status prepare(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2,
                          bool variances, struct prepared *p)
{
    bool another = false;

    *p = (struct prepared){.way = {.dtype = k->dtype}};
    for (;; another = true) {
        NTK_TRY(ntk_samples_prepare(k->ctx, &k->plan, &p->way, x1, x2, p->s, variances, &p->fields,
                                    &p->duals, &p->groups));
        if (!p->duals.beyond)
            break;
        forget(k, p);
        NTK_TRY(ntk_way_next(k->ctx, &k->plan, x1, x2, &p->way));
        NTK_TRY(ntk_ctx_check_memory(k->ctx, work_bytes(k, &p->way, x1, x2, NULL),
                                     "computing the kernel in float64"));
    }
    for (int t = 0; another && variances && t < (x2 ? 2 : 1); t++)
        NTK_TRY(ntk_samples_check_outputs(k->ctx, &k->plan, &p->way, k->dtype, &p->s[t], t));
    return NTK_OK;
}

/* What a computation is for, and the bytes that are held beside its scratch. */
struct purpose {
    const char *what;
    size_t held;
};

/* All memory is checked before the first pair and before side values are made. */
static ntk_status prepare_all(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2,
                              struct purpose purpose, struct prepared *p)
{
    NTK_TRY(prepare(k, x1, x2, k->plan.needs_variances, p));
    NTK_TRY(ntk_ctx_check_memory(k->ctx, work_bytes(k, &p->way, x1, x2, p) + purpose.held, purpose.what));
    return ntk_samples_sides(k->ctx, &p->duals, x2 ? 2 : 1, p->s);
}

/* What progress counts: pairs of samples with positions, else tiles. n2 = 0: symmetric. */
static double units(const ntk_kernel *k, int64_t n1, int64_t n2)
{
    const int64_t size = k->plan.space ? 1 : NTK_TILE;
    const double rows = (double)((n1 + size - 1) / size), columns = (double)((n2 + size - 1) / size);

    return n2 ? rows * columns : rows * (rows + 1) / 2;
}

static ntk_status run(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2, struct purpose purpose,
                      ntk_sink_fn *sink, void *user)
{
    struct prepared p;
    ntk_status status;

    NTK_TRY(ntk_progress(k->ctx, k->plan.space ? "pairs" : "tiles", 0,
                         units(k, x1->n, x2 ? x2->n : 0)));
    status = prepare_all(k, x1, x2, purpose, &p);
    if (status == NTK_OK) {
        const struct ntk_tiling tiling = {.ctx = k->ctx,
                                          .plan = &k->plan,
                                          .simd = simd_of(k, p.way.dtype),
                                          .rows = &p.s[0],
                                          .columns = x2 ? &p.s[1] : &p.s[0],
                                          .duals = &p.duals,
                                          .groups = &p.groups,
                                          .dtype = p.way.dtype,
                                          .out_dtype = k->dtype,
                                          .way = &p.way};

        status = k->plan.space ? ntk_blocks_run(&tiling, &p.fields, sink, user)
                               : ntk_tiles_run(&tiling, sink, user);
    }
    forget(k, &p);
    return status;
}

static ntk_status check_shapes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2)
{
    NTK_TRY(ntk_kernel_check_shape(k, "x1", x1));
    return x2 ? ntk_kernel_check_shape(k, "x2", x2) : NTK_OK;
}

/* What is known before samples are prepared. */
static ntk_status check_preparation(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2,
                                    struct purpose purpose)
{
    const struct ntk_way way = {.dtype = k->dtype};
    const size_t bytes = work_bytes(k, &way, x1, x2, NULL);

    if (ntk_samples_wait(&k->plan))
        return ntk_ctx_check_memory(k->ctx, bytes, "the kernel's preparation");
    return ntk_ctx_check_memory(k->ctx, bytes + purpose.held, purpose.what);
}

ntk_status ntk_kernel_scratch(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                              size_t *bytes)
{
    struct prepared p = {.way = {.dtype = kernel->dtype}};
    const bool wait = ntk_samples_wait(&kernel->plan);
    ntk_log_fn *const log = kernel->ctx->log;
    ntk_status status = NTK_OK;

    NTK_TRY(check_shapes(kernel, x1, x2));
    kernel->ctx->log = NULL; /* computing says the same again */
    if (wait)
        status = prepare(kernel, x1, x2, kernel->plan.needs_variances, &p);
    kernel->ctx->log = log;
    if (status == NTK_OK)
        *bytes = work_bytes(kernel, &p.way, x1, x2, wait ? &p : NULL);
    if (wait)
        forget(kernel, &p);
    return status;
}

ntk_status ntk_kernel_bytes(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                            size_t *bytes)
{
    NTK_TRY(ntk_kernel_scratch(kernel, x1, x2, bytes));
    *bytes += matrix_bytes(kernel, x1, x2);
    return NTK_OK;
}

ntk_status ntk_kernel_stream_for(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                                 size_t held, const char *what, ntk_sink_fn *sink, void *user)
{
    const struct purpose purpose = {what, held};

    NTK_TRY(check_shapes(kernel, x1, x2));
    NTK_TRY(check_preparation(kernel, x1, x2, purpose));
    return run(kernel, x1, x2, purpose, sink, user);
}

ntk_status ntk_kernel_compute_for(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                                  size_t held, const char *what, void *const *out)
{
    struct ntk_memory_sink sink = {
        .out = out, .n2 = x2 ? x2->n : x1->n, .dtype = kernel->dtype, .symmetric = !x2};

    return ntk_kernel_stream_for(kernel, x1, x2, held, what, ntk_memory_sink_write, &sink);
}

ntk_status ntk_kernel_stream(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                             ntk_sink_fn *sink, void *user)
{
    return ntk_kernel_stream_for(kernel, x1, x2, 0, "computing the kernel", sink, user);
}

ntk_status ntk_kernel_compute(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                              void *const *out)
{
    return ntk_kernel_compute_for(kernel, x1, x2, matrix_bytes(kernel, x1, x2), "the kernel", out);
}

ntk_status ntk_kernel_diagonal(const ntk_kernel *kernel, const ntk_data *x, double *const *out)
{
    struct prepared p;
    ntk_status status;

    NTK_TRY(ntk_kernel_check_shape(kernel, "x", x));
    status = prepare(kernel, x, NULL, true, &p);
    for (int m = 0; status == NTK_OK && m < kernel->plan.n_outputs; m++)
        for (int64_t i = 0; i < x->n; i++)
            out[m][i] = ntk_way_finish(
                &p.way, kernel->plan.outputs[m], 2 * ntk_way_exponent(&p.way, 0, i),
                p.s[0].variance[(size_t)kernel->plan.outputs[m] * (size_t)x->n + (size_t)i]);
    forget(kernel, &p);
    return status;
}
