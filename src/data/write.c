/* SPDX-License-Identifier: MIT
 *
 * write.c - arrays to .npy and .npz files; hdf5.c writes .h5. Format of .npz: see npz.c.
 */
#include <stdlib.h>
#include <zlib.h>

#include "base/outfile.h"
#include "data/data.h"
#include "data/npy.h"

#define ZIP_DATE    0x21 /* 1 January 1980: equal arrays give equal files */
#define ZIP_PLAIN   20   /* version 2.0 reads it */
#define ZIP_64      45   /* version 4.5 reads it */
#define NARROW_MAX  0xffffffffu
#define EXTRA_LOCAL 20u

size_t ntk_array_bytes(const ntk_array *a)
{
    size_t bytes = a->dtype;

    for (int k = 0; k < a->ndim; k++)
        bytes *= (size_t)a->shape[k];
    return bytes;
}

/* Whether everything was written ntk_outfile_commit says. */
static void put(FILE *f, const void *bytes, size_t n)
{
    if (n)
        (void)!fwrite(bytes, 1, n, f);
}

static void write_npy(FILE *f, const ntk_array *a)
{
    char header[NTK_NPY_HEADER];

    put(f, header, ntk_npy_header(a, header));
    put(f, a->x, ntk_array_bytes(a));
}

/* ---- zip */

/* A record of little-endian numbers. */
struct record {
    unsigned char b[64];
    size_t n;
};

static void add(struct record *r, int bytes, uint64_t value)
{
    for (int k = 0; k < bytes; k++)
        r->b[r->n++] = (unsigned char)(value >> (8 * k));
}

struct entry {
    const char *name;
    uint64_t size, offset;
    uint32_t crc;
    bool wide; /* sizes in zip64's block */
};

/* Version, flags, method (stored), time, date, checksum, sizes, length of the name. */
static void add_common(struct record *r, const struct entry *e, bool wide)
{
    add(r, 2, wide ? ZIP_64 : ZIP_PLAIN);
    add(r, 2, 0);
    add(r, 2, 0);
    add(r, 2, 0);
    add(r, 2, ZIP_DATE);
    add(r, 4, e->crc);
    add(r, 4, e->wide ? NARROW_MAX : e->size);
    add(r, 4, e->wide ? NARROW_MAX : e->size);
    add(r, 2, strlen(e->name) + strlen(".npy"));
}

static void put_name(FILE *f, const struct entry *e)
{
    put(f, e->name, strlen(e->name));
    put(f, ".npy", 4);
}

static void write_member(FILE *f, const ntk_array *a, struct entry *e)
{
    char header[NTK_NPY_HEADER];
    const size_t n = ntk_npy_header(a, header), bytes = ntk_array_bytes(a);
    struct record r = {0};

    e->crc = (uint32_t)crc32_z(0, (const unsigned char *)header, n);
    if (bytes)
        e->crc = (uint32_t)crc32_z(e->crc, a->x, bytes);
    add(&r, 4, 0x04034b50);
    add_common(&r, e, e->wide);
    add(&r, 2, e->wide ? EXTRA_LOCAL : 0);
    put(f, r.b, r.n);
    put_name(f, e);
    if (e->wide) {
        r.n = 0;
        add(&r, 2, 1);
        add(&r, 2, EXTRA_LOCAL - 4);
        add(&r, 8, e->size);
        add(&r, 8, e->size);
        put(f, r.b, r.n);
    }
    put(f, header, n);
    put(f, a->x, bytes);
}

