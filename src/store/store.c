/* SPDX-License-Identifier: MIT
 *
 * store.c - the store as an object: opened, asked, read.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ranks.h"
#include "base/sized.h"
#include "base/views.h"
#include "data/data.h"
#include "engine/run.h"
#include "kernel/compiled.h"

/* ---- how large tiles are. All matrices' are in memory while one is computed; a tile is a second or more of work, and
 * minutes at most (the order of 1e-10 to 1e-9 s for a pair of positions), unless a file had too many of them then. */

#define SIDE_MOST   2048
#define SIDE_LEAST  64 /* with positions; else NTK_JOB_STEP */
#define BYTES       ((size_t)256 << 20)
#define POSITIONS   6e10
#define TILES_MOST  64 /* along a side of the matrix, for the time that they take */

static int64_t side(const ntk_kernel *k, ntk_dtype dtype, int64_t n)
{
    const int64_t step = k->program->vectors ? NTK_JOB_STEP : SIDE_LEAST;
    const double each = (double)ntk_kernel_outputs(k) * (double)dtype;
    const double bytes = (double)(k->ctx->memory ? k->ctx->memory / 8 : BYTES);
    int64_t most = SIDE_MOST, tiles, least, b;

    while (most > step && (double)(most * most) * each > bytes)
        most /= 2;
    least = (n + most - 1) / most; /* memory and bytes say so, whatever else */
    while (most > step && (double)(most * most) * ntk_kernel_positions(k) > POSITIONS)
        most /= 2;
    tiles = (n + most - 1) / most;
    tiles = tiles < TILES_MOST ? tiles : TILES_MOST;
    tiles = tiles > least ? tiles : least;
    b = (n + tiles - 1) / tiles;
    return tiles == 1 ? n : (b + step - 1) / step * step;
}

size_t ntk_store_bytes(const ntk_kernel *k, ntk_dtype dtype, int64_t n1, int64_t n2)
{
    return ntk_kernel_outputs(k) * (size_t)side(k, dtype, n1) * (size_t)side(k, dtype, n2) * dtype;
}

static struct ntk_store_part part_of(const ntk_kernel *k, ntk_dtype dtype, bool square, int64_t n1, int64_t n2)
{
    struct ntk_store_part p = {.there = true,
                               .square = square,
                               .n1 = n1,
                               .n2 = n2,
                               .b1 = side(k, dtype, n1),
                               .b2 = side(k, dtype, n2)};

    p.tiles = ntk_store_count(&p);
    return p;
}

/* ---- opening */

void ntk_store_free(ntk_kernel_store *s)
{
    if (!s)
        return;
    for (int k = 0; k < NTK_STORE_PARTS; k++) {
        free(s->part[k].marks);
        free(s->part[k].seen);
    }
    if (s->fd >= 0)
        close(s->fd);
    ntk_kernel_free(s->kernel);
    free(s->which);
    free(s->line);
    free(s->lines);
    free(s->about);
    free(s->made_by);
    free(s->path);
    free(s);
}

static ntk_status begin(ntk_ctx *ctx, const char *path, ntk_kernel_store **store)
{
    ntk_kernel_store *s = ntk_alloc_zero(ctx, 1, sizeof *s);

    if (!s)
        return NTK_ENOMEM;
    *store = s;
    s->ctx = ctx;
    s->fd = -1;
    s->path = ntk_strdup(ctx, path);
    return s->path ? ntk_isa_resolve(ctx) : NTK_ENOMEM;
}

bool ntk_store_is_there(const char *path) { return access(path, F_OK) == 0 || errno != ENOENT; }

