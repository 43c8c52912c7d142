/* SPDX-License-Identifier: MIT
 *
 * Stores of kernels in a file: bit by bit the entries of one call, by all ways of reading; lists that have more than is asked
 * for; what differs is refused; cancelling and going on; bytes that change, files that are cut short, disks that are full;
 * progress over all tiles; memory.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "store/store.h"

#define N 700 /* three rows of tiles of 256 */
#define M 300
#define D 5

static const char *const texts[] = {"serial(Dense(9, W_std=1.4, b_std=0.1), Relu(), Dense(1))",
                                    "serial(Dense(9), Gelu(), Dense(5), Relu(), Dense(1))"};

struct problem {
    ntk_net *nets[2];
    ntk_data *x, *test;
    ntk_dtype dtype;
    double numbers[(N + M) * D];
    unsigned char *k[4], *cross[4]; /* [N][N], [M][N] of dtype */
};

static void begin(struct fixture *f, struct problem *p, ntk_dtype dtype)
{
    uint64_t seed = 3;
    ntk_kernel *kernel;

    p->dtype = dtype;
    for (int i = 0; i < (N + M) * D; i++)
        p->numbers[i] = test_normal(&seed);
    memcpy(p->numbers + 650 * D, p->numbers + 20 * D, D * sizeof(double));       /* equal samples in other tiles */
    memcpy(p->numbers + (N + 299) * D, p->numbers + 300 * D, D * sizeof(double)); /* and parts */
    for (int i = 0; i < 2; i++)
        assert_ok(f->ctx, ntk_net_parse(f->ctx, texts[i], &p->nets[i]));
    assert_ok(f->ctx, ntk_data_view(f->ctx, p->numbers, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &p->x));
    assert_ok(f->ctx, ntk_data_view(f->ctx, p->numbers + N * D, NTK_F64, M, (ntk_shape){0, 1, 1, D}, &p->test));
    for (int m = 0; m < 4; m++) {
        p->k[m] = calloc(N * N, dtype);
        p->cross[m] = calloc(M * N, dtype);
    }
    assert_ok(f->ctx, ntk_kernel_new(f->ctx, (const ntk_net *const *)p->nets, 2, NTK_NNGP | NTK_NTK, dtype,
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

#define BOUND ((size_t)40 << 20) /* with which tiles are small: of 256 */

/* All matrices and both parts, in tiles of 256. */
static ntk_kernel_store *open_store(struct fixture *f, const struct problem *p, const char *name)
{
    ntk_kernel_store *s;

    ntk_ctx_set_memory(f->ctx, BOUND);
    assert_ok(f->ctx, ntk_store_open(f->ctx, path_of(f, name), (const ntk_net *const *)p->nets, 2, NTK_NNGP | NTK_NTK,
                                     p->dtype, p->x, NULL, p->test, &s));
    ntk_ctx_set_memory(f->ctx, 0);
    assert_int_equal(s->part[NTK_STORE_MAIN].b1, p->dtype == NTK_F32 ? 512 : 256);
    return s;
}

static void fill_store(struct fixture *f, const struct problem *p, const char *name)
{
    ntk_kernel_store *s = open_store(f, p, name);

    assert_ok(f->ctx, ntk_store_fill(s));
    ntk_store_free(s);
}

/* ---- entries */

static void check_rows(struct fixture *f, ntk_kernel_store *s, const struct problem *p, size_t m)
{
    const size_t row = N * p->dtype;
    unsigned char *rows = malloc(N * row);

    for (int64_t i0 = 0; i0 < N; i0 += 171)
        for (int64_t ni = 1; i0 + ni <= N; ni += 283) {
            assert_ok(f->ctx, ntk_store_rows(s, m, 0, i0, ni, rows));
            assert_memory_equal(rows, p->k[m] + (size_t)i0 * row, (size_t)ni * row);
            if (i0 + ni > M)
                continue;
            assert_ok(f->ctx, ntk_store_rows(s, m, 1, i0, ni, rows));
            assert_memory_equal(rows, p->cross[m] + (size_t)i0 * row, (size_t)ni * row);
        }
    assert_fails(f->ctx, NTK_EINVAL, "rows 699 to 700", ntk_store_rows(s, m, 0, N - 1, 2, rows));
    assert_fails(f->ctx, NTK_EINVAL, "of matrix 4", ntk_store_rows(s, 4, 0, 0, 1, rows));
    free(rows);
}

static void bits_are_those_of_one_call(void **state)
{
    static const ntk_dtype dtypes[] = {NTK_F64, NTK_F32};
    struct fixture *f = *state;
    static struct problem p;

    for (int k = 0; k < 2; k++) {
        const char *name = k ? "single.h5" : "double.h5";
        ntk_kernel_store *s;
        unsigned char *out[4];

        begin(f, &p, dtypes[k]);
        for (int m = 0; m < 4; m++)
            out[m] = malloc(N * N * p.dtype);
        fill_store(f, &p, name);
        assert_ok(f->ctx, ntk_store_read(f->ctx, path_of(f, name), &s));
        assert_ok(f->ctx, ntk_store_compute(s, (void *const *)out));
        for (size_t m = 0; m < 4; m++) {
            assert_memory_equal(out[m], p.k[m], N * N * p.dtype);
            check_rows(f, s, &p, m);
            free(out[m]);
        }
        ntk_store_free(s);
        end(&p);
    }
}

/* With positions tiles begin anywhere; few pairs in a batch are summed in the order of many. */
static void images_too(void **state)
{
    enum { IMAGES = 150, SIDE = 6 };
    struct fixture *f = *state;
    double *x = malloc(sizeof(double[IMAGES][SIDE * SIDE])), *want = malloc(sizeof(double[IMAGES][IMAGES])), *got;
    uint64_t seed = 5;
    ntk_kernel *kernel;
    ntk_kernel_store *s;
    ntk_data *data;
    ntk_net *net;

    got = malloc(sizeof(double[IMAGES][IMAGES]));
    for (int i = 0; i < IMAGES * SIDE * SIDE; i++)
        x[i] = test_normal(&seed);
    assert_ok(f->ctx, ntk_net_parse(f->ctx, "cntk(depth=2, pool='gap')", &net));
    assert_ok(f->ctx, ntk_data_view(f->ctx, x, NTK_F64, IMAGES, (ntk_shape){2, SIDE, SIDE, 1}, &data));
    assert_ok(f->ctx, ntk_kernel_new(f->ctx, (const ntk_net *const *)&net, 1, NTK_NTK, NTK_F64, ntk_data_shape(data), &kernel));
    assert_ok(f->ctx, ntk_kernel_compute(kernel, data, NULL, (void *[]){want}));
    ntk_ctx_set_memory(f->ctx, 2 << 20);
    assert_ok(f->ctx, ntk_store_open(f->ctx, path_of(f, "images.h5"), (const ntk_net *const *)&net, 1, NTK_NTK, NTK_F64, data,
                                     NULL, NULL, &s));
    ntk_ctx_set_memory(f->ctx, 0);
    assert_int_equal(s->part[NTK_STORE_MAIN].b1, 128);
    assert_ok(f->ctx, ntk_store_compute(s, (void *[]){got}));
    assert_memory_equal(got, want, sizeof(double[IMAGES][IMAGES]));
    ntk_store_free(s);
    ntk_kernel_free(kernel);
    ntk_data_free(data);
    ntk_net_free(net);
    free(x);
    free(want);
    free(got);
}

/* Rows by columns: no half is left out. */
static void rectangles(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    double *out[2] = {malloc(sizeof(double[M][N])), malloc(sizeof(double[M][N]))};
    struct ntk_operator *o;
    ntk_kernel_store *s;

    begin(f, &p, NTK_F64);
    assert_ok(f->ctx, ntk_store_open(f->ctx, path_of(f, "r.h5"), (const ntk_net *const *)p.nets, 2, NTK_NTK, NTK_F64, p.test,
                                     p.x, NULL, &s));
    assert_ok(f->ctx, ntk_store_compute(s, (void *const *)out));
    assert_memory_equal(out[0], p.cross[1], sizeof(double[M][N]));
    assert_memory_equal(out[1], p.cross[3], sizeof(double[M][N]));
    assert_fails(f->ctx, NTK_EINVAL, "not of samples with themselves", ntk_operator_of_stored(s, &o));
    assert_fails(f->ctx, NTK_EINVAL, "has no test part", ntk_store_rows(s, 0, 1, 0, 1, out[0]));
    ntk_store_free(s);
    assert_fails(f->ctx, NTK_EINVAL, "x2 must be NULL",
                 ntk_store_open(f->ctx, path_of(f, "r.h5"), (const ntk_net *const *)p.nets, 2, NTK_NTK, NTK_F64, p.test, p.x,
                                p.x, &s));
    free(out[0]);
    free(out[1]);
    end(&p);
}

/* ---- the operator */

struct taken {
    double *k; /* [N][N] */
    int *count;
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

static int stop(const ntk_block *b, void *user)
{
    (void)b, (void)user;
    return 1;
}

static void check_product(struct fixture *f, struct ntk_operator *o, const double *k)
{
    double *x = malloc(sizeof(double[2][N])), *product = malloc(sizeof(double[2][N])), *again = malloc(sizeof(double[2][N]));

    for (int i = 0; i < 2 * N; i++)
        x[i] = cos(i);
    assert_ok(f->ctx, ntk_operator_apply(o, 0, 2, x, product));
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < N; i++) {
            double sum = 0;

            for (int j = 0; j < N; j++)
                sum += k[i * N + j] * x[c * N + j];
            assert_near(product[c * N + i], sum, 1e-13, 100);
        }
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 3));
    assert_ok(f->ctx, ntk_operator_apply(o, 0, 2, x, again));
    assert_memory_equal(again, product, sizeof(double[2][N]));
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 0));
    free(x);
    free(product);
    free(again);
}

