/* SPDX-License-Identifier: MIT
 *
 * ntk lab cifar10: the kernel columns of Table 1 of Arora et al. 2019 (arXiv 1904.11955).
 *
 * Their protocol: pixels / 255, mean and deviation of each channel over the training file removed;
 * targets one-hot - 1/10; no ridge; kernel entries in float32, solved in float64; the largest
 * output is the answer. GAP is with the first and the last layer not trained.
 *
 * All networks go through one kernel, block of rows by block of rows. A block is a file that
 * appears when it is complete; a restart computes only those that are missing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define CLASSES   10
#define CASES     16
#define BLOCK     500 /* rows in a file: some minutes of work at most */
#define BLOCK_GAP 50

/* Percent; training images: all 50,000, and the first 2,000. */
static const struct {
    int depth;
    double all[2], first[2]; /* vanilla, GAP */
} published[] = {
    {3, {64.47, 70.47}, {40.94, 49.71}},  {4, {65.52, 75.93}, {42.54, 51.06}},
    {6, {66.03, 76.73}, {43.43, 51.73}},  {11, {65.90, 77.43}, {43.42, 51.92}},
    {21, {64.09, 77.08}, {42.53, 52.22}},
};

struct work {
    ntk_ctx *ctx;
    const struct args *a;
    const char *dir;
    int n_cases;
    struct {
        int depth, gap;
    } cases[CASES];
    struct samples s;
    ntk_kernel *kernel;
    int64_t n, m, block; /* training and test images, rows in a block */
    float *rows[CASES];  /* [block][n] */
};

/* ---- options */

static int parse_cases(struct work *w)
{
    const char *columns = w->a->columns ? w->a->columns : "v";
    const char *depths = w->a->depths ? w->a->depths : w->a->quick ? "3,4" : "3,4,6,11,21";
    const bool both = strcmp(columns, "v,gap") == 0 || strcmp(columns, "gap,v") == 0;

    if (!both && strcmp(columns, "v") != 0 && strcmp(columns, "gap") != 0)
        return usage("--columns must be v, gap or v,gap, got '%s'", columns);
    for (const char *p = depths; *p;) {
        char *end;
        const long depth = strtol(p, &end, 10);

        if (end == p || (*end && *end != ',') || depth < 2 || depth > 100)
            return usage("--depths must be numbers from 2 to 100 with commas between, got '%s'",
                         depths);
        for (int gap = 0; gap < 2; gap++)
            if (both || gap == (columns[0] == 'g')) {
                if (w->n_cases == CASES)
                    return usage("--depths and --columns ask for more than %d networks", CASES);
                w->cases[w->n_cases].depth = (int)depth;
                w->cases[w->n_cases++].gap = gap;
            }
        p = *end ? end + 1 : end;
    }
    return w->n_cases ? EXIT_OK : usage("--depths is empty");
}

static int load(struct work *w)
{
    char train[PATH_ROOM], test[PATH_ROOM];
    struct args a = *w->a;

    if (!w->a->data)
        return usage("--data is missing: the directory of CIFAR-10's binary batches");
    snprintf(train, sizeof train, "cifar10:%s/train", w->a->data);
    snprintf(test, sizeof test, "cifar10:%s/test", w->a->data);
    a.train = train;
    a.test = test;
    a.train_limit = a.train_limit ? a.train_limit : a.quick ? 200 : 2000;
    a.test_limit = a.test_limit ? a.test_limit : a.quick ? 100 : 10000;
    STEP(samples_load(w->ctx, &a, NULL, NULL, true, &w->s));
    w->n = ntk_data_n(w->s.train);
    w->m = ntk_data_n(w->s.test);
    w->block = w->cases[w->n_cases - 1].gap ? BLOCK_GAP : BLOCK;
    w->block = w->block < w->n ? w->block : w->n;
    return EXIT_OK;
}

