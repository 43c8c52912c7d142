/* SPDX-License-Identifier: MIT
 *
 * train.c - gradient descent on the parameters of a finite network.
 */
#include <math.h>
#include <stdlib.h>

#include "base/sized.h"
#include "finite/params_io.h"

#define DIVERGED       1e6 /* times the first loss, or that of outputs 0 if it is larger */
/* The largest eigenvalue is measured on so many samples, and grows with n: for a convolutional network more
 * would cost more than the training. */
#define LAMBDA_SAMPLES 100
#define LAMBDA_BATCHES 8   /* and on so many batches, of so many samples together */

struct ntk_train {
    ntk_params *p;
    const ntk_data *x;
    double *y; /* [n][outputs] */
    struct ntk_train_opts opts;
    int64_t n, outputs, batch, step;
    double rate, first_loss, loss_of_zero;
    void *gradient, *velocity; /* [count]; velocity NULL without momentum */
    void *cotangent;           /* [block][outputs] */
    double *f;                 /* [outputs] of one sample */
    struct ntk_pass *pass;
    int64_t epoch, *order; /* the epoch's permutation of samples; NULL: all samples in each step */
    ntk_data *drawn;       /* samples of a batch */
    size_t held;           /* bytes, without those: ntk_ctx_keep */
};

static const ntk_train_opts defaults = {
    .size = sizeof defaults, .loss = NTK_LOSS_MSE, .fraction = 0.5};
static const struct ntk_sized sized = NTK_SIZED(ntk_train_opts, seed, &defaults);

void ntk_train_opts_init_sized(ntk_train_opts *opts, size_t size)
{
    ntk_sized_init(&sized, opts, size);
}

/* ---- losses */

/* What the loss of n samples is divided by. */
static double divisor(const struct ntk_train *t, int64_t n)
{
    if (!t->opts.mean_loss)
        return (double)n / (double)t->n;
    return (double)n * (t->opts.loss == NTK_LOSS_MSE ? (double)t->outputs : 1);
}

/* The loss of one sample; f becomes the gradient. */
static double loss_of(ntk_loss loss, int64_t c, const double *y, double *f)
{
    double sum = 0, most = f[0], weight = 0, value = 0;

    if (loss == NTK_LOSS_MSE) {
        for (int64_t k = 0; k < c; k++) {
            f[k] -= y[k];
            value += f[k] * f[k] / 2;
        }
        return value;
    }
    for (int64_t k = 1; k < c; k++)
        most = fmax(most, f[k]);
    for (int64_t k = 0; k < c; k++) {
        sum += exp(f[k] - most);
        weight += y[k];
    }
    for (int64_t k = 0; k < c; k++) {
        value -= y[k] * (f[k] - most - log(sum));
        f[k] = weight * exp(f[k] - most) / sum - y[k];
    }
    return value;
}

/* The loss of a block; its gradient with respect to the outputs goes to t->cotangent. */
static double block_loss(struct ntk_train *t, const int64_t *samples, int64_t n, double scale)
{
    const ntk_params *p = t->p;
    const struct ntk_data f = {.x = ntk_pass_output(t->pass), .dtype = p->dtype};
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < t->outputs; k++)
            t->f[k] = p->multiplier * ntk_data_get(&f, (size_t)(i * t->outputs + k));
        sum += loss_of(t->opts.loss, t->outputs, t->y + samples[i] * t->outputs, t->f);
        for (int64_t k = 0; k < t->outputs; k++)
            ntk_store(t->cotangent, p->dtype, (size_t)(i * t->outputs + k), scale * t->f[k]);
    }
    return scale * sum;
}

/* ---- steps */

/* Samples of the next step: their numbers. */
static void choose_batch(struct ntk_train *t, const int64_t **samples, int64_t *n)
{
    const int64_t per_epoch = (t->n + t->batch - 1) / t->batch, epoch = t->step / per_epoch;
    const int64_t first = t->step % per_epoch * t->batch;

    if (t->batch < t->n && epoch != t->epoch) {
        ntk_random_permutation(t->opts.seed, (uint32_t)epoch, t->n, t->order);
        t->epoch = epoch;
    }
    *samples = t->order + first;
    *n = t->n - first < t->batch ? t->n - first : t->batch;
}

static const ntk_data *draw_samples(struct ntk_train *t, const int64_t *samples, int64_t n)
{
    const size_t bytes = (size_t)ntk_features_of(t->p->shape) * ntk_data_dtype(t->x);

    if (!t->drawn)
        return t->x;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)t->drawn->owned_x + (size_t)i * bytes,
               (const char *)ntk_data_x(t->x) + (size_t)samples[i] * bytes, bytes);
    return t->drawn;
}

