/* SPDX-License-Identifier: MIT
 *
 * Work that several processes share (base/ranks.h), one after the other in this one: ranks whose sums are left to the test.
 * What they have together is what one process has. tests/cli/mpi.sh has real ones.
 */
#include "context.h"
#include "base/ranks.h"
#include "data/data.h"
#include "store/of_ranks.h"

enum { N = 700, D = 5, M = 3 };

static ntk_status agree(ntk_ctx *c, ntk_status status)
{
    (void)c;
    return status;
}

/* Two numbers are votes, in which the others agree. */
static void sum(struct ntk_ranks *r, size_t n, double *x)
{
    for (size_t k = 0; n == 2 && k < n; k++)
        x[k] *= r->ranks;
}

static int left;

static void leave(struct ntk_ranks *r)
{
    (void)r;
    left++;
}

static const struct ntk_ranks_class class = {.agree = agree, .sum = sum, .close = leave};

struct fixture {
    ntk_kernel *kernel;
    ntk_data *x;
    float numbers[N * D];
    double *k; /* [N][N] */
};

static void begin(struct fixture *f)
{
    ntk_net *net;
    const ntk_net *nets[1];
    void *out[1];

    for (int i = 0; i < N * D; i++)
        f->numbers[i] = (float)((i * 7919 % 1009) - 504) / 500;
    assert_ok(ctx, ntk_net_parse(ctx, "fc(depth=2)", &net));
    nets[0] = net;
    assert_ok(ctx, ntk_data_view(ctx, f->numbers, NTK_F32, N, (ntk_shape){.h = 1, .w = 1, .c = D}, &f->x));
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NTK, NTK_F64, ntk_data_shape(f->x), &f->kernel));
    f->k = malloc((size_t)N * N * sizeof *f->k);
    out[0] = f->k;
    assert_ok(ctx, ntk_kernel_compute(f->kernel, f->x, NULL, out));
    ntk_net_free(net);
}

static void end(struct fixture *f)
{
    ntk_kernel_free(f->kernel);
    ntk_data_free(f->x);
    free(f->k);
}

/* The operator of one rank; of one process it is another. */
static struct ntk_operator *open_rank(struct fixture *f, struct ntk_ranks *r)
{
    struct ntk_operator *o;

    ctx->ranks = r;
    assert_ok(ctx, ntk_operator_of_kernel(f->kernel, f->x, &o));
    assert_true(r->ranks == 1 || ntk_operator_is_shared(o, &(const ntk_kernel *){NULL}, &(const ntk_data *){NULL}));
    return o;
}

static void close_rank(struct ntk_operator *o)
{
    ntk_operator_free(o);
    ctx->ranks = NULL;
}

static double product(const double *k, const double *x, int64_t i)
{
    double value = 0;

    for (int j = 0; j < N; j++)
        value += k[i * N + j] * x[j];
    return value;
}

/* With so many bytes beside what computing needs (0: any), twice: squares are computed, then kept or not. */
static void check_products(struct fixture *f, int ranks, size_t beside, double tolerance)
{
    double *x = malloc(M * N * sizeof *x), *out = malloc(M * N * sizeof *out), *all = calloc(2 * M * N, sizeof *all);

    for (int i = 0; i < M * N; i++)
        x[i] = (double)(i * 131 % 17) - 8;
    for (int rank = 0; rank < ranks; rank++) {
        struct ntk_ranks r = {.class = &class, .rank = rank, .ranks = ranks};
        struct ntk_operator *o = open_rank(f, &r);
        size_t scratch;

        assert_ok(ctx, ntk_operator_scratch(o, &scratch));
        ntk_ctx_set_memory(ctx, beside ? scratch + beside : 0);
        for (int again = 0; again < 2; again++) {
            assert_ok(ctx, ntk_operator_apply(o, 0, M, x, out));
            for (int i = 0; i < M * N; i++)
                all[again * M * N + i] += out[i];
        }
        ntk_ctx_set_memory(ctx, 0);
        close_rank(o);
    }
    for (int again = 0; again < 2; again++)
        for (int c = 0; c < M; c++)
            for (int i = 0; i < N; i++) {
                const double want = product(f->k, x + c * N, i);

                assert_near(all[(again * M + c) * N + i], want, tolerance, 100);
            }
    free(all);
    free(out);
    free(x);
}

