/* SPDX-License-Identifier: MIT
 *
 * flow_closed.c - gradient flow on the squared loss in closed form (Lee et al. 2019, eqs. 8-9).
 *
 * With K = V diag(l) V', what is learned and the gains g(t) of spectral.h, and r = V' (f_0(X) - y):
 *     f_t(X) = f_0(X) - V (1 - e^{-l t}) r,        f_t(x) = f_0(x) - K(x, X) V g(t) r
 * With blocks outputs of samples are what samples are without: n c rows of one column.
 */
#include "predict/flow.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "solve/spectral.h"

struct closed {
    const struct ntk_flow_problem *p;
    int n, m, c;              /* rows at training and test samples, columns */
    double *vectors, *values; /* [n][n], vectors in rows; [n] */
    struct ntk_spectral_scale scale;
    double *r;                /* [n][c] */
    double *scaled, *change;  /* [n][c], work */
};

/* f_0 - y, or -y, to r = V' (f_0 - y). */
static void project_residual(const struct closed *w)
{
    const double *f0 = w->p->f0[0];

    for (int i = 0; i < w->n * w->c; i++)
        w->scaled[i] = (f0 ? f0[i] : 0) - w->p->y[i];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w->n, w->c, w->n, 1, w->vectors, w->n,
                w->scaled, w->c, 0, w->r, w->c);
}

/* change = V (form at t) r. */
static void move(const struct closed *w, double t, ntk_spectral_form form)
{
    for (int k = 0; k < w->n; k++) {
        const double weight = ntk_spectral_weight(&w->scale, w->values[k]);
        const double factor = ntk_spectral(form, weight, t * w->p->scale);

        for (int c = 0; c < w->c; c++)
            w->scaled[k * w->c + c] = factor * w->r[k * w->c + c];
    }
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, w->n, w->c, w->n, 1, w->vectors, w->n,
                w->scaled, w->c, 0, w->change, w->c);
}

static void start(double *out, const double *f0, int size)
{
    if (f0)
        memcpy(out, f0, (size_t)size * sizeof *out);
    else
        memset(out, 0, (size_t)size * sizeof *out);
}

static void at_time(const struct closed *w, size_t k)
{
    const struct ntk_flow_problem *p = w->p;

    if (p->f[0]) {
        double *out = p->f[0] + k * (size_t)w->n * (size_t)w->c;

        start(out, p->f0[0], w->n * w->c);
        move(w, p->times[k], NTK_LEARNED);
        cblas_daxpy(w->n * w->c, -1, w->change, 1, out, 1);
    }
    if (p->f[1] && w->m) {
        double *out = p->f[1] + k * (size_t)w->m * (size_t)w->c;

        start(out, p->f0[1], w->m * w->c);
        move(w, p->times[k], NTK_GAIN);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w->m, w->c, w->n, -1, p->k[1], w->n,
                    w->change, w->c, 1, out, w->c);
    }
}

/* Entries that were computed in float32 and are handed over in float64 make eigenvalues of rounding error, which are
 * learned. */
static void hint_dtype(const struct closed *w, int64_t nulls)
{
    const struct ntk_spectral_scale single = ntk_spectral_scale(w->n, NTK_F32, 0, w->values);
    const int64_t of_single = ntk_spectral_nulls(&single, w->n, w->values);

    if (w->p->opts->dtype == NTK_F64 && of_single > nulls && ntk_all_single(w->p->k[0], (int64_t)w->n * w->n))
        ntk_log(w->p->ctx, 1,
                "entries of k_train all are float32 numbers, whose rounding errors (%.1e) are above %lld more of its "
                "eigenvalues: if they were computed so, dtype is to be NTK_F32",
                single.floor, (long long)(of_single - nulls));
}

static ntk_status solve(struct closed *w, int64_t *null_directions)
{
    const struct ntk_flow_problem *p = w->p;

    memcpy(w->vectors, p->k[0], (size_t)w->n * (size_t)w->n * sizeof *w->vectors);
    NTK_TRY(ntk_spectral_solve(p->ctx, w->n, p->opts->dtype, 0, w->vectors, w->values));
    w->scale = ntk_spectral_scale(w->n, p->opts->dtype, 0, w->values);
    *null_directions = ntk_spectral_nulls(&w->scale, w->n, w->values);
    hint_dtype(w, *null_directions);
    project_residual(w);
    for (size_t k = 0; k < p->n_times; k++) {
        at_time(w, k);
        NTK_TRY(ntk_progress(p->ctx, "times", (double)(k + 1), (double)p->n_times));
    }
    return NTK_OK;
}

ntk_status ntk_flow_closed(const struct ntk_flow_problem *p, int64_t *null_directions)
{
    const int64_t per = p->opts->blocks ? p->c : 1, n = p->n * per;
    const size_t size = (size_t)(p->n * p->c);
    const struct ntk_blas blas = ntk_blas_begin(p->ctx->threads);
    struct closed w = {.p = p,
                       .n = (int)n,
                       .m = (int)(p->m * per),
                       .c = (int)(p->c / per),
                       .vectors = ntk_alloc(p->ctx, (size_t)n * (size_t)n, sizeof *w.vectors),
                       .values = ntk_alloc(p->ctx, (size_t)n, sizeof *w.values),
                       .r = ntk_alloc(p->ctx, size, sizeof *w.r),
                       .scaled = ntk_alloc(p->ctx, size, sizeof *w.scaled),
                       .change = ntk_alloc(p->ctx, size, sizeof *w.change)};
    const ntk_status status =
        w.vectors && w.values && w.r && w.scaled && w.change ? solve(&w, null_directions) : NTK_ENOMEM;

    free(w.vectors);
    free(w.values);
    free(w.r);
    free(w.scaled);
    free(w.change);
    ntk_blas_end(blas);
    return status;
}
