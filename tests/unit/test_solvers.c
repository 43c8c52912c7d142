/* SPDX-License-Identifier: MIT
 *
 * What every solver promises (solve/solver.h), for every operator that it takes, against elimination in long double; and
 * what operators promise (store/operator.h). A new solver is in all of these tests by its line of solvers.def.
 */
#include "context.h"
#include "finite/finite.h"
#include "solve/out_of_core.h"
#include "solve/solver.h"
#include "store/packed.h"

enum { N = 12, D = 5, M = N + 9, LARGE = 300 };

/* ---- arithmetic of its own */

/* x = A^-1 x for column-major x [m][n]: elimination with pivots. */
static void eliminate(int64_t n, const double *a, const double *ridge, int64_t m, double *x)
{
    const size_t width = (size_t)(n + m);
    long double *w = malloc((size_t)n * width * sizeof *w);

    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            w[(size_t)i * width + (size_t)j] = (long double)a[i * n + j] + (i == j ? (long double)ridge[i] : 0);
        for (int64_t c = 0; c < m; c++)
            w[(size_t)i * width + (size_t)(n + c)] = (long double)x[c * n + i];
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;

        for (int64_t i = k; i < n; i++)
            if (fabsl(w[(size_t)i * width + (size_t)k]) > fabsl(w[(size_t)best * width + (size_t)k]))
                best = i;
        for (size_t j = 0; j < width; j++) {
            const long double swapped = w[(size_t)k * width + j];

            w[(size_t)k * width + j] = w[(size_t)best * width + j];
            w[(size_t)best * width + j] = swapped;
        }
        for (int64_t i = 0; i < n; i++) {
            const long double f = w[(size_t)i * width + (size_t)k] / w[(size_t)k * width + (size_t)k];

            for (size_t j = (size_t)k; j < width && i != k; j++)
                w[(size_t)i * width + j] -= f * w[(size_t)k * width + j];
        }
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < m; c++)
            x[c * n + i] = (double)(w[(size_t)i * width + (size_t)(n + c)] / w[(size_t)i * width + (size_t)i]);
    free(w);
}

static double largest_of(int64_t n, const double *x)
{
    double largest = 0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i]));
    return largest;
}

/* The inverse, [n][n], and the condition number in the norm of rows. */
static double invert(int64_t n, const double *a, const double *ridge, double *inverse)
{
    double norm = 0, other = 0;

    memset(inverse, 0, (size_t)(n * n) * sizeof *inverse);
    for (int64_t i = 0; i < n; i++)
        inverse[i * n + i] = 1;
    eliminate(n, a, ridge, n, inverse);
    for (int64_t i = 0; i < n; i++) {
        double row = ridge[i], inverse_row = 0;

        for (int64_t j = 0; j < n; j++) {
            row += fabs(a[i * n + j]);
            inverse_row += fabs(inverse[i * n + j]);
        }
        norm = fmax(norm, row);
        other = fmax(other, inverse_row);
    }
    return norm * other;
}

static void fill_normal(int64_t n, uint64_t seed, double *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = test_normal(&seed);
}

/* Q diag(values) Q' with Q of reflections, [n][n]. */
static void with_spectrum(int64_t n, const double *values, double *a)
{
    long double *w = calloc((size_t)(n * n), sizeof *w);
    double *v = malloc((size_t)n * sizeof *v);

    for (int64_t i = 0; i < n; i++)
        w[i * n + i] = (long double)values[i];
    for (int reflection = 0; reflection < 3; reflection++) {
        long double square = 0;

        fill_normal(n, 90 + (uint64_t)reflection, v);
        for (int64_t i = 0; i < n; i++)
            square += (long double)v[i] * (long double)v[i];
        for (int side = 0; side < 2; side++)
            for (int64_t i = 0; i < n; i++) {
                const int64_t down = side ? 1 : n, first = side ? i * n : i;
                long double product = 0;

                for (int64_t j = 0; j < n; j++)
                    product += (long double)v[j] * w[first + j * down];
                for (int64_t j = 0; j < n; j++)
                    w[first + j * down] -= 2 * product / square * (long double)v[j];
            }
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            a[i * n + j] = a[j * n + i] = (double)w[i * n + j];
    free(w);
    free(v);
}

/* ---- operators, each with the matrix that it stands for */

struct fixture {
    const char *name;
    struct ntk_operator *o;
    size_t which;
    int64_t n;
    double *dense; /* [n][n] */
    int calls;     /* of the function of rows */
    ntk_data *x;
    double samples[N * D];
    ntk_kernel *kernel;
    ntk_params *params;
};

static const char net_text[] = "serial(Dense(8), Erf(), Dense(1))";

static void make_data(struct fixture *f)
{
    fill_normal(N * D, 3, f->samples);
    assert_ok(ctx, ntk_data_view(ctx, f->samples, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &f->x));
}

/* Between samples f->x as they are by then. */
static void make_kernel_of_data(struct fixture *f)
{
    double *nngp = malloc(sizeof(double[N * N]));
    ntk_net *net;

    f->n = N;
    f->dense = malloc(sizeof(double[N * N]));
    f->which = 1;
    assert_ok(ctx, ntk_net_parse(ctx, net_text, &net));
    assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *const[]){net}, 1, NTK_NNGP | NTK_NTK, NTK_F64,
                                  (ntk_shape){0, 1, 1, D}, &f->kernel));
    assert_ok(ctx, ntk_kernel_compute(f->kernel, f->x, NULL, (void *const[]){nngp, f->dense}));
    assert_ok(ctx, ntk_operator_of_kernel(f->kernel, f->x, &f->o));
    ntk_net_free(net);
    free(nngp);
}

static void make_kernel(struct fixture *f)
{
    make_data(f);
    make_kernel_of_data(f);
}

