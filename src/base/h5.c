/* SPDX-License-Identifier: MIT
 *
 * h5.c - see h5.h.
 */
#include "base/h5.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TYPE_BYTES_MOST 16 /* of a number in a file */

/* ---- what failed */

/* No space may be that of a file, too, or of a part of it that has a limit. */
static herr_t is_memory(unsigned n, const H5E_error2_t *e, void *user)
{
    const bool space = e->min_num == H5E_NOSPACE &&
                       (e->maj_num == H5E_RESOURCE || (e->desc && strstr(e->desc, "memory")));

    (void)n;
    if (space || e->min_num == H5E_CANTALLOC)
        *(bool *)user = true;
    return 0;
}

/* HDF5 calls it for each call that fails. The next call forgets why. */
static herr_t on_error(hid_t stack, void *user)
{
    H5Ewalk2(stack, H5E_WALK_DOWNWARD, is_memory, user);
    return 0;
}

void ntk_h5_errors_begin(struct ntk_h5_errors *e)
{
    H5Eget_auto2(H5E_DEFAULT, &e->print, &e->user);
    H5Eset_auto2(H5E_DEFAULT, on_error, &e->memory);
}

void ntk_h5_errors_end(const struct ntk_h5_errors *e)
{
    H5Eset_auto2(H5E_DEFAULT, e->print, e->user);
}

bool ntk_h5_failed(struct ntk_h5 *f, const char *what, ntk_status status)
{
    if (status != NTK_OK && !f->what) {
        f->what = what;
        f->status = status;
    }
    return f->what != NULL;
}

bool ntk_h5_wrong(struct ntk_h5 *f, const char *what, bool ok, const char *why)
{
    if ((!ok || f->out.error) && !f->what) {
        f->what = what;
        f->why = why;
    }
    return f->what != NULL;
}

bool ntk_h5_broken(struct ntk_h5 *f, const char *what, bool ok)
{
    ok = ok && !f->out.error;
    if (!ok && !f->what && !f->out.error && f->errors.memory)
        return ntk_h5_failed(
            f, what, ntk_fail(f->ctx, NTK_ENOMEM, "no memory for the part '%s' of the file", what));
    return ntk_h5_wrong(f, what, ok, NULL);
}

/* ---- attributes of the root */

/* Whether what is in the file is of the class of `type`, and of a size that a number has. */
static bool is_like(hid_t stored, hid_t type)
{
    const bool like = stored >= 0 && H5Tget_class(stored) == H5Tget_class(type) &&
                      H5Tget_size(stored) <= TYPE_BYTES_MOST;

    if (stored >= 0)
        H5Tclose(stored);
    return like;
}

void ntk_h5_attribute(struct ntk_h5 *f, const char *name, hid_t type, hsize_t n, void *value,
                      bool write)
{
    hid_t space, id;
    herr_t done;

    if (f->what)
        return;
    if (write) {
        space = H5Screate_simple(1, &n, NULL);
        id = H5Acreate2(f->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    } else {
        id = H5Aopen(f->id, name, H5P_DEFAULT);
        space = id < 0 ? id : H5Aget_space(id);
    }
    if (!ntk_h5_broken(f, name, id >= 0 && space >= 0) &&
        !ntk_h5_broken(f, name,
                       H5Sget_simple_extent_npoints(space) == (hssize_t)n &&
                           (write || is_like(H5Aget_type(id), type)))) {
        done = write ? H5Awrite(id, type, value) : H5Aread(id, type, value);
        ntk_h5_broken(f, name, done >= 0);
    }
    if (space >= 0)
        ntk_h5_broken(f, name, H5Sclose(space) >= 0);
    if (id >= 0)
        ntk_h5_broken(f, name, H5Aclose(id) >= 0);
}

void ntk_h5_int(struct ntk_h5 *f, const char *name, int *value, bool write)
{
    ntk_h5_attribute(f, name, H5T_NATIVE_INT, 1, value, write);
}

void ntk_h5_shape(struct ntk_h5 *f, const char *name, ntk_shape *s, bool write)
{
    int64_t v[4] = {s->spatial, s->h, s->w, s->c};

    ntk_h5_attribute(f, name, H5T_NATIVE_INT64, 4, v, write);
    *s =
        (ntk_shape){.spatial = v[0] == (int)v[0] ? (int)v[0] : -1, .h = v[1], .w = v[2], .c = v[3]};
    ntk_h5_wrong(f, name, ntk_shape_valid(*s), "is not the shape of a sample");
}

/* Texts are arrays of characters, so that they may have any length. An attribute has at most 64 KiB, with what
 * describes it. */
#define ATTRIBUTE_MOST 60000

static void text_io(struct ntk_h5 *f, const char *name, bool is_set, int64_t n, char *text, bool write)
{
    if (is_set)
        ntk_h5_array(f, name, H5T_NATIVE_CHAR, 1, &n, text, write);
    else
        ntk_h5_attribute(f, name, H5T_NATIVE_CHAR, (hsize_t)n, text, write);
}

void ntk_h5_write_text(struct ntk_h5 *f, const char *name, const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = ntk_strdup(f->ctx, text);

    if (!ntk_h5_failed(f, name, copy ? NTK_OK : NTK_ENOMEM))
        text_io(f, name, n > ATTRIBUTE_MOST, (int64_t)n, copy, true);
    free(copy);
}

static int64_t attribute_size(struct ntk_h5 *f, const char *name)
{
    const hid_t id = H5Aopen(f->id, name, H5P_DEFAULT), space = id < 0 ? id : H5Aget_space(id);
    const hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);

    if (space >= 0)
        H5Sclose(space);
    if (id >= 0)
        H5Aclose(id);
    ntk_h5_broken(f, name, n > 0 && (uint64_t)n < f->size);
    return n;
}

