/* SPDX-License-Identifier: MIT
 *
 * Fits by landmarks, beside the normal equations of the kernel itself, which are solved here by elimination in long double.
 */
#include <float.h>
#include <stdio.h>
#include <unistd.h>

#include "context.h"
#include "predict/landmarks.h"
#include "solve/falkon.h"
#include "solve/normal.h"
#include "solve/tiled.h"

enum { N = 70, M = 9, D = 3, C = 2, T = 6 };
#define NET   "serial(Dense(8, W_std=1.5, b_std=0.2), Relu(), Dense(1))"
#define RIDGE 1e-2

static double x[N * D], y[N * C], z[T * D], weights[N], noise[N];
static ntk_data *train, *test;
static ntk_net *net;

static int start(void **state)
{
    uint64_t seed = 7;

    if (setup(state) != 0)
        return -1;
    for (int i = 0; i < N * D; i++)
        x[i] = test_normal(&seed);
    for (int i = 0; i < N * C; i++)
        y[i] = tanh(x[i / C * D + i % C]) + 0.1 * test_normal(&seed);
    for (int i = 0; i < T * D; i++)
        z[i] = test_normal(&seed);
    for (int i = 0; i < N; i++) {
        weights[i] = 0.5 + (double)(i % 4);
        noise[i] = 0.01 * (double)(1 + i % 5);
    }
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &train));
    assert_ok(ctx, ntk_data_view(ctx, z, NTK_F64, T, (ntk_shape){0, 1, 1, D}, &test));
    assert_ok(ctx, ntk_net_parse(ctx, NET, &net));
    return 0;
}

static int end(void **state)
{
    ntk_net_free(net);
    ntk_data_free(train);
    ntk_data_free(test);
    return teardown(state);
}

static ntk_fit_opts options(int64_t landmarks)
{
    ntk_fit_opts o;

    ntk_fit_opts_init(&o);
    o.solver = "landmarks";
    o.landmarks = landmarks;
    o.diag_reg = RIDGE;
    o.posterior = NTK_POSTERIOR_NTKGP;
    o.covariance = 1;
    return o;
}

static ntk_model *fit(const ntk_fit_opts *o)
{
    ntk_model *model;

    assert_ok(ctx, ntk_model_fit(ctx, net, train, y, C, o, &model));
    return model;
}

static void kernel_of(const ntk_data *a, const ntk_data *b, double *k)
{
    const ntk_net *const nets[] = {net};
    void *out[] = {k};
    ntk_kernel *kernel;

    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, ntk_data_shape(a), &kernel));
    assert_ok(ctx, ntk_kernel_compute(kernel, a, b, out));
    ntk_kernel_free(kernel);
}

/* ---- the witness */

static double k_nn[N * N], k_tn[T * N], k_tt[T * T];

/* a x = b of order n by elimination with pivoting; b [n][columns] becomes x. */
static void eliminate(int n, int columns, long double *a, long double *b)
{
    for (int k = 0; k < n; k++) {
        int pivot = k;

        for (int i = k + 1; i < n; i++)
            if (fabsl(a[i * n + k]) > fabsl(a[pivot * n + k]))
                pivot = i;
        for (int j = 0; j < n; j++) {
            const long double kept = a[k * n + j];

            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = kept;
        }
        for (int j = 0; j < columns; j++) {
            const long double kept = b[k * columns + j];

            b[k * columns + j] = b[pivot * columns + j];
            b[pivot * columns + j] = kept;
        }
        for (int i = 0; i < n; i++) {
            const long double factor = a[i * n + k] / a[k * n + k];

            if (i == k)
                continue;
            for (int j = k; j < n; j++)
                a[i * n + j] -= factor * a[k * n + j];
            for (int j = 0; j < columns; j++)
                b[i * columns + j] -= factor * b[k * columns + j];
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < columns; j++)
            b[i * columns + j] /= a[i * n + i];
}

/* sum over i of k_i k_i' / r_i, without those of which skip says so, + K_MM. */
static void normal_matrix(int m, const int64_t *rows, const double *r, const bool *skip, long double *a)
{
    for (int p = 0; p < m; p++)
        for (int q = 0; q < m; q++) {
            a[p * m + q] = (long double)k_nn[rows[p] * N + rows[q]];
            for (int i = 0; i < N; i++)
                if (!skip || !skip[i])
                    a[p * m + q] += (long double)k_nn[i * N + rows[p]] * (long double)k_nn[i * N + rows[q]] / (long double)r[i];
        }
}

/* a [m][C] of the same. */
static void dense(int m, const int64_t *rows, const double *r, const bool *skip, long double *a)
{
    static long double matrix[N * N];

    normal_matrix(m, rows, r, skip, matrix);
    for (int p = 0; p < m; p++)
        for (int c = 0; c < C; c++) {
            a[p * C + c] = 0;
            for (int i = 0; i < N; i++)
                if (!skip || !skip[i])
                    a[p * C + c] += (long double)k_nn[i * N + rows[p]] * (long double)y[i * C + c] / (long double)r[i];
        }
    eliminate(m, C, matrix, a);
}

static double predicted(int m, const int64_t *rows, const double *k, const long double *a, int c)
{
    long double sum = 0;

    for (int p = 0; p < m; p++)
        sum += (long double)k[rows[p]] * a[p * C + c];
    return (double)sum;
}

/* v' A^-1 w, A the kernel of landmarks or, with r, the normal matrix. */
static double form(int m, const int64_t *rows, const double *r, const bool *skip, const double *v, const double *w)
{
    static long double matrix[N * N], b[N];
    long double sum = 0;

    if (r)
        normal_matrix(m, rows, r, skip, matrix);
    for (int p = 0; p < m; p++) {
        for (int q = 0; q < m && !r; q++)
            matrix[p * m + q] = (long double)k_nn[rows[p] * N + rows[q]];
        b[p] = (long double)w[rows[p]];
    }
    eliminate(m, 1, matrix, b);
    for (int p = 0; p < m; p++)
        sum += (long double)v[rows[p]] * b[p];
    return (double)sum;
}

/* What is added for each sample. */
static void added(bool weighted, bool noisy, double *r)
{
    double mean = 0;

    kernel_of(train, NULL, k_nn);
    kernel_of(test, train, k_tn);
    kernel_of(test, NULL, k_tt);
    for (int i = 0; i < N; i++)
        mean += k_nn[i * (N + 1)] / N;
    for (int i = 0; i < N; i++)
        r[i] = (RIDGE * mean + (noisy ? noise[i] : 0)) / (weighted ? weights[i] : 1);
}

static void check_model(const ntk_model *model, const double *r, double tolerance)
{
    const int64_t *rows = model->land->rows;
    const int m = (int)model->land->m;
    double mean[T * C], var[T], cov[T * T], loo[N * C], loo_var[N], want[N * C], want_cov[N > T * T ? N : T * T];
    static long double a[N * C];

    dense(m, rows, r, NULL, a);
    assert_ok(ctx, ntk_model_predict(model, test, mean, var));
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++)
            want[t * C + c] = predicted(m, rows, k_tn + t * N, a, c);
    near_all("predictions", T * C, mean, want, tolerance);
    assert_ok(ctx, ntk_model_covariance(model, test, mean, cov));
    for (int s = 0; s < T; s++)
        for (int t = 0; t < T; t++)
            want_cov[s * T + t] = k_tt[s * T + t] - form(m, rows, NULL, NULL, k_tn + s * N, k_tn + t * N) +
                                  form(m, rows, r, NULL, k_tn + s * N, k_tn + t * N);
    near_all("covariances", T * T, cov, want_cov, tolerance);
    for (int t = 0; t < T; t++)
        want_cov[t] = want_cov[t * (T + 1)];
    near_all("variances", T, var, want_cov, tolerance);
    assert_ok(ctx, ntk_model_leave_one_out(model, loo, loo_var));
    for (int i = 0; i < N; i++) { /* by solutions without it */
        bool skip[N] = {false};

        skip[i] = true;
        dense(m, rows, r, skip, a);
        for (int c = 0; c < C; c++)
            want[i * C + c] = predicted(m, rows, k_nn + i * N, a, c);
        want_cov[i] = r[i] + k_nn[i * (N + 1)] - form(m, rows, NULL, NULL, k_nn + i * N, k_nn + i * N) +
                      form(m, rows, r, skip, k_nn + i * N, k_nn + i * N);
    }
    near_all("leave-one-out", N * C, loo, want, tolerance);
    near_all("leave-one-out variances", N, loo_var, want_cov, tolerance);
}

