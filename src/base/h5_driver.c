/* SPDX-License-Identifier: MIT
 *
 * h5_driver.c - HDF5's way out: a file driver that writes an HDF5 file to an ntk_outfile.
 *
 * HDF5 loses some errors of its own drivers (of writes when objects are closed) and does not
 * survive others: a file that cannot be closed ends the process with a crash in HDF5's exit
 * handler. So this one answers success always. The first error stays in the ntk_outfile, which is
 * asked before the file is put in place.
 */
#include "base/outfile.h"

#ifdef NTK_HDF5

#include "base/h5.h"

#include <errno.h>

#include <stdlib.h>
#include <string.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

struct ntk_h5_file {
    H5FD_t base;             /* HDF5's part, first */
    struct ntk_h5 *owner;    /* NULL, as the next: no more */
    struct ntk_outfile *out;
    haddr_t eoa, eof;        /* the ends of what HDF5 has allocated, and written */
};

/* What the file's access list hands to open. */
struct info {
    struct ntk_h5 *f;
};

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t maxaddr)
{
    const struct info *info = H5Pget_driver_info(access);
    struct ntk_h5_file *d = info ? calloc(1, sizeof *d) : NULL;

    (void)name, (void)flags, (void)maxaddr;
    if (!d) {
        if (info)
            ntk_outfile_fail(&info->f->out, ENOMEM);
        return NULL;
    }
    d->owner = info->f;
    d->out = &info->f->out;
    info->f->file = d;
    return &d->base;
}

static herr_t close_file(H5FD_t *file)
{
    struct ntk_h5_file *d = (struct ntk_h5_file *)file;

    if (d->owner)
        d->owner->file = NULL;
    free(d);
    return 0;
}

/* As for HDF5's own driver of plain files, whose files have the same bytes. */
static herr_t query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static const struct ntk_h5_file *constant(const H5FD_t *file)
{
    return (const struct ntk_h5_file *)file;
}

static struct ntk_h5_file *of(H5FD_t *file)
{
    return (struct ntk_h5_file *)file;
}

static haddr_t get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return constant(file)->eoa;
}

static herr_t set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    of(file)->eoa = end;
    return 0;
}

static haddr_t get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return constant(file)->eof;
}

static herr_t read_bytes(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t n,
                         void *bytes)
{
    (void)type, (void)transfer;
    if (of(file)->out)
        ntk_outfile_read_at(of(file)->out, bytes, n, (int64_t)at);
    else
        memset(bytes, 0, n);
    return 0;
}

static herr_t write_bytes(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t n,
                          const void *bytes)
{
    struct ntk_h5_file *d = of(file);

    (void)type, (void)transfer;
    if (d->out)
        ntk_outfile_write_at(d->out, bytes, n, (int64_t)at);
    d->eof = d->eof > at + n ? d->eof : at + n;
    return 0;
}

static herr_t truncate_file(H5FD_t *file, hid_t transfer, hbool_t closing)
{
    struct ntk_h5_file *d = of(file);

    (void)transfer, (void)closing;
    if (d->out && d->eof != d->eoa)
        ntk_outfile_truncate(d->out, (int64_t)d->eoa);
    d->eof = d->eoa;
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 390, /* of those that are free for tests and own use, 256 to 511 */
#endif
    .name = "ntk",
    .maxaddr = ((haddr_t)1 << 63) - 1,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct info),
    .open = open_file,
    .close = close_file,
    .query = query,
    .get_eoa = get_eoa,
    .set_eoa = set_eoa,
    .get_eof = get_eof,
    .read = read_bytes,
    .write = write_bytes,
    .truncate = truncate_file,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t ntk_h5_driver_create(struct ntk_h5 *f)
{
    const struct info info = {f};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = H5I_INVALID_HID;

    f->driver = H5FDregister(&driver);
    if (f->driver >= 0 && access >= 0 && H5Pset_driver(access, f->driver, &info) >= 0)
        file = H5Fcreate("ntk", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0)
        H5Pclose(access);
    return file;
}

/* Closing a file HDF5 lets go of the driver before it calls it for the last time. A file that it
 * could not close it tries to write again when the process ends. */
void ntk_h5_driver_end(struct ntk_h5 *f, bool closed)
{
    if (!closed && f->file) {
        f->file->owner = NULL;
        f->file->out = NULL;
    }
    else if (f->driver >= 0)
        H5FDunregister(f->driver);
}

#endif
