/* SPDX-License-Identifier: MIT
 *
 * cli.h - what the commands share. A command is a file cmd_NAME.c and a line in commands.def; its
 * options are named there and described once for all commands in options.c.
 */
#ifndef NTK_CLI_H
#define NTK_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/outfile.h"
#include "ntk.h"

/* Exit codes. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

#define NETS_MAX 64

/* Every option of every command; a command reads those it accepts. */
struct args {
    const char *nets[NETS_MAX]; /* --net, in order */
    size_t n_nets;
    const char *x, *x1, *x2, *train, *test, *model, *kernel, *out, *params;
    const char *info, *verify, *mend; /* stores */
    const char *get, *dtype, *standardize, *targets, *target, *header, *drop, *features, *loss, *times;
    int64_t train_limit, test_limit, repeat, n, m, d, outputs;
    const char *diag_reg, *weights, *noise, *solver;
    const char *augment, *average;
    int64_t copies;
    const char *scratch;
    double time, tolerance;
    int64_t rank, ranks, landmarks;
    const char *triangle;
    const char *data, *depths, *columns;
    const char *input_shape, *graph, *lr, *log, *record, *checkpoint;
    int64_t count, seed, networks, steps, batch, every;
    double momentum, multiplier, rtol, atol; /* multiplier: NAN: not given */
    bool full, trace, diagonal, kernels;
    bool absolute, mean, std, proba, leave_one_out, evidence, factor, quick, json, quiet, help;
    int64_t threads;
    bool force;
    const char *memory, *isa, *backend;
    const char *words[4]; /* arguments that are not options */
    int n_words;
};

struct command {
    const char *name, *summary;
    const char *words;   /* what it takes besides options, "" or e.g. "[NAME]" */
    const char *options; /* names it accepts, separated by blanks */
    const char *example; /* one that runs as it is */
    int (*run)(ntk_ctx *ctx, const struct args *args);
};
extern const struct command commands[];
extern const size_t n_commands;

/* ---- options.c */
/* Fills in args from argv after the command's name; an exit code, EXIT_OK to go on. */
int options_parse(const struct command *command, int argc, char **argv, struct args *args);
void options_help(const struct command *command, FILE *f);
/* The one of n candidates that is most like a misspelt name, or NULL. */
const char *nearest(const char *name, size_t n, const char *(*candidate)(size_t i));

/* ---- messages and progress (report.c) */
/* "ntk NAME: <the context's message>" on stderr; the exit code for status. */
int fail(const ntk_ctx *ctx, ntk_status status);
/* The same with the data source that the message is about. */
int fail_in(const ntk_ctx *ctx, const char *source, ntk_status status);
/* "ntk NAME: <text>" and a hint at --help; EXIT_USAGE. */
int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same without the hint, EXIT_FAILED: what was asked for is right, but does not work. */
int failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What messages call a file that is written: its path, or standard output. */
const char *output_name(const char *path);
/* "ntk NAME: cannot write PATH: REASON", of a number of errno.h; EXIT_USAGE. */
int cannot_write(const char *path, int error);
/* What the user is told on the way, on stderr, unless --quiet. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Log, progress bar and Ctrl-C for the context; name is the command's. */
void report_start(ntk_ctx *ctx, const char *name, bool quiet);
/* Reports "peak memory" before long work. */
void say_memory(const char *what, size_t bytes);

/* ---- files (files.c) */
#define FOLDER_MAX 4000 /* bytes of a folder's path */
#define PATH_ROOM  4200 /* for a file in it */
/* Refuses an output that is another one's file, or that of something that the command reads. */
int check_files(const struct args *a);
/* Refuses an output that cannot be written, before work starts. */
int check_output(const char *path);
int check_hdf5_output(const char *option, const char *path);
/* The same for n arrays, which may be written as a table, too: the name must be of a format that holds them. */
int check_array_output(const char *path, size_t n, bool table);
bool holds_several(const char *path); /* .npz or .h5 */
int check_folder(const char *dir);
/* A file of the command's own; an exit code, what failed is said. Closing puts it in place if code, how its
 * writer ended, is EXIT_OK, else drops it and returns code. */
int file_open(const char *path, struct ntk_outfile *out);
int file_close(const char *path, struct ntk_outfile *out, int code);
/* DIR/SCRIPT, for gnuplot, and DIR/PICTURE, which it draws; *drawn: whether it did. Names of the command's
 * own, without blanks. */
int draw_plot(const char *dir, const char *script, const char *picture, const char *text, bool *drawn);

