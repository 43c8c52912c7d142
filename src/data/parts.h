/* SPDX-License-Identifier: MIT
 *
 * parts.h - the named parts of data, and how readers of files with named arrays fill them in.
 */
#ifndef NTK_PARTS_H
#define NTK_PARTS_H

#include "data/data.h"

enum { NTK_N_PARTS = NTK_PART_NOISE + 1 };

struct ntk_part_kind {
    const char *name, *other; /* of its array in files; other: NULL if there is no other */
    const char *what;         /* what it is, for messages */
    bool of_positions;        /* samples without positions have none */
};
extern const struct ntk_part_kind ntk_part_kinds[NTK_N_PARTS];

/* Data that is read part by part, in the order of ntk_part. */
struct ntk_filling {
    ntk_ctx *ctx;
    const ntk_load_opts *opts;
    ntk_data *data;  /* NULL before x; the reader's to free if anything fails */
    int64_t n;       /* samples in the file, of which data may have fewer */
    int64_t n_edges; /* in the file */
};
/* Reads the first rows (of an array's first size), rows >= 1, into out. */
typedef ntk_status ntk_part_rows_fn(void *array, int64_t rows, void *out, ntk_dtype dtype);
/* One part, from an array of these sizes, which are checked, as the values are. */
ntk_status ntk_part_fill(struct ntk_filling *f, ntk_part part, int ndim, const int64_t *dims,
                         ntk_part_rows_fn *read, void *array);
/* After the last: NTK_EINVAL if a part is there without one that it needs. */
ntk_status ntk_parts_end(const struct ntk_filling *f);

/* Room in data for count numbers, checked against the memory bound and counted; NULL: none, which was said. */
void *ntk_part_room(ntk_data *data, int64_t count, size_t size);
/* `to` gets copies of its own of all parts but x and y. */
ntk_status ntk_parts_copy(const ntk_data *from, ntk_data *to);
void ntk_parts_free(ntk_data *data);
/* data, a copy of which these parts are views, begins at sample `first`. */
void ntk_parts_skip(ntk_data *data, int64_t first);

#endif