/* All networks in one kernel. */
static int compile(struct work *w)
{
    ntk_net *nets[CASES] = {NULL};
    ntk_status status = NTK_OK;

    for (int k = 0; k < w->n_cases && status == NTK_OK; k++) {
        char text[64];

        snprintf(text, sizeof text, "cntk(depth=%d, pool='%s')", w->cases[k].depth,
                 w->cases[k].gap ? "gap" : "none");
        status = ntk_net_parse(w->ctx, text, &nets[k]);
    }
    if (status == NTK_OK)
        status = ntk_kernel_new(w->ctx, (const ntk_net *const *)nets, (size_t)w->n_cases, NTK_NTK,
                                NTK_F32, ntk_data_shape(w->s.train), &w->kernel);
    for (int k = 0; k < w->n_cases; k++)
        ntk_net_free(nets[k]);
    TRY(w->ctx, status);
    return EXIT_OK;
}

/* ---- blocks of rows on disk */

static void block_path(const struct work *w, int k, const char *part, int64_t i, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/%s-%d-%s-%06lld.f32", w->dir, w->cases[k].gap ? "gap" : "vanilla",
             w->cases[k].depth, part, (long long)i);
}

static bool is_there(const struct work *w, const char *part, int64_t i, size_t bytes)
{
    for (int k = 0; k < w->n_cases; k++) {
        char path[PATH_ROOM];
        FILE *f;
        bool whole;

        block_path(w, k, part, i, path);
        f = fopen(path, "rb");
        if (!f)
            return false;
        whole = fseek(f, 0, SEEK_END) == 0 && ftell(f) == (long)bytes;
        fclose(f);
        if (!whole)
            return false;
    }
    return true;
}

static int write_block(const struct work *w, int k, const char *part, int64_t i, size_t bytes)
{
    char path[PATH_ROOM];
    struct ntk_outfile out;

    block_path(w, k, part, i, path);
    STEP(file_open(path, &out));
    (void)!fwrite(w->rows[k], 1, bytes, out.f);
    return file_close(path, &out, EXIT_OK);
}

/* Where the blocks that the library delivers go: a part of the rows. */
struct place {
    const struct work *w;
    int64_t width, column; /* of the rows; where the part begins */
    bool symmetric;
};

static int put(const ntk_block *b, void *user)
{
    const struct place *p = user;
    const float *k = b->k;

    for (int64_t i = 0; i < b->ni; i++)
        for (int64_t j = 0; j < b->nj; j++) {
            const int64_t row = b->i0 + i, column = b->j0 + j;

            p->w->rows[b->output][row * p->width + p->column + column] = k[i * b->ld + j];
            if (p->symmetric)
                p->w->rows[b->output][column * p->width + p->column + row] = k[i * b->ld + j];
        }
    return 0;
}

/* Training rows with themselves, each pair once, then with those after them; test rows with all. */
static ntk_status compute_rows(const struct work *w, const ntk_data *rows, int64_t ni, int64_t from,
                               bool training)
{
    struct place p = {.w = w, .width = w->n - from, .symmetric = training};
    ntk_data *columns;
    ntk_status status = NTK_OK;

    if (training) {
        status = ntk_kernel_stream(w->kernel, rows, NULL, put, &p);
        p = (struct place){.w = w, .width = w->n - from, .column = ni};
    }
    if (status != NTK_OK || p.column == p.width)
        return status;
    status = ntk_data_slice(w->s.train, from + p.column, p.width - p.column, &columns);
    if (status == NTK_OK)
        status = ntk_kernel_stream(w->kernel, rows, columns, put, &p);
    ntk_data_free(columns);
    return status;
}

/* Rows i ... i + ni - 1 of x with columns from `from` on. */
static int compute_block(const struct work *w, bool training, int64_t i, int64_t ni)
{
    const char *part = training ? "train" : "test";
    const int64_t from = training ? i : 0;
    const size_t bytes = (size_t)(ni * (w->n - from)) * sizeof(float);
    ntk_data *rows;
    ntk_status status;

    if (is_there(w, part, i, bytes))
        return EXIT_OK;
    note("%s images %lld to %lld", part, (long long)i, (long long)(i + ni - 1));
    TRY(w->ctx, ntk_data_slice(training ? w->s.train : w->s.test, i, ni, &rows));
    status = compute_rows(w, rows, ni, from, training);
    ntk_data_free(rows);
    TRY(w->ctx, status);
    for (int k = 0; k < w->n_cases; k++)
        STEP(write_block(w, k, part, i, bytes));
    return EXIT_OK;
}

