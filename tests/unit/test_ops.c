/* SPDX-License-Identifier: MIT
 *
 * test_ops.c - operations: their faces, and what becomes of one that lacks some; operations of the test's own through
 * every backend.
 */
#include "backend/registry.h"
#include "context.h"
#include "engine/run.h"
#include "ops/op.h"

#define W 5 /* positions of a sequence */
#define N 3 /* samples of it, of one channel */

/* ------------------------------------------------------------------ operations of the test's own */

/* The square of a covariance, by an instruction that there is. Its argument is one that it does not need. */
static void square_instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    (void)v;
    out->id = NTK_DO_PRODUCT;
}

static void square_variance(const struct ntk_variances *x)
{
    x->simd->product(ntk_node_positions(x->v) * x->lanes, 2, x->in, x->out[0]);
}

static struct ntk_range square_range(const struct ntk_graph *g, const struct ntk_node *v, const struct ntk_range *in,
                                     const struct ntk_dual *dual)
{
    const struct ntk_range x = in[v->in[0]];

    (void)g;
    (void)dual;
    return (struct ntk_range){x.lo * x.lo, x.hi * x.hi, x.tiny * x.tiny, x.gap};
}

static int square_degree(const struct ntk_node *v, const int *in, bool limit)
{
    (void)limit;
    return in[v->in[0]] == NTK_ANY_DEGREE ? NTK_ANY_DEGREE : 2 * in[v->in[0]];
}

static void print(const struct ntk_node *v, struct ntk_text *text)
{
    ntk_text_add(text, "%d", *(const int *)v->args);
}

static const struct ntk_op square = {.name = "square",
                                     .results = 1,
                                     .instruct = square_instruct,
                                     .variance = square_variance,
                                     .range = square_range,
                                     .degree = square_degree,
                                     .print = print};

/* out[p, p'] = in[p + 1, p' + 1], around the edges. */
static void shift_positions(struct ntk_graph *g, struct ntk_node *v)
{
    (void)g;
    v->place = NTK_LINKS;
    v->frame = -1;
}

static struct ntk_link_axis shift_axis(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    const struct ntk_node *in = ntk_node_in(g, v, 0);
    const int n = k ? in->w : in->h;

    return (struct ntk_link_axis){
        .window = {.n = n, .size = 1, .stride = 1, .low = k ? -1 : 0, .wrap = true}, .n_out = n};
}

static void shift_instruct(const struct ntk_node *v, struct ntk_instruction *out)
{
    (void)v;
    out->id = NTK_DO_LINK;
    out->scale = 1;
}

static const struct ntk_op shift = {.name = "shift",
                                    .results = 1,
                                    .positions = shift_positions,
                                    .axis = shift_axis,
                                    .instruct = shift_instruct,
                                    .range = ntk_range_of_input,
                                    .degree = ntk_degree_of_input,
                                    .print = print};

/* The trace, as an operation that may lack its axis. */
static void sum_positions(struct ntk_graph *g, struct ntk_node *v)
{
    (void)g;
    v->place = NTK_SUMS;
    v->plane = false;
    v->h = v->w = v->stride[0] = v->stride[1] = 1;
}

static struct ntk_link_axis sum_axis(const struct ntk_graph *g, const struct ntk_node *v, int k)
{
    struct ntk_link_axis x = shift_axis(g, v, k);

    x.window.low = 0;
    x.window.wrap = false;
    x.only_trace = true;
    return x;
}

static const struct ntk_op sum = {.name = "own sum",
                                  .results = 1,
                                  .positions = sum_positions,
                                  .axis = sum_axis,
                                  .instruct = shift_instruct,
                                  .range = ntk_range_of_input,
                                  .degree = ntk_degree_of_input,
                                  .print = print};

/* ------------------------------------------------------------------ faces */

/* What ntk_op_check asks of all. */
static void all_have_faces(void **state)
{
    (void)state;
    for (size_t k = 0; k < ntk_n_ops; k++) {
        const struct ntk_op *op = ntk_ops[k];

        assert_non_null(op->name);
        for (size_t j = 0; j < k; j++)
            assert_string_not_equal(op->name, ntk_ops[j]->name);
        if (op->results < 1 || op->results > 2)
            fail_msg("%s has %d results", op->name, op->results);
        if (!op->instruct || !op->degree)
            fail_msg("%s lacks instruct or degree", op->name);
        if (!op->variance && !op->axis && op != ntk_ops[0])
            fail_msg("%s has neither variance nor axis", op->name);
        if (!op->range && op != ntk_ops[0])
            fail_msg("%s has no range", op->name);
        if (!op->sides && (op->setup || op->finish))
            fail_msg("%s has a setup, and no sides that depend on it", op->name);
    }
    for (int k = 0; k < NTK_N_INSTRUCTIONS; k++)
        assert_non_null(ntk_instruction_name((enum ntk_instruction_id)k));
}

static void graph_begin(struct ntk_graph *g)
{
    ntk_graph_init(g, ctx);
    g->planes = g->cyclic = true;
    g->h = 1;
    g->w = W;
    ntk_graph_input(g);
}