static void make_summed(struct fixture *f)
{
    make_data(f);
    assert_ok(ctx, ntk_data_set_image(f->x, (ntk_shape){1, 1, D, 1}));
    assert_ok(ctx, ntk_data_set_symmetry(f->x, NTK_FLIP));
    make_kernel_of_data(f);
}

static int rows_of_dense(int64_t i0, int64_t ni, void *k, void *user)
{
    struct fixture *f = user;

    f->calls++;
    for (int64_t i = 0; i < ni; i++)
        for (int64_t j = i0; j < f->n; j++)
            ((double *)k)[i * (f->n - i0) + j - i0] = f->dense[(i0 + i) * f->n + j];
    return 0;
}

/* Of f->dense. */
static void wrap_arrays(struct fixture *f)
{
    assert_ok(ctx, ntk_operator_of_arrays(ctx, f->n, 1, (const double *const[]){f->dense},
                                          (const char *const[]){"k"}, NTK_F64, &f->o));
    f->which = 0;
}

static void wrap_rows(struct fixture *f)
{
    assert_ok(ctx, ntk_operator_of_rows(ctx, f->n, NTK_F64, 5, rows_of_dense, f, &f->o));
    f->which = 0;
}

static void wrap_packed(struct fixture *f)
{
    struct ntk_operator *packed;
    struct ntk_taker taker;

    wrap_arrays(f);
    assert_ok(ctx, ntk_operator_of_packed(ctx, f->n, 1, NTK_F64, &packed));
    taker = ntk_packed_taker(packed, 0);
    assert_ok(ctx, ntk_operator_read(f->o, &taker, 0, "a test"));
    ntk_operator_free(f->o);
    f->o = packed;
}

/* The matrix of the kernel in another form. */
static void make_arrays(struct fixture *f)
{
    make_kernel(f);
    ntk_operator_free(f->o);
    wrap_arrays(f);
}

static void make_rows(struct fixture *f)
{
    make_kernel(f);
    ntk_operator_free(f->o);
    wrap_rows(f);
}

static void make_packed(struct fixture *f)
{
    make_kernel(f);
    ntk_operator_free(f->o);
    wrap_packed(f);
}

/* Two outputs a sample: [n][n][2][2] becomes [2 n][2 n]. */
static void make_network(struct fixture *f)
{
    enum { C = 2 };
    double *full = malloc(sizeof(double[N * N * C * C]));
    ntk_net *net;

    make_data(f);
    f->n = N * C;
    f->which = 0;
    f->dense = malloc(sizeof(double[N * C * N * C]));
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(16), Erf(), Dense(2))", &net));
    assert_ok(ctx, ntk_params_new(ctx, net, (ntk_shape){0, 1, 1, D}, NTK_F64, 4, &f->params));
    assert_ok(ctx, ntk_params_kernel(f->params, NTK_NTK, NTK_FULL, f->x, NULL, full));
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++)
            for (int64_t a = 0; a < C; a++)
                for (int64_t b = 0; b < C; b++)
                    f->dense[(i * C + a) * f->n + j * C + b] = full[((i * N + j) * C + a) * C + b];
    assert_ok(ctx, ntk_operator_of_params(f->params, f->x, &f->o));
    ntk_net_free(net);
    free(full);
}

static const struct {
    const char *name;
    void (*make)(struct fixture *f);
} operators[] = {{"kernel", make_kernel},
                 {"summed", make_summed},
                 {"arrays", make_arrays},
                 {"rows", make_rows},
                 {"packed", make_packed},
                 {"network", make_network}};
enum { OPERATORS = sizeof operators / sizeof *operators };

static struct fixture fixture_of(size_t k)
{
    return (struct fixture){.name = operators[k].name};
}

static void done(struct fixture *f)
{
    ntk_operator_free(f->o);
    ntk_kernel_free(f->kernel);
    ntk_params_free(f->params);
    ntk_data_free(f->x);
    free(f->dense);
}

/* Any matrix, in an array. */
static void of_dense(struct fixture *f, int64_t n, double *dense)
{
    *f = (struct fixture){.name = "arrays", .n = n, .dense = dense};
    wrap_arrays(f);
}

/* ---- solvers */

static struct ntk_solver *solver_of(const struct ntk_solver_class *class, struct fixture *f)
{
    struct ntk_solver *s;

    assert_ok(ctx, ntk_solver_new(ctx, class, f->o, f->which, 0, &s));
    return s;
}

static bool takes(const struct ntk_solver_class *class, const struct fixture *f)
{
    return (!class->put && !class->reads) || f->o->class->stream;
}

static void factor(struct ntk_solver *s, const double *ridge)
{
    char how[200];

    assert_ok(ctx, ntk_solver_factor(s, ridge, how, sizeof how));
    assert_string_equal(how, "");
}

static void constant(int64_t n, double value, double *ridge)
{
    for (int64_t i = 0; i < n; i++)
        ridge[i] = value;
}

/* Residuals of 1e-12 are what an iteration stops at; others are exact but for rounding. */
static double accuracy(const struct ntk_solver_class *class) { return class->put || class->reads ? 2e-15 : 2e-12; }

static void check_solutions(struct ntk_solver *s, const struct fixture *f, const double *ridge)
{
    const int64_t n = f->n, m = n + 9;
    double *x = malloc((size_t)(m * n) * sizeof *x), *want = malloc((size_t)(m * n) * sizeof *x);
    double *inverse = malloc((size_t)(n * n) * sizeof *inverse);
    const double condition = invert(n, f->dense, ridge, inverse);

    fill_normal(m * n, 17, x);
    memcpy(want, x, (size_t)(m * n) * sizeof *x);
    eliminate(n, f->dense, ridge, m, want);
    assert_ok(ctx, ntk_solver_solve(s, m, x));
    for (int64_t c = 0; c < m; c++)
        for (int64_t i = 0; i < n; i++)
            assert_near(x[c * n + i], want[c * n + i], accuracy(s->class) * condition, largest_of(n, want + c * n));
    free(x);
    free(want);
    free(inverse);
}

