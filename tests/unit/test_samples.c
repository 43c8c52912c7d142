/* SPDX-License-Identifier: MIT
 *
 * Samples that are prepared once: the same entries as in one call, references, what is refused, memory.
 */
#include <float.h>

#include "context.h"

#define N1 40
#define N2 23

struct net {
    const char *text;
    ntk_shape shape;
    bool series; /* an activation depends on the range of variances: a series, or what is computed for near pairs */
};

static const struct net nets[] = {
    {"serial(Dense(9, W_std=1.4, b_std=0.1), Relu(), Dense(5), Erf(), Dense(1))", {0, 1, 1, 7}, true},
    {"serial(Dense(9, W_std=1.2), Elu(), Dense(5), Tanh(), Dense(1))", {0, 1, 1, 7}, true},
    {"serial(Dense(9), LayerNorm(), Relu(), Dropout(0.8), Dense(1))", {0, 1, 1, 7}, false},
    {"serial(Conv(4, (3, 3), padding='SAME'), Relu(), Flatten(), Dense(1))", {2, 5, 4, 2}, false},
    {"serial(Conv(4, (3, 3), padding='SAME'), Relu(), AvgPool((2, 2), (2, 2), 'SAME'), Conv(4, (2, 2)), Gelu(), "
     "GlobalAvgPool(), Dense(1))", {2, 5, 4, 2}, false},
    {"serial(Conv(4, (3, 3), padding='CIRCULAR'), LayerNorm(), Softplus(), Flatten(), Dense(3), Relu(), Dense(1))",
     {2, 5, 4, 2}, true},
};
#define NETS (sizeof nets / sizeof *nets)

static ntk_kernel *compile(const struct net *net, ntk_dtype dtype)
{
    const ntk_net *parsed[1];
    ntk_net *one;
    ntk_kernel *k;

    assert_ok(ctx, ntk_net_parse(ctx, net->text, &one));
    parsed[0] = one;
    assert_ok(ctx, ntk_kernel_new(ctx, parsed, 1, NTK_NNGP | NTK_NTK, dtype, net->shape, &k));
    ntk_net_free(one);
    return k;
}

/* Numbers from -1 to 1; sample 3 equals sample 1, and with `like` sample 2 is sample 5 of that array. */
static double *numbers(int64_t n, int64_t d, unsigned seed, double scale, const double *like)
{
    double *x = malloc((size_t)(n * d) * sizeof *x);

    for (int64_t i = 0; i < n * d; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = scale * ((double)(seed >> 8) / (1 << 23) - 1);
    }
    for (int64_t k = 0; k < d && n > 5; k++) {
        x[3 * d + k] = x[d + k];
        if (like)
            x[2 * d + k] = like[5 * d + k];
    }
    return x;
}

static ntk_data *view(const double *x, int64_t n, ntk_shape shape)
{
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, n, shape, &data));
    return data;
}

static double number(const void *k, ntk_dtype dtype, size_t i)
{
    return dtype == NTK_F32 ? (double)((const float *)k)[i] : ((const double *)k)[i];
}

/* All of it that one net and type need. */
struct setting {
    ntk_kernel *k;
    double *x1, *x2;
    ntk_data *d1, *d2;
    void *out[2], *again[2];
};

static struct setting start(const struct net *net, ntk_dtype dtype, double scale2)
{
    const int64_t d = net->shape.h * net->shape.w * net->shape.c;
    struct setting s = {.k = compile(net, dtype)};

    s.x1 = numbers(N1, d, 1, 1, NULL);
    s.x2 = numbers(N2, d, 2, scale2, scale2 == 1 ? s.x1 : NULL);
    s.d1 = view(s.x1, N1, net->shape);
    s.d2 = view(s.x2, N2, net->shape);
    for (int m = 0; m < 2; m++) {
        s.out[m] = calloc(N1 * N1, sizeof(double));
        s.again[m] = calloc(N1 * N1, sizeof(double));
    }
    return s;
}

