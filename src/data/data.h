/* SPDX-License-Identifier: MIT
 *
 * data.h - what samples are in memory, and what the readers of files share.
 */
#ifndef NTK_DATA_H
#define NTK_DATA_H

#include <string.h>

#include "base/base.h"

struct ntk_data {
    ntk_ctx *ctx;
    const void *x; /* [n][h][w][c] of dtype */
    void *owned_x; /* x if it is ours, else NULL */
    ntk_dtype dtype;
    int64_t n;
    ntk_shape shape;
    double *y;    /* [n][outputs]; NULL: none */
    bool owned_y; /* y is ours */
    int64_t outputs;
    double *weights, *noise;   /* [n]; NULL: none, as of what follows */
    unsigned char *mask;       /* [n][positions] */
    int64_t *edge_offsets;     /* [n + 1] */
    int32_t *edges;            /* [edge_offsets[n]][2] */
    bool owned_parts;          /* these five are ours */
    int64_t positions;         /* of a sample, before it was flattened */
    ntk_shape image;           /* of a sample that was flattened, or vectors are said to be; c = 0: its shape */
    struct ntk_symmetry *symmetry; /* what samples stand for; NULL: for themselves; held */
    int64_t classes;           /* labels are 0 ... classes - 1, or -1; 0: not known to be so */
    bool copied;               /* some are shifted copies of others */
    struct ntk_schema *schema; /* NULL: none; held */
    size_t held;               /* bytes that are ours: ntk_ctx_keep */
};

/* Shared by what refers to it, and never changed once it is. */
struct ntk_schema {
    ntk_ctx *ctx;
    int refs;
    int64_t columns;             /* of the table; 0: not of a table */
    int64_t n_features, n_targets;
    bool header;
    char **names;                /* [n_features + n_targets]; without a header numbers; NULL: no table */
    int64_t *at;                 /* the same columns' places in the table */
    int64_t n_classes;           /* 0: none */
    char **classes;              /* [n_classes] their names */
    double *labels;              /* ascending; NULL: words, in the order of their bytes */
    bool from_table;             /* table and its lists are there */
    char **dropped, **notes;
    char **own;                  /* [2] those of weights and noise, "" for none */
    ntk_table table;
};

ntk_schema *ntk_schema_alloc(ntk_ctx *ctx);
ntk_schema *ntk_schema_hold(ntk_schema *schema); /* NULL: nothing */
/* A copy of n texts that one free() frees; NULL: no memory. */
char **ntk_texts(ntk_ctx *ctx, const char *const *texts, size_t n);
/* Data's classes, whatever labels its samples have: those of 0 ... n - 1 that are seen (NULL: all). */
ntk_status ntk_data_declare(ntk_data *data, const bool *seen, int64_t n);

/* Value k of n * features, whatever the dtype. */
static inline double ntk_data_get(const ntk_data *data, size_t k)
{
    return ntk_number(data->x, data->dtype, k);
}

/* Room for n samples, and for their targets; sizes are checked against the memory bound. */
ntk_status ntk_data_alloc(ntk_ctx *ctx, ntk_dtype dtype, int64_t n, ntk_shape shape,
                          ntk_data **data);
ntk_status ntk_data_add_targets(ntk_data *data, int64_t outputs);
/* n samples of data, by their numbers, with all their parts, as data of their own. */
ntk_status ntk_data_select(const ntk_data *data, const int64_t *rows, int64_t n, ntk_data **selected);
/* NTK_EINVAL names the first value, or target, that is not finite. */
ntk_status ntk_data_check_finite(const ntk_data *data);

/* Mean and deviation of each feature or channel. */
struct ntk_scaler {
    ntk_ctx *ctx;
    ntk_standardize kind;
    ntk_shape shape;
    int64_t n;         /* features, channels, or 0 */
    double *mean;      /* [n] */
    double *deviation; /* [n], > 0; 1 for what is constant */
};
/* Means 0 and deviations 1, for the caller to fill in. */
ntk_status ntk_scaler_new(ntk_ctx *ctx, ntk_standardize kind, ntk_shape shape, ntk_scaler **scaler);
ntk_status ntk_scaler_copy(const ntk_scaler *scaler, ntk_scaler **copy);

/* ---- readers. Their messages do not name the source, ntk_data_load puts it before them. opts is
 * never NULL, limit >= 0. */

struct ntk_stream;

