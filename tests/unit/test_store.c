/* SPDX-License-Identifier: MIT
 *
 * The store of files: the same entries as in one call, by all ways of reading, with blocks of several rows; rows that
 * cross files; what is read of a part; cancelling and going on; progress over all blocks; memory.
 */
#include "files.h"
#include "store/files.h"

#define N 37
#define M 11
#define D 5

static const char *const texts[] = {"serial(Dense(9, W_std=1.4, b_std=0.1), Relu(), Dense(1))",
                                    "serial(Dense(9), Erf(), Dense(5), Relu(), Dense(1))"};

struct problem {
    ntk_net *nets[2];
    ntk_data *x, *test;
    double numbers[(N + M) * D];
    double *k[4], *cross[4]; /* [N][N], [M][N], in float64 */
};

static void begin(struct fixture *f, struct problem *p)
{
    uint64_t seed = 3;
    ntk_kernel *kernel;

    for (int i = 0; i < (N + M) * D; i++)
        p->numbers[i] = test_normal(&seed);
    for (int i = 0; i < 2; i++)
        assert_ok(f->ctx, ntk_net_parse(f->ctx, texts[i], &p->nets[i]));
    assert_ok(f->ctx, ntk_data_view(f->ctx, p->numbers, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &p->x));
    assert_ok(f->ctx, ntk_data_view(f->ctx, p->numbers + N * D, NTK_F64, M, (ntk_shape){0, 1, 1, D}, &p->test));
    for (int m = 0; m < 4; m++) {
        p->k[m] = calloc(N * N, sizeof *p->k[m]);
        p->cross[m] = calloc(M * N, sizeof *p->cross[m]);
    }
    assert_ok(f->ctx, ntk_kernel_new(f->ctx, (const ntk_net *const *)p->nets, 2, NTK_NNGP | NTK_NTK, NTK_F64,
                                     ntk_data_shape(p->x), &kernel));
    assert_ok(f->ctx, ntk_kernel_compute(kernel, p->x, NULL, (void *const *)p->k));
    assert_ok(f->ctx, ntk_kernel_compute(kernel, p->test, p->x, (void *const *)p->cross));
    ntk_kernel_free(kernel);
}

static void end(struct problem *p)
{
    for (int i = 0; i < 2; i++)
        ntk_net_free(p->nets[i]);
    ntk_data_free(p->x);
    ntk_data_free(p->test);
    for (int m = 0; m < 4; m++) {
        free(p->k[m]);
        free(p->cross[m]);
    }
}

/* With so many rows in a file: a folder's text decides. */
static ntk_files *open_files(struct fixture *f, const struct problem *p, const char *folder, bool test, int64_t rows)
{
    char command[400];
    ntk_files *files;

    assert_ok(f->ctx, ntk_files_open(f->ctx, path_of(f, folder), (const ntk_net *const *)p->nets, 2, NTK_NNGP | NTK_NTK,
                                     NTK_F64, test ? p->test : p->x, test ? p->x : NULL, &files));
    if (files->block == rows)
        return files;
    ntk_files_free(files);
    snprintf(command, sizeof command, "sed -i 's/^rows in a file: .*/rows in a file: %d/' %s/store.txt", (int)rows,
             f->path);
    assert_int_equal(system(command), 0);
    return open_files(f, p, folder, test, rows);
}

static void assert_same(int64_t n, const double *got, const double *want)
{
    for (int64_t i = 0; i < n; i++)
        assert_near(got[i], want[i], 1e-14, 1);
}

/* Rows of a symmetric matrix from a column on are whole, whatever files they are in. */
static void check_rows(struct fixture *f, ntk_files *files, const double *k, size_t m)
{
    double rows[N * N];

    for (int64_t i0 = 0; i0 < N; i0 += 3)
        for (int64_t ni = 1; i0 + ni <= N; ni += 5) {
            assert_ok(f->ctx, ntk_files_rows(files, m, i0, ni, rows));
            for (int64_t i = 0; i < ni; i++)
                assert_same(N - i0, rows + i * (N - i0), k + (i0 + i) * N + i0);
        }
    assert_fails(f->ctx, NTK_EINVAL, "rows 36 to 37", ntk_files_rows(files, m, N - 1, 2, rows));
    assert_fails(f->ctx, NTK_EINVAL, "of matrix 4", ntk_files_rows(files, 4, 0, 1, rows));
}

