/* SPDX-License-Identifier: MIT
 *
 * options.c - all options: their names, types, help and where they go.
 */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum kind {
    TEXT,
    NUMBER,
    INTEGER,
    COUNT,
    FLAG,
    MAYBE,
    NET
}; /* INTEGER: from 1; COUNT: from 0; MAYBE: a text, "" if there is none */

struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *value; /* how the help calls it */
    const char *help;
};

#define AT(field) offsetof(struct args, field)

static const struct option options[] = {
    {"net", NET, 0, "SPEC", "architecture: the text itself, or @FILE; may be given several times"},
    {"train", TEXT, AT(train), "DATA", "training samples with labels or targets"},
    {"test", TEXT, AT(test), "DATA", "test samples"},
    {"x", TEXT, AT(x), "DATA", "samples"},
    {"x1", TEXT, AT(x1), "DATA", "samples of the kernel's rows"},
    {"x2", TEXT, AT(x2), "DATA", "samples of its columns; default: those of the rows"},
    {"model", TEXT, AT(model), "FILE", "a model saved by 'ntk fit'"},
    {"train-limit", INTEGER, AT(train_limit), "N", "only the first N training samples (rows)"},
    {"test-limit", INTEGER, AT(test_limit), "N", "only the first N test samples (columns)"},
    {"get", TEXT, AT(get), "K", "ntk (default), nngp; for 'ntk kernel' also both, for 'ntk net' both is the default"},
    {"dtype", TEXT, AT(dtype), "T", "kernel entries in float64 (default) or float32"},
    {"standardize", TEXT, AT(standardize), "S",
     "none, feature or channel; default: channel for cifar10, feature for tables, else none"},
    {"targets", TEXT, AT(targets), "T",
     "centered (default: 1 - 1/c and -1/c), onehot (1 and 0) or raw (regression)"},
    {"target", TEXT, AT(target), "COL,COL",
     ".csv: names or numbers (from 0) of target columns, or none"},
    {"header", TEXT, AT(header), "H", ".csv: whether the first line is one: auto (default), yes or no"},
    {"drop", TEXT, AT(drop), "COL,COL", ".csv: columns that are left out"},
    {"features", TEXT, AT(features), "COL,COL", ".csv: columns that are features; default: all others"},
    {"diag-reg", TEXT, AT(diag_reg), "R",
     "ridge, times the mean of the kernel's diagonal; default 0; auto: by leave-one-out; 'ntk eval': R,R,..."},
    {"weights", TEXT, AT(weights), "COL",
     ".csv: the column of the training samples' weights, 0 or more; .npz, .h5: weights"},
    {"noise", TEXT, AT(noise), "COL", ".csv: the column of the variances of the targets' noise; .npz, .h5: noise"},
    {"absolute", FLAG, AT(absolute), NULL, "take --diag-reg as it is"},
    {"solver", TEXT, AT(solver), "NAME",
     "cholesky (default), mixed, cg, eigen, lanczos, out-of-core, landmarks; default, where memory does not hold its factor: "
     "mixed or cg"},
    {"tolerance", NUMBER, AT(tolerance), "T", "largest residual of cg (default 1e-3) and lanczos, of the targets' norm"},
    {"rank", INTEGER, AT(rank), "R", "of cg's preconditioner; default: a tenth of the samples, at most 1000 or 2000"},
    {"triangle", TEXT, AT(triangle), "T", "how cg keeps the kernel matrix: float64, float32, int16 or none; default: as memory allows"},
    {"augment", TEXT, AT(augment), "LIST",
     "of training images: flip, flip-rows, rotate: fit all these copies, too; shift=P: new samples, P pixels to all sides"},
    {"copies", INTEGER, AT(copies), "C", "shifted copies of a sample, itself among them, drawn by --seed; default: all"},
    {"average", TEXT, AT(average), "shift=P", "predictions are means over the shifted copies of a test image"},
    {"scratch", TEXT, AT(scratch), "DIR",
     "where out-of-core has its factor; default: beside --kernel, else $TMPDIR or /var/tmp"},
    {"landmarks", INTEGER, AT(landmarks), "M",
     "of --solver landmarks: sums over M of the samples; default: what memory allows, at most 5000"},
    {"time", NUMBER, AT(time), "T", "training time; default inf"},
    {"times", TEXT, AT(times), "T,T,...", "training times; inf is allowed (ntk bench: how many)"},
    {"loss", TEXT, AT(loss), "L", "mse (default), xent: cross-entropy"},
    {"mean", FLAG, AT(mean), NULL, "time of the loss that is a mean over entries, not a sum"},
    {"std", FLAG, AT(std), NULL, "standard deviations of the predictions, too"},
    {"proba", FLAG, AT(proba), NULL, "class probabilities in place of outputs"},
    {"loo", FLAG, AT(leave_one_out), NULL, "leave-one-out accuracy and error, too"},
    {"evidence", FLAG, AT(evidence), NULL, "with cg: the log likelihood, estimated, with its standard error, too"},
    {"factor", FLAG, AT(factor), NULL, "save the factorisation: a larger file, faster --std"},
    {"n", INTEGER, AT(n), "N", "number of (training) samples"},
    {"m", INTEGER, AT(m), "M", "number of test samples"},
    {"d", INTEGER, AT(d), "D", "number of features (conv: rows and columns of the images)"},
    {"outputs", INTEGER, AT(outputs), "C", "number of outputs"},
    {"repeat", INTEGER, AT(repeat), "R", "runs, of which the median is reported"},
    {"data", TEXT, AT(data), "DIR", "directory of the data set's own files"},
    {"depths", TEXT, AT(depths), "D,D,...", "depths of the networks; default 3,4,6,11,21"},
    {"columns", TEXT, AT(columns), "C",
     "v (default), gap or v,gap: networks that flatten, or pool globally"},
    {"input-shape", TEXT, AT(input_shape), "SHAPE", "of a sample: 784, 100,4 or 32,32,3"},
    {"ranks", INTEGER, AT(ranks), "R", "processes that share the kernel's pairs, each on such a machine; default 1"},
    {"graph", MAYBE, AT(graph), "[dot]",
     "the graph of operations; dot: for Graphviz's dot -Tsvg"},
    {"count", INTEGER, AT(count), "M", "number of random features; default 2048"},
    {"seed", COUNT, AT(seed), "S", "of the random numbers, from 0; default 0"},
    {"params", TEXT, AT(params), "FILE", "parameters of a finite network: 'ntk init', 'ntk train'"},
    {"full", FLAG, AT(full), NULL, "all pairs of outputs: [n1][n2][c][c]"},
    {"trace", FLAG, AT(trace), NULL, "the mean over equal outputs: [n1][n2] (ntk empirical: default)"},
    {"diagonal", FLAG, AT(diagonal), NULL, "equal outputs: [n1][n2][c]"},
    {"networks", INTEGER, AT(networks), "R",
     "the mean over R networks of the seed and its standard error"},
    {"steps", INTEGER, AT(steps), "N", "steps of gradient descent"},
    {"lr", TEXT, AT(lr), "L",
     "learning rate; auto:F: F times the largest stable one at the start; default: auto:0.5"},
    {"batch", INTEGER, AT(batch), "B", "samples of a step; default: all"},
    {"momentum", NUMBER, AT(momentum), "M", "0 (default) to below 1"},
    {"rtol", NUMBER, AT(rtol), "R", "relative tolerance of what is integrated; default 1e-6"},
    {"atol", NUMBER, AT(atol), "A", "absolute tolerance of what is integrated; default 1e-8"},
    {"multiplier", NUMBER, AT(multiplier), "S", "outputs are multiplied with it; default 1"},
    {"every", INTEGER, AT(every), "E",
     "steps from one record to the next; default: a fiftieth of all"},
    {"log", TEXT, AT(log), "FILE",
     ".csv of records (- is standard output): step, loss, accuracies, distance from the start"},
    {"record", TEXT, AT(record), "FILE", ".npz or .h5 of records: step, f_train, f_test"},
    {"kernels", FLAG, AT(kernels), NULL, "in --record: the tangent kernel at each record, too"},
    {"checkpoint", TEXT, AT(checkpoint), "FILE",
     "state of the run (ntk train), of cg's solution or of landmarks' sums, on the way; if it is there, the work goes on from it"},
    {"quick", FLAG, AT(quick), NULL, "small, in seconds, to see how it works"},
    {"kernel", TEXT, AT(kernel), "FILE",
     ".h5, a store of 'ntk kernel': its matrix is read; what it lacks, or the file, is computed into it"},
    {"info", TEXT, AT(info), "FILE", "what a store has, and how much of it is there"},
    {"verify", TEXT, AT(verify), "FILE", "check all tiles of a store by their checksums"},
    {"mend", TEXT, AT(mend), "FILE",
     "take wrong tiles out of a store: the command that made it computes them again"},
    {"out", TEXT, AT(out), "FILE", "where the result goes"},
    {"json", FLAG, AT(json), NULL, "report as JSON on one line"},
    {"quiet", FLAG, AT(quiet), NULL, "no notes and no progress"},
    {"threads", INTEGER, AT(threads), "N", "threads; default: all processors"},
    {"memory", TEXT, AT(memory), "SIZE", "refuse work that needs more, e.g. 8G"},
    {"isa", TEXT, AT(isa), "NAME", "instruction set; default: the best"},
    {"backend", TEXT, AT(backend), "NAME", "who computes kernels: cpu (default), reference (slow; to check)"},
    {"force", FLAG, AT(force), NULL, "a slow --backend may take more than a minute"},
    {"help", FLAG, AT(help), NULL, "this text"},
};
#define N_OPTIONS (sizeof options / sizeof *options)

