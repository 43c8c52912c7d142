/* SPDX-License-Identifier: MIT
 *
 * kernel.c - nets compiled for a sample shape, and their kernels.
 */
#include <stdlib.h>

#include "backend/registry.h"
#include "data/symmetry.h"
#include "kernel/compiled.h"
#include "kernel/nets.h"
#include "language/net.h"

#define SECONDS_MOST 60 /* of a backend that is slow, unless it is forced */
#define COSTLY   1e8 /* positions a pair from which the log warns */

/* ---- kernels */

static ntk_status compile(ntk_kernel *k, const ntk_net *const *nets, size_t n_nets, unsigned want)
{
    int outputs[2 * NTK_NETS_MAX], n_outputs;
    struct ntk_graph g;
    ntk_status status;

    NTK_TRY(ntk_backend_find(k->ctx, ntk_ctx_backend(k->ctx), &k->machine.backend));
    ntk_graph_init(&g, k->ctx);
    status = ntk_nets_lower(nets, n_nets, want, k->shape, &g, outputs, &n_outputs);
    if (status == NTK_OK)
        status = ntk_program_make(&g, n_outputs, outputs, &k->program);
    ntk_graph_free(&g);
    NTK_TRY(status);
    k->machine.program = k->program;
    return k->machine.backend->compile(k->program, &k->machine.compiled);
}

ntk_status ntk_kernel_new(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets, unsigned want,
                          ntk_dtype dtype, ntk_shape shape, ntk_kernel **kernel)
{
    ntk_kernel *k;
    ntk_status status;

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
    status = compile(k, nets, n_nets, want);
    if (status != NTK_OK) {
        ntk_kernel_free(k);
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

void ntk_kernel_free(ntk_kernel *k)
{
    if (!k)
        return;
    if (k->machine.compiled)
        k->machine.backend->close(k->machine.compiled);
    ntk_program_free(k->program);
    free(k);
}

size_t ntk_kernel_outputs(const ntk_kernel *kernel) { return (size_t)kernel->program->n_outputs; }

double ntk_kernel_positions(const ntk_kernel *kernel) { return kernel->program->entries; }

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

static ntk_status check_shapes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2)
{
    NTK_TRY(ntk_kernel_check_shape(k, "x1", x1));
    return x2 ? ntk_kernel_check_shape(k, "x2", x2) : NTK_OK;
}

/* ---- one computation */

/* Both sets, or the one, of a computation. Where columns stand for their copies, the first set is copies of the rows; of a
 * symmetric kernel without copy 0, which is the second. */
struct prepared {
    struct ntk_samples *s[2];
    ntk_data *moved; /* what the first was made of then */
    struct ntk_job run;
};

static void forget(struct prepared *p)
{
    ntk_samples_release(p->s[0]);
    ntk_samples_release(p->s[1]);
    ntk_data_free(p->moved);
}

static const struct ntk_symmetry *symmetry_of(const ntk_data *x1, const ntk_data *x2) { return (x2 ? x2 : x1)->symmetry; }

/* A job of samples that stand for their copies. */
static void add_copies(const struct ntk_symmetry *g, const ntk_data *x1, const ntk_data *x2, struct ntk_job *run)
{
    run->copies = g->copies;
    run->first = x2 ? 0 : 1;
    run->step = ntk_summed_step(x1->n);
    run->ni = x1->n;
    run->nj = x2 ? x2->n : x1->n;
}

static ntk_status prepare(const ntk_kernel *k, ntk_dtype dtype, const ntk_data *x1, const ntk_data *x2, bool variances,
                          struct prepared *p)
{
    const struct ntk_symmetry *g = symmetry_of(x1, x2);
    const ntk_data *data[] = {x1, x2};
    const bool two = x2 || g;

    *p = (struct prepared){.run = {.machine = &k->machine, .symmetric = !x2, .out_dtype = dtype}};
    if (g) {
        add_copies(g, x1, x2, &p->run);
        NTK_TRY(ntk_data_moved(x1, g, p->run.first, p->run.step, &p->moved));
        data[0] = p->moved;
        data[1] = x2 ? x2 : x1;
    }
    NTK_TRY(ntk_samples_make(&k->machine, dtype, two ? 2 : 1, data, variances, NULL, NULL, p->s));
    p->run.columns = p->s[two ? 1 : 0];
    p->run.rows = x2 ? p->s[0] : p->run.columns;
    p->run.moved = g ? p->s[0] : NULL;
    return NTK_OK;
}

/* The copies that would be prepared, without their numbers. */
static ntk_data moved_of(const ntk_data *x1, const ntk_data *x2)
{
    const struct ntk_symmetry *g = symmetry_of(x1, x2);
    ntk_data moved = *x1;

    moved.n = (g->copies - (x2 ? 0 : 1)) * ntk_summed_step(x1->n);
    return moved;
}

static size_t numbers_bytes(const ntk_data *x) { return (size_t)x->n * (size_t)ntk_features_of(x->shape) * x->dtype; }

/* Everything but the output matrices. */
static size_t work_bytes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2, const struct prepared *p)
{
    const ntk_data *const data[] = {p->moved ? p->moved : x1, p->moved && !x2 ? x1 : x2};
    size_t bytes = ntk_job_bytes(&p->run);

    for (int t = 0; t < 2 && p->s[t]; t++)
        bytes += ntk_samples_bytes(k->program, p->s[t], data[t], p->s[t]->dtype);
    return bytes;
}

