/* SPDX-License-Identifier: MIT
 *
 * scaler_io.c - standardisations in HDF5 files: attributes scaler_kind (-1: it is not known of any),
 * scaler_shape [4]; scaler_mean and scaler_deviation [n][1], unless the kind is none.
 */
#include <math.h>

#include "data/data.h"

#ifdef NTK_HDF5

#include "base/h5.h"

/* Every feature of the samples belongs to the scaler, but they may have been flattened since. */
static bool scales(ntk_shape scaler, ntk_shape samples)
{
    return ntk_shape_valid(scaler) && ntk_features_of(scaler) == ntk_features_of(samples);
}

/* Room for the numbers, all of which are in the file. */
static void make(struct ntk_h5 *f, int kind, ntk_shape shape, ntk_shape samples, ntk_scaler **scaler)
{
    const int64_t n[2] = {kind == NTK_STD_FEATURE ? ntk_features_of(shape) : shape.c, 1};

    if (ntk_h5_wrong(f, "scaler_shape", scales(shape, samples), "is not that of the samples"))
        return;
    if (kind != NTK_STD_NONE &&
        (!ntk_h5_has(f, "scaler_mean", 2, n) || !ntk_h5_has(f, "scaler_deviation", 2, n)))
        return;
    ntk_h5_failed(f, "scaler", ntk_scaler_new(f->ctx, (ntk_standardize)kind, shape, scaler));
}

static void numbers(struct ntk_h5 *f, const ntk_scaler *s, bool write)
{
    bool finite = true, positive = true;

    ntk_h5_matrix(f, "scaler_mean", H5T_NATIVE_DOUBLE, s->n, 1, s->mean, write);
    ntk_h5_matrix(f, "scaler_deviation", H5T_NATIVE_DOUBLE, s->n, 1, s->deviation, write);
    if (f->what)
        return;
    for (int64_t k = 0; k < s->n; k++) {
        finite = finite && isfinite(s->deviation[k]);
        positive = positive && s->deviation[k] > 0;
    }
    ntk_h5_wrong(f, "scaler_mean", ntk_not_finite(s->mean, s->n) < 0, "has a number that is not finite");
    ntk_h5_wrong(f, "scaler_deviation", finite, "has a number that is not finite");
    ntk_h5_wrong(f, "scaler_deviation", positive, "has a number that is not positive");
}

void ntk_scaler_io(struct ntk_h5 *f, ntk_shape samples, ntk_scaler **scaler, bool write)
{
    const ntk_scaler *s = *scaler;
    int kind = s ? (int)s->kind : -1;
    ntk_shape shape = s ? s->shape : (ntk_shape){.h = 1, .w = 1, .c = 1};

    ntk_h5_int(f, "scaler_kind", &kind, write);
    ntk_h5_shape(f, "scaler_shape", &shape, write);
    if (ntk_h5_wrong(f, "scaler_kind", kind >= -1 && kind <= NTK_STD_CHANNEL, "is none that there is") ||
        kind < 0)
        return;
    if (!write)
        make(f, kind, shape, samples, scaler);
    if (!f->what && (*scaler)->n)
        numbers(f, *scaler, write);
}

#endif