/* Returns the length of what it wrote. */
static uint64_t write_entry(FILE *f, const struct entry *e, uint64_t zip64_from)
{
    const bool far = e->offset >= zip64_from;
    const size_t extra = (e->wide || far ? 4u : 0) + (e->wide ? 16u : 0) + (far ? 8u : 0);
    struct record r = {0}, x = {0};

    add(&r, 4, 0x02014b50);
    add(&r, 2, ZIP_64);
    add_common(&r, e, extra > 0);
    add(&r, 2, extra);
    add(&r, 2, 0); /* comment */
    add(&r, 2, 0); /* disk */
    add(&r, 2, 0); /* attributes */
    add(&r, 4, 0);
    add(&r, 4, far ? NARROW_MAX : e->offset);
    put(f, r.b, r.n);
    put_name(f, e);
    if (extra) {
        add(&x, 2, 1);
        add(&x, 2, extra - 4);
        if (e->wide) {
            add(&x, 8, e->size);
            add(&x, 8, e->size);
        }
        if (far)
            add(&x, 8, e->offset);
        put(f, x.b, x.n);
    }
    return r.n + strlen(e->name) + 4 + extra;
}

/* The directory lies at `at` and is `size` long. */
static void write_end(FILE *f, uint64_t n, uint64_t at, uint64_t size, uint64_t zip64_from)
{
    const bool wide = at >= zip64_from || size >= zip64_from || n >= 0xffff;
    struct record r = {0}, end = {0};

    if (wide) {
        add(&r, 4, 0x06064b50);
        add(&r, 8, 44); /* bytes that follow */
        add(&r, 2, ZIP_64);
        add(&r, 2, ZIP_64);
        add(&r, 8, 0); /* disks */
        add(&r, 8, n);
        add(&r, 8, n);
        add(&r, 8, size);
        add(&r, 8, at);
        put(f, r.b, r.n);
        r.n = 0;
        add(&r, 4, 0x07064b50);
        add(&r, 4, 0);
        add(&r, 8, at + size);
        add(&r, 4, 1);
        put(f, r.b, r.n);
    }
    add(&end, 4, 0x06054b50);
    add(&end, 4, 0);
    add(&end, 2, wide ? 0xffff : n);
    add(&end, 2, wide ? 0xffff : n);
    add(&end, 4, wide ? NARROW_MAX : size);
    add(&end, 4, wide ? NARROW_MAX : at);
    add(&end, 2, 0);
    put(f, end.b, end.n);
}

ntk_status ntk_write_npz(FILE *f, const ntk_array *arrays, size_t n, uint64_t zip64_from)
{
    struct entry *entries = ntk_alloc(NULL, n, sizeof *entries);
    uint64_t at = 0, size = 0;

    if (!entries)
        return NTK_ENOMEM;
    for (size_t k = 0; k < n; k++) {
        char header[NTK_NPY_HEADER];
        struct entry *e = &entries[k];

        *e = (struct entry){.name = arrays[k].name, .offset = at};
        e->size = ntk_npy_header(&arrays[k], header) + ntk_array_bytes(&arrays[k]);
        e->wide = e->size >= zip64_from;
        write_member(f, &arrays[k], e);
        at += 30 + strlen(e->name) + 4 + (e->wide ? EXTRA_LOCAL : 0) + e->size;
    }
    for (size_t k = 0; k < n; k++)
        size += write_entry(f, &entries[k], zip64_from);
    write_end(f, n, at, size, zip64_from);
    free(entries);
    return NTK_OK;
}

/* ---- any of them */

static ntk_status check_array(ntk_ctx *ctx, const ntk_array *a, bool named)
{
    const char *name = a->name ? a->name : "";
    size_t bytes = a->words ? sizeof *a->words : a->dtype;
    bool overflow = false;

    if (named && !*name)
        return ntk_fail(ctx, NTK_EINVAL, "an array has no name");
    if (!a->words && a->dtype != NTK_F32 && a->dtype != NTK_F64)
        return ntk_fail(ctx, NTK_EINVAL, "array '%s': dtype must be NTK_F32 or NTK_F64, got %d",
                        name, (int)a->dtype);
    if (a->ndim < 0 || a->ndim > 4)
        return ntk_fail(ctx, NTK_EINVAL, "array '%s': ndim must be 0 to 4, got %d", name, a->ndim);
    for (int k = 0; k < a->ndim; k++) {
        if (a->shape[k] < 0)
            return ntk_fail(ctx, NTK_EINVAL, "array '%s': shape[%d] must be >= 0, got %lld", name,
                            k, (long long)a->shape[k]);
        overflow |= __builtin_mul_overflow(bytes, (size_t)a->shape[k], &bytes);
    }
    if (overflow)
        return ntk_fail(ctx, NTK_EINVAL, "array '%s' is larger than any memory", name);
    if (!a->words && !a->x && bytes)
        return ntk_fail(ctx, NTK_EINVAL, "array '%s': x is NULL", name);
    return NTK_OK;
}

