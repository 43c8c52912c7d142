/* SPDX-License-Identifier: MIT
 *
 * h5.c - see h5.h.
 */
#include "base/h5.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ntk_h5_broken(struct ntk_h5 *f, const char *what, bool ok)
{
    if (!ok && !f->what)
        f->what = what;
    return f->what != NULL;
}

/* ---- attributes of the root */

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
    if (!ntk_h5_broken(
            f, name, id >= 0 && space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)n)) {
        done = write ? H5Awrite(id, type, value) : H5Aread(id, type, value);
        ntk_h5_broken(f, name, done >= 0);
    }
    if (space >= 0)
        H5Sclose(space);
    if (id >= 0)
        H5Aclose(id);
}

void ntk_h5_int(struct ntk_h5 *f, const char *name, int *value, bool write)
{
    ntk_h5_attribute(f, name, H5T_NATIVE_INT, 1, value, write);
}

void ntk_h5_shape(struct ntk_h5 *f, const char *name, ntk_shape *s, bool write)
{
    int64_t v[4] = {s->spatial, s->h, s->w, s->c};

    ntk_h5_attribute(f, name, H5T_NATIVE_INT64, 4, v, write);
    *s = (ntk_shape){.spatial = (int)v[0], .h = v[1], .w = v[2], .c = v[3]};
}

/* A text is an array of characters, so that it may have any length. */
void ntk_h5_write_text(struct ntk_h5 *f, const char *name, const char *text)
{
    char *copy = ntk_strdup(f->ctx, text);

    if (!ntk_h5_broken(f, name, copy != NULL))
        ntk_h5_attribute(f, name, H5T_NATIVE_CHAR, strlen(text) + 1, copy, true);
    free(copy);
}

char *ntk_h5_read_text(struct ntk_h5 *f, const char *name)
{
    hid_t id = f->what ? -1 : H5Aopen(f->id, name, H5P_DEFAULT), space;
    hssize_t n = 0;
    char *text = NULL;

    if (ntk_h5_broken(f, name, id >= 0))
        return NULL;
    space = H5Aget_space(id);
    n = H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    H5Aclose(id);
    if (!ntk_h5_broken(f, name, n > 0 && n < 100000000))
        text = ntk_alloc(f->ctx, (size_t)n, 1);
    if (ntk_h5_broken(f, name, text != NULL))
        return NULL;
    ntk_h5_attribute(f, name, H5T_NATIVE_CHAR, (hsize_t)n, text, false);
    text[n - 1] = '\0';
    return text;
}

/* ---- data sets */

static bool has_shape(hid_t space, int ndim, const hsize_t *dims)
{
    hsize_t there[4] = {0};

    if (space < 0 || H5Sget_simple_extent_ndims(space) != ndim ||
        H5Sget_simple_extent_dims(space, there, NULL) != ndim)
        return false;
    return memcmp(there, dims, (size_t)ndim * sizeof *dims) == 0;
}

void ntk_h5_array(struct ntk_h5 *f, const char *name, hid_t type, int ndim, const int64_t *shape,
                  void *x, bool write)
{
    hsize_t dims[4] = {0};
    hid_t space, id, untimed;
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
        space = id < 0 ? id : H5Dget_space(id);
    }
    if (!ntk_h5_broken(f, name, id >= 0 && has_shape(space, ndim, dims))) {
        done = write ? H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x)
                     : H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
        ntk_h5_broken(f, name, done >= 0);
    }
    if (space >= 0)
        H5Sclose(space);
    if (id >= 0)
        H5Dclose(id);
}

void ntk_h5_matrix(struct ntk_h5 *f, const char *name, hid_t type, int64_t rows, int64_t columns,
                   void *x, bool write)
{
    ntk_h5_array(f, name, type, 2, (const int64_t[]){rows, columns}, x, write);
}

static bool has(const struct ntk_h5 *f, const char *name)
{
    return !f->what && H5Lexists(f->id, name, H5P_DEFAULT) > 0;
}

int64_t ntk_h5_rows(struct ntk_h5 *f, const char *name)
{
    hsize_t dims[2] = {0, 0};
    hid_t id = has(f, name) ? H5Dopen2(f->id, name, H5P_DEFAULT) : -1, space;

    if (ntk_h5_broken(f, name, id >= 0))
        return 0;
    space = H5Dget_space(id);
    ntk_h5_broken(f, name,
                  H5Sget_simple_extent_ndims(space) == 2 &&
                      H5Sget_simple_extent_dims(space, dims, NULL) == 2 && dims[0] > 0);
    H5Sclose(space);
    H5Dclose(id);
    return (int64_t)dims[0];
}

/* ---- files */

ntk_status ntk_h5_create(struct ntk_h5 *f, const char *path)
{
    if (strcmp(path, "-") == 0)
        return ntk_fail(f->ctx, NTK_EIO, "an HDF5 file cannot be written to standard output");
    NTK_TRY(ntk_outfile_open(f->ctx, path, &f->out)); /* reserves the temporary name */
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    f->links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(f->links, 1);
    f->id = H5Fcreate(f->out.tmp, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ntk_h5_broken(f, "file", f->id >= 0);
    return NTK_OK;
}

ntk_status ntk_h5_commit(struct ntk_h5 *f, const char *path)
{
    const bool closed = f->id < 0 || H5Fclose(f->id) >= 0;

    H5Pclose(f->links);
    if (ntk_h5_broken(f, "file", closed)) {
        ntk_outfile_abort(&f->out);
        return ntk_fail(f->ctx, NTK_EIO, "cannot write %s: its part '%s' failed", path, f->what);
    }
    return ntk_outfile_commit(f->ctx, &f->out);
}

void ntk_h5_abort(struct ntk_h5 *f)
{
    if (f->id >= 0)
        H5Fclose(f->id);
    H5Pclose(f->links);
    ntk_outfile_abort(&f->out);
}

ntk_status ntk_h5_open(struct ntk_h5 *f, const char *path, const char *what)
{
    if (access(path, R_OK) != 0)
        return ntk_fail(f->ctx, NTK_EIO, "cannot read %s %s", what, path);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    f->id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f->id < 0)
        return ntk_fail(f->ctx, NTK_EIO, "%s is not an HDF5 file", path);
    return NTK_OK;
}
