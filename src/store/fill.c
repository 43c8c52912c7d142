/* SPDX-License-Identifier: MIT
 *
 * fill.c - computing the tiles that are not there, each with the progress of all. Ranks (base/ranks.h) take tiles as they
 * come, and each writes its own into the one file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ranks.h"
#include "base/views.h"
#include "kernel/compiled.h"
#include "store/store.h"

/* ---- progress over all tiles, in pairs of samples */

struct overall {
    ntk_progress_fn *progress; /* the user's */
    void *user;
    double done, all, before, share; /* pairs; before, and in, the tile that is under way */
    _Atomic double elsewhere;        /* pairs that other ranks have done */
};

static int tell(const char *what, double done, double total, void *user)
{
    struct overall *p = user;

    if (strcmp(what, "preparations") != 0 && total > 0)
        p->done = p->before + p->share * done / total;
    return p->progress("pairs of samples", p->done + p->elsewhere, p->all, p->user);
}

/* ---- one tile of all matrices */

struct filling {
    struct ntk_store *s;
    const struct ntk_store_part *p;
    int fd;
    struct ntk_job job;
    struct ntk_store_tile tile; /* under way */
    unsigned char **k;          /* [count] of [b1][b2] */
    struct overall told;
};

void ntk_store_tile_job(const struct ntk_store_part *p, const struct ntk_store_tile *t, struct ntk_job *job)
{
    job->i0 = p->square ? t->j0 : t->i0;
    job->ni = p->square ? t->nj : t->ni;
    job->j0 = p->square ? t->i0 : t->j0;
    job->nj = p->square ? t->ni : t->nj;
}

void ntk_store_tile_put(const struct ntk_store_part *p, const struct ntk_store_tile *t, const ntk_block *b, ntk_dtype dtype,
                        void *tile)
{
    const struct ntk_view from = ntk_view_of(b, dtype), to = {tile, dtype, p->b2};

    if (!p->square || t->i0 == t->j0)
        ntk_copy(b->ni, b->nj, from, ntk_view_at(to, b->i0 - t->i0, b->j0 - t->j0));
    if (p->square && (t->i0 != t->j0 || b->i0 != b->j0))
        ntk_transpose(b->ni, b->nj, from, ntk_view_at(to, b->j0 - t->i0, b->i0 - t->j0));
}

static int put(const ntk_block *b, void *user)
{
    const struct filling *f = user;

    ntk_store_tile_put(f->p, &f->tile, b, f->s->dtype, f->k[b->output]);
    return 0;
}

static double pairs_of(const struct ntk_store_part *p, const struct ntk_store_tile *t)
{
    return p->square && t->i0 == t->j0 ? (double)t->ni * ((double)t->ni + 1) / 2 : (double)t->ni * (double)t->nj;
}

static ntk_status compute_tile(void *filling, int64_t number)
{
    struct filling *f = filling;
    const struct ntk_store *s = f->s;
    const struct ntk_store_tile t = ntk_store_tile_at(f->p, number);
    struct ntk_job job = f->job;

    f->tile = t;
    ntk_store_tile_job(f->p, &t, &job);
    f->told.before = f->told.done;
    f->told.share = pairs_of(f->p, &t);
    NTK_TRY(ntk_run(&job, put, f));
    f->told.done = f->told.before + f->told.share;
    for (size_t m = 0; m < s->count; m++)
        if (!*ntk_store_mark(f->p, s->which[m], number))
            NTK_TRY(ntk_store_tile_write(s, f->fd, f->p, s->which[m], number, f->k[m]));
    return NTK_OK;
}

/* ---- a part, once its samples are prepared */

static void is_elsewhere(void *filling, int64_t number)
{
    struct filling *f = filling;
    const struct ntk_store_tile t = ntk_store_tile_at(f->p, number);

    f->told.elsewhere = f->told.elsewhere + pairs_of(f->p, &t);
}

static ntk_status compute_tiles(struct filling *f)
{
    int64_t *missing = ntk_alloc(f->s->ctx, (size_t)f->p->tiles, sizeof *missing);
    struct ntk_dealing d = {.jobs = missing, .work = compute_tile, .elsewhere = is_elsewhere, .user = f};
    ntk_status status = ntk_ranks_agree(f->s->ctx, missing ? NTK_OK : NTK_ENOMEM);

    for (int64_t t = 0; t < f->p->tiles && status == NTK_OK; t++)
        if (!ntk_store_has(f->s, f->p, t))
            missing[d.n++] = t;
    if (status == NTK_OK)
        status = ntk_ranks_deal(f->s->ctx, &d);
    free(missing);
    return status;
}

static bool is_complete(const struct ntk_store *s, const struct ntk_store_part *p)
{
    bool has = true;

    for (int64_t t = 0; p->there && t < p->tiles; t++)
        has = has && ntk_store_has(s, p, t);
    return has;
}

static ntk_status compute_part(struct filling *f, int part, size_t held, const char *what)
{
    const struct ntk_store *s = f->s;
    const ntk_data *rows = part == NTK_STORE_TEST ? s->test : s->x1, *columns = part == NTK_STORE_TEST ? s->x1 : s->x2;
    ntk_status begun, status;

    f->p = &s->part[part];
    begun = ntk_kernel_begin(s->kernel, rows, columns, held, what, &f->job);
    status = ntk_ranks_agree(s->ctx, begun);
    if (status == NTK_OK)
        status = compute_tiles(f);
    if (begun == NTK_OK)
        ntk_kernel_end(&f->job);
    return status;
}