/* Log-determinant: pivots of elimination without exchanges, which positive definite matrices do not need. */
static double log_determinant(int64_t n, const double *a, const double *ridge)
{
    long double *w = malloc((size_t)(n * n) * sizeof *w), sum = 0;

    for (int64_t i = 0; i < n * n; i++)
        w[i] = (long double)a[i] + (i % (n + 1) == 0 ? (long double)ridge[i / n] : 0);
    for (int64_t k = 0; k < n; k++) {
        sum += logl(w[k * n + k]);
        for (int64_t i = k + 1; i < n; i++)
            for (int64_t j = k + 1; j < n; j++)
                w[i * n + j] -= w[i * n + k] * w[k * n + j] / w[k * n + k];
    }
    free(w);
    return (double)sum;
}

/* By powers, of a symmetric matrix [n][n]; it is far from the next. */
static double power(int64_t n, const double *a, const double *ridge)
{
    double *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y), norm = 0;

    fill_normal(n, 2, x);
    for (int step = 0; step < 4000; step++) {
        norm = 0;
        for (int64_t i = 0; i < n; i++) {
            y[i] = ridge ? ridge[i] * x[i] : 0;
            for (int64_t j = 0; j < n; j++)
                y[i] += a[i * n + j] * x[j];
            norm += y[i] * y[i];
        }
        norm = sqrt(norm);
        for (int64_t i = 0; i < n; i++)
            x[i] = y[i] / norm;
    }
    free(x);
    free(y);
    return norm;
}

static void check_half(struct ntk_solver *s, int64_t n, const double *inverse, double tolerance)
{
    double *x = malloc((size_t)(3 * n) * sizeof *x), *b = malloc((size_t)(3 * n) * sizeof *b);

    fill_normal(3 * n, 23, x);
    memcpy(b, x, (size_t)(3 * n) * sizeof *x);
    assert_ok(ctx, ntk_solver_half(s, 3, x));
    for (int64_t p = 0; p < 3; p++)
        for (int64_t q = 0; q < 3; q++) {
            double got = 0, want = 0, scale = 0;

            for (int64_t i = 0; i < n; i++) {
                got += x[p * n + i] * x[q * n + i];
                scale += x[p * n + i] * x[p * n + i];
                for (int64_t j = 0; j < n; j++)
                    want += b[p * n + i] * inverse[i * n + j] * b[q * n + j];
            }
            assert_near(got, want, tolerance, scale);
        }
    free(x);
    free(b);
}

static void check_eigen(struct ntk_solver *s, const struct fixture *f)
{
    const int64_t n = f->n;
    const struct ntk_eigen *e;

    assert_ok(ctx, ntk_solver_eigen(s, &e));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;

            for (int64_t k = 0; k < n; k++)
                sum += e->vectors[k * n + i] * e->values[k] * e->vectors[k * n + j];
            assert_near(sum, f->dense[i * n + j], 1e-14, e->values[n - 1]);
        }
    for (int64_t k = 1; k < n; k++)
        assert_true(e->values[k] >= e->values[k - 1]);
}

/* The faces that it has. */
static void check_faces(struct ntk_solver *s, const struct fixture *f, const double *ridge)
{
    const int64_t n = f->n;
    double *inverse = malloc((size_t)(n * n) * sizeof *inverse), *d = malloc((size_t)n * sizeof *d);
    const double tolerance = 1e-14 * invert(n, f->dense, ridge, inverse);
    double value, least, largest;

    if (s->class->half)
        check_half(s, n, inverse, tolerance);
    if (s->class->log_determinant && !s->class->estimates) { /* test_iterative.c */
        assert_ok(ctx, ntk_solver_log_determinant(s, &value));
        assert_near(value, log_determinant(n, f->dense, ridge), tolerance, 1);
    }
    if (s->class->inverse_diagonal) {
        assert_ok(ctx, ntk_solver_inverse_diagonal(s, d));
        for (int64_t i = 0; i < n; i++)
            assert_near(d[i], inverse[i * n + i], tolerance, 0);
    }
    assert_ok(ctx, ntk_solver_extremes(s, &least, &largest));
    assert_near(largest, power(n, f->dense, ridge), 1e-3, 0);
    assert_near(least, 1 / power(n, inverse, NULL), 1e-3, 0);
    if (s->class->eigen)
        check_eigen(s, f);
    free(inverse);
    free(d);
}

static void check_mean_diagonal(struct ntk_solver *s, const struct fixture *f)
{
    double mean, want = 0;

    for (int64_t i = 0; i < f->n; i++)
        want += f->dense[i * f->n + i] / (double)f->n;
    if (f->o->class->stream) {
        assert_ok(ctx, ntk_solver_mean_diagonal(s, &mean));
        assert_near(mean, want, 1e-14, 0);
    } else {
        assert_fails(ctx, NTK_ENOTSUP, f->o->class->name, ntk_solver_mean_diagonal(s, &mean));
    }
}

