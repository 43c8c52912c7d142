/* SPDX-License-Identifier: MIT
 *
 * identity.c - what a store is of: samples, a type, a backend, and a list of nets, in a text that its file has. Who goes on
 * with it, or reads from it, wants some of its matrices, of the same samples.
 */
#include <stdlib.h>
#include <string.h>

#include "data/symmetry.h"
#include "simd/simd.h"
#include "store/store.h"

/* "test: 500 samples of 64, hash ...", of all numbers, whatever their type, and their order. */
static void add_samples(struct ntk_text *t, const char *what, const ntk_data *x)
{
    const size_t n = (size_t)x->n * (size_t)ntk_features_of(x->shape);
    uint64_t a = 0x9e3779b97f4a7c15u, b = 0xd1b54a32d192ed03u;
    char shape[64], image[64], copies[NTK_SYMMETRY_TEXT];

    for (size_t i = 0; i < n; i++) {
        const double value = ntk_data_get(x, i) + 0.0; /* -0 is 0 */
        uint64_t word;

        memcpy(&word, &value, sizeof word);
        a = ntk_mix64(a ^ word) + 0x9e3779b97f4a7c15u;
        b = ntk_mix64(b + word) ^ 0xd1b54a32d192ed03u;
    }
    if (x->symmetry && strcmp(what, "test") != 0) {
        ntk_text_add(t, "%s: %lld samples of %s, each with its copies as an image of %s (%s), hash %016llx%016llx\n", what,
                     (long long)x->n, ntk_shape_text(x->shape, shape), ntk_shape_text(x->symmetry->image, image),
                     ntk_symmetry_text(x->symmetry->kinds, copies), (unsigned long long)a, (unsigned long long)b);
        return;
    }
    ntk_text_add(t, "%s: %lld samples of %s, hash %016llx%016llx\n", what, (long long)x->n,
                 ntk_shape_text(x->shape, shape), (unsigned long long)a, (unsigned long long)b);
}

static ntk_status add_matrices(struct ntk_text *t, const ntk_net *const *nets, size_t n_nets, unsigned want)
{
    for (size_t i = 0; i < n_nets; i++) {
        char number[24] = "", *text;

        if (n_nets > 1)
            snprintf(number, sizeof number, "%zu.", i);
        NTK_TRY(ntk_net_print(nets[i], &text));
        if (want & NTK_NNGP)
            ntk_text_add(t, "%snngp: %s\n", number, text);
        if (want & NTK_NTK)
            ntk_text_add(t, "%sntk: %s\n", number, text);
        ntk_text_free(text);
    }
    return NTK_OK;
}

ntk_status ntk_store_describe(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets, unsigned want, ntk_dtype dtype,
                              const ntk_data *x1, const ntk_data *x2, const ntk_data *test, char **about)
{
    struct ntk_text t = {0};
    ntk_status status;

    add_samples(&t, "rows", x1);
    if (x2)
        add_samples(&t, "columns", x2);
    else
        ntk_text_add(&t, "columns: those of the rows\n");
    if (test)
        add_samples(&t, "test", test);
    else
        ntk_text_add(&t, "test: none\n");
    ntk_text_add(&t, "entries: float%d, computed by %s\n", 8 * (int)dtype, ntk_ctx_backend(ctx));
    status = add_matrices(&t, nets, n_nets, want);
    if (status == NTK_OK && t.failed)
        status = ntk_fail(ctx, NTK_ENOMEM, "no memory for the description of a store");
    if (status == NTK_OK)
        *about = t.s;
    else
        free(t.s);
    return status;
}

void ntk_store_by(const ntk_ctx *ctx, char by[NTK_STORE_BY])
{
    snprintf(by, NTK_STORE_BY, "libntk %s, %s", ntk_version(), ctx->isa->name);
}

/* ---- lines */

ntk_status ntk_store_split(struct ntk_store *s)
{
    size_t n = 0;

    for (const char *p = s->about; *p; p++)
        n += *p == '\n';
    s->lines = ntk_strdup(s->ctx, s->about);
    s->line = ntk_alloc(s->ctx, n, sizeof *s->line);
    if (!s->lines || !s->line)
        return NTK_ENOMEM;
    if (n <= NTK_STORE_HEAD)
        return NTK_EINVAL;
    n = 0;
    for (char *p = s->lines, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = '\0';
        s->line[n++] = p;
    }
    s->stored = n - NTK_STORE_HEAD;
    for (size_t k = NTK_STORE_HEAD; k < n; k++)
        if (!strstr(s->line[k], ": "))
            return NTK_EINVAL;
    return NTK_OK;
}

const char *ntk_store_name(const struct ntk_store *s, size_t stored, int *length)
{
    const char *line = s->line[NTK_STORE_HEAD + stored];

    *length = (int)strcspn(line, ":");
    return line;
}

/* What stands before ": " without a net's number: the kernel. */
static const char *kernel_of(const char *line)
{
    const size_t colon = strcspn(line, ":"), dot = strcspn(line, ".");

    return dot < colon ? line + dot + 1 : line;
}

