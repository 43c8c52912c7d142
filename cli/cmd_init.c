/* SPDX-License-Identifier: MIT
 *
 * ntk init: parameters of a finite network.
 */
#include "cli.h"

static void report(const struct args *a, const ntk_params *p)
{
    const ntk_param_array *arrays;
    const size_t n = ntk_params_arrays(p, &arrays);

    if (a->json) {
        struct json j = {.f = stdout};

        json_open(&j, NULL, '{');
        json_integer(&j, "parameters", ntk_params_count(p));
        json_integer(&j, "outputs", ntk_params_outputs(p));
        json_open(&j, "arrays", '[');
        for (size_t i = 0; i < n; i++)
            json_text(&j, NULL, arrays[i].name);
        json_close(&j, ']');
        json_text(&j, "out", a->out);
        json_close(&j, '}');
        putchar('\n');
        return;
    }
    for (size_t i = 0; i < n; i++) {
        printf("%-20s", arrays[i].name);
        for (int k = 0; k < arrays[i].ndim; k++)
            printf("%s%lld", k ? " x " : "", (long long)arrays[i].shape[k]);
        printf("%s\n", arrays[i].trainable ? "" : "  not trainable");
    }
    printf("%lld parameters\n", (long long)ntk_params_count(p));
}

int cmd_init(ntk_ctx *ctx, const struct args *a);
int cmd_init(ntk_ctx *ctx, const struct args *a)
{
    ntk_params *p = NULL;
    ntk_status status;

    if (!a->input_shape)
        return usage("--input-shape is missing, e.g. --input-shape 784 or 32,32,3");
    STEP(check_hdf5_output("out", a->out));
    STEP(network_load(ctx, a, NULL, &p));
    status = ntk_params_save(p, a->out);
    if (status == NTK_OK)
        report(a, p);
    ntk_params_free(p);
    TRY(ctx, status);
    return EXIT_OK;
}
