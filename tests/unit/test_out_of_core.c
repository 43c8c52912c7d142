/* SPDX-License-Identifier: MIT
 *
 * The solver 'out-of-core', beyond what all solvers promise (test_solvers.c): against Cholesky in memory, with panels of any
 * width and any number of threads to the bit; files of factors: found again, gone on with, replaced, damaged, shared, full disks.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "solve/out_of_core.h"
#include "solve/solver.h"
#include "store/factor.h"
#include "store/store.h"

enum { N = 200, D = 4, M = 3 };

static const struct ntk_solver_class *class_of(struct fixture *f, const char *name)
{
    const struct ntk_solver_class *class;

    assert_ok(f->ctx, ntk_solver_find(f->ctx, name, &class));
    return class;
}

static void fill_normal(int64_t n, uint64_t seed, double *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = test_normal(&seed);
}

/* ---- against Cholesky */

/* exp(-|x - x'|^2 / 2) of points in the plane, and a ridge for each. */
static double *matrix_of(int64_t n, double *ridge)
{
    double *x = malloc((size_t)n * 2 * sizeof *x), *k = malloc((size_t)(n * n) * sizeof *k);

    fill_normal(2 * n, (uint64_t)n, x);
    for (int64_t i = 0; i < n; i++) {
        ridge[i] = 0.01 * (double)(1 + i % 7);
        for (int64_t j = 0; j < n; j++) {
            const double a = x[2 * i] - x[2 * j], b = x[2 * i + 1] - x[2 * j + 1];

            k[i * n + j] = exp(-(a * a + b * b) / 2);
        }
    }
    free(x);
    return k;
}

struct answers {
    double *x, *half, *inverse; /* [M][n], [M][n], [n] */
    double log_determinant, least, largest;
};

static struct answers answers_of(struct fixture *f, const char *solver, int64_t n, const double *k, const double *ridge)
{
    const size_t size = (size_t)(M * n) * sizeof(double);
    struct answers a = {.x = malloc(size), .half = malloc(size), .inverse = malloc(size)};
    struct ntk_operator *o;
    struct ntk_solver *s;
    char how[200];

    assert_ok(f->ctx, ntk_operator_of_arrays(f->ctx, n, 1, &k, (const char *const[]){"k"}, NTK_F64, &o));
    assert_ok(f->ctx, ntk_solver_new(f->ctx, class_of(f, solver), o, 0, 0, &s));
    assert_ok(f->ctx, ntk_solver_factor(s, ridge, how, sizeof how));
    assert_string_equal(how, "");
    fill_normal(M * n, 5, a.x);
    memcpy(a.half, a.x, size);
    assert_ok(f->ctx, ntk_solver_solve(s, M, a.x));
    assert_ok(f->ctx, ntk_solver_half(s, M, a.half));
    assert_ok(f->ctx, ntk_solver_inverse_diagonal(s, a.inverse));
    assert_ok(f->ctx, ntk_solver_log_determinant(s, &a.log_determinant));
    if (n < 100 || strcmp(solver, "cholesky") == 0) /* it takes many passes */
        assert_ok(f->ctx, ntk_solver_extremes(s, &a.least, &a.largest));
    ntk_solver_free(s);
    ntk_operator_free(o);
    return a;
}

static void done(const struct answers *a)
{
    free(a->x);
    free(a->half);
    free(a->inverse);
}

static double norm(int64_t n, const double *x)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void compare(int64_t n, const struct answers *got, const struct answers *want)
{
    const double rounding = 1e-15 * want->largest / want->least;

    for (int64_t i = 0; i < M * n; i++)
        assert_near(got->x[i], want->x[i], rounding, norm(n, want->x + i / n * n));
    for (int64_t i = 0; i < n; i++)
        assert_near(got->inverse[i], want->inverse[i], rounding, 0);
    for (int64_t c = 0; c < M; c++) /* by another root, perhaps */
        assert_near(norm(n, got->half + c * n), norm(n, want->half + c * n), rounding, 0);
    assert_near(got->log_determinant, want->log_determinant, 1e-12, 0);
    if (n < 100) {
        assert_near(got->least, want->least, 1e-4, 0);
        assert_near(got->largest, want->largest, 1e-4, 0);
    }
}

