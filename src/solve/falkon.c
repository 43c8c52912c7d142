/* SPDX-License-Identifier: MIT
 *
 * falkon.c - see falkon.h.
 */
#include "solve/falkon.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sums.h"
#include "simd/simd.h"
#include "solve/pcg.h"
#include "solve/tiled.h"

#define STEPS 65535 /* of 16 bits */

/* ---- the matrix */

size_t ntk_rectangle_bytes(int64_t n, int64_t m, int bytes)
{
    return ntk_bytes((double)n * (double)m * bytes + (bytes == 2 ? 2.0 * (double)n * sizeof(float) : 0));
}

ntk_status ntk_rectangle_new(ntk_ctx *ctx, int64_t n, int64_t m, int bytes, struct ntk_rectangle *k)
{
    *k = (struct ntk_rectangle){.ctx = ctx, .n = n, .m = m, .bytes = bytes};
    k->a = ntk_large_new(ctx, (size_t)n * (size_t)m, (size_t)bytes);
    if (bytes == 2) {
        k->low = ntk_alloc(ctx, (size_t)n, sizeof *k->low);
        k->step = ntk_alloc(ctx, (size_t)n, sizeof *k->step);
    }
    if (k->a && (bytes != 2 || (k->low && k->step)))
        return ntk_isa_resolve(ctx);
    ntk_rectangle_free(k);
    return NTK_ENOMEM;
}

void ntk_rectangle_free(struct ntk_rectangle *k)
{
    ntk_large_free(k->a, (size_t)k->n * (size_t)k->m, (size_t)k->bytes);
    free(k->low);
    free(k->step);
    *k = (struct ntk_rectangle){0};
}

static void round_row(struct ntk_rectangle *k, int64_t i, const double *row)
{
    uint16_t *to = (uint16_t *)k->a + i * k->m;
    double low = row[0], high = row[0], inverse;

    for (int64_t j = 1; j < k->m; j++) {
        low = row[j] < low ? row[j] : low;
        high = row[j] > high ? row[j] : high;
    }
    k->low[i] = (float)low;
    k->step[i] = (float)((high - low) / STEPS);
    low = (double)k->low[i];
    inverse = k->step[i] > 0 ? 1 / (double)k->step[i] : 0;
    for (int64_t j = 0; j < k->m; j++) { /* no call of rint: it is a vector loop everywhere */
        const double steps = (row[j] - low) * inverse + 0.5;

        to[j] = (uint16_t)(int)(steps < 0 ? 0 : steps > STEPS ? STEPS : steps);
    }
}

void ntk_rectangle_put(struct ntk_rectangle *k, int64_t first, int64_t rows, const double *panel)
{
#pragma omp parallel for num_threads(ntk_threads_for(k->ctx, rows)) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        const double *row = panel + i * k->m;

        if (k->bytes == 2) {
            round_row(k, first + i, row);
        } else {
            float *to = (float *)k->a + (first + i) * k->m;

            for (int64_t j = 0; j < k->m; j++)
                to[j] = (float)row[j];
        }
    }
}

double ntk_rectangle_error(const struct ntk_rectangle *k, double *usual)
{
    double most = 0, squares = 0;

    for (int64_t i = 0; k->bytes == 2 && i < k->n; i++) {
        const double step = (double)k->step[i];

        most = fmax(most, step / 2);
        squares += step * step / 12; /* of what is evenly spread over a step */
    }
    *usual = sqrt(squares / (double)k->n);
    return most;
}

/* ---- products: the rows are in a fixed number of parts, whose sums are added in their order */

#define PARTS 64
#define ROWS  32 /* at once: they stay in the cache between K x and K' of it */

static int64_t parts(int64_t n) { return ntk_least(PARTS, (n + ROWS - 1) / ROWS); }

