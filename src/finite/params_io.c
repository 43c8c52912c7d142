/* SPDX-License-Identifier: MIT
 *
 * params_io.c - parameters of finite networks in HDF5 files: attributes format, net, input_shape,
 * dtype, multiplier, seed; one group a layer with its arrays, `00_Dense/W`; the
 * columns and classes that it was trained on (data/schema_io.c).
 */
#include <stdlib.h>

#include "finite/params_io.h"

#ifdef NTK_HDF5

#include "base/h5.h"

#define FORMAT "libntk parameters 1"

static hid_t type_of(ntk_dtype dtype)
{
    return dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE;
}

void ntk_params_arrays_io(struct ntk_h5 *f, const ntk_params *p, void *theta, bool write)
{
    for (int k = 0; k < p->tape.n_arrays; k++) {
        const ntk_param_array *a = &p->tape.arrays[k];

        ntk_h5_array(f, a->name, type_of(p->dtype), a->ndim, a->shape,
                     (char *)theta + (size_t)a->offset * p->dtype, write);
    }
}

static void header(struct ntk_h5 *f, ntk_shape *shape, ntk_dtype *dtype, double *multiplier,
                   uint64_t *seed, bool write)
{
    int type = (int)*dtype;

    ntk_h5_shape(f, "input_shape", shape, write);
    ntk_h5_int(f, "dtype", &type, write);
    ntk_h5_attribute(f, "multiplier", H5T_NATIVE_DOUBLE, 1, multiplier, write);
    ntk_h5_attribute(f, "seed", H5T_NATIVE_UINT64, 1, seed, write);
    *dtype = (ntk_dtype)type;
}

ntk_status ntk_params_write(struct ntk_h5 *f, const ntk_params *p)
{
    ntk_params copy = *p; /* reading and writing share code that fills in */
    char *net;

    if (!p->loops->all_finite(p->tape.n_params, p->theta))
        return ntk_fail(p->ctx, NTK_ENUMERIC, "some parameter is not finite: nothing is saved");
    NTK_TRY(ntk_net_print(p->net, &net));
    ntk_h5_write_text(f, "format", FORMAT);
    ntk_h5_write_text(f, "net", net);
    ntk_text_free(net);
    header(f, &copy.shape, &copy.dtype, &copy.multiplier, &copy.seed, true);
    ntk_params_arrays_io(f, p, p->theta, true);
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

static ntk_status read(struct ntk_h5 *f, ntk_params **params)
{
    char *format = ntk_h5_read_text(f, "format"), *text;
    const bool ours = format && strcmp(format, FORMAT) == 0;
    ntk_dtype dtype = NTK_F64;
    double multiplier = 1;
    uint64_t seed = 0;
    ntk_shape shape = {0};
    ntk_net *net;
    ntk_status status;

    free(format);
    ntk_h5_broken(f, "format", ours);
    header(f, &shape, &dtype, &multiplier, &seed, false);
    text = ntk_h5_read_text(f, "net");
    status = f->what ? NTK_EIO : ntk_net_parse(f->ctx, text, &net);
    free(text);
    NTK_TRY(status);
    status = ntk_params_new(f->ctx, net, shape, dtype, seed, params);
    ntk_net_free(net);
    NTK_TRY(status);
    ntk_params_arrays_io(f, *params, (*params)->theta, false);
    ntk_schema_read(f, &(*params)->schema);
    ntk_h5_broken(
        f, "schema",
        ntk_schema_fits((*params)->schema, ntk_features_of(shape), ntk_params_outputs(*params)));
    status = f->what ? NTK_EIO : ntk_params_set_multiplier(*params, multiplier);
    if (status != NTK_OK)
        ntk_params_free(*params);
    return status;
}

ntk_status ntk_params_load(ntk_ctx *ctx, const char *path, ntk_params **params)
{
    struct ntk_h5 f = {.ctx = ctx};
    ntk_params *p;
    ntk_status status;

    NTK_TRY(ntk_h5_open(&f, path, "the parameters"));
    status = read(&f, &p);
    H5Fclose(f.id);
    if (f.what)
        return ntk_fail(
            ctx, NTK_EIO,
            "%s is not a complete file of parameters: its part '%s' is missing or does not "
            "fit",
            path, f.what);
    NTK_TRY(status);
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