static void all_ways_of_reading(void **state)
{
    static const int64_t blocks[] = {1, 5, 36, N};
    struct fixture *f = *state;
    struct problem p;
    double *out[4];

    begin(f, &p);
    for (int m = 0; m < 4; m++)
        out[m] = malloc(N * N * sizeof *out[m]);
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        char folder[16];
        ntk_files *files;

        snprintf(folder, sizeof folder, "train%zu", b);
        files = open_files(f, &p, folder, false, blocks[b]);
        assert_ok(f->ctx, ntk_files_compute(files, (void *const *)out));
        for (size_t m = 0; m < 4; m++) {
            assert_same(N * N, out[m], p.k[m]);
            check_rows(f, files, p.k[m], m);
        }
        ntk_files_free(files);
        snprintf(folder, sizeof folder, "test%zu", b);
        files = open_files(f, &p, folder, true, blocks[b] < M ? blocks[b] : M);
        assert_ok(f->ctx, ntk_files_compute(files, (void *const *)out));
        for (size_t m = 0; m < 4; m++) {
            assert_same(M * N, out[m], p.cross[m]);
            assert_ok(f->ctx, ntk_files_rows(files, m, 3, 7, out[0]));
            assert_same(7 * N, out[0], p.cross[m] + 3 * N);
        }
        ntk_files_free(files);
    }
    for (int m = 0; m < 4; m++)
        free(out[m]);
    end(&p);
}

/* The kernel comes in blocks, of which those above the diagonal are put below it too. */
static void rows_of_many_blocks(void **state)
{
    enum { MANY = 700 };
    struct fixture *f = *state;
    double *x = malloc(MANY * D * sizeof *x), *k[2], *want[2];
    struct problem p;
    ntk_files *files;
    ntk_kernel *kernel;
    ntk_data *data;
    uint64_t seed = 8;

    begin(f, &p);
    for (int i = 0; i < MANY * D; i++)
        x[i] = test_normal(&seed);
    for (int m = 0; m < 2; m++) {
        k[m] = malloc(sizeof(double[MANY * MANY]));
        want[m] = malloc(sizeof(double[MANY * MANY]));
    }
    assert_ok(f->ctx, ntk_data_view(f->ctx, x, NTK_F64, MANY, (ntk_shape){0, 1, 1, D}, &data));
    assert_ok(f->ctx, ntk_kernel_new(f->ctx, (const ntk_net *const *)p.nets, 1, NTK_NNGP | NTK_NTK, NTK_F64,
                                     ntk_data_shape(data), &kernel));
    assert_ok(f->ctx, ntk_kernel_compute(kernel, data, NULL, (void *const *)want));
    assert_ok(f->ctx, ntk_files_open(f->ctx, path_of(f, "store"), (const ntk_net *const *)p.nets, 1, NTK_NNGP | NTK_NTK,
                                     NTK_F64, data, NULL, &files));
    assert_int_equal(files->block, MANY);
    assert_ok(f->ctx, ntk_files_compute(files, (void *const *)k));
    for (size_t m = 0; m < 2; m++) {
        assert_same(MANY * MANY, k[m], want[m]);
        assert_ok(f->ctx, ntk_files_rows(files, m, 0, MANY, k[m])); /* as they are in the file */
        assert_same(MANY * MANY, k[m], want[m]);
    }
    ntk_files_free(files);
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    for (int m = 0; m < 2; m++) {
        free(k[m]);
        free(want[m]);
    }
    free(x);
    end(&p);
}

/* ---- folders that others change meanwhile */

static void shell(const char *what, const struct fixture *f, const char *file)
{
    char command[400];

    snprintf(command, sizeof command, "%s %s/%s", what, f->dir, file);
    assert_int_equal(system(command), 0);
}

static int remove_all(const ntk_block *b, void *user)
{
    if (b->i0 == 0 && b->j0 == 0)
        shell("rm -f", user, "store/*.f64");
    return 0;
}

static int stop(const ntk_block *b, void *user)
{
    (void)b, (void)user;
    return 1;
}

