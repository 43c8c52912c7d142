/* SPDX-License-Identifier: MIT
 *
 * ntk bench: speed of kernels and solves on this machine, beside BLAS and LAPACK on the same sizes; kernels of images:
 * bench_conv.c; finite networks: bench_finite.c.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t,
             size_t);

#define DEFAULT_NET                                                            \
    "serial(Dense(512, W_std=2**0.5, b_std=0.1), Relu(), Dense(512, W_std=2**0.5, b_std=0.1), " \
    "Relu(), Dense(512, W_std=2**0.5, b_std=0.1), Relu(), Dense(1))"

static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

bool bench_samples(struct bench *b)
{
    const int64_t total = (b->n + b->m) * b->d;
    uint64_t state = 1;

    b->x = malloc((size_t)total * sizeof *b->x);
    b->x32 = malloc((size_t)total * sizeof *b->x32);
    for (int64_t i = 0; b->x && b->x32 && i < total; i++) {
        b->x[i] = sqrt(-2 * log(uniform(&state))) * cos(6.283185307179586 * uniform(&state));
        b->x32[i] = (float)b->x[i];
    }
    return b->x && b->x32;
}

static ntk_status samples(const struct bench *b, ntk_dtype dtype, int64_t first, int64_t n,
                          ntk_data **data)
{
    const ntk_shape shape = {0, 1, 1, b->d};
    const void *x = dtype == NTK_F32 ? (const void *)(b->x32 + first * b->d)
                                     : (const void *)(b->x + first * b->d);

    return ntk_data_view(b->ctx, x, dtype, n, shape, data);
}

/* ---- timing */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct times summary(double *t, int64_t n)
{
    qsort(t, (size_t)n, sizeof *t, compare);
    return (struct times){.median = t[n / 2], .least = t[0]};
}

ntk_status bench_measure(const struct bench *b, work_fn *work, void *user, struct times *times)
{
    double *t = malloc((size_t)b->repeat * sizeof *t);
    ntk_status status = t ? work(user) : NTK_ENOMEM; /* the first run warms up */

    for (int64_t i = 0; i < b->repeat && status == NTK_OK; i++) {
        const double start = ntk_seconds();

        status = work(user);
        t[i] = ntk_seconds() - start;
    }
    if (status == NTK_OK)
        *times = summary(t, b->repeat);
    free(t);
    return status;
}

/* Opens a report: what was measured. */
static void describe(struct json *j, const struct bench *b)
{
    json_open(j, NULL, '{');
    json_text(j, "net", b->net);
    json_integer(j, "n", b->n);
    json_integer(j, "d", b->d);
    json_text(j, "dtype", bench_dtype(b));
}

/* ---- kernel beside the matrix product that it starts with */

struct kernel_work {
    const struct bench *b;
    ntk_kernel *kernel;
    ntk_data *x;
    void *out;
};

static ntk_status run_kernel(void *user)
{
    struct kernel_work *w = user;

    return ntk_kernel_compute(w->kernel, w->x, NULL, &w->out);
}

static ntk_status run_syrk(void *user)
{
    struct kernel_work *w = user;
    const int n = (int)w->b->n, d = (int)w->b->d;

    if (w->b->dtype == NTK_F32)
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasNoTrans, n, d, 1, w->b->x32, d, 0, w->out, n);
    else
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, n, d, 1, w->b->x, d, 0, w->out, n);
    return NTK_OK;
}

static ntk_status measure_kernel(const struct bench *b, struct times *kernel, struct times *syrk)
{
    struct kernel_work w = {.b = b};
    const ntk_shape shape = {0, 1, 1, b->d};
    ntk_net *net;
    ntk_status status = ntk_net_parse(b->ctx, b->net, &net);

    if (status != NTK_OK)
        return status;
    {
        const ntk_net *nets[] = {net};

        status = ntk_kernel_new(b->ctx, nets, 1, NTK_NTK, b->dtype, shape, &w.kernel);
    }
    ntk_net_free(net);
    if (status == NTK_OK)
        status = samples(b, b->dtype, 0, b->n, &w.x);
    w.out = malloc((size_t)b->n * (size_t)b->n * b->dtype);
    if (status == NTK_OK && !w.out)
        status = NTK_ENOMEM;
    if (status == NTK_OK)
        status = bench_measure(b, run_kernel, &w, kernel);
    if (status == NTK_OK && syrk)
        status = bench_measure(b, run_syrk, &w, syrk);
    free(w.out);
    ntk_data_free(w.x);
    ntk_kernel_free(w.kernel);
    return status;
}

