/* SPDX-License-Identifier: MIT
 *
 * stream.h - bytes one after the other: of a file, gzipped or not, or of a deflated part of it.
 */
#ifndef NTK_STREAM_H
#define NTK_STREAM_H

#include <zlib.h>

#include "base/base.h"

#define NTK_STREAM_HEAD 16 /* bytes that can be looked at before they are read */

struct ntk_stream {
    ntk_ctx *ctx;
    FILE *f;
    uint64_t left; /* bytes still to come; UINT64_MAX: not known */
    bool check;    /* compare the sum of all bytes with crc at the end */
    uint32_t crc, sum;
    enum { NTK_PLAIN, NTK_DEFLATED, NTK_GZIPPED } packing;
    bool ended;      /* no more comes out of the packing */
    uint64_t packed; /* bytes of f that belong to the stream and are not in `in` yet; UINT64_MAX: all */
    z_stream z;      /* next_in: bytes of `in` that are not used yet, whatever the packing */
    unsigned char in[16384];
    unsigned char head[NTK_STREAM_HEAD];
    size_t head_at, head_n;
};

/* Everything from the position of f on, unpacked if it is gzipped. ntk_stream_end must follow, success
 * or not, and leaves f open. */
ntk_status ntk_stream_file(ntk_ctx *ctx, FILE *f, struct ntk_stream *s);
/* size bytes from the position of f on, which are there as packed bytes if they are deflated. */
ntk_status ntk_stream_member(ntk_ctx *ctx, FILE *f, bool deflated, uint64_t packed, uint64_t size,
                             uint32_t crc, struct ntk_stream *s);
/* The first NTK_STREAM_HEAD bytes, or as many as there are, which stay to be read; before any other
 * reading. */
ntk_status ntk_stream_look(struct ntk_stream *s, const unsigned char **head, size_t *n);
/* The next *got bytes, 1 to n; 0 at the end. */
ntk_status ntk_stream_some(struct ntk_stream *s, void *to, size_t n, size_t *got);
/* The next n bytes; NTK_EIO if they are not there. */
ntk_status ntk_stream_read(struct ntk_stream *s, void *to, size_t n);
/* NTK_EIO if something comes after what was read, or what was read is damaged; `what` is "array". */
ntk_status ntk_stream_finish(struct ntk_stream *s, const char *what);
void ntk_stream_end(struct ntk_stream *s);

#endif
