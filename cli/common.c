/* SPDX-License-Identifier: MIT
 *
 * common.c - what several commands do: nets, samples, options of a fit.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool ends_with(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);

    return n >= m && strcmp(path + n - m, end) == 0;
}

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t n = 0;

    if (!f)
        return NULL;
    for (size_t got = 1; got > 0; n += got) {
        char *more = realloc(text, n + 4097);

        if (!more)
            break;
        text = more;
        got = fread(text + n, 1, 4096, f);
    }
    fclose(f);
    if (text)
        text[n] = '\0';
    return text;
}

int parse_net(ntk_ctx *ctx, const struct args *a, size_t i, ntk_net **net)
{
    const char *spec = a->nets[i];
    ntk_status status;
    char *text;

    if (a->n_nets == 0)
        return usage("--net is missing, e.g. --net 'fc(depth=3)'");
    if (*spec != '@') {
        TRY(ctx, ntk_net_parse(ctx, spec, net));
        return EXIT_OK;
    }
    text = read_text(spec + 1);
    if (!text)
        return usage("cannot read the net %s: %s", spec + 1, strerror(errno));
    status = ntk_net_parse(ctx, text, net);
    free(text);
    TRY(ctx, status);
    return EXIT_OK;
}

/* ---- words */

static int choose(const char *option, const char *text, int n, const char *const *words, int *index)
{
    char list[100] = "";

    for (*index = 0; text && *index < n; ++*index)
        if (strcmp(text, words[*index]) == 0)
            return EXIT_OK;
    *index = 0;
    if (!text)
        return EXIT_OK;
    for (int i = 0; i < n; i++) {
        strcat(list, i ? ", " : "");
        strcat(list, words[i]);
    }
    return usage("--%s must be one of %s, got '%s'", option, list, text);
}

int parse_dtype(const char *text, ntk_dtype *dtype)
{
    static const char *const words[] = {"float64", "float32"};
    int i;

    STEP(choose("dtype", text, 2, words, &i));
    *dtype = i ? NTK_F32 : NTK_F64;
    return EXIT_OK;
}

int parse_get(const char *text, unsigned *get)
{
    static const char *const words[] = {"ntk", "nngp", "both"};
    static const unsigned masks[] = {NTK_NTK, NTK_NNGP, NTK_NTK | NTK_NNGP};
    int i;

    STEP(choose("get", text, 3, words, &i));
    *get = masks[i];
    return EXIT_OK;
}

int parse_targets(const char *text, ntk_targets *targets)
{
    static const char *const words[] = {"centered", "onehot", "raw"};
    static const ntk_targets kinds[] = {NTK_CENTERED, NTK_ONEHOT, NTK_RAW};
    int i;

    STEP(choose("targets", text, 3, words, &i));
    *targets = kinds[i];
    return EXIT_OK;
}

int parse_times(const char *text, double **times, size_t *n)
{
    const char *p = text;

    if (!text)
        return usage("--times is missing, e.g. --times 0.1,1,10,inf");
    *times = malloc((strlen(text) + 1) * sizeof **times);
    if (!*times)
        return usage("no memory");
    for (*n = 0;; p++) {
        char *end;
        const double t = strtod(p, &end);

        if (end == p || !(t >= 0) || (*end && *end != ',')) {
            free(*times);
            return usage("--times must be numbers >= 0 separated by commas, got '%s'", text);
        }
        (*times)[(*n)++] = t;
        p = end;
        if (!*p)
            return EXIT_OK;
    }
}

/* ---- samples */

static void flatten(const ntk_net *net, ntk_data *data, const char *source)
{
    const ntk_shape s = ntk_data_shape(data);

    if (!net || s.spatial == 0 || ntk_net_uses_positions(net))
        return;
    note("%s: no layer uses positions, each sample is flattened to %lld numbers", source,
         (long long)(s.h * s.w * s.c));
    ntk_data_flatten(data);
}

static int load(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
                ntk_data **data)
{
    ntk_load_opts opts;

    ntk_load_opts_init(&opts);
    STEP(parse_dtype(a->dtype, &opts.dtype));
    opts.target = a->target;
    opts.limit = limit;
    TRY(ctx, ntk_data_load(ctx, source, &opts, data));
    return EXIT_OK;
}

int load_x(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
           const ntk_net *net, ntk_data **data)
{
    STEP(load(ctx, a, source, limit, data));
    flatten(net, *data, source);
    return EXIT_OK;
}

static int parse_standardize(const char *text, const char *source, ntk_standardize *kind)
{
    static const char *const words[] = {"none", "feature", "channel"};
    int i;

    if (!text)
        text = strncmp(source, "cifar10:", 8) == 0 ? "channel"
               : ends_with(source, ".csv")         ? "feature"
                                                   : "none";
    STEP(choose("standardize", text, 3, words, &i));
    *kind = (ntk_standardize)i;
    return EXIT_OK;
}

/* Replaces data by a standardised copy. */
static int standardise(ntk_ctx *ctx, const ntk_scaler *scaler, ntk_data **data)
{
    ntk_data *scaled;

    TRY(ctx, ntk_scaler_apply(scaler, *data, &scaled));
    ntk_data_free(*data);
    *data = scaled;
    return EXIT_OK;
}