static void it_is_cholesky_with_any_panels_and_threads(void **state)
{
    static const int64_t orders[] = {1, 3, 17, 97, 331};
    struct fixture *f = *state;

    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        const int64_t n = orders[k];
        double *ridge = malloc((size_t)n * sizeof *ridge), *matrix = matrix_of(n, ridge);
        struct answers want = answers_of(f, "cholesky", n, matrix, ridge), first = {0};

        for (int way = 0; way < 6; way++) {
            struct answers got;

            ntk_out_of_core_most = (int64_t[]){1, 2, 5}[way / 2];
            assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, way % 2 ? 3 : 1));
            got = answers_of(f, "out-of-core", n, matrix, ridge);
            compare(n, &got, &want);
            if (way == 0) {
                first = got;
                continue;
            }
            assert_memory_equal(got.x, first.x, (size_t)(M * n) * sizeof(double));
            assert_memory_equal(got.half, first.half, (size_t)(M * n) * sizeof(double));
            assert_true(got.log_determinant == first.log_determinant && got.least == first.least);
            done(&got);
        }
        ntk_out_of_core_most = 0;
        assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 0));
        done(&first);
        done(&want);
        free(matrix);
        free(ridge);
    }
}

/* ---- of a store */

struct problem {
    ntk_net *net;
    ntk_data *x;
    struct ntk_operator *o;
    double samples[N * D], ridge[N];
    char said[400]; /* notes, the last ones */
};

static void listen(int level, const char *text, void *user)
{
    struct problem *p = user;
    const size_t n = strlen(p->said);

    (void)level;
    if (n + strlen(text) + 2 < sizeof p->said)
        snprintf(p->said + n, sizeof p->said - n, "%s\n", text);
}

static void begin(struct fixture *f, struct problem *p)
{
    if (!strstr(ntk_features(), "hdf5"))
        skip();
    memset(p, 0, sizeof *p);
    fill_normal(N * D, 2, p->samples);
    for (int i = 0; i < N; i++)
        p->ridge[i] = 0.1;
    assert_ok(f->ctx, ntk_net_parse(f->ctx, "serial(Dense(9, b_std=0.3), Relu(), Dense(1))", &p->net));
    assert_ok(f->ctx, ntk_data_view(f->ctx, p->samples, NTK_F64, N, (ntk_shape){0, 1, 1, D}, &p->x));
    assert_ok(f->ctx, ntk_operator_of_store(f->ctx, path_of(f, "K.h5"), (const ntk_net *const[]){p->net}, 1, NTK_NTK, NTK_F64,
                                            p->x, &p->o));
    ntk_out_of_core_most = 2;
    ntk_ctx_set_log(f->ctx, listen, p);
}

static void end(struct fixture *f, struct problem *p)
{
    ntk_ctx_set_log(f->ctx, NULL, NULL);
    ntk_out_of_core_most = 0;
    ntk_operator_free(p->o);
    ntk_data_free(p->x);
    ntk_net_free(p->net);
    unlink(path_of(f, "K.h5"));
    unlink(path_of(f, "K.h5.factor"));
}

static struct ntk_solver *solver_of(struct fixture *f, struct problem *p)
{
    struct ntk_solver *s;

    assert_ok(f->ctx, ntk_solver_new(f->ctx, class_of(f, "out-of-core"), p->o, 0, 0, &s));
    *p->said = '\0';
    return s;
}

static ntk_status factor(struct ntk_solver *s, const double *ridge)
{
    char how[200];
    const ntk_status status = ntk_solver_factor(s, ridge, how, sizeof how);

    if (status == NTK_OK)
        assert_string_equal(how, "");
    return status;
}