/* The file's matrix whose kernel and net are a line's; s->stored: there is none. */
static size_t find_matrix(const struct ntk_store *s, const char *line)
{
    size_t k = 0;

    while (k < s->stored && strcmp(kernel_of(s->line[NTK_STORE_HEAD + k]), kernel_of(line)) != 0)
        k++;
    return k;
}

static ntk_status lacks(const struct ntk_store *s, const char *line)
{
    return ntk_fail(s->ctx, NTK_EINVAL, "%s is a store of other kernels; choose another file. It has %.300s%s, and not %.300s",
                    s->path, kernel_of(s->line[NTK_STORE_HEAD]), s->stored > 1 ? " and others" : "", kernel_of(line));
}

static ntk_status compare_head(const struct ntk_store *s, const struct ntk_store *wanted)
{
    static const size_t order[NTK_STORE_HEAD] = {3, 0, 1, 2}; /* another type makes other numbers of the same samples */

    for (size_t i = 0; i < NTK_STORE_HEAD; i++) {
        const size_t k = order[i];
        const bool optional = k == 2 && strcmp(wanted->line[k], "test: none") == 0;

        if (!optional && strcmp(s->line[k], wanted->line[k]) != 0)
            return ntk_fail(s->ctx, NTK_EINVAL, "%s is a store of other kernels: its %s; here, %s. Choose another file",
                            s->path, s->line[k], wanted->line[k]);
    }
    return NTK_OK;
}

static ntk_status compare(struct ntk_store *s, const struct ntk_store *wanted)
{
    NTK_TRY(compare_head(s, wanted));
    s->which = ntk_alloc(s->ctx, wanted->stored, sizeof *s->which);
    if (!s->which)
        return NTK_ENOMEM;
    s->count = wanted->stored;
    for (size_t m = 0; m < wanted->stored; m++) {
        s->which[m] = find_matrix(s, wanted->line[NTK_STORE_HEAD + m]);
        if (s->which[m] == s->stored)
            return lacks(s, wanted->line[NTK_STORE_HEAD + m]);
    }
    return NTK_OK;
}

static void forget(struct ntk_store *s)
{
    free(s->line);
    free(s->lines);
    free(s->about);
}

/* A list may have a net twice, a file has its matrices once. */
ntk_status ntk_store_unique(ntk_ctx *ctx, const char *about, char **unique)
{
    struct ntk_store s = {.ctx = ctx, .about = ntk_strdup(ctx, about)};
    struct ntk_text t = {0};
    const bool split = s.about && ntk_store_split(&s) == NTK_OK;

    for (size_t k = 0; split && k < NTK_STORE_HEAD + s.stored; k++)
        if (k < NTK_STORE_HEAD || find_matrix(&s, s.line[k]) == k - NTK_STORE_HEAD)
            ntk_text_add(&t, "%s\n", s.line[k]);
    forget(&s);
    if (split && !t.failed) {
        *unique = t.s;
        return NTK_OK;
    }
    free(t.s);
    return ntk_fail(ctx, NTK_ENOMEM, "no memory for the description of a store");
}

ntk_status ntk_store_compare(struct ntk_store *s, const char *about)
{
    struct ntk_store wanted = {.ctx = s->ctx, .about = ntk_strdup(s->ctx, about)};
    ntk_status status = NTK_ENOMEM;

    if (wanted.about && ntk_store_split(&wanted) == NTK_OK)
        status = compare(s, &wanted);
    forget(&wanted);
    return status;
}

ntk_status ntk_store_is_test(const struct ntk_store *s, const ntk_data *x, bool *is)
{
    struct ntk_text t = {0};

    *is = false;
    if (!s->part[NTK_STORE_TEST].there || s->part[NTK_STORE_TEST].n1 != x->n)
        return NTK_OK;
    add_samples(&t, "test", x);
    if (t.failed) {
        free(t.s);
        return ntk_fail(s->ctx, NTK_ENOMEM, "no memory for the description of a store");
    }
    *is = strncmp(t.s, s->line[2], strlen(s->line[2])) == 0;
    free(t.s);
    return NTK_OK;
}

ntk_status ntk_store_kernels(ntk_ctx *ctx, const char *path, const ntk_net *net, unsigned *there)
{
    ntk_kernel_store *s = NULL;
    char *text;
    ntk_status status;

    *there = 0;
    if (!ntk_store_is_there(path))
        return NTK_OK;
    NTK_TRY(ntk_net_print(net, &text));
    status = ntk_store_read(ctx, path, &s);
    for (size_t k = 0; status == NTK_OK && k < s->stored; k++) {
        const char *kernel = kernel_of(s->line[NTK_STORE_HEAD + k]);

        if (strcmp(kernel + strcspn(kernel, ":") + 2, text) == 0)
            *there |= kernel[1] == 'n' ? NTK_NNGP : NTK_NTK;
    }
    ntk_text_free(text);
    ntk_store_free(s);
    return status;
}