/* A standardisation by channel is learned on the whole file, one by feature on the rows used. */
static int load_train(ntk_ctx *ctx, const struct args *a, struct samples *s)
{
    ntk_standardize kind;
    int64_t n;

    STEP(parse_standardize(a->standardize, a->train, &kind));
    STEP(load(ctx, a, a->train, kind == NTK_STD_CHANNEL ? 0 : a->train_limit, &s->train_file));
    if (kind != NTK_STD_NONE)
        TRY(ctx, ntk_scaler_fit(kind, s->train_file, &s->scaler));
    n = ntk_data_n(s->train_file);
    n = a->train_limit && a->train_limit < n ? a->train_limit : n;
    TRY(ctx, ntk_data_slice(s->train_file, 0, n, &s->train));
    return s->scaler ? standardise(ctx, s->scaler, &s->train) : EXIT_OK;
}

static int make_targets(ntk_ctx *ctx, const struct args *a, struct samples *s)
{
    STEP(parse_targets(a->targets, &s->targets));
    if (s->targets == NTK_RAW) {
        if (!ntk_data_y(s->train, &s->outputs))
            return usage("%s has no targets", a->train);
    } else {
        const ntk_status status = ntk_data_classes(s->train, &s->outputs);

        if (status != NTK_OK) {
            const int code = fail_in(ctx, a->train, status);

            fprintf(stderr, ntk_data_y(s->train, &s->outputs)
                                ? "for regression use --targets raw\n"
                                : "labels are a CSV's target column, the y of an .npz or .h5, or "
                                  "come with idx, mnist and cifar10\n");
            return code;
        }
    }
    s->y = malloc((size_t)(ntk_data_n(s->train) * s->outputs) * sizeof *s->y);
    if (!s->y)
        return usage("no memory for the targets");
    TRY(ctx, ntk_data_targets(s->train, s->targets, s->outputs, s->y));
    return EXIT_OK;
}

int samples_load(ntk_ctx *ctx, const struct args *a, const ntk_net *net, bool need_test,
                 struct samples *s)
{
    if (!a->train)
        return usage("--train is missing, e.g. --train digits/train");
    if (need_test && !a->test)
        return usage("--test is missing, e.g. --test digits/test");
    STEP(load_train(ctx, a, s));
    if (a->test) {
        STEP(load(ctx, a, a->test, a->test_limit, &s->test));
        if (s->scaler)
            STEP(standardise(ctx, s->scaler, &s->test));
        flatten(net, s->test, a->test);
    }
    flatten(net, s->train, a->train);
    return make_targets(ctx, a, s);
}

void samples_free(struct samples *s)
{
    ntk_data_free(s->train);
    ntk_data_free(s->train_file);
    ntk_data_free(s->test);
    ntk_scaler_free(s->scaler);
    free(s->y);
}

double accuracy(const ntk_data *labels, const double *f, int64_t n, int64_t outputs)
{
    int64_t columns, right = 0;
    const double *y = ntk_data_y(labels, &columns);

    if (!y || columns != 1)
        return (double)NAN;
    for (int64_t i = 0; i < n; i++) {
        int64_t best = 0;

        for (int64_t k = 1; k < outputs; k++)
            if (f[i * outputs + k] > f[i * outputs + best])
                best = k;
        right += (double)best == y[i];
    }
    return (double)right / (double)n;
}

double mean_squared_error(const double *f, const double *y, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (f[i] - y[i]) * (f[i] - y[i]);
    return sum / (double)n;
}

int check_number(const char *what, double x)
{
    if (isfinite(x))
        return EXIT_OK;
    return failed("the %s is %g: targets or predictions are too large; scale the targets", what,
                  fabs(x));
}

double cross_entropy(const double *f, const double *y, int64_t n, int64_t outputs)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++, f += outputs, y += outputs) {
        double most = f[0], total = 0;

        for (int64_t k = 1; k < outputs; k++)
            most = fmax(most, f[k]);
        for (int64_t k = 0; k < outputs; k++)
            total += exp(f[k] - most);
        for (int64_t k = 0; k < outputs; k++)
            sum -= y[k] * (f[k] - most - log(total));
    }
    return sum / (double)n;
}

int fit_options(const struct args *a, ntk_fit_opts *o)
{
    unsigned get;

    ntk_fit_opts_init(o);
    STEP(parse_get(a->get, &get));
    STEP(parse_dtype(a->dtype, &o->dtype));
    if (get == (NTK_NNGP | NTK_NTK))
        return usage("--get both is for 'ntk kernel'; here it is ntk or nngp");
    o->posterior = get == NTK_NNGP ? NTK_POSTERIOR_NNGP : NTK_POSTERIOR_NTK;
    o->diag_reg = a->diag_reg;
    o->diag_reg_absolute = a->absolute;
    o->diag_reg_spelling = "--diag-reg ";
    o->mean_loss = a->mean;
    return EXIT_OK;
}