static int bench_kernel(const struct bench *b, bool as_json)
{
    struct times kernel, syrk;
    struct json j = {.f = stdout};
    const double entries = (double)b->n * (double)b->n;
    const char *isa;

    TRY(b->ctx, ntk_ctx_isa(b->ctx, &isa));
    TRY(b->ctx, measure_kernel(b, &kernel, &syrk));
    if (!as_json) {
        printf("kernel of %lld samples of %lld numbers, %s, %s, %d threads\n", (long long)b->n,
               (long long)b->d, bench_dtype(b), isa,
               ntk_ctx_threads(b->ctx));
        printf("    %s\n", b->net);
        printf("    %.4f s (least %.4f), %.4g entries/s, %.2f x BLAS's SYRK (%.4f s)\n",
               kernel.median, kernel.least, entries / kernel.median, kernel.median / syrk.median,
               syrk.median);
        return EXIT_OK;
    }
    describe(&j, b);
    json_text(&j, "isa", isa);
    json_integer(&j, "threads", ntk_ctx_threads(b->ctx));
    json_text(&j, "blas_core", ntk_blas_core());
    json_number(&j, "seconds", kernel.median);
    json_number(&j, "min", kernel.least);
    json_number(&j, "entries_per_second", entries / kernel.median);
    json_number(&j, "syrk_seconds", syrk.median);
    json_number(&j, "ratio_to_syrk", kernel.median / syrk.median);
    json_close(&j, '}');
    putchar('\n');
    return EXIT_OK;
}

/* ---- one row beside the samples of a model that is fitted, or prepared, already */

struct row_work {
    const struct bench *b;
    ntk_model *model;
    ntk_data *row;
    double mean;
    void *product; /* [n] */
};

static ntk_status run_row(void *user)
{
    struct row_work *w = user;

    return ntk_model_predict(w->model, w->row, &w->mean, NULL);
}

static ntk_status run_product(void *user)
{
    struct row_work *w = user;
    const int n = (int)w->b->n, d = (int)w->b->d;

    if (w->b->dtype == NTK_F32)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, n, d, 1, w->b->x32, d, w->b->x32, 1, 0, w->product, 1);
    else
        cblas_dgemv(CblasRowMajor, CblasNoTrans, n, d, 1, w->b->x, d, w->b->x, 1, 0, w->product, 1);
    return NTK_OK;
}

static ntk_status measure_row(const struct bench *b, struct times *row, struct times *product)
{
    struct row_work w = {.b = b};
    double *y = calloc((size_t)b->n, sizeof *y);
    ntk_data *x = NULL;
    ntk_fit_opts opts;
    ntk_net *net = NULL;
    ntk_status status = y ? ntk_net_parse(b->ctx, b->net, &net) : NTK_ENOMEM;

    ntk_fit_opts_init(&opts);
    opts.dtype = b->dtype;
    opts.diag_reg = 1e-2;
    w.product = malloc((size_t)b->n * sizeof(double));
    for (int64_t i = 0; y && i < b->n; i++)
        y[i] = b->x[i * b->d];
    if (status == NTK_OK)
        status = samples(b, b->dtype, 0, b->n, &x);
    if (status == NTK_OK)
        status = ntk_model_fit(b->ctx, net, x, y, 1, &opts, &w.model);
    if (status == NTK_OK)
        status = samples(b, b->dtype, b->n, 1, &w.row);
    if (status == NTK_OK)
        status = w.product ? bench_measure(b, run_row, &w, row) : NTK_ENOMEM;
    if (status == NTK_OK)
        status = bench_measure(b, run_product, &w, product);
    ntk_model_free(w.model);
    ntk_data_free(w.row);
    ntk_data_free(x);
    ntk_net_free(net);
    free(w.product);
    free(y);
    return status;
}