static void update(struct ntk_train *t)
{
    const struct ntk_finite *loops = t->p->loops;
    const int64_t count = t->p->tape.n_params;
    const int threads = t->p->ctx->threads;

    if (t->velocity)
        loops->combine(threads, count, 1, t->gradient, t->opts.momentum, t->velocity);
    loops->combine(threads, count, -t->rate, t->velocity ? t->velocity : t->gradient, 1,
                   t->p->theta);
}

static ntk_status one_step(struct ntk_train *t, double *loss)
{
    const int64_t block = t->pass->capacity;
    const int64_t *samples;
    const ntk_data *x;
    int64_t n;

    choose_batch(t, &samples, &n);
    x = draw_samples(t, samples, n);
    memset(t->gradient, 0, (size_t)t->p->tape.n_params * t->p->dtype);
    *loss = 0;
    for (int64_t i = 0; i < n; i += block) {
        const int64_t m = n - i < block ? n - i : block;

        ntk_pass_forward(t->pass, x, i, m);
        *loss += block_loss(t, samples + i, m, 1 / divisor(t, n));
        ntk_pass_back(t->pass, t->cotangent, t->gradient);
        if (n > block)
            NTK_TRY(ntk_poll(t->p->ctx));
    }
    if (t->step == 0)
        t->first_loss = *loss;
    if (!isfinite(*loss)) /* infinite or not a number: that depends on the order of sums */
        return ntk_fail(
            t->p->ctx, NTK_ENUMERIC,
            "training diverged: the loss is not finite at step %lld (%g at the start); the learning rate %g is too large",
            (long long)t->step, t->first_loss, t->rate);
    if (*loss > DIVERGED * fmax(t->first_loss, t->loss_of_zero))
        return ntk_fail(
            t->p->ctx, NTK_ENUMERIC,
            "training diverged: the loss is %g at step %lld (%g at the start); the learning "
            "rate %g is too large",
            *loss, (long long)t->step, t->first_loss, t->rate);
    update(t);
    t->step++;
    return NTK_OK;
}

ntk_status ntk_train_run(ntk_train *train, int64_t steps, double *loss)
{
    const struct ntk_blas blas = ntk_blas_begin(1);
    double sum = 0, one = 0;
    ntk_status status = NTK_OK;

    for (int64_t k = 0; k < steps && status == NTK_OK; k++) {
        status = one_step(train, &one);
        sum += one;
        if (status == NTK_OK)
            status = ntk_progress(train->p->ctx, "steps", (double)(k + 1), (double)steps);
    }
    ntk_blas_end(blas);
    if (loss && steps > 0 && status == NTK_OK)
        *loss = sum / (double)steps;
    return status;
}

/* ---- making */

static ntk_status check(const ntk_params *p, const ntk_data *x, const double *y,
                        const struct ntk_train_opts *o)
{
    ntk_ctx *ctx = p->ctx;
    const int64_t n = ntk_data_n(x), c = ntk_params_outputs(p);

    NTK_TRY(ntk_params_check(p, x));
    if (!(o->learning_rate >= 0) || isinf(o->learning_rate))
        return ntk_fail(ctx, NTK_EINVAL,
                        "learning_rate must be positive, or 0 for one that is chosen, got %g",
                        o->learning_rate);
    if (!(o->fraction > 0) || isinf(o->fraction))
        return ntk_fail(ctx, NTK_EINVAL, "fraction must be positive, got %g", o->fraction);
    if (!(o->momentum >= 0) || o->momentum >= 1)
        return ntk_fail(ctx, NTK_EINVAL, "momentum must be from 0 to below 1, got %g", o->momentum);
    if (o->batch < 0 || o->batch > n)
        return ntk_fail(ctx, NTK_EINVAL,
                        "batch must be from 1 to the %lld samples, or 0 for all, got %lld",
                        (long long)n, (long long)o->batch);
    for (int64_t i = 0; i < n * c; i++)
        if (!isfinite(y[i]) || (o->loss == NTK_LOSS_XENT && (y[i] < 0 || y[i] > 1)))
            return ntk_fail(ctx, NTK_EINVAL, "target %lld of sample %lld is %g; %s",
                            (long long)(i % c), (long long)(i / c), y[i],
                            isfinite(y[i]) ? "cross-entropy needs probabilities (one-hot targets)"
                                           : "targets must be finite");
    return NTK_OK;
}

