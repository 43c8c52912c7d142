/* SPDX-License-Identifier: MIT
 *
 * ntk apply: outputs of a finite network.
 */
#include <stdlib.h>

#include "base/base.h"
#include "cli.h"

static int run(ntk_ctx *ctx, const struct args *a, const ntk_data *x, ntk_params *p)
{
    const int64_t n = ntk_data_n(x), c = ntk_params_outputs(p);
    void *f;
    ntk_status status;

    TRY(ctx, ntk_ctx_hold(ctx, ntk_bytes((double)n * (double)c * (int)ntk_params_dtype(p)), "a table of outputs"));
    f = malloc((size_t)(n * c) * ntk_params_dtype(p));
    if (!f)
        return usage("no memory for the outputs");
    status = ntk_params_apply(p, x, f);
    if (status == NTK_OK) {
        ntk_array arrays[2] = {
            {.name = "f", .x = f, .dtype = ntk_params_dtype(p), .ndim = 2, .shape = {n, c}}};
        const size_t named =
            holds_several(a->out) ? outputs_array(ntk_params_schema(p), c, &arrays[1]) : 0;

        status = ntk_array_write(ctx, a->out, arrays, 1 + named);
    }
    free(f);
    TRY(ctx, status);
    if (a->json) {
        struct json j = {.f = stdout};

        json_open(&j, NULL, '{');
        json_integer(&j, "n", n);
        json_integer(&j, "outputs", c);
        json_source(&j, "x", a->x, x, NULL);
        json_text(&j, "out", a->out);
        json_close(&j, '}');
        putchar('\n');
    }
    return EXIT_OK;
}

int cmd_apply(ntk_ctx *ctx, const struct args *a);
int cmd_apply(ntk_ctx *ctx, const struct args *a)
{
    ntk_data *x = NULL;
    ntk_params *p = NULL;
    int code;

    if (!a->x)
        return usage("--x is missing, e.g. --x digits/test");
    STEP(check_array_output(a->out, 1, false));
    code = network_x(ctx, a, a->x, a->test_limit, NULL, &p, &x);
    if (code == EXIT_OK)
        code = run(ctx, a, x, p);
    ntk_params_free(p);
    ntk_data_free(x);
    return code;
}