/* ---- tests */

static void normal_equations(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        ntk_fit_opts o = options(M);
        double r[N], alpha[N * C];
        ntk_model *model;
        int count = 0;

        o.weights = k & 1 ? weights : NULL;
        o.noise = k & 2 ? noise : NULL;
        model = fit(&o);
        assert_int_equal(model->land->m, M);
        added(k & 1, k & 2, r);
        check_model(model, r, 1e-9);
        assert_ok(ctx, ntk_model_alpha(model, alpha));
        for (int i = 0; i < N; i++)
            count += alpha[i * C] != 0;
        assert_int_equal(count, M);
        ntk_model_free(model);
    }
}

static void all_samples(void **state)
{
    ntk_fit_opts o = options(0), exact;
    double a[T * C], b[T * C], va[T], vb[T], la[N * C], lb[N * C], lva[N], lvb[N];
    ntk_model *model, *cholesky;

    (void)state;
    exact = o;
    exact.solver = "cholesky";
    model = fit(&o);
    cholesky = fit(&exact);
    assert_int_equal(model->land->m, N);
    assert_ok(ctx, ntk_model_predict(model, test, a, va));
    assert_ok(ctx, ntk_model_predict(cholesky, test, b, vb));
    near_all("predictions", T * C, a, b, 1e-11);
    near_all("variances", T, va, vb, 1e-10);
    assert_ok(ctx, ntk_model_leave_one_out(model, la, lva));
    assert_ok(ctx, ntk_model_leave_one_out(cholesky, lb, lvb));
    near_all("leave-one-out", N * C, la, lb, 1e-10);
    near_all("leave-one-out variances", N, lva, lvb, 1e-10);
    ntk_model_free(cholesky);
    ntk_model_free(model);
}

static void in_float32(void **state)
{
    ntk_fit_opts o = options(M);
    double r[N];
    ntk_model *model;

    (void)state;
    o.dtype = NTK_F32;
    o.tolerance = 1e-9;
    o.weights = weights;
    model = fit(&o);
    assert_null(model->land->normal); /* by conjugate gradients */
    added(true, false, r);
    check_model(model, r, 1e-4);
    ntk_model_free(model);
}

static void left_out_by_weights(void **state)
{
    double w[N], r[N], loo[N * C], f[C];
    ntk_fit_opts o = options(M);
    ntk_model *model;
    ntk_data *one;

    (void)state;
    memcpy(w, weights, sizeof w);
    w[5] = w[N - 1] = 0;
    o.weights = w;
    model = fit(&o);
    assert_int_equal(model->n, N - 2);
    assert_ok(ctx, ntk_model_leave_one_out(model, loo, r));
    assert_ok(ctx, ntk_data_slice(train, 5, 1, &one));
    assert_ok(ctx, ntk_model_predict(model, one, f, NULL));
    near_all("what is left out", C, loo + 5 * C, f, 1e-12);
    assert_true(isinf(r[5]));
    ntk_data_free(one);
    ntk_model_free(model);
}