static void products_of_ranks(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (int ranks = 2; ranks <= 5; ranks++)
        check_products(&f, ranks, 0, 1e-13);
    check_products(&f, 3, 1 << 20, 1e-6); /* in float32, */
    check_products(&f, 3, 1 << 18, 1e-13); /* or computed each time */
    end(&f);
}

static void rows_of_ranks(void **state)
{
    const int64_t which[] = {699, 3, 256};
    double rows[3 * N], all[3 * N] = {0}, d[N];
    struct fixture f;

    (void)state;
    begin(&f);
    for (int rank = 0; rank < 3; rank++) {
        struct ntk_ranks r = {.class = &class, .rank = rank, .ranks = 3};
        struct ntk_operator *o = open_rank(&f, &r);

        assert_ok(ctx, ntk_operator_rows(o, 0, 3, which, rows));
        assert_ok(ctx, ntk_operator_diagonal(o, 0, d));
        for (int i = 0; i < 3 * N; i++)
            all[i] += rows[i];
        assert_fails(ctx, NTK_ENOTSUP, "a kernel on several ranks has no entries",
                     ntk_operator_read(o, &(struct ntk_taker){NULL, NULL}, 0, "nothing"));
        close_rank(o);
    }
    for (int r = 0; r < 3; r++)
        for (int j = 0; j < N; j++)
            assert_near(all[r * N + j], f.k[which[r] * N + j], 1e-14, 10);
    for (int i = 0; i < N; i++)
        assert_near(d[i], f.k[i * N + i], 1e-14, 10);
    end(&f);
}

static ntk_status note_job(void *user, int64_t job)
{
    int64_t *seen = user;

    seen[job]++;
    return job == 7 ? ntk_fail(ctx, NTK_ENUMERIC, "seven") : NTK_OK;
}

/* Who joined nobody does all jobs, up to one that fails, and has nobody to agree with. */
static void one_process_is_alone(void **state)
{
    const int64_t jobs[] = {2, 5, 7, 9};
    int64_t seen[10] = {0};
    const struct ntk_dealing d = {.n = 4, .jobs = jobs, .work = note_job, .user = seen};
    double x = 3;

    (void)state;
    assert_fails(ctx, NTK_ENUMERIC, "seven", ntk_ranks_deal(ctx, &d));
    assert_true(seen[2] == 1 && seen[5] == 1 && seen[7] == 1 && seen[9] == 0);
    ntk_ranks_sum(ctx, 1, &x);
    assert_true(x == 3 && ntk_ctx_rank(ctx) == 0 && ntk_ctx_ranks(ctx) == 1 && ntk_ctx_sent(ctx) == 0);
    assert_ok(ctx, ntk_ranks_same(ctx, "a text"));
    assert_true(ntk_ctx_agreed(ctx));
}

/* One rank may be several contexts, and is left by the last. */
static void contexts_are_one_rank(void **state)
{
    struct ntk_ranks r = {.class = &class, .rank = 1, .ranks = 3, .users = 1};
    const int before = left;
    ntk_ctx *one, *other, *own;

    (void)state;
    assert_ok(ctx, ntk_ctx_new(&one));
    assert_ok(ctx, ntk_ctx_new(&other));
    assert_ok(ctx, ntk_ctx_new(&own));
    assert_ok(ctx, ntk_ctx_join_as(other, one));
    assert_true(ntk_ctx_ranks(other) == 1);
    one->ranks = &r;
    one->threads = 5;
    ntk_ctx_set_memory(one, 1000);
    assert_ok(ctx, ntk_ctx_join_as(other, one));
    assert_true(ntk_ctx_rank(other) == 1 && ntk_ctx_ranks(other) == 3);
    assert_true(ntk_ctx_threads(other) == 5 && ntk_ctx_memory(other) == 1000);
    assert_fails(other, NTK_EINVAL, "this context has joined already", ntk_ctx_join_as(other, one));
    assert_ok(own, ntk_ctx_set_threads(own, 2));
    ntk_ctx_set_memory(own, 2000);
    assert_ok(ctx, ntk_ctx_join_as(own, other));
    assert_true(ntk_ctx_threads(own) == 2 && ntk_ctx_memory(own) == 2000);
    ntk_ctx_free(one);
    ntk_ctx_free(own);
    assert_true(left == before && ntk_ctx_ranks(other) == 3);
    ntk_ctx_free(other);
    assert_true(left == before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_ranks),
        cmocka_unit_test(rows_of_ranks),
        cmocka_unit_test(one_process_is_alone),
        cmocka_unit_test(contexts_are_one_rank),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
