/* SPDX-License-Identifier: MIT
 *
 * of_kernel.c - the matrices of a kernel between samples, computed each time they are read.
 */
#include <stdlib.h>

#include "base/ranks.h"
#include "kernel/compiled.h"
#include "store/of_ranks.h"

struct of_kernel {
    struct ntk_operator base;
    ntk_kernel *kernel;
    const ntk_data *x;
};

/* Blocks of a part of the samples become blocks of the matrix. */
struct part {
    const struct ntk_reading *reading;
    int64_t i0, j0;
};

static int move(const ntk_block *b, void *user)
{
    const struct part *p = user;
    ntk_block moved = *b;

    moved.i0 += p->i0;
    moved.j0 += p->j0;
    return p->reading->sink(&moved, p->reading->user);
}

/* Rows with themselves, each pair once, then with those after them. */
static ntk_status stream_part(const struct of_kernel *o, const struct ntk_reading *r)
{
    struct part part = {.reading = r, .i0 = r->i0, .j0 = r->i0};
    const int64_t after = r->i0 + r->ni;
    ntk_data *rows, *rest = NULL;
    ntk_status status;

    NTK_TRY(ntk_data_slice(o->x, r->i0, r->ni, &rows));
    status = ntk_kernel_stream_for(o->kernel, rows, NULL, r->held, r->what, move, &part);
    if (status == NTK_OK && after < o->base.n)
        status = ntk_data_slice(o->x, after, o->base.n - after, &rest);
    part.j0 = after;
    if (status == NTK_OK && rest)
        status = ntk_kernel_stream_for(o->kernel, rows, rest, r->held, r->what, move, &part);
    ntk_data_free(rest);
    ntk_data_free(rows);
    return status;
}

static ntk_status stream(struct ntk_operator *base, const struct ntk_reading *r)
{
    const struct of_kernel *o = (const struct of_kernel *)base;

    return r->ni == base->n ? ntk_kernel_stream_for(o->kernel, o->x, NULL, r->held, r->what, r->sink, r->user)
                            : stream_part(o, r);
}

static ntk_status diagonal(struct ntk_operator *base, size_t k, double *d)
{
    const struct of_kernel *o = (const struct of_kernel *)base;
    const size_t n = (size_t)base->n;
    double *others = ntk_alloc(base->ctx, base->count * n, sizeof *others);
    double **out = ntk_alloc(base->ctx, base->count, sizeof *out);
    ntk_status status = others && out ? NTK_OK : NTK_ENOMEM;

    for (size_t j = 0; status == NTK_OK && j < base->count; j++)
        out[j] = j == k ? d : others + j * n;
    if (status == NTK_OK)
        status = ntk_kernel_diagonal(o->kernel, o->x, out);
    free(out);
    free(others);
    return status;
}

/* Where rows of one matrix go. */
struct some_rows {
    size_t k;
    ntk_dtype dtype;
    int64_t n;
    double *rows;
};

static int put_rows(const ntk_block *b, void *user)
{
    const struct some_rows *s = user;

    for (int64_t i = 0; b->output == s->k && i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++)
            s->rows[(b->i0 + i) * s->n + b->j0 + j] = ntk_number(b->k, s->dtype, (size_t)(i * b->ld + j));
    return 0;
}

static ntk_status rows(struct ntk_operator *base, size_t k, int64_t count, const int64_t *which, double *to)
{
    const struct of_kernel *o = (const struct of_kernel *)base;
    struct some_rows s = {k, base->dtype, base->n, to};
    ntk_data *selected;
    ntk_status status;

    NTK_TRY(ntk_data_select(o->x, which, count, &selected));
    status = ntk_kernel_stream_for(o->kernel, selected, o->x, (size_t)(count * base->n) * sizeof *to,
                                   "a part of a kernel matrix", put_rows, &s);
    ntk_data_free(selected);
    return status;
}

static ntk_status scratch(const struct ntk_operator *base, size_t *bytes)
{
    const struct of_kernel *o = (const struct of_kernel *)base;

    return ntk_kernel_scratch(o->kernel, o->x, NULL, bytes);
}

static void close(struct ntk_operator *o) { free(o); }

static const struct ntk_operator_class class = {
    .name = "a kernel", .stream = stream, .scratch = scratch, .rows = rows, .diagonal = diagonal, .close = close};

ntk_status ntk_operator_of_kernel(ntk_kernel *kernel, const ntk_data *x, struct ntk_operator **o)
{
    struct of_kernel *own = ntk_alloc(kernel->ctx, 1, sizeof *own);

    if (!own)
        return NTK_ENOMEM;
    *own = (struct of_kernel){.base = {.class = &class,
                                       .ctx = kernel->ctx,
                                       .n = ntk_data_n(x),
                                       .count = ntk_kernel_outputs(kernel),
                                       .dtype = kernel->dtype,
                                       .precision = kernel->dtype},
                              .kernel = kernel,
                              .x = x};
    *o = &own->base;
    return ntk_n_ranks(kernel->ctx) > 1 ? ntk_operator_of_ranks(kernel, x, &own->base, o) : NTK_OK;
}