static int bench_row(const struct bench *b, bool as_json)
{
    struct times row = {0}, product = {0};
    struct json j = {.f = stdout};

    TRY(b->ctx, measure_row(b, &row, &product));
    if (!as_json) {
        printf("one row by a model of %lld samples of %lld numbers, %s, %d threads\n    %s\n", (long long)b->n,
               (long long)b->d, bench_dtype(b), ntk_ctx_threads(b->ctx), b->net);
        printf("    %.2f ms (least %.2f), %.2f x BLAS's product of the samples with one row (%.2f ms)\n",
               1e3 * row.median, 1e3 * row.least, row.median / product.median, 1e3 * product.median);
        return EXIT_OK;
    }
    describe(&j, b);
    json_number(&j, "seconds", row.median);
    json_number(&j, "min", row.least);
    json_number(&j, "product_seconds", product.median);
    json_close(&j, '}');
    putchar('\n');
    return EXIT_OK;
}

/* ---- fits and predictions beside LAPACK's factorisations. The kernel is linear, so that its time
 * is that of two matrix products and what is left is the solve; it is reported on its own too. */

struct solve_work {
    const struct bench *b;
    ntk_net *net;
    ntk_data *train, *test;
    double *y, *f, *matrix, *copy, *times;
    bool dynamics;
};

static ntk_status run_solve(void *user)
{
    struct solve_work *w = user;
    const size_t train = (size_t)(w->b->n * w->b->outputs);
    ntk_fit_opts o;
    ntk_model *model;
    ntk_status status;

    ntk_fit_opts_init(&o);
    o.posterior = NTK_POSTERIOR_NNGP;
    o.diag_reg = 1e-3;
    o.finite_time = w->dynamics;
    status = ntk_model_fit(w->b->ctx, w->net, w->train, w->y, w->b->outputs, &o, &model);
    if (status != NTK_OK)
        return status;
    status = w->dynamics ? ntk_model_dynamics(model, w->times, (size_t)w->b->times, NULL, w->test,
                                              NULL, w->f,
                                              w->f + (size_t)w->b->times * train, NULL)
                         : ntk_model_predict(model, w->test, w->f, NULL);
    ntk_model_free(model);
    return status;
}

static ntk_status run_kernels_only(void *user)
{
    struct solve_work *w = user;
    const ntk_shape shape = {0, 1, 1, w->b->d};
    const ntk_net *nets[] = {w->net};
    void *out[] = {w->copy};
    ntk_kernel *k;
    ntk_status status = ntk_kernel_new(w->b->ctx, nets, 1, NTK_NNGP, NTK_F64, shape, &k);

    if (status != NTK_OK)
        return status;
    status = ntk_kernel_compute(k, w->train, NULL, out);
    if (status == NTK_OK)
        status = ntk_kernel_compute(k, w->test, w->train, out);
    ntk_kernel_free(k);
    return status;
}

static ntk_status run_potrf(void *user)
{
    struct solve_work *w = user;
    const int n = (int)w->b->n;
    int info;

    memcpy(w->copy, w->matrix, (size_t)n * (size_t)n * sizeof *w->copy);
    dpotrf_("L", &n, w->copy, &n, &info, 1);
    return info == 0 ? NTK_OK : NTK_ENUMERIC;
}

static ntk_status run_syevd(void *user)
{
    struct solve_work *w = user;
    const int n = (int)w->b->n, query = -1;
    int info, lwork, liwork, *iwork;
    ntk_status status = NTK_ENOMEM;
    double size, *work;

    dsyevd_("V", "L", &n, w->copy, &n, w->y, &size, &query, &liwork, &query, &info, 1, 1);
    lwork = (int)size;
    work = malloc(((size_t)lwork + (size_t)n) * sizeof *work);
    iwork = malloc((size_t)liwork * sizeof *iwork);
    if (work && iwork) {
        memcpy(w->copy, w->matrix, (size_t)n * (size_t)n * sizeof *w->copy);
        dsyevd_("V", "L", &n, w->copy, &n, work + lwork, work, &lwork, iwork, &liwork, &info, 1, 1);
        status = info == 0 ? NTK_OK : NTK_ENUMERIC;
    }
    free(work);
    free(iwork);
    return status;
}

