/* SPDX-License-Identifier: MIT
 *
 * stream.c - bytes from a file or from a deflated part of it.
 */
#include <errno.h>
#include <string.h>

#include "data/data.h"
#include "data/stream.h"

#define CHUNK (1u << 30) /* what zlib's unsigned counts hold */

void ntk_stream_file(ntk_ctx *ctx, FILE *f, struct ntk_stream *s)
{
    const uint64_t size = ntk_file_size(f);
    const off_t at = size == UINT64_MAX ? 0 : ftello(f);

    *s = (struct ntk_stream){.ctx = ctx, .f = f, .left = UINT64_MAX};
    if (size != UINT64_MAX && at >= 0)
        s->left = (uint64_t)at < size ? size - (uint64_t)at : 0;
}

ntk_status ntk_stream_member(ntk_ctx *ctx, FILE *f, bool deflated, uint64_t packed, uint64_t size,
                             uint32_t crc, struct ntk_stream *s)
{
    *s = (struct ntk_stream){.ctx = ctx,
                             .f = f,
                             .left = size,
                             .check = true,
                             .crc = crc,
                             .deflated = deflated,
                             .packed = packed};
    if (deflated && inflateInit2(&s->z, -MAX_WBITS) != Z_OK)
        return ntk_fail(ctx, NTK_ENOMEM, "no memory to inflate");
    return NTK_OK;
}

void ntk_stream_end(struct ntk_stream *s)
{
    if (s->deflated)
        inflateEnd(&s->z);
}

static ntk_status read_file(struct ntk_stream *s, void *to, size_t n)
{
    if (fread(to, 1, n, s->f) == n)
        return NTK_OK;
    if (ferror(s->f))
        return ntk_fail(s->ctx, NTK_EIO, "cannot read: %s", strerror(errno));
    return ntk_fail(s->ctx, NTK_EIO, "ends too early");
}

static ntk_status fill(struct ntk_stream *s)
{
    const size_t n = s->packed < sizeof s->in ? (size_t)s->packed : sizeof s->in;

    NTK_TRY(read_file(s, s->in, n));
    s->packed -= n;
    s->z.next_in = s->in;
    s->z.avail_in = (uInt)n;
    return NTK_OK;
}

static ntk_status inflate_to(struct ntk_stream *s, unsigned char *to, size_t n)
{
    while (n > 0) {
        const uInt want = (uInt)(n < CHUNK ? n : CHUNK);
        int result;
        size_t done;

        if (s->z.avail_in == 0 && s->packed > 0)
            NTK_TRY(fill(s));
        s->z.next_out = to;
        s->z.avail_out = want;
        result = inflate(&s->z, Z_NO_FLUSH);
        done = want - s->z.avail_out;
        if ((result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) ||
            (result == Z_STREAM_END && done < n))
            return ntk_fail(s->ctx, NTK_EIO, "the compressed data are damaged%s%s",
                            s->z.msg ? ": " : "", s->z.msg ? s->z.msg : "");
        if (result == Z_BUF_ERROR && done == 0 && s->packed == 0)
            return ntk_fail(s->ctx, NTK_EIO, "the compressed data end too early");
        to += done;
        n -= done;
    }
    return NTK_OK;
}

ntk_status ntk_stream_read(struct ntk_stream *s, void *to, size_t n)
{
    if (n > s->left)
        return ntk_fail(s->ctx, NTK_EIO, "ends too early: %zu bytes wanted, %llu left", n,
                        (unsigned long long)s->left);
    if (s->deflated)
        NTK_TRY(inflate_to(s, to, n));
    else
        NTK_TRY(read_file(s, to, n));
    if (s->left != UINT64_MAX)
        s->left -= n;
    if (!s->check)
        return NTK_OK;
    s->sum = (uint32_t)crc32_z(s->sum, to, n);
    if (s->left == 0 && s->sum != s->crc)
        return ntk_fail(s->ctx, NTK_EIO, "damaged: its checksum is %08x, not %08x", s->sum, s->crc);
    return NTK_OK;
}