static void operator_of_a_list_that_has_more(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    struct ntk_reading stopped = {.ni = N, .what = "rows", .sink = stop};
    struct ntk_operator *o;
    double diagonal[N];

    begin(f, &p, NTK_F64);
    ntk_store_free(open_store(f, &p, "store.h5"));
    /* the second net alone is among them */
    assert_ok(f->ctx, ntk_operator_of_store(f->ctx, path_of(f, "store.h5"), (const ntk_net *const *)p.nets + 1, 1,
                                            NTK_NNGP | NTK_NTK, NTK_F64, p.x, &o));
    for (int64_t i0 = 0; i0 < N; i0 += 180)
        for (int64_t ni = 1; i0 + ni <= N; ni += 230) {
            struct taken t = {.k = calloc(N * N, sizeof(double)), .count = calloc(N * N, sizeof(int)), .i0 = i0, .ni = ni};
            const struct ntk_reading r = {.i0 = i0, .ni = ni, .what = "rows", .sink = take, .user = &t};

            assert_ok(f->ctx, o->class->stream(o, &r));
            for (int64_t i = i0; i < i0 + ni; i++)
                for (int64_t j = i; j < N; j++) {
                    assert_int_equal(t.count[i * N + j], 1);
                    assert_near(t.k[i * N + j], ((const double *)(const void *)p.k[3])[i * N + j], 1e-14, 1);
                }
            free(t.k);
            free(t.count);
        }
    assert_fails(f->ctx, NTK_ECANCEL, "cancelled by the receiver", o->class->stream(o, &stopped));
    assert_ok(f->ctx, ntk_operator_diagonal(o, 1, diagonal));
    for (int i = 0; i < N; i++)
        assert_near(diagonal[i], ((const double *)(const void *)p.k[3])[i * N + i], 1e-14, 1);
    check_product(f, o, (const double *)(const void *)p.k[2]);
    ntk_operator_free(o);
    end(&p);
}