static void what_is_gone_is_said(void **state)
{
    struct fixture *f = *state;
    struct ntk_reading r = {.ni = N, .what = "rows", .sink = stop, .user = f};
    struct problem p;
    struct ntk_operator *o;
    ntk_files *files;

    begin(f, &p);
    ntk_files_free(open_files(f, &p, "store", false, 7));
    assert_ok(f->ctx, ntk_operator_of_files(f->ctx, path_of(f, "store"), (const ntk_net *const *)p.nets, 2,
                                            NTK_NNGP | NTK_NTK, NTK_F64, p.x, &o));
    assert_fails(f->ctx, NTK_ECANCEL, "cancelled by the receiver", o->class->stream(o, &r));
    r.sink = remove_all;
    assert_fails(f->ctx, NTK_EIO, "cannot be read as a whole: remove it", o->class->stream(o, &r));
    ntk_operator_free(o);
    files = open_files(f, &p, "store", false, 7);
    shell("rm -r", f, "store");
    assert_fails(f->ctx, NTK_EIO, "cannot write", ntk_files_compute(files, NULL));
    shell("touch", f, "store");
    assert_fails(f->ctx, NTK_EIO, "cannot be read: Not a directory", ntk_files_compute(files, NULL));
    ntk_files_free(files);
    assert_fails(f->ctx, NTK_EIO, "cannot write /proc/store.txt",
                 ntk_files_open(f->ctx, "/proc", (const ntk_net *const *)p.nets, 2, NTK_NNGP | NTK_NTK, NTK_F64, p.x, NULL,
                                &files));
    end(&p);
}

/* ---- the operator */

struct taken {
    double k[N * N];
    int count[N * N];
    int64_t i0, ni;
};

static int take(const ntk_block *b, void *user)
{
    struct taken *t = user;

    if (b->output != 1)
        return 0;
    assert_true(b->j0 >= b->i0 && b->i0 >= t->i0 && b->i0 + b->ni <= t->i0 + t->ni);
    assert_true(b->j0 > b->i0 ? b->j0 >= b->i0 + b->ni : b->nj == b->ni);
    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++) {
            t->k[(b->i0 + i) * N + b->j0 + j] = ((const double *)b->k)[i * b->ld + j];
            t->count[(b->i0 + i) * N + b->j0 + j]++;
        }
    return 0;
}

static void operator_of_a_list_that_has_more(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct ntk_operator *o;
    double diagonal[N], x[2 * N], product[2 * N];

    begin(f, &p);
    ntk_files_free(open_files(f, &p, "store", false, 7));
    /* the second net alone is among them */
    assert_ok(f->ctx, ntk_operator_of_files(f->ctx, path_of(f, "store"), (const ntk_net *const *)p.nets + 1, 1,
                                            NTK_NNGP | NTK_NTK, NTK_F64, p.x, &o));
    for (int64_t i0 = 0; i0 < N; i0 += 4)
        for (int64_t ni = 1; i0 + ni <= N; ni += 3) {
            struct taken t = {.i0 = i0, .ni = ni};
            const struct ntk_reading r = {.i0 = i0, .ni = ni, .what = "rows", .sink = take, .user = &t};

            assert_ok(f->ctx, o->class->stream(o, &r));
            for (int64_t i = i0; i < i0 + ni; i++)
                for (int64_t j = i; j < N; j++) {
                    assert_int_equal(t.count[i * N + j], 1);
                    assert_near(t.k[i * N + j], p.k[3][i * N + j], 1e-14, 1);
                }
        }
    assert_ok(f->ctx, ntk_operator_diagonal(o, 1, diagonal));
    for (int i = 0; i < N; i++)
        assert_near(diagonal[i], p.k[3][i * N + i], 1e-14, 1);
    for (int i = 0; i < 2 * N; i++)
        x[i] = cos(i);
    assert_ok(f->ctx, ntk_operator_apply(o, 0, 2, x, product));
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < N; i++) {
            double sum = 0;

            for (int j = 0; j < N; j++)
                sum += p.k[2][i * N + j] * x[c * N + j];
            assert_near(product[c * N + i], sum, 1e-13, 10);
        }
    ntk_operator_free(o);
    end(&p);
}

/* ---- cancelling */

