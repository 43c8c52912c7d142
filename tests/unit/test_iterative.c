/* SPDX-License-Identifier: MIT
 *
 * Solvers that iterate, 'mixed' and 'cg', on kernels: against Cholesky in float64, in each kind of memory; and what they are
 * made of: strips, products by entries, the preconditioner, each against its definition. That they are solvers at all,
 * test_solvers says.
 */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "context.h"
#include "simd/simd.h"
#include "solve/pivoted.h"
#include "solve/solver.h"
#include "store/strips.h"

enum { N = 600, D = 10, C = 3 };

static void fill_normal(int64_t n, uint64_t seed, double *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = test_normal(&seed);
}

static double length(int64_t n, const double *x)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* ---- strips */

enum { MOST = 700 };

static double matrix[MOST][MOST];

static double entry(int64_t i, int64_t j) { return matrix[i][j]; }

static void make_matrix(void)
{
    for (int64_t i = 0; i < MOST; i++)
        for (int64_t j = 0; j <= i; j++)
            matrix[i][j] = matrix[j][i] = cos(0.7 * (double)j + 0.3 * (double)i) + (i == j ? 3 : 0);
}

/* By blocks of 100 rows and 130 columns, those on the diagonal whole. */
static void fill_strips(struct ntk_strips *s)
{
    enum { NI = 100, NJ = 130 };
    double k[NI * NJ];

    for (int64_t i0 = 0; i0 < s->n; i0 += NI)
        for (int64_t j0 = i0; j0 < s->n; j0 += j0 == i0 ? NI : NJ) {
            const int64_t rows = s->n - i0 < NI ? s->n - i0 : NI, width = j0 == i0 ? NI : NJ;
            const ntk_block b = {.i0 = i0, .ni = rows, .j0 = j0, .nj = s->n - j0 < width ? s->n - j0 : width, .k = k,
                                 .ld = NJ};

            for (int64_t i = 0; i < b.ni; i++)
                for (int64_t j = 0; j < b.nj; j++)
                    k[i * NJ + j] = entry(i0 + i, j0 + j);
            ntk_strips_put(s, &b, NTK_F64);
        }
}

static void check_strips(int64_t n, int64_t m, enum ntk_entries entries)
{
    /* of entries, those of the diagonal up to 4 */
    const double tolerance = entries == NTK_ENTRIES_FIXED ? 4 * 0.5 / NTK_FIXED_ONE : entries == NTK_ENTRIES_F32 ? 1e-6 : 0;
    double diagonal[MOST] = {0};
    double *x = malloc((size_t)(m * n) * sizeof *x), *out = malloc((size_t)(m * n) * sizeof *out);
    double *again = malloc((size_t)(m * n) * sizeof *again), *row = malloc((size_t)n * sizeof *row);
    struct ntk_strips s;

    for (int64_t i = 0; i < n; i++)
        diagonal[i] = entry(i, i);
    assert_ok(ctx, ntk_strips_new(ctx, n, entries, entries == NTK_ENTRIES_FIXED ? diagonal : NULL, &s));
    fill_strips(&s);
    assert_false(s.beyond);
    fill_normal(m * n, 5, x);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
    assert_ok(ctx, ntk_strips_multiply(ctx, &s, m, x, out));
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
    assert_ok(ctx, ntk_strips_multiply(ctx, &s, m, x, again));
    assert_memory_equal(out, again, (size_t)(m * n) * sizeof *out);
    assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
    for (int64_t i = 0; i < n; i++) {
        ntk_strips_row(&s, i, row);
        for (int64_t j = 0; j < n; j++)
            if (!(fabs(row[j] - entry(i, j)) <= tolerance))
                fail_msg("K[%d][%d] = %.17g, wanted %.17g", (int)i, (int)j, row[j], entry(i, j));
        for (int64_t c = 0; c < m; c++) {
            double want = 0;

            for (int64_t j = 0; j < n; j++)
                want += row[j] * x[c * n + j];
            assert_near(out[c * n + i], want, 1e-13, sqrt((double)n));
        }
    }
    ntk_strips_free(&s);
    free(x);
    free(out);
    free(again);
    free(row);
}

