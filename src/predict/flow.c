/* SPDX-License-Identifier: MIT
 *
 * flow.c - dynamics of a loss in function space: what is given is checked, then integrated
 * (flow_integrate.c) or solved (flow_closed.c).
 */
#include "predict/flow.h"

#include <math.h>
#include <stdlib.h>

#include "base/sized.h"

static const ntk_flow_opts defaults = {.size = sizeof defaults,
                                       .loss = NTK_LOSS_MSE,
                                       .momentum = (double)NAN,
                                       .learning_rate = 1,
                                       .dtype = NTK_F64,
                                       .rtol = 1e-6,
                                       .atol = 1e-8};
static const struct ntk_sized sized = NTK_SIZED(ntk_flow_opts, q_test, &defaults);

void ntk_flow_opts_init_sized(ntk_flow_opts *opts, size_t size)
{
    ntk_sized_init(&sized, opts, size);
}

static ntk_status check_options(ntk_ctx *ctx, const ntk_flow_opts *o)
{
    if (!(o->rtol >= 1e-13 && o->rtol <= 0.1))
        return ntk_fail(ctx, NTK_EINVAL, "rtol must be from 1e-13 to 0.1, got %g", o->rtol);
    if (!(o->atol > 0) || isinf(o->atol))
        return ntk_fail(ctx, NTK_EINVAL, "atol must be positive, got %g", o->atol);
    if (o->momentum < 0 || o->momentum >= 1)
        return ntk_fail(ctx, NTK_EINVAL,
                        "momentum must be from 0 to below 1, or NAN for none, got %g", o->momentum);
    if (!(o->learning_rate > 0) || isinf(o->learning_rate))
        return ntk_fail(ctx, NTK_EINVAL, "learning_rate must be positive, got %g",
                        o->learning_rate);
    if (isnan(o->momentum) && (o->q0_train || o->q0_test || o->q_train || o->q_test))
        return ntk_fail(ctx, NTK_EINVAL, "velocities (q0_train, ...) need a momentum");
    if (o->closed_form && (o->loss != NTK_LOSS_MSE || !isnan(o->momentum)))
        return ntk_fail(ctx, NTK_EINVAL,
                        "closed_form is for the squared loss without momentum only");
    return NTK_OK;
}

static ntk_status check_times(ntk_ctx *ctx, const ntk_flow_opts *o, const double *times, size_t n)
{
    for (size_t k = 0; k < n && o->closed_form; k++)
        if (!(times[k] >= 0))
            return ntk_fail(ctx, NTK_EINVAL, "times must be >= 0, number %zu is %g", k + 1,
                            times[k]);
    for (size_t k = 0; k < n && !o->closed_form; k++)
        if (!(times[k] >= (k ? times[k - 1] : 0)) || isinf(times[k]))
            return ntk_fail(ctx, NTK_EINVAL,
                            "times must be finite, >= 0 and ascending; number %zu is %g", k + 1,
                            times[k]);
    return NTK_OK;
}

static ntk_status check_arrays(const struct ntk_flow_problem *p)
{
    const int64_t entry = p->opts->blocks ? p->c * p->c : 1, n = p->n * p->c, m = p->m * p->c;

    NTK_TRY(ntk_check_given(p->ctx, "k_train", p->k[0], p->n * p->n * entry));
    NTK_TRY(ntk_check_given(p->ctx, "k_test", p->k[1], p->m * p->n * entry));
    NTK_TRY(ntk_check_given(p->ctx, "f0_train", p->f0[0], n));
    NTK_TRY(ntk_check_given(p->ctx, "f0_test", p->f0[1], m));
    NTK_TRY(ntk_check_given(p->ctx, "q0_train", p->opts->q0_train, n));
    return ntk_check_given(p->ctx, "q0_test", p->opts->q0_test, m);
}

/* Rows of cross-entropy's targets are distributions. */
static ntk_status check_targets(ntk_ctx *ctx, ntk_loss loss, int64_t n, int64_t c, const double *y)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, least = 0;

        for (int64_t k = 0; k < c; k++) {
            if (!isfinite(y[i * c + k]))
                return ntk_fail(ctx, NTK_EINVAL, "target %lld of sample %lld is not finite",
                                (long long)k, (long long)i);
            sum += y[i * c + k];
            least = fmin(least, y[i * c + k]);
        }
        if (loss == NTK_LOSS_XENT && (least < 0 || fabs(sum - 1) > 1e-6))
            return ntk_fail(ctx, NTK_EINVAL,
                            "cross-entropy's targets must be distributions (one-hot): those of "
                            "sample %lld sum to "
                            "%g, the least is %g",
                            (long long)i, sum, least);
    }
    return NTK_OK;
}