static const char common[] = "json quiet threads memory isa help";

static bool listed(const char *list, const char *name)
{
    const size_t n = strlen(name);

    for (const char *p = strstr(list, name); p; p = strstr(p + 1, name))
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

static bool accepts(const struct command *c, const struct option *o)
{
    return listed(c->options, o->name) || listed(common, o->name);
}

void options_help(const struct command *c, FILE *f)
{
    fprintf(f, "ntk %s: %s\n\nusage: ntk %s%s%s [OPTIONS]\n\n", c->name, c->summary, c->name,
            *c->words ? " " : "", c->words);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];
        char head[40];

        if (!accepts(c, o))
            continue;
        snprintf(head, sizeof head, "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        fprintf(f, "    %-20s %s\n", head, o->help);
    }
    if (listed(c->options, "train") || listed(c->options, "x1") || listed(c->options, "x"))
        fprintf(f, "\nDATA: digits[/train|/test], FILE.csv, FILE.npy, FILE.npz, FILE.h5, an idx file, "
                   "mnist:DIR/train|test,\ncifar10:DIR/train|test, or - for standard input\n");
    fprintf(f, "\nexample: %s\n", c->example);
}

/* How alike two short words are: length of the common start, counted both ways. */
static size_t likeness(const char *a, const char *b)
{
    size_t start = 0, end = 0;
    const size_t n = strlen(a), m = strlen(b);

    while (a[start] && a[start] == b[start])
        start++;
    while (end < n - start && end < m - start && a[n - 1 - end] == b[m - 1 - end])
        end++;
    return start + end;
}