/* Numbers that a part works in: its sum, K x of its rows, its rows as float32. */
static size_t part_numbers(int64_t m, int64_t columns)
{
    return (size_t)(columns * (m + ROWS)) + ((size_t)(ROWS * m) * sizeof(float) + sizeof(double) - 1) / sizeof(double);
}

size_t ntk_rectangle_work(int64_t n, int64_t m, int64_t columns)
{
    return (size_t)parts(n) * part_numbers(m, columns) * sizeof(double);
}

/* Rows i ... as float32: as they are kept, or in `room`. */
static const float *rows_at(const struct ntk_rectangle *k, int64_t i, int64_t rows, float *room)
{
    if (k->bytes == 4)
        return (const float *)k->a + i * k->m;
    for (int64_t r = 0; r < rows; r++) {
        const uint16_t *from = (const uint16_t *)k->a + (i + r) * k->m;
        const float low = k->low[i + r], step = k->step[i + r];

        for (int64_t j = 0; j < k->m; j++)
            room[r * k->m + j] = low + step * (float)from[j];
    }
    return room;
}

struct product {
    const struct ntk_rectangle *k;
    int64_t columns;
    const double *x, *y, *w;
};

/* v [columns][ROWS] = W K x, or W y. */
static void weigh(const struct product *p, int64_t i, int64_t rows, double *v)
{
    for (int64_t c = 0; c < p->columns; c++)
        for (int64_t r = 0; r < rows; r++) {
            const double value = p->y ? p->y[c * p->k->n + i + r] : v[c * ROWS + r];

            v[c * ROWS + r] = p->w ? p->w[i + r] * value : value;
        }
}

static void add_part(const struct product *p, int64_t first, int64_t end, double *sum)
{
    const struct ntk_rectangle *k = p->k;
    double *v = sum + p->columns * k->m;
    float *room = (float *)(void *)(v + p->columns * ROWS);

    memset(sum, 0, (size_t)(p->columns * k->m) * sizeof *sum);
    for (int64_t i = first; i < end; i += ROWS) {
        const int64_t rows = ntk_least(ROWS, end - i);
        struct ntk_products_args args = {.rows = (size_t)rows,
                                         .n = (size_t)k->m,
                                         .ld = (size_t)k->m,
                                         .m = (size_t)p->columns,
                                         .x_stride = (size_t)k->m,
                                         .out_stride = ROWS,
                                         .a = rows_at(k, i, rows, room),
                                         .x = p->x,
                                         .out_rows = v};

        memset(v, 0, (size_t)(p->columns * ROWS) * sizeof *v);
        if (!p->y)
            k->ctx->isa->f32->products(&args);
        weigh(p, i, rows, v);
        args.x = NULL;
        args.out_rows = NULL;
        args.x_rows = v;
        args.out = sum;
        args.x_stride = ROWS;
        args.out_stride = (size_t)k->m;
        k->ctx->isa->f32->products(&args);
    }
}

ntk_status ntk_rectangle_multiply(const struct ntk_rectangle *k, int64_t columns, const double *x, const double *y,
                                  const double *w, double *out)
{
    const struct product p = {k, columns, x, y, w};
    const int64_t n = parts(k->n), chunk = ((k->n + n - 1) / n + ROWS - 1) / ROWS * ROWS;
    const size_t one = part_numbers(k->m, columns);
    double *sums = ntk_alloc(k->ctx, (size_t)n * one, sizeof *sums);
    ntk_status status = NTK_OK;

    if (!sums)
        return NTK_ENOMEM;
#pragma omp parallel for num_threads(ntk_threads_for(k->ctx, n)) schedule(dynamic)
    for (int64_t t = 0; t < n; t++)
        if (ntk_go_on(k->ctx, &status, NTK_OK))
            add_part(&p, ntk_least(t * chunk, k->n), ntk_least((t + 1) * chunk, k->n), sums + (size_t)t * one);
    memset(out, 0, (size_t)(columns * k->m) * sizeof *out);
    for (int64_t t = 0; t < n && status == NTK_OK; t++)
        for (int64_t j = 0; j < columns * k->m; j++)
            out[j] += sums[(size_t)t * one + (size_t)j];
    free(sums);
    return status;
}

