/* SPDX-License-Identifier: MIT
 *
 * hdf5.c - the parts of data (parts.h) from datasets of an HDF5 file, and arrays as datasets.
 */
#include <stdlib.h>

#include "data/data.h"
#include "data/stream.h"

#ifndef NTK_HDF5

static ntk_status read_stream(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    (void)path, (void)opts, (void)data;
    return ntk_fail(s->ctx, NTK_ENOTSUP,
                    "this build has no HDF5 (Meson option -Dhdf5=enabled): use .npz");
}

ntk_status ntk_write_hdf5(ntk_ctx *ctx, const char *path, const ntk_array *arrays, size_t n)
{
    (void)arrays, (void)n;
    return ntk_fail(ctx, NTK_ENOTSUP,
                    "%s: this build has no HDF5 (Meson option -Dhdf5=enabled): use .npz", path);
}

#else

#include <string.h>

#include "base/h5.h"
#include "data/parts.h"

#define DIMS_MAX 8

static hid_t memory_type(ntk_dtype dtype)
{
    return dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

/* ---- reading */

struct dataset {
    ntk_ctx *ctx;
    const char *name;
    hid_t id, space;
    bool exact_in_float; /* every value of its type is a float */
    int ndim;
    int64_t dims[DIMS_MAX];
};

static void close_dataset(const struct dataset *d)
{
    if (d->space >= 0)
        H5Sclose(d->space);
    if (d->id >= 0)
        H5Dclose(d->id);
}

/* What h5py makes of bool: an enumeration of FALSE and TRUE. */
static bool is_bool(hid_t type)
{
    char *no, *yes;
    bool result;

    if (H5Tget_class(type) != H5T_ENUM || H5Tget_nmembers(type) != 2)
        return false;
    no = H5Tget_member_name(type, 0);
    yes = H5Tget_member_name(type, 1);
    result = no && yes && strcmp(no, "FALSE") == 0 && strcmp(yes, "TRUE") == 0;
    H5free_memory(no);
    H5free_memory(yes);
    return result;
}

/* What values of a type that is no number are. */
static const char *kind_text(H5T_class_t kind)
{
    return kind == H5T_STRING     ? "text"
           : kind == H5T_COMPOUND ? "records (or complex numbers)"
           : kind == H5T_ENUM     ? "an enumeration"
           : kind == H5T_VLEN     ? "of various lengths"
                                  : "not known";
}

static ntk_status look_at_type(struct dataset *d)
{
    const hid_t type = H5Dget_type(d->id);
    const H5T_class_t kind = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    const size_t size = type >= 0 ? H5Tget_size(type) : 0;
    const bool numbers = kind == H5T_FLOAT || kind == H5T_INTEGER || is_bool(type);

    /* Floats of up to 32 bits, integers of up to 16. */
    d->exact_in_float = size <= (kind == H5T_FLOAT ? 4 : 2);
    if (type >= 0)
        H5Tclose(type);
    if (!numbers)
        return ntk_fail(d->ctx, NTK_ENOTSUP,
                        "dataset %s has values that are %s: expected bool, integers or floats", d->name,
                        kind_text(kind));
    return NTK_OK;
}

static ntk_status look_at(struct dataset *d)
{
    hsize_t dims[DIMS_MAX];

    NTK_TRY(look_at_type(d));
    d->space = H5Dget_space(d->id);
    d->ndim = d->space >= 0 ? H5Sget_simple_extent_ndims(d->space) : -1;
    if (d->ndim < 0 || d->ndim > DIMS_MAX)
        return ntk_fail(d->ctx, NTK_ESHAPE, "dataset %s has %d sizes", d->name, d->ndim);
    H5Sget_simple_extent_dims(d->space, dims, NULL);
    for (int k = 0; k < d->ndim; k++)
        d->dims[k] = dims[k] < INT64_MAX ? (int64_t)dims[k] : INT64_MAX;
    return NTK_OK;
}

/* Before anything is allocated: an array that was declared and never written is as large as it
 * likes. */
static ntk_status check_storage(const struct dataset *d)
{
    struct ntk_h5_storage s;

    if (!ntk_h5_storage_of(d->id, &s))
        return ntk_fail(d->ctx, NTK_EIO, "dataset %s cannot be read", d->name);
    if (s.whole && s.there < s.need)
        return ntk_fail(d->ctx, NTK_EIO, "dataset %s is larger than the file: it was never written",
                        d->name);
    return ntk_ctx_check_memory(d->ctx, s.chunk < SIZE_MAX ? (size_t)s.chunk : SIZE_MAX,
                                "a compressed block of the data");
}

static ntk_status open_dataset(ntk_ctx *ctx, hid_t file, const char *name, struct dataset *d)
{
    ntk_status status;

    *d = (struct dataset){.ctx = ctx, .name = name, .space = H5I_INVALID_HID};
    d->id = H5Dopen2(file, name, H5P_DEFAULT);
    if (d->id < 0)
        return ntk_fail(ctx, NTK_EINVAL, "%s is not a dataset", name);
    status = look_at(d);
    if (status == NTK_OK)
        status = check_storage(d);
    if (status != NTK_OK)
        close_dataset(d);
    return status;
}

/* Rows first ... first + rows - 1 of a dataset. */
static ntk_status read_block(const struct dataset *d, int64_t first, int64_t rows, void *out,
                             ntk_dtype dtype)
{
    hsize_t start[DIMS_MAX] = {0}, count[DIMS_MAX];
    hid_t memory;
    herr_t result;

    for (int k = 0; k < d->ndim; k++)
        count[k] = (hsize_t)d->dims[k];
    start[0] = (hsize_t)first;
    count[0] = (hsize_t)rows;
    memory = H5Screate_simple(d->ndim, count, NULL);
    result =
        memory >= 0 ? H5Sselect_hyperslab(d->space, H5S_SELECT_SET, start, NULL, count, NULL) : -1;
    if (result >= 0)
        result = H5Dread(d->id, memory_type(dtype), memory, d->space, H5P_DEFAULT, out);
    if (memory >= 0)
        H5Sclose(memory);
    if (result < 0)
        return ntk_fail(d->ctx, NTK_EIO, "dataset %s cannot be read", d->name);
    return NTK_OK;
}

/* Rows of a block of about a megabyte; whole chunks, which HDF5 would unpack once for each block. */
static int64_t rows_of_block(const struct dataset *d, int64_t row, int64_t rows)
{
    const hid_t list = H5Dget_create_plist(d->id);
    hsize_t chunk[DIMS_MAX];
    int64_t step = 1, wanted = (1 << 17) / row + 1;

    if (list >= 0 && H5Pget_layout(list) == H5D_CHUNKED &&
        H5Pget_chunk(list, DIMS_MAX, chunk) == d->ndim)
        step = chunk[0] < (hsize_t)rows ? (int64_t)chunk[0] : rows;
    if (list >= 0)
        H5Pclose(list);
    wanted = (wanted + step - 1) / step * step;
    return wanted < rows ? wanted : rows;
}

/* The first rows of a dataset. Where a float cannot hold the values they come as doubles and are
 * rounded here, as those of other files are: HDF5 rounds half-way cases away from zero for some types. */
static ntk_status read_rows(const struct dataset *d, int64_t rows, void *out, ntk_dtype dtype)
{
    int64_t row = 1, block;
    double *values;
    ntk_status status = NTK_OK;

    if (dtype == NTK_F64 || d->exact_in_float)
        return read_block(d, 0, rows, out, dtype);
    for (int k = 1; k < d->ndim; k++)
        row *= d->dims[k];
    block = rows_of_block(d, row, rows);
    NTK_TRY(ntk_ctx_check_memory(d->ctx, (size_t)(block * row) * sizeof *values,
                                 "a part of the data in float64"));
    values = ntk_alloc(d->ctx, (size_t)(block * row), sizeof *values);
    if (!values)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < rows && status == NTK_OK; i += block) {
        const int64_t n = block < rows - i ? block : rows - i;

        status = read_block(d, i, n, values, NTK_F64);
        for (int64_t k = 0; k < n * row && status == NTK_OK; k++)
            ntk_store(out, dtype, (size_t)(i * row + k), values[k]);
    }
    free(values);
    return status;
}