static void another_ridge(void **state)
{
    ntk_fit_opts o = options(M);
    double a[T * C], b[T * C], other[N * C];
    ntk_model *model, *fresh;

    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        o.diag_reg = RIDGE;
        o.keep = keep;
        model = fit(&o);
        o.diag_reg = 0.3;
        fresh = fit(&o);
        assert_ok(ctx, ntk_model_refit(model, NULL, 0, &o));
        assert_ok(ctx, ntk_model_predict(model, test, a, NULL));
        assert_ok(ctx, ntk_model_predict(fresh, test, b, NULL));
        near_all("another ridge", T * C, a, b, 1e-13);
        for (int i = 0; i < N * C; i++)
            other[i] = -2 * y[i];
        assert_ok(ctx, ntk_model_refit(model, other, C, NULL));
        assert_ok(ctx, ntk_model_predict(model, test, a, NULL));
        for (int i = 0; i < T * C; i++)
            b[i] *= -2;
        near_all("other targets", T * C, a, b, 1e-12);
        ntk_model_free(fresh);
        ntk_model_free(model);
    }
}

static void chosen_ridge(void **state)
{
    ntk_fit_opts o = options(M);
    double grid[NTK_RIDGES], errors[NTK_RIDGES] = {0}, r[N], least = (double)INFINITY, best = 0, mean;
    static long double a[N * C];
    bool skip[N];
    ntk_model *model;
    int held = 0;

    (void)state;
    o.diag_reg = NTK_DIAG_REG_AUTO;
    model = fit(&o);
    for (int i = 0; i < N; i++)
        held += skip[i] = ntk_held_out(i);
    assert_in_range(held, 3, N / 4);
    for (int j = 0; j < M; j++)
        assert_false(skip[model->land->rows[j]]);
    added(false, false, r);
    mean = r[0] / RIDGE;
    ntk_ridge_grid(grid);
    for (int k = 0; k < NTK_RIDGES; k++) {
        for (int i = 0; i < N; i++)
            r[i] = grid[k] * mean;
        dense(M, model->land->rows, r, skip, a);
        for (int i = 0; i < N; i++)
            for (int c = 0; skip[i] && c < C; c++)
                errors[k] += pow(y[i * C + c] - predicted(M, model->land->rows, k_nn + i * N, a, c), 2);
        if (errors[k] < least) {
            least = errors[k];
            best = grid[k];
        }
    }
    assert_near(ntk_model_diag_reg(model), best, 1e-12, 0);
    for (int i = 0; i < N; i++)
        r[i] = best * mean;
    check_model(model, r, 1e-7); /* of all samples */
    ntk_model_free(model);
}

/* ---- the kernel in memory */

static void rectangles(void **state)
{
    enum { ROWS = 333, COLUMNS = 41, V = 3 };
    static double panel[ROWS * COLUMNS], a[ROWS * COLUMNS], v[V * COLUMNS], w[ROWS], got[V * COLUMNS], want[V * COLUMNS];
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        panel[i] = 5 + test_normal(&seed);
    for (int i = 0; i < V * COLUMNS; i++)
        v[i] = test_normal(&seed);
    for (int i = 0; i < ROWS; i++)
        w[i] = 1 + i % 3;
    for (int bytes = 2; bytes <= 4; bytes += 2) {
        struct ntk_rectangle k;
        double most = 0, usual, error;

        assert_ok(ctx, ntk_rectangle_new(ctx, ROWS, COLUMNS, bytes, &k));
        ntk_rectangle_put(&k, 0, 100, panel);
        ntk_rectangle_put(&k, 100, ROWS - 100, panel + 100 * COLUMNS);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            a[i] = bytes == 4 ? (double)((float *)k.a)[i]
                              : (double)k.low[i / COLUMNS] + (double)k.step[i / COLUMNS] * ((uint16_t *)k.a)[i];
            most = fmax(most, fabs(a[i] - panel[i]));
        }
        error = ntk_rectangle_error(&k, &usual);
        if (bytes == 2)
            assert_in_range((int)(1000 * most / error), 900, 1020); /* with the rounding of low */
        for (int c = 0; c < V; c++)
            for (int j = 0; j < COLUMNS; j++)
                want[c * COLUMNS + j] = 0;
        for (int c = 0; c < V; c++)
            for (int i = 0; i < ROWS; i++) {
                double sum = 0;

                for (int j = 0; j < COLUMNS; j++)
                    sum += a[i * COLUMNS + j] * v[c * COLUMNS + j];
                for (int j = 0; j < COLUMNS; j++)
                    want[c * COLUMNS + j] += w[i] * sum * a[i * COLUMNS + j];
            }
        assert_ok(ctx, ntk_rectangle_multiply(&k, V, v, NULL, w, got));
        near_all("K' W K v", V * COLUMNS, got, want, 1e-6); /* float32 entries of 2 bytes */
        ntk_rectangle_free(&k);
    }
}

/* Memory: what more samples and landmarks take is more than what a kernel does, or what choosing landmarks does. */
enum { MANY = 4000, SOME = 600 };
static double many[MANY * D], many_y[MANY * C];

static ntk_data *many_samples(void)
{
    ntk_data *data;
    uint64_t seed = 9;

    for (int i = 0; i < MANY * D; i++)
        many[i] = test_normal(&seed);
    for (int i = 0; i < MANY * C; i++)
        many_y[i] = tanh(many[i / C * D + i % C]);
    assert_ok(ctx, ntk_data_view(ctx, many, NTK_F64, MANY, (ntk_shape){0, 1, 1, D}, &data));
    return data;
}

struct told {
    bool there;
    double moved;
};

static void look_for_16_bits(int level, const char *text, void *user)
{
    struct told *told = user;
    const char *about = strstr(text, "moves predictions by about ");

    (void)level;
    told->there = told->there || strstr(text, "kept in 16 bits");
    if (about)
        told->moved = strtod(about + strlen("moves predictions by about "), NULL);
}