/* The factor's file, size bytes. */
static unsigned char *file_of(struct fixture *f, size_t *size)
{
    FILE *file = fopen(path_of(f, "K.h5.factor"), "rb");
    unsigned char *bytes;
    struct stat st;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    *size = (size_t)st.st_size;
    bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void a_factor_stays_beside_its_store(void **state)
{
    struct fixture *f = *state;
    double first[N], second[N];
    struct problem p;
    struct ntk_solver *s;
    size_t size;

    begin(f, &p);
    for (int time = 0; time < 2; time++) {
        double *x = time ? second : first;

        s = solver_of(f, &p);
        assert_ok(f->ctx, factor(s, p.ridge));
        assert_non_null(strstr(p.said, time ? "K.h5.factor has the factor" : "of disk, and stays, in"));
        fill_normal(N, 7, x);
        assert_ok(f->ctx, ntk_solver_solve(s, 1, x));
        ntk_solver_free(s);
    }
    assert_memory_equal(first, second, sizeof first);
    free(file_of(f, &size));
    assert_int_equal(size, ntk_factor_size(N, 12)); /* 17 rows of tiles */

    p.ridge[3] = 0.2; /* for one sample, another factor */
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge));
    assert_non_null(strstr(p.said, "has the factor of another matrix or ridge"));
    fill_normal(N, 7, second);
    assert_ok(f->ctx, ntk_solver_solve(s, 1, second));
    assert_true(first[3] != second[3]);
    ntk_solver_free(s);
    end(f, &p);
}

/* Of another store with the same name. */
static void a_factor_is_of_one_matrix(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct ntk_solver *s;

    begin(f, &p);
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge));
    ntk_solver_free(s);
    ntk_operator_free(p.o);
    unlink(path_of(f, "K.h5"));
    p.samples[5] += 1;
    assert_ok(f->ctx, ntk_operator_of_store(f->ctx, path_of(f, "K.h5"), (const ntk_net *const[]){p.net}, 1, NTK_NTK, NTK_F64,
                                            p.x, &p.o));
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge));
    assert_non_null(strstr(p.said, "has the factor of another matrix or ridge"));
    ntk_solver_free(s);
    end(f, &p);
}

struct patience {
    int calls, most;
};

static int cancels(const char *what, double finished, double total, void *user)
{
    struct patience *p = user;

    (void)finished, (void)total;
    return strcmp(what, "factorisations") == 0 && p->calls++ >= p->most;
}

static void interrupted_work_goes_on_to_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct ntk_solver *s;
    unsigned char *whole, *bytes;
    size_t size, other;
    int went_on = 0;

    begin(f, &p);
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge));
    ntk_solver_free(s);
    whole = file_of(f, &size);
    for (int most = 1; most < 200; most += 13) {
        struct patience patience = {.most = most};
        ntk_status status;

        unlink(path_of(f, "K.h5.factor"));
        s = solver_of(f, &p);
        ntk_ctx_set_progress(f->ctx, cancels, &patience);
        status = factor(s, p.ridge);
        ntk_ctx_set_progress(f->ctx, NULL, NULL);
        ntk_solver_free(s);
        if (status == NTK_OK)
            break;
        assert_int_equal(status, NTK_ECANCEL);
        ntk_out_of_core_most = 1 + most % 4; /* panels of another width */
        s = solver_of(f, &p);
        assert_ok(f->ctx, factor(s, p.ridge));
        went_on += strstr(p.said, "it goes on from there") != NULL;
        ntk_solver_free(s);
        bytes = file_of(f, &other);
        assert_int_equal(other, size);
        assert_memory_equal(bytes, whole, size);
        free(bytes);
        ntk_out_of_core_most = 2;
    }
    assert_true(went_on > 4);
    free(whole);
    end(f, &p);
}

