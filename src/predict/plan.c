/* SPDX-License-Identifier: MIT
 *
 * plan.c - what a fit will take: the solvers' formulas (solve/cost.h), and this machine's rates.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sized.h"
#include "kernel/kernel.h"
#include "predict/landmarks.h"
#include "predict/model.h"

struct ntk_plan {
    ntk_ctx *ctx;
    ntk_plan_info info;
    ntk_plan_row *rows;
    size_t n_rows;
    char reason[400];
    struct ntk_rates rates;
};

/* ---- structs that may grow */

static const ntk_plan_opts default_opts = {.size = sizeof default_opts, .outputs = 1, .rates = 1, .ranks = 1, .disk = 5e8};
static const ntk_plan_info default_info = {.size = sizeof default_info};
static const ntk_plan_row default_row = {.size = sizeof default_row};
static const struct ntk_sized sized_opts = NTK_SIZED(ntk_plan_opts, disk, &default_opts);
static const struct ntk_sized sized_info = NTK_SIZED(ntk_plan_info, reason, &default_info);
static const struct ntk_sized sized_row = NTK_SIZED(ntk_plan_row, seconds, &default_row);

void ntk_plan_opts_init_sized(ntk_plan_opts *opts, size_t size) { ntk_sized_init(&sized_opts, opts, size); }
void ntk_plan_info_init_sized(ntk_plan_info *info, size_t size) { ntk_sized_init(&sized_info, info, size); }
void ntk_plan_row_init_sized(ntk_plan_row *row, size_t size) { ntk_sized_init(&sized_row, row, size); }

/* ---- samples to measure with */

#define NUMBERS ((int64_t)1 << 21) /* of all of them */
#define ROWS    2048               /* at most, which tiles of many pairs need, */
#define ROWS_LEAST 32              /* and at least */

static int64_t rows_for(ntk_shape shape)
{
    return ntk_least(ROWS, ntk_most(ROWS_LEAST, NUMBERS / ntk_features_of(shape)));
}

/* Standard normal numbers, nearly: sums of four uniform ones. */
static double normal(uint64_t k)
{
    double sum = 0;

    for (uint64_t i = 0; i < 4; i++)
        sum += (double)(ntk_mix64(4 * k + i) >> 11) * 0x1p-53 - 0.5;
    return sum * sqrt(3);
}

/* x is the caller's to free, whatever comes of it. */
static ntk_status random_samples(ntk_ctx *ctx, ntk_shape shape, ntk_dtype dtype, void **x, ntk_data **data)
{
    const int64_t features = ntk_features_of(shape), rows = rows_for(shape);

    NTK_TRY(ntk_ctx_check_memory(ctx, ntk_bytes((double)rows * (double)features * (double)dtype), "samples to measure with"));
    *x = ntk_alloc(ctx, (size_t)(rows * features), dtype);
    if (!*x)
        return NTK_ENOMEM;
    for (int64_t k = 0; k < rows * features; k++)
        ntk_store(*x, dtype, (size_t)k, normal((uint64_t)k));
    return ntk_data_view(ctx, *x, dtype, rows, shape, data);
}

/* ---- seconds of a pair */

#define ENOUGH 0.1 /* seconds of one computation */
#define LONG   0.5 /* of one that is not repeated with more pairs */
#define FULL   16  /* rows of a batch that are as many as a vector has lanes */

static int drop(const ntk_block *block, void *user)
{
    (void)block, (void)user;
    return 0;
}

/* Some samples and as many others, prepared. */
struct pairing {
    ntk_data *x[2];
    ntk_samples *s[2];
};

static ntk_status pair(const ntk_kernel *kernel, const ntk_data *x, const ntk_samples *all, int64_t rows, struct pairing *p)
{
    for (int k = 0; k < 2; k++) {
        NTK_TRY(ntk_data_slice(x, k ? x->n - rows : 0, rows, &p->x[k]));
        NTK_TRY(ntk_samples_new(kernel, p->x[k], all, &p->s[k]));
    }
    return NTK_OK;
}

