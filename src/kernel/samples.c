/* SPDX-License-Identifier: MIT
 *
 * samples.c - samples that are prepared once and used by many calls.
 */
#include "data/symmetry.h"
#include "kernel/compiled.h"

#define KEPT_PART 4

/* Bytes for side values at positions, which can be made again: a part of the memory that there is. Where a bound was
 * set, none: it may be meant for other work. */
static size_t most_kept(const ntk_ctx *ctx) { return ctx->memory ? 0 : ntk_ctx_memory(ctx) / KEPT_PART; }

static ntk_status check_kernel(const ntk_kernel *k, const char *name, const ntk_samples *s)
{
    if (s->program == k->program)
        return NTK_OK;
    return ntk_fail(k->ctx, NTK_EINVAL, "the samples %s were prepared for another kernel", name);
}

static ntk_status refuse(const ntk_kernel *k)
{
    return ntk_fail(k->ctx, NTK_ENUMERIC,
                    "some sample is outside of what the reference takes: its variance on the way, or its size in "
                    "float%d, is not among those of the reference's samples; prepare the reference with it, or leave "
                    "the reference out",
                    8 * (int)k->dtype);
}

/* With side values, their memory checked beside what else is held, and counted from now on. */
static ntk_status make(const ntk_kernel *k, const ntk_data *x, const ntk_samples *reference, size_t held,
                       const char *what, bool *beyond, ntk_samples **samples)
{
    ntk_samples *s;
    ntk_status status;
    size_t bytes;

    NTK_TRY(ntk_ctx_check_memory(k->ctx, ntk_samples_bytes(k->program, NULL, x, k->dtype) + held, what));
    *beyond = false;
    NTK_TRY(ntk_samples_make(&k->machine, k->dtype, 1, &x, false, reference, beyond, &s));
    if (*beyond)
        return NTK_OK;
    bytes = ntk_samples_bytes(k->program, s, x, s->dtype);
    status = ntk_ctx_check_memory(k->ctx, bytes + held, what);
    if (status == NTK_OK)
        status = ntk_samples_sides(s);
    if (status == NTK_OK && !reference)
        status = ntk_samples_keep(&k->machine, s, most_kept(k->ctx));
    if (status != NTK_OK) {
        ntk_samples_release(s);
        return status;
    }
    ntk_ctx_keep(k->ctx, ntk_samples_bytes(k->program, s, x, s->dtype), &s->held);
    *samples = s;
    return NTK_OK;
}

ntk_status ntk_samples_new(const ntk_kernel *k, const ntk_data *x, const ntk_samples *reference,
                           ntk_samples **samples)
{
    bool beyond;

    NTK_TRY(ntk_kernel_check_shape(k, "x", x));
    if (reference)
        NTK_TRY(check_kernel(k, "of the reference", reference));
    NTK_TRY(make(k, x, reference, 0, "preparing samples", &beyond, samples));
    return beyond ? refuse(k) : NTK_OK;
}

void ntk_samples_free(ntk_samples *samples) { ntk_samples_release(samples); }

size_t ntk_samples_memory(const ntk_samples *samples) { return samples->held; }

int64_t ntk_samples_n(const ntk_samples *samples) { return samples->n; }

static ntk_status run_job(const ntk_kernel *k, const struct ntk_job *job, size_t held, const char *what, ntk_sink_fn *sink,
                          void *user)
{
    const int64_t n1 = job->copies ? job->ni : job->rows->n, n2 = job->columns->n;
    const int copies = job->copies ? job->copies : 1;
    const char *units;
    const double all = copies * k->machine.backend->units(k->machine.compiled, n1, job->symmetric ? 0 : n2, &units);

    NTK_TRY(ntk_kernel_check_seconds(
        k, copies * (job->symmetric ? (double)n1 * ((double)n1 + 1) / 2 : (double)n1 * (double)n2)));
    NTK_TRY(ntk_progress(k->ctx, units, 0, all));
    NTK_TRY(ntk_ctx_check_memory(k->ctx, ntk_job_bytes(job) + held, what));
    return ntk_run(job, sink, user);
}