static void change(struct fixture *f, off_t at, unsigned char by)
{
    const int fd = open(path_of(f, "K.h5.factor"), O_RDWR);
    unsigned char byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= by;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void damage_is_found(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct ntk_solver *s;
    double x[N];
    size_t size;

    begin(f, &p);
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge));
    free(file_of(f, &size));
    for (size_t at = 8192; at < size; at += size / 13) { /* behind the head and the checksums */
        change(f, (off_t)at, 1);
        fill_normal(N, 7, x);
        assert_fails(f->ctx, NTK_EIO, "their checksum is another", ntk_solver_solve(s, 1, x));
        change(f, (off_t)at, 1);
    }
    fill_normal(N, 7, x);
    assert_ok(f->ctx, ntk_solver_solve(s, 1, x));
    ntk_solver_free(s);

    assert_int_equal(truncate(path_of(f, "K.h5.factor"), (off_t)size - 100), 0); /* made anew */
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge));
    assert_non_null(strstr(p.said, "or a part of one: it is replaced"));
    assert_ok(f->ctx, ntk_solver_solve(s, 1, x));
    ntk_solver_free(s);

    write_text(f, "K.h5.factor", "someone else's file");
    s = solver_of(f, &p);
    assert_fails(f->ctx, NTK_EIO, "is no factor", factor(s, p.ridge));
    free(file_of(f, &size));
    assert_int_equal(size, 19);
    unlink(path_of(f, "K.h5.factor"));
    assert_int_equal(mkdir(path_of(f, "K.h5.factor"), 0700), 0);
    assert_fails(f->ctx, NTK_EIO, "Is a directory", factor(s, p.ridge));
    rmdir(path_of(f, "K.h5.factor"));
    assert_ok(f->ctx, factor(s, p.ridge)); /* nothing has spoilt the solver */
    ntk_solver_free(s);
    end(f, &p);
}

static void factors_are_shared_and_not_overwritten(void **state)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct fixture *f = *state;
    struct problem p;
    struct ntk_solver *one, *two;
    double x[N], y[N], ridge[N];
    int fd;

    begin(f, &p);
    memcpy(ridge, p.ridge, sizeof ridge);
    ridge[0] = 5;
    one = solver_of(f, &p);
    assert_ok(f->ctx, factor(one, p.ridge));
    two = solver_of(f, &p);
    assert_ok(f->ctx, factor(two, p.ridge));
    fill_normal(N, 7, x);
    fill_normal(N, 7, y);
    assert_ok(f->ctx, ntk_solver_solve(one, 1, x));
    assert_ok(f->ctx, ntk_solver_solve(two, 1, y));
    assert_memory_equal(x, y, sizeof x);
    assert_fails(f->ctx, NTK_EIO, "is in use, with another matrix or ridge", factor(two, ridge));
    fill_normal(N, 7, y);
    assert_ok(f->ctx, ntk_solver_solve(one, 1, y)); /* as it was */
    assert_memory_equal(x, y, sizeof x);
    ntk_solver_free(one);
    assert_ok(f->ctx, factor(two, ridge));
    ntk_solver_free(two);

    fd = open(path_of(f, "K.h5.factor"), O_RDWR); /* as who writes it */
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
    one = solver_of(f, &p);
    assert_fails(f->ctx, NTK_EIO, "another process writes", factor(one, p.ridge));
    close(fd);
    ntk_solver_free(one);
    end(f, &p);
}

