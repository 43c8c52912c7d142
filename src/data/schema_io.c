/* SPDX-License-Identifier: MIT
 *
 * schema_io.c - schemas in HDF5 files, where there is one: attribute schema (numbers of what follows),
 * schema_names (texts, each with its NUL), schema_at, class_names, class_labels.
 */
#include <math.h>
#include <stdlib.h>

#include "data/data.h"

#ifdef NTK_HDF5

#include "base/h5.h"

#define COUNT_MAX (1 << 24)
#define BYTES_MAX (1 << 28)

enum { COLUMNS, FEATURES, TARGETS, HEADER, CLASSES, NUMERIC, NAME_BYTES, CLASS_BYTES, NUMBERS };

/* Bytes of n texts as ntk_texts lays them out, one after the other. */
static int64_t bytes_of(char *const *texts, int64_t n)
{
    return n ? (int64_t)(texts[n - 1] + strlen(texts[n - 1]) + 1 - texts[0]) : 0;
}

/* Points n texts to their bytes; false if there are not n. */
static bool point(char **texts, int64_t n, char *bytes, int64_t size)
{
    char *const end = bytes + size;

    for (int64_t k = 0; k < n; k++) {
        char *nul = memchr(bytes, '\0', (size_t)(end - bytes));

        if (!nul)
            return false;
        texts[k] = bytes;
        bytes = nul + 1;
    }
    return true;
}

/* Texts as ntk_texts lays them out. */
static void read_texts(struct ntk_h5 *f, const char *name, char ***texts, int64_t size, int64_t n)
{
    char **t;

    /* what the file says of itself is not trusted with memory */
    if (!ntk_h5_has(f, name, 1, &size) || ntk_h5_broken(f, name, n <= size))
        return;
    t = ntk_alloc(f->ctx, (size_t)n * sizeof *t + (size_t)size, 1);
    if (ntk_h5_failed(f, name, t ? NTK_OK : NTK_ENOMEM))
        return;
    ntk_h5_array(f, name, H5T_NATIVE_CHAR, 1, &size, t + n, false);
    if (f->what || ntk_h5_broken(f, name, point(t, n, (char *)(t + n), size)))
        free(t);
    else
        *texts = t;
}

static void texts(struct ntk_h5 *f, const char *name, char ***texts, int64_t size, int64_t n, bool write)
{
    if (f->what || !n)
        return;
    if (write)
        ntk_h5_array(f, name, H5T_NATIVE_CHAR, 1, &size, (*texts)[0], true);
    else
        read_texts(f, name, texts, size, n);
}

static void contents(struct ntk_h5 *f, ntk_schema *s, const int64_t *v, bool write)
{
    int64_t columns = v[FEATURES] + v[TARGETS], classes = v[CLASSES];

    texts(f, "schema_names", &s->names, v[NAME_BYTES], columns, write);
    texts(f, "class_names", &s->classes, v[CLASS_BYTES], classes, write);
    if (!write) {
        if ((columns && !ntk_h5_has(f, "schema_at", 1, &columns)) ||
            (v[NUMERIC] && classes && !ntk_h5_has(f, "class_labels", 1, &classes)))
            return;
        s->at = ntk_alloc(f->ctx, (size_t)columns, sizeof *s->at);
        s->labels = v[NUMERIC] ? ntk_alloc(f->ctx, (size_t)classes, sizeof *s->labels) : NULL;
        if (ntk_h5_failed(f, "schema_at", s->at && (s->labels || !v[NUMERIC]) ? NTK_OK : NTK_ENOMEM))
            return;
    }
    if (columns)
        ntk_h5_array(f, "schema_at", H5T_NATIVE_INT64, 1, &columns, s->at, write);
    if (v[NUMERIC] && classes)
        ntk_h5_array(f, "class_labels", H5T_NATIVE_DOUBLE, 1, &classes, s->labels, write);
}

void ntk_schema_write(struct ntk_h5 *f, const ntk_schema *schema)
{
    ntk_schema copy;
    int64_t v[NUMBERS];

    if (!schema)
        return;
    copy = *schema; /* reading and writing share code that fills in */
    v[COLUMNS] = copy.columns;
    v[FEATURES] = copy.n_features;
    v[TARGETS] = copy.n_targets;
    v[HEADER] = copy.header;
    v[CLASSES] = copy.n_classes;
    v[NUMERIC] = copy.labels != NULL;
    v[NAME_BYTES] = bytes_of(copy.names, copy.n_features + copy.n_targets);
    v[CLASS_BYTES] = bytes_of(copy.classes, copy.n_classes);
    ntk_h5_attribute(f, "schema", H5T_NATIVE_INT64, NUMBERS, v, true);
    contents(f, &copy, v, true);
}

static bool fits(const int64_t *v)
{
    for (int k = 0; k < NUMBERS; k++)
        if (v[k] < 0 || v[k] > (k == NAME_BYTES || k == CLASS_BYTES ? BYTES_MAX : COUNT_MAX))
            return false;
    return v[FEATURES] + v[TARGETS] <= v[COLUMNS] || v[COLUMNS] == 0;
}

static bool places_fit(const ntk_schema *s)
{
    for (int64_t k = 0; k < s->n_features + s->n_targets; k++)
        if (s->at[k] < 0 || s->at[k] >= s->columns)
            return false;
    return true;
}

/* As labels are searched for. */
static bool ascending(const ntk_schema *s)
{
    for (int64_t k = 0; s->labels && k < s->n_classes; k++)
        if (!isfinite(s->labels[k]) || (k && s->labels[k] <= s->labels[k - 1]))
            return false;
    return true;
}

void ntk_schema_read(struct ntk_h5 *f, ntk_schema **schema)
{
    int64_t v[NUMBERS] = {0};
    ntk_schema *s;

    if (f->what || H5Aexists(f->id, "schema") <= 0)
        return;
    ntk_h5_attribute(f, "schema", H5T_NATIVE_INT64, NUMBERS, v, false);
    if (ntk_h5_broken(f, "schema", fits(v)))
        return;
    s = ntk_schema_alloc(f->ctx);
    if (ntk_h5_failed(f, "schema", s ? NTK_OK : NTK_ENOMEM))
        return;
    contents(f, s, v, false);
    if (!f->what) {
        s->columns = v[COLUMNS];
        s->n_features = v[FEATURES];
        s->n_targets = v[TARGETS];
        s->header = v[HEADER] != 0;
        s->n_classes = v[CLASSES];
    }
    ntk_h5_wrong(f, "class_labels", ascending(s), "is not ascending");
    if (ntk_h5_broken(f, "schema", places_fit(s)))
        ntk_schema_free(s);
    else
        *schema = s;
}

#endif