static int compute(struct work *w)
{
    for (int k = 0; k < w->n_cases; k++) {
        w->rows[k] = malloc((size_t)(w->block * w->n) * sizeof *w->rows[k]);
        if (!w->rows[k])
            return usage("no memory for %lld rows of a kernel", (long long)w->block);
    }
    for (int64_t i = 0; i < w->n; i += w->block)
        STEP(compute_block(w, true, i, w->n - i < w->block ? w->n - i : w->block));
    for (int64_t i = 0; i < w->m; i += w->block)
        STEP(compute_block(w, false, i, w->m - i < w->block ? w->m - i : w->block));
    return EXIT_OK;
}

/* ---- solutions */

struct source {
    const struct work *w;
    int k;
    int code; /* not EXIT_OK: a block could not be read, which has been said */
};

static int read_block(const struct work *w, int k, const char *part, int64_t i, size_t n, float *to)
{
    char path[PATH_ROOM];
    FILE *f;
    size_t got = 0, finite = 0;

    block_path(w, k, part, i, path);
    f = fopen(path, "rb");
    if (f) {
        got = fread(to, sizeof(float), n, f);
        fclose(f);
    }
    while (finite < got && isfinite(to[finite]))
        finite++;
    if (finite == n)
        return EXIT_OK;
    return failed("%s %s: remove it, and the same command computes it again", path,
                  got < n ? "cannot be read as a whole" : "has a number that is not finite");
}

static int train_rows(int64_t i0, int64_t ni, void *rows, void *user)
{
    struct source *s = user;

    s->code = read_block(s->w, s->k, "train", i0, (size_t)(ni * (s->w->n - i0)), rows);
    return s->code != EXIT_OK;
}

static int predict(const struct work *w, int k, const double *alpha, double *f)
{
    const float *rows = w->rows[0];

    for (int64_t i = 0; i < w->m; i += w->block) {
        const int64_t ni = w->m - i < w->block ? w->m - i : w->block;

        STEP(read_block(w, k, "test", i, (size_t)(ni * w->n), w->rows[0]));
        for (int64_t r = 0; r < ni; r++)
            for (int c = 0; c < CLASSES; c++) {
                double sum = 0;

                for (int64_t j = 0; j < w->n; j++)
                    sum += (double)rows[r * w->n + j] * alpha[j * CLASSES + c];
                f[(i + r) * CLASSES + c] = sum;
            }
    }
    return EXIT_OK;
}

static double published_for(const struct work *w, int k)
{
    for (size_t r = 0; r < sizeof published / sizeof *published; r++)
        if (published[r].depth == w->cases[k].depth)
            return w->n == 50000  ? published[r].all[w->cases[k].gap]
                   : w->n == 2000 ? published[r].first[w->cases[k].gap]
                                  : (double)NAN;
    return (double)NAN;
}

static void print_row(const struct work *w, int k, const struct finding *f, double elapsed)
{
    if (w->a->json)
        return;
    if (k == 0)
        printf("depth  column    train    test  accuracy %%  95 %% interval   published  seconds "
               "to solve\n");
    printf("%5d  %-7s %7lld %7lld  %10.2f  %5.2f to %5.2f  ", w->cases[k].depth,
           w->cases[k].gap ? "GAP" : "vanilla", (long long)w->n, (long long)w->m, f->measured,
           f->low, f->high);
    if (isnan(f->theory))
        printf("%9s  %.1f\n", "", elapsed);
    else
        printf("%9.2f  %.1f\n", f->theory, elapsed);
}