char *ntk_h5_read_text(struct ntk_h5 *f, const char *name)
{
    const bool is_set = !f->what && H5Lexists(f->id, name, H5P_DEFAULT) > 0;
    int64_t n = 0;
    char *text;

    if (is_set)
        ntk_h5_dims(f, name, 1, &n);
    else if (!f->what)
        n = attribute_size(f, name);
    if (f->what)
        return NULL;
    text = ntk_alloc(f->ctx, (size_t)n, 1);
    if (ntk_h5_failed(f, name, text ? NTK_OK : NTK_ENOMEM))
        return NULL;
    text_io(f, name, is_set, n, text, false);
    if (f->what) {
        free(text);
        return NULL;
    }
    text[n - 1] = '\0';
    return text;
}

void ntk_h5_write_format(struct ntk_h5 *f, const char *kind, int number)
{
    char text[64];

    snprintf(text, sizeof text, "libntk %s %d", kind, number);
    ntk_h5_write_text(f, "format", text);
}

int ntk_h5_read_format(struct ntk_h5 *f, const char *kind, int newest)
{
    char *text = ntk_h5_read_text(f, "format"), ours[64];
    const int n = snprintf(ours, sizeof ours, "libntk %s ", kind);
    char *end = NULL;
    long number = 0;

    if (text && strncmp(text, ours, (size_t)n) == 0)
        number = strtol(text + n, &end, 10);
    if (text && (!end || *end || number < 1))
        ntk_h5_failed(
            f, "format",
            ntk_fail(f->ctx, NTK_EIO, "its format is '%.60s', not '%sNUMBER'", text, ours));
    else if (text && number > newest)
        ntk_h5_failed(f, "format",
                      ntk_fail(f->ctx, NTK_ENOTSUP,
                               "its format is '%.60s'; libntk %s reads up to '%s%d'", text,
                               ntk_version(), ours, newest));
    free(text);
    return f->what ? 0 : (int)number;
}

/* ---- data sets */

/* count * size, or the largest number. */
static uint64_t product(uint64_t count, uint64_t size)
{
    uint64_t bytes;

    return __builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX : bytes;
}

static bool chunk_of(hid_t plist, uint64_t size, struct ntk_h5_storage *s)
{
    hsize_t dims[H5S_MAX_RANK];
    const int ndim = H5Pget_chunk(plist, H5S_MAX_RANK, dims);

    s->chunk = size;
    for (int k = 0; k < ndim; k++)
        s->chunk = product(s->chunk, dims[k]);
    return ndim >= 0;
}