static void end(struct setting *s)
{
    for (int m = 0; m < 2; m++) {
        free(s->out[m]);
        free(s->again[m]);
    }
    ntk_data_free(s->d1);
    ntk_data_free(s->d2);
    ntk_kernel_free(s->k);
    free(s->x1);
    free(s->x2);
}

static void assert_same(const struct setting *s, size_t n, ntk_dtype dtype, double scale, const char *text)
{
    const double eps = dtype == NTK_F32 ? (double)FLT_EPSILON : DBL_EPSILON;

    for (int m = 0; m < 2; m++)
        for (size_t i = 0; i < n; i++) {
            const double a = number(s->out[m], dtype, i), b = number(s->again[m], dtype, i);

            if (!(fabs(a - b) <= 4 * eps * scale))
                fail_msg("%s: entry %zu of output %d is %.17g, prepared %.17g", text, i, m, a, b);
        }
}

/* The largest variance bounds all entries. */
static double largest(const struct setting *s)
{
    double v[2][N1], *out[] = {v[0], v[1]}, most = 0;

    assert_ok(ctx, ntk_kernel_diagonal(s->k, s->d1, out));
    for (int i = 0; i < N1; i++)
        most = fmax(most, fmax(v[0][i], v[1][i]));
    return most;
}

static void entries_are_those_of_one_call(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETS; t++)
        for (int narrow = 0; narrow < 2; narrow++) {
            const ntk_dtype dtype = narrow ? NTK_F32 : NTK_F64;
            struct setting s = start(&nets[t], dtype, 0.9);
            ntk_samples *a, *b;

            assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
            assert_int_equal(ntk_samples_n(a), N1);
            assert_ok(ctx, ntk_kernel_compute(s.k, s.d1, NULL, s.out));
            for (int twice = 0; twice < 2; twice++) {
                assert_ok(ctx, ntk_samples_compute(s.k, a, NULL, s.again));
                for (int m = 0; m < 2; m++)
                    assert_memory_equal(s.out[m], s.again[m], N1 * N1 * (size_t)dtype);
            }
            assert_ok(ctx, ntk_samples_new(s.k, s.d2, a, &b));
            assert_ok(ctx, ntk_kernel_compute(s.k, s.d2, s.d1, s.out));
            assert_ok(ctx, ntk_samples_compute(s.k, b, a, s.again));
            assert_same(&s, N2 * N1, dtype, largest(&s), nets[t].text);
            ntk_samples_free(a); /* what they share stays */
            assert_ok(ctx, ntk_samples_compute(s.k, b, NULL, s.again));
            ntk_samples_free(b);
            end(&s);
        }
}

/* One sample beside 40, and beside 22 others. */
static void one_row_is_that_of_all(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETS; t++) {
        struct setting s = start(&nets[t], NTK_F64, 1);
        ntk_samples *a, *b, *row;
        ntk_data *slice;

        assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
        if (ntk_samples_new(s.k, s.d2, a, &b) != NTK_OK) {
            assert_true(nets[t].series);
            ntk_samples_free(a);
            end(&s);
            continue;
        }
        assert_ok(ctx, ntk_samples_compute(s.k, b, a, s.out));
        for (int64_t i = 0; i < N2; i += 7) {
            assert_ok(ctx, ntk_data_slice(s.d2, i, 1, &slice));
            assert_ok(ctx, ntk_samples_new(s.k, slice, a, &row));
            assert_ok(ctx, ntk_samples_compute(s.k, row, a, (void *[]){s.again[0], s.again[1]}));
            for (int m = 0; m < 2; m++)
                for (int64_t j = 0; j < N1; j++)
                    assert_true(fabs(((double *)s.again[m])[j] - ((double *)s.out[m])[i * N1 + j]) <=
                                4 * DBL_EPSILON * largest(&s));
            ntk_samples_free(row);
            ntk_data_free(slice);
        }
        ntk_samples_free(a);
        ntk_samples_free(b);
        end(&s);
    }
}