static void strips_are_the_matrix(void **state)
{
    static const int64_t orders[] = {1, 3, 255, 256, 257, MOST};
    char names[64], *rest = names;

    (void)state;
    make_matrix();
    snprintf(names, sizeof names, "%s", ntk_isa_available());
    for (const char *isa = strtok_r(names, ", ", &rest); isa; isa = strtok_r(NULL, ", ", &rest)) {
        assert_ok(ctx, ntk_ctx_set_isa(ctx, isa));
        for (size_t k = 0; k < sizeof orders / sizeof *orders; k++)
            for (int64_t m = 1; m < 15; m += k > 1 ? 3 : 1) {
                check_strips(orders[k], m, NTK_ENTRIES_F64);
                check_strips(orders[k], m, NTK_ENTRIES_F32);
                check_strips(orders[k], m, NTK_ENTRIES_FIXED);
            }
    }
    assert_ok(ctx, ntk_ctx_set_isa(ctx, NULL));
}

/* ---- kernels */

struct fixture {
    ntk_kernel *kernel;
    ntk_data *x;
    double *samples, *dense; /* [N][D], [N][N] of the NTK */
    struct ntk_operator *o;
    size_t which;
};

/* near: the second half are the first, but for so much. */
static void make(struct fixture *f, ntk_dtype dtype, double near)
{
    float *narrow = malloc(sizeof(float[2 * N * N]));
    double *nngp = malloc(sizeof(double[N * N]));
    ntk_net *net;

    f->samples = malloc(sizeof(double[N * D]));
    f->dense = malloc(sizeof(double[N * N]));
    fill_normal(N * D, 3, f->samples);
    for (int i = N / 2 * D; i < N * D && near > 0; i++)
        f->samples[i] = f->samples[i - N / 2 * D] + near * f->samples[i];
    assert_ok(ctx, ntk_data_view(ctx, f->samples, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &f->x));
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=3)", &net));
    assert_ok(ctx, ntk_kernel_new(ctx, (const ntk_net *const[]){net}, 1, NTK_NNGP | NTK_NTK, dtype,
                                  (ntk_shape){0, 1, 1, D}, &f->kernel));
    if (dtype == NTK_F64) {
        assert_ok(ctx, ntk_kernel_compute(f->kernel, f->x, NULL, (void *const[]){nngp, f->dense}));
    } else {
        assert_ok(ctx, ntk_kernel_compute(f->kernel, f->x, NULL, (void *const[]){narrow, narrow + N * N}));
        for (int i = 0; i < N * N; i++)
            f->dense[i] = (double)narrow[N * N + i];
    }
    assert_ok(ctx, ntk_operator_of_kernel(f->kernel, f->x, &f->o));
    f->which = 1;
    ntk_net_free(net);
    free(nngp);
    free(narrow);
}

static void done(struct fixture *f)
{
    ntk_operator_free(f->o);
    ntk_kernel_free(f->kernel);
    ntk_data_free(f->x);
    free(f->samples);
    free(f->dense);
}

/* The same matrix from a function of rows, as a store's: it has no products of its own, and needs no memory. */
static int rows_of(int64_t i0, int64_t ni, void *k, void *user)
{
    const struct fixture *f = user;

    for (int64_t i = 0; i < ni; i++)
        memcpy((double *)k + i * (N - i0), f->dense + (i0 + i) * N + i0, (size_t)(N - i0) * sizeof(double));
    return 0;
}

static struct ntk_operator_class by_entries;

static void by_rows(struct fixture *f)
{
    ntk_operator_free(f->o);
    assert_ok(ctx, ntk_operator_of_rows(ctx, N, NTK_F64, 20, rows_of, f, &f->o));
    by_entries = *f->o->class;
    by_entries.apply = NULL;
    f->o->class = &by_entries;
    f->which = 0;
}