const char *nearest(const char *name, size_t n, const char *(*candidate)(size_t i))
{
    const char *best = NULL;
    size_t most = strlen(name) / 2;

    for (size_t i = 0; i < n; i++)
        if (likeness(name, candidate(i)) > most) {
            best = candidate(i);
            most = likeness(name, best);
        }
    return best;
}

static const char *option_name(size_t i) { return options[i].name; }

static int unknown(const char *name)
{
    const char *near = nearest(name, N_OPTIONS, option_name);

    if (near && strcmp(near, name) == 0)
        return usage("option --%s belongs to other commands", name);
    if (near)
        return usage("unknown option --%s; did you mean --%s?", name, near);
    return usage("unknown option --%s", name);
}

static int store(const struct option *o, const char *value, struct args *a)
{
    void *field = (char *)a + o->offset;
    char *end;

    switch (o->kind) {
    case NET:
        if (a->n_nets == NETS_MAX)
            return usage("at most %d --net are allowed", NETS_MAX);
        a->nets[a->n_nets++] = value;
        return EXIT_OK;
    case MAYBE:
    case TEXT:
        if (*(const char **)field && strcmp(o->value, "COL,COL") == 0)
            return usage("--%s is given twice: one list has all columns, as in --%s %s,%s", o->name, o->name,
                         *(const char **)field, value);
        *(const char **)field = value;
        return EXIT_OK;
    case FLAG:
        *(bool *)field = true;
        return EXIT_OK;
    case NUMBER:
        *(double *)field = strtod(value, &end);
        if (end == value || *end || isnan(*(double *)field) || *(double *)field < 0)
            return usage("--%s must be a number >= 0, got '%s'", o->name, value);
        return EXIT_OK;
    default:
        errno = 0;
        *(int64_t *)field = strtoll(value, &end, 10);
        if (end == value || *end || errno || *(int64_t *)field < (o->kind == COUNT ? 0 : 1))
            return usage("--%s must be an integer >= %d, got '%s'", o->name,
                         o->kind == COUNT ? 0 : 1, value);
        return EXIT_OK;
    }
}

/* One "--name", "--name=value" or "--name value"; *used is how many of argv it took. */
static int parse_option(const struct command *c, int argc, char **argv, struct args *a, int *used)
{
    char name[64];
    const char *word = argv[0] + 2, *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
    const struct option *o = NULL;

    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - word) : 60, word);
    for (size_t i = 0; i < N_OPTIONS && !o; i++)
        if (strcmp(options[i].name, name) == 0 && accepts(c, &options[i]))
            o = &options[i];
    if (!o)
        return unknown(name);
    *used = 1;
    if (o->kind == FLAG) {
        if (value)
            return usage("--%s takes no value", name);
    } else if (!value && o->kind == MAYBE && (argc < 2 || *argv[1] == '-')) {
        value = "";
    } else if (!value) {
        if (argc < 2)
            return usage("--%s needs a value: %s", name, o->value);
        value = argv[1];
        *used = 2;
    }
    return store(o, value, a);
}

int options_parse(const struct command *c, int argc, char **argv, struct args *a)
{
    bool only_words = false;

    *a = (struct args){.time = (double)INFINITY, .multiplier = (double)NAN};
    for (int i = 0, used = 1; i < argc; i += used, used = 1) {
        const char *word = argv[i];

        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(word, "-h") == 0) {
            a->help = true;
        } else if (!only_words && strncmp(word, "--", 2) == 0) {
            STEP(parse_option(c, argc - i, argv + i, a, &used));
        } else {
            if (!*c->words || a->n_words == 1)
                return usage("unexpected argument '%s'", word);
            a->words[a->n_words++] = word;
        }
    }
    return EXIT_OK;
}