static int files_in(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void factors_go_where_they_are_sent(void **state)
{
    struct fixture *f = *state;
    char folder[256];
    struct problem p;
    struct ntk_solver *s;
    double *k, ridge[50];
    struct ntk_operator *o;

    begin(f, &p);
    snprintf(folder, sizeof folder, "%s", path_of(f, "scratch"));
    s = solver_of(f, &p);
    s->scratch = folder;
    assert_fails(f->ctx, NTK_EIO, "No such file or directory", factor(s, p.ridge));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_ok(f->ctx, factor(s, p.ridge));
    ntk_solver_free(s);
    assert_int_equal(access(path_of(f, "scratch/K.h5.factor"), F_OK), 0);
    assert_int_equal(access(path_of(f, "K.h5.factor"), F_OK), -1);
    unlink(path_of(f, "scratch/K.h5.factor"));

    k = matrix_of(50, ridge); /* of no file: without a name */
    assert_ok(f->ctx, ntk_operator_of_arrays(f->ctx, 50, 1, (const double *const *)&k, (const char *const[]){"k"}, NTK_F64, &o));
    assert_ok(f->ctx, ntk_solver_new(f->ctx, class_of(f, "out-of-core"), o, 0, 0, &s));
    s->scratch = folder;
    *p.said = '\0';
    assert_ok(f->ctx, factor(s, ridge));
    assert_non_null(strstr(p.said, folder));
    assert_int_equal(files_in(folder), 0);
    rmdir(folder);
    assert_fails(f->ctx, NTK_EIO, "cannot write a file in", factor(s, ridge));
    ntk_solver_free(s);
    ntk_operator_free(o);
    free(k);
    end(f, &p);
}

/* ---- what there is no room for, and what has no factor */

static void a_full_disk_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, least;
    struct problem p;
    struct ntk_solver *s;

    begin(f, &p);
    s = solver_of(f, &p);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    least = (struct rlimit){100000, before.rlim_max};
    assert_ok(f->ctx, p.o->class->lasting(p.o, 0, 0, &(struct ntk_lasting){0})); /* the store is whole */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &least), 0);
    assert_fails(f->ctx, NTK_EIO, "a factor of 200 samples takes", factor(s, p.ridge));
    assert_non_null(strstr(ntk_errmsg(f->ctx), "File too large"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(access(path_of(f, "K.h5.factor"), F_OK), -1);
    assert_ok(f->ctx, factor(s, p.ridge));
    ntk_solver_free(s);
    end(f, &p);
}

/* What a refusal asks for is enough. */
static void the_least_memory_is_said(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct ntk_solver *s;
    const char *at;

    begin(f, &p);
    s = solver_of(f, &p);
    assert_ok(f->ctx, factor(s, p.ridge)); /* the store is whole */
    unlink(path_of(f, "K.h5.factor"));
    ntk_ctx_set_memory(f->ctx, 1000);
    assert_fails(f->ctx, NTK_ENOMEM, "needs", factor(s, p.ridge));
    ntk_ctx_set_memory(f->ctx, 500000);
    assert_fails(f->ctx, NTK_ENOMEM, "the narrowest panel of a factor of this many samples needs", factor(s, p.ridge));
    assert_int_equal(access(path_of(f, "K.h5.factor"), F_OK), -1);
    at = strstr(ntk_errmsg(f->ctx), "needs ");
    ntk_ctx_set_memory(f->ctx, (size_t)((strtod(at + 6, NULL) + 0.02) * 0x1p20));
    assert_ok(f->ctx, factor(s, p.ridge));
    ntk_ctx_set_memory(f->ctx, 0);
    ntk_solver_free(s);
    end(f, &p);
}

static void what_is_not_definite_leaves_no_file(void **state)
{
    struct fixture *f = *state;
    struct problem p;
    struct ntk_solver *s;
    char how[200];

    begin(f, &p);
    s = solver_of(f, &p);
    for (int i = 0; i < N; i++)
        p.ridge[i] = i < 150 ? 0.1 : -100;
    assert_ok(f->ctx, ntk_solver_factor(s, p.ridge, how, sizeof how));
    assert_non_null(strstr(how, "its leading minor of order 151 is not positive"));
    assert_int_equal(access(path_of(f, "K.h5.factor"), F_OK), -1);
    ntk_solver_free(s);
    end(f, &p);
}

/* A matrix that memory does not hold is said to be singular, though no ridge can be looked for. */
static void a_model_that_has_none_says_so(void **state)
{
    enum { ROWS = 2000 };
    struct fixture *f = *state;
    double *x = malloc(sizeof(double[ROWS * D])), *y = calloc(ROWS, sizeof *y);
    ntk_fit_opts o;
    ntk_net *net;
    ntk_data *data;
    ntk_model *model;

    fill_normal(ROWS * D, 3, x);
    memcpy(x + 1990 * D, x + 7 * D, D * sizeof *x);
    assert_ok(f->ctx, ntk_net_parse(f->ctx, "fc(depth=1)", &net));
    assert_ok(f->ctx, ntk_data_view(f->ctx, x, NTK_F64, ROWS, (ntk_shape){0, 1, 1, D}, &data));
    ntk_fit_opts_init(&o);
    o.solver = "out-of-core";
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 2));
    ntk_ctx_set_memory(f->ctx, (size_t)14 << 20); /* of 15.3 MiB of a triangle */
    assert_fails(f->ctx, NTK_ENUMERIC, "samples 7 and 1990 are equal", ntk_model_fit(f->ctx, net, data, y, 1, &o, &model));
    assert_non_null(strstr(ntk_errmsg(f->ctx), "not positive definite"));
    o.diag_reg = 1e-3;
    assert_ok(f->ctx, ntk_model_fit(f->ctx, net, data, y, 1, &o, &model));
    ntk_model_free(model);
    ntk_ctx_set_memory(f->ctx, 0);
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 0));
    ntk_data_free(data);
    ntk_net_free(net);
    free(x);
    free(y);
}

