/* SPDX-License-Identifier: MIT
 *
 * ntk train: gradient descent on a finite network, with records on the way and checkpoints.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "records.h"

struct run {
    struct samples s;
    ntk_params *p;
    ntk_train *train;
    ntk_train_opts opts;
    double *start; /* theta at the start */
    double *f;     /* outputs, [n][c] */
    struct ntk_outfile log; /* f NULL: none */
    bool log_failed;
    struct records r;
    int64_t n, m, c;
    double began;
};

static int outputs(ntk_ctx *ctx, const struct run *r, const ntk_data *x)
{
    const ntk_status status = network_outputs(r->p, x, r->f);

    if (status == NTK_ENUMERIC && ntk_train_step(r->train) > 0)
        return failed(
            "training diverged: outputs and loss are not finite at step %lld; the learning "
            "rate %g is too large",
            (long long)ntk_train_step(r->train), ntk_train_learning_rate(r->train));
    TRY(ctx, status);
    return EXIT_OK;
}

static double distance(const struct run *r)
{
    const bool single = ntk_params_dtype(r->p) == NTK_F32;
    const void *theta = ntk_params_theta(r->p);
    double sum = 0;

    for (int64_t i = 0; i < ntk_params_count(r->p); i++) {
        const double now = single ? (double)((const float *)theta)[i] : ((const double *)theta)[i];

        sum += (now - r->start[i]) * (now - r->start[i]);
    }
    return sqrt(sum);
}

/* ---- records */

static double loss_of(const struct run *r)
{
    const double n = (double)r->n, c = (double)r->c;

    if (r->opts.loss == NTK_LOSS_XENT)
        return cross_entropy(r->f, r->s.y, r->n, r->c) * (r->opts.mean_loss ? 1 : n);
    return mean_squared_error(r->f, r->s.y, r->n * r->c) / 2 * (r->opts.mean_loss ? 1 : n * c);
}

/* A run does not end because its log cannot be written: its result is worth more. */
static void check_log(const struct args *a, struct run *r, int error)
{
    if (!error)
        return;
    failed("cannot write %s: %s; the run goes on without this log", output_name(a->log), strerror(error));
    ntk_outfile_abort(&r->log);
    r->log_failed = true;
}

static void say_record(const struct args *a, struct run *r, double loss, double distance_,
                       double train, double test)
{
    const long long step = (long long)ntk_train_step(r->train);

    if (r->log.f) {
        fprintf(r->log.f, "%lld,%.10g,%.6g,%.6g,%.10g,%.3f\n", step, loss, train, test, distance_,
                ntk_seconds() - r->began);
        /* what comes before a checkpoint is on disk before it */
        check_log(a, r, ntk_outfile_flush(&r->log, a->checkpoint != NULL));
    }
    if (isnan(test) && isnan(train))
        note("step %lld: loss %.5g", step, loss);
    else if (isnan(test))
        note("step %lld: loss %.5g, accuracy %.2f %%", step, loss, 100 * train);
    else
        note("step %lld: loss %.5g, accuracy %.2f %%, test %.2f %%", step, loss, 100 * train,
             100 * test);
}

static int record(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    const bool classes = r->s.targets != NTK_RAW;
    const size_t n = (size_t)(r->n * r->c), m = (size_t)(r->m * r->c);
    double train = (double)NAN, test = (double)NAN, loss;

    STEP(records_room(&r->r));
    STEP(outputs(ctx, r, r->s.train));
    loss = loss_of(r);
    *records_at(&r->r, AT_STEP) = (double)ntk_train_step(r->train);
    *records_at(&r->r, AT_LOSS) = loss;
    *records_at(&r->r, AT_DISTANCE) = distance(r);
    if (classes)
        train = accuracy(r->s.train, r->f, r->n, r->c);
    if (a->record)
        memcpy(records_at(&r->r, AT_TRAIN), r->f, n * sizeof *r->f);
    if (r->s.test) {
        STEP(outputs(ctx, r, r->s.test));
        if (classes)
            test = accuracy(r->s.test, r->f, r->m, r->c);
        if (a->record)
            memcpy(records_at(&r->r, AT_TEST), r->f, m * sizeof *r->f);
    }
    if (a->kernels)
        TRY(ctx, network_kernel(r->p, NTK_TRACE, r->s.train, NULL, records_at(&r->r, AT_KERNEL)));
    say_record(a, r, loss, *records_at(&r->r, AT_DISTANCE), train, test);
    return records_add(&r->r);
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
    if (strncmp(a->lr, "auto:", 5) == 0) {
        o->fraction = strtod(a->lr + 5, &end);
        if (end == a->lr + 5 || *end || !(o->fraction > 0))
            return usage("--lr auto:F needs a number F > 0, got '%s'", a->lr);
        return EXIT_OK;
    }
    o->learning_rate = strtod(a->lr, &end);
    if (end == a->lr || *end || !(o->learning_rate > 0))
        return usage("--lr must be a number > 0, or auto, got '%s'", a->lr);
    return EXIT_OK;
}

