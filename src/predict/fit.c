/* SPDX-License-Identifier: MIT
 *
 * fit.c - kernel matrix, ridge, factorisation, solution.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sized.h"
#include "kernel/kernel.h"
#include "predict/model.h"
#include "store/files.h"

static const ntk_fit_opts defaults = {
    .size = sizeof defaults, .posterior = NTK_POSTERIOR_NTK, .dtype = NTK_F64};
static const struct ntk_sized sized = NTK_SIZED(ntk_fit_opts, diag_reg_spelling, &defaults);

void ntk_fit_opts_init_sized(ntk_fit_opts *opts, size_t size)
{
    ntk_sized_init(&sized, opts, size);
}

ntk_status ntk_fit_opts_read(ntk_ctx *ctx, const ntk_fit_opts *given, ntk_fit_opts *own)
{
    const struct ntk_solver_class *class;

    NTK_TRY(ntk_sized_read(ctx, &sized, given, own));
    if (own->solver)
        NTK_TRY(ntk_solver_find(ctx, own->solver, &class));
    own->solver = ntk_model_solver_name(own);
    /* The choice of a ridge by one factorisation after another needs the matrix each time. */
    own->keep = own->keep || (own->diag_reg == NTK_DIAG_REG_AUTO && (own->weights || own->noise));
    return NTK_OK;
}

const char *ntk_model_solver_name(const ntk_fit_opts *o)
{
    const bool decomposed = o->finite_time || (o->diag_reg == NTK_DIAG_REG_AUTO && !o->weights && !o->noise);

    return o->solver ? o->solver : decomposed ? "eigen" : "cholesky";
}

bool ntk_model_ensemble(const ntk_fit_opts *o) { return o->posterior == NTK_POSTERIOR_NTK && o->covariance; }

/* ---- memory */

static const struct ntk_solver_class *class_of(const ntk_fit_opts *o)
{
    const struct ntk_solver_class *class = NULL;

    (void)!ntk_solver_find(NULL, o->solver, &class); /* it was checked */
    return class;
}

/* Beside the solver: targets, alpha, matrices that are kept. */
static double beside(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    const double packed = (double)n * ((double)n + 1) / 2 * sizeof(double);
    const int matrices = (o->keep ? 1 : 0) + (ntk_model_ensemble(o) ? 1 : 0);

    return matrices * packed + 2 * (double)outputs * (double)n * sizeof(double);
}

size_t ntk_model_matrices(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    return ntk_bytes(beside(o, n, outputs)) + class_of(o)->bytes(n);
}

size_t ntk_model_peak(const ntk_fit_opts *o, int64_t n, int64_t outputs)
{
    const struct ntk_solver_class *class = class_of(o);
    ntk_fit_opts while_factoring = *o; /* the NNGP matrix comes after it, unless it is kept */

    if (class->put && class->eigen && !o->keep)
        while_factoring.covariance = 0;
    {
        const size_t peak = ntk_bytes(beside(&while_factoring, n, outputs)) + class->peak(n);
        const size_t after = ntk_model_matrices(o, n, outputs);

        return peak > after ? peak : after;
    }
}

ntk_status ntk_model_bytes(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x, int64_t outputs,
                           const ntk_fit_opts *opts, size_t *bytes)
{
    ntk_fit_opts o;
    unsigned want;
    size_t peak;
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_fit_opts_read(ctx, opts, &o));
    want = o.posterior == NTK_POSTERIOR_NNGP ? NTK_NNGP : ntk_model_ensemble(&o) ? NTK_NNGP | NTK_NTK : NTK_NTK;
    peak = ntk_model_peak(&o, x->n, outputs);
    NTK_TRY(ntk_kernel_new(ctx, &net, 1, want, o.dtype, x->shape, &kernel));
    status = ntk_kernel_scratch(kernel, x, NULL, bytes);
    ntk_kernel_free(kernel);
    NTK_TRY(status);
    *bytes += ntk_model_matrices(&o, x->n, outputs);
    if (*bytes < peak)
        *bytes = peak;
    return NTK_OK;
}

/* ---- the matrix that cannot be solved */

/* Two equal samples, or -1. */
static void find_equal(const ntk_data *x, int64_t *first, int64_t *second)
{
    const size_t bytes = (size_t)ntk_features_of(x->shape) * x->dtype;
    const unsigned char *rows = x->x;
    const size_t size = (size_t)1 << 22;
    int64_t *table = malloc(size * sizeof *table);

    *first = *second = -1;
    for (size_t k = 0; table && k < size; k++)
        table[k] = -1;
    for (int64_t i = 0; table && i < x->n && (size_t)i < size / 2 && *first < 0; i++) {
        size_t at = ntk_hash(rows + (size_t)i * bytes, bytes) & (size - 1);

        for (; table[at] >= 0 && *first < 0; at = (at + 1) & (size - 1))
            if (memcmp(rows + (size_t)table[at] * bytes, rows + (size_t)i * bytes, bytes) == 0) {
                *first = table[at];
                *second = i;
            }
        table[at] = i;
    }
    free(table);
}