/* The file of a new store, which is then opened as any other. */
static ntk_status make(const ntk_kernel_store *wanted, const char *about)
{
    const struct ntk_store *w = wanted;
    const int64_t n1 = ntk_data_n(w->x1);
    ntk_kernel_store *s = NULL;
    char by[NTK_STORE_BY];
    ntk_status status = begin(w->ctx, w->path, &s);

    if (status == NTK_OK)
        status = ntk_store_unique(w->ctx, about, &s->about);
    if (status == NTK_OK) {
        ntk_store_by(w->ctx, by);
        s->made_by = ntk_strdup(w->ctx, by);
    }
    if (status == NTK_OK && (!s->made_by || ntk_store_split(s) != NTK_OK))
        status = ntk_fail(w->ctx, NTK_ENOMEM, "no memory for the description of a store");
    if (status == NTK_OK) {
        s->dtype = w->dtype;
        s->part[NTK_STORE_MAIN] = part_of(w->kernel, w->dtype, !w->x2, n1, ntk_data_n(w->x2 ? w->x2 : w->x1));
        if (w->test)
            s->part[NTK_STORE_TEST] = part_of(w->kernel, w->dtype, false, ntk_data_n(w->test), n1);
        status = ntk_store_file_make(s);
    }
    ntk_store_free(s);
    return status;
}

/* That a bound allows what filling the main part takes at the least: a file as large as its matrix is not made for nothing. */
static ntk_status check_memory(const ntk_kernel_store *s)
{
    size_t scratch;

    NTK_TRY(ntk_kernel_scratch(s->kernel, s->x1, s->x2, &scratch));
    return ntk_ctx_check_memory(
        s->ctx, scratch + ntk_store_bytes(s->kernel, s->dtype, ntk_data_n(s->x1), ntk_data_n(s->x2 ? s->x2 : s->x1)),
        "a store of kernels");
}

/* Ranks fill one file: it is the same that they want, from the same loops. */
static ntk_status check_ranks(const ntk_kernel_store *s, const char *about)
{
    struct ntk_text t = {0};
    char by[NTK_STORE_BY];
    ntk_status status;

    ntk_store_by(s->ctx, by);
    ntk_text_add(&t, "%s%s\n%s\n", about, s->path, by);
    status = t.failed ? ntk_fail(s->ctx, NTK_ENOMEM, "no memory for the description of a store") : NTK_OK;
    status = ntk_ranks_agree(s->ctx, status);
    if (status == NTK_OK)
        status = ntk_ranks_same(s->ctx, t.s);
    free(t.s);
    return status;
}

/* Of ranks the first makes the file, then all open it. */
static ntk_status open_file(ntk_kernel_store *s, const char *about)
{
    ntk_status status = NTK_OK;

    NTK_TRY(check_ranks(s, about));
    if (ntk_rank(s->ctx) == 0)
        s->made = !ntk_store_is_there(s->path);
    ntk_ranks_broadcast(s->ctx, &s->made, sizeof s->made);
    if (s->made)
        status = ntk_ranks_agree(s->ctx, check_memory(s));
    if (s->made && status == NTK_OK)
        status = ntk_ranks_agree(s->ctx, ntk_rank(s->ctx) == 0 ? make(s, about) : NTK_OK);
    if (status == NTK_OK)
        status = ntk_ranks_agree(s->ctx, ntk_store_file_open(s));
    if (status == NTK_OK && ntk_n_ranks(s->ctx) > 1)
        status = ntk_store_file_marks(s, NTK_OK);
    return status == NTK_OK ? ntk_ranks_agree(s->ctx, ntk_store_compare(s, about)) : status;
}

static ntk_status settle(ntk_kernel_store *s, const ntk_net *const *nets, size_t n_nets, unsigned want)
{
    char *about;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(s->ctx, nets, n_nets, want, s->dtype, ntk_data_shape(s->x1), &s->kernel));
    if (s->x2)
        NTK_TRY(ntk_kernel_check_shape(s->kernel, "x2", s->x2));
    if (s->test)
        NTK_TRY(ntk_kernel_check_shape(s->kernel, "test", s->test));
    NTK_TRY(ntk_store_describe(s->ctx, nets, n_nets, want, s->dtype, s->x1, s->x2, s->test, &about));
    status = open_file(s, about);
    free(about);
    return status;
}