/* ---- conjugate gradients for g: A' C' a, with A A' = (n / M) C' C + ridge */

#define PANEL 512 /* rows of C at once */

struct gradients {
    const struct ntk_falkon *f;
    double *a;    /* [m][m], lower */
    double *work; /* [columns][m], twice */
};

/* A A' by rows of C, a panel at a time. */
static ntk_status precondition(struct gradients *g)
{
    const struct ntk_falkon *f = g->f;
    const int64_t m = f->k->m, most = ntk_least(m, PANEL);
    double *panel = ntk_alloc(f->k->ctx, (size_t)(most * m), sizeof *panel);
    const double scale = sqrt(f->samples / (double)m);
    ntk_status status = panel ? NTK_OK : NTK_ENOMEM;
    int64_t minor = 0;

    memset(g->a, 0, (size_t)(m * m) * sizeof *g->a);
    for (int64_t first = 0; first < m && status == NTK_OK; first += most) {
        const int64_t rows = ntk_least(most, m - first);

        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < m; j++)
                panel[i * m + j] = j <= first + i ? scale * f->c[j * m + first + i] : 0;
        status = ntk_tiled_gram(f->k->ctx, m, rows, panel, g->a);
    }
    free(panel);
    NTK_TRY(status);
    for (int64_t i = 0; i < m; i++)
        g->a[i * (m + 1)] += f->ridge;
    NTK_TRY(ntk_tiled_factor(f->k->ctx, m, g->a, &minor));
    return minor == 0 ? NTK_OK
                      : ntk_fail(f->k->ctx, NTK_ENUMERIC, "the preconditioner is not positive definite: its minor of order %lld",
                                 (long long)minor);
}

/* out = A^-1 (C^-1 K' W K C'^-1 + ridge) A'^-1 x. */
static ntk_status apply(void *user, int64_t columns, const double *x, double *out)
{
    const struct gradients *g = user;
    const struct ntk_falkon *f = g->f;
    const int64_t m = f->k->m, size = columns * m;
    double *b = g->work, *a = b + size;

    memcpy(b, x, (size_t)size * sizeof *b);
    NTK_TRY(ntk_tiled_solve(f->k->ctx, true, m, g->a, columns, b));
    memcpy(a, b, (size_t)size * sizeof *a);
    NTK_TRY(ntk_tiled_solve(f->k->ctx, true, m, f->c, columns, a));
    NTK_TRY(ntk_rectangle_multiply(f->k, columns, a, NULL, f->w, out));
    NTK_TRY(ntk_tiled_solve(f->k->ctx, false, m, f->c, columns, out));
    for (int64_t j = 0; j < size; j++)
        out[j] += f->ridge * b[j];
    return ntk_tiled_solve(f->k->ctx, false, m, g->a, columns, out);
}

static ntk_status as_it_is(void *user, int64_t columns, const double *r, double *z)
{
    const struct gradients *g = user;

    memcpy(z, r, (size_t)(columns * g->f->k->m) * sizeof *z);
    return NTK_OK;
}

/* Errors E of entries, of which all are alike, change the normal equations by E' W (y - K a), about, which is noise of one
 * size for all landmarks: z of chance, +-1 each, stands for it. */
static void chance(int64_t m, double *z)
{
    for (int64_t j = 0; j < m; j++)
        z[j] = ntk_mix64((uint64_t)j + 1) & 1 ? 1 : -1;
}

/* From right-hand sides C^-1 K' W y and solutions, each [columns][m], and those of z. |y - K a|^2 = y' W y - g' (right +
 * ridge g), and |K a|^2 of z likewise. */
