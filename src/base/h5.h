/* SPDX-License-Identifier: MIT
 *
 * h5.h - HDF5 files of attributes and arrays, written or read by the same lines. The first failure
 * is remembered, what comes after it does nothing.
 */
#ifndef NTK_H5_H
#define NTK_H5_H

#include <hdf5.h>

#include "base/base.h"
#include "base/outfile.h"

struct ntk_h5 {
    ntk_ctx *ctx;
    hid_t id;
    const char *what; /* the first item that failed; NULL: none */
    /* of a file that is written */
    struct ntk_outfile out;
    hid_t driver;                 /* writes to out */
    struct ntk_h5_file *file;     /* the driver's */
    hid_t links;                  /* makes groups on the way to a data set */
    H5E_auto2_t print;            /* HDF5 prints what goes wrong, unless told not to: the setting before */
    void *print_user;
};

/* Begins a file; commit closes it and puts it in place, or says what failed. */
ntk_status ntk_h5_create(struct ntk_h5 *f, const char *path);
ntk_status ntk_h5_commit(struct ntk_h5 *f, const char *path);
void ntk_h5_abort(struct ntk_h5 *f);
/* `what` is for the message: "the model". Close with H5Fclose(f->id). */
ntk_status ntk_h5_open(struct ntk_h5 *f, const char *path, const char *what);

/* HDF5's way out (h5_driver.c): an HDF5 file that is written to f->out; < 0: failed. Ends after H5Fclose, with
 * whether that worked. */
hid_t ntk_h5_driver_create(struct ntk_h5 *f);
void ntk_h5_driver_end(struct ntk_h5 *f, bool closed);

/* Whether something failed, now (ok is false; what was its name) or before. */
bool ntk_h5_broken(struct ntk_h5 *f, const char *what, bool ok);

/* Attributes of the root. A text is an array of characters, of any length. */
void ntk_h5_attribute(struct ntk_h5 *f, const char *name, hid_t type, hsize_t n, void *value,
                      bool write);
void ntk_h5_int(struct ntk_h5 *f, const char *name, int *value, bool write);
void ntk_h5_shape(struct ntk_h5 *f, const char *name, ntk_shape *s, bool write);
void ntk_h5_write_text(struct ntk_h5 *f, const char *name, const char *text);
char *ntk_h5_read_text(struct ntk_h5 *f, const char *name); /* to be freed; NULL: failed */

/* Data sets. rows: of a matrix that is there. */
void ntk_h5_array(struct ntk_h5 *f, const char *name, hid_t type, int ndim, const int64_t *shape,
                  void *x, bool write);
void ntk_h5_matrix(struct ntk_h5 *f, const char *name, hid_t type, int64_t rows, int64_t columns,
                   void *x, bool write);
int64_t ntk_h5_rows(struct ntk_h5 *f, const char *name);

#endif
