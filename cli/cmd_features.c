/* SPDX-License-Identifier: MIT
 *
 * ntk features: random features of training samples to a file, how far they are from the exact kernel, and ridge regression
 * on them, tested on others.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli.h"

#define COUNT   2048 /* default of --count */
#define CHECKED 500  /* samples on which features are compared with the kernel */

struct result {
    double diag_reg, accuracy, mse;
};

struct job {
    const struct args *a;
    ntk_net *net;
    struct samples s;
    ntk_feature_map *map;
    double *ridges, *coef, *f, *y; /* coef [count][outputs]; f, y [test][outputs] */
    size_t n_ridges;
    struct result *r; /* [n_ridges] */
    double frobenius, largest, setup, apply, fit;
};

/* ---- the work */

static int make_map(ntk_ctx *ctx, struct job *j)
{
    const int64_t count = j->a->count ? j->a->count : COUNT;
    double start = ntk_seconds();
    unsigned get;

    STEP(parse_get(j->a->get, &get));
    if (get == (NTK_NNGP | NTK_NTK))
        return usage("--get both is for 'ntk kernel'; here it is ntk or nngp");
    TRY(ctx, ntk_feature_map_new(ctx, j->net, get, j->s.train, count, (uint64_t)j->a->seed, &j->map));
    j->setup = ntk_seconds() - start;
    TRY(ctx, ntk_feature_map_error(j->map, j->s.train, CHECKED, &j->frobenius, &j->largest));
    return EXIT_OK;
}

static int make_room(ntk_ctx *ctx, struct job *j)
{
    const size_t outputs = (size_t)j->s.outputs, tests = (size_t)ntk_data_n(j->s.test) * outputs;
    const size_t numbers = (size_t)ntk_feature_map_count(j->map) * outputs;

    TRY(ctx, ntk_ctx_hold(ctx, ntk_bytes(8.0 * ((double)numbers + 2 * (double)tests)), "a table of predictions"));
    j->coef = malloc(numbers * sizeof *j->coef);
    j->f = malloc(tests * sizeof *j->f);
    j->y = malloc(tests * sizeof *j->y);
    j->r = calloc(j->n_ridges, sizeof *j->r);
    return j->coef && j->f && j->y && j->r ? EXIT_OK : usage("no memory for the predictions");
}

static int score(ntk_ctx *ctx, struct job *j, struct result *r)
{
    const struct samples *s = &j->s;
    const int64_t m = ntk_data_n(s->test);

    TRY(ctx, ntk_feature_map_predict(j->map, s->test, s->outputs, j->coef, j->f));
    r->mse = mean_squared_error(j->f, j->y, m * s->outputs);
    r->accuracy = s->targets == NTK_RAW ? (double)NAN : accuracy(s->test, j->f, m, s->outputs);
    return check_number("mean squared error", r->mse);
}

static int solve_all(ntk_ctx *ctx, struct job *j, ntk_feature_ridge *ridge)
{
    double start = ntk_seconds();

    TRY(ctx, ntk_feature_ridge_add(ridge, j->s.train, j->s.y));
    j->fit = ntk_seconds() - start;
    for (size_t k = 0; k < j->n_ridges; k++) {
        start = ntk_seconds();
        TRY(ctx, ntk_feature_ridge_solve(ridge, j->ridges[k], j->a->absolute, j->coef, &j->r[k].diag_reg));
        j->fit += ntk_seconds() - start;
        STEP(score(ctx, j, &j->r[k]));
    }
    return EXIT_OK;
}

static int evaluate(ntk_ctx *ctx, struct job *j)
{
    ntk_feature_ridge *ridge;
    int64_t columns;
    int code;

    if (!ntk_data_y(j->s.test, &columns))
        return usage("%s has no labels or targets", j->a->test);
    if (j->s.targets == NTK_RAW && columns != j->s.outputs)
        return usage("training targets have %lld columns, test targets %lld", (long long)j->s.outputs, (long long)columns);
    STEP(make_room(ctx, j));
    if (ntk_data_targets(j->s.test, j->s.targets, j->s.outputs, j->y) != NTK_OK)
        return fail_in(ctx, j->a->test, NTK_EINVAL);
    TRY(ctx, ntk_feature_ridge_new(j->map, j->s.outputs, ridge_is_chosen(j->a), &ridge));
    code = solve_all(ctx, j, ridge);
    ntk_feature_ridge_free(ridge);
    return code;
}

/* ---- reports */