bool ntk_h5_storage_of(hid_t set, struct ntk_h5_storage *s)
{
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const hid_t plist = H5Dget_create_plist(set);
    const hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    const uint64_t size = type >= 0 ? H5Tget_size(type) : 0;
    const H5D_layout_t layout = plist >= 0 ? H5Pget_layout(plist) : H5D_LAYOUT_ERROR;
    bool ok = n >= 0 && plist >= 0 && size > 0 && size <= TYPE_BYTES_MOST;

    *s = (struct ntk_h5_storage){0};
    if (ok) {
        s->need = product((uint64_t)n, size);
        s->there = H5Dget_storage_size(set);
        s->whole = layout == H5D_CONTIGUOUS || layout == H5D_COMPACT;
        s->filtered = H5Pget_nfilters(plist) > 0;
        ok = layout != H5D_CHUNKED || chunk_of(plist, size, s);
    }
    if (plist >= 0)
        H5Pclose(plist);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return ok;
}

/* Files of ours are not compressed, but h5repack may have done it. */
static bool is_stored(struct ntk_h5 *f, hid_t set, const char *name)
{
    struct ntk_h5_storage s;

    if (ntk_h5_broken(f, name, ntk_h5_storage_of(set, &s)))
        return false;
    if (!s.filtered)
        return !ntk_h5_wrong(f, name, s.there >= s.need && s.need <= f->size,
                             "is larger than the file");
    return !ntk_h5_failed(
        f, name,
        s.need > SIZE_MAX / 8 || s.chunk > SIZE_MAX / 8
            ? ntk_fail(f->ctx, NTK_ENOMEM, "its part '%s' exceeds any memory", name)
            : ntk_ctx_check_memory(f->ctx, 8 * (size_t)s.need + (size_t)s.chunk,
                                   "a part of the file"));
}

static bool sizes_of(hid_t set, int ndim, hsize_t *dims)
{
    const hid_t space = H5Dget_space(set);
    const bool ok = space >= 0 && H5Sget_simple_extent_ndims(space) == ndim &&
                    H5Sget_simple_extent_dims(space, dims, NULL) == ndim;

    if (space >= 0)
        H5Sclose(space);
    return ok;
}

bool ntk_h5_dims(struct ntk_h5 *f, const char *name, int ndim, int64_t *dims)
{
    hsize_t there[4] = {0};
    hid_t id;

    if (f->what)
        return false;
    id = H5Dopen2(f->id, name, H5P_DEFAULT);
    if (ntk_h5_broken(f, name, id >= 0))
        return false;
    if (!ntk_h5_broken(f, name, sizes_of(id, ndim, there)) && is_stored(f, id, name))
        for (int k = 0; k < ndim; k++) {
            ntk_h5_broken(f, name, there[k] > 0 && there[k] <= INT64_MAX);
            dims[k] = (int64_t)there[k];
        }
    H5Dclose(id);
    return !f->what;
}

bool ntk_h5_has(struct ntk_h5 *f, const char *name, int ndim, const int64_t *shape)
{
    int64_t dims[4] = {0};

    return ntk_h5_dims(f, name, ndim, dims) &&
           !ntk_h5_broken(f, name, memcmp(dims, shape, (size_t)ndim * sizeof *dims) == 0);
}

void ntk_h5_array(struct ntk_h5 *f, const char *name, hid_t type, int ndim, const int64_t *shape,
                  void *x, bool write)
{
    hsize_t dims[4] = {0}, there[4] = {0};
    hid_t space = H5I_INVALID_HID, id, untimed;
    herr_t done;

    if (f->what)
        return;
    for (int k = 0; k < ndim; k++)
        dims[k] = (hsize_t)shape[k];
    if (write) {
        space = H5Screate_simple(ndim, dims, NULL);
        untimed = H5Pcreate(H5P_DATASET_CREATE); /* equal runs write equal files */
        H5Pset_obj_track_times(untimed, 0);
        id = H5Dcreate2(f->id, name, type, space, f->links, untimed, H5P_DEFAULT);
        H5Pclose(untimed);
    } else {
        id = H5Dopen2(f->id, name, H5P_DEFAULT);
    }
    if (!ntk_h5_broken(f, name, id >= 0) &&
        !ntk_h5_broken(f, name,
                       write ||
                           (sizes_of(id, ndim, there) && memcmp(there, dims, sizeof dims) == 0 &&
                            is_like(H5Dget_type(id), type)))) {
        done = write ? H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x)
                     : H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
        ntk_h5_broken(f, name, done >= 0);
    }
    if (space >= 0)
        ntk_h5_broken(f, name, H5Sclose(space) >= 0);
    if (id >= 0)
        ntk_h5_broken(f, name, H5Dclose(id) >= 0);
}

