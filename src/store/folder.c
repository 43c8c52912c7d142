/* SPDX-License-Identifier: MIT
 *
 * folder.c - what a folder of blocks is of: one list of nets, samples, a type and a backend. A text says so, and which
 * matrices of the nets; only the number of rows in a file is taken from it, so that another rule for new folders leaves old
 * ones as they are.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/outfile.h"
#include "data/data.h"
#include "store/files.h"

#define FORMAT     "kernel matrices of ntk, format 1"
#define ROWS       "rows in a file: "
#define TEXT_BYTES ((size_t)1 << 22) /* of store.txt */

/* A block is minutes of work: the positions of its pairs in ten minutes of one processor (the order of 1e-9 s each; without
 * positions a pair is of the order of 1e-7 s). Its rows of all matrices are in memory while it is computed. Where that
 * makes too many files, a block is larger. */
#define POSITIONS     6e11
#define POSITIONS_MIN 100
#define BYTES         ((double)((size_t)64 << 20))
#define FILES_MOST    1000 /* of a matrix */

static int64_t rule(const ntk_kernel *kernel, ntk_dtype dtype, int64_t n1, int64_t n2)
{
    const double by_time = POSITIONS / (fmax(ntk_kernel_positions(kernel), POSITIONS_MIN) * (double)n2);
    const double by_bytes = BYTES / ((double)ntk_kernel_outputs(kernel) * (double)n2 * (double)dtype);
    const int64_t rows = (int64_t)fmin(fmin(by_time, by_bytes), (double)n1);
    const int64_t least = (n1 + FILES_MOST - 1) / FILES_MOST;

    return rows < least ? least : rows;
}

size_t ntk_files_bytes(const ntk_kernel *kernel, ntk_dtype dtype, int64_t n1, int64_t n2)
{
    return ntk_kernel_outputs(kernel) * (size_t)rule(kernel, dtype, n1, n2) * (size_t)n2 * dtype;
}

/* ---- its text */

/* Of all numbers, whatever their type, and their order; the finalizer of splitmix64 (Steele et al. 2014) after each. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void add_samples(struct ntk_text *t, const char *what, const ntk_data *x)
{
    const size_t n = (size_t)x->n * (size_t)ntk_features_of(x->shape);
    uint64_t a = 0x9e3779b97f4a7c15u, b = 0xd1b54a32d192ed03u;
    char shape[64];

    for (size_t i = 0; i < n; i++) {
        const double value = ntk_data_get(x, i) + 0.0; /* -0 is 0 */
        uint64_t word;

        memcpy(&word, &value, sizeof word);
        a = mix(a ^ word) + 0x9e3779b97f4a7c15u;
        b = mix(b + word) ^ 0xd1b54a32d192ed03u;
    }
    ntk_text_add(t, "%s: %lld samples of %s, hash %016llx%016llx\n", what, (long long)x->n,
                 ntk_shape_text(x->shape, shape), (unsigned long long)a, (unsigned long long)b);
}

/* All lines but the matrices', and that of rows in a file, which comes after them. */
static void add_head(struct ntk_text *t, const struct ntk_files *s)
{
    ntk_text_add(t, FORMAT "\n");
    add_samples(t, "rows", s->x1);
    if (s->x2)
        add_samples(t, "columns", s->x2);
    else
        ntk_text_add(t, "columns: those of the rows\n");
    ntk_text_add(t, "entries: float%d, computed by %s\n", 8 * (int)s->dtype, ntk_ctx_backend(s->ctx));
}
#define HEAD_LINES 4

static ntk_status add_matrices(struct ntk_text *t, const ntk_net *const *nets, size_t n_nets, unsigned want)
{
    for (size_t i = 0; i < n_nets; i++) {
        char *text;

        NTK_TRY(ntk_net_print(nets[i], &text));
        if (want & NTK_NNGP)
            ntk_text_add(t, "%zu.nngp: %s\n", i, text);
        if (want & NTK_NTK)
            ntk_text_add(t, "%zu.ntk: %s\n", i, text);
        ntk_text_free(text);
    }
    return NTK_OK;
}

/* A text in lines, which end with '\0' in place of '\n'. */
struct lines {
    char *text;
    char **line;
    size_t n;
};

static ntk_status split(ntk_ctx *ctx, char *text, struct lines *l)
{
    size_t n = 0;

    for (const char *p = text; *p; p++)
        n += *p == '\n';
    *l = (struct lines){text, ntk_alloc(ctx, n, sizeof *l->line), 0};
    if (!l->line)
        return NTK_ENOMEM;
    for (char *p = text, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = '\0';
        l->line[l->n++] = p;
    }
    return NTK_OK;
}

static void forget(struct lines *l)
{
    free(l->line);
    free(l->text);
}