ntk_status ntk_store_open(ntk_ctx *ctx, const char *path, const ntk_net *const *nets, size_t n_nets, unsigned want,
                          ntk_dtype dtype, const ntk_data *x1, const ntk_data *x2, const ntk_data *test, ntk_kernel_store **store)
{
    ntk_kernel_store *s = NULL;
    ntk_status status;

    if (x2 && test)
        return ntk_fail(ctx, NTK_EINVAL, "a store with test samples has those of its rows as columns: x2 must be NULL");
    status = begin(ctx, path, &s);
    if (status == NTK_OK) {
        s->x1 = x1;
        s->x2 = x2;
        s->test = test;
        s->dtype = dtype;
        status = settle(s, nets, n_nets, want);
    }
    if (status == NTK_OK)
        *store = s;
    else
        ntk_store_free(s);
    return status;
}

/* All that the file has. */
static ntk_status want_all(ntk_kernel_store *s)
{
    s->count = s->stored;
    s->which = ntk_alloc(s->ctx, s->stored, sizeof *s->which);
    for (size_t m = 0; s->which && m < s->count; m++)
        s->which[m] = m;
    return s->which ? NTK_OK : NTK_ENOMEM;
}

ntk_status ntk_store_read(ntk_ctx *ctx, const char *path, ntk_kernel_store **store)
{
    ntk_kernel_store *s = NULL;
    ntk_status status = begin(ctx, path, &s);

    if (status == NTK_OK)
        status = ntk_store_file_open(s);
    if (status == NTK_OK)
        status = want_all(s);
    if (status == NTK_OK)
        *store = s;
    else
        ntk_store_free(s);
    return status;
}

/* ---- what it is */

static struct ntk_sized info_kind(const ntk_store_info *defaults)
{
    return (struct ntk_sized)NTK_SIZED(ntk_store_info, test_tile_columns, defaults);
}

void ntk_store_info_init_sized(ntk_store_info *info, size_t size)
{
    static const ntk_store_info defaults = {.size = sizeof defaults};
    const struct ntk_sized kind = info_kind(&defaults);

    ntk_sized_init(&kind, info, size);
}

ntk_status ntk_store_about(const ntk_kernel_store *s, ntk_store_info *info)
{
    const struct ntk_store_part *p = &s->part[NTK_STORE_MAIN], *test = &s->part[NTK_STORE_TEST];
    static const ntk_store_info defaults = {.size = sizeof defaults};
    const struct ntk_sized kind = info_kind(&defaults);
    ntk_store_info own = {.size = sizeof own,
                          .n1 = p->n1,
                          .n2 = p->n2,
                          .symmetric = p->square,
                          .m = test->n1,
                          .dtype = s->dtype,
                          .matrices = (int64_t)s->stored,
                          .tile_rows = p->b1,
                          .tile_columns = p->b2,
                          .test_tile_rows = test->b1,
                          .test_tile_columns = test->b2};

    NTK_TRY(ntk_sized_check(s->ctx, &kind, info));
    for (int k = 0; k < NTK_STORE_PARTS; k++)
        for (int64_t t = 0; s->part[k].there && t < (int64_t)s->stored * s->part[k].tiles; t++) {
            own.tiles++;
            own.done += s->part[k].marks[t] != 0;
        }
    ntk_sized_write(&kind, &own, info);
    return NTK_OK;
}

const char *ntk_store_text(const ntk_kernel_store *s) { return s->about; }
const char *ntk_store_made_by(const ntk_kernel_store *s) { return s->made_by; }

ntk_status ntk_store_check(const ntk_kernel_store *s, size_t m, int test)
{
    const struct ntk_store_part *p = &s->part[test ? NTK_STORE_TEST : NTK_STORE_MAIN];
    int64_t there = 0;
    int length;

    if (!p->there)
        return ntk_fail(s->ctx, NTK_EINVAL, "%s has no test part", s->path);
    if (m >= s->count)
        return ntk_fail(s->ctx, NTK_EINVAL, "%s: matrix %zu of %zu", s->path, m, s->count);
    for (int64_t t = 0; t < p->tiles; t++)
        there += *ntk_store_mark(p, s->which[m], t) != 0;
    if (there < p->tiles) {
        const char *name = ntk_store_name(s, s->which[m], &length);

        return ntk_fail(s->ctx, NTK_EIO,
                        "%s is not finished: it has %lld of %lld tiles of %.*s%s; the command that made it goes on with it",
                        s->path, (long long)there, (long long)p->tiles, length, name, test ? ", test part" : "");
    }
    return NTK_OK;
}