static ntk_status time_of(const ntk_kernel *kernel, const ntk_data *x, const ntk_samples *all, int64_t rows, double *seconds)
{
    struct pairing p = {.x = {NULL, NULL}};
    ntk_status status = pair(kernel, x, all, rows, &p);

    if (status == NTK_OK) {
        const double began = ntk_seconds();

        status = ntk_samples_stream(kernel, p.s[0], p.s[1], drop, NULL);
        *seconds = ntk_seconds() - began;
    }
    for (int k = 0; k < 2; k++) {
        ntk_samples_free(p.s[k]);
        ntk_data_free(p.x[k]);
    }
    return status;
}

/* Twice as many each time. */
static ntk_status time_pairs(const ntk_kernel *kernel, const ntk_data *x, double *seconds)
{
    const int64_t most = x->n > 1 ? x->n / 2 : 1;
    ntk_samples *all;
    bool enough = false;
    ntk_status status = NTK_OK;

    NTK_TRY(ntk_samples_new(kernel, x, NULL, &all));
    *seconds = (double)INFINITY;
    for (int64_t rows = 1; !enough && status == NTK_OK; rows = ntk_least(2 * rows, most)) {
        double one = 0;

        status = time_of(kernel, x, all, rows, &one);
        *seconds = fmin(*seconds, one / ((double)rows * (double)rows));
        enough = rows == most || one > LONG || (one > ENOUGH && rows >= FULL);
    }
    ntk_samples_free(all);
    return status;
}

static ntk_status time_pair(const ntk_kernel *kernel, const ntk_data *x, double *seconds)
{
    ntk_data *some;
    ntk_status status;

    NTK_TRY(ntk_data_slice(x, 0, ntk_least(x->n, rows_for(x->shape)), &some));
    status = time_pairs(kernel, some, seconds);
    ntk_data_free(some);
    return status;
}

/* ---- rows */

struct planning {
    ntk_ctx *ctx;
    ntk_plan *plan;
    ntk_plan_opts o;
    ntk_fit_opts fit;          /* with the solver that is chosen */
    struct ntk_choice choice;
    const ntk_net *net;
    const ntk_kernel *kernel;  /* of x, samples that are like those that are meant */
    const ntk_data *x;
};

/* Bytes that a solver may hold beside what is of the kernel and the model: what ntk_spare gives. */
static size_t room_for(const struct planning *p, const ntk_fit_opts *o)
{
    const size_t left = p->choice.left / 4 * 3;
    const size_t others = ntk_model_peak(o, p->o.n, p->o.outputs) - ntk_model_solver_class(o)->peak(p->o.n) + p->choice.scratch;

    return others < left ? left - others : 0;
}

/* A ridge that is chosen takes a factor for each that is tried. */
static void repeat(const ntk_fit_opts *o, struct ntk_cost *c)
{
    const struct ntk_solver_class *class = ntk_model_solver_class(o);

    if (o->diag_reg != NTK_DIAG_REG_AUTO || class->eigen)
        return;
    c->f32 *= NTK_RIDGES + 1;
    c->f64 *= NTK_RIDGES + 1;
    if (class->reads) { /* the matrix is not kept between factors, which are written */
        c->passes *= NTK_RIDGES + 1;
        c->written *= NTK_RIDGES + 1;
    }
}

/* Where a store has the matrix it is written once, and read wherever it is passed over. */
static void through_store(const struct planning *p, struct ntk_cost *c, double *computed)
{
    if (!p->fit.store)
        return;
    c->files += p->plan->info.store_bytes;
    c->written += p->plan->info.store_bytes * (1 + c->passes);
    *computed = 1;
}

/* Of a solver whose predictions are sums over `centers` of the samples. */
static void set_times(const struct planning *p, const struct ntk_cost *c, double computed, int64_t centers, ntk_plan_row *r)
{
    const ntk_plan_info *i = &p->plan->info;
    const double pair = i->pair_seconds / (double)p->o.ranks, share = (double)centers / (double)p->o.n;

    r->kernel_seconds = computed * i->pairs * pair;
    r->solve_seconds = ntk_cost_seconds(c, &p->plan->rates) + c->written / p->o.disk;
    r->predict_seconds = share * i->pairs_test * (pair + sizeof(double) / p->plan->rates.streamed);
    r->seconds = r->kernel_seconds + r->solve_seconds + r->predict_seconds;
}