static void all_solve_what_operators_have(void **state)
{
    double ridge[2 * N];
    char how[200];

    (void)state;
    constant(2 * N, 0.05, ridge);
    for (size_t k = 0; k < OPERATORS; k++)
        for (size_t j = 0; j < ntk_n_solvers; j++) {
            struct fixture f = fixture_of(k);
            struct ntk_solver *s;

            operators[k].make(&f);
            s = solver_of(ntk_solvers[j], &f);
            if (takes(s->class, &f)) {
                assert_ok(ctx, ntk_solver_read(s, 0, "a test"));
                check_mean_diagonal(s, &f);
                factor(s, ridge);
                check_solutions(s, &f, ridge);
                check_faces(s, &f, ridge);
                check_mean_diagonal(s, &f);
            } else {
                assert_fails(ctx, NTK_ENOTSUP, f.o->class->name, ntk_solver_factor(s, ridge, how, sizeof how));
                assert_non_null(strstr(ntk_errmsg(ctx), "products are enough for: lanczos, cg"));
                assert_fails(ctx, NTK_EINVAL, "no factor", ntk_solver_solve(s, 1, ridge));
            }
            ntk_solver_free(s);
            done(&f);
        }
}

static void all_solve_for_one_sample(void **state)
{
    (void)state;
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        double k = 4, ridge = 1, x[3] = {5, -10, 0}, least, largest;
        struct fixture f;
        struct ntk_solver *s;

        of_dense(&f, 1, memcpy(malloc(sizeof k), &k, sizeof k));
        s = solver_of(ntk_solvers[j], &f);
        factor(s, &ridge);
        assert_ok(ctx, ntk_solver_solve(s, 3, x));
        assert_near(x[0], 1, 1e-15, 0);
        assert_near(x[1], -2, 1e-15, 0);
        assert_true(x[2] == 0);
        assert_ok(ctx, ntk_solver_extremes(s, &least, &largest));
        assert_near(least, 5, 1e-6, 0);
        assert_near(largest, 5, 1e-6, 0);
        ntk_solver_free(s);
        done(&f);
    }
}

/* ---- matrices that are singular, or nearly so */

/* Eigenvalues 1 ... 2, and the first `nulls` 0. */
static void make_singular(struct fixture *f, int nulls)
{
    double values[N];

    for (int i = 0; i < N; i++)
        values[i] = i < nulls ? 0 : 1 + i / (double)(N - 1);
    f->dense = malloc(sizeof(double[N * N]));
    with_spectrum(N, values, f->dense);
    of_dense(f, N, f->dense);
}

static void multiply(int64_t n, const double *a, const double *x, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < n; j++)
            out[i] += a[i * n + j] * x[j];
    }
}

/* b = K want, with want = K z in the range of K too: what is solved without null directions. */
static void in_range(const double *k, double *b, double *want)
{
    double z[N];

    fill_normal(N, 31, z);
    multiply(N, k, z, want);
    multiply(N, k, want, b);
}

static void singular_matrices(void **state)
{
    const double zero[N] = {0};
    char how[200];

    (void)state;
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        const char *name = ntk_solvers[j]->name;
        double b[N], want[N], x[N], value, least = 1, largest = 0;
        struct ntk_solver *s;
        struct fixture f = {0};

        make_singular(&f, 2);
        in_range(f.dense, b, want);
        s = solver_of(ntk_solvers[j], &f);
        assert_ok(ctx, ntk_solver_factor(s, zero, how, sizeof how));
        memcpy(x, b, sizeof x);
        if (strcmp(name, "cholesky") == 0 || strcmp(name, "out-of-core") == 0)
            assert_true(strstr(how, "is not positive") || strstr(how, "is a combination"));
        if ((!s->class->put && !s->class->reads) || s->class->eigen)
            assert_string_equal(how, "");
        if (*how) {
            assert_fails(ctx, NTK_EINVAL, "no factor", ntk_solver_solve(s, 1, x));
        } else {
            ntk_status status;

            /* what lies in the matrix's range is solved without null directions */
            assert_ok(ctx, ntk_solver_solve(s, 1, x));
            for (int i = 0; i < N; i++)
                assert_near(x[i], want[i], 1e-11, largest_of(N, want));
            assert_ok(ctx, ntk_solver_extremes(s, &least, &largest));
            assert_near(least, 0, 1e-6, largest);
            fill_normal(N, 32, x); /* and what has a part along null directions so, or not at all */
            status = ntk_solver_solve(s, 1, x);
            assert_true(status == NTK_ENUMERIC || (status == NTK_OK && largest_of(N, x) < 10));
        }
        fill_normal(N, 32, x);
        if (strcmp(name, "lanczos") == 0)
            assert_fails(ctx, NTK_ENUMERIC, "singular to rounding error", ntk_solver_solve(s, 1, x));
        if (strcmp(name, "eigen") == 0) {
            assert_ok(ctx, ntk_solver_solve(s, 1, x));
            assert_fails(ctx, NTK_ENUMERIC, "2 of its 12 eigenvalues", ntk_solver_log_determinant(s, &value));
            assert_fails(ctx, NTK_ENUMERIC, "2 of its 12 eigenvalues", ntk_solver_inverse_diagonal(s, x));
        }
        {
            double ridge[N];

            constant(N, 0.5, ridge); /* with which it is regular again */
            factor(s, ridge);
            check_solutions(s, &f, ridge);
        }
        ntk_solver_free(s);
        done(&f);
    }
}

/* Not even positive semidefinite: no error of rounding. */
static void indefinite_matrices(void **state)
{
    const double zero[2] = {0}, k[4] = {1, 2, 2, 1};
    char how[200];

    (void)state;
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        double x[2] = {1, 0.5};
        struct ntk_solver *s;
        struct fixture f;
        ntk_status status;

        of_dense(&f, 2, memcpy(malloc(sizeof k), k, sizeof k));
        s = solver_of(ntk_solvers[j], &f);
        status = ntk_solver_factor(s, zero, how, sizeof how);
        if (status == NTK_OK && !*how)
            status = ntk_solver_solve(s, 1, x);
        assert_true(status == NTK_ENUMERIC || *how);
        ntk_solver_free(s);
        done(&f);
    }
}