static ntk_status prepare_solve(const struct bench *b, struct solve_work *w)
{
    const size_t n = (size_t)b->n, rows = n > (size_t)b->m ? n : (size_t)b->m;
    uint64_t state = 9;
    ntk_status status = ntk_net_parse(b->ctx, "serial(Dense(1), Erf(), Dense(1))", &w->net);

    if (status == NTK_OK)
        status = samples(b, NTK_F64, 0, b->n, &w->train);
    if (status == NTK_OK)
        status = samples(b, NTK_F64, b->n, b->m, &w->test);
    w->y = malloc(n * (size_t)b->outputs * sizeof *w->y);
    w->f = malloc((size_t)b->times * (n + (size_t)b->m) * (size_t)b->outputs * sizeof *w->f);
    w->matrix = malloc(n * n * sizeof *w->matrix);
    w->copy = malloc(rows * n * sizeof *w->copy);
    w->times = malloc((size_t)b->times * sizeof *w->times);
    if (!w->y || !w->f || !w->matrix || !w->copy || !w->times)
        return NTK_ENOMEM;
    for (size_t i = 0; i < n * (size_t)b->outputs; i++)
        w->y[i] = uniform(&state) - 0.5;
    for (int64_t i = 0; i < b->times; i++)
        w->times[i] = pow(10, -2 + 6 * (double)i / (double)b->times);
    for (size_t i = 0; i < n * n; i++)
        w->matrix[i] = i / n == i % n ? (double)n : uniform(&state);
    return status;
}

static int bench_predict(const struct bench *b, bool as_json)
{
    struct solve_work w = {.b = b};
    struct times cholesky = {0, 0}, dynamics = {0, 0}, kernels = {0, 0}, potrf = {0, 0};
    struct times syevd = {0, 0};
    struct json j = {.f = stdout};
    ntk_status status = prepare_solve(b, &w);

    if (status == NTK_OK)
        status = bench_measure(b, run_kernels_only, &w, &kernels);
    if (status == NTK_OK)
        status = bench_measure(b, run_solve, &w, &cholesky);
    w.dynamics = true;
    if (status == NTK_OK)
        status = bench_measure(b, run_solve, &w, &dynamics);
    if (status == NTK_OK)
        status = bench_measure(b, run_potrf, &w, &potrf);
    if (status == NTK_OK)
        status = bench_measure(b, run_syevd, &w, &syevd);
    ntk_net_free(w.net);
    ntk_data_free(w.train);
    ntk_data_free(w.test);
    free(w.y);
    free(w.f);
    free(w.matrix);
    free(w.copy);
    free(w.times);
    TRY(b->ctx, status);
    if (!as_json) {
        printf("%lld training, %lld test samples, %lld outputs, float64, %d threads\n",
               (long long)b->n, (long long)b->m, (long long)b->outputs, ntk_ctx_threads(b->ctx));
        printf("    kernels alone                   %.4f s\n", kernels.median);
        printf("    with Cholesky and predictions   %.4f s (LAPACK's dpotrf alone %.4f s)\n",
               cholesky.median, potrf.median);
        printf("    with eigenvectors and %2lld times  %.4f s (LAPACK's dsyevd alone %.4f s)\n",
               (long long)b->times, dynamics.median, syevd.median);
        return EXIT_OK;
    }
    json_open(&j, NULL, '{');
    json_integer(&j, "n", b->n);
    json_integer(&j, "m", b->m);
    json_integer(&j, "outputs", b->outputs);
    json_integer(&j, "times", b->times);
    json_integer(&j, "threads", ntk_ctx_threads(b->ctx));
    json_text(&j, "blas_core", ntk_blas_core());
    json_number(&j, "kernel_seconds", kernels.median);
    json_number(&j, "cholesky_fit_predict_seconds", cholesky.median);
    json_number(&j, "dynamics_seconds", dynamics.median);
    json_number(&j, "potrf_seconds", potrf.median);
    json_number(&j, "syevd_seconds", syevd.median);
    json_close(&j, '}');
    putchar('\n');
    return EXIT_OK;
}

