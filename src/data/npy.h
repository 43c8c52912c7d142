/* SPDX-License-Identifier: MIT
 *
 * npy.h - NumPy's array files, as a stream.
 */
#ifndef NTK_NPY_H
#define NTK_NPY_H

#include "data/stream.h"

#define NTK_NPY_DIMS 8

struct ntk_npy {
    char kind;    /* 'f', 'i', 'u' or 'b' */
    int size;     /* bytes of a value */
    bool big;     /* most significant byte first */
    bool fortran; /* first index fastest */
    int ndim;
    int64_t shape[NTK_NPY_DIMS];
};

/* Reads the header, and checks that the stream has the values it announces. */
ntk_status ntk_npy_begin(struct ntk_stream *s, struct ntk_npy *npy);
/* Reads the first `rows` (of the first index) into out, in C order. If that is all of them, nothing may
 * follow. */
ntk_status ntk_npy_values(struct ntk_stream *s, const struct ntk_npy *npy, int64_t rows, void *out,
                          ntk_dtype dtype);
/* The longest header that ntk_npy_header writes. */
#define NTK_NPY_HEADER 256
/* Writes the header of a's file, a multiple of 64 bytes; returns its length. */
size_t ntk_npy_header(const ntk_array *a, char *header);

#endif