static ntk_status check_arrays(ntk_ctx *ctx, const char *path, const ntk_array *arrays, size_t n,
                               bool named)
{
    if (n < 1)
        return ntk_fail(ctx, NTK_EINVAL, "there is no array to write to %s", path);
    if (!named && n > 1)
        return ntk_fail(ctx, NTK_EINVAL, "%s can hold one array, not %zu: write to FILE.npz", path,
                        n);
    for (size_t k = 0; k < n; k++) {
        NTK_TRY(check_array(ctx, &arrays[k], named));
        for (size_t j = 0; named && j < k; j++)
            if (strcmp(arrays[j].name, arrays[k].name) == 0)
                return ntk_fail(ctx, NTK_EINVAL, "two arrays have the name '%s'", arrays[k].name);
    }
    return NTK_OK;
}

/* What arrays are in a file: those of numbers as they are, words packed. */
static void free_packed(const ntk_array *arrays, size_t n, ntk_array *packed)
{
    for (size_t k = 0; packed && k < n; k++) {
        void *x;

        memcpy(&x, &packed[k].x, sizeof x);
        if (arrays[k].words)
            free(x);
    }
    free(packed);
}

static ntk_status pack(ntk_ctx *ctx, const ntk_array *arrays, size_t n, bool utf32, ntk_array **packed)
{
    ntk_array *p = ntk_alloc_zero(ctx, n, sizeof *p);
    ntk_status status = p ? NTK_OK : NTK_ENOMEM;

    for (size_t k = 0; k < n && status == NTK_OK; k++)
        if (arrays[k].words)
            status = ntk_words_pack(ctx, &arrays[k], utf32, &p[k]);
        else
            p[k] = arrays[k];
    if (status == NTK_OK)
        *packed = p;
    else
        free_packed(arrays, n, p);
    return status;
}

/* A .npy, or a .npz. */
static ntk_status write_numpy(ntk_ctx *ctx, const char *path, const ntk_array *arrays, size_t n, bool npy)
{
    struct ntk_outfile out;
    ntk_status status = NTK_OK;
    int error = ntk_outfile_open(path, &out);

    if (error)
        return ntk_fail_write(ctx, path, error);
    if (npy)
        write_npy(out.f, arrays);
    else
        status = ntk_write_npz(out.f, arrays, n, NARROW_MAX);
    if (status != NTK_OK) {
        ntk_outfile_abort(&out);
        return ntk_fail(ctx, status, "%s: no memory for the list of %zu arrays", path, n);
    }
    error = ntk_outfile_commit(&out);
    return error ? ntk_fail_write(ctx, path, error) : NTK_OK;
}

ntk_status ntk_array_write(ntk_ctx *ctx, const char *path, const ntk_array *arrays, size_t n)
{
    const bool npy = path && (strcmp(path, "-") == 0 || ntk_ends_with(path, ".npy"));
    const bool npz = path && ntk_ends_with(path, ".npz");
    const bool hdf5 = path && (ntk_ends_with(path, ".h5") || ntk_ends_with(path, ".hdf5"));
    ntk_array *packed;
    ntk_status status;

    if (!npy && !npz && !hdf5)
        return ntk_fail(ctx, NTK_EINVAL,
                        "%s: expected a name that ends with .npy, .npz or .h5, or - for standard "
                        "output",
                        path ? path : "path is NULL");
    NTK_TRY(check_arrays(ctx, path, arrays, n, !npy));
    NTK_TRY(pack(ctx, arrays, n, !hdf5, &packed));
    status = hdf5 ? ntk_write_hdf5(ctx, path, packed, n) : write_numpy(ctx, path, packed, n, npy);
    free_packed(arrays, n, packed);
    return status;
}