/* ---- entries */

/* Rows of a matrix that are being put together. */
struct rows {
    const struct ntk_store *s;
    const struct ntk_store_part *p;
    size_t stored;
    int64_t i0, ni;
    struct ntk_view to;   /* [ni][n2] */
    struct ntk_view tile; /* [b1][b2] */
};

/* From a tile whose rows they are. */
static ntk_status rows_of_tile(const struct rows *r, int64_t row, int64_t column)
{
    const struct ntk_store_part *p = r->p;
    const struct ntk_store_tile t = ntk_store_tile_at(p, ntk_store_tile_number(p, row, column));
    const int64_t first = ntk_most(r->i0, t.i0), end = ntk_least(r->i0 + r->ni, t.i0 + t.ni);

    NTK_TRY(ntk_store_tile_rows(r->s, p, r->stored, t.t, first - t.i0, end - first, r->tile.at));
    ntk_copy(end - first, t.nj, ntk_view_at(r->tile, first - t.i0, 0), ntk_view_at(r->to, first - r->i0, t.j0));
    return NTK_OK;
}

/* From one below the diagonal whose columns they are. */
static ntk_status columns_of_tile(const struct rows *r, int64_t row, int64_t column)
{
    const struct ntk_store_part *p = r->p;
    const struct ntk_store_tile t = ntk_store_tile_at(p, ntk_store_tile_number(p, row, column));
    const int64_t first = ntk_most(r->i0, t.j0), end = ntk_least(r->i0 + r->ni, t.j0 + t.nj);

    NTK_TRY(ntk_store_tile_read(r->s, p, r->stored, t.t, r->tile.at));
    ntk_transpose(t.ni, end - first, ntk_view_at(r->tile, 0, first - t.j0), ntk_view_at(r->to, first - r->i0, t.i0));
    return NTK_OK;
}

static ntk_status read_rows(const struct rows *r)
{
    const struct ntk_store_part *p = r->p;
    const int64_t rows = ntk_store_down(p), columns = ntk_store_across(p);

    for (int64_t i = r->i0 / p->b1; i <= (r->i0 + r->ni - 1) / p->b1; i++) {
        for (int64_t j = 0; j < (p->square ? i + 1 : columns); j++)
            NTK_TRY(rows_of_tile(r, i, j));
        for (int64_t j = i + 1; p->square && j < rows; j++)
            NTK_TRY(columns_of_tile(r, j, i));
        NTK_TRY(ntk_poll(r->s->ctx));
    }
    return NTK_OK;
}

/* held: bytes that the caller has, rows among them. */
static ntk_status rows_for(ntk_kernel_store *s, size_t m, int test, int64_t i0, int64_t ni, size_t held, const char *what,
                           void *rows)
{
    const int part = test ? NTK_STORE_TEST : NTK_STORE_MAIN;
    const struct ntk_store_part *p = &s->part[part];
    struct rows r = {.s = s, .p = p, .i0 = i0, .ni = ni, .to = {rows, s->dtype, p->n2}};
    ntk_status status;

    if (!p->there)
        return ntk_fail(s->ctx, NTK_EINVAL, "%s has no test part", s->path);
    if (m >= s->count || i0 < 0 || ni < 1 || ni > p->n1 - i0)
        return ntk_fail(s->ctx, NTK_EINVAL, "rows %lld to %lld of matrix %zu: there are %lld rows of %zu", (long long)i0,
                        (long long)(i0 + ni - 1), m, (long long)p->n1, s->count);
    NTK_TRY(ntk_store_fill_for(s, held, what));
    NTK_TRY(ntk_store_check(s, m, test));
    r.stored = s->which[m];
    NTK_TRY(ntk_ctx_check_memory(s->ctx, ntk_store_tile_bytes(s, p) + held, what));
    r.tile = (struct ntk_view){ntk_alloc(s->ctx, ntk_store_tile_bytes(s, p), 1), s->dtype, p->b2};
    status = r.tile.at ? read_rows(&r) : NTK_ENOMEM;
    free(r.tile.at);
    return status;
}