/* What this store is to be, as the folder's text would be but for the rows in a file. */
static ntk_status describe(const struct ntk_files *s, const ntk_net *const *nets, size_t n_nets, unsigned want,
                           struct lines *l)
{
    struct ntk_text t = {0};
    ntk_status status;

    add_head(&t, s);
    status = add_matrices(&t, nets, n_nets, want);
    if (status == NTK_OK && t.failed)
        status = ntk_fail(s->ctx, NTK_ENOMEM, "no memory for the description of a store");
    if (status == NTK_OK)
        return split(s->ctx, t.s, l);
    free(t.s);
    return status;
}

/* ---- the folder */

static void text_path(const struct ntk_files *s, char path[NTK_FILES_PATH])
{
    snprintf(path, NTK_FILES_PATH, "%s/store.txt", s->folder);
}

void ntk_files_path(const struct ntk_files *s, size_t m, int64_t first, char path[NTK_FILES_PATH])
{
    snprintf(path, NTK_FILES_PATH, "%s/%s-%06lld.f%d", s->folder, s->names[m], (long long)first, 8 * (int)s->dtype);
}

static ntk_status make_folder(const struct ntk_files *s)
{
    if (mkdir(s->folder, 0777) == 0 || errno == EEXIST)
        return NTK_OK;
    return ntk_fail(s->ctx, NTK_EIO, "the store %s cannot be made: %s", s->folder, strerror(errno));
}

/* Blocks that nothing is known of must not become those of this store. */
static ntk_status check_new(const struct ntk_files *s)
{
    DIR *dir = opendir(s->folder);
    ntk_status status = NTK_OK;

    if (!dir)
        return ntk_fail(s->ctx, NTK_EIO, "the store %s cannot be read: %s", s->folder, strerror(errno));
    for (const struct dirent *e; status == NTK_OK && (e = readdir(dir));)
        if (ntk_ends_with(e->d_name, ".f32") || ntk_ends_with(e->d_name, ".f64"))
            status = ntk_fail(s->ctx, NTK_EINVAL,
                              "%s has blocks of rows (%s) but no store.txt, which says of what: remove them, or choose "
                              "another folder",
                              s->folder, e->d_name);
    closedir(dir);
    return status;
}

static void add_lines(struct ntk_text *t, const struct lines *l, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        ntk_text_add(t, "%s\n", l->line[i]);
}

static ntk_status write_text(const struct ntk_files *s, const struct ntk_text *t)
{
    char path[NTK_FILES_PATH];
    struct ntk_outfile out;
    int error;

    if (t->failed)
        return ntk_fail(s->ctx, NTK_ENOMEM, "no memory for the description of a store");
    text_path(s, path);
    error = ntk_outfile_open(path, &out);
    if (error)
        return ntk_fail_write(s->ctx, path, error);
    fputs(t->s, out.f);
    error = ntk_outfile_commit(&out);
    return error ? ntk_fail_write(s->ctx, path, error) : NTK_OK;
}

/* l->text NULL: there is none. */
static ntk_status read_text(const struct ntk_files *s, struct lines *l)
{
    char path[NTK_FILES_PATH], *text;
    size_t n = 0;
    FILE *f;

    *l = (struct lines){0};
    text_path(s, path);
    f = fopen(path, "r");
    if (!f && errno == ENOENT)
        return NTK_OK;
    if (!f)
        return ntk_fail(s->ctx, NTK_EIO, "%s cannot be read: %s", path, strerror(errno));
    text = ntk_alloc(s->ctx, TEXT_BYTES + 1, 1);
    if (text)
        n = fread(text, 1, TEXT_BYTES, f);
    fclose(f);
    if (!text)
        return NTK_ENOMEM;
    text[n] = '\0';
    return split(s->ctx, text, l);
}

/* ---- whether the folder is the one that is wanted */

/* Number of a folder's line that ends as a matrix's line does, from its kernel on; the nets' numbers are the folder's. */
static const char *find_matrix(const struct lines *there, const char *wanted)
{
    for (size_t i = HEAD_LINES + 1; i < there->n; i++)
        if (strcmp(there->line[i] + strcspn(there->line[i], "."), wanted) == 0)
            return there->line[i];
    return NULL;
}

/* The line of another matrix of a net, ": net". */
static const char *find_net(const struct lines *there, const char *net)
{
    for (size_t i = HEAD_LINES + 1; i < there->n; i++)
        if (strcmp(there->line[i] + strcspn(there->line[i], ":"), net) == 0)
            return there->line[i];
    return NULL;
}