/* Sets that are not prepared yet, with the numbers of copies. */
static size_t set_bytes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2)
{
    const struct ntk_symmetry *g = symmetry_of(x1, x2);
    size_t bytes = x2 ? ntk_samples_bytes(k->program, NULL, x2, k->dtype) : 0;

    if (g) {
        const ntk_data moved = moved_of(x1, x2);

        bytes += ntk_samples_bytes(k->program, NULL, &moved, k->dtype) + numbers_bytes(&moved);
    }
    return bytes + (g && x2 ? 0 : ntk_samples_bytes(k->program, NULL, x1, k->dtype));
}

/* Before samples are prepared, where the numbers of side values are known. */
static size_t unprepared_bytes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2)
{
    const struct ntk_symmetry *g = symmetry_of(x1, x2);
    const struct ntk_samples rows = {.ctx = k->ctx, .program = k->program, .n = x1->n, .dtype = k->dtype};
    struct ntk_samples columns = rows, moved = rows;
    struct ntk_job job = {.machine = &k->machine,
                          .rows = &rows,
                          .columns = x2 ? &columns : &rows,
                          .symmetric = !x2,
                          .out_dtype = k->dtype};

    columns.n = x2 ? x2->n : 0;
    if (g) {
        add_copies(g, x1, x2, &job);
        moved.n = moved_of(x1, x2).n;
        job.moved = &moved;
    }
    return ntk_job_bytes(&job) + set_bytes(k, x1, x2);
}

/* What is known before samples are prepared; held: bytes beside the scratch. */
static ntk_status check_preparation(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2, size_t held,
                                    const char *what)
{
    if (!ntk_samples_wait(k->program))
        return ntk_ctx_check_memory(k->ctx, unprepared_bytes(k, x1, x2) + held, what);
    return ntk_ctx_check_memory(k->ctx, set_bytes(k, x1, x2), "the kernel's preparation");
}

static size_t matrix_bytes(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2)
{
    return ntk_bytes((double)ntk_kernel_outputs(k) * (double)x1->n *
                     (double)(x2 ? x2->n : x1->n) * (double)k->dtype);
}