/* ---- instruction sets: a kernel of few features, whose time is that of the duals */

static int bench_isa(struct bench *b, bool as_json)
{
    const char *names = ntk_isa_available();
    const double pairs = (double)b->n * ((double)b->n + 1) / 2 * 3; /* of each of three layers */
    struct json j = {.f = stdout};

    b->d = 4;
    if (as_json)
        json_open(&j, NULL, '[');
    while (*names) {
        char name[16];
        const size_t length = strcspn(names, ", ");

        snprintf(name, sizeof name, "%.*s", (int)length, names);
        names += length + strspn(names + length, ", ");
        TRY(b->ctx, ntk_ctx_set_isa(b->ctx, name));
        for (int type = 0; type < 2; type++) {
            struct times t;

            b->dtype = type ? NTK_F64 : NTK_F32;
            TRY(b->ctx, measure_kernel(b, &t, NULL));
            if (as_json) {
                json_open(&j, NULL, '{');
                json_text(&j, "isa", name);
                json_text(&j, "dtype", type ? "float64" : "float32");
                json_number(&j, "ns_per_pair_and_layer", 1e9 * t.median / pairs);
                json_close(&j, '}');
            } else {
                printf("%-10s %s  %.3f ns a pair and layer\n", name, type ? "float64" : "float32",
                       1e9 * t.median / pairs);
            }
        }
    }
    if (as_json)
        puts("]");
    return EXIT_OK;
}

static int run(struct bench *b, const char *what, bool as_json)
{
    if (what && strcmp(what, "kernel") == 0)
        return bench_kernel(b, as_json);
    if (what && strcmp(what, "predict") == 0)
        return bench_predict(b, as_json);
    if (what && strcmp(what, "row") == 0)
        return bench_row(b, as_json);
    if (what && strcmp(what, "isa") == 0)
        return bench_isa(b, as_json);
    if (what)
        return usage("there is no benchmark '%s': kernel, conv, predict, row, isa, empirical, train", what);
    for (int type = 0; type < 2; type++) {
        b->dtype = type ? NTK_F64 : NTK_F32;
        STEP(bench_kernel(b, false));
    }
    STEP(bench_predict(b, false));
    return bench_isa(b, false);
}

static int64_t or_default(int64_t x, int64_t otherwise) { return x ? x : otherwise; }

int cmd_bench(ntk_ctx *ctx, const struct args *a);
int cmd_bench(ntk_ctx *ctx, const struct args *a)
{
    struct bench b = {.ctx = ctx,
                      .n = or_default(a->n, 2000),
                      .m = or_default(a->m, 1000),
                      .d = or_default(a->d, 784),
                      .outputs = or_default(a->outputs, 10),
                      .times = a->times ? strtoll(a->times, NULL, 10) : 20,
                      .repeat = or_default(a->repeat, 7),
                      .net = a->n_nets ? a->nets[0] : DEFAULT_NET};
    int code;

    if (a->n_words && (strcmp(a->words[0], "empirical") == 0 || strcmp(a->words[0], "train") == 0))
        return bench_finite(ctx, a, strcmp(a->words[0], "train") == 0);
    if (a->n_words && strcmp(a->words[0], "conv") == 0)
        return bench_conv(ctx, a);
    STEP(parse_dtype(a->dtype, &b.dtype));
    if (b.times < 1)
        return usage("--times must be how many times, got '%s'", a->times);
    if (!bench_samples(&b))
        return usage("no memory for the samples");
    code = run(&b, a->n_words ? a->words[0] : NULL, a->json);
    free(b.x);
    free(b.x32);
    return code;
}