static void products_by_entries(void **state)
{
    static const int64_t which[] = {599, 0, 17, 300};
    double *x = malloc(sizeof(double[C * N])), *out = malloc(sizeof(double[C * N])), *again = malloc(sizeof(double[C * N]));
    double *rows = malloc(sizeof(double[4 * N]));

    (void)state;
    for (int single = 0; single < 2; single++) {
        struct fixture f;

        make(&f, single ? NTK_F32 : NTK_F64, 0);
        fill_normal(C * N, 6, x);
        memset(x + N, 0, sizeof(double[N]));
        for (int i = 0; i < N; i++)
            x[2 * N + i] *= 1e200; /* each vector has its own scale */
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
        assert_ok(ctx, ntk_operator_apply(f.o, 1, C, x, out));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
        assert_ok(ctx, ntk_operator_apply(f.o, 1, C, x, again));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
        assert_memory_equal(out, again, sizeof(double[C * N]));
        for (int c = 0; c < C; c++)
            for (int i = 0; i < N; i++) {
                double want = 0;

                for (int j = 0; j < N; j++)
                    want += f.dense[i * N + j] * x[c * N + j];
                assert_near(out[c * N + i], want, 1e-13, length(N, x + c * N) * f.dense[0]);
            }
        assert_ok(ctx, ntk_operator_rows(f.o, 1, 4, which, rows));
        for (int c = 0; c < 4; c++)
            for (int j = 0; j < N; j++)
                assert_near(rows[c * N + j], f.dense[which[c] * N + j], single ? 1e-6 : 1e-14, 1);
        done(&f);
    }
    free(x);
    free(out);
    free(again);
    free(rows);
}

static int rows_of_indefinite(int64_t i0, int64_t ni, void *k, void *user)
{
    (void)user;
    for (int64_t i = i0; i < i0 + ni; i++)
        for (int64_t j = i0; j < 4; j++)
            ((double *)k)[(i - i0) * (4 - i0) + j - i0] = i == j ? 1 : 7;
    return 0;
}

/* Sums that do not fit are no result. */
static void entries_beyond_the_diagonal_are_refused(void **state)
{
    double x[4] = {1, 0, 0, 0}, out[4], rows[8];
    const int64_t which[] = {3, 1};
    struct ntk_operator *o;

    (void)state;
    assert_ok(ctx, ntk_operator_of_rows(ctx, 4, NTK_F64, 4, rows_of_indefinite, NULL, &o));
    by_entries = *o->class;
    by_entries.apply = NULL;
    o->class = &by_entries;
    assert_fails(ctx, NTK_ENUMERIC, "not positive semidefinite", ntk_operator_apply(o, 0, 1, x, out));
    assert_ok(ctx, ntk_operator_rows(o, 0, 2, which, rows)); /* by one reading */
    for (int c = 0; c < 2; c++)
        for (int j = 0; j < 4; j++)
            assert_true(rows[c * 4 + j] == (which[c] == j ? 1 : 7));
    ntk_operator_free(o);
}

/* ---- the preconditioner */

static ntk_status rows_of_dense(void *user, int64_t count, const int64_t *which, double *rows)
{
    const struct fixture *f = user;

    for (int64_t c = 0; c < count; c++)
        memcpy(rows + c * N, f->dense + which[c] * N, sizeof(double[N]));
    return NTK_OK;
}