static void compare(struct ntk_falkon *f, int64_t columns, const double *y, const double *right, const double *g)
{
    const int64_t n = f->k->n, m = f->k->m;
    const double *z = right + columns * m, *gz = g + columns * m;
    const double answer = ntk_sums_dot(m, gz, z) - f->ridge * ntk_sums_dot(m, gz, gz);
    double usual, most = 0;

    (void)ntk_rectangle_error(f->k, &usual);
    for (int64_t c = 0; c < columns; c++) {
        double left = -ntk_sums_dot(m, g + c * m, right + c * m) - f->ridge * ntk_sums_dot(m, g + c * m, g + c * m);

        for (int64_t i = 0; i < n; i++)
            left += (f->w ? f->w[i] : 1) * y[c * n + i] * y[c * n + i];
        most = fmax(most, left / f->samples);
    }
    f->off = sqrt(most);
    f->moved = usual * f->off * sqrt(fmax(answer, 0) * f->samples / (double)n);
}

/* right: [all][m], of which the last column is z if there are more than columns. */
static ntk_status solve(struct ntk_falkon *f, struct gradients *g, int64_t columns, int64_t all, int64_t at_once, const double *y,
                        double *right, double *x)
{
    ntk_ctx *ctx = f->k->ctx;
    const int64_t m = f->k->m;
    struct ntk_pcg pcg = {.ctx = ctx,
                          .n = m,
                          .apply = apply,
                          .precondition = as_it_is,
                          .user = g,
                          .columns = at_once,
                          .tolerance = f->tolerance,
                          .precision = NTK_F64};

    NTK_TRY(precondition(g));
    for (int64_t c = 0; c < columns; c += at_once)
        NTK_TRY(ntk_rectangle_multiply(f->k, ntk_least(at_once, columns - c), NULL, y + c * f->k->n, f->w, right + c * m));
    if (all > columns)
        chance(m, right + columns * m);
    NTK_TRY(ntk_tiled_solve(ctx, false, m, f->c, all, right));
    memcpy(x, right, (size_t)(all * m) * sizeof *x);
    NTK_TRY(ntk_tiled_solve(ctx, false, m, g->a, all, x));
    NTK_TRY(ntk_pcg_solve(&pcg, all, x, NULL));
    NTK_TRY(ntk_tiled_solve(ctx, true, m, g->a, all, x));
    f->steps = pcg.steps;
    f->residual = pcg.residual;
    if (all > columns)
        compare(f, columns, y, right, x);
    return NTK_OK;
}

size_t ntk_falkon_bytes(int64_t n, int64_t m, int64_t columns)
{
    const double at_once = (double)ntk_least(columns + 1, NTK_PCG_COLUMNS), order = (double)m;
    const double rows = (double)ntk_least(m, PANEL), vectors = (2 + NTK_PCG_VECTORS) * at_once + 2 * (double)(columns + 1);

    return ntk_bytes((order * order + rows * order + vectors * order) * sizeof(double)) +
           ntk_rectangle_work(n, m, (int64_t)at_once);
}

ntk_status ntk_falkon_solve(struct ntk_falkon *f, int64_t columns, const double *y, double *x)
{
    const int64_t all = columns + (f->k->bytes == 2), at_once = ntk_least(all, NTK_PCG_COLUMNS), m = f->k->m;
    double *both = ntk_alloc(f->k->ctx, (size_t)(2 * all * m), sizeof *both);
    struct gradients g = {.f = f,
                          .a = ntk_alloc(f->k->ctx, (size_t)m * (size_t)m, sizeof *g.a),
                          .work = ntk_alloc(f->k->ctx, (size_t)(2 * at_once * m), sizeof *g.work)};
    ntk_status status = both && g.a && g.work ? solve(f, &g, columns, all, at_once, y, both, both + all * m) : NTK_ENOMEM;

    if (status == NTK_OK)
        memcpy(x, both + all * m, (size_t)(columns * m) * sizeof *x);
    free(both);
    free(g.a);
    free(g.work);
    return status;
}