static void ill_conditioned_matrices(void **state)
{
    const double zero[40] = {0};

    (void)state;
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        enum { n = 40 };
        double values[n], x[n], b[n], error = 0;
        struct ntk_solver *s;
        struct fixture f;

        for (int i = 0; i < n; i++)
            values[i] = pow(10, -10.0 * i / (n - 1));
        f.dense = malloc(sizeof(double[n * n]));
        with_spectrum(n, values, f.dense);
        of_dense(&f, n, f.dense);
        s = solver_of(ntk_solvers[j], &f);
        factor(s, zero);
        fill_normal(n, 41, b);
        memcpy(x, b, sizeof x);
        eliminate(n, f.dense, zero, 1, b);
        assert_ok(ctx, ntk_solver_solve(s, 1, x));
        for (int i = 0; i < n; i++)
            error = fmax(error, fabs(x[i] - b[i]) / largest_of(n, b));
        assert_true(error <= 1e-15 * 1e10);
        ntk_solver_free(s);
        done(&f);
    }
}

static void note(int level, const char *text, void *user)
{
    if (level > 0)
        snprintf(user, 300, "%s", text);
}

/* Of more samples than Lanczos has steps, and eigenvalues that come close to 0 evenly: the least is not found, which is said,
 * and what is said is no less. */
static void a_least_eigenvalue_that_has_not_settled_is_said(void **state)
{
    enum { ORDER = 1100 };
    double *values = malloc(ORDER * sizeof *values), *dense = calloc(ORDER * ORDER, sizeof *dense), least, largest;
    const struct ntk_solver_class *lanczos;
    char said[300] = "", how[200];
    struct ntk_solver *s;
    struct fixture f;

    (void)state;
    for (int i = 0; i < ORDER; i++) {
        values[i] = 0;
        dense[i * ORDER + i] = pow(10, -12.0 * i / (ORDER - 1));
    }
    of_dense(&f, ORDER, dense);
    assert_ok(ctx, ntk_solver_find(ctx, "lanczos", &lanczos));
    s = solver_of(lanczos, &f);
    assert_ok(ctx, ntk_solver_factor(s, values, how, sizeof how));
    ntk_ctx_set_log(ctx, note, said);
    assert_ok(ctx, ntk_solver_extremes(s, &least, &largest));
    ntk_ctx_set_log(ctx, NULL, NULL);
    assert_non_null(strstr(said, "has not settled in 1000 steps"));
    assert_near(largest, 1, 1e-5, 0);
    assert_true(least > 1e-12 && least < 1e-6);
    ntk_solver_free(s);
    done(&f);
    free(values);
}

/* ---- ridges */

static void a_ridge_for_each_sample(void **state)
{
    double ridge[N], one[N];
    char how[200];

    (void)state;
    for (int i = 0; i < N; i++)
        ridge[i] = i % 3 == 0 ? 0 : 0.01 * (i + 1);
    constant(N, 0.3, one);
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        struct fixture f = fixture_of(1);
        struct ntk_solver *s;

        make_arrays(&f);
        s = solver_of(ntk_solvers[j], &f);
        if (s->class->eigen) {
            assert_fails(ctx, NTK_EINVAL, "one ridge for all samples", ntk_solver_factor(s, ridge, how, sizeof how));
            assert_fails(ctx, NTK_EINVAL, "no factor", ntk_solver_solve(s, 1, one));
        } else {
            factor(s, ridge);
            check_solutions(s, &f, ridge);
            check_faces(s, &f, ridge);
        }
        factor(s, one);
        check_solutions(s, &f, one);
        ntk_solver_free(s);
        done(&f);
    }
}

static void one_ridge_after_another(void **state)
{
    (void)state;
    for (size_t j = 0; j < ntk_n_solvers; j++)
        for (int kept = 0; kept < 2; kept++) {
            struct fixture f = fixture_of(2);
            struct ntk_operator *rows;
            struct ntk_solver *s;
            const int each = (N + 4) / 5; /* calls for the whole matrix, 5 rows at a time */
            double ridge[N];

            make_rows(&f);
            rows = f.o;
            if (kept) { /* the same matrix in memory: rows are asked for once */
                struct ntk_operator *packed;
                struct ntk_taker taker;

                assert_ok(ctx, ntk_operator_of_packed(ctx, f.n, 1, NTK_F64, &packed));
                taker = ntk_packed_taker(packed, 0);
                assert_ok(ctx, ntk_operator_read(rows, &taker, 0, "a test"));
                f.o = packed;
            }
            s = solver_of(ntk_solvers[j], &f);
            for (int k = 0; k < 3; k++) {
                constant(N, pow(10, k - 2), ridge);
                factor(s, ridge);
                if (s->class->put) /* a decomposition is for all ridges, a factor for one, unless the matrix is beside it */
                    assert_int_equal(f.calls, kept || s->there ? each : (k + 1) * each);
                check_solutions(s, &f, ridge);
                check_faces(s, &f, ridge);
            }
            if (kept)
                assert_int_equal(f.calls, each);
            ntk_solver_free(s);
            if (kept)
                ntk_operator_free(rows);
            done(&f);
        }
}

/* Eigenvectors before any factor, and a factor as it was in a file. */
static void factors_that_come_back(void **state)
{
    double ridge[N];

    (void)state;
    constant(N, 0.1, ridge);
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        struct fixture f = fixture_of(1);
        struct ntk_solver *s, *back;
        struct ntk_solver_part from, to;

        if (ntk_solvers[j]->put && !ntk_solvers[j]->part)
            continue; /* it is in no file */
        make_arrays(&f);
        s = solver_of(ntk_solvers[j], &f);
        if (s->class->eigen)
            check_eigen(s, &f);
        factor(s, ridge);
        back = solver_of(ntk_solvers[j], &f);
        for (size_t k = 0; s->class->part && s->class->part(s, k, &from); k++) {
            assert_true(back->class->part(back, k, &to));
            assert_string_equal(from.name, to.name);
            assert_int_equal(from.rows * from.columns, to.rows * to.columns);
            memcpy(to.x, from.x, (size_t)(to.rows * to.columns) * sizeof *to.x);
        }
        assert_ok(ctx, ntk_solver_restored(back, ridge));
        check_solutions(back, &f, ridge);
        check_faces(back, &f, ridge);
        constant(N, 0.2, ridge);
        factor(back, ridge);
        check_solutions(back, &f, ridge);
        constant(N, 0.1, ridge);
        ntk_solver_free(back);
        ntk_solver_free(s);
        done(&f);
    }
}