ntk_status ntk_kernel_scratch(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2, size_t *bytes)
{
    ntk_log_fn *const log = k->ctx->log;
    struct prepared p;
    ntk_status status;

    NTK_TRY(check_shapes(k, x1, x2));
    if (!ntk_samples_wait(k->program)) {
        *bytes = unprepared_bytes(k, x1, x2);
        return NTK_OK;
    }
    k->ctx->log = NULL; /* computing says the same again */
    status = prepare(k, k->dtype, x1, x2, false, &p);
    k->ctx->log = log;
    if (status == NTK_OK)
        *bytes = work_bytes(k, x1, x2, &p) + (p.moved ? numbers_bytes(p.moved) : 0);
    forget(&p);
    return status;
}

ntk_status ntk_kernel_scratch_like(const ntk_kernel *k, const ntk_data *x, int64_t n, size_t *bytes)
{
    ntk_log_fn *const log = k->ctx->log;
    ntk_data many = *x;
    struct prepared p;
    ntk_status status;

    many.n = n;
    if (!ntk_samples_wait(k->program) || n == x->n)
        return ntk_kernel_scratch(k, n == x->n ? x : &many, NULL, bytes);
    k->ctx->log = NULL;
    status = prepare(k, k->dtype, x, NULL, false, &p);
    k->ctx->log = log;
    if (status == NTK_OK) {
        p.s[0]->n = n; /* sizes alone are asked for */
        *bytes = work_bytes(k, &many, NULL, &p);
        p.s[0]->n = x->n;
    }
    forget(&p);
    return status;
}

ntk_status ntk_kernel_bytes(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                            size_t *bytes)
{
    NTK_TRY(ntk_kernel_scratch(kernel, x1, x2, bytes));
    *bytes += matrix_bytes(kernel, x1, x2);
    return NTK_OK;
}

ntk_status ntk_kernel_check_seconds(const ntk_kernel *k, double pairs)
{
    const struct ntk_backend *b = k->machine.backend;
    const double seconds = b->seconds ? b->seconds(k->machine.compiled, pairs) : 0;

    if (seconds > SECONDS_MOST && !k->ctx->force)
        return ntk_fail(k->ctx, NTK_EINVAL,
                        "the backend '%s' takes about %.0f s for %.0f pairs of samples, more than %d s: take fewer "
                        "samples, or force it (--force, ntk_ctx_set_backend)",
                        b->name, seconds, pairs, SECONDS_MOST);
    if (seconds > 1)
        ntk_log(k->ctx, 0, "the backend '%s' takes about %.0f s", b->name, seconds);
    return NTK_OK;
}

static double pairs_of(const ntk_data *x1, const ntk_data *x2)
{
    return x2 ? (double)x1->n * (double)x2->n : (double)x1->n * ((double)x1->n + 1) / 2;
}

/* All memory is checked before the first pair and before side values are made. */
ntk_status ntk_kernel_begin(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2, size_t held, const char *what,
                            struct ntk_job *job)
{
    const unsigned kinds = symmetry_of(x1, x2) ? symmetry_of(x1, x2)->kinds : 0;
    struct prepared p;
    ntk_status status;

    NTK_TRY(check_preparation(k, x1, x2, held, what));
    if (kinds & ~k->symmetric)
        NTK_TRY(ntk_kernel_check_symmetry(k, x2 ? x2 : x1));
    ((ntk_kernel *)(uintptr_t)k)->symmetric |= kinds;
    status = prepare(k, k->dtype, x1, x2, false, &p);
    if (status == NTK_OK)
        status = ntk_ctx_check_memory(k->ctx, work_bytes(k, x1, x2, &p) + held, what);
    for (int t = 0; t < 2 && p.s[t] && status == NTK_OK; t++)
        status = ntk_samples_sides(p.s[t]);
    if (status == NTK_OK)
        *job = p.run;
    else
        forget(&p);
    return status;
}

