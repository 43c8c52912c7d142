/* SPDX-License-Identifier: MIT
 *
 * stream.h - bytes one after the other, from a file or from a deflated part of it.
 */
#ifndef NTK_STREAM_H
#define NTK_STREAM_H

#include <zlib.h>

#include "base/base.h"

struct ntk_stream {
    ntk_ctx *ctx;
    FILE *f;
    uint64_t left; /* bytes still to come; UINT64_MAX: not known */
    bool check;    /* compare the sum of all bytes with crc at the end */
    uint32_t crc, sum;
    bool deflated;
    uint64_t packed; /* deflated bytes not read yet */
    z_stream z;
    unsigned char in[16384];
};

/* Everything from the position of f on. */
void ntk_stream_file(ntk_ctx *ctx, FILE *f, struct ntk_stream *s);
/* size bytes from the position of f on, which are there as packed bytes if they are deflated. */
ntk_status ntk_stream_member(ntk_ctx *ctx, FILE *f, bool deflated, uint64_t packed, uint64_t size,
                             uint32_t crc, struct ntk_stream *s);
/* The next n bytes; NTK_EIO if they are not there. */
ntk_status ntk_stream_read(struct ntk_stream *s, void *to, size_t n);
void ntk_stream_end(struct ntk_stream *s);

#endif
