/* SPDX-License-Identifier: MIT
 *
 * samples.c - training and test samples, and their targets.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define MANY_CLASSES 20
#define FAR          3 /* deviations between the targets' mean and 0 */

const char *const standardisations[3] = {"none", "feature", "channel"};

static void flatten(const ntk_net *net, ntk_data *data, const char *source)
{
    const ntk_shape s = ntk_data_shape(data);

    if (!net || s.spatial == 0 || ntk_net_uses_positions(net))
        return;
    note("%s: no layer uses positions, each sample is flattened to %lld numbers", source,
         (long long)(s.h * s.w * s.c));
    ntk_data_flatten(data);
}

int load_x(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
           const ntk_net *net, const ntk_schema *like, ntk_data **data)
{
    struct args with = *a;

    if (columns_of(like))
        with.target = NULL; /* that of the schema, if it is there */
    STEP(load_source(ctx, &with, source, limit, like, data));
    say_source(source, *data, NULL);
    flatten(net, *data, source);
    return EXIT_OK;
}

static int parse_standardize(const char *text, const char *source, ntk_standardize *kind)
{
    int i;

    if (!text && strncmp(source, "cifar10:", 8) == 0)
        text = "channel";
    STEP(parse_word("standardize", text, 3, standardisations, &i));
    *kind = (ntk_standardize)i;
    return EXIT_OK;
}

int standardise(ntk_ctx *ctx, const ntk_scaler *scaler, ntk_data **data)
{
    ntk_data *scaled;

    if (!scaler || ntk_scaler_kind(scaler) == NTK_STD_NONE)
        return EXIT_OK;
    TRY(ctx, ntk_scaler_apply(scaler, *data, &scaled));
    ntk_data_free(*data);
    *data = scaled;
    return EXIT_OK;
}

bool is_table(const ntk_data *data)
{
    const ntk_schema *s = ntk_data_schema(data);

    return s && ntk_schema_table(s);
}

/* How samples are standardised: as those that a network was trained on (known), or as is said, or guessed. */
static int choose_kind(const struct args *a, const ntk_scaler *known, ntk_standardize *kind)
{
    STEP(parse_standardize(a->standardize, a->train, kind));
    if (!known)
        return EXIT_OK;
    if (a->standardize && *kind != ntk_scaler_kind(known))
        return usage("--standardize %s: %s was trained with --standardize %s, and keeps it; leave the option out",
                     standardisations[*kind], a->params, standardisations[ntk_scaler_kind(known)]);
    *kind = ntk_scaler_kind(known);
    return EXIT_OK;
}

/* A standardisation by channel is learned on the whole file, one by feature on the rows used. */
static int load_train(ntk_ctx *ctx, const struct args *a, const ntk_schema *like,
                      const ntk_scaler *known, struct samples *s)
{
    ntk_standardize kind;
    int64_t n;

    STEP(choose_kind(a, known, &kind));
    STEP(load_source(ctx, a, a->train, kind == NTK_STD_CHANNEL && !known ? 0 : a->train_limit, like,
                     &s->train_file));
    if (!a->standardize && !known && is_table(s->train_file))
        kind = NTK_STD_FEATURE;
    STEP(check_scaled(a, kind));
    if (kind != NTK_STD_NONE && !known)
        TRY(ctx, ntk_scaler_fit(kind, s->train_file, a->weights ? ntk_data_part(s->train_file, NTK_PART_WEIGHTS) : NULL,
                                &s->fitted));
    s->scaler = known ? known : s->fitted;
    n = ntk_data_n(s->train_file);
    n = a->train_limit && a->train_limit < n ? a->train_limit : n;
    TRY(ctx, ntk_data_slice(s->train_file, 0, n, &s->train));
    return standardise(ctx, s->scaler, &s->train);
}

/* ---- targets */

static int no_targets(const ntk_ctx *ctx, const struct args *a, const struct samples *s,
                      ntk_status status)
{
    const int code = fail_in(ctx, a->train, status);

    fprintf(stderr, ntk_data_y(s->train, NULL)
                        ? "for regression use --targets raw\n"
                        : "labels are a CSV's target column, the y of an .npz or .h5, or "
                          "come with idx, mnist and cifar10\n");
    return code;
}

/* A label that is no whole number, else any. */
static double example(const double *y, int64_t n, bool *whole)
{
    *whole = false;
    for (int64_t i = 0; i < n; i++)
        if (y[i] > -1e15 && y[i] < 1e15 && y[i] != (double)(int64_t)y[i])
            return y[i];
    *whole = true;
    return y[0];
}

/* Numbers that are hardly names of classes: without --targets they are refused. */
static int check_classes(const struct args *a, const struct samples *s)
{
    const int64_t n = ntk_data_n(s->train);
    const double *labels;
    size_t classes;
    double label;
    bool whole;

    ntk_schema_classes(s->schema, &classes, &labels);
    if (!labels || (ntk_data_schema(s->train) && !is_table(s->train)))
        return EXIT_OK;
    label = example(ntk_data_y(s->train, NULL), n, &whole);
    if (!a->targets && (!whole || (classes > MANY_CLASSES && 2 * (int64_t)classes > n)))
        return usage("%s: the labels are %zu distinct numbers in %lld rows, such as %g: regression? "
                     "--targets raw (if they are classes: --targets centered)",
                     a->train, classes, (long long)n, label);
    if (!whole || classes > MANY_CLASSES)
        note("%s: the labels are %zu distinct numbers, taken as classes; regression? --targets raw",
             a->train, classes);
    return EXIT_OK;
}