static void the_preconditioner_is_what_it_says(void **state)
{
    double d[N], ridge[N], r[2 * N], z[2 * N], trace = 0, left = 0, other = 0;
    struct fixture f;
    struct ntk_pivoted p;

    (void)state;
    make(&f, NTK_F64, 0);
    for (int i = 0; i < N; i++) {
        d[i] = f.dense[i * (N + 1)];
        ridge[i] = 0.01 * (1 + i % 3);
        trace += d[i];
    }
    assert_ok(ctx, ntk_pivoted_new(ctx, N, 100, d, rows_of_dense, &f, &p));
    assert_int_equal(p.rank, 100);
    for (int i = 0; i < N; i++) { /* what is left of the diagonal is not negative, and its mean is mu */
        double mine = d[i];

        for (int k = 0; k < 100; k++)
            mine -= (double)p.f[k * N + i] * (double)p.f[k * N + i];
        assert_true(mine > -1e-5 * d[i]);
        left += mine;
    }
    assert_near(p.mu, left / N, 1e-4, 0);
    assert_true(left < 0.6 * trace); /* pivots without structure leave more: those of the first 100 samples */
    assert_ok(ctx, ntk_pivoted_ridge(&p, ridge));
    fill_normal(2 * N, 9, r);
    assert_ok(ctx, ntk_pivoted_solve(&p, 2, r, z));
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < N; i++) {
            double sum = (ridge[i] + p.mu) * z[c * N + i];

            for (int k = 0; k < 100; k++) {
                double dot = 0;

                for (int j = 0; j < N; j++)
                    dot += (double)p.f[k * N + j] * z[c * N + j];
                sum += (double)p.f[k * N + i] * dot;
            }
            other = fmax(other, fabs(sum - r[c * N + i]));
        }
    assert_true(other < 1e-10);
    ntk_pivoted_free(&p);
    assert_ok(ctx, ntk_pivoted_new(ctx, N, N, d, rows_of_dense, &f, &p)); /* all of K, to F's rounding */
    assert_true(p.mu < 1e-5 * trace / N);
    ntk_pivoted_free(&p);
    done(&f);
}

/* ---- solutions */

static char said[2000];

static void note(int level, const char *text, void *user)
{
    (void)level, (void)user;
    strncat(said, text, sizeof said - strlen(said) - 1);
    strncat(said, "\n", sizeof said - strlen(said) - 1);
}

static void listen(void)
{
    said[0] = '\0';
    ntk_ctx_set_log(ctx, note, NULL);
}

static const struct ntk_solver_class *class_of(const char *name)
{
    const struct ntk_solver_class *class;

    assert_ok(ctx, ntk_solver_find(ctx, name, &class));
    return class;
}

/* x of C right-hand sides; how many bytes are allowed, 0: any. */
static struct ntk_solver *solve_with(const char *name, struct fixture *f, double ridge, double tolerance, size_t memory,
                                     double *x)
{
    double *r = malloc(sizeof(double[N]));
    struct ntk_solver *s;
    char how[200];

    for (int i = 0; i < N; i++)
        r[i] = ridge;
    ntk_ctx_set_memory(ctx, memory);
    assert_ok(ctx, ntk_solver_new(ctx, class_of(name), f->o, f->which, 0, &s));
    s->tolerance = tolerance;
    s->again = true;
    assert_ok(ctx, ntk_solver_factor(s, r, how, sizeof how));
    assert_string_equal(how, "");
    fill_normal(C * N, 8, x);
    assert_ok(ctx, ntk_solver_solve(s, C, x));
    ntk_ctx_set_memory(ctx, 0);
    free(r);
    return s;
}

static double difference(const double *a, const double *b)
{
    double worst = 0;

    for (int c = 0; c < C; c++)
        for (int i = 0; i < N; i++)
            worst = fmax(worst, fabs(a[c * N + i] - b[c * N + i]) / length(N, b + c * N));
    return worst;
}

static void compare(ntk_dtype dtype, double near, double ridge, double cg, double mixed)
{
    double *want = malloc(sizeof(double[C * N])), *got = malloc(sizeof(double[C * N]));
    struct fixture f;

    make(&f, dtype, near);
    ntk_solver_free(solve_with("cholesky", &f, ridge, 0, 0, want));
    ntk_solver_free(solve_with("cg", &f, ridge, 1e-8, 0, got));
    assert_true(difference(got, want) < cg);
    ntk_solver_free(solve_with("mixed", &f, ridge, 0, 0, got));
    assert_true(difference(got, want) < mixed);
    done(&f);
    free(want);
    free(got);
}

static void solutions_are_those_of_cholesky(void **state)
{
    (void)state;
    compare(NTK_F64, 0, 1e-2, 1e-6, 1e-11);
    compare(NTK_F64, 0, 1e-6, 1e-6, 1e-11);
    compare(NTK_F64, 0, 1e2, 1e-7, 1e-12);
    compare(NTK_F32, 0, 1e-3, 1e-6, 1e-11);
    compare(NTK_F64, 1e-4, 1e-2, 1e-6, 1e-10); /* near duplicates */
    compare(NTK_F64, 1e-5, 1e-6, 1e-2, 1e-6);  /* of which what lies between them decides: the condition is 1e9 */
}