static void in_16_bits(void **state)
{
    ntk_data *data = many_samples();
    ntk_fit_opts o = options(SOME);
    double a[T * C], b[T * C], moved = 0;
    ntk_model *model, *exact;
    struct told told = {false, 0};
    size_t bytes;

    (void)state;
    o.dtype = NTK_F32;
    assert_ok(ctx, ntk_model_bytes(ctx, net, data, C, &o, &bytes));
    ntk_ctx_set_log(ctx, look_for_16_bits, &told);
    ntk_ctx_set_memory(ctx, bytes);
    assert_ok(ctx, ntk_model_fit(ctx, net, data, many_y, C, &o, &exact));
    assert_false(told.there);
    ntk_model_free(exact);
    ntk_ctx_set_memory(ctx, bytes - 2 * MANY * C * sizeof(double) - ((size_t)1 << 20));
    assert_ok(ctx, ntk_model_fit(ctx, net, data, many_y, C, &o, &model));
    assert_true(told.there);
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_ctx_set_memory(ctx, 0);
    assert_ok(ctx, ntk_model_predict(model, test, a, NULL));
    ntk_model_free(model);
    o.dtype = NTK_F64;
    assert_ok(ctx, ntk_model_fit(ctx, net, data, many_y, C, &o, &exact));
    assert_ok(ctx, ntk_model_predict(exact, test, b, NULL));
    ntk_model_free(exact);
    ntk_data_free(data);
    for (int i = 0; i < T * C; i++) {
        moved += pow(a[i] - b[i], 2) / (T * C);
    }
    moved = sqrt(moved);
    if (!(moved > told.moved / 3 && moved < 3 * told.moved))
        fail_msg("predictions moved by %g, %g was said", moved, told.moved);
}

/* The least that would do is said, and does. */
static void memory(void **state)
{
    ntk_data *data = many_samples();
    ntk_fit_opts o = options(SOME);
    ntk_model *model;

    (void)state;
    for (int k = 0; k < 2; k++) {
        o.dtype = k ? NTK_F32 : NTK_F64;
        ntk_ctx_set_memory(ctx, (size_t)1 << 20);
        assert_fails(ctx, NTK_ENOMEM, "a fit by this many landmarks needs", ntk_model_fit(ctx, net, data, many_y, C, &o, &model));
        ntk_ctx_set_memory(ctx, (size_t)((strtod(strstr(ntk_errmsg(ctx), "needs ") + strlen("needs "), NULL) + 0.01) * 0x1p20));
        assert_ok(ctx, ntk_model_fit(ctx, net, data, many_y, C, &o, &model));
        ntk_ctx_set_memory(ctx, 0);
        ntk_model_free(model);
    }
    ntk_data_free(data);
}

static void threads(void **state)
{
    static double first[2][N * C];

    (void)state;
    for (int count = 1; count <= 5; count += 2)
        for (int k = 0; k < 2; k++) {
            ntk_fit_opts o = options(M);
            double alpha[N * C];
            ntk_model *model;

            o.dtype = k ? NTK_F32 : NTK_F64;
            assert_ok(ctx, ntk_ctx_set_threads(ctx, count));
            model = fit(&o);
            assert_ok(ctx, ntk_model_alpha(model, count == 1 ? first[k] : alpha));
            if (count > 1)
                assert_memory_equal(alpha, first[k], sizeof alpha);
            ntk_model_free(model);
        }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
}

/* Larger than a tile. */
static void tiled_factor(void **state)
{
    enum { n = 700 };
    double *a = calloc(n * n, sizeof *a), *p = malloc(n * n * sizeof *p), *l[2];
    const struct ntk_blas blas = ntk_blas_begin(1);
    uint64_t seed = 1;
    int64_t minor;

    (void)state;
    for (int i = 0; i < n * n; i++)
        p[i] = test_normal(&seed);
    assert_ok(ctx, ntk_tiled_gram(ctx, n, n, p, a));
    for (int i = 0; i < n; i += 37)
        for (int j = 0; j <= i; j += 41) {
            double sum = 0;

            for (int k = 0; k < n; k++)
                sum += p[k * n + i] * p[k * n + j];
            assert_near(a[j * n + i], sum, 1e-12, n);
        }
    for (int k = 0; k < 2; k++) {
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 1 + 2 * k));
        l[k] = malloc(n * n * sizeof **l);
        memcpy(l[k], a, n * n * sizeof **l);
        assert_ok(ctx, ntk_tiled_factor(ctx, n, l[k], &minor));
        assert_int_equal(minor, 0);
    }
    assert_memory_equal(l[0], l[1], n * n * sizeof **l);
    for (int i = 0; i < n; i += 37)
        for (int j = 0; j <= i; j += 41) {
            double sum = 0;

            for (int k = 0; k <= j; k++)
                sum += l[0][k * n + i] * l[0][k * n + j];
            assert_near(sum, a[j * n + i], 1e-12, n);
        }
    a[600 * (n + 1)] = -1;
    assert_ok(ctx, ntk_tiled_factor(ctx, n, a, &minor));
    assert_int_equal(minor, 601);
    ntk_blas_end(blas);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    free(l[0]);
    free(l[1]);
    free(p);
    free(a);
}

/* ---- what it lacks, and files */