/* Largest eigenvalue on the first of x's samples, in proportion for all n. */
static ntk_status eigenvalue(const struct ntk_train *t, const ntk_data *x, double *lambda)
{
    const int64_t all = ntk_data_n(x), m = all < LAMBDA_SAMPLES ? all : LAMBDA_SAMPLES;
    ntk_data *part;
    ntk_status status;

    NTK_TRY(ntk_data_slice(x, 0, m, &part));
    status = ntk_params_lambda_max(t->p, part, lambda);
    ntk_data_free(part);
    *lambda *= (double)t->n / (double)m;
    return status;
}

/* The largest over some batches of the first epoch. */
static ntk_status eigenvalue_of_batches(struct ntk_train *t, double *lambda)
{
    const int64_t *samples;
    int64_t n;
    double one;

    choose_batch(t, &samples, &n);
    for (int64_t k = 0; k < LAMBDA_BATCHES && (k + 1) * t->batch <= t->n; k++) {
        if (k > 0 && (k + 1) * t->batch > LAMBDA_SAMPLES)
            break;
        NTK_TRY(eigenvalue(t, draw_samples(t, samples + k * t->batch, t->batch), &one));
        *lambda = fmax(*lambda, one);
    }
    return NTK_OK;
}

/* A fraction of the largest stable rate: 2 (1 + momentum) / (curvature of the loss * lambda_max) of
 * all samples. What a batch's eigenvalue has more than theirs is noise, which is damped without
 * momentum only (Ma, Bassily, Belkin 2018), and of which momentum makes 1 / (1 - momentum) times as
 * much. */
static ntk_status choose_rate(struct ntk_train *t)
{
    const double curvature = (t->opts.loss == NTK_LOSS_MSE ? 1 : 0.5) / divisor(t, t->n);
    const double momentum = t->opts.momentum;
    double lambda, of_batch;

    t->rate = t->opts.learning_rate;
    if (t->rate > 0)
        return NTK_OK;
    NTK_TRY(eigenvalue(t, t->x, &lambda));
    of_batch = lambda;
    if (t->batch < t->n)
        NTK_TRY(eigenvalue_of_batches(t, &of_batch));
    if (!(lambda > 0))
        return ntk_fail(
            t->p->ctx, NTK_ENUMERIC,
            "no learning rate can be chosen: the largest eigenvalue of the tangent kernel is %g",
            lambda);
    t->rate = t->opts.fraction * 2 / curvature /
              (lambda / (1 + momentum) + (of_batch - lambda) / (1 - momentum));
    return NTK_OK;
}

/* The loss of all samples where outputs are 0: a measure of what is large. */
static double loss_of_zero(struct ntk_train *t)
{
    double sum = 0;

    for (int64_t i = 0; i < t->n; i++) {
        for (int64_t k = 0; k < t->outputs; k++)
            t->f[k] = 0;
        sum += loss_of(t->opts.loss, t->outputs, t->y + i * t->outputs, t->f);
    }
    return sum / divisor(t, t->n);
}

static ntk_status allocate(struct ntk_train *t, const double *y)
{
    ntk_ctx *ctx = t->p->ctx;
    const size_t size = t->p->dtype, count = (size_t)t->p->tape.n_params;
    size_t targets;
    const int64_t block = ntk_pass_block(t->p, NTK_PASS_BYTES, t->batch, 1, false);

    const double vectors = (t->opts.momentum > 0 ? 2 : 1) * (double)count * (double)size;
    const double targets_bytes = (double)t->n * (double)t->outputs * sizeof *y;
    const size_t passes = ntk_pass_bytes(t->p, ctx->threads, block, 1, false);
    const double drawn = t->batch < t->n ? (double)t->batch * (double)ntk_features_of(t->p->shape) *
                                               (double)ntk_data_dtype(t->x)
                                         : 0;

    NTK_TRY(ntk_ctx_check_memory(
        ctx,
        passes + ntk_bytes(vectors + drawn + targets_bytes), "training"));
    targets = (size_t)(t->n * t->outputs);
    t->y = ntk_alloc(ctx, targets, sizeof *t->y);
    t->f = ntk_alloc(ctx, (size_t)t->outputs, sizeof *t->f);
    t->gradient = ntk_alloc(ctx, count, size);
    t->cotangent = ntk_alloc(ctx, (size_t)(block * t->outputs), size);
    t->order = ntk_alloc(ctx, (size_t)t->n, sizeof *t->order);
    if (t->opts.momentum > 0)
        t->velocity = ntk_alloc_zero(ctx, count, size);
    if (!t->y || !t->f || !t->gradient || !t->cotangent || !t->order ||
        (t->opts.momentum > 0 && !t->velocity))
        return NTK_ENOMEM;
    memcpy(t->y, y, targets * sizeof *y);
    t->loss_of_zero = loss_of_zero(t);
    for (int64_t i = 0; i < t->n; i++)
        t->order[i] = i;
    if (t->batch < t->n)
        NTK_TRY(ntk_data_alloc(ctx, ntk_data_dtype(t->x), t->batch, t->p->shape, &t->drawn));
    NTK_TRY(ntk_pass_new(t->p, t->p->ctx->threads, block, 1, false, &t->pass));
    ntk_ctx_keep(ctx, passes + ntk_bytes(vectors + targets_bytes), &t->held);
    return NTK_OK;
}