static ntk_status compare_matrices(struct ntk_files *s, const struct lines *there, const struct lines *wanted)
{
    for (size_t m = 0; m < s->count; m++) {
        const char *kernel = wanted->line[HEAD_LINES + m] + strcspn(wanted->line[HEAD_LINES + m], ".");
        const char *net = kernel + strcspn(kernel, ":"), *found = find_matrix(there, kernel);

        if (!found)
            found = find_net(there, net);
        if (!found)
            return ntk_fail(s->ctx, NTK_EINVAL,
                            "%s is a store of another list of kernels; choose another folder. It has %.300s%s, and not "
                            "%.300s",
                            s->folder, strchr(there->line[HEAD_LINES + 1], '.') + 1,
                            there->n > HEAD_LINES + 2 ? " and others" : "", kernel + 1);
        snprintf(s->names[m], sizeof s->names[m], "%.*s%.*s", (int)strcspn(found, "."), found, (int)(net - kernel), kernel);
    }
    return NTK_OK;
}

/* A list may have a net twice. */
static bool is_first(const struct ntk_files *s, size_t m)
{
    for (size_t k = 0; k < m; k++)
        if (strcmp(s->names[k], s->names[m]) == 0)
            return false;
    return true;
}

/* A matrix that the folder has not, of a net that it has, becomes one more, in its text: what was stored for a mean, of
 * the NTK, serves for variances, which need the NNGP too. */
static ntk_status add_new(const struct ntk_files *s, const struct lines *there, const struct lines *wanted)
{
    struct ntk_text t = {0};
    ntk_status status = NTK_OK;
    size_t n;

    add_lines(&t, there, 0, there->n);
    n = t.n;
    for (size_t m = 0; m < s->count; m++) {
        const char *kernel = wanted->line[HEAD_LINES + m] + strcspn(wanted->line[HEAD_LINES + m], ".");
        const char *net = kernel + strcspn(kernel, ":"), *beside = find_net(there, net);

        if (find_matrix(there, kernel) || !is_first(s, m))
            continue;
        ntk_log(s->ctx, 0, "%s gets %s beside %.*s", s->folder, s->names[m], (int)strcspn(beside, ":"), beside);
        ntk_text_add(&t, "%s%s\n", s->names[m], net);
    }
    if (t.n > n || t.failed)
        status = write_text(s, &t);
    free(t.s);
    return status;
}

static ntk_status compare(struct ntk_files *s, const struct lines *there, const struct lines *wanted)
{
    const bool whole = there->n > HEAD_LINES + 1 && strcmp(there->line[0], FORMAT) == 0 &&
                       strncmp(there->line[HEAD_LINES], ROWS, strlen(ROWS)) == 0 &&
                       strchr(there->line[HEAD_LINES + 1], '.');

    s->block = whole ? strtoll(there->line[HEAD_LINES] + strlen(ROWS), NULL, 10) : 0;
    if (s->block < 1 || s->block > s->n1)
        s->block = 0;
    for (size_t i = 1; whole && i < HEAD_LINES; i++)
        if (strcmp(there->line[i], wanted->line[i]) != 0)
            return ntk_fail(s->ctx, NTK_EINVAL, "%s is a store of other kernels: its %s; here, %s. Choose another folder",
                            s->folder, there->line[i], wanted->line[i]);
    if (!s->block)
        return ntk_fail(s->ctx, NTK_EINVAL,
                        "%s/store.txt is not what says of which kernels a store is: choose another folder, or remove this "
                        "one",
                        s->folder);
    NTK_TRY(compare_matrices(s, there, wanted));
    return add_new(s, there, wanted);
}

static ntk_status begin(struct ntk_files *s, const struct lines *wanted)
{
    struct ntk_text t = {0};
    ntk_status status;

    NTK_TRY(check_new(s));
    s->block = rule(s->kernel, s->dtype, s->n1, s->n2);
    for (size_t m = 0; m < s->count; m++) {
        const char *line = wanted->line[HEAD_LINES + m];

        snprintf(s->names[m], sizeof s->names[m], "%.*s", (int)strcspn(line, ":"), line);
    }
    add_lines(&t, wanted, 0, HEAD_LINES);
    ntk_text_add(&t, ROWS "%lld\n", (long long)s->block);
    add_lines(&t, wanted, HEAD_LINES, wanted->n);
    status = write_text(s, &t);
    free(t.s);
    return status;
}

ntk_status ntk_files_settle(struct ntk_files *s, const ntk_net *const *nets, size_t n_nets, unsigned want)
{
    struct lines there = {0}, wanted = {0};
    ntk_status status = describe(s, nets, n_nets, want, &wanted);

    if (status == NTK_OK)
        status = make_folder(s);
    if (status == NTK_OK)
        status = read_text(s, &there);
    if (status == NTK_OK)
        status = there.text ? compare(s, &there, &wanted) : begin(s, &wanted);
    forget(&there);
    forget(&wanted);
    return status;
}