/* The next row: what a solver takes, but for memory and time. */
static ntk_plan_row *start_row(struct planning *p, const char *solver, const struct ntk_cost *c)
{
    ntk_plan_row *r = &p->plan->rows[p->plan->n_rows];

    *r = (ntk_plan_row){.size = sizeof *r,
                        .solver = solver,
                        .kept = ntk_bytes(c->kept),
                        .steps = c->steps,
                        .assumed = c->assumed ? c->assumed : "",
                        .passes = c->passes,
                        .f32 = c->f32,
                        .f64 = c->f64,
                        .products = c->moved,
                        .vector = c->streamed,
                        .files = c->files,
                        .written = c->written};
    if (strcmp(solver, p->fit.solver) == 0)
        p->plan->info.chosen = (int64_t)p->plan->n_rows;
    p->plan->n_rows++;
    return r;
}

static void add_row(struct planning *p, const struct ntk_solver_class *class)
{
    ntk_plan_row *r;
    ntk_fit_opts o = p->fit;
    struct ntk_cost c;
    double computed;
    struct ntk_cost_task task = {.n = p->o.n,
                                 .outputs = p->o.outputs,
                                 .dtype = o.dtype,
                                 .tolerance = o.tolerance,
                                 .rank = o.rank,
                                 .ranks = p->o.ranks};

    o.solver = class->name;
    o.keep = o.keep && (class->put || strcmp(class->name, p->fit.solver) == 0);
    task.room = room_for(p, &o);
    class->cost(&task, &c);
    computed = c.passes;
    repeat(&o, &c);
    through_store(p, &c, &computed);
    r = start_row(p, class->name, &c);
    r->bytes = c.each > 0 ? ntk_bytes(c.each) + p->choice.scratch
                          : ntk_model_total(&o, p->o.n, p->o.outputs, p->choice.scratch);
    r->fits = r->bytes <= p->choice.left;
    set_times(p, &c, computed, p->o.n, r);
}

/* Not of the whole matrix: of some of its columns. */
static ntk_status add_landmarks(struct planning *p)
{
    const struct ntk_task task = {.net = p->net, .n = p->o.n};
    struct ntk_landmark_plan plan;
    ntk_fit_opts o = p->fit;
    struct ntk_cost c;
    ntk_plan_row *r;

    o.solver = "landmarks";
    o.triangle = o.checkpoint = o.scratch = NULL;
    if (p->o.ranks > 1 || ntk_landmarks_check(p->ctx, &o, &task) != NTK_OK)
        return NTK_OK;
    NTK_TRY(ntk_landmark_plan_like(p->kernel, p->x, p->o.n, p->choice.left, &o, p->o.outputs, false, &plan));
    ntk_landmarks_cost(&plan, p->o.n, &c);
    r = start_row(p, o.solver, &c);
    r->fits = plan.least <= p->choice.left;
    r->bytes = (r->fits ? plan.peak : plan.least) + ntk_landmark_targets(p->o.n, p->o.outputs);
    r->kept = 0; /* it is among them */
    set_times(p, &c, c.passes, plan.m, r);
    return NTK_OK;
}

/* Whether a solver takes such options, and so many processes. */
static bool takes(const struct ntk_solver_class *class, const ntk_fit_opts *o, int64_t ranks)
{
    return !(ranks > 1 && class->reads) && !(o->finite_time && !class->eigen) && !(class->eigen && (o->weights || o->noise)) &&
           !(o->diag_reg == NTK_DIAG_REG_AUTO && !class->inverse_diagonal);
}

static ntk_status add_rows(struct planning *p)
{
    p->plan->rows = ntk_alloc_zero(p->ctx, ntk_n_solvers + 1, sizeof *p->plan->rows);
    if (!p->plan->rows)
        return NTK_ENOMEM;
    for (size_t k = 0; k < ntk_n_solvers; k++)
        if (takes(ntk_solvers[k], &p->fit, p->o.ranks))
            add_row(p, ntk_solvers[k]);
    return add_landmarks(p);
}

/* ---- the choice */