ntk_status ntk_train_new(ntk_params *params, const ntk_data *x, const double *y,
                         const ntk_train_opts *opts, ntk_train **train)
{
    ntk_train_opts o;
    struct ntk_train *t;
    ntk_status status;

    NTK_TRY(ntk_sized_read(params->ctx, &sized, opts, &o));
    NTK_TRY(check(params, x, y, &o));
    t = ntk_alloc_zero(params->ctx, 1, sizeof *t);
    if (!t)
        return NTK_ENOMEM;
    *t = (struct ntk_train){.p = params,
                            .x = x,
                            .opts = o,
                            .n = ntk_data_n(x),
                            .outputs = ntk_params_outputs(params),
                            .epoch = -1};
    t->batch = o.batch ? o.batch : t->n;
    status = allocate(t, y);
    if (status == NTK_OK)
        status = choose_rate(t);
    if (status != NTK_OK) {
        ntk_train_free(t);
        return status;
    }
    *train = t;
    return NTK_OK;
}

void ntk_train_free(ntk_train *train)
{
    if (!train)
        return;
    ntk_ctx_release(train->p->ctx, train->held);
    free(train->y);
    free(train->f);
    free(train->gradient);
    free(train->velocity);
    free(train->cotangent);
    free(train->order);
    ntk_data_free(train->drawn);
    ntk_pass_free(train->pass);
    free(train);
}

int64_t ntk_train_step(const ntk_train *train)
{
    return train->step;
}
double ntk_train_learning_rate(const ntk_train *train)
{
    return train->rate;
}

/* ---- checkpoints */

#ifdef NTK_HDF5

#include "base/h5.h"

#define STEPS_MOST 9007199254740992.0 /* 2^53: what a double counts */

static void state(struct ntk_h5 *f, ntk_train *t, bool write)
{
    double step = (double)t->step;
    const bool has_velocity = t->velocity != NULL;

    ntk_h5_attribute(f, "step", H5T_NATIVE_DOUBLE, 1, &step, write);
    ntk_h5_attribute(f, "learning_rate", H5T_NATIVE_DOUBLE, 1, &t->rate, write);
    ntk_h5_attribute(f, "first_loss", H5T_NATIVE_DOUBLE, 1, &t->first_loss, write);
    if (has_velocity)
        ntk_h5_matrix(f, "velocity", t->p->dtype == NTK_F32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE,
                      t->p->tape.n_params, 1, t->velocity, write);
    ntk_h5_wrong(f, "step", step >= 0 && step <= STEPS_MOST && step == floor(step),
                 "is not a number of steps");
    ntk_h5_wrong(f, "learning_rate", t->rate > 0 && isfinite(t->rate), "is not positive");
    ntk_h5_wrong(f, "first_loss", isfinite(t->first_loss), "is not finite");
    ntk_h5_wrong(f, "velocity",
                 f->what || !has_velocity ||
                     t->p->loops->all_finite(t->p->tape.n_params, t->velocity),
                 "has a number that is not finite");
    t->step = f->what ? 0 : (int64_t)step;
}

#define RUN_TEXT 300

/* What a checkpoint must agree in with the run that it is loaded into, besides the network. */
static void describe(const ntk_train *t, char text[RUN_TEXT])
{
    const struct ntk_train_opts *o = &t->opts;
    const size_t bytes = (size_t)(t->n * ntk_features_of(t->p->shape)) * ntk_data_dtype(t->x);
    const uint64_t x = ntk_hash(ntk_data_x(t->x), bytes);
    const uint64_t y = ntk_hash(t->y, (size_t)(t->n * t->outputs) * sizeof *t->y);

    ntk_format(
        text, RUN_TEXT,
        "%s%s, learning rate %.12g%s, momentum %.12g, batches of %lld, seed %llu, %lld samples "
        "(%016llx)",
        o->loss == NTK_LOSS_MSE ? "mse" : "xent", o->mean_loss ? " mean" : "",
        o->learning_rate > 0 ? o->learning_rate : o->fraction,
        o->learning_rate > 0 ? "" : " of the largest", o->momentum, (long long)t->batch,
        (unsigned long long)o->seed, (long long)t->n, (unsigned long long)(x ^ (y << 1)));
}