struct told {
    double last, total;
    double stop; /* pairs from which it cancels */
    bool falls;
};

static int tell(const char *what, double done, double total, void *user)
{
    struct told *t = user;

    if (strcmp(what, "pairs of samples") != 0)
        return 0;
    t->falls = t->falls || done < t->last || (t->total > 0 && total != t->total);
    t->last = done;
    t->total = total;
    return done >= t->stop;
}

static void cancelled_work_goes_on(void **state)
{
    struct fixture *f = *state;
    struct told t = {.stop = 300};
    struct problem p;
    ntk_files *files;
    double *out[4];

    begin(f, &p);
    for (int m = 0; m < 4; m++)
        out[m] = malloc(N * N * sizeof *out[m]);
    files = open_files(f, &p, "store", false, 5);
    ntk_ctx_set_progress(f->ctx, tell, &t);
    assert_fails(f->ctx, NTK_ECANCEL, "of 8 blocks in ", ntk_files_compute(files, NULL));
    assert_true(t.total == N * (N + 1) / 2 && !t.falls);
    ntk_files_free(files);

    t = (struct told){.stop = (double)INFINITY};
    files = open_files(f, &p, "store", false, 5);
    assert_ok(f->ctx, ntk_files_compute(files, (void *const *)out));
    assert_true(t.total > 0 && t.total <= N * (N + 1) / 2 - 175 && t.last == t.total && !t.falls);
    for (int m = 0; m < 4; m++)
        assert_same(N * N, out[m], p.k[m]);
    ntk_files_free(files);

    t = (struct told){.stop = (double)INFINITY};
    files = open_files(f, &p, "store", false, 5);
    assert_ok(f->ctx, ntk_files_compute(files, NULL));
    assert_true(t.total == 0);
    ntk_files_free(files);
    ntk_ctx_set_progress(f->ctx, NULL, NULL);
    for (int m = 0; m < 4; m++)
        free(out[m]);
    end(&p);
}

static void memory_is_checked_before(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    ntk_files *files;

    begin(f, &p);
    files = open_files(f, &p, "store", false, N);
    ntk_ctx_set_memory(f->ctx, 4 * N * N * sizeof(double) - 1);
    assert_fails(f->ctx, NTK_ENOMEM, "the kernel needs", ntk_files_compute(files, NULL));
    ntk_ctx_set_memory(f->ctx, 0);
    ntk_files_free(files);
    end(&p);
}

/* Samples that differ in signs, in order or in one number are others; of another type they are the same. */
static void samples_are_known(void **state)
{
    struct fixture *f = *state;
    double x[] = {1, 2, -3, 4, 5, 6};
    const double others[][6] = {{-1, 2, 3, 4, 5, 6}, {2, 1, -3, 4, 5, 6}, {1, 2, -3, 4, 5, 7}, {4, 5, 6, 1, 2, -3}};
    const float same[] = {1, 2, -3, 4, 5, 6};
    const ntk_shape shape = {0, 1, 1, 3};
    struct problem p;
    struct ntk_operator *o = NULL;
    ntk_data *data;

    begin(f, &p);
    for (int i = -1; i < 5; i++) {
        assert_ok(f->ctx, ntk_data_view(f->ctx, i < 0 ? (void *)x : i < 4 ? (const void *)others[i] : (const void *)same,
                                        i < 4 ? NTK_F64 : NTK_F32, 2, shape, &data));
        if (i < 0 || i == 4) {
            assert_ok(f->ctx, ntk_operator_of_files(f->ctx, path_of(f, "store"), (const ntk_net *const *)p.nets, 1, NTK_NTK,
                                                    NTK_F64, data, &o));
            ntk_operator_free(o);
        } else {
            assert_fails(f->ctx, NTK_EINVAL, "Choose another folder",
                         ntk_operator_of_files(f->ctx, path_of(f, "store"), (const ntk_net *const *)p.nets, 1, NTK_NTK,
                                               NTK_F64, data, &o));
        }
        ntk_data_free(data);
    }
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_ways_of_reading),    TEST(operator_of_a_list_that_has_more), TEST(cancelled_work_goes_on),
        TEST(memory_is_checked_before), TEST(samples_are_known),
        TEST(rows_of_many_blocks),      TEST(what_is_gone_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
