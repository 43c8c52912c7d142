/* SPDX-License-Identifier: MIT
 *
 * common.c - what several commands do: nets, words, figures, options of a fit.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool ends_with(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);

    return n >= m && strcmp(path + n - m, end) == 0;
}

#define NET_MAX ((size_t)1 << 20) /* bytes of a net's file: no text is longer, a device may be */

/* The text of a net's file, to be freed. */
static int read_net(const char *path, char **text)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0;
    int code = EXIT_OK;

    *text = calloc(NET_MAX + 1, 1);
    if (f && *text) {
        errno = 0;
        n = fread(*text, 1, NET_MAX + 1, f);
    }
    if (!f || !*text || ferror(f))
        code = usage("cannot read the net %s: %s", path, strerror(errno));
    else if (n > NET_MAX)
        code = usage("the net %s has more than %zu bytes", path, NET_MAX);
    else if (strlen(*text) < n)
        code = usage("the net %s has a NUL byte: this is no text", path);
    if (f)
        fclose(f);
    if (code != EXIT_OK)
        free(*text);
    return code;
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
    STEP(read_net(spec + 1, &text));
    status = ntk_net_parse(ctx, text, net);
    free(text);
    TRY(ctx, status);
    return EXIT_OK;
}

/* ---- shapes */

/* The sizes of a sample; how many. */
static int sizes(ntk_shape s, int64_t size[3])
{
    const int64_t all[] = {s.h, s.w, s.c};

    memcpy(size, all + 2 - s.spatial, (size_t)(s.spatial + 1) * sizeof *size);
    return s.spatial + 1;
}

void print_shape(const char *before, ntk_shape s)
{
    int64_t size[3];
    const int ndim = sizes(s, size);

    for (int k = 0; k < ndim; k++)
        printf("%s%lld", k ? " x " : before, (long long)size[k]);
    putchar('\n');
}

void json_shape(struct json *j, const char *key, ntk_shape s)
{
    int64_t size[3];
    const int ndim = sizes(s, size);

    json_open(j, key, '[');
    for (int k = 0; k < ndim; k++)
        json_integer(j, NULL, size[k]);
    json_close(j, ']');
}

/* ---- words */

int parse_word(const char *option, const char *text, int n, const char *const *words, int *index)
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

    STEP(parse_word("dtype", text, 2, words, &i));
    *dtype = i ? NTK_F32 : NTK_F64;
    return EXIT_OK;
}

int parse_get(const char *text, unsigned *get)
{
    static const char *const words[] = {"ntk", "nngp", "both"};
    static const unsigned masks[] = {NTK_NTK, NTK_NNGP, NTK_NTK | NTK_NNGP};
    int i;

    STEP(parse_word("get", text, 3, words, &i));
    *get = masks[i];
    return EXIT_OK;
}

int parse_targets(const char *text, ntk_targets *targets)
{
    static const char *const words[] = {"centered", "onehot", "raw"};
    static const ntk_targets kinds[] = {NTK_CENTERED, NTK_ONEHOT, NTK_RAW};
    int i;

    STEP(parse_word("targets", text, 3, words, &i));
    *targets = kinds[i];
    return EXIT_OK;
}

/* Numbers from 0 to most, separated by commas, into a new array; a refusal says what they must be and, of several, which
 * is not. */
static int parse_numbers(const char *must, const char *text, double most, double **numbers, size_t *n)
{
    const char *p = text;
    char *end;

    *numbers = malloc((strlen(text) + 1) * sizeof **numbers);
    if (!*numbers)
        return usage("no memory");
    for (*n = 0;; p = end + 1) {
        const double x = strtod(p, &end);
        const int length = (int)strcspn(p, ",");

        if (length == 0 || end != p + length || !(x >= 0 && x <= most)) {
            free(*numbers);
            *numbers = NULL;
            return strchr(text, ',') ? usage("%s, got '%s', of which number %zu is '%.*s'", must, text, *n + 1, length, p)
                                     : usage("%s, got '%s'", must, text);
        }
        (*numbers)[(*n)++] = x;
        if (!*end)
            return EXIT_OK;
    }
}

int parse_times(const char *text, double **times, size_t *n)
{
    if (!text)
        return usage("--times is missing, e.g. --times 0.1,1,10,inf");
    return parse_numbers("--times must be numbers >= 0 separated by commas", text, (double)INFINITY, times, n);
}

/* ---- figures of predictions */

double weighted_accuracy(const ntk_data *labels, const double *f, const double *weights, int64_t n, int64_t outputs)
{
    int64_t columns;
    double right = 0, all = 0;
    const double *y = ntk_data_y(labels, &columns);

    if (!y || columns != 1)
        return (double)NAN;
    for (int64_t i = 0; i < n; i++) {
        const double w = weights ? weights[i] : 1;
        int64_t best = 0;

        for (int64_t k = 1; k < outputs; k++)
            if (f[i * outputs + k] > f[i * outputs + best])
                best = k;
        right += (double)best == y[i] ? w : 0;
        all += w;
    }
    return right / all;
}