static herr_t note_key(hid_t file, const char *name, const H5L_info_t *info, void *user)
{
    struct ntk_text *keys = user;

    (void)file, (void)info;
    if (keys->n < 300)
        ntk_text_add(keys, "%s%.64s", keys->n ? ", " : "", name);
    return 0;
}

static ntk_status no_samples(ntk_ctx *ctx, hid_t file)
{
    struct ntk_text keys = {0};

    H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, note_key, &keys);
    ntk_fail(ctx, NTK_EINVAL, "has no dataset x; its keys are %s", keys.s ? keys.s : "none");
    free(keys.s);
    return NTK_EINVAL;
}

/* What the file calls a part; NULL: it has none. */
static ntk_status find_key(ntk_ctx *ctx, hid_t file, const struct ntk_part_kind *kind, const char **key)
{
    const bool has = H5Lexists(file, kind->name, H5P_DEFAULT) > 0,
               has_other = kind->other && H5Lexists(file, kind->other, H5P_DEFAULT) > 0;

    if (has && has_other)
        return ntk_fail(ctx, NTK_EINVAL,
                        "has two datasets called %s or %s, which of them is meant cannot be known: leave "
                        "one out",
                        kind->name, kind->other);
    *key = has ? kind->name : has_other ? kind->other : NULL;
    return NTK_OK;
}

