/* SPDX-License-Identifier: MIT
 *
 * factor.c - see factor.h.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include "store/factor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/outfile.h"
#include "store/store.h"

#define PAGE   4096
#define FORMAT 1

static const char magic[8] = "ntkfactr";

/* ---- sizes */

static int64_t tiles_of(int64_t n, int64_t side)
{
    const int64_t across = (n + side - 1) / side;

    return across * (across + 1) / 2;
}

static size_t tile_bytes(const struct ntk_factor *f) { return (size_t)(f->head.side * f->head.side) * sizeof(double); }

size_t ntk_factor_bytes(int64_t n, int64_t side) { return (size_t)tiles_of(n, side) * sizeof(uint64_t); }

static uint64_t tiles_at(int64_t n, int64_t side) { return PAGE + ntk_round_up(ntk_factor_bytes(n, side), PAGE); }

uint64_t ntk_factor_size(int64_t n, int64_t side)
{
    return tiles_at(n, side) + (uint64_t)tiles_of(n, side) * (uint64_t)(side * side) * sizeof(double);
}

static int64_t order(const struct ntk_factor *f) { return (int64_t)f->head.n; }
static int64_t side(const struct ntk_factor *f) { return (int64_t)f->head.side; }
static uint64_t size_of(const struct ntk_factor *f) { return ntk_factor_size(order(f), side(f)); }

/* ---- opening */

static ntk_status cannot_write(const struct ntk_factor *f, int error)
{
    if (f->named)
        return ntk_fail_write(f->ctx, f->path, error);
    return ntk_fail(f->ctx, error == ENOMEM ? NTK_ENOMEM : NTK_EIO, "cannot write a file in %s: %s", f->path,
                    strerror(error));
}

/* Its room on the disk, which is said if there is none. */
static ntk_status allocate(struct ntk_factor *f)
{
    int error;

    do
        error = posix_fallocate(f->fd, 0, (off_t)size_of(f));
    while (error == EINTR);
    if (!error)
        return NTK_OK;
    (void)!ftruncate(f->fd, 0);
    if (f->named)
        unlink(f->path);
    return ntk_fail_in(f->ctx, cannot_write(f, error), "a factor of %lld samples takes %.2f MiB of disk",
                       (long long)order(f), (double)size_of(f) / 0x1p20);
}

/* Empty, of what is wanted. */
static ntk_status begin(struct ntk_factor *f)
{
    int error = ftruncate(f->fd, 0) == 0 ? 0 : errno;

    memset(f->marks, 0, ntk_factor_bytes(order(f), side(f)));
    if (!error)
        error = ntk_write_all(f->fd, &f->head, sizeof f->head, 0);
    return error ? cannot_write(f, error) : allocate(f);
}

static bool is_whole(const struct ntk_factor *f) { return ntk_factor_columns(f) == f->across; }

/* Of what is wanted: as far as it is there. */
static ntk_status go_on(struct ntk_factor *f)
{
    const int error = ntk_read_all(f->fd, f->marks, ntk_factor_bytes(order(f), side(f)), PAGE, NULL);

    if (error)
        return ntk_fail(f->ctx, NTK_EIO, "%s cannot be read: %s", f->path, strerror(error));
    if (!f->shared || is_whole(f))
        return NTK_OK;
    return ntk_fail(f->ctx, NTK_EIO, "another process writes %s; try again when it has ended", f->path);
}

static ntk_status open_named(struct ntk_factor *f)
{
    struct ntk_factor_head head;
    struct stat st;
    size_t left = 0;
    int error;

    f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return cannot_write(f, errno);
    if (!S_ISREG(st.st_mode))
        return ntk_fail(f->ctx, NTK_EIO, "%s is not a regular file, which a factor is", f->path);
    f->shared = !ntk_file_lock(f->fd, F_WRLCK);
    if (f->shared && !ntk_file_lock(f->fd, F_RDLCK))
        return ntk_fail(f->ctx, NTK_EIO, "another process writes %s; try again when it has ended", f->path);
    if (fstat(f->fd, &st) != 0) /* as it is now */
        return cannot_write(f, errno);
    error = ntk_read_all(f->fd, &head, sizeof head, 0, &left);
    if (error || (st.st_size > 0 && (left > 0 || memcmp(head.magic, magic, sizeof magic) != 0)))
        return ntk_fail(f->ctx, NTK_EIO, "%s is there, and is no factor: remove it, or name another folder for the factor",
                        f->path);
    if (left == 0 && memcmp(&head, &f->head, sizeof head) == 0 && (uint64_t)st.st_size == size_of(f))
        return go_on(f);
    if (f->shared)
        return ntk_fail(f->ctx, NTK_EIO, "%s is in use, with another matrix or ridge; name another folder for the factor",
                        f->path);
    if (st.st_size > 0)
        ntk_log(f->ctx, 0, "%s has the factor of another matrix or ridge, or a part of one: it is replaced", f->path);
    return begin(f);
}

