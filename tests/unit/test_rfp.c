/* SPDX-License-Identifier: MIT
 *
 * The packed matrix against plain dense arithmetic, even and odd orders, down to 1.
 */
#include "solve/ritz.h"
#include "base/lapack.h"
#include "base/pieces.h"
#include "store/rfp.h"
#include "test.h"

#define N_MAX 9

struct fixture {
    ntk_ctx *ctx;
    int64_t n;
    double dense[N_MAX * N_MAX]; /* symmetric positive definite */
    struct ntk_rfp packed;
};

/* Stores the upper triangle in blocks of 4, as a kernel delivers it. */
static void pack(struct fixture *f)
{
    double tile[16];

    for (int64_t i0 = 0; i0 < f->n; i0 += 4)
        for (int64_t j0 = i0; j0 < f->n; j0 += 4) {
            ntk_block b = {.i0 = i0, .j0 = j0, .k = tile, .ld = 4};

            b.ni = f->n - i0 < 4 ? f->n - i0 : 4;
            b.nj = f->n - j0 < 4 ? f->n - j0 : 4;
            for (int64_t i = 0; i < b.ni; i++)
                for (int64_t j = 0; j < b.nj; j++)
                    tile[i * 4 + j] = f->dense[(i0 + i) * f->n + j0 + j];
            ntk_rfp_store(&f->packed, &b, NTK_F64);
        }
}

static void fill(struct fixture *f, ntk_ctx *ctx, int64_t n)
{
    uint64_t seed = (uint64_t)n;
    double g[N_MAX * N_MAX];

    f->ctx = ctx;
    f->n = n;
    for (int64_t i = 0; i < n * n; i++)
        g[i] = test_normal(&seed);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = i == j ? 0.5 : 0;

            for (int64_t k = 0; k < n; k++)
                sum += g[i * n + k] * g[j * n + k];
            f->dense[i * n + j] = sum;
        }
    assert_ok(ctx, ntk_rfp_new(ctx, n, &f->packed));
    pack(f);
}

static void dense_multiply(const struct fixture *f, const double *x, double *out)
{
    for (int64_t i = 0; i < f->n; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < f->n; j++)
            out[i] += f->dense[i * f->n + j] * x[j];
    }
}

static void check_order(ntk_ctx *ctx, int64_t n)
{
    struct fixture f;
    double x[2 * N_MAX], y[2 * N_MAX], want[2 * N_MAX], work[N_MAX], trace = 0;
    uint64_t seed = 7;
    int minor;

    fill(&f, ctx, n);
    for (int64_t i = 0; i < n; i++) {
        trace += f.dense[i * n + i];
        for (int64_t j = 0; j <= i; j++)
            assert_near(*ntk_rfp_at(&f.packed, i, j), f.dense[i * n + j], 0, 1);
    }
    for (int64_t i = 0; i < 2 * n; i++)
        x[i] = test_normal(&seed);
    dense_multiply(&f, x, want);
    dense_multiply(&f, x + n, want + n);
    assert_ok(ctx, ntk_rfp_multiply(ctx, &f.packed, 2, x, y));
    for (int64_t i = 0; i < 2 * n; i++)
        assert_near(y[i], want[i], 1e-14, trace);

    assert_ok(ctx, ntk_rfp_factor(ctx, &f.packed, &minor));
    assert_int_equal(minor, 0);
    assert_ok(ctx, ntk_rfp_solve(ctx, &f.packed, 2, want));
    for (int64_t i = 0; i < 2 * n; i++)
        assert_near(want[i], x[i], 1e-12, 1);
    memcpy(y, x, sizeof y);
    ntk_rfp_restore(&f.packed, y, work);
    dense_multiply(&f, x, want);
    for (int64_t i = 0; i < n; i++)
        assert_near(y[i], want[i], 1e-14, trace);
    /* |L^-1 x|^2 = x' K^-1 x */
    memcpy(y, x, sizeof y);
    memcpy(want, x, sizeof want);
    assert_ok(ctx, ntk_rfp_solve_half(ctx, &f.packed, 1, y));
    assert_ok(ctx, ntk_rfp_solve(ctx, &f.packed, 1, want));
    {
        double half = 0, whole = 0;

        for (int64_t i = 0; i < n; i++) {
            half += y[i] * y[i];
            whole += x[i] * want[i];
        }
        assert_near(half, whole, 1e-12, 1);
    }
    ntk_rfp_free(&f.packed);
}

static void agrees_with_dense(void **state)
{
    for (int64_t n = 1; n <= N_MAX; n++)
        check_order(*state, n);
}

static void refuses_what_is_not_positive(void **state)
{
    struct fixture f;
    int minor;

    fill(&f, *state, 5);
    *ntk_rfp_at(&f.packed, 3, 3) = -1;
    assert_ok(*state, ntk_rfp_factor(*state, &f.packed, &minor));
    assert_int_equal(minor, 4);
    ntk_rfp_free(&f.packed);
}

static ntk_status diagonal_operator(double *x, void *user)
{
    const int64_t n = *(const int64_t *)user;

    for (int64_t i = 0; i < n; i++)
        x[i] *= 1.0 / (double)(1 + i);
    return NTK_OK;
}