struct ntk_ridge ntk_model_ridge(const ntk_model *m)
{
    return (struct ntk_ridge){.given = m->solution->diag_reg,
                              .absolute = m->solution->absolute,
                              .spelling = m->opts.diag_reg_spelling ? m->opts.diag_reg_spelling
                                                                    : "diag_reg = "};
}

static int64_t number_of(const ntk_model *m, int64_t i) { return m->rows ? m->rows[i] : i; }

/* The matrix is read again for the hint: its factor has overwritten it. */
static ntk_status not_positive(const ntk_model *m, const char *how)
{
    const struct ntk_ridge ridge = ntk_model_ridge(m);
    struct ntk_solution *s = m->solution;
    int64_t first = -1, second = -1;
    char equal[160] = "", hint[160];

    if (m->x)
        find_equal(m->x, &first, &second);
    if (first >= 0)
        snprintf(equal, sizeof equal, "; samples %lld and %lld are equal (counted from 0)",
                 (long long)number_of(m, first), (long long)number_of(m, second));
    ntk_solver_free(s->solver);
    s->solver = NULL;
    NTK_TRY(ntk_ridge_hint(m->ctx, &ridge, s->k, s->which, hint, sizeof hint));
    return ntk_fail(m->ctx, NTK_ENUMERIC,
                    "the %lld x %lld kernel matrix is not positive definite: %s%s%s",
                    (long long)m->n, (long long)m->n, how, equal, hint);
}

/* ---- the operator */

static ntk_status operator_of_kernel(const ntk_model *m, const ntk_net *const *nets, size_t n_nets, size_t own,
                                     struct ntk_solution *s)
{
    const bool ensemble = m->both;
    const ntk_net *net = m->net;
    const unsigned want = ensemble ? NTK_NNGP | NTK_NTK : m->opts.posterior == NTK_POSTERIOR_NNGP ? NTK_NNGP : NTK_NTK;

    s->which = ensemble ? 1 : 0;
    if (!m->store)
        return ntk_operator_of_kernel(ensemble ? m->both : m->mean, m->x, &s->k);
    s->which += own * (ensemble ? 2 : 1);
    return ntk_operator_of_files(m->ctx, m->store, n_nets ? nets : &net, n_nets ? n_nets : 1, want, m->opts.dtype, m->x,
                                 &s->k);
}

static ntk_status operator_of_given(const ntk_model *m, struct ntk_solution *s)
{
    static const char *const names[] = {"k", "nngp"};

    s->which = 0;
    return ntk_operator_of_arrays(m->ctx, m->n, m->k[1] ? 2 : 1, m->k, names, m->opts.dtype, &s->k);
}

/* What `from` has, kept in memory: the model's matrices alone. */
static ntk_status keep(const ntk_model *m, struct ntk_solution *s)
{
    const bool ensemble = ntk_model_ensemble(&m->opts);
    struct ntk_taker *takers = ntk_alloc_zero(m->ctx, s->k->count, sizeof *takers);
    struct ntk_operator *packed;
    ntk_status status;

    if (!takers)
        return NTK_ENOMEM;
    status = ntk_operator_of_packed(m->ctx, m->n, ensemble ? 2 : 1, s->k->precision, &packed);
    if (status == NTK_OK) {
        takers[s->which] = ntk_packed_taker(packed, 0);
        if (ensemble)
            takers[s->which - 1] = ntk_packed_taker(packed, 1);
        status = ntk_operator_read(s->k, takers, ntk_model_matrices(&m->opts, m->n, m->outputs),
                                   "a kernel matrix of this many samples");
        packed->precision = s->k->precision;
        if (status == NTK_OK) {
            ntk_operator_free(s->k);
            s->k = packed;
            s->which = 0;
        } else {
            ntk_operator_free(packed);
        }
    }
    free(takers);
    return status;
}

ntk_status ntk_model_prepare(const ntk_model *m, const ntk_net *const *nets, size_t n_nets, size_t own)
{
    struct ntk_solution *s = m->solution;

    if (!s->k)
        NTK_TRY(m->net ? operator_of_kernel(m, nets, n_nets, own, s) : operator_of_given(m, s));
    return s->solver ? NTK_OK : ntk_solver_new(m->ctx, class_of(&m->opts), s->k, s->which, &s->solver);
}