int number_labels(ntk_ctx *ctx, const char *source, const ntk_schema *schema, ntk_data *data)
{
    int64_t unseen;
    const ntk_status status = ntk_schema_number(schema, data, &unseen);

    if (status != NTK_OK)
        return fail_in(ctx, source, status);
    if (unseen)
        note("%s: %lld label%s not among the training data's classes, and count%s as wrong", source,
             (long long)unseen, unseen == 1 ? " is" : "s are", unseen == 1 ? "s" : "");
    return EXIT_OK;
}

/* The prior's mean is 0: targets that are far from it are hardly learned by a net that has to reach them first. */
static void say_far(const char *train, const struct samples *s)
{
    const int64_t n = ntk_data_n(s->train);

    for (int64_t k = 0; k < s->outputs; k++) {
        double mean = 0, square = 0;

        for (int64_t i = 0; i < n; i++)
            mean += s->y[i * s->outputs + k] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (s->y[i * s->outputs + k] - mean) * (s->y[i * s->outputs + k] - mean) / (double)n;
        if (mean * mean > FAR * FAR * square && square > 0)
            note("%s: target %lld has mean %.3g and deviation %.3g, and the networks' mean is 0: subtract it first",
                 train, (long long)k, mean, sqrt(square));
    }
}

/* Labels become numbers of classes, and those targets. */
static int make_targets(ntk_ctx *ctx, const struct args *a, const ntk_schema *like, struct samples *s)
{
    const int64_t n = ntk_data_n(s->train);
    char what[100];
    size_t classes;
    ntk_status status;

    STEP(parse_targets(a->targets, &s->targets));
    if (like && s->targets != NTK_RAW)
        STEP(number_labels(ctx, a->train, like, s->train));
    if (s->targets == NTK_RAW && !ntk_data_y(s->train, NULL))
        return usage("%s has no targets", a->train);
    status = ntk_schema_new(s->train, s->targets, &s->schema);
    if (status != NTK_OK)
        return s->targets == NTK_RAW ? fail_in(ctx, a->train, status)
                                     : no_targets(ctx, a, s, status);
    STEP(check_classes(a, s));
    say_source(a->train, s->train_file, s->schema);
    STEP(number_labels(ctx, a->train, s->schema, s->train));
    ntk_schema_classes(s->schema, &classes, NULL);
    ntk_data_y(s->train, &s->outputs);
    if (s->targets != NTK_RAW)
        s->outputs = (int64_t)classes;
    snprintf(what, sizeof what, "a table of %lld x %lld targets", (long long)n, (long long)s->outputs);
    TRY(ctx, ntk_ctx_hold(ctx, (size_t)n * (size_t)s->outputs * sizeof *s->y, what));
    s->y = malloc((size_t)(n * s->outputs) * sizeof *s->y);
    if (!s->y)
        return usage("no memory for the targets");
    TRY(ctx, ntk_data_targets(s->train, s->targets, s->outputs, s->y));
    if (s->targets == NTK_RAW)
        say_far(a->train, s);
    return EXIT_OK;
}

/* Columns are matched with those of the training data. */
static int load_test(ntk_ctx *ctx, const struct args *a, struct samples *s)
{
    struct args with = *a;

    with.weights = with.noise = NULL; /* of training samples */
    if (is_table(s->train_file))
        with.target = NULL;
    STEP(load_source(ctx, &with, a->test, a->test_limit, ntk_data_schema(s->train_file), &s->test));
    say_source(a->test, s->test, NULL);
    STEP(standardise(ctx, s->scaler, &s->test));
    return number_labels(ctx, a->test, s->schema, s->test);
}

int samples_load(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const ntk_params *params,
                 bool need_test, struct samples *s)
{
    const ntk_schema *like = params ? ntk_params_schema(params) : NULL;

    if (!a->train)
        return usage("--train is missing, e.g. --train digits/train");
    if (need_test && !a->test)
        return usage("--test is missing, e.g. --test digits/test");
    STEP(load_train(ctx, a, like, params ? ntk_params_scaler(params) : NULL, s));
    flatten(net, s->train, a->train);
    STEP(augment_train(ctx, a, &s->train));
    STEP(make_targets(ctx, a, like, s));
    if (!a->test)
        return EXIT_OK;
    STEP(load_test(ctx, a, s));
    flatten(net, s->test, a->test);
    return EXIT_OK;
}

int samples_load_x(ntk_ctx *ctx, const struct args *a, const ntk_net *net, struct samples *s)
{
    struct args with = *a;

    STEP(load_train(ctx, a, NULL, NULL, s));
    say_source(a->train, s->train_file, NULL);
    flatten(net, s->train, a->train);
    STEP(augment_train(ctx, a, &s->train));
    if (!a->test)
        return EXIT_OK;
    if (is_table(s->train_file))
        with.target = NULL;
    STEP(load_source(ctx, &with, a->test, a->test_limit, ntk_data_schema(s->train_file), &s->test));
    say_source(a->test, s->test, NULL);
    STEP(standardise(ctx, s->scaler, &s->test));
    flatten(net, s->test, a->test);
    return EXIT_OK;
}

void samples_free(struct samples *s)
{
    ntk_data_free(s->train);
    ntk_data_free(s->train_file);
    ntk_data_free(s->test);
    ntk_scaler_free(s->fitted);
    ntk_schema_free(s->schema);
    free(s->y);
}

void json_samples(struct json *j, const struct args *a, const struct samples *s)
{
    json_source(j, "train", a->train, s->train_file, s->schema);
    if (s->test)
        json_source(j, "test", a->test, s->test, NULL);
}