static void lanczos_finds_the_largest(void **state)
{
    const int64_t orders[] = {1, 2, 10, 1000};

    for (int k = 0; k < 4; k++) {
        int64_t n = orders[k];
        double lambda;

        assert_ok(*state, ntk_lanczos_largest(*state, n, diagonal_operator, &n, &lambda));
        assert_near(lambda, 1.0, 1e-5, 1);
    }
}

static double *random_numbers(int n, uint64_t seed)
{
    double *x = malloc((size_t)n * sizeof *x);

    assert_non_null(x);
    for (int i = 0; i < n; i++)
        x[i] = test_normal(&seed);
    return x;
}

/* What LAPACK makes in one call, in hundreds: triangles halved, rectangles cut. */
static void pieces_agree_with_whole(void **state)
{
    enum { ORDER = 700, M = 600, LD = ORDER + 1 };
    const CBLAS_UPLO uplo[] = {CblasLower, CblasUpper};
    const CBLAS_TRANSPOSE trans[] = {CblasNoTrans, CblasTrans};
    double *a = random_numbers(ORDER * LD, 1), *b = random_numbers(M * LD, 2);
    double *whole = malloc(ORDER * LD * sizeof *a), *cut = malloc(ORDER * LD * sizeof *a);
    double *x = malloc(M * LD * sizeof *b), *y = malloc(M * LD * sizeof *b);
    const size_t size = M * LD * sizeof *b;

    for (int i = 0; i < ORDER; i++)
        a[i * LD + i] = 400;
    for (int u = 0; u < 2; u++) {
        struct ntk_pieces p = ntk_pieces_of(*state, NULL, 0);
        const int n = ORDER, ld = LD;
        int info;

        p.piece = 1e6;
        memcpy(whole, a, ORDER * LD * sizeof *a);
        memcpy(cut, a, ORDER * LD * sizeof *a);
        dpotrf_(u ? "U" : "L", &n, whole, &ld, &info, 1);
        assert_int_equal(info, 0);
        assert_int_equal(ntk_pieces_cholesky(&p, uplo[u], n, cut, ld), 0);
        for (int i = 0; i < ORDER * LD; i++)
            assert_near(cut[i], whole[i], 1e-13, 1);
        for (int t = 0; t < 2; t++) {
            memcpy(x, b, size);
            memcpy(y, b, size);
            cblas_dtrsm(CblasColMajor, CblasLeft, uplo[u], trans[t], CblasNonUnit, n, M, 1, whole, ld, x, ld);
            ntk_pieces_solve(&p, uplo[u], trans[t], n, M, cut, ld, y, ld);
            for (int i = 0; i < M * LD; i++)
                assert_near(y[i], x[i], 1e-13, 1);
        }
        memcpy(x, b, size);
        memcpy(y, b, size);
        cblas_dsymm(CblasColMajor, CblasLeft, uplo[u], n, M, 1, a, ld, b, ld, 1, x, ld);
        ntk_pieces_symm(&p, uplo[u], n, M, a, ld, b, ld, y, ld);
        for (int i = 0; i < M * LD; i++)
            assert_near(y[i], x[i], 1e-13, 400);
        assert_ok(*state, p.status);
        a[500 * LD + 500] = -1;
        memcpy(cut, a, ORDER * LD * sizeof *a);
        assert_int_equal(ntk_pieces_cholesky(&p, uplo[u], n, cut, ld), 501);
        a[500 * LD + 500] = 400;
    }
    for (int i = 0; i < 6; i++)
        free((double *[]){a, b, whole, cut, x, y}[i]);
}

static int cancel_at_once(const char *what, double done, double total, void *user)
{
    (void)what, (void)done, (void)total;
    return ++*(int *)user > 2;
}

/* The third piece is the last. */
static void pieces_are_cancelled(void **state)
{
    enum { ORDER = 600 };
    double *a = random_numbers(ORDER * ORDER, 1);
    struct ntk_pieces p = ntk_pieces_of(*state, "factorisations", 1);
    int asked = 0;

    for (int i = 0; i < ORDER; i++)
        a[i * ORDER + i] = 400;
    p.piece = 1e6;
    ntk_ctx_set_progress(*state, cancel_at_once, &asked);
    ntk_pieces_cholesky(&p, CblasLower, ORDER, a, ORDER);
    ntk_ctx_set_progress(*state, NULL, NULL);
    assert_int_equal(p.status, NTK_ECANCEL);
    assert_int_equal(asked, 3);
    free(a);
}

static int setup(void **state)
{
    ntk_ctx *ctx;

    if (ntk_ctx_new(&ctx) != NTK_OK)
        return -1;
    *state = ctx;
    return 0;
}

static int teardown(void **state)
{
    ntk_ctx_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_dense),
        cmocka_unit_test(refuses_what_is_not_positive),
        cmocka_unit_test(lanczos_finds_the_largest),
        cmocka_unit_test(pieces_agree_with_whole),
        cmocka_unit_test(pieces_are_cancelled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