/* ---- faces that are missing, work that is cancelled, threads */

static void what_a_solver_lacks_is_named(void **state)
{
    double ridge[N], x[N] = {0}, value;

    (void)state;
    constant(N, 0.1, ridge);
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        const struct ntk_solver_class *c = ntk_solvers[j];
        const struct ntk_solver_class *found;
        const struct ntk_eigen *e;
        struct fixture f = fixture_of(1);
        struct ntk_solver *s;

        make_arrays(&f);
        s = solver_of(c, &f);
        factor(s, ridge);
        if (!c->half) {
            assert_fails(ctx, NTK_ENOTSUP, c->name, ntk_solver_half(s, 1, x));
            assert_non_null(strstr(ntk_errmsg(ctx), "these have: cholesky, eigen"));
        }
        if (!c->log_determinant)
            assert_fails(ctx, NTK_ENOTSUP, c->name, ntk_solver_log_determinant(s, &value));
        if (!c->inverse_diagonal)
            assert_fails(ctx, NTK_ENOTSUP, c->name, ntk_solver_inverse_diagonal(s, x));
        if (!c->eigen)
            assert_fails(ctx, NTK_ENOTSUP, c->name, ntk_solver_eigen(s, &e));
        assert_true(c->bytes(N) > 0 && c->peak(N) >= c->bytes(N));
        assert_non_null(strstr(ntk_solver_names(), c->name)); /* solvers.def has the name of the class */
        assert_ok(ctx, ntk_solver_find(ctx, c->name, &found));
        assert_ptr_equal(found, c);
        ntk_solver_free(s);
        done(&f);
    }
    {
        const struct ntk_solver_class *found;

        assert_fails(ctx, NTK_EINVAL, ntk_solver_names(), ntk_solver_find(ctx, "gauss", &found));
    }
}

struct patience {
    int calls, most;
};

static int cancels(const char *what, double finished, double total, void *user)
{
    struct patience *p = user;

    (void)what, (void)finished, (void)total;
    return p->calls++ >= p->most;
}

static ntk_status work(struct ntk_solver *s, double *x)
{
    double ridge[N], least, largest;
    char how[200];
    ntk_status status;

    constant(N, 0.1, ridge);
    status = ntk_solver_factor(s, ridge, how, sizeof how);
    if (status == NTK_OK)
        status = ntk_solver_solve(s, 1, x);
    if (status == NTK_OK)
        status = ntk_solver_extremes(s, &least, &largest);
    if (status == NTK_OK && s->class->inverse_diagonal)
        status = ntk_solver_inverse_diagonal(s, x);
    return status;
}

/* Cancelled at each question in turn, and then done. The number of questions. */
static int cancel_each(const struct ntk_solver_class *class, struct fixture *f)
{
    ntk_status status = NTK_ECANCEL;
    double ridge[N], x[N];
    int most = 0;

    for (; status != NTK_OK; most++) {
        struct patience p = {.most = most};
        struct ntk_solver *s = solver_of(class, f);

        fill_normal(N, 5, x);
        ntk_ctx_set_progress(ctx, cancels, &p);
        status = work(s, x);
        ntk_ctx_set_progress(ctx, NULL, NULL);
        assert_true(status == NTK_OK || status == NTK_ECANCEL);
        constant(N, 0.2, ridge);
        factor(s, ridge);
        check_solutions(s, f, ridge);
        check_faces(s, f, ridge);
        ntk_solver_free(s);
        assert_true(most < 5000);
    }
    return most - 1;
}

static void cancelled_work_can_be_done_again(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) /* a kernel, an array */
        for (size_t j = 0; j < ntk_n_solvers; j++) {
            struct fixture f = fixture_of(k);

            operators[k].make(&f);
            assert_true(cancel_each(ntk_solvers[j], &f) > 0); /* it is asked at all */
            done(&f);
        }
}

static void solve_in_threads(const struct ntk_solver_class *class, int threads, double *dense, double *out)
{
    double *ridge = malloc(sizeof(double[LARGE]));
    struct ntk_solver *s;
    struct fixture f;
    struct ntk_blas blas;

    assert_ok(ctx, ntk_ctx_set_threads(ctx, threads));
    blas = ntk_blas_begin(threads);
    of_dense(&f, LARGE, dense);
    s = solver_of(class, &f);
    constant(LARGE, 0.01, ridge);
    factor(s, ridge);
    fill_normal(3 * LARGE, 8, out);
    assert_ok(ctx, ntk_solver_solve(s, 3, out));
    ntk_solver_free(s);
    ntk_operator_free(f.o);
    ntk_blas_end(blas);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    free(ridge);
}