/* Each memory holds less: K in float64, in float32, in 16 bits, none of it. */
static void memory_decides_where_products_come_from(void **state)
{
    const struct {
        const char *solver, *text;
        double matrices, tolerance; /* bytes beside class->peak, in halves of a float64 matrix */
    } cases[] = {{"cg", "cg: ", 3, 1e-9},
                 {"cg", "in float32: its entries have 7 digits", 1.0, 1e-4},
                 {"cg", "in 16 bits: its entries are off by at most ", 0.75, 1e-2},
                 {"cg", "memory does not hold the kernel matrix", 0.2, 1e-9},
                 {"mixed", "steps of refinement", 3, 1e-12},
                 {"mixed", "steps of refinement", 0.6, 1e-12}};
    double *want = malloc(sizeof(double[C * N])), *got = malloc(sizeof(double[C * N]));
    struct fixture f;

    (void)state;
    make(&f, NTK_F64, 0);
    by_rows(&f);
    ntk_solver_free(solve_with("cholesky", &f, 0.1, 0, 0, want));
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const double packed = N * (N + 1.0) / 2 * sizeof(double);
        const double peak = (double)class_of(cases[k].solver)->peak(N);
        struct ntk_solver *s;

        listen();
        s = solve_with(cases[k].solver, &f, 0.1, 1e-10, (size_t)(4 / 3.0 * (peak + cases[k].matrices * packed)), got);
        ntk_ctx_set_log(ctx, NULL, NULL);
        ntk_solver_free(s);
        if (!strstr(said, cases[k].text))
            fail_msg("case %zu says: %s", k, said);
        assert_int_equal(strstr(said, "memory ") != NULL, k >= 1 && k <= 3);
        if (difference(got, want) > cases[k].tolerance || (k == 2 && difference(got, want) < 1e-6))
            fail_msg("case %zu: difference %g", k, difference(got, want));
    }
    assert_int_equal(ctx->held, 0); /* all was given back */
    done(&f);
    free(want);
    free(got);
}

static int steps_said(void)
{
    int steps = -1;
    const char *at = strstr(said, "cg: ");

    if (at)
        sscanf(at, "cg: %d steps", &steps);
    return steps;
}

static void refit(struct ntk_solver *s, double ridge, double *x)
{
    double r[N];
    char how[200];

    for (int i = 0; i < N; i++)
        r[i] = ridge;
    listen();
    assert_ok(ctx, ntk_solver_factor(s, r, how, sizeof how));
    fill_normal(C * N, 8, x);
    assert_ok(ctx, ntk_solver_solve(s, C, x));
    ntk_ctx_set_log(ctx, NULL, NULL);
}

/* Of matrices of each condition, by Cholesky's; estimates are the same each time. */
static void a_determinant_is_estimated(void **state)
{
    static const double ridges[] = {1e-3, 0.1, 30};
    double *x = malloc(sizeof(double[C * N])), exact, value, again;
    struct fixture f;

    (void)state;
    make(&f, NTK_F64, 0);
    for (size_t k = 0; k < 3; k++) {
        struct ntk_solver *s = solve_with("cholesky", &f, ridges[k], 0, 0, x);

        assert_ok(ctx, ntk_solver_log_determinant(s, &exact));
        ntk_solver_free(s);
        s = solve_with("cg", &f, ridges[k], 1e-3, 0, x);
        assert_ok(ctx, ntk_solver_log_determinant(s, &value));
        if (!(s->last.log_determinant_error > 0) || s->last.log_determinant_error > 0.05 * N ||
            fabs(value - exact) > 4 * s->last.log_determinant_error)
            fail_msg("ridge %g: %g +- %g, exactly %g", ridges[k], value, s->last.log_determinant_error, exact);
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
        assert_ok(ctx, ntk_solver_log_determinant(s, &again));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
        assert_memory_equal(&value, &again, sizeof value);
        ntk_solver_free(s);
    }
    done(&f);
    free(x);
}

