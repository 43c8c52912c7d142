/* SPDX-License-Identifier: MIT
 *
 * ntk fit: fit a model and save it.
 */
#include <stdlib.h>

#include "cli.h"

static int fit_and_save(ntk_ctx *ctx, const struct args *a, const ntk_net *net, struct samples *s)
{
    ntk_fit_opts o;
    ntk_model *model;
    ntk_fit_report report;
    ntk_status status;
    double start, diag_reg;
    size_t bytes;

    STEP(samples_load(ctx, a, net, NULL, false, s));
    STEP(fit_options(a, s, &o));
    o.covariance = !by_landmarks(a) || o.posterior == NTK_POSTERIOR_NNGP; /* of the NTK's ensemble it has none */
    TRY(ctx, ntk_model_bytes(ctx, net, s->train, s->outputs, &o, &bytes));
    say_memory("fitting", bytes);
    start = ntk_seconds();
    TRY(ctx, ntk_model_fit(ctx, net, s->train, s->y, s->outputs, &o, &model));
    start = ntk_seconds() - start;
    diag_reg = ntk_model_diag_reg(model);
    ntk_fit_report_init(&report);
    status = ntk_model_report(model, &report);
    if (status == NTK_OK)
        status = ntk_model_set_encoding(model, s->scaler, s->targets);
    ntk_model_set_schema(model, s->schema);
    if (status == NTK_OK)
        status = ntk_model_save(model, a->out, a->factor);
    ntk_model_free(model);
    TRY(ctx, status);
    if (a->json) {
        struct json j = {.f = stdout};

        json_open(&j, NULL, '{');
        json_text(&j, "out", a->out);
        json_integer(&j, "n_train", ntk_data_n(s->train));
        json_integer(&j, "outputs", s->outputs);
        json_number(&j, "diag_reg", diag_reg);
        json_report(&j, &report);
        json_number(&j, "seconds", start);
        json_source(&j, "train", a->train, s->train_file, s->schema);
        json_close(&j, '}');
        putchar('\n');
    } else {
        note("fitted %lld samples in %.2f s, saved %s", (long long)ntk_data_n(s->train), start,
             a->out);
    }
    return EXIT_OK;
}

int cmd_fit(ntk_ctx *ctx, const struct args *a);
int cmd_fit(ntk_ctx *ctx, const struct args *a)
{
    struct samples s = {.y = NULL};
    ntk_net *net = NULL;
    double ridge;
    int code;

    if (a->n_nets > 1)
        return usage("one --net at a time, got %zu", a->n_nets);
    STEP(parse_ridge(a->diag_reg, &ridge));
    STEP(check_output(a->out));
    if (!ends_with(a->out, ".h5"))
        return usage("a model is an HDF5 file: --out must end with .h5, got '%s'", a->out);
    code = parse_net(ctx, a, 0, &net);
    if (code == EXIT_OK)
        code = fit_and_save(ctx, a, net, &s);
    samples_free(&s);
    ntk_net_free(net);
    return code;
}
