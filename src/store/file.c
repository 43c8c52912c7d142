/* SPDX-License-Identifier: MIT
 *
 * file.c - a store's HDF5 file: made as a whole, and opened. Between the two nothing calls HDF5.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/outfile.h"
#include "base/ranks.h"
#include "store/store.h"

#define FORMAT 1

#ifndef NTK_HDF5

static ntk_status refuse(const struct ntk_store *s)
{
    return ntk_fail(s->ctx, NTK_ENOTSUP, "%s: this build has no HDF5 (Meson option -Dhdf5=enabled)", s->path);
}

ntk_status ntk_store_file_make(struct ntk_store *s) { return refuse(s); }
ntk_status ntk_store_file_open(struct ntk_store *s) { return refuse(s); }

ntk_status ntk_store_file_write(struct ntk_store *s, int *fd)
{
    *fd = -1;
    return refuse(s);
}

ntk_status ntk_store_file_marks(struct ntk_store *s, ntk_status status)
{
    (void)status;
    return refuse(s);
}

ntk_status ntk_store_file_mend(struct ntk_store *s, uint64_t *there, uint64_t *whole)
{
    *there = *whole = 0;
    return refuse(s);
}

#else

#include "base/h5.h"
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

static const char *const tiles_names[] = {"tiles", "test_tiles"}, *const marks_names[] = {"checksums", "test_checksums"};

static hid_t file_type(const struct ntk_store *s) { return s->dtype == NTK_F32 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE; }

/* ---- sizes: all that says how the file is laid out */

enum { STORED, DTYPE, PART_SIZES, SIZES_A_PART = 5, SIZES = PART_SIZES + NTK_STORE_PARTS * SIZES_A_PART };

static void sizes_out(const struct ntk_store *s, int64_t *sizes)
{
    sizes[STORED] = (int64_t)s->stored;
    sizes[DTYPE] = s->dtype;
    for (int k = 0; k < NTK_STORE_PARTS; k++) {
        const struct ntk_store_part *p = &s->part[k];
        const int64_t of_part[SIZES_A_PART] = {p->square, p->n1, p->n2, p->b1, p->b2};

        memcpy(sizes + PART_SIZES + k * SIZES_A_PART, of_part, sizeof of_part);
    }
}

#define SIZE_MOST ((int64_t)1 << 31)

static bool part_in(const int64_t *x, bool test, struct ntk_store_part *p)
{
    *p = (struct ntk_store_part){.square = x[0], .n1 = x[1], .n2 = x[2], .b1 = x[3], .b2 = x[4]};
    p->there = !test || p->n1 > 0;
    if (!p->there)
        return true;
    if (x[0] < 0 || x[0] > !test || p->n1 < 1 || p->n1 > SIZE_MOST || p->n2 < 1 || p->n2 > SIZE_MOST || p->b1 < 1 ||
        p->b1 > p->n1 + p->b1 / 2 + 256 || p->b2 < 1 || p->b1 > SIZE_MOST || p->b2 > SIZE_MOST)
        return false;
    if (p->square && (p->n1 != p->n2 || p->b1 != p->b2))
        return false;
    p->tiles = ntk_store_count(p);
    return true;
}

static bool sizes_in(struct ntk_store *s, const int64_t *sizes)
{
    bool ok = sizes[STORED] == (int64_t)s->stored && (sizes[DTYPE] == NTK_F32 || sizes[DTYPE] == NTK_F64);

    s->dtype = sizes[DTYPE] == NTK_F32 ? NTK_F32 : NTK_F64;
    for (int k = 0; ok && k < NTK_STORE_PARTS; k++)
        ok = part_in(sizes + PART_SIZES + k * SIZES_A_PART, k == NTK_STORE_TEST, &s->part[k]);
    return ok && (!s->part[NTK_STORE_TEST].there || s->part[NTK_STORE_TEST].n2 == s->part[NTK_STORE_MAIN].n1);
}

/* ---- making */

/* Its place is known at once, and nothing is written there. */
static hid_t contiguous(void)
{
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_layout(list, H5D_CONTIGUOUS);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(list, 0); /* equal runs write equal files */
    return list;
}