/* Sample 2 of the second set is sample 5 of the first, and has its variance exactly, unless a Dropout differs. */
static void equal_samples_are_exact(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETS; t++) {
        struct setting s = start(&nets[t], NTK_F64, 1);
        double v[2][N1], *diagonal[] = {v[0], v[1]};
        ntk_samples *a, *b;

        assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
        assert_ok(ctx, ntk_kernel_diagonal(s.k, s.d1, diagonal));
        if (strstr(nets[t].text, "Dropout") || ntk_samples_new(s.k, s.d2, a, &b) != NTK_OK)
            b = NULL;
        if (b && s.k) {
            assert_ok(ctx, ntk_samples_compute(s.k, b, a, s.out));
            if (!strstr(nets[t].text, "GlobalAvgPool")) /* its pairs of positions are many */
                for (int m = 0; m < 2; m++)
                    assert_true(((double *)s.out[m])[2 * N1 + 5] == v[m][5]);
        }
        ntk_samples_free(b);
        ntk_samples_free(a);
        end(&s);
    }
}

struct streamed {
    const struct setting *s;
    int64_t n2;
    bool symmetric;
};

static int put(const ntk_block *b, void *user)
{
    const struct streamed *t = user;
    double *out = t->s->again[b->output];

    for (int64_t i = b->i0; i < b->i0 + b->ni; i++)
        for (int64_t j = b->j0; j < b->j0 + b->nj; j++) {
            const double x = ((const double *)b->k)[(i - b->i0) * b->ld + j - b->j0];

            out[i * t->n2 + j] = x;
            if (t->symmetric)
                out[j * t->n2 + i] = x;
        }
    return 0;
}

static int stop(const ntk_block *b, void *user)
{
    (void)b, (void)user;
    return 1;
}

static void blocks_are_those_of_the_matrix(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETS; t++) {
        struct setting s = start(&nets[t], NTK_F64, 0.5);
        ntk_samples *a, *b;

        assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
        assert_ok(ctx, ntk_samples_new(s.k, s.d2, a, &b));
        for (int symmetric = 0; symmetric < 2; symmetric++) {
            struct streamed to = {&s, N1, symmetric};
            const ntk_samples *rows = symmetric ? a : b, *columns = symmetric ? NULL : a;

            assert_ok(ctx, ntk_samples_compute(s.k, rows, columns, s.out));
            assert_ok(ctx, ntk_samples_stream(s.k, rows, columns, put, &to));
            for (int m = 0; m < 2; m++)
                assert_memory_equal(s.again[m], s.out[m], sizeof(double) * N1 * (size_t)(symmetric ? N1 : N2));
            assert_int_equal(ntk_samples_stream(s.k, rows, columns, stop, NULL), NTK_ECANCEL);
        }
        ntk_samples_free(a);
        ntk_samples_free(b);
        end(&s);
    }
}

/* A larger variance than all of the reference's is an error where it matters, never another number. */
static void what_the_reference_does_not_take_is_refused(void **state)
{
    int refused = 0;

    (void)state;
    for (size_t t = 0; t < NETS; t++) {
        struct setting s = start(&nets[t], NTK_F64, 30);
        ntk_samples *a, *b = NULL;
        ntk_status status;

        assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
        status = ntk_samples_new(s.k, s.d2, a, &b);
        if (status == NTK_OK) {
            assert_ok(ctx, ntk_kernel_compute(s.k, s.d2, s.d1, s.out));
            assert_ok(ctx, ntk_samples_compute(s.k, b, a, s.again));
            assert_same(&s, N2 * N1, NTK_F64, 900 * largest(&s), nets[t].text);
        } else {
            assert_int_equal(status, NTK_ENUMERIC);
            assert_non_null(strstr(ntk_errmsg(ctx), "outside of what the reference takes"));
            assert_true(nets[t].series);
            refused++;
        }
        ntk_samples_free(b);
        ntk_samples_free(a);
        end(&s);
    }
    assert_true(refused > 0);
}