static void products_with_float32_entries(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    struct ntk_operator *o;
    double *wide = malloc(sizeof(double[N][N]));

    begin(f, &p, NTK_F32);
    ntk_store_free(open_store(f, &p, "store.h5"));
    assert_ok(f->ctx, ntk_operator_of_store(f->ctx, path_of(f, "store.h5"), (const ntk_net *const *)p.nets, 1, NTK_NTK, NTK_F32,
                                            p.x, &o));
    for (int i = 0; i < N * N; i++)
        wide[i] = (double)((const float *)(const void *)p.k[1])[i];
    check_product(f, o, wide);
    ntk_operator_free(o);
    free(wide);
    end(&p);
}

/* ---- what it is of */

static void a_net_twice_is_stored_once(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    const ntk_net *nets[2];
    ntk_store_info info;
    ntk_kernel_store *s;
    double *out[2] = {malloc(sizeof(double[N][N])), malloc(sizeof(double[N][N]))};

    begin(f, &p, NTK_F64);
    nets[0] = nets[1] = p.nets[0];
    assert_ok(f->ctx, ntk_store_open(f->ctx, path_of(f, "twice.h5"), nets, 2, NTK_NTK, NTK_F64, p.x, NULL, NULL, &s));
    assert_ok(f->ctx, ntk_store_compute(s, (void *const *)out));
    assert_memory_equal(out[0], p.k[1], sizeof(double[N][N]));
    assert_memory_equal(out[1], p.k[1], sizeof(double[N][N]));
    ntk_store_info_init(&info);
    assert_ok(f->ctx, ntk_store_about(s, &info));
    assert_int_equal(info.matrices, 1);
    assert_int_equal(info.done, info.tiles);
    ntk_store_free(s);
    free(out[0]);
    free(out[1]);
    end(&p);
}