static uint64_t make_tiles(struct ntk_h5 *f, const struct ntk_store *s, int part)
{
    const struct ntk_store_part *p = &s->part[part];
    const hsize_t dims[] = {s->stored * (hsize_t)p->tiles, (hsize_t)p->b1, (hsize_t)p->b2};
    const hid_t space = H5Screate_simple(3, dims, NULL), list = contiguous();
    const hid_t set = H5Dcreate2(f->id, tiles_names[part], file_type(s), space, H5P_DEFAULT, list, H5P_DEFAULT);
    const haddr_t at = set < 0 ? HADDR_UNDEF : H5Dget_offset(set);

    ntk_h5_broken(f, tiles_names[part], at != HADDR_UNDEF);
    if (set >= 0)
        H5Dclose(set);
    H5Pclose(list);
    H5Sclose(space);
    return at;
}

static void make_marks(struct ntk_h5 *f, const struct ntk_store *s, int part)
{
    const int64_t shape[] = {(int64_t)s->stored, s->part[part].tiles};
    uint64_t *none = ntk_alloc_zero(s->ctx, s->stored * (size_t)s->part[part].tiles, sizeof *none);

    if (!ntk_h5_failed(f, marks_names[part], none ? NTK_OK : NTK_ENOMEM))
        ntk_h5_array(f, marks_names[part], H5T_STD_U64LE, 2, shape, none, true);
    free(none);
}

/* Each tile, as far as it is used, becomes a rectangle of the matrix; what no tile is of is NaN. */
static herr_t map_tiles(hid_t list, hid_t to, hid_t from, const struct ntk_store_part *p, size_t m, const char *set)
{
    herr_t ok = 0;

    for (int64_t t = 0; t < p->tiles && ok >= 0; t++) {
        const struct ntk_store_tile tile = ntk_store_tile_at(p, t);
        const hsize_t start[] = {(hsize_t)tile.i0, (hsize_t)tile.j0}, count[] = {(hsize_t)tile.ni, (hsize_t)tile.nj};
        const hsize_t first[] = {m * (hsize_t)p->tiles + (hsize_t)t, 0, 0}, size[] = {1, count[0], count[1]};

        ok = H5Sselect_hyperslab(to, H5S_SELECT_SET, start, NULL, count, NULL);
        if (ok >= 0)
            ok = H5Sselect_hyperslab(from, H5S_SELECT_SET, first, NULL, size, NULL);
        if (ok >= 0)
            ok = H5Pset_virtual(list, to, ".", set, from);
    }
    return ok;
}

static void make_matrix(struct ntk_h5 *f, const struct ntk_store *s, int part, size_t m, const char *name)
{
    const struct ntk_store_part *p = &s->part[part];
    const hsize_t dims[] = {(hsize_t)p->n1, (hsize_t)p->n2};
    const hsize_t all[] = {s->stored * (hsize_t)p->tiles, (hsize_t)p->b1, (hsize_t)p->b2};
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE), to = H5Screate_simple(2, dims, NULL),
                from = H5Screate_simple(3, all, NULL);
    const double none = (double)NAN;
    hid_t set = H5I_INVALID_HID;

    H5Pset_obj_track_times(list, 0);
    if (H5Pset_fill_value(list, H5T_NATIVE_DOUBLE, &none) >= 0 &&
        map_tiles(list, to, from, p, m, tiles_names[part]) >= 0 && H5Sselect_all(to) >= 0)
        set = H5Dcreate2(f->id, name, file_type(s), to, H5P_DEFAULT, list, H5P_DEFAULT);
    ntk_h5_broken(f, name, set >= 0 && H5Dclose(set) >= 0);
    H5Sclose(from);
    H5Sclose(to);
    H5Pclose(list);
}