static ntk_status rows_of_array(void *array, int64_t rows, void *out, ntk_dtype dtype)
{
    return read_rows(array, rows, out, dtype);
}

static ntk_status read_part(hid_t file, const char *key, ntk_part part, struct ntk_filling *f)
{
    struct dataset d;
    ntk_status status;

    NTK_TRY(open_dataset(f->ctx, file, key, &d));
    status = ntk_part_fill(f, part, d.ndim, d.dims, rows_of_array, &d);
    close_dataset(&d);
    return status;
}

static ntk_status read_file(hid_t file, struct ntk_filling *f)
{
    const char *keys[NTK_N_PARTS] = {NULL};

    for (int k = 0; k < NTK_N_PARTS; k++)
        NTK_TRY(find_key(f->ctx, file, &ntk_part_kinds[k], &keys[k]));
    if (!keys[NTK_PART_X])
        return no_samples(f->ctx, file);
    for (int k = 0; k < NTK_N_PARTS; k++)
        if (keys[k])
            NTK_TRY(read_part(file, keys[k], (ntk_part)k, f));
    return ntk_parts_end(f);
}

/* Of the stream only its file's name is used. */
static ntk_status read_stream(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    ntk_ctx *ctx = s->ctx;
    struct ntk_h5_errors errors = {.memory = false};
    struct ntk_filling filling = {.ctx = ctx, .opts = opts};
    ntk_status status;
    hid_t file;
    FILE *f;

    path = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    NTK_TRY(ntk_open(ctx, path, &f)); /* says why a file cannot be opened better than HDF5 does */
    fclose(f);
    ntk_h5_errors_begin(&errors);
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    status = file < 0 ? ntk_fail(ctx, NTK_EIO, "is not a whole HDF5 file") : read_file(file, &filling);
    if (file >= 0)
        H5Fclose(file);
    ntk_h5_errors_end(&errors);
    if (errors.memory) /* whatever became of it: what is not found may be there */
        status = ntk_fail(ctx, NTK_ENOMEM, "no memory to read the file");
    if (status != NTK_OK) {
        ntk_data_free(filling.data);
        return status;
    }
    *data = filling.data;
    return NTK_OK;
}

/* ---- writing */

/* Of words packed as UTF-8. */
static hid_t text_type(size_t bytes)
{
    const hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, bytes);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

ntk_status ntk_write_hdf5(ntk_ctx *ctx, const char *path, const ntk_array *arrays, size_t n)
{
    struct ntk_h5 f = {.ctx = ctx};

    NTK_TRY(ntk_h5_create(&f, path));
    for (size_t k = 0; k < n; k++) {
        const ntk_array *a = &arrays[k];
        char nothing[1] = {0};
        void *x = nothing; /* of an array without numbers */
        const hid_t text = a->words ? text_type(a->dtype) : H5I_INVALID_HID;

        if (a->x)
            memcpy(&x, &a->x, sizeof x); /* only read, but HDF5's reader shares the call */
        ntk_h5_array(&f, a->name, a->words ? text : memory_type(a->dtype), a->ndim, a->shape, x, true);
        if (a->words)
            H5Tclose(text);
    }
    return ntk_h5_commit(&f, path);
}

#endif

static bool begins(const unsigned char *head, size_t n)
{
    return ntk_begins("\x89HDF\r\n\x1a\n", 8, head, n);
}

static bool called(const char *path)
{
    return ntk_is_called(path, ".h5") || ntk_is_called(path, ".hdf5");
}

const struct ntk_reader ntk_reader_hdf5 = {
    .begins = begins,
    .called = called,
    .plain = "an HDF5 file",
    .files = "HDF5",
    .read = read_stream,
};