/* NTK_EINVAL if the file is of another network or run. */
static ntk_status same_run(struct ntk_h5 *f, const ntk_train *t)
{
    struct ntk_params head = {0};
    char *net, *run, *own = NULL, text[RUN_TEXT];
    ntk_status status = NTK_OK;

    (void)ntk_params_read_header(f, &head);
    net = ntk_h5_read_text(f, "net");
    run = ntk_h5_read_text(f, "run");
    describe(t, text);
    if (!f->what)
        status = ntk_net_print(t->p->net, &own);
    if (own && strcmp(net, own) != 0)
        status = ntk_fail(f->ctx, NTK_EINVAL, "it is a checkpoint of another network: %s", net);
    else if (own && (strcmp(run, text) != 0 || head.dtype != t->p->dtype ||
                     head.multiplier != t->p->multiplier))
        status = ntk_fail(
            f->ctx, NTK_EINVAL,
            "it is a checkpoint of a run with other options or data: %s, float%d, multiplier "
            "%.12g; now %s, float%d, multiplier %.12g",
            run, 8 * (int)head.dtype, head.multiplier, text, 8 * (int)t->p->dtype,
            t->p->multiplier);
    free(net);
    free(run);
    ntk_text_free(own);
    return status;
}

ntk_status ntk_train_save(const ntk_train *train, const char *path)
{
    ntk_train copy = *train; /* reading and writing share code that fills in */
    struct ntk_h5 f = {.ctx = train->p->ctx};
    char text[RUN_TEXT];
    ntk_status status;

    if (train->velocity && !train->p->loops->all_finite(train->p->tape.n_params, train->velocity))
        return ntk_fail(f.ctx, NTK_ENUMERIC, "the momentum is not finite: nothing is saved");
    describe(train, text);
    NTK_TRY(ntk_h5_create(&f, path));
    ntk_h5_write_text(&f, "run", text);
    status = ntk_params_write(&f, train->p);
    if (status != NTK_OK) {
        ntk_h5_abort(&f);
        return status;
    }
    state(&f, &copy, true);
    return ntk_h5_commit(&f, path);
}

/* Into theta and copy; all or nothing. */
static ntk_status read_run(struct ntk_h5 *f, const ntk_train *train, ntk_train *copy, void *theta)
{
    NTK_TRY(same_run(f, train));
    state(f, copy, false);
    ntk_params_arrays_io(f, train->p, theta, false);
    return f->what ? NTK_EIO : NTK_OK;
}

ntk_status ntk_train_load(ntk_train *train, const char *path)
{
    struct ntk_params *p = train->p;
    const size_t bytes = (size_t)p->tape.n_params * p->dtype;
    struct ntk_h5 f = {.ctx = p->ctx};
    ntk_train copy = *train; /* nothing of it changes before all is read */
    void *theta = ntk_alloc(p->ctx, bytes, 1);
    ntk_status status;

    copy.velocity = train->velocity ? ntk_alloc(p->ctx, bytes, 1) : NULL;
    status = theta && (copy.velocity || !train->velocity) ? ntk_h5_open(&f, path, "the checkpoint")
                                                          : NTK_ENOMEM;
    if (status == NTK_OK)
        status = ntk_h5_end(&f, path, "checkpoint", read_run(&f, train, &copy, theta));
    if (status == NTK_OK) {
        memcpy(p->theta, theta, bytes);
        if (train->velocity)
            memcpy(train->velocity, copy.velocity, bytes);
        train->step = copy.step;
        train->rate = copy.rate;
        train->first_loss = copy.first_loss;
    }
    free(theta);
    free(copy.velocity);
    return status;
}

#else

ntk_status ntk_train_save(const ntk_train *train, const char *path)
{
    return ntk_fail(train->p->ctx, NTK_ENOTSUP, "cannot write %s: this build has no HDF5", path);
}

ntk_status ntk_train_load(ntk_train *train, const char *path)
{
    return ntk_fail(train->p->ctx, NTK_ENOTSUP, "cannot read %s: this build has no HDF5", path);
}

#endif