/* A ridge is chosen in memory that does not hold the matrix, which is computed again for each. */
static void a_ridge_is_chosen(void **state)
{
    enum { ROWS = 1000 };
    struct fixture *f = *state;
    double *x = malloc(sizeof(double[ROWS * D])), *y = malloc(sizeof(double[ROWS])), chosen[2];
    ntk_net *net;
    ntk_data *data;

    fill_normal(ROWS * D, 3, x);
    fill_normal(ROWS, 4, y);
    for (int i = 0; i < ROWS; i++)
        y[i] = tanh(x[i * D]) + 0.2 * y[i];
    assert_ok(f->ctx, ntk_net_parse(f->ctx, "fc(depth=1)", &net));
    assert_ok(f->ctx, ntk_data_view(f->ctx, x, NTK_F64, ROWS, (ntk_shape){0, 1, 1, D}, &data));
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 2));
    for (int k = 0; k < 2; k++) {
        ntk_fit_opts o, given;
        ntk_model *model;

        ntk_fit_opts_init(&o);
        ntk_fit_opts_init(&given);
        o.solver = k ? "cholesky" : "out-of-core";
        o.diag_reg = NTK_DIAG_REG_AUTO;
        ntk_ctx_set_memory(f->ctx, k ? 0 : (size_t)3 << 20); /* of 3.8 MiB of a triangle */
        assert_ok(f->ctx, ntk_model_fit(f->ctx, net, data, y, 1, &o, &model));
        assert_ok(f->ctx, ntk_model_opts(model, &given));
        chosen[k] = given.diag_reg;
        ntk_model_free(model);
    }
    assert_true(chosen[0] == chosen[1]);
    assert_ok(f->ctx, ntk_ctx_set_threads(f->ctx, 0));
    ntk_data_free(data);
    ntk_net_free(net);
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_cholesky_with_any_panels_and_threads),
        cmocka_unit_test(a_factor_stays_beside_its_store),
        cmocka_unit_test(a_factor_is_of_one_matrix),
        cmocka_unit_test(interrupted_work_goes_on_to_the_same_bytes),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(factors_are_shared_and_not_overwritten),
        cmocka_unit_test(factors_go_where_they_are_sent),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(the_least_memory_is_said),
        cmocka_unit_test(what_is_not_definite_leaves_no_file),
        cmocka_unit_test(a_model_that_has_none_says_so),
        cmocka_unit_test(a_ridge_is_chosen),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
