/* SPDX-License-Identifier: MIT
 *
 * params_io.c - parameters of finite networks in HDF5 files: attributes format, net (a data set if it is
 * longer than an attribute can be), input_shape, dtype, multiplier, seed; one group a layer with its arrays,
 * `00_Dense/W`; how the samples that it was trained on were standardised (data/scaler_io.c), their columns and
 * classes (data/schema_io.c).
 */
#include <math.h>
#include <stdlib.h>

#include "finite/params_io.h"

#ifdef NTK_HDF5

#include "base/h5.h"

#define KIND "parameters"
#define FORMAT 3 /* 2 has no standardisation; 1 is the same, but readers of 1 do not say what is newer */
#define SCALED 3 /* the first with a standardisation */

static hid_t type_of(ntk_dtype dtype)
{
    return dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

void ntk_params_arrays_io(struct ntk_h5 *f, const ntk_params *p, void *theta, bool write)
{
    for (int k = 0; k < p->tape.n_arrays; k++) {
        const ntk_param_array *a = &p->tape.arrays[k];
        char *x = (char *)theta + (size_t)a->offset * p->dtype;

        ntk_h5_array(f, a->name, type_of(p->dtype), a->ndim, a->shape, x, write);
        ntk_h5_wrong(f, a->name, f->what || p->loops->all_finite(a->size, x),
                     "has a number that is not finite");
    }
}

static void header(struct ntk_h5 *f, struct ntk_params *p, bool write)
{
    int type = (int)p->dtype;

    ntk_h5_shape(f, "input_shape", &p->shape, write);
    ntk_h5_int(f, "dtype", &type, write);
    ntk_h5_attribute(f, "multiplier", H5T_NATIVE_DOUBLE, 1, &p->multiplier, write);
    ntk_h5_attribute(f, "seed", H5T_NATIVE_UINT64, 1, &p->seed, write);
    p->dtype = (ntk_dtype)type;
    ntk_h5_wrong(f, "dtype", type == NTK_F32 || type == NTK_F64, "is neither 4 nor 8");
    ntk_h5_wrong(f, "multiplier", p->multiplier > 0 && isfinite(p->multiplier), "is not positive");
}

int ntk_params_read_header(struct ntk_h5 *f, struct ntk_params *p)
{
    const int format = ntk_h5_read_format(f, KIND, FORMAT);

    header(f, p, false);
    return format;
}

ntk_status ntk_params_write(struct ntk_h5 *f, const ntk_params *p)
{
    ntk_params copy = *p; /* reading and writing share code that fills in */
    char *net;

    if (!p->loops->all_finite(p->tape.n_params, p->theta))
        return ntk_fail(p->ctx, NTK_ENUMERIC, "some parameter is not finite: nothing is saved");
    NTK_TRY(ntk_check_saved(p->ctx, p->schema, p->scaler, ntk_features_of(p->shape), ntk_params_outputs(p)));
    NTK_TRY(ntk_net_print(p->net, &net));
    ntk_h5_write_format(f, KIND, FORMAT);
    ntk_h5_write_text(f, "net", net);
    ntk_text_free(net);
    header(f, &copy, true);
    ntk_params_arrays_io(f, p, p->theta, true);
    ntk_scaler_io(f, p->shape, &copy.scaler, true);
    ntk_schema_write(f, p->schema);
    return NTK_OK;
}

ntk_status ntk_params_save(const ntk_params *params, const char *path)
{
    struct ntk_h5 f = {.ctx = params->ctx};
    ntk_status status;

    NTK_TRY(ntk_h5_create(&f, path));
    status = ntk_params_write(&f, params);
    if (status == NTK_OK)
        return ntk_h5_commit(&f, path);
    ntk_h5_abort(&f);
    return status;
}

/* Parameters of the file's net, whose arrays all are in the file. */
static ntk_status prepare(struct ntk_h5 *f, ntk_params **params, int *format)
{
    struct ntk_params head = {0};
    char *text;
    ntk_net *net = NULL;
    ntk_status status;

    *format = ntk_params_read_header(f, &head);
    text = ntk_h5_read_text(f, "net");
    if (!text)
        return NTK_EIO;
    status = ntk_net_parse(f->ctx, text, &net);
    free(text);
    if (status == NTK_OK)
        status = ntk_params_prepare(f->ctx, net, head.shape, head.dtype, head.seed, params);
    ntk_net_free(net);
    NTK_TRY(status);
    (*params)->multiplier = head.multiplier;
    for (int k = 0; k < (*params)->tape.n_arrays; k++) {
        const ntk_param_array *a = &(*params)->tape.arrays[k];

        if (!ntk_h5_has(f, a->name, a->ndim, a->shape))
            return NTK_EIO;
    }
    return NTK_OK;
}

static ntk_status read(struct ntk_h5 *f, ntk_params **params, int *format)
{
    ntk_params *p;

    NTK_TRY(prepare(f, params, format));
    p = *params;
    NTK_TRY(ntk_params_allocate(p));
    ntk_params_arrays_io(f, p, p->theta, false);
    if (*format >= SCALED)
        ntk_scaler_io(f, p->shape, &p->scaler, false);
    ntk_schema_read(f, &p->schema);
    ntk_h5_wrong(f, "schema",
                 ntk_schema_fits(p->schema, ntk_features_of(p->shape), ntk_params_outputs(p)),
                 "is not that of the network");
    return f->what ? NTK_EIO : NTK_OK;
}

ntk_status ntk_params_load(ntk_ctx *ctx, const char *path, ntk_params **params)
{
    struct ntk_h5 f = {.ctx = ctx};
    ntk_params *p = NULL;
    ntk_status status;
    int format = 0;

    NTK_TRY(ntk_h5_open(&f, path, "the parameters"));
    status = ntk_h5_end(&f, path, "file of parameters", read(&f, &p, &format));
    if (status != NTK_OK) { /* only now: the name of an array that failed is the tape's */
        ntk_params_free(p);
        return status;
    }
    if (p->schema && format < SCALED)
        ntk_log(ctx, 1,
                "%s: a file of format %d does not say how samples were standardised in training: they are "
                "taken as they are",
                path, format);
    *params = p;
    return NTK_OK;
}

#else

ntk_status ntk_params_save(const ntk_params *params, const char *path)
{
    return ntk_fail(params->ctx, NTK_ENOTSUP, "cannot write %s: this build has no HDF5", path);
}

ntk_status ntk_params_load(ntk_ctx *ctx, const char *path, ntk_params **params)
{
    (void)params;
    return ntk_fail(ctx, NTK_ENOTSUP, "cannot read %s: this build has no HDF5", path);
}

#endif