double accuracy(const ntk_data *labels, const double *f, int64_t n, int64_t outputs)
{
    return weighted_accuracy(labels, f, NULL, n, outputs);
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

int parse_ridges(const char *text, double **ridges, size_t *n)
{
    const bool automatic = text && strcmp(text, "auto") == 0;

    STEP(parse_numbers("--diag-reg must be a number >= 0, numbers with commas between (ntk eval), or auto",
                       text && !automatic ? text : "0", DBL_MAX, ridges, n));
    if (automatic)
        (*ridges)[0] = NTK_DIAG_REG_AUTO;
    return EXIT_OK;
}

int parse_ridge(const char *text, double *ridge)
{
    double *ridges = NULL;
    size_t n;

    STEP(parse_ridges(text, &ridges, &n));
    *ridge = ridges[0];
    free(ridges);
    return n == 1 ? EXIT_OK : usage("--diag-reg: one number or auto, got '%s'; 'ntk eval' takes several", text);
}

bool ridge_is_chosen(const struct args *a)
{
    return a->diag_reg && strcmp(a->diag_reg, "auto") == 0;
}

/* Which column of a table, was said with the others. */
static void say_own(const char *train, const char *name, bool table, int64_t n, const double *x)
{
    int64_t zeros = 0;

    for (int64_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    if (!table)
        note("%s: %s from the array '%s'", train, name, name);
    if (zeros && strcmp(name, "weights") == 0)
        note("%s: %lld sample%s left out, of weight 0", train, (long long)zeros, zeros == 1 ? " is" : "s are");
}

/* A number of each training sample, if it is asked for: a column of a table, of other files the array of that name. */
static int own_number(const struct args *a, const struct samples *s, const char *name, const char *asked, ntk_part part,
                      const double **numbers)
{
    const double *there = ntk_data_part(s->train, part);

    if (asked && !there)
        return usage("--%s: %s has none: they are a column of a table, or the array '%s' of .npz or .h5", name, a->train,
                     name);
    if (asked && !is_table(s->train_file) && strcmp(asked, name) != 0)
        return usage("--%s: %s has them in the array '%s', got '%s'", name, a->train, name, asked);
    if (!asked && there)
        note("%s has %s, which --%s %s would use", a->train, name, name, name);
    if (asked)
        say_own(a->train, name, is_table(s->train_file), ntk_data_n(s->train), there);
    *numbers = asked ? there : NULL;
    return EXIT_OK;
}

static int own_numbers(const struct args *a, const struct samples *s, ntk_fit_opts *o)
{
    if (!s->train) /* samples that are only planned */
        return a->weights || a->noise ? usage("--%s is of data: --train is a number, or missing", a->weights ? "weights" : "noise")
                                      : EXIT_OK;
    STEP(own_number(a, s, "weights", a->weights, NTK_PART_WEIGHTS, &o->weights));
    return own_number(a, s, "noise", a->noise, NTK_PART_NOISE, &o->noise);
}

int check_no_weights(const struct args *a, const char *option)
{
    if (!a->weights && !a->noise)
        return EXIT_OK;
    return usage("--%s is for 'ntk fit' and 'ntk eval', at t = infinity: with --%s what is added to the diagonal must be the "
                 "same for all samples (--diag-reg)",
                 a->weights ? "weights" : "noise", option);
}

bool by_landmarks(const struct args *a) { return a->solver && strcmp(a->solver, "landmarks") == 0; }

int fit_options(const struct args *a, const struct samples *s, ntk_fit_opts *o)
{
    double *ridges = NULL;
    size_t n;
    unsigned get;

    ntk_fit_opts_init(o);
    STEP(parse_get(a->get, &get));
    STEP(parse_dtype(a->dtype, &o->dtype));
    if (get == (NTK_NNGP | NTK_NTK))
        return usage("--get both is for 'ntk kernel'; here it is ntk or nngp");
    o->posterior = get == NTK_NNGP ? NTK_POSTERIOR_NNGP : NTK_POSTERIOR_NTK;
    STEP(parse_ridges(a->diag_reg, &ridges, &n));
    o->diag_reg = ridges[0];
    free(ridges);
    o->diag_reg_absolute = a->absolute;
    o->diag_reg_spelling = "--diag-reg ";
    o->mean_loss = a->mean;
    o->solver = a->solver;
    o->tolerance = a->tolerance;
    o->rank = a->rank;
    o->triangle = a->triangle;
    o->checkpoint = a->checkpoint;
    o->landmarks = a->landmarks;
    o->store = a->kernel;
    o->scratch = a->scratch;
    return own_numbers(a, s, o);
}