/* ---- stores of kernels (store.c) */
/* --dtype, if it is not given, is that of the store of --kernel. */
int store_dtype(ntk_ctx *ctx, struct args *a);
int store_info(ntk_ctx *ctx, const struct args *a); /* --info */
int store_verify(ntk_ctx *ctx, const struct args *a); /* EXIT_FAILED if a tile is wrong, which is said */
int store_mend(ntk_ctx *ctx, const struct args *a);

/* ---- copies of samples (augment.c) */
/* What --augment says of training samples, which it replaces where it makes new ones. */
int augment_train(ntk_ctx *ctx, const struct args *a, ntk_data **train);
/* Refuses samples whose features were scaled each by itself. */
int check_scaled(const struct args *a, ntk_standardize kind);
/* With --average all shifted copies of test samples, and how many of each; else NULL and 1. */
int average_copies(ntk_ctx *ctx, const struct args *a, const char *source, ntk_data *test, ntk_data **copies, int64_t *count);
/* f [count][n][columns]: the first n rows become means over copies. */
void average(double *f, int64_t n, int64_t columns, int64_t count);

/* ---- JSON objects on one line (json.c) */
struct json {
    FILE *f;
    bool comma;
};
void json_open(struct json *j, const char *key, char bracket); /* '{' or '['; key NULL: none */
void json_close(struct json *j, char bracket);                 /* '}' or ']' */
void json_number(struct json *j, const char *key, double x);   /* not finite: null */
void json_report(struct json *j, const ntk_fit_report *r);     /* "solver"; of those that iterate "iterations", "residual" */
void json_integer(struct json *j, const char *key, int64_t x);
void json_text(struct json *j, const char *key, const char *text);
void json_bool(struct json *j, const char *key, bool x);
void json_texts(struct json *j, const char *key, const char *const *texts, size_t n);

/* ---- what several commands do (common.c) */
#define TRY(ctx, call)                             \
    do {                                           \
        const ntk_status try_status_ = (call);     \
        if (try_status_ != NTK_OK)                 \
            return fail(ctx, try_status_);         \
    } while (0)
#define STEP(call)                     \
    do {                               \
        const int step_code_ = (call); \
        if (step_code_ != EXIT_OK)     \
            return step_code_;         \
    } while (0)

/* Parses --net number i: a text, or @FILE. */
int parse_net(ntk_ctx *ctx, const struct args *a, size_t i, ntk_net **net);
/* The shape of --input-shape: "784", "100,4" or "32,32,3". (network.c) */
int parse_shape(const char *text, ntk_shape *shape);
/* A line "<before>32 x 32 x 3"; the same as an array. */
void print_shape(const char *before, ntk_shape s);
void json_shape(struct json *j, const char *key, ntk_shape s);
/* --dtype, --get as a mask, --targets, as numbers; an exit code. */
int parse_dtype(const char *text, ntk_dtype *dtype);
int parse_get(const char *text, unsigned *get);
int parse_targets(const char *text, ntk_targets *targets);
/* The index of text among n words (NULL: 0), or a refusal that lists them. */
int parse_word(const char *option, const char *text, int n, const char *const *words, int *index);
/* "0.1,1,inf" into a new array. */
int parse_times(const char *text, double **times, size_t *n);
/* --diag-reg: numbers >= 0 separated by commas, or auto, which is NTK_DIAG_REG_AUTO; without it 0. */
int parse_ridges(const char *text, double **ridges, size_t *n);
/* One of them; a list is refused. */
int parse_ridge(const char *text, double *ridge);
bool ridge_is_chosen(const struct args *a); /* --diag-reg auto */
/* Whether path ends with end. */
bool ends_with(const char *path, const char *end);

/* Training and test samples as a command wants them: limited, standardised, flattened. */
struct samples {
    ntk_data *train_file, *train; /* train is a part of train_file, or a scaled copy */
    ntk_data *test;               /* NULL: none */
    ntk_scaler *fitted;           /* scaler, if it was learned on train_file */
    const ntk_scaler *scaler;     /* NULL: none */
    ntk_schema *schema;           /* of the training samples: labels of both are numbers of its classes */
    ntk_targets targets;
    int64_t outputs; /* columns of y */
    double *y;       /* [n_train][outputs] */
};
/* net NULL: images stay images; params: a network that may have been trained before, whose columns, classes and
 * standardisation samples then have (NULL: none). */