#ifdef NTK_HDF5

struct patience {
    int left;
};

static int run_out(const char *what, double done_, double total, void *user)
{
    struct patience *p = user;

    (void)done_, (void)total;
    return strstr(what, "digits of the solution, step") && p->left-- <= 0;
}

/* A solution that is cancelled goes on from its file, in fewer steps, to the same; of another matrix it is refused. */
static void solutions_go_on_from_a_file(void **state)
{
    const struct ntk_checkpoint c = {"checkpoint.h5", "rows: these\nntk: a net\n", true},
                                other = {"checkpoint.h5", "rows: these\nntk: another\n", true},
                                unasked = {"checkpoint.h5", "rows: those\nntk: a net\n", false};
    double *want = malloc(sizeof(double[C * N])), *got = malloc(sizeof(double[C * N]));
    struct patience patience = {25};
    double r[N];
    char how[200];
    int whole, rest;
    struct ntk_solver *s;
    struct fixture f;

    (void)state;
    make(&f, NTK_F64, 0);
    listen();
    ntk_solver_free(solve_with("cg", &f, 0.1, 1e-8, 0, want));
    whole = steps_said();
    assert_true(whole > 30);
    for (int i = 0; i < N; i++)
        r[i] = 0.1;
    assert_ok(ctx, ntk_solver_new(ctx, class_of("cg"), f.o, f.which, 0, &s));
    s->tolerance = 1e-8;
    s->again = true;
    s->checkpoint = c;
    assert_ok(ctx, ntk_solver_factor(s, r, how, sizeof how));
    fill_normal(C * N, 8, got);
    ntk_ctx_set_progress(ctx, run_out, &patience);
    assert_fails(ctx, NTK_ECANCEL, "cancelled", ntk_solver_solve(s, C, got));
    ntk_ctx_set_progress(ctx, NULL, NULL);
    assert_true(access(c.path, F_OK) == 0);

    s->checkpoint = other;
    fill_normal(C * N, 8, got);
    assert_fails(ctx, NTK_EINVAL, "its ntk: a net; here, ntk: another", ntk_solver_solve(s, C, got));
    s->checkpoint = unasked;
    listen();
    s->tolerance = 0.1;
    assert_ok(ctx, ntk_checkpoint_load(ctx, &unasked, &(struct ntk_problem){N, C, 0, 0}, got, &(bool){false}));
    assert_non_null(strstr(said, "of another kernel matrix: it is not read"));

    s->tolerance = 1e-8;
    s->checkpoint = c;
    listen();
    fill_normal(C * N, 8, got);
    assert_ok(ctx, ntk_solver_solve(s, C, got));
    rest = steps_said();
    assert_non_null(strstr(said, "goes on from checkpoint.h5"));
    if (rest < 1 || rest > whole - 10)
        fail_msg("%d steps, at once %d", rest, whole);
    assert_true(difference(got, want) < 1e-6);
    assert_true(access(c.path, F_OK) != 0); /* it is done */
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_solver_free(s);
    done(&f);
    free(want);
    free(got);
}

#endif

/* The preconditioner saves steps, and so does the last solution. */
static void steps_are_saved(void **state)
{
    double *x = malloc(sizeof(double[C * N])), *want = malloc(sizeof(double[C * N]));
    struct ntk_solver *s;
    struct fixture f;
    int plain, usual, warm;

    (void)state;
    make(&f, NTK_F64, 0);
    listen();
    s = solve_with("cg", &f, 1e-2, 1e-8, 0, x);
    usual = steps_said();
    refit(s, 1.01e-2, x);
    warm = steps_said();
    ntk_solver_free(solve_with("cholesky", &f, 1.01e-2, 0, 0, want));
    assert_true(difference(x, want) < 1e-6);
    s->rank = 1;
    refit(s, 50, x);
    refit(s, 1e-2, x);
    plain = steps_said();
    assert_true(usual > 0 && warm > 0);
    if (!(plain > 1.3 * usual && warm < 0.9 * usual))
        fail_msg("%d steps, without the preconditioner %d, from a solution %d", usual, plain, warm);
    ntk_solver_free(s);
    done(&f);
    free(x);
    free(want);
}