void ntk_kernel_end(struct ntk_job *job)
{
    ntk_data *moved = job->moved ? (ntk_data *)(uintptr_t)job->moved->data : NULL;

    if (job->moved != job->rows)
        ntk_samples_release((struct ntk_samples *)(uintptr_t)job->moved);
    if (job->columns != job->rows)
        ntk_samples_release((struct ntk_samples *)(uintptr_t)job->columns);
    ntk_samples_release((struct ntk_samples *)(uintptr_t)job->rows);
    ntk_data_free(moved);
}

ntk_status ntk_kernel_stream_for(const ntk_kernel *k, const ntk_data *x1, const ntk_data *x2, size_t held, const char *what,
                                 ntk_sink_fn *sink, void *user)
{
    const char *units;
    const int copies = ntk_data_copies(x2 ? x2 : x1);
    const double all = copies * k->machine.backend->units(k->machine.compiled, x1->n, x2 ? x2->n : 0, &units);
    struct ntk_job job;
    ntk_status status;

    NTK_TRY(check_shapes(k, x1, x2));
    NTK_TRY(ntk_kernel_check_seconds(k, copies * pairs_of(x1, x2)));
    NTK_TRY(ntk_progress(k->ctx, units, 0, all));
    NTK_TRY(ntk_kernel_begin(k, x1, x2, held, what, &job));
    status = ntk_run(&job, sink, user);
    ntk_kernel_end(&job);
    return status;
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

ntk_status ntk_kernel_block(const ntk_kernel *k, const ntk_data *x, void *const *out)
{
    struct ntk_memory_sink sink = {.out = out, .n2 = x->n, .dtype = NTK_F64, .symmetric = true};
    struct prepared p;
    ntk_status status = prepare(k, NTK_F64, x, NULL, false, &p);

    for (int t = 0; t < 2 && p.s[t] && status == NTK_OK; t++)
        status = ntk_samples_sides(p.s[t]);
    if (status == NTK_OK)
        status = ntk_run(&p.run, ntk_memory_sink_write, &sink);
    forget(&p);
    return status;
}

#define BLOCK 16 /* samples whose entries with one another are computed at once */

/* From a backend that prepares nothing, one sample after the other with itself; of samples that stand for their copies some
 * at a time. */
static ntk_status run_diagonal(const ntk_kernel *k, const ntk_data *x, double *const *out)
{
    const int64_t most = k->machine.backend->own ? BLOCK : 1;
    const size_t outputs = ntk_kernel_outputs(k);
    double *numbers = ntk_alloc(k->ctx, outputs * BLOCK * BLOCK, sizeof *numbers);
    void **block = ntk_alloc(k->ctx, outputs, sizeof *block);
    ntk_status status = numbers && block ? ntk_kernel_check_seconds(k, ntk_data_copies(x) * (double)x->n) : NTK_ENOMEM;

    for (int64_t i = 0; i < x->n && status == NTK_OK; i += most) {
        const int64_t n = ntk_least(most, x->n - i);
        ntk_data *some;

        for (size_t m = 0; m < outputs; m++)
            block[m] = numbers + m * BLOCK * BLOCK;
        status = ntk_data_slice(x, i, n, &some);
        if (status != NTK_OK)
            break;
        status = ntk_kernel_block(k, some, block);
        for (size_t m = 0; m < outputs && status == NTK_OK; m++)
            for (int64_t j = 0; j < n; j++)
                out[m][i + j] = ((const double *)block[m])[j * n + j];
        ntk_data_free(some);
    }
    free(block);
    free(numbers);
    return status;
}

ntk_status ntk_kernel_diagonal(const ntk_kernel *kernel, const ntk_data *x, double *const *out)
{
    struct prepared p;
    ntk_status status;

    NTK_TRY(ntk_kernel_check_shape(kernel, "x", x));
    if (!kernel->machine.backend->own || x->symmetry)
        return run_diagonal(kernel, x, out);
    status = prepare(kernel, kernel->dtype, x, NULL, true, &p);
    if (status == NTK_OK)
        ntk_samples_diagonal(p.s[0], out);
    forget(&p);
    return status;
}
