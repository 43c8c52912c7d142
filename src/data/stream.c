/* SPDX-License-Identifier: MIT
 *
 * stream.c - bytes of a file, gzipped or not (RFC 1952), or of a deflated part of it (RFC 1951).
 */
#include <errno.h>
#include <string.h>

#include "data/data.h"
#include "data/stream.h"

#define CHUNK (1u << 30) /* what zlib's unsigned counts hold */

static ntk_status begin_inflate(struct ntk_stream *s, int window)
{
    if (inflateInit2(&s->z, window) == Z_OK)
        return NTK_OK;
    s->packing = NTK_PLAIN; /* nothing to end */
    return ntk_fail(s->ctx, NTK_ENOMEM, "no memory to inflate");
}

/* At most n bytes of the file itself; 0 at its end. */
static ntk_status read_file(struct ntk_stream *s, void *to, size_t n, size_t *got)
{
    *got = fread(to, 1, n < s->packed ? n : (size_t)s->packed, s->f);
    if (s->packed != UINT64_MAX)
        s->packed -= *got;
    if (*got == 0 && ferror(s->f))
        return ntk_fail(s->ctx, NTK_EIO, "cannot read: %s", strerror(errno));
    return NTK_OK;
}

/* The next bytes of the file into s->in, all of which was used; at most n. */
static ntk_status fill(struct ntk_stream *s, size_t n)
{
    size_t got;

    NTK_TRY(read_file(s, s->in, n, &got));
    s->z.next_in = s->in;
    s->z.avail_in = (uInt)got;
    return NTK_OK;
}

ntk_status ntk_stream_file(ntk_ctx *ctx, FILE *f, struct ntk_stream *s)
{
    const uint64_t size = ntk_file_size(f);
    const off_t at = size == UINT64_MAX ? 0 : ftello(f);

    *s = (struct ntk_stream){.ctx = ctx, .f = f, .left = UINT64_MAX, .packed = UINT64_MAX};
    NTK_TRY(fill(s, 2));
    if (s->z.avail_in == 2 && s->in[0] == 0x1f && s->in[1] == 0x8b) {
        s->packing = NTK_GZIPPED;
        return begin_inflate(s, MAX_WBITS + 16);
    }
    if (size != UINT64_MAX && at >= 0)
        s->left = (uint64_t)at < size ? size - (uint64_t)at : 0;
    return NTK_OK;
}

ntk_status ntk_stream_member(ntk_ctx *ctx, FILE *f, bool deflated, uint64_t packed, uint64_t size,
                             uint32_t crc, struct ntk_stream *s)
{
    *s = (struct ntk_stream){.ctx = ctx,
                             .f = f,
                             .left = size,
                             .check = true,
                             .crc = crc,
                             .packing = deflated ? NTK_DEFLATED : NTK_PLAIN,
                             .packed = packed};
    return deflated ? begin_inflate(s, -MAX_WBITS) : NTK_OK;
}

void ntk_stream_end(struct ntk_stream *s)
{
    if (s->packing != NTK_PLAIN)
        inflateEnd(&s->z);
    s->packing = NTK_PLAIN;
}

static ntk_status some_plain(struct ntk_stream *s, void *to, size_t n, size_t *got)
{
    if (!s->z.avail_in)
        return read_file(s, to, n, got);
    *got = n < s->z.avail_in ? n : s->z.avail_in;
    memcpy(to, s->z.next_in, *got);
    s->z.next_in += *got;
    s->z.avail_in -= (uInt)*got;
    return NTK_OK;
}

static ntk_status damaged(const struct ntk_stream *s)
{
    return ntk_fail(s->ctx, NTK_EIO, "the compressed data are damaged%s%s", s->z.msg ? ": " : "",
                    s->z.msg ? s->z.msg : "");
}

/* At the end of a gzip's member: another one may follow, or zeros that fill a block. */
static ntk_status next_member(struct ntk_stream *s)
{
    s->ended = true;
    if (s->packing != NTK_GZIPPED)
        return NTK_OK;
    if (s->z.avail_in == 0)
        NTK_TRY(fill(s, sizeof s->in));
    if (s->z.avail_in == 0 || *s->z.next_in == 0)
        return NTK_OK;
    s->ended = false;
    return inflateReset(&s->z) == Z_OK ? NTK_OK : damaged(s);
}

static ntk_status some_inflated(struct ntk_stream *s, void *to, size_t n, size_t *got)
{
    const uInt want = (uInt)(n < CHUNK ? n : CHUNK);

    for (*got = 0; *got == 0 && !s->ended; *got = want - s->z.avail_out) {
        int result;

        if (s->z.avail_in == 0)
            NTK_TRY(fill(s, sizeof s->in));
        s->z.next_out = to;
        s->z.avail_out = want;
        result = inflate(&s->z, Z_NO_FLUSH);
        if (result == Z_STREAM_END)
            NTK_TRY(next_member(s));
        else if (result == Z_BUF_ERROR && s->z.avail_in == 0)
            return ntk_fail(s->ctx, NTK_EIO, "the compressed data end too early");
        else if (result != Z_OK)
            return damaged(s);
    }
    return NTK_OK;
}

static ntk_status some_bytes(struct ntk_stream *s, void *to, size_t n, size_t *got)
{
    return s->packing == NTK_PLAIN ? some_plain(s, to, n, got) : some_inflated(s, to, n, got);
}

ntk_status ntk_stream_look(struct ntk_stream *s, const unsigned char **head, size_t *n)
{
    size_t got = 1;

    for (s->head_n = 0; got > 0 && s->head_n < sizeof s->head; s->head_n += got)
        NTK_TRY(some_bytes(s, s->head + s->head_n, sizeof s->head - s->head_n, &got));
    *head = s->head;
    *n = s->head_n;
    return NTK_OK;
}

ntk_status ntk_stream_some(struct ntk_stream *s, void *to, size_t n, size_t *got)
{
    const size_t looked_at = s->head_n - s->head_at;

    if (looked_at) {
        *got = n < looked_at ? n : looked_at;
        memcpy(to, s->head + s->head_at, *got);
        s->head_at += *got;
    } else {
        NTK_TRY(some_bytes(s, to, n, got));
    }
    if (s->left != UINT64_MAX)
        s->left -= *got < s->left ? *got : s->left;
    if (s->check)
        s->sum = (uint32_t)crc32_z(s->sum, to, *got);
    return NTK_OK;
}

ntk_status ntk_stream_read(struct ntk_stream *s, void *to, size_t n)
{
    unsigned char *p = to;
    size_t got;

    if (n > s->left)
        return ntk_fail(s->ctx, NTK_EIO, "ends too early: %llu bytes are missing",
                        (unsigned long long)(n - s->left));
    for (; n > 0; n -= got, p += got) {
        NTK_TRY(ntk_stream_some(s, p, n, &got));
        if (got == 0)
            return ntk_fail(s->ctx, NTK_EIO, "ends too early: %zu bytes are missing", n);
    }
    return NTK_OK;
}

ntk_status ntk_stream_finish(struct ntk_stream *s, const char *what)
{
    unsigned char byte;
    size_t more = s->left != UINT64_MAX && s->left > 0;

    if (!more && !s->check)
        NTK_TRY(ntk_stream_some(s, &byte, 1, &more)); /* a gzip's sum is compared at its end */
    if (more)
        return ntk_fail(s->ctx, NTK_EIO, "is longer than its %s", what);
    if (s->check && s->sum != s->crc)
        return ntk_fail(s->ctx, NTK_EIO, "damaged: its checksum is %08x, not %08x", s->sum, s->crc);
    return NTK_OK;
}