static void threads_change_nothing(void **state)
{
    double *one = malloc(sizeof(double[C * N])), *two = malloc(sizeof(double[C * N]));

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct fixture f;

        make(&f, NTK_F32, 0);
        if (k) { /* products by entries, as they come from threads: the matrix is not taken in */
            by_entries = *f.o->class;
            by_entries.resident = true;
            f.o->class = &by_entries;
        }
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 1));
        ntk_solver_free(solve_with("cg", &f, 1e-2, 1e-6, 0, one));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 3));
        ntk_solver_free(solve_with("cg", &f, 1e-2, 1e-6, 0, two));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
        assert_memory_equal(one, two, sizeof(double[C * N]));
        done(&f);
    }
    free(one);
    free(two);
}

/* Where float32 has no factor. */
static void a_factor_that_breaks_down_is_shifted(void **state)
{
    double *want = malloc(sizeof(double[C * N])), *got = malloc(sizeof(double[C * N]));
    struct fixture f;

    (void)state;
    make(&f, NTK_F64, 1e-7);
    ntk_solver_free(solve_with("cholesky", &f, 1e-6, 0, 0, want));
    listen();
    ntk_solver_free(solve_with("mixed", &f, 1e-6, 0, 0, got));
    ntk_ctx_set_log(ctx, NULL, NULL);
    assert_non_null(strstr(said, "no factor in float32"));
    assert_true(difference(got, want) < 1e-6);
    done(&f);
    free(want);
    free(got);
}

/* ---- models */

static ntk_status fit(ntk_dtype dtype, size_t memory, const char *solver, double tolerance, int64_t rank, ntk_model **model)
{
    static double samples[N * D], y[N];
    static ntk_data *x;
    ntk_fit_opts o;
    ntk_net *net;
    ntk_status status;

    if (!x) {
        fill_normal(N * D, 3, samples);
        fill_normal(N, 4, y);
        assert_ok(ctx, ntk_data_view(ctx, samples, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &x));
    }
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=2)", &net));
    ntk_fit_opts_init(&o);
    o.dtype = dtype;
    o.diag_reg = 1e-2;
    o.solver = solver;
    o.tolerance = tolerance;
    o.rank = rank;
    ntk_ctx_set_memory(ctx, memory);
    listen();
    status = ntk_model_fit(ctx, net, x, y, 1, &o, model);
    ntk_ctx_set_log(ctx, NULL, NULL);
    ntk_ctx_set_memory(ctx, 0);
    ntk_net_free(net);
    return status;
}

#ifdef NTK_HDF5
/* x: [N][D], which data is a view of. */
static void make_samples(double *x, double *y, ntk_data **data, ntk_net **net)
{
    fill_normal(N * D, 3, x);
    fill_normal(N, 4, y);
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){0, 1, 1, D}, data));
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=2)", net));
}

static void a_checkpoint_is_of_one_net(void **state)
{
    double x[N * D], y[N];
    ntk_model *models[2], *model;
    ntk_fit_opts o, given;
    const ntk_net *nets[2];
    ntk_data *data;
    ntk_net *net;

    (void)state;
    make_samples(x, y, &data, &net);
    nets[0] = nets[1] = net;
    ntk_fit_opts_init(&o);
    o.diag_reg = 0.1;
    o.solver = "cg";
    o.checkpoint = "checkpoint.h5";
    assert_fails(ctx, NTK_EINVAL, "a checkpoint is of one net, got 2", ntk_models_fit(ctx, nets, 2, data, y, 1, &o, models));
    assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    ntk_fit_opts_init(&given);
    assert_ok(ctx, ntk_model_opts(model, &given));
    assert_string_equal(given.checkpoint, o.checkpoint);
    ntk_model_free(model);
    ntk_net_free(net);
    ntk_data_free(data);
}