static int solve_case(const struct work *w, int k, double *alpha, double *f, struct finding *found)
{
    struct source source = {.w = w, .k = k};
    const double start = ntk_seconds();
    double p, half;
    ntk_status status;

    status = ntk_kernel_solve(w->ctx, w->n, NTK_F32, w->block, train_rows, &source, w->s.y, CLASSES,
                              0, alpha);
    STEP(source.code);
    TRY(w->ctx, status);
    STEP(predict(w, k, alpha, f));
    p = accuracy(w->s.test, f, w->m, CLASSES);
    half = 1.96 * sqrt(p * (1 - p) / (double)w->m);
    *found = (struct finding){.theory = published_for(w, k),
                              .measured = 100 * p,
                              .low = 100 * (p - half),
                              .high = 100 * (p + half)};
    snprintf(found->quantity, sizeof found->quantity,
             "accuracy %% of CNTK-%s, depth %d, %lld images", w->cases[k].gap ? "GAP" : "V",
             w->cases[k].depth, (long long)w->n);
    found->agrees =
        isnan(found->theory) ? -1 : found->theory >= found->low && found->theory <= found->high;
    print_row(w, k, found, ntk_seconds() - start);
    return EXIT_OK;
}

static int solve(const struct work *w)
{
    double *alpha = malloc((size_t)(w->n * CLASSES) * sizeof *alpha);
    double *f = malloc((size_t)(w->m * CLASSES) * sizeof *f);
    struct finding found[CASES];
    int code = alpha && f ? EXIT_OK : usage("no memory for the predictions");

    for (int k = 0; k < w->n_cases && code == EXIT_OK; k++)
        code = solve_case(w, k, alpha, f, &found[k]);
    free(alpha);
    free(f);
    STEP(code);
    return lab_report(w->a, w->dir, "cifar10", found, (size_t)w->n_cases);
}

/* ---- the directory belongs to one set of numbers */

/* FNV-1a of all numbers of the samples, in words of 64 bits. */
static uint64_t hash_of(const ntk_data *x, uint64_t h)
{
    const ntk_shape s = ntk_data_shape(x);
    const int64_t n = ntk_data_n(x) * s.h * s.w * s.c;
    const double *values = ntk_data_x(x);

    for (int64_t i = 0; i < n; i++) {
        uint64_t word;

        memcpy(&word, &values[i], sizeof word);
        h = (h ^ word) * 0x100000001b3u;
    }
    return h;
}

static int check_directory(const struct work *w)
{
    char path[PATH_ROOM], now[200], before[200] = "";
    struct ntk_outfile out;
    FILE *f;

    snprintf(path, sizeof path, "%s/cifar10.txt", w->dir);
    snprintf(now, sizeof now, "%lld training and %lld test images (%016llx) in blocks of %lld",
             (long long)w->n, (long long)w->m,
             (unsigned long long)hash_of(w->s.test, hash_of(w->s.train, 0xcbf29ce484222325u)),
             (long long)w->block);
    f = fopen(path, "r");
    if (f) {
        const bool read = fgets(before, sizeof before, f) != NULL;

        fclose(f);
        before[strcspn(before, "\n")] = '\0';
        if (read && strcmp(before, now) != 0)
            return usage("%s has blocks of %s, this run is of %s: choose another --out", w->dir,
                         before, now);
        return EXIT_OK;
    }
    STEP(file_open(path, &out));
    fputs(now, out.f);
    return file_close(path, &out, EXIT_OK);
}

int lab_cifar10(ntk_ctx *ctx, const struct args *a, const char *dir)
{
    struct work w = {.ctx = ctx, .a = a, .dir = dir};
    int code = parse_cases(&w);

    if (code == EXIT_OK)
        code = load(&w);
    if (code == EXIT_OK)
        code = check_directory(&w);
    if (code == EXIT_OK)
        code = compile(&w);
    if (code == EXIT_OK)
        code = compute(&w);
    if (code == EXIT_OK)
        code = solve(&w);
    for (int k = 0; k < w.n_cases; k++)
        free(w.rows[k]);
    ntk_kernel_free(w.kernel);
    samples_free(&w.s);
    return code;
}
