/* SPDX-License-Identifier: MIT
 *
 * targets.c - labels as regression targets.
 */
#include "data/data.h"

#define LABEL_MAX 0x3fffffff

ntk_status ntk_data_classes(const ntk_data *data, int64_t *classes)
{
    double largest = 0;

    if (!data->y)
        return ntk_fail(data->ctx, NTK_EINVAL, "the data have no labels");
    if (data->outputs != 1)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "labels are one number per sample, the targets have %lld",
                        (long long)data->outputs);
    for (int64_t i = 0; i < data->n; i++) {
        const double label = data->y[i];

        if (!(label >= 0 && label <= LABEL_MAX) || label != (double)(int64_t)label)
            return ntk_fail(data->ctx, NTK_EINVAL,
                            "label of row %lld is %g: labels must be integers 0, 1, 2, ...",
                            (long long)i, label);
        largest = label > largest ? label : largest;
    }
    *classes = (int64_t)largest + 1;
    return NTK_OK;
}

static ntk_status check_classes(const ntk_data *data, int64_t classes)
{
    int64_t present = 0;

    NTK_TRY(ntk_data_classes(data, &present));
    if (present > classes)
        return ntk_fail(data->ctx, NTK_EINVAL, "the largest label is %lld: there are %lld classes",
                        (long long)present - 1, (long long)classes);
    return NTK_OK;
}

ntk_status ntk_data_targets(const ntk_data *data, ntk_targets kind, int64_t classes, double *y)
{
    const double off = kind == NTK_CENTERED ? -1.0 / (double)classes : 0;

    if (kind == NTK_RAW) {
        if (!data->y)
            return ntk_fail(data->ctx, NTK_EINVAL, "the data have no targets");
        memcpy(y, data->y, (size_t)(data->n * data->outputs) * sizeof *y);
        return NTK_OK;
    }
    if (kind != NTK_ONEHOT && kind != NTK_CENTERED)
        return ntk_fail(data->ctx, NTK_EINVAL,
                        "kind of targets must be NTK_RAW, NTK_ONEHOT or NTK_CENTERED, got %d",
                        (int)kind);
    NTK_TRY(check_classes(data, classes));
    for (int64_t i = 0; i < data->n; i++) {
        double *row = y + i * classes;

        for (int64_t k = 0; k < classes; k++)
            row[k] = off;
        row[(int64_t)data->y[i]] += 1;
    }
    return NTK_OK;
}