static int add(struct ntk_graph *g, const struct ntk_op *op, int n_in, int in)
{
    const int none = 0;

    return ntk_graph_add(g, op, n_in, (int[]){in, in}, &none, sizeof none, NULL);
}

/* A program with an operation on the samples; total: what comes after it reads through it. */
static ntk_status make(const struct ntk_op *op, int n_in, bool total, struct ntk_program **program)
{
    struct ntk_graph g;
    ntk_status status;
    int out;

    graph_begin(&g);
    out = add(&g, op, n_in, 0);
    if (g.nodes[out].plane)
        out = total ? ntk_graph_total(&g, out, 1) : ntk_graph_trace(&g, out, 1);
    assert_int_equal(g.status, NTK_OK);
    status = ntk_program_make(&g, 1, &out, program);
    ntk_graph_free(&g);
    return status;
}

static void refused(struct ntk_op op, int n_in, const char *face)
{
    struct ntk_program *p;
    char text[100];

    snprintf(text, sizeof text, "the operation %s has no %s", op.name, face);
    for (int total = 0; total < 2; total++)
        assert_fails(ctx, NTK_EINVAL, text, make(&op, n_in, total, &p));
}

/* Each face that is required, taken away. */
static void missing_faces_are_named(void **state)
{
    const struct {
        const struct ntk_op *op;
        int n_in;
    } own[] = {{&square, 2}, {&shift, 1}, {&sum, 1}};

    (void)state;
    for (size_t k = 0; k < sizeof own / sizeof *own; k++) {
        struct ntk_program *p = NULL;
        struct ntk_op op = *own[k].op;

        assert_ok(ctx, make(&op, own[k].n_in, false, &p));
        ntk_program_free(p);
        op.instruct = NULL;
        refused(op, own[k].n_in, "instruct");
        op = *own[k].op;
        op.range = NULL;
        refused(op, own[k].n_in, "range");
        op = *own[k].op;
        op.degree = NULL;
        refused(op, own[k].n_in, "degree");
        op = *own[k].op;
        op.print = NULL;
        refused(op, own[k].n_in, "print");
        op = *own[k].op;
        op.axis = NULL;
        op.variance = NULL;
        refused(op, own[k].n_in, own[k].op->axis ? "axis" : "variance");
    }
}

/* ------------------------------------------------------------------ they work */

/* sum over p of (x[p] x'[p])^2 x[p + 1] x'[p + 1] */
static double by_hand(const double *x, const double *y)
{
    double total = 0;

    for (int p = 0; p < W; p++) {
        const double here = x[p] * y[p], next = x[(p + 1) % W] * y[(p + 1) % W];

        total += here * here * next;
    }
    return total;
}

static void run(const struct ntk_backend *backend, const struct ntk_program *program, const double *x, double *k)
{
    struct ntk_machine machine = {.program = program, .backend = backend};
    struct ntk_memory_sink sink = {.out = (void *[]){k}, .n2 = N, .dtype = NTK_F64, .symmetric = true};
    struct ntk_samples *samples;
    struct ntk_job job;
    ntk_data *data;

    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, N, (ntk_shape){1, 1, W, 1}, &data));
    assert_ok(ctx, backend->compile(program, &machine.compiled));
    assert_ok(ctx, ntk_samples_make(&machine, NTK_F64, 1, (const ntk_data *const[]){data}, false, NULL, NULL, &samples));
    assert_ok(ctx, ntk_samples_sides(samples));
    job = (struct ntk_job){
        .machine = &machine, .rows = samples, .columns = samples, .symmetric = true, .out_dtype = NTK_F64};
    assert_ok(ctx, ntk_run(&job, ntk_memory_sink_write, &sink));
    ntk_samples_release(samples);
    backend->close(machine.compiled);
    ntk_data_free(data);
}

static void own_operations_work(void **state)
{
    double x[N * W], k[N * N];
    struct ntk_program *program;
    struct ntk_graph g;
    uint64_t seed = 7;
    const char *isa;
    int out;

    (void)state;
    for (int i = 0; i < N * W; i++)
        x[i] = test_normal(&seed);
    memcpy(x + 2 * W, x, W * sizeof *x);
    assert_ok(ctx, ntk_ctx_isa(ctx, &isa));
    graph_begin(&g);
    out = ntk_graph_product(&g, 2, (int[]){add(&g, &square, 2, 0), add(&g, &shift, 1, 0)});
    out = ntk_graph_trace(&g, out, 1);
    assert_ok(ctx, ntk_program_make(&g, 1, &out, &program));
    for (size_t b = 0; b < ntk_n_backends; b++) {
        const char *why;

        if (ntk_backends[b]->probe && !ntk_backends[b]->probe(ctx, &why))
            continue;
        run(ntk_backends[b], program, x, k);
        for (int e = 0; e < N * N; e++)
            assert_near(k[e], by_hand(x + e / N * W, x + e % N * W), 1e-14, 1);
    }
    ntk_program_free(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_have_faces),
        cmocka_unit_test(missing_faces_are_named),
        cmocka_unit_test(own_operations_work),
    };

    return cmocka_run_group_tests_name("ops", tests, setup, teardown);
}