static size_t files(const char *pattern)
{
    glob_t found;
    const size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;

    globfree(&found);
    return n;
}

/* Of each matrix of a store, whose fit was cancelled, a file; at the end of the fits there is none. */
static void checkpoints_lie_beside_a_store(void **state)
{
    static const ntk_posterior posteriors[] = {NTK_POSTERIOR_NTK, NTK_POSTERIOR_NNGP};
    double x[N * D], y[N];
    ntk_model *model;
    ntk_data *data;
    ntk_fit_opts o;
    ntk_net *net;

    (void)state;
    make_samples(x, y, &data, &net);
    ntk_fit_opts_init(&o);
    o.solver = "cg";
    o.diag_reg = 1e-4;
    o.tolerance = 1e-8;
    o.rank = 1;
    for (int end = 0; end < 2; end++)
        for (size_t k = 0; k < 2; k++) {
            struct patience patience = {end ? INT_MAX : 25};

            o.posterior = posteriors[k];
            o.store = k == 0 ? "beside-ntk.h5" : "beside-nngp.h5";
            ntk_ctx_set_progress(ctx, run_out, &patience);
            assert_int_equal(ntk_model_fit(ctx, net, data, y, 1, &o, &model), end ? NTK_OK : NTK_ECANCEL);
            ntk_ctx_set_progress(ctx, NULL, NULL);
            if (end)
                ntk_model_free(model);
            assert_int_equal(files("beside-*.h5.????????.cg"), end ? 1 - k : 1 + k);
        }
    unlink("beside-ntk.h5");
    unlink("beside-nngp.h5");
    ntk_net_free(net);
    ntk_data_free(data);
}
#endif

static void solvers_are_chosen_by_memory(void **state)
{
    ntk_model *model;
    size_t k;

    (void)state;
    assert_ok(ctx, fit(NTK_F64, 0, NULL, 0, 0, &model));
    assert_string_equal(said, "");
    ntk_model_free(model);
    for (k = 1300000; k > 100000 && fit(NTK_F32, k, NULL, 0, 0, &model) == NTK_OK; k -= 100000) {
        if (strstr(said, "the solver is 'cg': 'cholesky' needs 1.38 MiB, of allowed memory")) {
            double mean[1];

            assert_true(ntk_model_outputs(model) == 1);
            assert_fails(ctx, NTK_ENOTSUP, "cholesky, eigen", ntk_model_evidence(model, mean));
        }
        ntk_model_free(model);
    }
    assert_non_null(strstr(ntk_errmsg(ctx), "needs"));
    assert_fails(ctx, NTK_ENOMEM, "the least that would do is ", fit(NTK_F32, 100000, NULL, 0, 0, &model));
    assert_fails(ctx, NTK_EINVAL, "tolerance must be above 0 to 0.1", fit(NTK_F64, 0, "cg", 0.2, 0, &model));
    assert_fails(ctx, NTK_EINVAL, "tolerance must be above 0 to 0.1", fit(NTK_F64, 0, "cg", (double)NAN, 0, &model));
    assert_fails(ctx, NTK_EINVAL, "rank must be >= 0", fit(NTK_F64, 0, "cg", 0, -1, &model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strips_are_the_matrix),
        cmocka_unit_test(products_by_entries),
        cmocka_unit_test(entries_beyond_the_diagonal_are_refused),
        cmocka_unit_test(the_preconditioner_is_what_it_says),
        cmocka_unit_test(solutions_are_those_of_cholesky),
        cmocka_unit_test(memory_decides_where_products_come_from),
        cmocka_unit_test(a_determinant_is_estimated),
#ifdef NTK_HDF5
        cmocka_unit_test(solutions_go_on_from_a_file),
        cmocka_unit_test(a_checkpoint_is_of_one_net),
        cmocka_unit_test(checkpoints_lie_beside_a_store),
#endif
        cmocka_unit_test(steps_are_saved),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(a_factor_that_breaks_down_is_shifted),
        cmocka_unit_test(solvers_are_chosen_by_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