/* Sizes that float32 does not take in the second set. */
static void another_type_is_refused(void **state)
{
    struct setting s = start(&nets[0], NTK_F32, 1e-25);
    ntk_samples *a, *b;

    (void)state;
    assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
    assert_int_equal(ntk_samples_new(s.k, s.d2, a, &b), NTK_ENUMERIC);
    assert_ok(ctx, ntk_samples_new(s.k, s.d2, NULL, &b));
    assert_int_equal(ntk_samples_compute(s.k, a, b, s.out), NTK_EINVAL);
    assert_non_null(strstr(ntk_errmsg(ctx), "common reference"));
    ntk_samples_free(a);
    ntk_samples_free(b);
    end(&s);
}

static void another_kernel_is_refused(void **state)
{
    struct setting s = start(&nets[0], NTK_F64, 1), other = start(&nets[1], NTK_F64, 1);
    ntk_data *narrow = view(s.x1, 2, (ntk_shape){0, 1, 1, 3});
    ntk_samples *a, *b;

    (void)state;
    assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
    assert_int_equal(ntk_samples_compute(other.k, a, NULL, s.out), NTK_EINVAL);
    assert_non_null(strstr(ntk_errmsg(ctx), "another kernel"));
    assert_int_equal(ntk_samples_new(other.k, other.d2, a, &b), NTK_EINVAL);
    assert_int_equal(ntk_samples_new(s.k, narrow, NULL, &b), NTK_ESHAPE);
    ntk_data_free(narrow);
    ntk_samples_free(a);
    end(&s);
    end(&other);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETS; t++) {
        struct setting s = start(&nets[t], NTK_F32, 0.5);
        ntk_samples *a, *b;

        for (int threads = 1; threads <= 3; threads += 2) {
            assert_ok(ctx, ntk_ctx_set_threads(ctx, threads));
            assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
            assert_ok(ctx, ntk_samples_new(s.k, s.d2, a, &b));
            assert_ok(ctx, ntk_samples_compute(s.k, b, a, threads == 1 ? s.out : s.again));
            ntk_samples_free(a);
            ntk_samples_free(b);
        }
        for (int m = 0; m < 2; m++)
            assert_memory_equal(s.out[m], s.again[m], N2 * N1 * sizeof(float));
        assert_ok(ctx, ntk_ctx_set_threads(ctx, 0));
        end(&s);
    }
}

/* What they hold counts against a bound, and is given back. */
static void memory_is_counted(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETS; t += 3) {
        struct setting s = start(&nets[t], NTK_F64, 1);
        ntk_samples *a;
        size_t held;

        ntk_ctx_set_memory(ctx, (size_t)64 << 20);
        assert_ok(ctx, ntk_samples_new(s.k, s.d1, NULL, &a));
        held = ntk_samples_memory(a);
        assert_true(held > N1 * sizeof(double));
        assert_int_equal(ntk_ctx_check_memory(ctx, ((size_t)64 << 20) - held + 1, "more"), NTK_ENOMEM);
        ntk_samples_free(a);
        assert_ok(ctx, ntk_ctx_check_memory(ctx, (size_t)60 << 20, "more"));
        ntk_ctx_set_memory(ctx, 1000);
        assert_int_equal(ntk_samples_new(s.k, s.d1, NULL, &a), NTK_ENOMEM);
        ntk_ctx_set_memory(ctx, 0);
        end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_those_of_one_call),
        cmocka_unit_test(one_row_is_that_of_all),
        cmocka_unit_test(equal_samples_are_exact),
        cmocka_unit_test(blocks_are_those_of_the_matrix),
        cmocka_unit_test(what_the_reference_does_not_take_is_refused),
        cmocka_unit_test(another_type_is_refused),
        cmocka_unit_test(another_kernel_is_refused),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(memory_is_counted),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
