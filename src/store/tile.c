/* SPDX-License-Identifier: MIT
 *
 * tile.c - a store's tiles as bytes: where they are, read and written in rows by several threads, their checksums.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/outfile.h"
#include "simd/simd.h"
#include "store/store.h"

struct ntk_store_tile ntk_store_tile_at(const struct ntk_store_part *p, int64_t t)
{
    int64_t row = t / ntk_store_across(p), column = t % ntk_store_across(p);
    struct ntk_store_tile tile = {.t = t};

    if (p->square) {
        row = (int64_t)((sqrt(8 * (double)t + 1) - 1) / 2);
        column = t - row * (row + 1) / 2;
    }
    tile.i0 = row * p->b1;
    tile.j0 = column * p->b2;
    tile.ni = p->n1 - tile.i0 < p->b1 ? p->n1 - tile.i0 : p->b1;
    tile.nj = p->n2 - tile.j0 < p->b2 ? p->n2 - tile.j0 : p->b2;
    return tile;
}

int64_t ntk_store_tile_number(const struct ntk_store_part *p, int64_t row, int64_t column)
{
    return p->square ? row * (row + 1) / 2 + column : row * ntk_store_across(p) + column;
}

bool ntk_store_has(const struct ntk_store *s, const struct ntk_store_part *p, int64_t t)
{
    bool has = true;

    for (size_t m = 0; m < s->count; m++)
        has = has && *ntk_store_mark(p, s->which[m], t);
    return has;
}

/* ---- a part as it is made */

#define PIECE ((uint64_t)4 << 20)

ntk_status ntk_store_blank(ntk_ctx *ctx, int fd, const char *path, ntk_dtype dtype, uint64_t at, uint64_t n, bool upwards)
{
    const int64_t pieces = (int64_t)((n + PIECE - 1) / PIECE);
    void *none = ntk_alloc(ctx, PIECE, 1);
    ntk_status status = none ? NTK_OK : NTK_ENOMEM;
    int64_t done = 0;
    int error = 0;

    for (size_t k = 0; none && k < PIECE / dtype; k++)
        ntk_store(none, dtype, k, (double)NAN);
#pragma omp parallel for num_threads(upwards ? 1 : ntk_threads_for(ctx, pieces)) schedule(dynamic, 1)
    for (int64_t k = 0; k < pieces; k++) {
        const uint64_t first = (uint64_t)k * PIECE, size = n - first < PIECE ? n - first : PIECE;
        int failed;

        if (!ntk_go_on(ctx, &status, NTK_OK))
            continue;
        failed = ntk_write_all(fd, none, size, (int64_t)(at + first));
        ntk_lock(ctx);
        error = error ? error : failed;
        status = error && status == NTK_OK ? NTK_EIO : status;
        done++;
        if (status == NTK_OK)
            status = ntk_progress(ctx, "megabytes of the file", (double)done * (double)PIECE / 1e6, (double)n / 1e6);
        ntk_unlock(ctx);
    }
    free(none);
    return error ? ntk_fail_write(ctx, path, error) : status;
}

/* ---- checksums. A changed word changes its lane, whatever follows, and so the sum of the lanes. */

#define LANES 8

uint64_t ntk_store_sum(const unsigned char *bytes, size_t n, uint64_t row)
{
    uint64_t lane[LANES], word, sum = 0;

    for (uint64_t l = 0; l < LANES; l++)
        lane[l] = row * LANES + l;
    for (; n >= LANES * sizeof word; n -= LANES * sizeof word, bytes += LANES * sizeof word)
        for (size_t l = 0; l < LANES; l++) {
            memcpy(&word, bytes + l * sizeof word, sizeof word);
            lane[l] = (lane[l] ^ word) * 0x9e3779b97f4a7c15u;
            lane[l] ^= lane[l] >> 32;
        }
    for (size_t l = 0; n > 0; l++) {
        const size_t k = n < sizeof word ? n : sizeof word;

        word = 0;
        memcpy(&word, bytes, k);
        lane[l] = (lane[l] ^ word) * 0x9e3779b97f4a7c15u;
        n -= k;
        bytes += k;
    }
    for (uint64_t l = 0; l < LANES; l++)
        sum += ntk_mix64(lane[l] + l * 0xd1b54a32d192ed03u);
    return ntk_mix64(sum + row);
}

/* ---- tiles */

#define ROWS 64 /* of a job */

/* A tile's bytes to or from the file, with what they add up to. */
struct transfer {
    const struct ntk_store *s;
    const struct ntk_store_part *p;
    struct ntk_store_tile tile;
    uint64_t at;
    int fd;
};

static struct transfer transfer_of(const struct ntk_store *s, int fd, const struct ntk_store_part *p, size_t stored,
                                   int64_t t)
{
    return (struct transfer){.s = s,
                             .p = p,
                             .tile = ntk_store_tile_at(p, t),
                             .at = p->at + ((uint64_t)stored * (uint64_t)p->tiles + (uint64_t)t) *
                                               (uint64_t)ntk_store_tile_bytes(s, p),
                             .fd = fd};
}

/* Only rows, and of them only numbers, that the matrix has; the rest of a tile stays as it was made. */
static int move_rows(const struct transfer *x, int64_t first, int64_t n, unsigned char *k, bool write)
{
    const size_t row = (size_t)x->p->b2 * x->s->dtype, used = (size_t)x->tile.nj * x->s->dtype;
    const bool whole = used == row;
    int error = 0;

    for (int64_t i = first; i < first + n && !error; i += whole ? n : 1) {
        unsigned char *from = k + (size_t)i * row;
        const uint64_t at = x->at + (uint64_t)i * row;
        const size_t bytes = whole ? (size_t)n * row : used;

        error = write ? ntk_write_all(x->fd, from, bytes, (int64_t)at)
                      : ntk_read_all(x->fd, from, bytes, (int64_t)at, NULL);
    }
    return error;
}