/* To the bit where sums are ours; BLAS's factorisations follow the number of threads, by rounding errors. */
static void threads_change_nothing(void **state)
{
    double *values = malloc(sizeof(double[LARGE])), *dense = malloc(sizeof(double[LARGE * LARGE]));
    double *one = malloc(sizeof(double[3 * LARGE])), *two = malloc(sizeof(double[3 * LARGE]));

    (void)state;
    for (int i = 0; i < LARGE; i++)
        values[i] = 1.0 / (1 + i);
    with_spectrum(LARGE, values, dense);
    for (size_t j = 0; j < ntk_n_solvers; j++) {
        solve_in_threads(ntk_solvers[j], 1, dense, one);
        solve_in_threads(ntk_solvers[j], 2, dense, two);
        if (!ntk_solvers[j]->put)
            assert_memory_equal(one, two, sizeof(double[3 * LARGE]));
        for (int i = 0; i < 3 * LARGE; i++)
            assert_near(one[i], two[i], 1e-14 * 100, largest_of(3 * LARGE, two));
    }
    free(values);
    free(dense);
    free(one);
    free(two);
}

/* ---- operators */

/* What came of part of a matrix. */
struct part {
    struct ntk_operator *o;
    size_t which;
    double *k; /* [n][n], NAN: did not come */
};

static int put_part(const ntk_block *b, void *user)
{
    const struct part *p = user;

    for (int64_t i = 0; b->output == p->which && i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++)
            p->k[(b->i0 + i) * p->o->n + b->j0 + j] = ntk_number(b->k, p->o->dtype, (size_t)(i * b->ld + j));
    return 0;
}

static void check_part(const struct fixture *f, int64_t i0, int64_t ni)
{
    const int64_t n = f->n;
    double *k = malloc((size_t)(n * n) * sizeof *k);
    struct part p = {f->o, f->which, k};
    const struct ntk_reading r = {.i0 = i0, .ni = ni, .what = "a test", .sink = put_part, .user = &p};

    for (int64_t i = 0; i < n * n; i++)
        k[i] = (double)NAN;
    assert_ok(ctx, f->o->class->stream(f->o, &r));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double got = k[i * n + j];

            if (i < i0 || i >= i0 + ni) {
                assert_true(isnan(got)); /* not asked for */
            } else if (j >= i || !isnan(got)) {
                assert_near(got, f->dense[i * n + j], 1e-14, 1);
            }
        }
    free(k);
}

static void parts_of_a_matrix_are_where_they_belong(void **state)
{
    (void)state;
    for (size_t k = 0; k < OPERATORS; k++) {
        struct fixture f = fixture_of(k);

        operators[k].make(&f);
        if (f.o->class->stream) {
            check_part(&f, 0, N);
            if (strcmp(f.name, "rows") != 0) { /* from the first on only */
                check_part(&f, 0, 5);
                check_part(&f, 3, 4);
                check_part(&f, 7, N - 7);
                check_part(&f, N - 1, 1);
            }
        }
        done(&f);
    }
}

static int stop(const ntk_block *b, void *user)
{
    (void)b, (void)user;
    return 1;
}

static void a_reader_can_stop(void **state)
{
    (void)state;
    for (size_t k = 0; k < OPERATORS; k++) {
        struct fixture f = fixture_of(k);

        operators[k].make(&f);
        if (f.o->class->stream)
            assert_fails(ctx, NTK_ECANCEL, "cancelled by the re",
                         f.o->class->stream(f.o, &(struct ntk_reading){.ni = f.n, .what = "a test", .sink = stop}));
        done(&f);
    }
}

static void products_are_those_of_the_matrix(void **state)
{
    (void)state;
    for (size_t k = 0; k < OPERATORS; k++) {
        double x[3 * 2 * N], out[3 * 2 * N], want[3 * 2 * N], d[2 * N];
        struct fixture f = fixture_of(k);

        operators[k].make(&f);
        fill_normal(3 * f.n, 12, x);
        constant(3 * f.n, (double)NAN, out); /* whatever was there */
        assert_ok(ctx, ntk_operator_apply(f.o, f.which, 3, x, out));
        for (int c = 0; c < 3; c++)
            multiply(f.n, f.dense, x + c * f.n, want + c * f.n);
        for (int64_t i = 0; i < 3 * f.n; i++)
            assert_near(out[i], want[i], 1e-13, 1);
        if (f.o->class->stream) {
            assert_ok(ctx, ntk_operator_diagonal(f.o, f.which, d));
            for (int64_t i = 0; i < f.n; i++)
                assert_near(d[i], f.dense[i * f.n + i], 1e-14, 0);
        }
        done(&f);
    }
}

/* Of an order that takes several strips of rows, and entries of both types. */
static int rows_of_min(int64_t i0, int64_t ni, void *k, void *user)
{
    const int64_t n = *(const int64_t *)user;

    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = i0; j < n; j++)
            ((float *)k)[(i - i0) * (n - i0) + j - i0] = (float)(1 + (i < j ? i : j));
    return 0;
}