static void refusals(void **state)
{
    ntk_fit_opts o = options(M);
    double number, numbers[N];
    ntk_spectrum spectrum;
    ntk_model *model = fit(&o);

    (void)state;
    ntk_spectrum_init(&spectrum);
    assert_fails(ctx, NTK_ENOTSUP, "'cholesky' and 'eigen' have it", ntk_model_evidence(model, &number));
    assert_fails(ctx, NTK_ENOTSUP, "'cholesky' and 'eigen' have it", ntk_model_spectrum(model, &spectrum));
    assert_fails(ctx, NTK_ENOTSUP, "'cholesky' and 'eigen' have it", ntk_model_ridges(model, 1, &o.diag_reg, numbers, NULL));
    assert_fails(ctx, NTK_EINVAL, "finite_time", ntk_model_alpha_at(model, 1, numbers));
    assert_fails(ctx, NTK_ENOTSUP, "gradient flow needs the whole",
                 ntk_model_dynamics(model, (double[]){(double)INFINITY}, 1, NULL, NULL, NULL, numbers, NULL, NULL));
    o.solver = "cholesky";
    o.landmarks = 0;
    assert_fails(ctx, NTK_EINVAL, "another function, of landmarks or of all samples, needs another model",
                 ntk_model_refit(model, NULL, 0, &o));
    ntk_model_free(model);
    o = options(M);
    o.solver = NULL;
    assert_fails(ctx, NTK_EINVAL, "landmarks are of the solver 'landmarks', got 'cholesky'",
                 ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(-1);
    assert_fails(ctx, NTK_EINVAL, "landmarks must be at least 1", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(M);
    o.finite_time = 1;
    assert_fails(ctx, NTK_EINVAL, "finite times need the solver 'eigen'", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(M);
    o.posterior = NTK_POSTERIOR_NTK;
    assert_fails(ctx, NTK_EINVAL, "'cholesky' and 'eigen' have them", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(M);
    o.store = "k.h5";
    assert_fails(ctx, NTK_EINVAL, "a store has the kernel matrix", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(M);
    o.triangle = "float32";
    assert_fails(ctx, NTK_EINVAL, "triangle is of the solver 'cg', not of 'landmarks'", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(M);
    o.diag_reg = NTK_DIAG_REG_AUTO;
    o.noise = noise;
    assert_fails(ctx, NTK_EINVAL, "give diag_reg", ntk_model_fit(ctx, net, train, y, C, &o, &model));
    o = options(M);
    assert_fails(ctx, NTK_EINVAL, "a given matrix has none", ntk_model_fit_matrix(ctx, N, k_nn, NULL, y, C, &o, &model));
}

static int cancel_at(const char *what, double done, double total, void *user)
{
    int *left = user;

    (void)what, (void)done, (void)total;
    return --*left == 0;
}

static void cancelled(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        ntk_status status = NTK_ECANCEL;
        ntk_fit_opts o = options(M);

        o.dtype = k ? NTK_F32 : NTK_F64;
        for (int at = 1; status == NTK_ECANCEL && at < 200; at++) {
            int left = at;
            ntk_model *model;

            ntk_ctx_set_progress(ctx, cancel_at, &left);
            status = ntk_model_fit(ctx, net, train, y, C, &o, &model);
            if (status == NTK_OK)
                ntk_model_free(model);
            assert_true(status == NTK_ECANCEL || left > 0);
        }
        ntk_ctx_set_progress(ctx, NULL, NULL);
        assert_int_equal(status, NTK_OK);
    }
}

/* A refit that is cancelled while landmarks are chosen anew leaves a model that can be fitted. */
static void cancelled_while_choosing(void **state)
{
    double want[T * C], got[T * C];
    ntk_fit_opts o = options(M), other = options(M / 2);
    ntk_model *model = fit(&other), *fresh;

    (void)state;
    fresh = fit(&o);
    assert_ok(ctx, ntk_model_predict(fresh, test, want, NULL));
    for (int at = 1;; at++) {
        int left = at;
        ntk_status status;

        ntk_ctx_set_progress(ctx, cancel_at, &left);
        status = ntk_model_refit(model, NULL, 0, &o);
        ntk_ctx_set_progress(ctx, NULL, NULL);
        if (status == NTK_OK)
            break;
        assert_int_equal(status, NTK_ECANCEL);
    }
    assert_ok(ctx, ntk_model_predict(model, test, got, NULL));
    near_all("predictions", T * C, got, want, 1e-12);
    ntk_model_free(fresh);
    ntk_model_free(model);
}

/* Landmarks are of the rows that they are chosen from, however many are asked for. */
static void rows_are_enough(void **state)
{
    enum { ROWS = 300000 };
    double *one = calloc(ROWS, sizeof *one);
    const ntk_net *of = net;
    struct ntk_landmark_plan plan;
    ntk_fit_opts o = options(150000);
    ntk_kernel *kernel;
    ntk_data *data;

    (void)state;
    assert_ok(ctx, ntk_data_view(ctx, one, NTK_F64, ROWS, (ntk_shape){0, 1, 1, 1}, &data));
    assert_ok(ctx, ntk_kernel_new(ctx, &of, 1, NTK_NTK, NTK_F64, ntk_data_shape(data), &kernel));
    ntk_ctx_set_memory(ctx, (size_t)1 << 42);
    assert_ok(ctx, ntk_landmark_plan(kernel, data, &o, 1, false, &plan));
    ntk_ctx_set_memory(ctx, 0);
    assert_int_equal(plan.m, 150000);
    assert_true(plan.sample >= plan.m);
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    free(one);
}

#ifdef NTK_HDF5
static void files(void **state)
{
    char path[] = "/tmp/ntk-landmarks-XXXXXX";
    double a[T * C], b[T * C], va[T], vb[T], loo[N * C];
    ntk_fit_opts o = options(M);
    ntk_model *model, *loaded;
    const int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    o.weights = weights;
    o.noise = noise;
    model = fit(&o);
    assert_ok(ctx, ntk_model_predict(model, test, a, va));
    for (int factor = 0; factor < 2; factor++) {
        assert_ok(ctx, ntk_model_save(model, path, factor));
        assert_ok(ctx, ntk_model_load(ctx, path, &loaded));
        assert_int_equal(ntk_model_n(loaded), M);
        assert_ok(ctx, ntk_model_predict(loaded, test, b, NULL));
        assert_memory_equal(a, b, sizeof a);
        if (factor)
            assert_ok(ctx, ntk_model_predict(loaded, test, b, vb));
        else
            assert_fails(ctx, NTK_ENOTSUP, "save it with its factor", ntk_model_predict(loaded, test, b, vb));
        if (factor)
            near_all("variances", T, vb, va, 1e-12);
        assert_fails(ctx, NTK_ENOTSUP, "no leave-one-out", ntk_model_leave_one_out(loaded, loo, NULL));
        assert_fails(ctx, NTK_EINVAL, "cannot be fitted again", ntk_model_refit(loaded, NULL, 0, NULL));
        assert_ok(ctx, ntk_model_save(loaded, path, factor)); /* once more */
        ntk_model_free(loaded);
        assert_ok(ctx, ntk_model_load(ctx, path, &loaded));
        assert_ok(ctx, ntk_model_predict(loaded, test, b, factor ? vb : NULL));
        assert_memory_equal(a, b, sizeof a);
        ntk_model_free(loaded);
    }
    ntk_model_free(model);
    unlink(path);
}

/* ---- fits that go on from a file */

#define KEPT    "landmarks-checkpoint.h5"
#define FORMATS NTK_SOURCE_ROOT "/tests/golden/formats/"
enum { FEW = 12, PANEL = NTK_LANDMARK_PANEL };

static char said[4000];

static void hear(int level, const char *text, void *user)
{
    const size_t n = strlen(said);

    (void)level, (void)user;
    snprintf(said + n, sizeof said - n, "%s\n", text);
}

static void listen(void)
{
    said[0] = '\0';
    ntk_ctx_set_log(ctx, hear, NULL);
}

static void assert_said(const char *text)
{
    if (!strstr(said, text))
        fail_msg("'%s' lacks '%s'", said, text);
}

struct kind {
    const char *name;
    ntk_dtype dtype;
    double ridge;
    bool keep, weighted, noisy, copies;
};
static const struct kind kinds[] = {
    {.name = "one ridge", .dtype = NTK_F64, .ridge = RIDGE},
    {.name = "weights and noise", .dtype = NTK_F64, .ridge = RIDGE, .weighted = true, .noisy = true},
    {.name = "a chosen ridge", .dtype = NTK_F64, .ridge = NTK_DIAG_REG_AUTO},
    {.name = "a chosen ridge, with weights", .dtype = NTK_F32, .ridge = NTK_DIAG_REG_AUTO, .weighted = true},
    {.name = "several ridges", .dtype = NTK_F32, .ridge = RIDGE, .keep = true},
    {.name = "copies", .dtype = NTK_F64, .ridge = RIDGE, .copies = true},
    {.name = "copies and a chosen ridge", .dtype = NTK_F64, .ridge = NTK_DIAG_REG_AUTO, .copies = true},
    {.name = "the kernel in memory", .dtype = NTK_F32, .ridge = RIDGE},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static double other_y[MANY * C], many_weights[MANY], many_noise[MANY];

static ntk_data *kept_samples(const struct kind *k)
{
    ntk_data *data = many_samples();

    for (int i = 0; i < MANY; i++) {
        many_weights[i] = i == 7 ? 0 : 0.5 + i % 4;
        many_noise[i] = 0.01 * (1 + i % 5);
    }
    for (int i = 0; i < MANY * C; i++)
        other_y[i] = cos(3 * many_y[i]);
    if (k->copies) {
        assert_ok(ctx, ntk_data_set_image(data, (ntk_shape){2, 1, D, 1}));
        assert_ok(ctx, ntk_data_set_symmetry(data, NTK_FLIP));
    }
    return data;
}

static ntk_fit_opts kept_options(const struct kind *k, const char *path)
{
    ntk_fit_opts o = options(FEW);

    o.dtype = k->dtype;
    o.diag_reg = k->ridge;
    o.keep = k->keep;
    o.weights = k->weighted ? many_weights : NULL;
    o.noise = k->noisy ? many_noise : NULL;
    o.checkpoint = path;
    return o;
}

/* alpha: [MANY][C]. */
static ntk_status fit_with(const ntk_fit_opts *o, const ntk_data *data, const double *targets, double *alpha)
{
    ntk_model *model;
    ntk_status status = ntk_model_fit(ctx, net, data, targets, C, o, &model);

    if (status != NTK_OK)
        return status;
    assert_ok(ctx, ntk_model_alpha(model, alpha));
    ntk_model_free(model);
    return NTK_OK;
}

static ntk_status fit_kept(const struct kind *k, const ntk_data *data, const char *path, double *alpha)
{
    const ntk_fit_opts o = kept_options(k, path);

    return fit_with(&o, data, many_y, alpha);
}

static double want[MANY * C], got[MANY * C];

static void assert_same(const char *name)
{
    if (memcmp(got, want, sizeof want) != 0)
        fail_msg("%s: another solution", name);
    assert_true(access(KEPT, F_OK) != 0);
}

/* Cancelled anywhere, a fit goes on to the bytes that it has at once, with any number of threads. */
static void goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        ntk_data *data = kept_samples(&kinds[i]);
        ntk_status status = NTK_ECANCEL;
        int cancelled_fits = 0;

        assert_ok(ctx, fit_kept(&kinds[i], data, NULL, want));
        for (int at = 1; status == NTK_ECANCEL; at += 1 + at / 2) {
            int left = at;

            (void)unlink(KEPT);
            assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
            ntk_ctx_set_progress(ctx, cancel_at, &left);
            status = fit_kept(&kinds[i], data, KEPT, got);
            ntk_ctx_set_progress(ctx, NULL, NULL);
            if (status == NTK_ECANCEL) {
                cancelled_fits++;
                assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
                assert_ok(ctx, fit_kept(&kinds[i], data, KEPT, got));
            }
            assert_same(kinds[i].name);
        }
        assert_int_equal(status, NTK_OK);
        assert_true(cancelled_fits > 5);
        ntk_data_free(data);
    }
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
}

/* Cancels at some row; rows begin where they are told first, and never fall. */
struct rows {
    double until, first, last;
    bool fell;
};

static int until_row(const char *what, double done, double total, void *user)
{
    struct rows *r = user;

    (void)total;
    if (strcmp(what, "rows") != 0)
        return 0;
    r->first = r->first < 0 ? done : r->first;
    r->fell = r->fell || done < r->last;
    r->last = done;
    return done >= r->until;
}

/* A file with the sums of two of the four panels. */
static void leave_file(const struct kind *k, const ntk_data *data)
{
    struct rows rows = {.until = 2.5 * PANEL, .first = -1};

    (void)unlink(KEPT);
    ntk_ctx_set_progress(ctx, until_row, &rows);
    assert_int_equal(fit_kept(k, data, KEPT, got), NTK_ECANCEL);
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_true(access(KEPT, F_OK) == 0);
    assert_false(rows.fell);
}

static void it_says_where(void **state)
{
    const struct kind *k = &kinds[0];
    struct rows rows = {.until = (double)INFINITY, .first = -1};
    ntk_data *data = kept_samples(k);

    (void)state;
    assert_ok(ctx, fit_kept(k, data, NULL, want));
    listen();
    leave_file(k, data);
    assert_said(KEPT " has the sums of 2048 of 4000 rows: the same fit goes on from there");
    ntk_ctx_set_progress(ctx, until_row, &rows);
    assert_ok(ctx, fit_kept(k, data, KEPT, got));
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_said("goes on from " KEPT " at row 2048 of 4000");
    assert_near(rows.first, 2048, 0, 1);
    assert_near(rows.last, MANY, 0, 1);
    assert_same("from row 2048");
    listen();
    leave_file(&kinds[KINDS - 1], data);
    assert_said("is kept in float32, 0.00 GiB, and not in " KEPT);
    assert_ok(ctx, fit_kept(&kinds[KINDS - 1], data, KEPT, got));
    assert_said("goes on from " KEPT " with its 12 landmarks\n");
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_data_free(data);
}

/* Slow, so that it is asked all the time, once the third panel's kernel is there. */
struct slow {
    int left;
};

static int cancel_slowly(const char *what, double done, double total, void *user)
{
    struct slow *s = user;

    (void)total;
    if (strcmp(what, "rows") != 0 || done < 2.98 * PANEL || done >= 3 * PANEL)
        return 0;
    usleep(51000);
    return --s->left == 0;
}

/* Who cancels while a panel is added waits for the rest of it: sums are of whole panels. */
static void panels_are_whole(void **state)
{
    ntk_data *data = kept_samples(&kinds[0]);
    bool waited = false;

    (void)state;
    assert_ok(ctx, fit_kept(&kinds[0], data, NULL, want));
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
    for (int at = 16; !waited; at++) {
        struct slow slow = {at};

        (void)unlink(KEPT);
        listen();
        ntk_ctx_set_progress(ctx, cancel_slowly, &slow);
        assert_int_equal(fit_kept(&kinds[0], data, KEPT, got), NTK_ECANCEL);
        ntk_ctx_set_progress(ctx, NULL, NULL);
        waited = strstr(said, "has the sums of 3072 of 4000") && strstr(ntk_errmsg(ctx), "cancelled after 3072 of 4000 rows");
        assert_ok(ctx, fit_kept(&kinds[0], data, KEPT, got));
        assert_same("a panel that was added");
    }
    ntk_ctx_set_log(ctx, NULL, NULL);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    ntk_data_free(data);
}

/* Of another ridge, other targets, other weights what does not depend on them is used, and the end is that of a fit to them. */
static void what_is_used(void **state)
{
    const struct kind *k = &kinds[0];
    struct rows rows = {.until = 1.5 * PANEL, .first = -1};
    ntk_data *data = kept_samples(k);
    ntk_fit_opts o = kept_options(k, KEPT), fresh = kept_options(k, NULL);

    (void)state;
    listen();
    leave_file(k, data);
    o.diag_reg = fresh.diag_reg = 0.5;
    assert_ok(ctx, fit_with(&fresh, data, many_y, want));
    assert_ok(ctx, fit_with(&o, data, many_y, got));
    assert_said("at row 2048");
    assert_same("another ridge");

    listen();
    leave_file(k, data);
    assert_ok(ctx, fit_with(&fresh, data, other_y, want));
    ntk_ctx_set_progress(ctx, until_row, &rows);
    assert_int_equal(fit_with(&o, data, other_y, got), NTK_ECANCEL); /* and once more on the way */
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_said("goes on from " KEPT ", of other targets: the matrix of 2048 of 4000 rows is there");
    assert_said("has the sums of 1024 of 4000 rows");
    assert_ok(ctx, fit_with(&o, data, other_y, got));
    assert_said("at row 1024");
    assert_same("other targets");

    listen();
    leave_file(k, data);
    o.weights = fresh.weights = many_noise;
    assert_ok(ctx, fit_with(&fresh, data, many_y, want));
    assert_ok(ctx, fit_with(&o, data, many_y, got));
    assert_said("goes on from " KEPT " with its 12 landmarks: its sums are of other weights, or noise");
    assert_same("other weights");

    o.weights = NULL;
    o.noise = many_noise;
    o.diag_reg = RIDGE;
    listen();
    rows = (struct rows){.until = 1.5 * PANEL, .first = -1};
    ntk_ctx_set_progress(ctx, until_row, &rows);
    assert_int_equal(fit_with(&o, data, many_y, got), NTK_ECANCEL);
    ntk_ctx_set_progress(ctx, NULL, NULL);
    fresh = o;
    fresh.checkpoint = NULL;
    o.diag_reg = fresh.diag_reg = 0.5; /* which weighs samples that have noise */
    assert_ok(ctx, fit_with(&fresh, data, many_y, want));
    assert_ok(ctx, fit_with(&o, data, many_y, got));
    assert_said("its sums are of other weights, or noise");
    assert_same("another ridge, with noise");
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_data_free(data);
}

/* Of another fit it is refused, and stays as it is. */
static void another_fit(void **state)
{
    const struct kind *k = &kinds[0];
    ntk_data *data = kept_samples(k), *fewer;
    ntk_net *other, *own = net;
    ntk_fit_opts o;

    (void)state;
    leave_file(k, data);
    o = kept_options(k, KEPT);
    o.landmarks = FEW + 1;
    assert_fails(ctx, NTK_EINVAL, KEPT ": it is of another fit: its landmarks: 12; here, landmarks: 13. Choose another file",
                 fit_with(&o, data, many_y, got));
    o.landmarks = 0;
    assert_fails(ctx, NTK_EINVAL, "here, landmarks: as many as memory and time allow", fit_with(&o, data, many_y, got));
    o = kept_options(k, KEPT);
    o.diag_reg = NTK_DIAG_REG_AUTO;
    assert_fails(ctx, NTK_EINVAL, "here, landmarks: 12, of rows that are not held out, to choose a ridge",
                 fit_with(&o, data, many_y, got));
    o = kept_options(k, KEPT);
    o.dtype = NTK_F32;
    assert_fails(ctx, NTK_EINVAL, "its entries: float64", fit_with(&o, data, many_y, got));
    o = kept_options(k, KEPT);
    o.posterior = NTK_POSTERIOR_NNGP;
    assert_fails(ctx, NTK_EINVAL, "here, nngp: ", fit_with(&o, data, many_y, got));
    o = kept_options(k, KEPT);
    o.weights = many_weights; /* without one of the samples */
    assert_fails(ctx, NTK_EINVAL, "here, rows: 3999 samples", fit_with(&o, data, many_y, got));
    o = kept_options(k, KEPT);
    assert_ok(ctx, ntk_data_slice(data, 0, MANY - 1, &fewer));
    assert_fails(ctx, NTK_EINVAL, "its rows: 4000 samples of 3, hash", fit_with(&o, fewer, many_y, got));
    ntk_data_free(fewer);
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=2)", &other));
    net = other;
    assert_fails(ctx, NTK_EINVAL, "its ntk: " NET, fit_with(&o, data, many_y, got));
    net = own;
    ntk_net_free(other);
    assert_ok(ctx, fit_kept(k, data, NULL, want));
    assert_ok(ctx, fit_with(&o, data, many_y, got));
    assert_same("after refusals");
    ntk_data_free(data);
}

static unsigned char *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    bytes = malloc(*n);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void write_whole(const char *path, const unsigned char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file that was cut, one of something else, and those in which a byte of a number is another: bytes that files of two fits do
 * not have in common. */
static void damaged_files(void **state)
{
    const struct kind *k = &kinds[0];
    ntk_data *data = kept_samples(k);
    unsigned char *bytes, *others;
    int refused = 0;
    size_t n, n_others;

    (void)state;
    for (int i = 0; i < MANY * D; i++)
        many[i] = sin(5 * many[i]);
    leave_file(k, data);
    others = read_whole(KEPT, &n_others);
    ntk_data_free(data);
    data = kept_samples(k);
    leave_file(k, data);
    bytes = read_whole(KEPT, &n);
    assert_int_equal(n, n_others);
    write_whole(KEPT, bytes, n / 2);
    assert_fails(ctx, NTK_EIO, "the fit cannot go on from its checkpoint; remove it to begin anew: " KEPT,
                 fit_kept(k, data, KEPT, got));
    write_whole(KEPT, (const unsigned char *)"landmarks", 9);
    assert_fails(ctx, NTK_EIO, "remove it to begin anew: " KEPT " is not an HDF5 file", fit_kept(k, data, KEPT, got));
    for (size_t at = 0; at < n; at += SANITIZED ? 19 : 5) {
        ntk_status status;

        if (bytes[at] == others[at])
            continue;
        bytes[at] ^= 0x10;
        write_whole(KEPT, bytes, n);
        bytes[at] ^= 0x10;
        status = fit_kept(k, data, KEPT, got);
        if (status != NTK_EIO && status != NTK_EINVAL) /* of other samples */
            fail_msg("byte %zu: %s", at, ntk_strstatus(status));
        refused += status == NTK_EIO && strstr(ntk_errmsg(ctx), "has not the numbers that were written");
    }
    assert_true(refused > 30);
    free(bytes);
    free(others);
    (void)unlink(KEPT);
    ntk_data_free(data);
}

/* A file that is of another kind, and one that cannot be written: what is done is then not kept, which is said. */
static void other_files(void **state)
{
    ntk_data *data = kept_samples(&kinds[0]);

    (void)state;
    assert_fails(ctx, NTK_EIO, "its format is 'libntk ", fit_kept(&kinds[0], data, FORMATS "model-2.h5", got));
    assert_true(access(FORMATS "model-2.h5", F_OK) == 0);
    listen();
    assert_ok(ctx, fit_kept(&kinds[0], data, NULL, want));
    assert_ok(ctx, fit_kept(&kinds[0], data, "no-such-folder/c.h5", got));
    assert_said("cannot write no-such-folder/c.h5: No such file or directory: what is done is not kept on the way");
    assert_same("without a file");
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_data_free(data);
}

/* A refit that was cancelled goes on from its file, too, in the same model. */
static void refits_go_on(void **state)
{
    const struct kind *k = &kinds[0];
    struct rows rows = {.until = 2.5 * PANEL, .first = -1};
    ntk_data *data = kept_samples(k);
    ntk_fit_opts o = kept_options(k, KEPT);
    ntk_model *model;

    (void)state;
    o.diag_reg = 0.5;
    o.checkpoint = NULL;
    assert_ok(ctx, fit_with(&o, data, other_y, want));
    o.checkpoint = KEPT;
    assert_ok(ctx, ntk_model_fit(ctx, net, data, many_y, C, &o, &model));
    listen();
    ntk_ctx_set_progress(ctx, until_row, &rows);
    assert_int_equal(ntk_model_refit(model, other_y, C, NULL), NTK_ECANCEL);
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_said("has the sums of 2048 of 4000 rows");
    assert_ok(ctx, ntk_model_alpha(model, got));
    assert_said("goes on from " KEPT " at row 2048");
    assert_same("a refit");
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_model_free(model);
    ntk_data_free(data);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_equations),
        cmocka_unit_test(all_samples),
        cmocka_unit_test(in_float32),
        cmocka_unit_test(left_out_by_weights),
        cmocka_unit_test(another_ridge),
        cmocka_unit_test(chosen_ridge),
        cmocka_unit_test(rectangles),
        cmocka_unit_test(in_16_bits),
        cmocka_unit_test(memory),
        cmocka_unit_test(threads),
        cmocka_unit_test(tiled_factor),
        cmocka_unit_test(refusals),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(cancelled_while_choosing),
        cmocka_unit_test(rows_are_enough),
#ifdef NTK_HDF5
        cmocka_unit_test(files),
        cmocka_unit_test(goes_on),
        cmocka_unit_test(it_says_where),
        cmocka_unit_test(panels_are_whole),
        cmocka_unit_test(what_is_used),
        cmocka_unit_test(another_fit),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(other_files),
        cmocka_unit_test(refits_go_on),
#endif
    };

    return cmocka_run_group_tests_name("landmarks", tests, start, end);
}