ntk_status ntk_store_rows(ntk_kernel_store *s, size_t m, int test, int64_t i0, int64_t ni, void *rows)
{
    const double bytes = (double)ni * (double)s->part[test ? NTK_STORE_TEST : NTK_STORE_MAIN].n2 * (double)s->dtype;

    return rows_for(s, m, test, i0, ni, ni > 0 ? ntk_bytes(bytes) : 0, "rows of a kernel matrix", rows);
}

ntk_status ntk_store_fill(ntk_kernel_store *s) { return ntk_store_fill_for(s, 0, "a store of kernels"); }

static size_t all_bytes(const ntk_kernel_store *s)
{
    const struct ntk_store_part *p = &s->part[NTK_STORE_MAIN];

    return ntk_bytes((double)s->count * (double)p->n1 * (double)p->n2 * (double)s->dtype);
}

/* Each tile is read once, for both halves. */
static ntk_status compute_square(ntk_kernel_store *s, void *const *out)
{
    struct ntk_memory_sink sink = {.out = out, .n2 = s->part[NTK_STORE_MAIN].n1, .dtype = s->dtype, .symmetric = true};
    const struct ntk_reading reading = {.ni = sink.n2,
                                        .held = all_bytes(s),
                                        .what = "the kernel",
                                        .sink = ntk_memory_sink_write,
                                        .user = &sink};
    struct ntk_operator *o;
    ntk_status status;

    NTK_TRY(ntk_operator_of_stored(s, &o));
    status = o->class->stream(o, &reading);
    ntk_operator_free(o);
    return status;
}

ntk_status ntk_store_compute(ntk_kernel_store *s, void *const *out)
{
    const struct ntk_store_part *p = &s->part[NTK_STORE_MAIN];

    if (p->square)
        return compute_square(s, out);
    NTK_TRY(ntk_store_fill_for(s, all_bytes(s), "the kernel"));
    for (size_t m = 0; m < s->count; m++)
        for (int64_t i = 0; i < p->n1; i += p->b1)
            NTK_TRY(rows_for(s, m, 0, i, ntk_least(p->b1, p->n1 - i), all_bytes(s), "the kernel",
                             (unsigned char *)out[m] + (size_t)(i * p->n2) * s->dtype));
    return NTK_OK;
}

/* ---- checking all that is there */

struct check {
    ntk_kernel_store *s;
    void *tile;
    int fd;        /* >= 0: what is wrong is taken out */
    int64_t wrong, done, all;
    char first[sizeof ((ntk_ctx *)NULL)->message];
};

static ntk_status check_tile(struct check *c, const struct ntk_store_part *p, size_t m, int64_t t)
{
    ntk_ctx *ctx = c->s->ctx;
    const ntk_status status = ntk_store_tile_read(c->s, p, m, t, c->tile);

    if (status != NTK_OK) {
        if (c->wrong++ == 0)
            snprintf(c->first, sizeof c->first, "%s", ntk_errmsg(ctx));
        if (c->wrong > 1 || c->fd >= 0) /* the first is the error's */
            ntk_log(ctx, 1, "%s", ntk_errmsg(ctx));
        if (c->fd >= 0)
            NTK_TRY(ntk_store_tile_unmark(c->s, c->fd, p, m, t));
    }
    return ntk_progress(ctx, "tiles", (double)++c->done, (double)c->all);
}

