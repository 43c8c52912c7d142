/* SPDX-License-Identifier: MIT
 *
 * quadrature.c - see quadrature.h.
 */
#include "solve/quadrature.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lapack.h"
#include "base/sums.h"

#define STEPS    200  /* at most, */
#define SMALL    1e-4 /* of a residual, by the first one: the quadrature's error is its square, about */
#define VECTORS  4    /* that each probe takes */

/* One probe: T of its steps so far. */
struct probe {
    double rz, first, step, turn; /* r' P^-1 r, that of the start; step lengths of conjugate gradients */
    double diagonal[STEPS], off[STEPS];
    int steps;
    bool done;
};

struct work {
    struct ntk_quadrature *q;
    struct probe *probes;
    double *r, *z, *dir, *out; /* [NTK_PROBES][n] */
};

size_t ntk_quadrature_bytes(int64_t n, int64_t extra)
{
    return ntk_bytes(NTK_PROBES * (VECTORS * (double)n + (double)extra) * sizeof(double)) + NTK_PROBES * sizeof(struct probe);
}

/* Normal numbers, two of each pair of uniform ones (Box and Muller 1958). */
static void fill_normal(uint64_t *seed, int64_t n, double *x)
{
    for (int64_t i = 0; i < n; i += 2) {
        const double u = ((double)(ntk_mix64(*seed += 0x9e3779b97f4a7c15u) >> 11) + 1) * 0x1p-53;
        const double v = (double)(ntk_mix64(*seed += 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
        const double radius = sqrt(-2 * log(u));

        x[i] = radius * cos(2 * M_PI * v);
        if (i + 1 < n)
            x[i + 1] = radius * sin(2 * M_PI * v);
    }
}

static ntk_status start(struct work *w)
{
    const struct ntk_quadrature *q = w->q;
    const int64_t n = q->n;
    double *more = ntk_alloc(q->ctx, (size_t)(NTK_PROBES * q->extra + 1), sizeof *more);
    uint64_t seed = 1;

    if (!more)
        return NTK_ENOMEM;
    fill_normal(&seed, NTK_PROBES * n, w->z);
    fill_normal(&seed, NTK_PROBES * q->extra, more);
    q->sample(q->user, NTK_PROBES, w->z, more, w->r);
    free(more);
    NTK_TRY(q->precondition(q->user, NTK_PROBES, w->r, w->z));
    memcpy(w->dir, w->z, (size_t)(NTK_PROBES * n) * sizeof *w->dir);
    for (int64_t c = 0; c < NTK_PROBES; c++)
        w->probes[c] = (struct probe){.rz = ntk_sums_dot(n, w->r + c * n, w->z + c * n)};
    for (int64_t c = 0; c < NTK_PROBES; c++)
        w->probes[c].first = w->probes[c].rz;
    return NTK_OK;
}

/* A step of probe c, whose direction times A is there: its row of T, and the next residual. */
static bool go(const struct work *w, int64_t c)
{
    struct probe *p = &w->probes[c];
    const int64_t n = w->q->n, at = c * n;
    const double curvature = ntk_sums_dot(n, w->dir + at, w->out + at), before = p->step;

    if (!(curvature > 0))
        return false;
    p->step = p->rz / curvature;
    p->diagonal[p->steps] = 1 / p->step + (p->steps > 0 ? p->turn / before : 0);
    p->steps++;
    for (int64_t i = 0; i < n; i++)
        w->r[at + i] -= p->step * w->out[at + i];
    return true;
}

/* The next direction. */
static void turn(const struct work *w, int64_t c)
{
    struct probe *p = &w->probes[c];
    const int64_t n = w->q->n, at = c * n;
    const double rz = ntk_sums_dot(n, w->r + at, w->z + at);

    p->turn = rz / p->rz;
    p->off[p->steps - 1] = sqrt(fmax(p->turn, 0)) / p->step;
    p->rz = rz;
    p->done = !(rz > SMALL * SMALL * p->first) || p->steps == STEPS;
    for (int64_t i = 0; i < n; i++)
        w->dir[at + i] = w->z[at + i] + p->turn * w->dir[at + i];
}

static ntk_status steps(const struct work *w)
{
    const struct ntk_quadrature *q = w->q;
    bool definite = true, done = false;

    for (int step = 0; !done; step++) {
        NTK_TRY(ntk_progress(q->ctx, "steps for the determinant", step, STEPS + 1));
        NTK_TRY(q->apply(q->user, NTK_PROBES, w->dir, w->out));
        for (int64_t c = 0; c < NTK_PROBES && definite; c++)
            definite = w->probes[c].done || go(w, c);
        if (!definite)
            return ntk_fail(q->ctx, NTK_ENUMERIC, "the matrix is not positive definite, to rounding error: it has no "
                            "determinant for the likelihood");
        NTK_TRY(q->precondition(q->user, NTK_PROBES, w->r, w->z));
        done = true;
        for (int64_t c = 0; c < NTK_PROBES; c++) {
            if (!w->probes[c].done)
                turn(w, c);
            done = done && w->probes[c].done;
        }
    }
    return ntk_progress(q->ctx, "steps for the determinant", 1, 1);
}

/* e1' log(T) e1. */
static ntk_status integrate(ntk_ctx *ctx, const struct probe *p, double *value)
{
    const int n = p->steps;
    double *t = ntk_alloc(ctx, (size_t)n * (size_t)(n + 4), sizeof *t), *off = t + n, *work = off + n, *vectors = work + 2 * n;
    int info = 0;

    *value = 0;
    if (!t)
        return NTK_ENOMEM;
    memcpy(t, p->diagonal, (size_t)n * sizeof *t);
    memcpy(off, p->off, (size_t)n * sizeof *off);
    dstev_("V", &n, t, off, vectors, &n, work, &info, 1);
    for (int k = 0; k < n && info == 0; k++) {
        if (!(t[k] > 0))
            info = 1;
        *value += vectors[(size_t)k * (size_t)n] * vectors[(size_t)k * (size_t)n] * log(t[k]);
    }
    free(t);
    return info == 0 ? NTK_OK
                     : ntk_fail(ctx, NTK_ENUMERIC, "the matrix is not positive definite, to rounding error: it has no "
                                "determinant for the likelihood");
}

static ntk_status average(const struct work *w, double *value)
{
    struct ntk_quadrature *q = w->q;
    double each[NTK_PROBES], mean = 0, square = 0;

    for (int c = 0; c < NTK_PROBES; c++) {
        NTK_TRY(integrate(q->ctx, &w->probes[c], &each[c]));
        each[c] *= (double)q->n;
        mean += each[c] / NTK_PROBES;
    }
    for (int c = 0; c < NTK_PROBES; c++)
        square += (each[c] - mean) * (each[c] - mean);
    q->error = sqrt(square / (NTK_PROBES - 1) / NTK_PROBES);
    *value = q->known + mean;
    return NTK_OK;
}

ntk_status ntk_quadrature_log_determinant(struct ntk_quadrature *q, double *value)
{
    const int64_t size = NTK_PROBES * q->n;
    struct work w = {.q = q};
    ntk_status status;

    NTK_TRY(ntk_ctx_check_memory(q->ctx, ntk_quadrature_bytes(q->n, q->extra), "an estimate of the likelihood"));
    w.probes = ntk_alloc(q->ctx, NTK_PROBES, sizeof *w.probes);
    w.r = ntk_alloc(q->ctx, (size_t)(VECTORS * size), sizeof *w.r);
    status = w.probes && w.r ? NTK_OK : NTK_ENOMEM;
    if (status == NTK_OK) {
        w.z = w.r + size;
        w.dir = w.z + size;
        w.out = w.dir + size;
        status = start(&w);
    }
    if (status == NTK_OK)
        status = steps(&w);
    if (status == NTK_OK)
        status = average(&w, value);
    free(w.probes);
    free(w.r);
    return status;
}
