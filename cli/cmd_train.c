/* SPDX-License-Identifier: MIT
 *
 * ntk train: gradient descent on a finite network, with records on the way and checkpoints.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* What is kept of every record for --record: one growing array each. */
struct records {
    int64_t n, room;
    double *step, *loss, *distance, *train, *test, *kernel;
};

struct run {
    struct samples s;
    ntk_params *p;
    ntk_train *train;
    ntk_train_opts opts;
    double *start;   /* theta at the start */
    double *f;       /* outputs, [n][c] */
    double *targets; /* of the loss, [n][c] */
    FILE *log;
    struct records r;
    int64_t n, m, c;
    double began;
};

/* ---- numbers of any type as double */

static void to_double(ntk_dtype dtype, int64_t n, const void *x, double *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = dtype == NTK_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static ntk_status outputs(const struct run *r, const ntk_data *x, double *f)
{
    const int64_t n = ntk_data_n(x) * r->c;
    void *raw = malloc((size_t)n * ntk_params_dtype(r->p));
    ntk_status status = raw ? ntk_params_apply(r->p, x, raw) : NTK_ENOMEM;

    if (status == NTK_OK)
        to_double(ntk_params_dtype(r->p), n, raw, f);
    free(raw);
    return status;
}

static double distance(const struct run *r)
{
    const int64_t count = ntk_params_count(r->p);
    double *now = malloc((size_t)count * sizeof *now), sum = 0;

    if (!now)
        return (double)NAN;
    to_double(ntk_params_dtype(r->p), count, ntk_params_theta(r->p), now);
    for (int64_t i = 0; i < count; i++)
        sum += (now[i] - r->start[i]) * (now[i] - r->start[i]);
    free(now);
    return sqrt(sum);
}

/* ---- records */

static bool grow(double **array, int64_t room, int64_t each)
{
    double *more = realloc(*array, (size_t)(room * each) * sizeof *more);

    if (more)
        *array = more;
    return more != NULL;
}

static int make_room(struct run *r, const struct args *a)
{
    struct records *k = &r->r;

    if (k->n < k->room)
        return EXIT_OK;
    k->room = 2 * k->room + 64;
    if (!grow(&k->step, k->room, 1) || !grow(&k->loss, k->room, 1) ||
        !grow(&k->distance, k->room, 1) || (a->record && !grow(&k->train, k->room, r->n * r->c)) ||
        (a->record && r->s.test && !grow(&k->test, k->room, r->m * r->c)) ||
        (a->kernels && !grow(&k->kernel, k->room, r->n * r->n)))
        return usage("no memory for the records; a larger --every makes fewer");
    return EXIT_OK;
}

static int record_kernel(ntk_ctx *ctx, const struct run *r, double *out)
{
    void *k = malloc((size_t)(r->n * r->n) * ntk_params_dtype(r->p));
    const ntk_status status =
        k ? ntk_params_kernel(r->p, NTK_NTK, NTK_TRACE, r->s.train, NULL, k) : NTK_ENOMEM;

    if (status == NTK_OK)
        to_double(ntk_params_dtype(r->p), r->n * r->n, k, out);
    free(k);
    TRY(ctx, status);
    return EXIT_OK;
}

static double loss_of(const struct run *r, const double *f)
{
    double sum = 0;

    for (int64_t i = 0; i < r->n; i++) {
        const double *fi = f + i * r->c, *y = r->targets + i * r->c;
        double most = fi[0], total = 0;

        for (int64_t k = 1; k < r->c; k++)
            most = fmax(most, fi[k]);
        for (int64_t k = 0; k < r->c; k++)
            total += exp(fi[k] - most);
        for (int64_t k = 0; k < r->c; k++)
            sum += r->opts.loss == NTK_LOSS_MSE ? (fi[k] - y[k]) * (fi[k] - y[k]) / 2
                                                : -y[k] * (fi[k] - most - log(total));
    }
    if (!r->opts.mean_loss)
        return sum;
    return sum / (double)r->n / (r->opts.loss == NTK_LOSS_MSE ? (double)r->c : 1);
}

static void log_record(struct run *r, double train_accuracy, double test_accuracy)
{
    const struct records *k = &r->r;

    if (r->log) {
        fprintf(r->log, "%.0f,%.10g,%.6g,%.6g,%.10g,%.3f\n", k->step[k->n], k->loss[k->n],
                train_accuracy, test_accuracy, k->distance[k->n], seconds() - r->began);
        fflush(r->log);
    }
    if (isnan(test_accuracy) && isnan(train_accuracy))
        note("step %.0f: loss %.5g", k->step[k->n], k->loss[k->n]);
    else
        note("step %.0f: loss %.5g, accuracy %.2f %%, test %.2f %%", k->step[k->n], k->loss[k->n],
             100 * train_accuracy, 100 * test_accuracy);
}

static int record(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    struct records *k = &r->r;
    double train = (double)NAN, test = (double)NAN;

    STEP(make_room(r, a));
    TRY(ctx, outputs(r, r->s.train, r->f));
    k->step[k->n] = (double)ntk_train_step(r->train);
    k->loss[k->n] = loss_of(r, r->f);
    k->distance[k->n] = distance(r);
    if (r->s.targets != NTK_RAW)
        train = accuracy(r->s.train, r->f, r->n, r->c);
    if (a->record)
        memcpy(k->train + k->n * r->n * r->c, r->f, (size_t)(r->n * r->c) * sizeof *r->f);
    if (r->s.test) {
        TRY(ctx, outputs(r, r->s.test, r->f));
        if (r->s.targets != NTK_RAW)
            test = accuracy(r->s.test, r->f, r->m, r->c);
        if (a->record)
            memcpy(k->test + k->n * r->m * r->c, r->f, (size_t)(r->m * r->c) * sizeof *r->f);
    }
    if (a->kernels)
        STEP(record_kernel(ctx, r, k->kernel + k->n * r->n * r->n));
    log_record(r, train, test);
    k->n++;
    return EXIT_OK;
}

static int write_records(ntk_ctx *ctx, const struct args *a, const struct run *r)
{
    const struct records *k = &r->r;
    ntk_array arrays[6] = {
        {"step", k->step, NTK_F64, 1, {k->n}},
        {"loss", k->loss, NTK_F64, 1, {k->n}},
        {"distance", k->distance, NTK_F64, 1, {k->n}},
        {"f_train", k->train, NTK_F64, 3, {k->n, r->n, r->c}},
    };
    size_t n = 4;

    if (r->s.test)
        arrays[n++] = (ntk_array){"f_test", k->test, NTK_F64, 3, {k->n, r->m, r->c}};
    if (a->kernels)
        arrays[n++] = (ntk_array){"kernel", k->kernel, NTK_F64, 3, {k->n, r->n, r->n}};
    TRY(ctx, ntk_array_write(ctx, a->record, arrays, n));
    return EXIT_OK;
}

/* ---- setting up */

static int read_options(const struct args *a, ntk_train_opts *o)
{
    char *end;

    ntk_train_opts_init(o);
    if (a->loss && strcmp(a->loss, "mse") != 0 && strcmp(a->loss, "xent") != 0)
        return usage("--loss must be mse or xent, got '%s'", a->loss);
    o->loss = a->loss && strcmp(a->loss, "xent") == 0 ? NTK_LOSS_XENT : NTK_LOSS_MSE;
    o->mean_loss = a->mean;
    o->momentum = a->momentum;
    o->batch = a->batch;
    o->seed = (uint64_t)a->seed;
    if (!a->lr || strcmp(a->lr, "auto") == 0)
        return EXIT_OK;
    o->learning_rate = strtod(a->lr, &end);
    if (end == a->lr || *end || !(o->learning_rate > 0))
        return usage("--lr must be a number > 0, or auto, got '%s'", a->lr);
    return EXIT_OK;
}

static int check(const struct args *a)
{
    if (!a->steps)
        return usage("--steps is missing, e.g. --steps 1000");
    STEP(check_output(a->out));
    if (a->record)
        STEP(check_array_output(a->record, 2));
    if (a->log)
        STEP(check_output(a->log));
    if (a->checkpoint)
        STEP(check_output(a->checkpoint));
    if (a->kernels && !a->record)
        return usage("--kernels goes into --record, which is missing");
    if (a->loss && strcmp(a->loss, "xent") == 0 && a->targets && strcmp(a->targets, "onehot") != 0)
        return usage("--loss xent needs --targets onehot (its default), got '%s'", a->targets);
    return EXIT_OK;
}

/* A run from the start, or from the checkpoint if there is one. */
static int start_training(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    const int64_t count = ntk_params_count(r->p);

    if (a->multiplier > 0)
        TRY(ctx, ntk_params_set_multiplier(r->p, a->multiplier));
    r->start = malloc((size_t)count * sizeof *r->start);
    r->f = malloc((size_t)((r->n > r->m ? r->n : r->m) * r->c) * sizeof *r->f);
    if (!r->start || !r->f)
        return usage("no memory for the outputs");
    to_double(ntk_params_dtype(r->p), count, ntk_params_theta(r->p), r->start);
    TRY(ctx, ntk_train_new(r->p, r->s.train, r->targets, &r->opts, &r->train));
    if (a->checkpoint && access(a->checkpoint, R_OK) == 0) {
        TRY(ctx, ntk_train_load(r->train, a->checkpoint));
        note("going on from step %lld of %s", (long long)ntk_train_step(r->train), a->checkpoint);
    }
    note("learning rate %.6g%s", ntk_train_learning_rate(r->train),
         r->opts.learning_rate > 0 ? "" : " (auto)");
    return EXIT_OK;
}

static int load(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    struct args with = *a;
    ntk_net *net = NULL;

    if (r->opts.loss == NTK_LOSS_XENT)
        with.targets = "onehot";
    if (!a->params)
        STEP(parse_net(ctx, a, 0, &net));
    {
        const int code = samples_load(ctx, &with, net, false, &r->s);

        ntk_net_free(net);
        STEP(code);
    }
    STEP(network_load(ctx, a, r->s.train, &r->p));
    if (ntk_params_shape(r->p).spatial == 0) {
        ntk_data_flatten(r->s.train);
        if (r->s.test)
            ntk_data_flatten(r->s.test);
    }
    r->n = ntk_data_n(r->s.train);
    r->m = r->s.test ? ntk_data_n(r->s.test) : 0;
    r->c = ntk_params_outputs(r->p);
    r->targets = r->s.y;
    if (r->c != r->s.outputs)
        return usage(
            "the network has %lld outputs, the targets have %lld: its last layer must have as many",
            (long long)r->c, (long long)r->s.outputs);
    return EXIT_OK;
}

/* Lines of a log that a resumed run goes on with: those up to its step. */
static int open_log(const struct args *a, struct run *r)
{
    const bool resumed = ntk_train_step(r->train) > 0;

    if (!a->log)
        return EXIT_OK;
    r->log = fopen(a->log, resumed ? "a" : "w");
    if (!r->log)
        return usage("%s cannot be written: %s", a->log, strerror(errno));
    if (!resumed)
        fprintf(r->log, "step,loss,train_accuracy,test_accuracy,distance,seconds\n");
    return EXIT_OK;
}

/* ---- running */

static int train(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    const int64_t every = a->every ? a->every : a->steps < 50 ? 1 : a->steps / 50;
    bool resumed = ntk_train_step(r->train) > 0;

    while (true) {
        const int64_t done = ntk_train_step(r->train);
        const int64_t next = done + every - done % every;
        ntk_status status;

        if (!resumed && (done % every == 0 || done >= a->steps))
            STEP(record(ctx, a, r));
        if (!resumed && a->checkpoint)
            TRY(ctx, ntk_train_save(r->train, a->checkpoint));
        resumed = false;
        if (done >= a->steps)
            return EXIT_OK;
        status = ntk_train_run(r->train, (next < a->steps ? next : a->steps) - done, NULL);
        if (status == NTK_ECANCEL && a->checkpoint &&
            ntk_train_save(r->train, a->checkpoint) == NTK_OK)
            note("interrupted at step %lld; the same command goes on from %s",
                 (long long)ntk_train_step(r->train), a->checkpoint);
        TRY(ctx, status);
    }
}

static void report(const struct args *a, const struct run *r)
{
    const struct records *k = &r->r;
    struct json j = {.f = stdout};

    if (!a->json)
        return;
    json_open(&j, NULL, '{');
    json_integer(&j, "steps", ntk_train_step(r->train));
    json_number(&j, "learning_rate", ntk_train_learning_rate(r->train));
    json_number(&j, "loss", k->n ? k->loss[k->n - 1] : (double)NAN);
    json_number(&j, "distance", k->n ? k->distance[k->n - 1] : (double)NAN);
    json_number(&j, "seconds", seconds() - r->began);
    json_text(&j, "out", a->out);
    json_close(&j, '}');
    putchar('\n');
}

static int run(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    STEP(check(a));
    STEP(read_options(a, &r->opts));
    STEP(load(ctx, a, r));
    STEP(start_training(ctx, a, r));
    STEP(open_log(a, r));
    r->began = seconds();
    STEP(train(ctx, a, r));
    TRY(ctx, ntk_params_save(r->p, a->out));
    if (a->record)
        STEP(write_records(ctx, a, r));
    report(a, r);
    return EXIT_OK;
}

int cmd_train(ntk_ctx *ctx, const struct args *a);
int cmd_train(ntk_ctx *ctx, const struct args *a)
{
    struct run r = {0};
    const int code = run(ctx, a, &r);

    if (r.log)
        fclose(r.log);
    ntk_train_free(r.train);
    ntk_params_free(r.p);
    samples_free(&r.s);
    free(r.start);
    free(r.f);
    free(r.r.step);
    free(r.r.loss);
    free(r.r.distance);
    free(r.r.train);
    free(r.r.test);
    free(r.r.kernel);
    return code;
}
