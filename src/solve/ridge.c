/* SPDX-License-Identifier: MIT
 *
 * ridge.c - see ridge.h.
 */
#include "solve/ridge.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "solve/ritz.h"
#include "solve/spectral.h"

#define TRIES 25 /* decades: from float64's rounding errors to above any lambda_max */

void ntk_ridge_diagonal(const struct ntk_ridge *r, int64_t n, double ridge, double *diagonal)
{
    for (int64_t i = 0; i < n; i++)
        diagonal[i] = (ridge + (r->noise ? r->noise[i] : 0)) / (r->weights ? r->weights[i] : 1);
}

void ntk_ridge_pivots(ntk_ctx *ctx, int64_t n, const double *pivots, ntk_dtype dtype, double largest, char *how,
                      size_t size)
{
    const double limit = (double)n * DBL_EPSILON * largest;
    const double rounding = ntk_spectral_rounding(n, dtype, largest);
    double least = (double)INFINITY;
    int64_t where = 0;

    for (int64_t i = 0; i < n; i++)
        if (pivots[i] * pivots[i] < least) {
            least = pivots[i] * pivots[i];
            where = i;
        }
    if (least <= limit)
        ntk_format(how, size,
                   "sample %lld is a combination of those before it (its pivot is %.1e, rounding "
                   "error is %.1e)",
                   (long long)where, least, limit);
    else if (dtype == NTK_F32 && least <= rounding)
        ntk_log(ctx, 1,
                "to rounding errors of float32 sample %lld is a combination of those before it (its pivot is %.1e, "
                "they are about %.1e), and what is solved along it is noise: compute the kernel in float64, or add "
                "more to its diagonal",
                (long long)where, least, rounding);
}

static ntk_status check_pivots(ntk_ctx *ctx, const struct ntk_rfp *l, ntk_dtype dtype, double largest, char *how,
                               size_t size)
{
    double *pivots = ntk_alloc(ctx, (size_t)l->n, sizeof *pivots);

    if (!pivots)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < l->n; i++)
        pivots[i] = *ntk_rfp_at(l, i, i);
    ntk_ridge_pivots(ctx, l->n, pivots, dtype, largest, how, size);
    free(pivots);
    return NTK_OK;
}

ntk_status ntk_ridge_factor(ntk_ctx *ctx, struct ntk_rfp *k, ntk_dtype dtype, const double *ridge, char *how,
                            size_t size)
{
    double largest = 0, least = (double)INFINITY;
    int minor;

    *how = '\0';
    for (int64_t i = 0; i < k->n; i++) {
        largest = fmax(largest, *ntk_rfp_at(k, i, i));
        least = fmin(least, ridge[i]);
    }
    largest += least; /* a larger ridge of one sample does not spoil the pivots of others */
    ntk_rfp_add_diagonal(k, ridge);
    NTK_TRY(ntk_rfp_factor(ctx, k, &minor));
    if (minor)
        snprintf(how, size, "its leading minor of order %d is not positive", minor);
    else
        return check_pivots(ctx, k, dtype, largest, how, size);
    return NTK_OK;
}

#define ROUNDING 1e-10 /* by which errors that are equal may differ */

size_t ntk_ridge_best(size_t count, const double *errors)
{
    double least = (double)INFINITY;
    size_t best = count - 1;

    for (size_t k = count; k-- > 0;)
        if (errors[k] < least * (1 - ROUNDING)) {
            least = errors[k];
            best = k;
        }
    return best;
}

/* ---- the ridge that is needed */

struct shifted {
    ntk_ctx *ctx;
    const struct ntk_rfp *k;
    double shift, *work; /* shift I - K; 0: K */
};

static ntk_status apply(double *x, void *user)
{
    const struct shifted *s = user;

    NTK_TRY(ntk_rfp_multiply(s->ctx, s->k, 1, x, s->work));
    for (int64_t i = 0; i < s->k->n; i++)
        x[i] = s->shift > 0 ? s->shift * x[i] - s->work[i] : s->work[i];
    return NTK_OK;
}