int samples_load(ntk_ctx *ctx, const struct args *a, const ntk_net *net, const ntk_params *params,
                 bool need_test, struct samples *s);
/* The same of samples alone, without targets, for a kernel. */
int samples_load_x(ntk_ctx *ctx, const struct args *a, const ntk_net *net, struct samples *s);
/* Replaces data by a standardised copy; scaler NULL: as they are. */
int standardise(ntk_ctx *ctx, const ntk_scaler *scaler, ntk_data **data);
/* Indexed by ntk_standardize. */
extern const char *const standardisations[3];
void samples_free(struct samples *s);
void json_samples(struct json *j, const struct args *a, const struct samples *s); /* "train", "test" */
/* A schema that has columns, else NULL. */
const ntk_schema *columns_of(const ntk_schema *schema);
/* Columns without a header have numbers for names, which are no names of outputs. */
bool has_words(const char *name);
/* An array that says what the outputs are, to be written beside them: `classes`, their labels as numbers or words; or
 * `targets`, the names of columns. How many arrays that is: 1, or 0 if a schema (NULL: none) does not know. */
size_t outputs_array(const ntk_schema *schema, int64_t outputs, ntk_array *array);
/* Loads one source, matched with a schema (NULL: none). */
int load_source(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
                const ntk_schema *like, ntk_data **data);
/* The same with no targets needed, flattened if the net does not use positions. */
int load_x(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
           const ntk_net *net, const ntk_schema *like, ntk_data **data);
/* Numbers labels by a schema's classes; says how many are none of them. */
int number_labels(ntk_ctx *ctx, const char *source, const ntk_schema *schema, ntk_data *data);
/* ntk info of the file of --model or --params. (about.c) */
int about_file(ntk_ctx *ctx, const struct args *a);
/* Says on one line what was guessed about a source; schema: of the fit to it, NULL: none. */
void say_source(const char *source, const ntk_data *data, const ntk_schema *schema);
/* The same, and what else is known, as an object; schema: of the fit to it, NULL: none. */
void json_source(struct json *j, const char *key, const char *source, const ntk_data *data,
                 const ntk_schema *schema);
/* Whether it has columns. */
bool is_table(const ntk_data *data);
/* Share of rows whose largest output is the label; NAN if labels are missing. */
double accuracy(const ntk_data *labels, const double *f, int64_t n, int64_t outputs);
/* By the samples' weights [n]; NULL: all 1. */
double weighted_accuracy(const ntk_data *labels, const double *f, const double *weights, int64_t n, int64_t outputs);
double mean_squared_error(const double *f, const double *y, int64_t n);
/* EXIT_FAILED, said, for a number that is infinite or none. */
int check_number(const char *what, double x);
/* Mean over n samples, in nats; outputs are logits. */
double cross_entropy(const double *f, const double *y, int64_t n, int64_t outputs);
/* The finite network of --params, or of --net with --seed, for samples of x's shape; x NULL: of
 * --input-shape. (network.c) */
int network_load(ntk_ctx *ctx, const struct args *a, const ntk_data *x, ntk_params **params);
/* Loads samples for the network of --params or --net, flattened if it does not use positions; and the
 * network itself if *params is NULL (params NULL: not wanted). Columns are those of the network's schema,
 * or of like, and standardised as in its training. */
int network_x(ntk_ctx *ctx, const struct args *a, const char *source, int64_t limit,
              const ntk_schema *like, ntk_params **params, ntk_data **x);
/* Training and test samples, and the network, which must have as many outputs as the targets. */
int network_samples(ntk_ctx *ctx, const struct args *a, struct samples *s, ntk_params **params);
/* f(x) [n][outputs]; the tangent kernel, as a trace or in full. */
ntk_status network_outputs(const ntk_params *params, const ntk_data *x, double *f);
ntk_status network_kernel(const ntk_params *params, ntk_form form, const ntk_data *x1,
                          const ntk_data *x2, double *k);
void to_double(ntk_dtype dtype, int64_t n, const void *x, double *out);
/* Refuses weights and noise beside an option that asks for finite times. */
int check_no_weights(const struct args *a, const char *option);
/* --solver landmarks. */
bool by_landmarks(const struct args *a);
/* Fit options from --get, --dtype, --diag-reg (the first), --absolute, --mean, --kernel and the solver's: --solver, --tolerance,
 * --rank, --triangle, --checkpoint, --scratch, --landmarks; the samples' weights and noise. */
int fit_options(const struct args *a, const struct samples *s, ntk_fit_opts *o);

#endif