static void print_text(const struct job *j)
{
    const bool classes = j->s.targets != NTK_RAW;

    printf("net                %s\n", j->a->nets[0]);
    printf("features           %lld of %lld samples\n", (long long)ntk_feature_map_count(j->map),
           (long long)ntk_data_n(j->s.train));
    printf("error              %.3g of the exact kernel's norm, at most %.3g of an entry (%lld samples)\n", j->frobenius,
           j->largest, (long long)ntk_least(CHECKED, ntk_data_n(j->s.train)));
    for (size_t k = 0; j->a->test && k < j->n_ridges; k++) {
        printf("diag_reg %-9.3g ", j->r[k].diag_reg);
        if (classes)
            printf(" accuracy %.2f %%,", 100 * j->r[k].accuracy);
        printf(" mean squared error %.6g%s\n", j->r[k].mse,
               k == 0 && ridge_is_chosen(j->a) ? " (chosen on samples held out)" : "");
    }
    printf("seconds            %.2f setup", j->setup);
    if (j->a->out)
        printf(", %.2f features (%.3g a sample)", j->apply, j->apply / (double)ntk_data_n(j->s.train));
    printf(j->a->test ? ", %.2f fit\n" : "\n", j->fit);
}

static void print_json(const struct job *j)
{
    struct json json = {.f = stdout};

    json_open(&json, NULL, '{');
    json_text(&json, "net", j->a->nets[0]);
    json_integer(&json, "count", ntk_feature_map_count(j->map));
    json_integer(&json, "n_train", ntk_data_n(j->s.train));
    json_number(&json, "frobenius", j->frobenius);
    json_number(&json, "largest", j->largest);
    if (j->a->test)
        json_open(&json, "ridges", '[');
    for (size_t k = 0; j->a->test && k < j->n_ridges; k++) {
        json_open(&json, NULL, '{');
        json_number(&json, "diag_reg", j->r[k].diag_reg);
        if (j->s.targets != NTK_RAW)
            json_number(&json, "accuracy", j->r[k].accuracy);
        json_number(&json, "mse", j->r[k].mse);
        json_close(&json, '}');
    }
    if (j->a->test)
        json_close(&json, ']');
    json_open(&json, "seconds", '{');
    json_number(&json, "setup", j->setup);
    if (j->a->out)
        json_number(&json, "features", j->apply);
    if (j->a->test)
        json_number(&json, "fit", j->fit);
    json_close(&json, '}');
    json_samples(&json, j->a, &j->s);
    if (j->a->out)
        json_text(&json, "out", j->a->out);
    json_close(&json, '}');
    putchar('\n');
}

/* ---- the command */

static int write_features(ntk_ctx *ctx, struct job *j)
{
    double start = ntk_seconds();

    TRY(ctx, ntk_feature_map_write(j->map, j->s.train, j->a->out));
    j->apply = ntk_seconds() - start;
    return EXIT_OK;
}

static int check_options(const struct args *a)
{
    if (!a->train)
        return usage("--train is missing, e.g. --train digits/train");
    if (!a->test && !a->out)
        return usage("nothing is asked for: --out FILE.npy for features of --train, --test for ridge regression on them");
    if (!a->test && (a->diag_reg || a->absolute))
        return usage("--diag-reg is for ridge regression, which needs --test");
    if (a->n_nets > 1)
        return usage("features are of one --net");
    if (a->out && !ends_with(a->out, ".npy") && strcmp(a->out, "-") != 0)
        return usage("--out must end with .npy, or be - for standard output, got '%s'", a->out);
    return a->out ? check_output(a->out) : EXIT_OK;
}

static int run(ntk_ctx *ctx, const struct args *a, struct job *j)
{
    STEP(check_options(a));
    STEP(parse_ridges(a->diag_reg, &j->ridges, &j->n_ridges));
    STEP(parse_net(ctx, a, 0, &j->net));
    if (a->test)
        STEP(samples_load(ctx, a, j->net, NULL, true, &j->s));
    else
        STEP(samples_load_x(ctx, a, j->net, &j->s));
    STEP(make_map(ctx, j));
    if (a->out)
        STEP(write_features(ctx, j));
    if (a->test)
        STEP(evaluate(ctx, j));
    if (a->json)
        print_json(j);
    else if (!a->out || strcmp(a->out, "-") != 0)
        print_text(j);
    return EXIT_OK;
}

int cmd_features(ntk_ctx *ctx, const struct args *a);
int cmd_features(ntk_ctx *ctx, const struct args *a)
{
    struct job j = {.a = a};
    const int code = run(ctx, a, &j);

    ntk_feature_map_free(j.map);
    samples_free(&j.s);
    ntk_net_free(j.net);
    free(j.ridges);
    free(j.coef);
    free(j.f);
    free(j.y);
    free(j.r);
    return code;
}