/* lambda_min is that of the vectors that Lanczos comes to: not below the true one. */
static ntk_status extremes(ntk_ctx *ctx, const struct ntk_rfp *k, double *least, double *largest)
{
    struct shifted s = {.ctx = ctx, .k = k, .work = ntk_alloc(ctx, (size_t)k->n, sizeof *s.work)};
    ntk_status status = s.work ? NTK_OK : NTK_ENOMEM;

    *least = *largest = 0;
    if (status == NTK_OK)
        status = ntk_lanczos_largest(ctx, k->n, apply, &s, largest);
    s.shift = *largest;
    if (status == NTK_OK && s.shift > 0) {
        status = ntk_lanczos_largest(ctx, k->n, apply, &s, least);
        *least = s.shift - *least;
    }
    free(s.work);
    return status;
}

/* The least number of one digit that is >= x > 0. */
static double round_up(double x)
{
    char text[40];
    int exponent = (int)floor(log10(x));
    double digit = ceil(x / pow(10, exponent)), rounded;

    do { /* as it will be read */
        snprintf(text, sizeof text, "%.0fe%d", digit, exponent);
        rounded = strtod(text, NULL);
        digit++;
    } while (rounded < x);
    return rounded;
}

/* The first bound keeps what rounding leaves along null directions small in predictions; the second, of three
 * floors, is needed for Cholesky to work. */
double ntk_ridge_for(int64_t n, ntk_dtype dtype, double lambda_min, double lambda_max,
                     double mean_diagonal, int absolute)
{
    const double floor = fmax(ntk_spectral_rounding(n, dtype, lambda_max), -lambda_min);
    const double ridge = fmax((dtype == NTK_F32 ? 1e-4 : 1e-8) * mean_diagonal, 3 * floor);
    const double number = ridge / (absolute ? 1 : mean_diagonal);

    return mean_diagonal > 0 && isfinite(number) ? round_up(number) : 0;
}

void ntk_ridge_say(const struct ntk_ridge *r, double number, char *hint, size_t size)
{
    *hint = '\0';
    if (number > 0)
        ntk_format(hint, size, "; try %s%g (%s)", r->spelling, number,
                   r->absolute ? "absolute" : "times the mean of the diagonal");
}

/* Tries one ridge after another on a packed matrix, which is read again each time. */
struct search {
    const struct ntk_ridge *given;
    struct ntk_operator *k, *packed;
    size_t which;
    double *ridge; /* [n] */
};

static ntk_status fill(const struct search *s)
{
    return ntk_operator_read_one(s->k, s->which, ntk_packed_taker(s->packed, 0), ntk_rfp_size(s->k->n) * sizeof(double),
                                 "a ridge that would help");
}

static ntk_status find(const struct search *s, char *hint, size_t size)
{
    struct ntk_rfp *k = ntk_packed_matrix(s->packed, 0);
    ntk_ctx *ctx = s->k->ctx;
    double least, largest, mean = 0, number;
    char how[200];

    NTK_TRY(fill(s));
    for (int64_t i = 0; i < k->n; i++)
        mean += *ntk_rfp_at(k, i, i) / (double)k->n;
    mean = s->given->unit > 0 ? s->given->unit : mean;
    NTK_TRY(extremes(ctx, k, &least, &largest));
    number = ntk_ridge_for(k->n, s->k->precision, least, largest, mean, s->given->absolute);
    if (number > 0 && number <= s->given->given)
        number = round_up(2 * s->given->given);
    for (int i = 0; i < TRIES && number > 0; i++) {
        ntk_ridge_diagonal(s->given, k->n, number * (s->given->absolute ? 1 : mean), s->ridge);
        NTK_TRY(ntk_ridge_factor(ctx, k, NTK_F64, s->ridge, how, sizeof how));
        if (!*how) {
            ntk_ridge_say(s->given, number, hint, size);
            return NTK_OK;
        }
        number = round_up(10 * number);
        NTK_TRY(fill(s));
    }
    return NTK_OK;
}

ntk_status ntk_ridge_hint(ntk_ctx *ctx, const struct ntk_ridge *r, struct ntk_operator *k, size_t which, char *hint,
                          size_t size)
{
    struct search s = {.given = r, .k = k, .which = which};
    ntk_status status;

    *hint = '\0';
    if (!k->class->stream)
        return NTK_OK;
    status = ntk_operator_of_packed(ctx, k->n, 1, k->precision, &s.packed);
    s.ridge = ntk_alloc(ctx, (size_t)k->n, sizeof *s.ridge);
    if (status == NTK_OK)
        status = s.ridge ? find(&s, hint, size) : NTK_ENOMEM;
    free(s.ridge);
    ntk_operator_free(s.packed);
    return status == NTK_ENOMEM ? NTK_OK : status; /* that there is no room for a hint is not what failed */
}
