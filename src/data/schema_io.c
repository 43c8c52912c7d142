/* SPDX-License-Identifier: MIT
 *
 * schema_io.c - schemas in HDF5 files, where there is one: attribute schema (numbers of what follows),
 * schema_names (texts, each with its NUL), schema_at, class_names, class_labels.
 */
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

/* Texts from so many bytes; NULL if there are not n. */
static char **texts_of(ntk_ctx *ctx, const char *bytes, int64_t size, int64_t n)
{
    char **texts = ntk_alloc(ctx, (size_t)n * sizeof *texts + (size_t)size, 1), *at;

    if (!texts)
        return NULL;
    at = memcpy(texts + n, bytes, (size_t)size);
    for (int64_t k = 0; k < n; k++) {
        char *end = memchr(at, '\0', (size_t)((char *)(texts + n) + size - at));

        if (!end) {
            free(texts);
            return NULL;
        }
        texts[k] = at;
        at = end + 1;
    }
    return texts;
}

static void texts(struct ntk_h5 *f, const char *name, char ***texts, int64_t size, int64_t n, bool write)
{
    char *bytes;

    if (f->what || !n)
        return;
    if (write) {
        ntk_h5_array(f, name, H5T_NATIVE_CHAR, 1, &size, (*texts)[0], true);
        return;
    }
    if (!ntk_h5_has(f, name, 1, &size)) /* what it says is not trusted with memory */
        return;
    bytes = ntk_alloc(f->ctx, (size_t)size, 1);
    if (ntk_h5_failed(f, name, bytes ? NTK_OK : NTK_ENOMEM))
        return;
    ntk_h5_array(f, name, H5T_NATIVE_CHAR, 1, &size, bytes, false);
    if (!f->what)
        *texts = texts_of(f->ctx, bytes, size, n);
    ntk_h5_broken(f, name, *texts != NULL);
    free(bytes);
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
    if (ntk_h5_broken(f, "schema", places_fit(s)))
        ntk_schema_free(s);
    else
        *schema = s;
}

#endif