static void say_why(struct planning *p)
{
    const struct ntk_task task = {.n = p->o.n, .outputs = p->o.outputs};
    const bool landmarks = ntk_model_by_landmarks(&p->fit);
    const char *why = p->choice.asked     ? "it was asked for"
                      : p->choice.instead ? p->choice.reason
                      : ntk_model_solver_class(&p->fit)->eigen
                          ? "finite times, and the choice of a ridge, are had from eigenvectors"
                          : "its factor fits into memory, and gives all figures";

    if (!landmarks && ntk_model_check_choice(p->ctx, &p->fit, &task, &p->choice) == NTK_ENOMEM)
        why = ntk_errmsg(p->ctx);
    ntk_format(p->plan->reason, sizeof p->plan->reason, "%s", why);
    p->plan->info.reason = p->plan->reason;
    p->plan->info.memory = p->choice.left;
}

static ntk_status choose(struct planning *p, const ntk_fit_opts *given, size_t scratch, bool there)
{
    const struct ntk_task task = {.net = p->net,
                                  .n = p->o.n,
                                  .outputs = p->o.outputs,
                                  .scratch = scratch,
                                  .coming = there ? 0 : ntk_bytes(p->plan->info.samples_bytes)};

    NTK_TRY(ntk_fit_opts_choose(p->ctx, given, &task, &p->fit, &p->choice));
    say_why(p);
    return NTK_OK;
}

/* ---- the kernel */

/* What is to be known of it, from samples like those that are to come. */
static ntk_status ask_kernel(struct planning *p, const ntk_kernel *kernel, const ntk_data *x, size_t *scratch)
{
    ntk_plan_info *i = &p->plan->info;
    const double n = (double)p->o.n, m = (double)p->o.m, features = (double)ntk_features_of(x->shape);

    NTK_TRY(ntk_kernel_scratch_like(kernel, x, p->o.n, scratch));
    if (p->fit.store)
        *scratch += ntk_store_bytes(kernel, p->fit.dtype, p->o.n, p->o.n);
    i->pairs = n * (n + 1) / 2;
    i->pairs_test = n * m;
    i->positions = ntk_kernel_positions(kernel);
    i->features = features;
    i->store_bytes = (i->pairs + i->pairs_test) * (double)p->fit.dtype * (double)ntk_kernel_outputs(kernel);
    i->samples_bytes = (n + m) * features * (double)p->fit.dtype;
    i->pair_seconds = p->o.like ? p->o.like->info.pair_seconds : (double)NAN;
    return p->o.like || !p->o.rates ? NTK_OK : time_pair(kernel, x, &i->pair_seconds);
}