/* One file each, one line in readers.def. A reader has files (read), sources that are no files (read_source), or both. */
struct ntk_reader {
    /* Of files: whether it is one of them by its first bytes, n of them; if those say nothing to any reader, by its
     * name. NULL: that says nothing. What no reader knows is a table. */
    bool (*begins)(const unsigned char *head, size_t n);
    bool (*called)(const char *path);
    const char *plain; /* "an npz", if it must be a regular file that is not compressed; else NULL */
    const char *files; /* the list of what is expected says so; NULL: it reads none */
    ntk_status (*read)(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data);

    const char *sources; /* likewise */
    bool (*is_source)(const char *source);
    ntk_status (*read_source)(ntk_ctx *ctx, const char *source, const ntk_load_opts *opts, ntk_data **data);
};

/* Any file: what it is, its first bytes say. */
ntk_status ntk_read_file(ntk_ctx *ctx, const char *path, const ntk_load_opts *opts, ntk_data **data);

/* Whether path ends so, or so with .gz behind it: it may be compressed. */
bool ntk_is_called(const char *path, const char *end);
static inline bool ntk_begins(const char *bytes, size_t count, const unsigned char *head, size_t n)
{
    return n >= count && memcmp(head, bytes, count) == 0;
}
/* In upper or lower case. */
bool ntk_ends_with(const char *s, const char *end);
ntk_status ntk_open(ntk_ctx *ctx, const char *path, FILE **f);
/* Length of a file that has one, else UINT64_MAX (a pipe). The position is left alone. */
uint64_t ntk_file_size(FILE *f);
/* Whichever of path and the same with .gz added, or taken away, exists, in *path; NULL if neither does. */
ntk_status ntk_find_packing(ntk_ctx *ctx, char **path);
/* Splits "DIR/train" or "DIR/test"; *dir is for the caller to free. */
ntk_status ntk_split_part(ntk_ctx *ctx, const char *part, char **dir, bool *test);
/* n samples, limited. */
static inline int64_t ntk_limited(const ntk_load_opts *opts, int64_t n)
{
    return opts->limit && opts->limit < n ? opts->limit : n;
}

/* "(3, 4)" into a buffer of at least 128 bytes. */
const char *ntk_dims_text(int ndim, const int64_t *dims, char *buf);
/* Samples from an array's sizes: [n][d], [n][w][c] or [n][h][w][c], all >= 1. */
ntk_status ntk_dims_to_samples(ntk_ctx *ctx, int ndim, const int64_t *dims, int64_t *n,
                               ntk_shape *shape);
/* Targets from an array's sizes: [n] or [n][outputs], for n samples. */
ntk_status ntk_dims_to_targets(ntk_ctx *ctx, int ndim, const int64_t *dims, int64_t n,
                               int64_t *outputs);

/* Bytes b[0..count-1], divided by scale, become values first, first + 1, ... of data. */
void ntk_data_set_bytes(ntk_data *data, size_t first, const unsigned char *b, size_t count,
                        double scale);

/* Whether a schema (NULL: yes) is one of so many features (0: that is not known) and outputs. */
bool ntk_schema_fits(const ntk_schema *schema, int64_t features, int64_t outputs);
/* NTK_EINVAL unless a schema and a scaler, or NULL, are those of so many features and outputs: their file would not load. */
ntk_status ntk_check_saved(ntk_ctx *ctx, const ntk_schema *schema, const ntk_scaler *scaler, int64_t features,
                           int64_t outputs);
/* Into a file, and from it; no schema (NULL) is nothing there. */
struct ntk_h5;
void ntk_schema_write(struct ntk_h5 *f, const ntk_schema *schema);
void ntk_schema_read(struct ntk_h5 *f, ntk_schema **schema);
/* The same of a scaler of samples of some shape, flattened or not. */
void ntk_scaler_io(struct ntk_h5 *f, ntk_shape samples, ntk_scaler **scaler, bool write);

/* ---- writers, for ntk_array_write: arrays were checked, and words are packed. */
/* The array of words with its texts in x, for the caller to free: all of dtype bytes, in UTF-32, as NumPy has
 * them, or UTF-8; what is left of their width is zeros. */
ntk_status ntk_words_pack(ntk_ctx *ctx, const ntk_array *words, bool utf32, ntk_array *packed);
ntk_status ntk_write_hdf5(ntk_ctx *ctx, const char *path, const ntk_array *arrays, size_t n);
/* Bytes of values that an array has. */
size_t ntk_array_bytes(const ntk_array *a);
/* Writes a .npz; archives and members of zip64_from bytes or more use zip64 (0xffffffff, what the
 * format's older fields can hold; less in tests). */
ntk_status ntk_write_npz(FILE *f, const ntk_array *arrays, size_t n, uint64_t zip64_from);

#endif