static int check(const struct args *a)
{
    if (!a->steps)
        return usage("--steps is missing, e.g. --steps 1000");
    STEP(check_hdf5_output("out", a->out));
    if (a->record && !ends_with(a->record, ".npz") && !ends_with(a->record, ".h5"))
        return usage("--record must end with .npz or .h5, got '%s'", a->record);
    if (a->record)
        STEP(check_output(a->record));
    if (a->log)
        STEP(check_output(a->log));
    if (a->checkpoint)
        STEP(check_hdf5_output("checkpoint", a->checkpoint));
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

    r->start = malloc((size_t)count * sizeof *r->start);
    r->f = malloc((size_t)((r->n > r->m ? r->n : r->m) * r->c) * sizeof *r->f);
    if (!r->start || !r->f)
        return usage("no memory for the outputs");
    to_double(ntk_params_dtype(r->p), count, ntk_params_theta(r->p), r->start);
    TRY(ctx, ntk_train_new(r->p, r->s.train, r->s.y, &r->opts, &r->train));
    if (a->checkpoint && access(a->checkpoint, F_OK) == 0) {
        TRY(ctx, ntk_train_load(r->train, a->checkpoint));
        if (ntk_train_step(r->train) > a->steps)
            return usage("%s is at step %lld, past --steps %lld", a->checkpoint,
                         (long long)ntk_train_step(r->train), (long long)a->steps);
        note("going on from step %lld of %s", (long long)ntk_train_step(r->train), a->checkpoint);
    }
    note("learning rate %.6g%s", ntk_train_learning_rate(r->train),
         r->opts.learning_rate > 0 ? "" : " (auto)");
    return EXIT_OK;
}

/* Also that there is no standardisation: a later run with these parameters shall have none either. */
static int keep_encoding(ntk_ctx *ctx, struct run *r)
{
    ntk_scaler *none;
    ntk_status status;

    ntk_params_set_schema(r->p, r->s.schema);
    if (ntk_params_scaler(r->p)) /* of an earlier run: that is what samples have */
        return EXIT_OK;
    if (r->s.scaler) {
        TRY(ctx, ntk_params_set_scaler(r->p, r->s.scaler));
        return EXIT_OK;
    }
    TRY(ctx, ntk_scaler_fit(NTK_STD_NONE, r->s.train, NULL, &none));
    status = ntk_params_set_scaler(r->p, none);
    ntk_scaler_free(none);
    TRY(ctx, status);
    return EXIT_OK;
}

static int load(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    struct args with = *a;

    if (r->opts.loss == NTK_LOSS_XENT)
        with.targets = "onehot";
    STEP(network_samples(ctx, &with, &r->s, &r->p));
    STEP(keep_encoding(ctx, r));
    r->n = ntk_data_n(r->s.train);
    r->m = r->s.test ? ntk_data_n(r->s.test) : 0;
    r->c = r->s.outputs;
    return EXIT_OK;
}

/* Of a log that is there: the bytes of its lines before a step, at which a resumed run goes on. */
static int64_t log_before(const char *path, int64_t step)
{
    struct stat file;
    char line[512];
    int64_t bytes = 0;
    FILE *from = stat(path, &file) == 0 && S_ISREG(file.st_mode) ? fopen(path, "r") : NULL;

    for (int k = 0; from && fgets(line, sizeof line, from); k++) {
        if (!strchr(line, '\n') || (k > 0 && strtoll(line, NULL, 10) >= step))
            break;
        bytes += (int64_t)strlen(line);
    }
    if (from)
        fclose(from);
    return bytes;
}