static ntk_status run(const ntk_kernel *k, const ntk_samples *x1, const ntk_samples *x2, size_t held, const char *what,
                      ntk_sink_fn *sink, void *user)
{
    const struct ntk_job job = {.machine = &k->machine,
                                .rows = x1,
                                .columns = x2 ? x2 : x1,
                                .symmetric = !x2,
                                .out_dtype = k->dtype};

    return run_job(k, &job, held, what, sink, user);
}

static ntk_status check_both(const ntk_kernel *k, const ntk_samples *x1, const ntk_samples *x2)
{
    NTK_TRY(check_kernel(k, "x1", x1));
    if ((x2 ? x2 : x1)->data->symmetry)
        return ntk_fail(k->ctx, NTK_ENOTSUP, "prepared samples stand for themselves only: these stand for their copies, too; "
                                             "take the data (ntk_kernel_compute)");
    if (!x2)
        return NTK_OK;
    NTK_TRY(check_kernel(k, "x2", x2));
    if (x1->reference != x2->reference)
        return ntk_fail(k->ctx, NTK_EINVAL,
                        "x1 and x2 were prepared without a common reference: prepare one with the other as its "
                        "reference");
    return NTK_OK;
}

ntk_status ntk_samples_stream(const ntk_kernel *k, const ntk_samples *x1, const ntk_samples *x2, ntk_sink_fn *sink,
                              void *user)
{
    NTK_TRY(check_both(k, x1, x2));
    return run(k, x1, x2, 0, "computing the kernel", sink, user);
}

ntk_status ntk_samples_compute(const ntk_kernel *k, const ntk_samples *x1, const ntk_samples *x2, void *const *out)
{
    const int64_t n2 = x2 ? x2->n : x1->n;
    struct ntk_memory_sink sink = {.out = out, .n2 = n2, .dtype = k->dtype, .symmetric = !x2};
    const double entries = (double)ntk_kernel_outputs(k) * (double)x1->n * (double)n2;

    NTK_TRY(check_both(k, x1, x2));
    return run(k, x1, x2, ntk_bytes(entries * (double)k->dtype), "the kernel", ntk_memory_sink_write, &sink);
}

/* Copies of n rows, prepared, with samples that stand for theirs. */
static ntk_status run_copies(const ntk_kernel *k, const ntk_samples *moved, int64_t n, const ntk_samples *x2, size_t held,
                             const char *what, ntk_sink_fn *sink, void *user)
{
    const struct ntk_job job = {.machine = &k->machine,
                                .rows = moved,
                                .columns = x2,
                                .out_dtype = k->dtype,
                                .ni = n,
                                .nj = x2->n,
                                .copies = x2->data->symmetry->copies,
                                .step = ntk_summed_step(n),
                                .moved = moved};

    return run_job(k, &job, held, what, sink, user);
}

ntk_status ntk_kernel_compute_with(const ntk_kernel *k, const ntk_data *x1, ntk_samples *x2, size_t held,
                                   const char *what, void *const *out)
{
    struct ntk_memory_sink sink = {.out = out, .n2 = x2->n, .dtype = k->dtype};
    struct ntk_symmetry *g = x2->data->symmetry;
    ntk_data *moved = NULL;
    ntk_samples *rows;
    ntk_status status;
    bool beyond = false;

    NTK_TRY(ntk_kernel_check_shape(k, "x1", x1));
    if (g)
        NTK_TRY(ntk_data_moved(x1, g, 0, ntk_summed_step(x1->n), &moved));
    status = make(k, moved ? moved : x1, x2, held, what, &beyond, &rows);
    if (status == NTK_OK && !beyond) {
        status = g ? run_copies(k, rows, x1->n, x2, held, what, ntk_memory_sink_write, &sink)
                   : run(k, rows, x2, held, what, ntk_memory_sink_write, &sink);
        ntk_samples_release(rows);
    }
    ntk_data_free(moved);
    return status == NTK_OK && beyond ? ntk_kernel_compute_for(k, x1, x2->data, held, what, out) : status;
}