ntk_status ntk_flow_check(ntk_ctx *ctx, const char *what, const double *times, size_t n_times,
                          int64_t size, const double *f)
{
    for (size_t k = 0; k < n_times && f; k++)
        for (int64_t i = 0; i < size; i++)
            if (!isfinite(f[k * (size_t)size + (size_t)i]))
                return ntk_fail(ctx, NTK_ENUMERIC, "number %lld of the %s outputs at t = %g is %g",
                                (long long)i, what, times[k], f[k * (size_t)size + (size_t)i]);
    return NTK_OK;
}

/* [rows][n][c][c] to [rows c][n c]. */
static double *permute(const struct ntk_flow_problem *p, const double *k, int64_t rows)
{
    const int64_t n = p->n, c = p->c;
    double *out = ntk_alloc(p->ctx, (size_t)(rows * c) * (size_t)(n * c), sizeof *out);

    for (int64_t i = 0; out && i < rows; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t o = 0; o < c * c; o++)
                out[(i * c + o / c) * n * c + j * c + o % c] = k[(i * n + j) * c * c + o];
    return out;
}

/* With blocks: copies of the kernels whose rows are outputs of samples. */
static ntk_status solve(struct ntk_flow_problem *p)
{
    const int64_t rows[] = {p->n, p->m};
    double *own[2] = {NULL, NULL};
    int64_t nulls = 0;
    ntk_status status = NTK_OK;

    for (int side = 0; side < 2 && p->opts->blocks && status == NTK_OK; side++) {
        if (!rows[side])
            continue;
        p->k[side] = own[side] = permute(p, p->k[side], rows[side]);
        status = own[side] ? NTK_OK : NTK_ENOMEM;
    }
    if (status == NTK_OK)
        status = p->opts->closed_form ? ntk_flow_closed(p, &nulls) : ntk_flow_integrate(p);
    for (int side = 0; side < 2 && status == NTK_OK; side++)
        status = ntk_flow_check(p->ctx, side ? "test" : "training", p->times, p->n_times,
                                rows[side] * p->c, p->f[side]);
    if (status == NTK_OK && p->opts->closed_form && p->opts->null_directions)
        *p->opts->null_directions = nulls;
    free(own[0]);
    free(own[1]);
    return status;
}

/* Bytes of what is allocated: copies of blocks, GMRES's and BDF's vectors or eigenvectors. */
static double bytes(const struct ntk_flow_problem *p)
{
    const double outputs = (double)p->c, state = (double)(p->n + p->m) * outputs;
    const double order = (double)p->n * (p->opts->blocks ? outputs : 1);
    const double copies = p->opts->blocks ? state * order : 0;
    const double work = p->opts->closed_form ? 3 * order * order + 4 * state
                                             : 60 * state * (isnan(p->opts->momentum) ? 1 : 2);

    return (copies + work) * sizeof(double);
}

ntk_status ntk_flow(ntk_ctx *ctx, const ntk_flow_opts *opts, int64_t n, int64_t m, int64_t outputs,
                    const double *k_train, const double *k_test, const double *y,
                    const double *f0_train, const double *f0_test, const double *times,
                    size_t n_times, double *train, double *test)
{
    ntk_flow_opts o;
    struct ntk_flow_problem p = {.ctx = ctx,
                                 .opts = &o,
                                 .n = n,
                                 .m = k_test ? m : 0,
                                 .c = outputs,
                                 .k = {k_train, k_test},
                                 .y = y,
                                 .f0 = {f0_train, f0_test},
                                 .scale = 1,
                                 .times = times,
                                 .n_times = n_times,
                                 .f = {train, test}};

    NTK_TRY(ntk_sized_read(ctx, &sized, opts, &o));
    NTK_TRY(check_options(ctx, &o));
    if (n < 1 || outputs < 1 || m < 0 || (test && !k_test))
        return ntk_fail(ctx, NTK_EINVAL, "n = %lld, m = %lld, outputs = %lld%s", (long long)n,
                        (long long)m, (long long)outputs,
                        test && !k_test ? " and no k_test for test" : "");
    if (o.mean_loss)
        p.scale = 1 / ((double)n * (o.loss == NTK_LOSS_MSE ? (double)outputs : 1));
    NTK_TRY(check_times(ctx, &o, times, n_times));
    NTK_TRY(check_targets(ctx, o.loss, n, outputs, y));
    NTK_TRY(check_arrays(&p));
    NTK_TRY(ntk_ctx_check_memory(ctx, (size_t)bytes(&p), "the flow"));
    return solve(&p);
}