static ntk_status check_tiles(struct check *c)
{
    const struct ntk_store *s = c->s;

    for (int k = 0; k < NTK_STORE_PARTS; k++)
        for (size_t m = 0; s->part[k].there && m < s->stored; m++)
            for (int64_t t = 0; t < s->part[k].tiles; t++)
                if (*ntk_store_mark(&s->part[k], m, t))
                    NTK_TRY(check_tile(c, &s->part[k], m, t));
    return NTK_OK;
}

static ntk_status check(ntk_kernel_store *s, int fd, int64_t *wrong)
{
    struct check *c = ntk_alloc_zero(s->ctx, 1, sizeof *c);
    size_t bytes = 0;
    ntk_store_info info;
    ntk_status status;

    if (!c)
        return NTK_ENOMEM;
    for (int k = 0; k < NTK_STORE_PARTS; k++)
        if (s->part[k].there && ntk_store_tile_bytes(s, &s->part[k]) > bytes)
            bytes = ntk_store_tile_bytes(s, &s->part[k]);
    c->s = s;
    c->fd = fd;
    ntk_store_info_init(&info);
    status = ntk_store_about(s, &info);
    c->all = info.done;
    if (status == NTK_OK)
        status = ntk_ctx_check_memory(s->ctx, bytes, "a tile of the store");
    c->tile = status == NTK_OK ? ntk_alloc(s->ctx, bytes, 1) : NULL;
    if (status == NTK_OK)
        status = c->tile ? check_tiles(c) : NTK_ENOMEM;
    *wrong = c->wrong;
    if (status == NTK_OK && c->wrong && fd < 0)
        status = ntk_fail(s->ctx, NTK_EIO, "%s", c->first);
    free(c->tile);
    free(c);
    return status;
}

ntk_status ntk_store_verify(ntk_ctx *ctx, const char *path, int64_t *wrong)
{
    int64_t found = 0;
    ntk_kernel_store *s;
    ntk_status status;

    NTK_TRY(ntk_store_read(ctx, path, &s));
    status = check(s, -1, &found);
    ntk_store_free(s);
    if (wrong && (status == NTK_OK || found))
        *wrong = found;
    return status;
}

/* What was cut off holds no number. It is written from its beginning on, so that who is interrupted leaves a file that is cut
 * short later; a number that was cut in two is none. */
static ntk_status blank_from(const ntk_kernel_store *s, uint64_t from, uint64_t whole)
{
    for (int k = 0; k < NTK_STORE_PARTS; k++) {
        const struct ntk_store_part *p = &s->part[k];
        const uint64_t bytes = (uint64_t)s->stored * (uint64_t)p->tiles * (uint64_t)ntk_store_tile_bytes(s, p);
        const uint64_t first = from > p->at ? (from - p->at) / s->dtype * s->dtype : 0;

        if (p->there && first < bytes)
            NTK_TRY(ntk_store_blank(s->ctx, s->fd, s->path, s->dtype, p->at + first, bytes - first, true));
    }
    return ftruncate(s->fd, (off_t)whole) == 0 ? NTK_OK : ntk_fail_write(s->ctx, s->path, errno);
}

static ntk_status mend(ntk_kernel_store *s, int64_t *wrong)
{
    uint64_t there, whole;
    ntk_status status;

    NTK_TRY(ntk_store_file_mend(s, &there, &whole));
    NTK_TRY(want_all(s));
    status = there < whole ? blank_from(s, there, whole) : NTK_OK;
    if (status == NTK_OK)
        status = check(s, s->fd, wrong);
    if (fsync(s->fd) != 0 && status == NTK_OK)
        status = ntk_fail_write(s->ctx, s->path, errno);
    return status;
}

ntk_status ntk_store_mend(ntk_ctx *ctx, const char *path, int64_t *wrong)
{
    int64_t found = 0;
    ntk_kernel_store *s = NULL;
    ntk_status status = begin(ctx, path, &s);

    if (status == NTK_OK)
        status = mend(s, &found);
    ntk_store_free(s);
    if (status == NTK_OK && wrong)
        *wrong = found;
    return status;
}