void ntk_h5_matrix(struct ntk_h5 *f, const char *name, hid_t type, int64_t rows, int64_t columns,
                   void *x, bool write)
{
    ntk_h5_array(f, name, type, 2, (const int64_t[]){rows, columns}, x, write);
}

/* ---- files */

ntk_status ntk_h5_create(struct ntk_h5 *f, const char *path)
{
    int error;

    if (strcmp(path, "-") == 0)
        return ntk_fail(f->ctx, NTK_EIO, "an HDF5 file cannot be written to standard output");
    error = ntk_outfile_open(path, &f->out);
    if (error)
        return ntk_fail_write(f->ctx, path, error);
    if (lseek(f->out.fd, 0, SEEK_CUR) < 0) {
        ntk_outfile_abort(&f->out);
        return ntk_fail(f->ctx, NTK_EIO, "cannot write %s: an HDF5 file cannot be written to a pipe",
                        path);
    }
    ntk_h5_errors_begin(&f->errors);
    f->links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(f->links, 1);
    f->id = ntk_h5_driver_create(f);
    ntk_h5_broken(f, "file", f->id >= 0);
    return NTK_OK;
}

static bool close_file(struct ntk_h5 *f)
{
    const bool closed = f->id < 0 || H5Fclose(f->id) >= 0;

    ntk_h5_driver_end(f, closed);
    H5Pclose(f->links);
    ntk_h5_errors_end(&f->errors);
    return closed;
}

ntk_status ntk_h5_commit(struct ntk_h5 *f, const char *path)
{
    const bool closed = close_file(f);
    int error = f->out.error;

    if (!error && ntk_h5_broken(f, "file", closed)) {
        ntk_outfile_abort(&f->out);
        if (f->status != NTK_OK)
            return ntk_fail_in(f->ctx, f->status, "cannot write %s", path);
        return ntk_fail(f->ctx, NTK_EIO, "cannot write %s: its part '%s' failed", path, f->what);
    }
    error = ntk_outfile_commit(&f->out);
    return error ? ntk_fail_write(f->ctx, path, error) : NTK_OK;
}

void ntk_h5_abort(struct ntk_h5 *f)
{
    ntk_outfile_fail(&f->out, ECANCELED); /* what HDF5 still holds is not written */
    close_file(f);
    ntk_outfile_abort(&f->out);
}

ntk_status ntk_h5_open(struct ntk_h5 *f, const char *path, const char *what)
{
    struct stat file;

    if (access(path, R_OK) != 0 || stat(path, &file) != 0)
        return ntk_fail(f->ctx, NTK_EIO, "cannot read %s %s: %s", what, path, strerror(errno));
    f->size = (uint64_t)file.st_size;
    ntk_h5_errors_begin(&f->errors);
    f->id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f->id >= 0)
        return NTK_OK;
    ntk_h5_errors_end(&f->errors);
    return f->errors.memory ? ntk_fail(f->ctx, NTK_ENOMEM, "no memory to read %s", path)
                            : ntk_fail(f->ctx, NTK_EIO, "%s is not an HDF5 file", path);
}

ntk_status ntk_h5_end(struct ntk_h5 *f, const char *path, const char *kind, ntk_status status)
{
    H5Fclose(f->id);
    ntk_h5_errors_end(&f->errors);
    if (status == NTK_OK) /* a part that need not be there may be missed for lack of memory */
        ntk_h5_broken(f, "file", !f->errors.memory);
    if (!f->what)
        return status == NTK_OK ? NTK_OK : ntk_fail_in(f->ctx, status, "%s", path);
    if (f->status != NTK_OK)
        return ntk_fail_in(f->ctx, f->status, "%s", path);
    return ntk_fail(f->ctx, NTK_EIO, "%s is not a %s %s: its part '%s' %s", path,
                    f->why ? "valid" : "complete", kind, f->what,
                    f->why ? f->why : "is missing or does not fit");
}