/* min(i, j) + 1 has the product with 1: sum over j. */
static void products_in_strips(void **state)
{
    int64_t n = 4000;
    double *x = malloc((size_t)n * sizeof *x), *out = malloc((size_t)n * sizeof *out);
    double *again = malloc((size_t)n * sizeof *out);
    struct ntk_operator *rows, *packed, *o;
    double *square = malloc((size_t)(n * n) * sizeof *square);
    struct ntk_square to = {n, square};
    struct ntk_taker taker = {ntk_square_put, &to};

    (void)state;
    assert_ok(ctx, ntk_operator_of_rows(ctx, n, NTK_F32, 300, rows_of_min, &n, &rows));
    assert_ok(ctx, ntk_operator_read(rows, &taker, 0, "a test"));
    assert_int_equal(rows->precision, NTK_F32);
    for (int64_t i = 0; i < n; i += 37)
        for (int64_t j = 0; j < n; j++)
            assert_true(square[i * n + j] == (double)(1 + (i < j ? i : j)));
    assert_ok(ctx, ntk_operator_of_arrays(ctx, n, 1, (const double *const[]){square}, (const char *const[]){"k"},
                                          NTK_F64, &o));
    assert_ok(ctx, ntk_operator_of_packed(ctx, n, 1, NTK_F64, &packed));
    taker = ntk_packed_taker(packed, 0);
    assert_ok(ctx, ntk_operator_read(o, &taker, 0, "a test"));
    constant(n, 1, x);
    for (int k = 0; k < 3; k++) {
        assert_ok(ctx, ntk_operator_apply(k == 0 ? rows : k == 1 ? o : packed, 0, 1, x, out));
        for (int64_t i = 0; i < n; i++) /* small integers: exact in any order */
            assert_true(out[i] == (double)((i + 1) * (i + 2) / 2 + (n - i - 1) * (i + 1)));
    }
    /* by entries, as an operator without products of its own */
    {
        struct ntk_operator_class by_entries = *o->class;
        const struct ntk_operator_class *before = o->class;

        by_entries.apply = NULL;
        o->class = &by_entries;
        fill_normal(n, 9, x);
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
        assert_ok(ctx, ntk_operator_apply(o, 0, 1, x, out));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 2));
        assert_ok(ctx, ntk_operator_apply(o, 0, 1, x, again));
        assert_memory_equal(out, again, (size_t)n * sizeof *out);
        o->class = before;
        assert_ok(ctx, ntk_operator_apply(o, 0, 1, x, again));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
        for (int64_t i = 0; i < n; i++)
            assert_near(again[i], out[i], 1e-13, 1e6);
    }
    ntk_operator_free(rows);
    ntk_operator_free(packed);
    ntk_operator_free(o);
    free(square);
    free(x);
    free(out);
    free(again);
}

static void given_matrices_are_checked(void **state)
{
    double good[9] = {4, 1, 2, 1, 5, 3, 2, 3, 6}, bad[9];
    const double *k[2] = {good, bad};
    const char *const names[] = {"k_train", "nngp"};
    struct ntk_operator *o;

    (void)state;
    memcpy(bad, good, sizeof bad);
    bad[7] += 1e-11; /* 1.7e-12 of the largest entry */
    assert_fails(ctx, NTK_EINVAL, "nngp", ntk_operator_of_arrays(ctx, 3, 2, k, names, NTK_F64, &o));
    assert_non_null(strstr(ntk_errmsg(ctx), "symmetric"));
    assert_non_null(strstr(ntk_errmsg(ctx), "[2][1]"));
    bad[7] = good[7] + 1e-12; /* 1.7e-13 */
    assert_ok(ctx, ntk_operator_of_arrays(ctx, 3, 2, k, names, NTK_F64, &o));
    ntk_operator_free(o);
    bad[7] = (double)NAN;
    assert_fails(ctx, NTK_EINVAL, "entry [2][1] of nngp is nan",
                 ntk_operator_of_arrays(ctx, 3, 2, k, names, NTK_F64, &o));
    bad[7] = good[7];
    bad[0] = (double)-INFINITY;
    assert_fails(ctx, NTK_EINVAL, "entry [0][0] of nngp is -inf",
                 ntk_operator_of_arrays(ctx, 3, 2, k, names, NTK_F64, &o));
}

static int rows_with_nan(int64_t i0, int64_t ni, void *k, void *user)
{
    (void)user;
    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = i0; j < 6; j++)
            ((double *)k)[(i - i0) * (6 - i0) + j - i0] = i == 2 && j == 5 ? (double)NAN : i == j;
    return 0;
}

static int rows_that_end(int64_t i0, int64_t ni, void *k, void *user)
{
    (void)user;
    return i0 > 0 ? 1 : rows_with_nan(i0, ni, k, user);
}

static void rows_are_checked(void **state)
{
    double x[6] = {1}, out[6];
    struct ntk_operator *o;

    (void)state;
    assert_ok(ctx, ntk_operator_of_rows(ctx, 6, NTK_F64, 4, rows_with_nan, NULL, &o));
    assert_fails(ctx, NTK_EINVAL, "entry [2][5] is nan", ntk_operator_diagonal(o, 0, x));
    assert_fails(ctx, NTK_EINVAL, "entry [2][5] is nan", ntk_operator_apply(o, 0, 1, x, out));
    assert_fails(ctx, NTK_ENOTSUP, "as a whole only",
                 o->class->stream(o, &(struct ntk_reading){.i0 = 1, .ni = 5, .what = "a test", .sink = stop}));
    ntk_operator_free(o);
    assert_ok(ctx, ntk_operator_of_rows(ctx, 6, NTK_F64, 2, rows_that_end, NULL, &o));
    assert_fails(ctx, NTK_ECANCEL, "source of the kernel's rows", ntk_operator_apply(o, 0, 1, x, out));
    ntk_operator_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_solve_what_operators_have),
        cmocka_unit_test(all_solve_for_one_sample),
        cmocka_unit_test(singular_matrices),
        cmocka_unit_test(indefinite_matrices),
        cmocka_unit_test(ill_conditioned_matrices),
        cmocka_unit_test(a_least_eigenvalue_that_has_not_settled_is_said),
        cmocka_unit_test(a_ridge_for_each_sample),
        cmocka_unit_test(one_ridge_after_another),
        cmocka_unit_test(factors_that_come_back),
        cmocka_unit_test(what_a_solver_lacks_is_named),
        cmocka_unit_test(cancelled_work_can_be_done_again),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(parts_of_a_matrix_are_where_they_belong),
        cmocka_unit_test(a_reader_can_stop),
        cmocka_unit_test(products_are_those_of_the_matrix),
        cmocka_unit_test(products_in_strips),
        cmocka_unit_test(given_matrices_are_checked),
        cmocka_unit_test(rows_are_checked),
    };

    ntk_out_of_core_most = 1; /* narrow panels, whose file is read */
    return cmocka_run_group_tests(tests, setup, teardown);
}