static ntk_status measure(struct planning *p)
{
    ntk_plan_info *i = &p->plan->info;

    p->plan->rates = p->o.like ? p->o.like->rates : (struct ntk_rates){(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (p->o.rates && !p->o.like)
        NTK_TRY(ntk_rates_measure(p->ctx, p->o.outputs, ntk_ctx_memory(p->ctx) / 2, &p->plan->rates));
    i->rate_f32 = p->plan->rates.f32;
    i->rate_f64 = p->plan->rates.f64;
    i->rate_products = p->plan->rates.moved;
    i->rate_vector = p->plan->rates.streamed;
    return NTK_OK;
}

static ntk_status make(struct planning *p, const ntk_net *net, ntk_shape shape, const ntk_data *x, const ntk_fit_opts *given)
{
    const bool there = x == p->o.x && x->n == p->o.n;
    ntk_kernel *kernel;
    size_t scratch;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(p->ctx, &net, 1, ntk_model_want(&p->fit), p->fit.dtype, shape, &kernel));
    status = ntk_kernel_check_shape(kernel, "x", x);
    if (status == NTK_OK)
        status = ask_kernel(p, kernel, x, &scratch);
    if (status == NTK_OK)
        status = measure(p);
    if (status == NTK_OK)
        status = choose(p, given, scratch, there);
    p->kernel = kernel;
    p->x = x;
    if (status == NTK_OK)
        status = add_rows(p);
    ntk_kernel_free(kernel);
    return status;
}

/* ---- the plan */

static ntk_status check(ntk_ctx *ctx, ntk_shape shape, const ntk_plan_opts *o)
{
    if (!ntk_shape_valid(shape))
        return ntk_fail(ctx, NTK_EINVAL, "the shape of a sample must be as ntk_shape has it, of at most 2^31 - 1 numbers");
    if (o->m < 0 || o->m > NTK_SAMPLES_MAX)
        return ntk_fail(ctx, NTK_EINVAL, "m must be 0 to %d, got %lld", NTK_SAMPLES_MAX, (long long)o->m);
    if (o->outputs < 1 || o->ranks < 1 || !(o->disk > 0) || isinf(o->disk))
        return ntk_fail(ctx, NTK_EINVAL, "outputs and ranks must be at least 1, disk above 0");
    return NTK_OK;
}

/* Nothing of the work is said, or told, that is only planned. */
static ntk_status work(struct planning *p, const ntk_net *net, ntk_shape shape, const ntk_fit_opts *given)
{
    ntk_data *random = NULL;
    void *numbers = NULL;
    ntk_status status = NTK_OK;

    if (!p->o.x)
        status = random_samples(p->ctx, shape, p->fit.dtype, &numbers, &random);
    if (status == NTK_OK)
        status = make(p, net, shape, p->o.x ? p->o.x : random, given);
    ntk_data_free(random);
    free(numbers);
    return status;
}

ntk_status ntk_plan_new(ntk_ctx *ctx, const ntk_net *net, ntk_shape shape, const ntk_fit_opts *fit, const ntk_plan_opts *opts,
                        ntk_plan **plan)
{
    ntk_log_fn *const log = ctx->log;
    struct planning p = {.ctx = ctx, .net = net};
    struct ntk_choice choice;
    ntk_status status;

    NTK_TRY(ntk_sized_read(ctx, &sized_opts, opts, &p.o));
    NTK_TRY(check(ctx, shape, &p.o));
    if (p.o.x && p.o.x->symmetry)
        return ntk_fail(ctx, NTK_ENOTSUP, "plans are of samples as they are, and these stand for their copies, too: give data without a "
                        "symmetry");
    if (p.o.x && p.o.n == 0)
        p.o.n = p.o.x->n;
    NTK_TRY(ntk_fit_opts_choose(ctx, fit, &(struct ntk_task){.net = net}, &p.fit, &choice)); /* its numbers alone */
    NTK_TRY(ntk_fit_opts_check(ctx, &p.fit, p.o.n));
    if (p.o.ranks > 1 && (ntk_model_by_landmarks(&p.fit) || ntk_model_solver_class(&p.fit)->reads))
        return ntk_fail(ctx, NTK_ENOTSUP, "the solver '%s' is one process's: plan 1 rank, or take 'scalapack' or 'cg'", p.fit.solver);
    p.plan = ntk_alloc_zero(ctx, 1, sizeof *p.plan);
    if (!p.plan)
        return NTK_ENOMEM;
    p.plan->ctx = ctx;
    p.plan->info.size = sizeof p.plan->info;
    ctx->log = NULL;
    status = work(&p, net, shape, fit);
    ctx->log = log;
    if (status == NTK_OK)
        *plan = p.plan;
    else
        ntk_plan_free(p.plan);
    return status;
}

void ntk_plan_free(ntk_plan *plan)
{
    if (!plan)
        return;
    free(plan->rows);
    free(plan);
}

ntk_status ntk_plan_about(const ntk_plan *plan, ntk_plan_info *info)
{
    NTK_TRY(ntk_sized_check(plan->ctx, &sized_info, info));
    ntk_sized_write(&sized_info, &plan->info, info);
    return NTK_OK;
}

size_t ntk_plan_rows(const ntk_plan *plan) { return plan->n_rows; }

ntk_status ntk_plan_get(const ntk_plan *plan, size_t row, ntk_plan_row *to)
{
    if (row >= plan->n_rows)
        return ntk_fail(plan->ctx, NTK_EINVAL, "there are %zu rows, numbered from 0; got %zu", plan->n_rows, row);
    NTK_TRY(ntk_sized_check(plan->ctx, &sized_row, to));
    ntk_sized_write(&sized_row, &plan->rows[row], to);
    return NTK_OK;
}