static void what_differs_is_refused(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    const ntk_net *const *nets = (const ntk_net *const *)p.nets;
    ntk_kernel_store *s = NULL;
    ntk_data *digits;
    ntk_net *other;
    char path[256];

    digits = load(f, "digits", NULL);
    begin(f, &p, NTK_F64);
    ntk_store_free(open_store(f, &p, "store.h5"));
    snprintf(path, sizeof path, "%s", f->path);
    assert_ok(f->ctx, ntk_net_parse(f->ctx, "serial(Dense(9), Relu(), Dense(1))", &other));
    assert_fails(f->ctx, NTK_EINVAL, "It has nngp: serial(Dense(9, W_std=1.4, b_std=0.1), Relu(), Dense(1)) and others, and not "
                                     "ntk: serial(Dense(9), Relu(), Dense(1))",
                 ntk_store_open(f->ctx, path, (const ntk_net *const *)&other, 1, NTK_NTK, NTK_F64, p.x, NULL, NULL, &s));
    assert_fails(f->ctx, NTK_EINVAL, "its entries: float64, computed by cpu; here, entries: float32",
                 ntk_store_open(f->ctx, path, nets, 2, NTK_NTK, NTK_F32, p.x, NULL, NULL, &s));
    assert_fails(f->ctx, NTK_EINVAL, "its rows: 700 samples",
                 ntk_store_open(f->ctx, path, nets, 2, NTK_NTK, NTK_F64, p.test, NULL, NULL, &s));
    assert_fails(f->ctx, NTK_EINVAL, "its columns: those of the rows; here, columns: 300 samples",
                 ntk_store_open(f->ctx, path, nets, 2, NTK_NTK, NTK_F64, p.x, p.test, NULL, &s));
    assert_fails(f->ctx, NTK_EINVAL, "its test: 300 samples of 5, hash ",
                 ntk_store_open(f->ctx, path, nets, 2, NTK_NTK, NTK_F64, p.x, NULL, p.x, &s));
    assert_fails(f->ctx, NTK_ESHAPE, "have shape",
                 ntk_store_open(f->ctx, path, nets, 2, NTK_NTK, NTK_F64, p.x, NULL, digits, &s));
    write_text(f, "text.h5", "no store\n");
    assert_fails(f->ctx, NTK_EIO, "is not an HDF5 file",
                 ntk_store_open(f->ctx, f->path, nets, 2, NTK_NTK, NTK_F64, p.x, NULL, NULL, &s));
    assert_fails(f->ctx, NTK_EIO, "cannot read the store", ntk_store_read(f->ctx, path_of(f, "nowhere.h5"), &s));
    assert_fails(f->ctx, NTK_EIO, "cannot write",
                 ntk_store_open(f->ctx, path_of(f, "no/where.h5"), nets, 2, NTK_NTK, NTK_F64, p.x, NULL, NULL, &s));
    assert_null(s);
    ntk_data_free(digits);
    ntk_net_free(other);
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
    ntk_kernel_store *s = NULL;
    ntk_data *data;
    ntk_net *net;

    assert_ok(f->ctx, ntk_net_parse(f->ctx, texts[0], &net));
    path_of(f, "store.h5");
    for (int i = -1; i < 5; i++) {
        assert_ok(f->ctx, ntk_data_view(f->ctx, i < 0 ? (void *)x : i < 4 ? (const void *)others[i] : (const void *)same,
                                        i < 4 ? NTK_F64 : NTK_F32, 2, shape, &data));
        if (i < 0 || i == 4) {
            assert_ok(f->ctx, ntk_store_open(f->ctx, f->path, (const ntk_net *const *)&net, 1, NTK_NTK, NTK_F64, data, NULL,
                                             NULL, &s));
            ntk_store_free(s);
        } else {
            assert_fails(f->ctx, NTK_EINVAL, "Choose another file",
                         ntk_store_open(f->ctx, f->path, (const ntk_net *const *)&net, 1, NTK_NTK, NTK_F64, data, NULL, NULL,
                                        &s));
        }
        ntk_data_free(data);
    }
    ntk_net_free(net);
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

static void assert_same_files(const struct fixture *f, const char *a, const char *b)
{
    char command[400];

    snprintf(command, sizeof command, "cmp %s/%s %s/%s", f->dir, a, f->dir, b);
    assert_int_equal(system(command), 0);
}

static void cancelled_work_goes_on(void **state)
{
    const double all = N * (N + 1) / 2 + M * N;
    struct fixture *f = *state;
    static struct problem p;
    struct told t = {.stop = 150000};
    ntk_kernel_store *s;
    unsigned char row[N * sizeof(double)];

    begin(f, &p, NTK_F64);
    fill_store(f, &p, "whole.h5");
    s = open_store(f, &p, "part.h5");
    ntk_ctx_set_progress(f->ctx, tell, &t);
    assert_fails(f->ctx, NTK_ECANCEL, " of 48 tiles in ", ntk_store_fill(s));
    assert_true(t.total == all && !t.falls);
    ntk_store_free(s);
    assert_ok(f->ctx, ntk_store_read(f->ctx, path_of(f, "part.h5"), &s));
    assert_fails(f->ctx, NTK_EIO, "is not finished: it has ", ntk_store_rows(s, 0, 0, 0, 1, row));
    ntk_store_free(s);

    t = (struct told){.stop = (double)INFINITY};
    s = open_store(f, &p, "part.h5");
    assert_ok(f->ctx, ntk_store_fill(s));
    assert_true(t.total > 0 && t.total < all && t.last == t.total && !t.falls);
    ntk_store_free(s);
    assert_same_files(f, "whole.h5", "part.h5");

    t = (struct told){.stop = (double)INFINITY};
    s = open_store(f, &p, "part.h5");
    assert_ok(f->ctx, ntk_store_fill(s));
    assert_true(t.total == 0);
    ntk_store_free(s);
    ntk_ctx_set_progress(f->ctx, NULL, NULL);
    end(&p);
}

/* ---- who goes on with it */

struct said {
    char begun[300];
    int times;
};

static void hear(int level, const char *message, void *user)
{
    struct said *s = user;

    (void)level;
    if (strstr(message, "was begun by")) {
        snprintf(s->begun, sizeof s->begun, "%s", message);
        s->times++;
    }
}

static void another_version_goes_on(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    struct said said = {.times = 0};
    ntk_kernel_store *s;

    begin(f, &p, NTK_F64);
    ntk_ctx_set_log(f->ctx, hear, &said);
    fill_store(f, &p, "same.h5");
    assert_int_equal(said.times, 0);
    s = open_store(f, &p, "store.h5");
    s->made_by[strlen("libntk ")] = '9'; /* as of another version */
    assert_ok(f->ctx, ntk_store_fill(s));
    assert_int_equal(said.times, 1);
    assert_non_null(strstr(said.begun, "store.h5 was begun by libntk 9"));
    assert_non_null(strstr(said.begun, "; its new tiles come from libntk 0"));
    assert_ok(f->ctx, ntk_store_fill(s)); /* nothing is computed */
    assert_int_equal(said.times, 1);
    ntk_store_free(s);
    ntk_ctx_set_log(f->ctx, NULL, NULL);
    end(&p);
}

/* ---- two at once */

/* What is asked while another store of the same file fills it: each as another process would. */
struct second {
    struct fixture *f;
    const struct problem *p;
    ntk_ctx *ctx;
    ntk_kernel_store *other;
    int asked;
};

static int ask(const char *what, double done, double total, void *user)
{
    struct second *t = user;
    ntk_kernel_store *reader;

    (void)what, (void)total;
    if (done <= 0 || t->asked)
        return 0;
    t->asked = 1;
    assert_fails(t->ctx, NTK_EIO, "another process is writing ", ntk_store_fill(t->other));
    assert_fails(t->ctx, NTK_EIO, "another process is writing ", ntk_store_mend(t->ctx, t->f->path, NULL));
    assert_ok(t->ctx, ntk_store_read(t->ctx, t->f->path, &reader)); /* reading goes on */
    ntk_store_free(reader);
    return 0;
}

static void only_one_writes(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    struct second t = {.f = f, .p = &p};
    ntk_kernel_store *s;

    begin(f, &p, NTK_F64);
    fill_store(f, &p, "whole.h5");
    s = open_store(f, &p, "store.h5");
    assert_int_equal(ntk_ctx_new(&t.ctx), NTK_OK);
    assert_ok(t.ctx, ntk_store_open(t.ctx, f->path, (const ntk_net *const *)p.nets, 2, NTK_NNGP | NTK_NTK, NTK_F64, p.x, NULL,
                                    p.test, &t.other));
    ntk_ctx_set_progress(f->ctx, ask, &t);
    assert_ok(f->ctx, ntk_store_fill(s));
    ntk_ctx_set_progress(f->ctx, NULL, NULL);
    assert_int_equal(t.asked, 1);
    ntk_store_free(s);
    /* the other finds what is there by now */
    t.asked = 0;
    ntk_ctx_set_progress(t.ctx, ask, &t);
    assert_ok(t.ctx, ntk_store_fill(t.other));
    assert_int_equal(t.asked, 0);
    ntk_store_free(t.other);
    assert_same_files(f, "whole.h5", "store.h5");

    /* a file that takes its place is not written to */
    s = open_store(f, &p, "moved.h5");
    assert_int_equal(unlink(f->path), 0);
    ntk_store_free(open_store(f, &p, "moved.h5"));
    assert_fails(f->ctx, NTK_EIO, "is another file than the store that was opened", ntk_store_fill(s));
    ntk_store_free(s);
    ntk_ctx_free(t.ctx);
    end(&p);
}

/* While a file is made, another comes, complete: it stays. */
struct comes {
    struct fixture *f;
    int done;
};

static int come(const char *what, double done, double total, void *user)
{
    struct comes *c = user;
    char command[300];

    (void)what, (void)done, (void)total;
    if (c->done++ == 0) {
        snprintf(command, sizeof command, "cp %s/whole.h5 %s/new.h5", c->f->dir, c->f->dir);
        assert_int_equal(system(command), 0);
    }
    return 0;
}

static void what_came_meanwhile_stays(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    struct comes c = {f, 0};
    ntk_kernel_store *s;
    ntk_store_info info;

    begin(f, &p, NTK_F64);
    fill_store(f, &p, "whole.h5");
    ntk_ctx_set_progress(f->ctx, come, &c);
    s = open_store(f, &p, "new.h5");
    ntk_ctx_set_progress(f->ctx, NULL, NULL);
    assert_true(c.done > 0);
    ntk_store_info_init(&info);
    assert_ok(f->ctx, ntk_store_about(s, &info));
    assert_int_equal(info.done, info.tiles);
    ntk_store_free(s);
    end(&p);
}

/* ---- what happens to files */

static void flip(const struct fixture *f, const char *name, uint64_t at)
{
    char path[300];
    unsigned char byte = 0;
    int fd;

    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* Any bit of a tile, or of a checksum. The file is then mended, and its bytes are what they were. */
static void flipped_bits_are_found(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    ntk_kernel_store *s;
    uint64_t at[4];
    int64_t wrong = 9;
    double row[N];

    begin(f, &p, NTK_F64);
    fill_store(f, &p, "whole.h5");
    s = open_store(f, &p, "store.h5");
    assert_ok(f->ctx, ntk_store_fill(s));
    at[0] = s->part[0].at + (2 * 6 + 4) * ntk_store_tile_bytes(s, &s->part[0]) + (187 * 256 + 255) * sizeof(double) + 7;
    at[1] = s->part[0].at;
    at[2] = s->part[1].at + ntk_store_tile_bytes(s, &s->part[1]) + 255 * sizeof(double);
    at[3] = s->part[0].marks_at + 3 * sizeof(uint64_t) + 1;
    ntk_store_free(s);
    assert_ok(f->ctx, ntk_store_verify(f->ctx, path_of(f, "store.h5"), &wrong));
    assert_int_equal(wrong, 0);
    flip(f, "store.h5", at[0]);
    assert_fails(f->ctx, NTK_EIO, "store.h5: the tile of 1.nngp, rows 512 to 699, columns 256 to 511, is not what was written",
                 ntk_store_verify(f->ctx, f->path, &wrong));
    assert_int_equal(wrong, 1);
    assert_ok(f->ctx, ntk_store_read(f->ctx, f->path, &s));
    assert_ok(f->ctx, ntk_store_rows(s, 2, 0, 0, 1, row));
    assert_fails(f->ctx, NTK_EIO, "rows 512 to 699, columns 256 to 511", ntk_store_rows(s, 2, 0, 256, 1, row));
    assert_fails(f->ctx, NTK_EIO, "rows 512 to 699, columns 256 to 511", ntk_store_rows(s, 2, 0, 600, 1, row));
    ntk_store_free(s);
    for (int k = 1; k < 4; k++)
        flip(f, "store.h5", at[k]);
    assert_fails(f->ctx, NTK_EIO, "tile of 0.nngp, rows 0 to 255, columns 0 to 255", ntk_store_verify(f->ctx, f->path, &wrong));
    assert_int_equal(wrong, 4);
    assert_ok(f->ctx, ntk_store_mend(f->ctx, f->path, &wrong));
    assert_int_equal(wrong, 4);
    assert_ok(f->ctx, ntk_store_verify(f->ctx, f->path, &wrong));
    s = open_store(f, &p, "store.h5");
    assert_ok(f->ctx, ntk_store_fill(s));
    ntk_store_free(s);
    assert_same_files(f, "whole.h5", "store.h5");
    end(&p);
}

static void files_that_were_cut_short(void **state)
{
    static const double parts[] = {0.999, 0.5, 0.1};
    struct fixture *f = *state;
    static struct problem p;
    ntk_kernel_store *s = NULL;
    struct stat st;

    begin(f, &p, NTK_F64);
    fill_store(f, &p, "whole.h5");
    for (int k = 0; k < 3; k++) {
        char command[300];

        snprintf(command, sizeof command, "cp %s/whole.h5 %s/cut.h5", f->dir, f->dir);
        assert_int_equal(system(command), 0);
        assert_int_equal(stat(path_of(f, "cut.h5"), &st), 0);
        assert_int_equal(truncate(f->path, (off_t)(parts[k] * (double)st.st_size)), 0);
        assert_fails(f->ctx, NTK_EIO, "was cut short: it has ", ntk_store_read(f->ctx, f->path, &s));
        assert_ok(f->ctx, ntk_store_mend(f->ctx, f->path, NULL));
        s = open_store(f, &p, "cut.h5");
        assert_ok(f->ctx, ntk_store_fill(s));
        ntk_store_free(s);
        assert_same_files(f, "whole.h5", "cut.h5");
    }
    assert_int_equal(truncate(f->path, 20), 0);
    assert_fails(f->ctx, NTK_EIO, "is not an HDF5 file", ntk_store_read(f->ctx, f->path, &s));
    end(&p);
}

static int cancel_blank(const char *what, double done, double total, void *user)
{
    (void)done, (void)total, (void)user;
    return strcmp(what, "megabytes of the file") == 0;
}

/* A mend that is interrupted leaves a file that is cut short later, and no zeros. */
static void mending_is_gone_on_with(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    char command[300];
    ntk_kernel_store *s;
    struct stat whole, cut;

    begin(f, &p, NTK_F64);
    fill_store(f, &p, "whole.h5");
    assert_int_equal(stat(f->path, &whole), 0);
    snprintf(command, sizeof command, "cp %s/whole.h5 %s/cut.h5", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(truncate(path_of(f, "cut.h5"), whole.st_size / 2 + 3), 0);
    ntk_ctx_set_progress(f->ctx, cancel_blank, NULL);
    assert_fails(f->ctx, NTK_ECANCEL, "", ntk_store_mend(f->ctx, f->path, NULL));
    ntk_ctx_set_progress(f->ctx, NULL, NULL);
    assert_int_equal(stat(f->path, &cut), 0);
    assert_true(cut.st_size > whole.st_size / 2 && cut.st_size < whole.st_size);
    assert_ok(f->ctx, ntk_store_mend(f->ctx, f->path, NULL));
    s = open_store(f, &p, "cut.h5");
    assert_ok(f->ctx, ntk_store_fill(s));
    ntk_store_free(s);
    assert_same_files(f, "whole.h5", "cut.h5");
    end(&p);
}

/* Another's file that was cut short stays as it is: one whose format is another's. */
static void others_are_not_mended(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    char command[500];
    struct stat before, after;

    begin(f, &p, NTK_F64);
    ntk_store_free(open_store(f, &p, "other.h5"));
    snprintf(command, sizeof command, "LC_ALL=C sed -i 's/libntk store 1/libntk stare 1/' %s", f->path);
    assert_int_equal(system(command), 0);
    assert_fails(f->ctx, NTK_EIO, "its format is ", ntk_store_mend(f->ctx, f->path, NULL));
    assert_int_equal(stat(f->path, &before), 0);
    for (int k = 2; k < 2000; k *= 30) {
        assert_int_equal(truncate(f->path, before.st_size / k), 0);
        assert_fails(f->ctx, NTK_EIO, "is not the beginning of a store", ntk_store_mend(f->ctx, f->path, NULL));
        assert_int_equal(stat(f->path, &after), 0);
        assert_int_equal(after.st_size, before.st_size / k);
    }
    end(&p);
}

/* Nothing is left of a file that there is no room for. */
static void no_room(void **state)
{
    const struct rlimit few = {1 << 20, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
    struct fixture *f = *state;
    static struct problem p;
    ntk_kernel_store *s = NULL;
    ntk_status status;

    begin(f, &p, NTK_F64);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &few);
    status = ntk_store_open(f->ctx, path_of(f, "store.h5"), (const ntk_net *const *)p.nets, 2, NTK_NTK, NTK_F64, p.x, NULL, NULL,
                            &s);
    setrlimit(RLIMIT_FSIZE, &all);
    assert_int_equal(status, NTK_EIO);
    assert_non_null(strstr(ntk_errmsg(f->ctx), "cannot write"));
    assert_int_equal(access(f->path, F_OK), -1);
    end(&p);
}

static void memory_is_checked_before(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    ntk_kernel_store *s;

    begin(f, &p, NTK_F64);
    s = open_store(f, &p, "store.h5");
    ntk_ctx_set_memory(f->ctx, 4 * 256 * 256 * sizeof(double) - 1);
    assert_fails(f->ctx, NTK_ENOMEM, "a store of kernels needs", ntk_store_fill(s));
    ntk_ctx_set_memory(f->ctx, 0);
    ntk_store_free(s);
    end(&p);
}

/* However many samples there are: ntk_store_bytes is of a tile of them by them. */
static void tiles_are_bounded(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    ntk_kernel *kernel;

    begin(f, &p, NTK_F64);
    assert_ok(f->ctx, ntk_kernel_new(f->ctx, (const ntk_net *const *)p.nets, 1, NTK_NTK, NTK_F64, ntk_data_shape(p.x), &kernel));
    for (int64_t n = 100; n < 10000000; n = n * 3 + 1)
        assert_true(ntk_store_bytes(kernel, NTK_F64, n, n) <= 2048 * 2048 * sizeof(double));
    ntk_ctx_set_memory(f->ctx, BOUND);
    for (int64_t n = 100; n < 10000000; n = n * 3 + 1)
        assert_true(ntk_store_bytes(kernel, NTK_F64, n, n) <= BOUND / 8);
    ntk_ctx_set_memory(f->ctx, 0);
    ntk_kernel_free(kernel);
    end(&p);
}

/* What is read into counts, and both tiles of a product. */
static void memory_is_checked_as_a_sum(void **state)
{
    struct fixture *f = *state;
    static struct problem p;
    struct ntk_operator *o;
    ntk_kernel_store *s;
    float *out[1] = {malloc(sizeof(float[M][N]))};
    double *x, *product;
    size_t tile, scratch;

    begin(f, &p, NTK_F32);
    x = calloc(N, sizeof *x);
    product = calloc(N, sizeof *product);
    assert_ok(f->ctx, ntk_store_open(f->ctx, path_of(f, "r.h5"), (const ntk_net *const *)p.nets, 1, NTK_NTK, NTK_F32, p.test, p.x,
                                     NULL, &s));
    assert_ok(f->ctx, ntk_store_fill(s));
    tile = ntk_store_tile_bytes(s, &s->part[NTK_STORE_MAIN]);
    ntk_ctx_set_memory(f->ctx, tile + sizeof(float[M][N]) - 1);
    assert_fails(f->ctx, NTK_ENOMEM, "the kernel needs", ntk_store_compute(s, (void *const *)out));
    ntk_ctx_set_memory(f->ctx, tile + sizeof(float[M][N]));
    assert_ok(f->ctx, ntk_store_compute(s, (void *const *)out));
    ntk_ctx_set_memory(f->ctx, 0);
    ntk_store_free(s);

    s = open_store(f, &p, "store.h5");
    assert_ok(f->ctx, ntk_operator_of_stored(s, &o));
    assert_ok(f->ctx, ntk_operator_scratch(o, &scratch)); /* all matrices' tiles, and the kernel's */
    assert_true(scratch > 4 * ntk_store_tile_bytes(s, &s->part[NTK_STORE_MAIN]));
    assert_ok(f->ctx, ntk_store_fill(s));
    tile = ntk_store_tile_bytes(s, &s->part[NTK_STORE_MAIN]);
    assert_ok(f->ctx, ntk_operator_scratch(o, &scratch));
    assert_true(scratch >= tile && scratch < 4 * tile + ((size_t)64 << 20));
    ntk_ctx_set_memory(f->ctx, 3 * tile - 1);
    assert_fails(f->ctx, NTK_ENOMEM, "products with a stored matrix needs", ntk_operator_apply(o, 0, 1, x, product));
    ntk_ctx_set_memory(f->ctx, 3 * tile);
    assert_ok(f->ctx, ntk_operator_apply(o, 0, 1, x, product));
    ntk_ctx_set_memory(f->ctx, 0);
    ntk_operator_free(o);
    ntk_store_free(s);
    free(out[0]);
    free(x);
    free(product);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bits_are_those_of_one_call),
        TEST(images_too),
        TEST(rectangles),
        TEST(operator_of_a_list_that_has_more),
        TEST(products_with_float32_entries),
        TEST(a_net_twice_is_stored_once),
        TEST(what_differs_is_refused),
        TEST(samples_are_known),
        TEST(cancelled_work_goes_on),
        TEST(another_version_goes_on),
        TEST(only_one_writes),
        TEST(what_came_meanwhile_stays),
        TEST(flipped_bits_are_found),
        TEST(files_that_were_cut_short),
        TEST(mending_is_gone_on_with),
        TEST(others_are_not_mended),
        TEST(no_room),
        TEST(memory_is_checked_before),
        TEST(tiles_are_bounded),
        TEST(memory_is_checked_as_a_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