static ntk_status open_unnamed(struct ntk_factor *f)
{
    static const char pattern[] = "/.ntk-XXXXXX";
    char *path;

    f->fd = open(f->path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (f->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        path = ntk_alloc(f->ctx, strlen(f->path) + sizeof pattern, 1);
        if (!path)
            return NTK_ENOMEM;
        f->fd = mkostemp(strcat(strcpy(path, f->path), pattern), O_CLOEXEC);
        if (f->fd >= 0)
            unlink(path);
        free(path);
    }
    return f->fd < 0 ? cannot_write(f, errno) : begin(f);
}

ntk_status ntk_factor_open(ntk_ctx *ctx, const char *path, const char *folder, struct ntk_factor_head head,
                           struct ntk_factor *f)
{
    const size_t bytes = ntk_factor_bytes((int64_t)head.n, (int64_t)head.side);
    ntk_status status;

    memcpy(head.magic, magic, sizeof magic);
    head.format = FORMAT;
    *f = (struct ntk_factor){.ctx = ctx, .named = path, .fd = -1, .head = head};
    f->across = (order(f) + side(f) - 1) / side(f);
    f->path = ntk_strdup(ctx, path ? path : folder);
    f->marks = ntk_alloc_zero(ctx, bytes, 1);
    status = f->path && f->marks ? path ? open_named(f) : open_unnamed(f) : NTK_ENOMEM;
    if (status != NTK_OK)
        ntk_factor_close(f);
    return status;
}

void ntk_factor_close(struct ntk_factor *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->marks);
    *f = (struct ntk_factor){.fd = -1};
}

void ntk_factor_drop(struct ntk_factor *f)
{
    if (f->fd >= 0 && f->named)
        unlink(f->path);
    ntk_factor_close(f);
}

int64_t ntk_factor_columns(const struct ntk_factor *f)
{
    for (int64_t j = 0; j < f->across; j++)
        for (int64_t i = j; i < f->across; i++)
            if (!f->marks[ntk_factor_number(f, i, j)])
                return j;
    return f->across;
}

/* ---- tiles */

static uint64_t checksum(const struct ntk_factor *f, const double *tile)
{
    const uint64_t sum = ntk_store_sum((const unsigned char *)tile, tile_bytes(f), 0);

    return sum ? sum : 1;
}

static int64_t place_of(const struct ntk_factor *f, int64_t i, int64_t j)
{
    const uint64_t before = (uint64_t)ntk_factor_number(f, i, j) * tile_bytes(f);

    return (int64_t)(tiles_at(order(f), side(f)) + before);
}

static ntk_status note(struct ntk_factor *f, int64_t i, int64_t j, bool writing, int error)
{
    ntk_lock(f->ctx);
    if (!f->fault.error) {
        f->fault.error = error;
        f->fault.i = i;
        f->fault.j = j;
        f->fault.writing = writing;
    }
    ntk_unlock(f->ctx);
    return NTK_EIO;
}

ntk_status ntk_factor_read(struct ntk_factor *f, int64_t i, int64_t j, double *tile)
{
    const int error = ntk_read_all(f->fd, tile, tile_bytes(f), place_of(f, i, j), NULL);

    if (error)
        return note(f, i, j, false, error);
    return checksum(f, tile) == f->marks[ntk_factor_number(f, i, j)] ? NTK_OK : note(f, i, j, false, -1);
}

ntk_status ntk_factor_write(struct ntk_factor *f, int64_t i, int64_t j, const double *tile)
{
    const int64_t number = ntk_factor_number(f, i, j);
    const uint64_t mark = checksum(f, tile);
    int error = ntk_write_all(f->fd, tile, tile_bytes(f), place_of(f, i, j));

    if (!error)
        error = ntk_write_all(f->fd, &mark, sizeof mark, PAGE + number * (int64_t)sizeof mark);
    if (error)
        return note(f, i, j, true, error);
    f->marks[number] = mark;
    return NTK_OK;
}

ntk_status ntk_factor_fail(struct ntk_factor *f, ntk_status status)
{
    const int error = f->fault.error;
    const int64_t h = side(f), i = f->fault.i * h, j = f->fault.j * h;

    if (status != NTK_EIO || !error)
        return status;
    f->fault.error = 0;
    if (f->fault.writing)
        return cannot_write(f, error);
    return ntk_fail(f->ctx, NTK_EIO, "%s%s: the factor's rows %lld to %lld, columns %lld to %lld, %s%s%s",
                    f->named ? "" : "a file in ", f->path, (long long)i, (long long)ntk_least(i + h, order(f)) - 1,
                    (long long)j, (long long)ntk_least(j + h, order(f)) - 1,
                    error < 0 ? "are not what was written: their checksum is another" : "cannot be read: ",
                    error < 0 ? "" : strerror(error), f->named ? "; remove the file, and the same command makes it anew" : "");
}

ntk_status ntk_factor_finish(struct ntk_factor *f)
{
    if (f->shared || !f->named)
        return NTK_OK;
    if (fdatasync(f->fd) != 0 && errno != EINVAL)
        return cannot_write(f, errno);
    f->shared = ntk_file_lock(f->fd, F_RDLCK);
    return NTK_OK;
}