static int open_log(const struct args *a, struct run *r)
{
    const int64_t step = ntk_train_step(r->train);
    const bool is_file = a->log && strcmp(a->log, "-") != 0;
    const int64_t keep = is_file && step > 0 ? log_before(a->log, step) : 0;
    int error;

    if (!a->log)
        return EXIT_OK;
    error = ntk_outfile_append(a->log, keep, &r->log);
    if (!error && keep == 0) {
        fprintf(r->log.f, "step,loss,train_accuracy,test_accuracy,distance,seconds\n");
        error = ntk_outfile_flush(&r->log, false);
    }
    return error ? cannot_write(a->log, error) : EXIT_OK;
}

static int64_t interval(const struct args *a)
{
    return a->every ? a->every : a->steps < 50 ? 1 : a->steps / 50;
}

static int open_records(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    char path[PATH_ROOM];

    records_init(&r->r, ctx, a->steps / interval(a) + 2, r->n, r->m, r->c, a->record, a->kernels);
    STEP(records_room(&r->r));
    if (!a->record || !a->checkpoint)
        return EXIT_OK;
    records_path(a->checkpoint, path);
    return records_file(&r->r, path, ntk_train_step(r->train));
}

/* ---- running */

static int train(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    const int64_t every = interval(a);

    while (true) {
        const int64_t done = ntk_train_step(r->train);
        const int64_t next = done + every - done % every;
        ntk_status status;

        if (done % every == 0 || done >= a->steps)
            STEP(record(ctx, a, r));
        if (a->checkpoint)
            TRY(ctx, ntk_train_save(r->train, a->checkpoint));
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
    const int64_t last = k->n - 1;
    struct json j = {.f = stdout};

    if (!a->json)
        return;
    json_open(&j, NULL, '{');
    json_integer(&j, "steps", ntk_train_step(r->train));
    json_number(&j, "learning_rate", ntk_train_learning_rate(r->train));
    json_number(&j, "loss", k->n ? k->x[AT_LOSS][last] : (double)NAN);
    json_number(&j, "distance", k->n ? k->x[AT_DISTANCE][last] : (double)NAN);
    json_number(&j, "seconds", ntk_seconds() - r->began);
    json_samples(&j, a, &r->s);
    json_text(&j, "out", a->out);
    json_close(&j, '}');
    putchar('\n');
}

static int save(ntk_ctx *ctx, const struct args *a, const struct run *r)
{
    TRY(ctx, ntk_params_save(r->p, a->out));
    return EXIT_OK;
}

static int run(ntk_ctx *ctx, const struct args *a, struct run *r)
{
    int code;

    STEP(check(a));
    STEP(read_options(a, &r->opts));
    STEP(load(ctx, a, r));
    STEP(start_training(ctx, a, r));
    STEP(open_log(a, r));
    STEP(open_records(ctx, a, r));
    r->began = ntk_seconds();
    code = train(ctx, a, r);
    if (r->log.f)
        check_log(a, r, ntk_outfile_commit(&r->log));
    if (code == EXIT_OK)
        code = save(ctx, a, r);
    if (a->record && r->r.n) { /* however the run ends */
        const int kept = records_write(ctx, &r->r, r->s.schema, a->record);

        code = code == EXIT_OK ? kept : code;
    }
    STEP(code);
    report(a, r);
    return r->log_failed ? EXIT_FAILED : EXIT_OK;
}

int cmd_train(ntk_ctx *ctx, const struct args *a);
int cmd_train(ntk_ctx *ctx, const struct args *a)
{
    struct run r = {0};
    const int code = run(ctx, a, &r);

    if (r.log.f)
        ntk_outfile_abort(&r.log);
    ntk_train_free(r.train);
    ntk_params_free(r.p);
    samples_free(&r.s);
    free(r.start);
    free(r.f);
    records_free(&r.r);
    return code;
}