/* The parts that are wanted. */
static bool is_wanted(const struct ntk_store *s, int part)
{
    return s->part[part].there && (part == NTK_STORE_MAIN || s->test) && !is_complete(s, &s->part[part]);
}

/* ---- all of them */

static ntk_status compute_parts(struct filling *f, size_t held, const char *what)
{
    ntk_status status = NTK_OK;

    for (int k = 0; k < NTK_STORE_PARTS && status == NTK_OK; k++)
        if (is_wanted(f->s, k))
            status = compute_part(f, k, held, what);
    return status;
}

/* The context's progress function is this work's meanwhile. */
static ntk_status compute(struct filling *f, size_t held, const char *what)
{
    ntk_ctx *ctx = f->s->ctx;
    ntk_status status;

    f->told.progress = ctx->progress;
    f->told.user = ctx->progress_user;
    if (ctx->progress)
        ntk_ctx_set_progress(ctx, tell, &f->told);
    status = compute_parts(f, held, what);
    ntk_ctx_set_progress(ctx, f->told.progress, f->told.user);
    return status;
}

static void count(const struct ntk_store *s, int64_t *there, int64_t *all, double *pairs)
{
    *there = *all = 0;
    *pairs = 0;
    for (int k = 0; k < NTK_STORE_PARTS; k++) {
        const struct ntk_store_part *p = &s->part[k];

        if (!p->there || (k == NTK_STORE_TEST && !s->test))
            continue;
        *all += (int64_t)s->count * p->tiles;
        for (int64_t t = 0; t < p->tiles; t++) {
            const struct ntk_store_tile tile = ntk_store_tile_at(p, t);

            for (size_t m = 0; m < s->count; m++)
                *there += *ntk_store_mark(p, s->which[m], t) != 0;
            *pairs += ntk_store_has(s, p, t) ? 0 : pairs_of(p, &tile);
        }
    }
}

/* Tiles of one matrix after the other in one piece of memory. */
static ntk_status make_room(struct filling *f, size_t each, unsigned char **tiles)
{
    *tiles = ntk_alloc(f->s->ctx, f->s->count, each);
    f->k = ntk_alloc(f->s->ctx, f->s->count, sizeof *f->k);
    if (!*tiles || !f->k)
        return NTK_ENOMEM;
    for (size_t m = 0; m < f->s->count; m++)
        f->k[m] = *tiles + m * each;
    return NTK_OK;
}

static size_t largest_tile(const struct ntk_store *s)
{
    size_t most = 0;

    for (int k = 0; k < NTK_STORE_PARTS; k++) {
        const size_t bytes = s->part[k].there ? ntk_store_tile_bytes(s, &s->part[k]) : 0;

        most = bytes > most ? bytes : most;
    }
    return most;
}

static ntk_status say_interrupted(const struct ntk_store *s, ntk_status status)
{
    int64_t there, all;
    double pairs;

    count(s, &there, &all, &pairs);
    if (status == NTK_ECANCEL)
        return ntk_fail(s->ctx, status, "cancelled with %lld of %lld tiles in %s, where the same command %s", (long long)there,
                        (long long)all, s->path, there ? "goes on" : "begins again");
    return status;
}

static ntk_status compute_missing(struct ntk_store *s, int fd, size_t held, const char *what, double pairs)
{
    const size_t each = largest_tile(s), bytes = held + s->count * each;
    struct filling f = {.s = s, .fd = fd, .told = {.all = pairs}};
    unsigned char *tiles = NULL;
    ntk_status status;

    status = ntk_kernel_check_seconds(s->kernel, pairs);
    if (status == NTK_OK)
        status = ntk_ctx_check_memory(s->ctx, bytes, what);
    if (status == NTK_OK)
        status = make_room(&f, each, &tiles);
    status = ntk_ranks_agree(s->ctx, status);
    if (status == NTK_OK)
        status = compute(&f, bytes, what);
    if (status == NTK_OK && fsync(f.fd) != 0)
        status = ntk_fail_write(s->ctx, s->path, errno);
    status = ntk_ranks_agree(s->ctx, status);
    if (ntk_n_ranks(s->ctx) > 1)
        status = ntk_store_file_marks(s, status);
    free(f.k);
    free(tiles);
    return ntk_ranks_agree(s->ctx, say_interrupted(s, status));
}

static bool lacks_any(const struct ntk_store *s)
{
    return s->kernel && (is_wanted(s, NTK_STORE_MAIN) || is_wanted(s, NTK_STORE_TEST));
}

static void say_who(const struct ntk_store *s)
{
    char by[NTK_STORE_BY];

    ntk_store_by(s->ctx, by);
    if (strcmp(by, s->made_by) != 0)
        ntk_log(s->ctx, 0, "%s was begun by %s; its new tiles come from %s and may differ in the last digits", s->path,
                s->made_by, by);
}

ntk_status ntk_store_fill_for(struct ntk_store *s, size_t held, const char *what)
{
    int64_t there, all;
    ntk_status status;
    double pairs;
    int fd;

    if (!lacks_any(s))
        return NTK_OK;
    NTK_TRY(ntk_store_file_write(s, &fd));
    count(s, &there, &all, &pairs);
    ntk_log(s->ctx, 0, "%s%s has %lld of %lld tiles", s->made ? "the new store " : "", s->path, (long long)there,
            (long long)all);
    if (there < all)
        say_who(s);
    status = lacks_any(s) ? compute_missing(s, fd, held, what, pairs) : NTK_OK; /* else another process was quicker */
    if (close(fd) != 0 && status == NTK_OK)
        status = ntk_fail_write(s->ctx, s->path, errno);
    return status;
}
