/* SPDX-License-Identifier: MIT
 *
 * views.h - rectangles of numbers, copied and transposed, from one type to the same or a wider one.
 */
#ifndef NTK_VIEWS_H
#define NTK_VIEWS_H

#include "base/base.h"

struct ntk_view {
    void *at;
    ntk_dtype dtype;
    int64_t pitch; /* elements from one row to the next */
};

/* The view whose first element is row i, column j of one. */
static inline struct ntk_view ntk_view_at(struct ntk_view v, int64_t i, int64_t j)
{
    return (struct ntk_view){(unsigned char *)v.at + (i * v.pitch + j) * (int64_t)v.dtype, v.dtype, v.pitch};
}
/* That of a block. It is read only. */
static inline struct ntk_view ntk_view_of(const ntk_block *b, ntk_dtype dtype)
{
    return (struct ntk_view){(void *)(uintptr_t)b->k, dtype, b->ld};
}

/* to[i][j] = from[i][j]; not from float64 to float32. */
void ntk_copy(int64_t rows, int64_t columns, struct ntk_view from, struct ntk_view to);
/* to[j][i] = from[i][j], likewise. */
void ntk_transpose(int64_t rows, int64_t columns, struct ntk_view from, struct ntk_view to);

#endif