/* As `ntk kernel` calls them: ntk or 0.ntk, 1.ntk; of the test part ntk_test. */
static void make_matrices(struct ntk_h5 *f, const struct ntk_store *s, int part)
{
    const char *const end = part == NTK_STORE_TEST ? "_test" : "";
    char name[64] = "", k[16];

    for (size_t m = 0; m < s->stored && !f->what; m++) {
        int length;
        const char *own = ntk_store_name(s, m, &length);

        snprintf(name, sizeof name, "%.*s%s", length, own, end);
        make_matrix(f, s, part, m, name);
    }
    snprintf(k, sizeof k, "K%s", end);
    if (s->stored == 1 && !f->what)
        ntk_h5_broken(f, k, H5Lcreate_soft(name, f->id, k, H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

/* All but the tiles, which come last: what is cut off of a file is theirs. */
static void make_head(struct ntk_h5 *f, struct ntk_store *s)
{
    int64_t sizes[SIZES];

    sizes_out(s, sizes);
    ntk_h5_write_format(f, "store", FORMAT);
    ntk_h5_write_text(f, "about", s->about);
    ntk_h5_write_text(f, "made_by", s->made_by);
    ntk_h5_attribute(f, "sizes", H5T_STD_I64LE, SIZES, sizes, true);
    for (int k = 0; k < NTK_STORE_PARTS && !f->what; k++)
        if (s->part[k].there) {
            make_marks(f, s, k);
            if (!f->what)
                make_matrices(f, s, k);
        }
}

static uint64_t part_bytes(const struct ntk_store *s, const struct ntk_store_part *p)
{
    return (uint64_t)s->stored * (uint64_t)p->tiles * ntk_store_tile_bytes(s, p);
}

/* A whole file, and the folder and the name that it is to have; the name that it has, if it has one. */
struct unplaced {
    int fd, folder;
    char name[NAME_MAX + 1], temporary[32];
};

/* A link replaces nothing. Where a file system has none, a file that comes in just this moment is replaced. */
static int place(const struct unplaced *u)
{
    char path[32];
    int error = 0;

    snprintf(path, sizeof path, "/proc/self/fd/%d", u->fd);
    if (u->temporary[0] ? linkat(u->folder, u->temporary, u->folder, u->name, 0) != 0
                        : linkat(AT_FDCWD, path, u->folder, u->name, AT_SYMLINK_FOLLOW) != 0)
        error = errno;
    if (u->temporary[0] && (error == EPERM || error == EOPNOTSUPP)) {
        const bool there = faccessat(u->folder, u->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

        error = there ? EEXIST : renameat(u->folder, u->temporary, u->folder, u->name) == 0 ? 0 : errno;
    }
    if (u->temporary[0])
        unlinkat(u->folder, u->temporary, 0);
    if (!error && fsync(u->folder) != 0 && errno != EINVAL && errno != EBADF)
        error = errno;
    return error == EEXIST ? 0 : error;
}

/* The file is brought to disk as one that is written in place, which has its name: that is given here. */
static ntk_status commit_new(struct ntk_h5 *f, const char *path)
{
    struct unplaced u = {.fd = dup(f->out.fd), .folder = dup(f->out.folder)};
    ntk_status status = u.fd >= 0 && u.folder >= 0 ? NTK_OK : ntk_fail_write(f->ctx, path, errno);
    int error;

    strcpy(u.name, f->out.name);
    if (status == NTK_OK) {
        strcpy(u.temporary, f->out.temporary);
        f->out.temporary[0] = '\0';
        f->out.kind = NTK_OUTFILE_PLACE;
        status = ntk_h5_commit(f, path);
        error = status == NTK_OK ? place(&u) : 0;
        if (error)
            status = ntk_fail_write(f->ctx, path, error);
        else if (status != NTK_OK && u.temporary[0])
            unlinkat(u.folder, u.temporary, 0);
    } else {
        ntk_h5_abort(f);
    }
    if (u.folder >= 0)
        close(u.folder);
    if (u.fd >= 0)
        close(u.fd);
    return status;
}

ntk_status ntk_store_file_make(struct ntk_store *s)
{
    struct ntk_h5 f = {.ctx = s->ctx};
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_h5_create(&f, s->path));
    if (f.out.replaces) { /* it was made meanwhile */
        ntk_h5_abort(&f);
        return NTK_OK;
    }
    make_head(&f, s);
    for (int k = 0; k < NTK_STORE_PARTS && !f.what; k++)
        if (s->part[k].there)
            s->part[k].at = make_tiles(&f, s, k);
    for (int k = 0; k < NTK_STORE_PARTS && !f.what && status == NTK_OK; k++)
        if (s->part[k].there)
            status = ntk_store_blank(s->ctx, f.out.fd, s->path, s->dtype, s->part[k].at, part_bytes(s, &s->part[k]),
                                     false);
    if (status == NTK_OK)
        return f.out.kind == NTK_OUTFILE_PLACE ? ntk_h5_commit(&f, s->path) : commit_new(&f, s->path);
    ntk_h5_abort(&f);
    return status;
}

/* ---- opening */

static uint64_t place_of(struct ntk_h5 *f, const char *name)
{
    const hid_t set = f->what ? H5I_INVALID_HID : H5Dopen2(f->id, name, H5P_DEFAULT);
    const haddr_t at = set < 0 ? HADDR_UNDEF : H5Dget_offset(set);

    if (set >= 0)
        H5Dclose(set);
    ntk_h5_wrong(f, name, f->what || at != HADDR_UNDEF, "is not contiguous: was the file repacked?");
    return at;
}

static bool has_type(struct ntk_h5 *f, const char *name, hid_t wanted)
{
    const hid_t set = f->what ? H5I_INVALID_HID : H5Dopen2(f->id, name, H5P_DEFAULT);
    const hid_t type = set < 0 ? set : H5Dget_type(set);
    const bool same = type >= 0 && H5Tequal(type, wanted) > 0;

    if (type >= 0)
        H5Tclose(type);
    if (set >= 0)
        H5Dclose(set);
    return same;
}

static void open_part(struct ntk_h5 *f, struct ntk_store *s, int part)
{
    struct ntk_store_part *p = &s->part[part];
    const int64_t tiles[] = {(int64_t)s->stored * p->tiles, p->b1, p->b2}, marks[] = {(int64_t)s->stored, p->tiles};
    const size_t n = s->stored * (size_t)p->tiles;

    if (!ntk_h5_has(f, tiles_names[part], 3, tiles) || !ntk_h5_has(f, marks_names[part], 2, marks))
        return;
    ntk_h5_broken(f, tiles_names[part], has_type(f, tiles_names[part], file_type(s)));
    ntk_h5_broken(f, marks_names[part], has_type(f, marks_names[part], H5T_STD_U64LE));
    p->at = place_of(f, tiles_names[part]);
    p->marks_at = place_of(f, marks_names[part]);
    p->marks = ntk_alloc(s->ctx, n, sizeof *p->marks);
    p->seen = ntk_alloc_zero(s->ctx, n, sizeof *p->seen);
    ntk_h5_failed(f, marks_names[part], p->marks && p->seen ? NTK_OK : NTK_ENOMEM);
}

static void read_head(struct ntk_h5 *f, struct ntk_store *s)
{
    int64_t sizes[SIZES] = {0};

    ntk_h5_read_format(f, "store", FORMAT);
    s->about = ntk_h5_read_text(f, "about");
    s->made_by = ntk_h5_read_text(f, "made_by");
    if (!f->what) {
        const ntk_status split = ntk_store_split(s);

        ntk_h5_failed(f, "about", split == NTK_ENOMEM ? split : NTK_OK);
        ntk_h5_wrong(f, "about", split == NTK_OK, "does not say of which kernels it is");
    }
    ntk_h5_attribute(f, "sizes", H5T_NATIVE_INT64, SIZES, sizes, false);
    if (!f->what)
        ntk_h5_wrong(f, "sizes", sizes_in(s, sizes), "are not those of a store");
    for (int k = 0; k < NTK_STORE_PARTS && !f->what; k++)
        if (s->part[k].there)
            open_part(f, s, k);
}

static uint64_t number(const unsigned char *bytes)
{
    uint64_t x = 0;

    for (int k = 7; k >= 0; k--)
        x = x << 8 | bytes[k];
    return x;
}

/* What an HDF5 file says at its beginning of its length ("End of File Address" of its superblock); 0: it does not. */
static uint64_t length_of(const unsigned char head[48])
{
    if (memcmp(head, "\x89HDF\r\n\x1a\n", 8) != 0)
        return 0;
    if (head[8] == 0 && head[13] == 8)
        return number(head + 40);
    return head[8] >= 2 && head[8] <= 3 && head[9] == 8 ? number(head + 28) : 0;
}

/* HDF5 says of a file that was cut short only that it is none. */
static ntk_status check_length(ntk_ctx *ctx, const char *path, int fd, uint64_t *there, uint64_t *whole)
{
    unsigned char head[48] = {0};
    struct stat st;

    if (fstat(fd, &st) != 0)
        return ntk_fail(ctx, NTK_EIO, "%s cannot be read: %s", path, strerror(errno));
    *there = (uint64_t)st.st_size;
    *whole = *there >= sizeof head && ntk_read_all(fd, head, sizeof head, 0, NULL) == 0 ? length_of(head) : 0;
    return NTK_OK;
}

static ntk_status open_fd(ntk_ctx *ctx, const char *path, int how, int *fd)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* opening a pipe waits for who writes to it */
        return ntk_fail(ctx, NTK_EIO, "%s is not a regular file, which a store of kernels is", path);
    *fd = open(path, how | O_CLOEXEC);
    return *fd >= 0 ? NTK_OK
                    : ntk_fail(ctx, NTK_EIO, "cannot %s the store %s: %s", how == O_RDWR ? "write" : "read", path,
                               strerror(errno));
}

static ntk_status read_marks(struct ntk_store *s)
{
    for (int k = 0; k < NTK_STORE_PARTS; k++) {
        const struct ntk_store_part *p = &s->part[k];
        const size_t bytes = s->stored * (size_t)p->tiles * sizeof *p->marks;
        const int error = p->there ? ntk_read_all(s->fd, p->marks, bytes, (int64_t)p->marks_at, NULL) : 0;

        if (error)
            return ntk_fail(s->ctx, NTK_EIO, "%s cannot be read: %s", s->path, strerror(error));
    }
    return NTK_OK;
}

static ntk_status read_store(struct ntk_h5 *f, struct ntk_store *s)
{
    read_head(f, s);
    NTK_TRY(ntk_h5_end(f, s->path, "store of kernels", NTK_OK));
    return read_marks(s);
}

ntk_status ntk_store_file_open(struct ntk_store *s)
{
    struct ntk_h5 f = {.ctx = s->ctx};
    uint64_t there, whole;

    NTK_TRY(open_fd(s->ctx, s->path, O_RDONLY, &s->fd));
    NTK_TRY(check_length(s->ctx, s->path, s->fd, &there, &whole));
    if (there < whole)
        return ntk_fail(s->ctx, NTK_EIO,
                        "%s was cut short: it has %llu of %llu bytes. 'ntk kernel --mend' gives it its length, and the command "
                        "that made it computes what is lost",
                        s->path, (unsigned long long)there, (unsigned long long)whole);
    NTK_TRY(ntk_h5_open(&f, s->path, "the store"));
    return read_store(&f, s);
}

/* ---- writing. Others may read what is being filled. */

static ntk_status lock(ntk_ctx *ctx, const char *path, int fd)
{
    return ntk_file_lock(fd, F_WRLCK) ? NTK_OK
                                      : ntk_fail(ctx, NTK_EIO, "another process is writing %s; try again when it has ended", path);
}

static bool is_same(int a, int b)
{
    struct stat of[2];

    return fstat(a, &of[0]) == 0 && fstat(b, &of[1]) == 0 && of[0].st_dev == of[1].st_dev && of[0].st_ino == of[1].st_ino;
}

/* Of ranks the first reads them, for all. */
static ntk_status share_marks(struct ntk_store *s)
{
    NTK_TRY(ntk_ranks_agree(s->ctx, ntk_rank(s->ctx) == 0 ? read_marks(s) : NTK_OK));
    for (int k = 0; k < NTK_STORE_PARTS; k++)
        ntk_ranks_broadcast(s->ctx, s->part[k].marks, s->stored * (size_t)s->part[k].tiles * sizeof *s->part[k].marks);
    return NTK_OK;
}

ntk_status ntk_store_file_marks(struct ntk_store *s, ntk_status before)
{
    ntk_status status;

    for (int k = 0; k < NTK_STORE_PARTS; k++)
        if (s->part[k].there)
            memset(s->part[k].seen, 0, s->stored * (size_t)s->part[k].tiles * sizeof *s->part[k].seen);
    status = share_marks(s);
    return before != NTK_OK ? before : status;
}

/* Of ranks the first has the lock, for all. */
static ntk_status open_to_write(struct ntk_store *s, int *fd)
{
    *fd = open(s->path, O_RDWR | O_CLOEXEC);
    if (*fd < 0)
        return ntk_fail_write(s->ctx, s->path, errno);
    if (ntk_rank(s->ctx) == 0)
        NTK_TRY(lock(s->ctx, s->path, *fd));
    return is_same(*fd, s->fd) ? NTK_OK
                               : ntk_fail(s->ctx, NTK_EIO, "%s is another file than the store that was opened", s->path);
}

ntk_status ntk_store_file_write(struct ntk_store *s, int *fd)
{
    ntk_status status = ntk_ranks_agree(s->ctx, open_to_write(s, fd));

    if (status == NTK_OK)
        status = ntk_store_file_marks(s, NTK_OK);
    if (status != NTK_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

/* ---- a file that was cut short. HDF5 opens none that is shorter than it says: this driver reads zeros behind its end, so
 * that nothing is written to what may be another's file. */

struct cut {
    H5FD_t base; /* HDF5's part, first */
    int fd;
    uint64_t there, whole;
    haddr_t eoa;
};

static H5FD_t *cut_open(const char *name, unsigned flags, hid_t access, haddr_t maxaddr)
{
    const struct cut *from = H5Pget_driver_info(access);
    struct cut *c = from ? calloc(1, sizeof *c) : NULL;

    (void)name, (void)flags, (void)maxaddr;
    if (!c)
        return NULL;
    c->fd = from->fd;
    c->there = from->there;
    c->whole = from->whole;
    return &c->base;
}

static herr_t cut_close(H5FD_t *file)
{
    free(file);
    return 0;
}

static haddr_t cut_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct cut *)file)->eoa;
}

static herr_t cut_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    ((struct cut *)file)->eoa = end;
    return 0;
}

