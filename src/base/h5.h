/* SPDX-License-Identifier: MIT
 *
 * h5.h - HDF5 files of attributes and arrays, written or read by the same lines. The first failure
 * is remembered, what comes after it does nothing.
 *
 * Nothing that a file says is believed: a reader asks for the sizes with ntk_h5_dims, which finds
 * all of the numbers in the file, compares them with each other, and only then allocates.
 */
#ifndef NTK_H5_H
#define NTK_H5_H

#include <hdf5.h>

#include "base/base.h"
#include "base/outfile.h"

/* Between begin and end HDF5 does not print what goes wrong; `memory`: some call of it failed for lack of memory,
 * whatever calls came after it. It must stay where it is. */
struct ntk_h5_errors {
    H5E_auto2_t print; /* the setting before */
    void *user;
    bool memory;
};
void ntk_h5_errors_begin(struct ntk_h5_errors *e);
void ntk_h5_errors_end(const struct ntk_h5_errors *e);

struct ntk_h5 {
    ntk_ctx *ctx;
    hid_t id;
    const char *what; /* the first item that failed; NULL: none */
    const char *why;  /* reading: what is wrong with it; NULL: missing, or of another shape */
    ntk_status status; /* of a failure that the context's message is about; NTK_OK: it has none yet */
    uint64_t size;     /* reading: bytes of the file */
    struct ntk_h5_errors errors;
    /* of a file that is written */
    struct ntk_outfile out;
    hid_t driver;                 /* writes to out */
    struct ntk_h5_file *file;     /* the driver's */
    hid_t links;                  /* makes groups on the way to a data set */
};

/* Begins a file; commit closes it and puts it in place, or says what failed. */
ntk_status ntk_h5_create(struct ntk_h5 *f, const char *path);
ntk_status ntk_h5_commit(struct ntk_h5 *f, const char *path);
void ntk_h5_abort(struct ntk_h5 *f);
/* `what` is for the message: "the model". Close with ntk_h5_end. */
ntk_status ntk_h5_open(struct ntk_h5 *f, const char *path, const char *what);
/* Closes a file that was read; what failed, in words ("PATH is not a complete `kind`: ...").
 * status: of what came after reading, with a message. */
ntk_status ntk_h5_end(struct ntk_h5 *f, const char *path, const char *kind, ntk_status status);

/* HDF5's way out (h5_driver.c): an HDF5 file that is written to f->out; < 0: failed. Ends after H5Fclose, with
 * whether that worked. */
hid_t ntk_h5_driver_create(struct ntk_h5 *f);
void ntk_h5_driver_end(struct ntk_h5 *f, bool closed);

/* Whether something failed, now (ok is false; what was its name) or before. */
bool ntk_h5_broken(struct ntk_h5 *f, const char *what, bool ok);
/* The same with what is wrong with it, in words that follow its name: "is not finite". */
bool ntk_h5_wrong(struct ntk_h5 *f, const char *what, bool ok, const char *why);
/* The same for a call that said in the context's message what failed. */
bool ntk_h5_failed(struct ntk_h5 *f, const char *what, ntk_status status);

/* The attribute `format`: "libntk KIND NUMBER", numbers from 1 to the newest that this version
 * reads; 0 if it failed. */
void ntk_h5_write_format(struct ntk_h5 *f, const char *kind, int number);
int ntk_h5_read_format(struct ntk_h5 *f, const char *kind, int newest);

/* Attributes of the root. A text is an array of characters, of any length: a long one is a data set. */
void ntk_h5_attribute(struct ntk_h5 *f, const char *name, hid_t type, hsize_t n, void *value,
                      bool write);
void ntk_h5_int(struct ntk_h5 *f, const char *name, int *value, bool write);
void ntk_h5_shape(struct ntk_h5 *f, const char *name, ntk_shape *s, bool write);
void ntk_h5_write_text(struct ntk_h5 *f, const char *name, const char *text);
char *ntk_h5_read_text(struct ntk_h5 *f, const char *name); /* to be freed; NULL: failed */

/* Data sets of numbers. dims: the sizes of one of `ndim` sizes whose numbers, of at most 8 bytes in
 * memory, all are in the file, or fit the memory bound if they are compressed; false: failed. */
bool ntk_h5_dims(struct ntk_h5 *f, const char *name, int ndim, int64_t *dims);
/* The same for one that must have these sizes. */
bool ntk_h5_has(struct ntk_h5 *f, const char *name, int ndim, const int64_t *shape);
void ntk_h5_array(struct ntk_h5 *f, const char *name, hid_t type, int ndim, const int64_t *shape,
                  void *x, bool write);
void ntk_h5_matrix(struct ntk_h5 *f, const char *name, hid_t type, int64_t rows, int64_t columns,
                   void *x, bool write);

/* How the numbers of an open data set lie in its file; false if it cannot be said. */
struct ntk_h5_storage {
    bool whole, filtered; /* whole: contiguous or compact, not in chunks or elsewhere */
    uint64_t need,
        there;      /* bytes of all its numbers in the file's type, unfiltered; bytes in the file */
    uint64_t chunk; /* bytes of an unfiltered chunk, which reading holds in memory */
};
bool ntk_h5_storage_of(hid_t set, struct ntk_h5_storage *s);

#endif