static uint64_t sum_rows(const struct transfer *x, int64_t first, int64_t n, const unsigned char *k, bool *finite)
{
    const size_t row = (size_t)x->p->b2 * x->s->dtype, used = (size_t)x->tile.nj * x->s->dtype;
    const struct ntk_simd *simd = ntk_simd_of(x->s->ctx->isa, x->s->dtype);
    uint64_t sum = 0;

    for (int64_t i = first; i < first + n; i++) {
        sum += ntk_store_sum(k + (size_t)i * row, used, (uint64_t)i);
        *finite = *finite && simd->all_finite((size_t)x->tile.nj, k + (size_t)i * row);
    }
    return sum;
}

/* An errno, or 0, and the checksum. */
static int transfer(const struct transfer *x, unsigned char *k, bool write, uint64_t *checksum, bool *finite)
{
    const int64_t jobs = (x->tile.ni + ROWS - 1) / ROWS;
    uint64_t sum = 0;
    int error = 0, bad = 0;

#pragma omp parallel for num_threads(ntk_threads_for(x->s->ctx, jobs)) schedule(dynamic, 1) reduction(+ : sum) \
    reduction(max : error) reduction(| : bad)
    for (int64_t job = 0; job < jobs; job++) {
        const int64_t first = job * ROWS, n = x->tile.ni - first < ROWS ? x->tile.ni - first : ROWS;
        int failed = 0;
        bool all = true;

        if (!write)
            failed = move_rows(x, first, n, k, false);
        if (!failed)
            sum += sum_rows(x, first, n, k, &all);
        if (write)
            failed = move_rows(x, first, n, k, true);
        error = failed > error ? failed : error;
        bad |= !all;
    }
    *checksum = sum ? sum : 1;
    *finite = !bad;
    return error;
}

static ntk_status damaged(const struct transfer *x, size_t stored, const char *how)
{
    const struct ntk_store_tile *t = &x->tile;
    const char *part = x->p == &x->s->part[NTK_STORE_TEST] ? " of the test part" : "";
    int length;
    const char *name = ntk_store_name(x->s, stored, &length);

    return ntk_fail(x->s->ctx, NTK_EIO,
                    "%s: the tile of %.*s%s, rows %lld to %lld, columns %lld to %lld, %s; 'ntk kernel --mend' takes it out, and the "
                    "command that made the store computes it again",
                    x->s->path, length, name, part, (long long)t->i0, (long long)(t->i0 + t->ni - 1), (long long)t->j0,
                    (long long)(t->j0 + t->nj - 1), how);
}

ntk_status ntk_store_tile_read(const struct ntk_store *s, const struct ntk_store_part *p, size_t stored, int64_t t, void *k)
{
    const struct transfer x = transfer_of(s, s->fd, p, stored, t);
    uint64_t checksum;
    bool finite;
    const int error = transfer(&x, k, false, &checksum, &finite);

    if (error)
        return damaged(&x, stored, "cannot be read");
    if (checksum != *ntk_store_mark(p, stored, t))
        return damaged(&x, stored, "is not what was written: its checksum is another");
    if (!finite)
        return damaged(&x, stored, "has a number that is not finite");
    p->seen[(int64_t)stored * p->tiles + t] = true;
    return NTK_OK;
}

static ntk_status write_mark(const struct ntk_store *s, int fd, const struct ntk_store_part *p, size_t stored, int64_t t,
                             uint64_t mark)
{
    const uint64_t number = (uint64_t)stored * (uint64_t)p->tiles + (uint64_t)t;
    const int error = ntk_write_all(fd, &mark, sizeof mark, (int64_t)(p->marks_at + number * sizeof mark));

    if (error)
        return ntk_fail_write(s->ctx, s->path, error);
    *ntk_store_mark(p, stored, t) = mark;
    p->seen[number] = false;
    return NTK_OK;
}

ntk_status ntk_store_tile_write(const struct ntk_store *s, int fd, const struct ntk_store_part *p, size_t stored, int64_t t,
                                void *k)
{
    const struct transfer x = transfer_of(s, fd, p, stored, t);
    uint64_t checksum;
    bool finite;
    const int error = transfer(&x, k, true, &checksum, &finite);

    return error ? ntk_fail_write(s->ctx, s->path, error) : write_mark(s, fd, p, stored, t, checksum);
}

ntk_status ntk_store_tile_unmark(const struct ntk_store *s, int fd, const struct ntk_store_part *p, size_t stored, int64_t t)
{
    const struct transfer x = transfer_of(s, fd, p, stored, t);

    NTK_TRY(write_mark(s, fd, p, stored, t, 0));
    return ntk_store_blank(s->ctx, fd, s->path, s->dtype, x.at, ntk_store_tile_bytes(s, p), false);
}

ntk_status ntk_store_tile_rows(const struct ntk_store *s, const struct ntk_store_part *p, size_t stored, int64_t t,
                               int64_t first, int64_t n, void *tile)
{
    const struct transfer x = transfer_of(s, s->fd, p, stored, t);
    const int64_t whole = (int64_t)stored * p->tiles + t;
    const int error = p->seen[whole] ? move_rows(&x, first, n, tile, false) : 0;

    if (!p->seen[whole])
        return ntk_store_tile_read(s, p, stored, t, tile);
    return error ? damaged(&x, stored, "cannot be read") : NTK_OK;
}