static haddr_t cut_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct cut *)file)->whole;
}

static herr_t cut_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t n, void *bytes)
{
    const struct cut *c = (const struct cut *)file;
    const size_t got = at >= c->there ? 0 : c->there - at < n ? (size_t)(c->there - at) : n;

    (void)type, (void)transfer;
    memset((char *)bytes + got, 0, n - got);
    return ntk_read_all(c->fd, bytes, got, (int64_t)at, NULL) == 0 ? 0 : -1;
}

static herr_t cut_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t n, const void *bytes)
{
    (void)file, (void)type, (void)transfer, (void)at, (void)n, (void)bytes;
    return -1;
}

static const H5FD_class_t cut_driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 391, /* of those that are free for tests and own use; h5_driver.c has 390 */
#endif
    .name = "ntk_cut",
    .maxaddr = ((haddr_t)1 << 63) - 1,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct cut),
    .open = cut_open,
    .close = cut_close,
    .get_eoa = cut_eoa,
    .set_eoa = cut_set_eoa,
    .get_eof = cut_eof,
    .read = cut_read,
    .write = cut_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static ntk_status read_cut(struct ntk_store *s, uint64_t there, uint64_t whole)
{
    struct ntk_h5 f = {.ctx = s->ctx, .size = whole};
    const struct cut cut = {.fd = s->fd, .there = there, .whole = whole};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), driver = H5FDregister(&cut_driver);
    ntk_status status = NTK_EIO;

    ntk_h5_errors_begin(&f.errors);
    f.id = access >= 0 && driver >= 0 && H5Pset_driver(access, driver, &cut) >= 0 ? H5Fopen("ntk", H5F_ACC_RDONLY, access)
                                                                                   : H5I_INVALID_HID;
    if (f.id >= 0)
        status = read_store(&f, s);
    else
        ntk_h5_errors_end(&f.errors);
    if (access >= 0)
        H5Pclose(access);
    if (driver >= 0)
        H5FDunregister(driver);
    if (f.errors.memory && status != NTK_OK)
        return ntk_fail(s->ctx, NTK_ENOMEM, "no memory to read %s", s->path);
    return status != NTK_EIO ? status
                             : ntk_fail(s->ctx, NTK_EIO,
                                        "%s was cut short, and what is left of it is not the beginning of a store of kernels",
                                        s->path);
}

ntk_status ntk_store_file_mend(struct ntk_store *s, uint64_t *there, uint64_t *whole)
{
    struct ntk_h5 f = {.ctx = s->ctx};

    NTK_TRY(open_fd(s->ctx, s->path, O_RDWR, &s->fd));
    NTK_TRY(lock(s->ctx, s->path, s->fd));
    NTK_TRY(check_length(s->ctx, s->path, s->fd, there, whole));
    if (*there < *whole) {
        NTK_TRY(read_cut(s, *there, *whole));
        ntk_log(s->ctx, 1, "%s was cut short: it has %llu of %llu bytes", s->path, (unsigned long long)*there,
                (unsigned long long)*whole);
        return NTK_OK;
    }
    NTK_TRY(ntk_h5_open(&f, s->path, "the store"));
    return read_store(&f, s);
}

#endif
