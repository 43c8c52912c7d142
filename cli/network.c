/* SPDX-License-Identifier: MIT
 *
 * network.c - finite networks of the commands init, apply, empirical and train.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* "784", "100,4" or "32,32,3". */
static int parse_shape(const char *text, ntk_shape *shape)
{
    int64_t v[3];
    int n = 0;
    const char *at = text;

    for (; n < 3; n++) {
        char *end;

        v[n] = strtoll(at, &end, 10);
        if (end == at || v[n] < 1 || (*end && *end != ','))
            break;
        at = *end ? end + 1 : end;
        if (!*end) {
            n++;
            *shape = n == 1   ? (ntk_shape){0, 1, 1, v[0]}
                     : n == 2 ? (ntk_shape){1, 1, v[0], v[1]}
                              : (ntk_shape){2, v[0], v[1], v[2]};
            return EXIT_OK;
        }
    }
    return usage("--input-shape must be 784, 100,4 or 32,32,3 or the like, got '%s'", text);
}

int network_load(ntk_ctx *ctx, const struct args *a, const ntk_data *x, ntk_params **params)
{
    ntk_shape shape;
    ntk_dtype dtype;
    ntk_net *net;
    ntk_status status;

    if (a->params && a->n_nets)
        return usage("--net and --params: the parameters' file has its own net; leave one out");
    if (a->params) {
        TRY(ctx, ntk_params_load(ctx, a->params, params));
        return EXIT_OK;
    }
    STEP(parse_dtype(a->dtype, &dtype));
    if (x)
        shape = ntk_data_shape(x);
    else
        STEP(parse_shape(a->input_shape ? a->input_shape : "", &shape));
    STEP(parse_net(ctx, a, 0, &net));
    status = ntk_params_new(ctx, net, shape, dtype, (uint64_t)a->seed, params);
    ntk_net_free(net);
    TRY(ctx, status);
    return EXIT_OK;
}

int network_x(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit, ntk_data **x)
{
    ntk_net *net = NULL;
    ntk_params *params = NULL;
    int code;

    if (a->params) {
        STEP(network_load(ctx, a, NULL, &params));
        code = load_x(ctx, a, source, limit, NULL, x);
        if (code == EXIT_OK && ntk_params_shape(params).spatial == 0)
            ntk_data_flatten(*x);
        ntk_params_free(params);
        return code;
    }
    STEP(parse_net(ctx, a, 0, &net));
    code = load_x(ctx, a, source, limit, net, x);
    ntk_net_free(net);
    return code;
}
