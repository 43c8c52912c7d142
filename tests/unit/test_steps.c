/* SPDX-License-Identifier: MIT
 *
 * test_steps.c - what a step of a finite network must have and what it says of itself; a step of the
 * tests' own (gain.c) through derivatives, kernels and training.
 */
#include "activations/activation.h"
#include "finite/finite.h"
#include "context.h"
#include "gain.h"

static const struct ntk_step_class *const steps[] = {
#define STEP(name, parameters) &ntk_step_##name,
#include "steps/steps.def"
#undef STEP
    &ntk_step_gain,
};
enum { N_STEPS = sizeof steps / sizeof *steps };

static double *random_numbers(int64_t n, uint64_t seed)
{
    double *x = malloc((size_t)n * sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = test_normal(&seed);
    return x;
}

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- faces */

/* In the order of struct ntk_step_loops; NULL: a step may be without. */
static const char *const faces[] = {
    "forward", "jvp", "vjp", NULL, NULL, NULL, "share_scratch", "derivatives_are_cheaper"};
enum { FORWARD, JVP, VJP, SCRATCH, DIFFERENTIATE, SHARE, SHARE_SCRATCH, CHEAPER, N_FACES };

/* A step of that class on a tape of its own. */
static ntk_status append(const struct ntk_step_class *cls)
{
    struct ntk_tape t = {.ctx = ctx};
    struct ntk_wire in = {.shape = {.h = 1, .w = 1, .c = 3}}, out = in;
    struct ntk_tape_step *step;
    ntk_status status;

    ntk_tape_start(&t, in.shape);
    step = ntk_tape_append(&t, cls, 1, &in, &out);
    status = t.status;
    assert_true((status == NTK_OK) == (step != NULL));
    ntk_tape_free(&t);
    return status;
}

static void a_face_that_is_missing_is_named(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct ntk_step_loops), N_FACES * sizeof(void (*)(void)));
    for (int k = 0; k < N_STEPS; k++) {
        assert_ok(ctx, append(steps[k]));
        for (int face = -1; face < N_FACES; face++)
            for (int type = 0; type < 2; type++) {
                struct ntk_step_class cls = *steps[k];
                struct ntk_step_loops loops = type ? *cls.f64 : *cls.f32;
                const bool needed = face < 0 || (faces[face] && (face < SHARE || loops.share));
                char text[120];

                if (face >= 0)
                    memset((char *)&loops + (size_t)face * sizeof(void (*)(void)), 0,
                           sizeof(void (*)(void)));
                *(type ? &cls.f64 : &cls.f32) = face < 0 ? NULL : &loops;
                snprintf(text, sizeof text, "finite networks: the step '%s' has no %s in float%d",
                         cls.name, face < 0 ? "loops" : faces[face] ? faces[face] : "", type ? 64 : 32);
                if (needed)
                    assert_fails(ctx, NTK_ENOTSUP, text, append(&cls));
                else
                    assert_ok(ctx, append(&cls));
            }
    }
}

/* ---- flags: what a step says of itself, of one of each kind */

static const struct ntk_window three = {
    .size = {3, 3}, .stride = {1, 1}, .low = {1, 1}, .out = {5, 4}};
static const ntk_shape image = {.spatial = 2, .h = 5, .w = 4, .c = 3};

static struct ntk_tape one_of_each(void)
{
    const struct ntk_affine affine = {
        .window = &three, .W_scale = 0.7, .b_scale = 0.3, .W_std = 1, .b_std = 1, .trainable = true};
    struct ntk_tape t = {.ctx = ctx};
    struct ntk_wire in[] = {{0, image}, {0, image}}, out = {0, image};

    ntk_tape_start(&t, image);
    ntk_tape_affine(&t, "affine", &affine, in, &out);
    ntk_tape_activation(&t, ntk_activation_find("Tanh"), NULL, in, &out);
    ntk_tape_pool(&t, &three, 0.4, in, &out);
    ntk_tape_norm(&t, 0, 1e-3, in, &out);
    ntk_tape_sum(&t, 2, in, &out);
    ntk_tape_product(&t, 2, in, &out);
    ntk_tape_gain(&t, "gain", true, in, &out);
    out.shape.c *= 2;
    ntk_tape_concat(&t, 2, in, &out);
    assert_ok(ctx, t.status);
    for (int k = 0; k < N_STEPS; k++) {
        bool found = false;

        for (int i = 0; i < t.n; i++)
            found = found || t.steps[i].cls == steps[k];
        if (!found)
            fail_msg("one_of_each has no step '%s'", steps[k]->name);
    }
    return t;
}

/* Back through a step at samples of a seed: dx [n_in][60], dtheta [n_theta]. */
static void back(const struct ntk_tape_step *s, uint64_t seed, const double *g, double *dx, double *dtheta)
{
    const struct ntk_step_loops *l = s->cls->f64;
    double *x[2] = {random_numbers(60, seed), random_numbers(60, seed + 1)}, *y = random_numbers(120, 1);
    double *theta = random_numbers(s->n_theta + 1, 2);
    const struct ntk_run r = {.step = s,
                              .simd = ctx->isa->f64,
                              .threads = 1,
                              .n = 1,
                              .copies = 1,
                              .theta = theta,
                              .scratch = malloc(l->scratch ? l->scratch(s, 1) : 1)};
    const void *in[] = {x[0], x[1]};

    memset(dtheta, 0, (size_t)s->n_theta * sizeof *dtheta);
    l->forward(&r, in, y);
    l->vjp(&r, in, y, g, (void *[]){dx, dx + 60}, (bool[]){false, false}, s->n_theta ? dtheta : NULL);
    free(x[0]);
    free(x[1]);
    free(y);
    free(theta);
    free(r.scratch);
}

static bool is_linear(const struct ntk_tape_step *s)
{
    double *g = random_numbers(120, 3), dx[2][120] = {{0}}, dtheta[200];

    for (int k = 0; k < 2; k++)
        back(s, 10 + 10 * (uint64_t)k, g, dx[k], dtheta);
    free(g);
    return memcmp(dx[0], dx[1], (size_t)s->n_in * 60 * sizeof(double)) == 0;
}

/* A cotangent at one number of the output reaches that number of the only input alone. */
static bool is_elementwise(const struct ntk_tape_step *s)
{
    double g[120] = {[31] = 1}, dx[120] = {0}, dtheta[200];
    bool others = s->n_in > 1;

    back(s, 10, g, dx, dtheta);
    for (int i = 0; i < 60; i++)
        others = others || (i != 31 && dx[i] != 0);
    return !others;
}

/* Cotangents of two channels reach different parameters. */
static bool is_by_channel(const struct ntk_tape_step *s)
{
    double dx[120], dtheta[2][200];
    bool common = false;

    for (int c = 0; c < 2; c++) {
        double *g = random_numbers(120, 3);

        for (int i = 0; i < 120; i++)
            g[i] *= i % s->out_shape.c == c;
        back(s, 10, g, dx, dtheta[c]);
        free(g);
    }
    for (int64_t i = 0; i < s->n_theta; i++)
        common = common || (dtheta[0][i] != 0 && dtheta[1][i] != 0);
    return !common;
}

static void flags_are_true(void **state)
{
    struct ntk_tape t = one_of_each();

    (void)state;
    assert_ok(ctx, ntk_isa_resolve(ctx));
    for (int k = 0; k < t.n; k++) {
        const struct ntk_tape_step *s = &t.steps[k];

        if (s->cls->linear != is_linear(s))
            fail_msg("%s: linear is %d", s->cls->name, s->cls->linear);
        if (s->cls->elementwise != is_elementwise(s))
            fail_msg("%s: elementwise is %d", s->cls->name, s->cls->elementwise);
        if (s->n_theta && s->cls->by_channel != is_by_channel(s))
            fail_msg("%s: by_channel is %d", s->cls->name, s->cls->by_channel);
    }
    ntk_tape_free(&t);
}

/* ---- networks with a gain */

enum { SAMPLES = 4, NETWORKS = 3 };

static struct ntk_wire dense(struct ntk_tape *t, struct ntk_wire in, const struct ntk_window *w, int64_t c)
{
    const struct ntk_affine a = {
        .window = w, .W_scale = 0.6, .b_scale = 0.4, .W_std = 1, .b_std = 1, .trainable = true};
    struct ntk_wire out = in;

    out.shape.c = c;
    ntk_tape_affine(t, "Dense", &a, &in, &out);
    return out;
}

static struct ntk_wire gain(struct ntk_tape *t, struct ntk_wire in, bool trainable)
{
    struct ntk_wire out = in;

    ntk_tape_gain(t, "Gain", trainable, &in, &out);
    return out;
}

static struct ntk_wire curve(struct ntk_tape *t, struct ntk_wire in)
{
    struct ntk_wire out = in;

    ntk_tape_activation(t, ntk_activation_find("Tanh"), NULL, &in, &out);
    return out;
}

static struct ntk_wire mean(struct ntk_tape *t, struct ntk_wire in)
{
    const struct ntk_window all = {
        .size = {(int)in.shape.h, (int)in.shape.w}, .stride = {1, 1}, .out = {1, 1}};
    struct ntk_wire out = {.shape = {.h = 1, .w = 1, .c = in.shape.c}};

    ntk_tape_pool(t, &all, 1.0 / 20, &in, &out);
    return out;
}

/* Where the tangent kernel's shares are of one cotangent a sample (mask.h): before the last activation;
 * with positions; and on the input, not trained, and last. */
static struct ntk_tape network_tape(int number)
{
    struct ntk_tape t = {.ctx = ctx};
    struct ntk_wire w = {.shape = number == 1 ? image : (ntk_shape){.h = 1, .w = 1, .c = 60}};

    ntk_tape_start(&t, w.shape);
    if (number == 0)
        w = dense(&t, curve(&t, gain(&t, dense(&t, w, NULL, 7), true)), NULL, 3);
    else if (number == 1)
        w = dense(&t, mean(&t, gain(&t, curve(&t, gain(&t, dense(&t, w, &three, 4), true)), true)), NULL, 2);
    else
        w = gain(&t, dense(&t, gain(&t, curve(&t, dense(&t, gain(&t, w, true), NULL, 5)), false), NULL, 2),
                 true);
    t.out = w.value;
    t.out_shape = w.shape;
    return t;
}

/* Faces of the gain that its networks have: none for the share; derivatives alone; the share, always or
 * never from derivatives. */
enum way { BY_VJP, BY_DERIVATIVES, BY_SHARE, BY_EITHER, N_WAYS };

static bool never(const struct ntk_share *s)
{
    (void)s;
    return false;
}

struct fixture {
    struct ntk_step_loops f32, f64;
    struct ntk_step_class cls;
    double *numbers;
    ntk_data *x;
    ntk_params *p;
    int64_t count, outputs, all; /* all = SAMPLES * outputs */
};

static void start(struct fixture *f, int number, enum way way, ntk_dtype dtype)
{
    struct ntk_tape t = network_tape(number);
    const ntk_shape shape = number == 1 ? image : (ntk_shape){.h = 1, .w = 1, .c = 60};

    *f = (struct fixture){.f32 = *ntk_step_gain.f32, .f64 = *ntk_step_gain.f64, .cls = ntk_step_gain};
    for (int k = 0; k < 2; k++) {
        struct ntk_step_loops *l = k ? &f->f64 : &f->f32;

        l->share = way == BY_SHARE || way == BY_EITHER ? l->share : NULL;
        l->differentiate = way == BY_VJP ? NULL : l->differentiate;
        l->derivatives_are_cheaper = way == BY_SHARE ? never : l->derivatives_are_cheaper;
    }
    f->cls.f32 = &f->f32;
    f->cls.f64 = &f->f64;
    for (int k = 0; k < t.n; k++)
        if (t.steps[k].cls == &ntk_step_gain)
            t.steps[k].cls = &f->cls;
    f->numbers = random_numbers(SAMPLES * 60, 7);
    assert_ok(ctx, ntk_data_view(ctx, f->numbers, NTK_F64, SAMPLES, shape, &f->x));
    assert_ok(ctx, ntk_params_of_tape(&t, shape, dtype, 11, &f->p));
    assert_ok(ctx, ntk_params_allocate(f->p));
    assert_ok(ctx, ntk_params_draw(f->p));
    f->count = ntk_params_count(f->p);
    f->outputs = ntk_params_outputs(f->p);
    f->all = SAMPLES * f->outputs;
}

static void stop(struct fixture *f)
{
    ntk_params_free(f->p);
    ntk_data_free(f->x);
    free(f->numbers);
}

/* [f->all][f->count], by differences of outputs; zeros for what is not trained. */
static double *jacobian(const struct fixture *f)
{
    const double step = 1e-5;
    double *J = calloc((size_t)(f->all * f->count), sizeof *J), *theta = ntk_params_theta(f->p);
    double out[2][SAMPLES * 3];
    const ntk_param_array *arrays;
    const size_t n = ntk_params_arrays(f->p, &arrays);

    assert_non_null(J);
    for (size_t a = 0; a < n; a++)
        for (int64_t i = arrays[a].offset; i < arrays[a].offset + arrays[a].size && arrays[a].trainable; i++) {
            const double at = theta[i];

            for (int side = 0; side < 2; side++) {
                theta[i] = at + (side ? -step : step);
                assert_ok(ctx, ntk_params_apply(f->p, f->x, out[side]));
            }
            theta[i] = at;
            for (int64_t o = 0; o < f->all; o++)
                J[o * f->count + i] = (out[0][o] - out[1][o]) / (2 * step);
        }
    return J;
}

static void derivatives_are_differences(void **state)
{
    (void)state;
    for (int number = 0; number < NETWORKS; number++) {
        struct fixture f;
        double *J, *v, *u, *g, df[SAMPLES * 3], want;

        start(&f, number, BY_VJP, NTK_F64);
        J = jacobian(&f);
        v = random_numbers(f.count, 3);
        u = random_numbers(f.all, 4);
        g = random_numbers(f.count, 5);
        assert_ok(ctx, ntk_params_jvp(f.p, f.x, v, NULL, df));
        assert_ok(ctx, ntk_params_vjp(f.p, f.x, u, g));
        for (int64_t o = 0; o < f.all; o++)
            assert_near(df[o], dot(f.count, J + o * f.count, v), 1e-8, 1);
        for (int64_t i = 0; i < f.count; i++) {
            want = 0;
            for (int64_t o = 0; o < f.all; o++)
                want += u[o] * J[o * f.count + i];
            assert_near(g[i], want, 1e-8, 1);
        }
        free(J);
        free(v);
        free(u);
        free(g);
        stop(&f);
    }
}

/* All forms against J1 J2', for the samples and the first n2 of them (x2 NULL: all, and symmetric). */
static void compare_kernels(const struct fixture *f, const double *J, const ntk_data *x2, int64_t n2)
{
    const int64_t c = f->outputs;
    double full[SAMPLES * SAMPLES * 9], diagonal[SAMPLES * SAMPLES * 3], trace[SAMPLES * SAMPLES];

    assert_ok(ctx, ntk_params_kernel(f->p, NTK_NTK, NTK_FULL, f->x, x2, full));
    assert_ok(ctx, ntk_params_kernel(f->p, NTK_NTK, NTK_DIAGONAL, f->x, x2, diagonal));
    assert_ok(ctx, ntk_params_kernel(f->p, NTK_NTK, NTK_TRACE, f->x, x2, trace));
    for (int64_t e = 0; e < SAMPLES * n2; e++) {
        double sum = 0;

        for (int64_t o = 0; o < c * c; o++) {
            const double *left = J + (e / n2 * c + o / c) * f->count;
            const double want = dot(f->count, left, J + (e % n2 * c + o % c) * f->count);

            assert_near(full[e * c * c + o], want, 1e-7, 1);
            if (o / c == o % c)
                assert_near(diagonal[e * c + o / c], want, 1e-7, 1);
            sum += o / c == o % c ? want : 0;
        }
        assert_near(trace[e], sum / (double)c, 1e-7, 1);
    }
}

static void kernels_are_products_of_derivatives(void **state)
{
    (void)state;
    for (int number = 0; number < NETWORKS; number++)
        for (int way = 0; way < N_WAYS; way++) {
            struct fixture f;
            double *J;
            ntk_data *two;

            start(&f, number, (enum way)way, NTK_F64);
            J = jacobian(&f);
            assert_ok(ctx, ntk_data_slice(f.x, 0, 2, &two));
            compare_kernels(&f, J, NULL, SAMPLES);
            compare_kernels(&f, J, two, 2);
            ntk_data_free(two);
            free(J);
            stop(&f);
        }
}

/* All ways are the same kernel to rounding, in either type, and each the same on three threads. */
static void ways_threads_and_types(void **state)
{
    (void)state;
    for (int number = 0; number < NETWORKS; number++) {
        double want[SAMPLES * SAMPLES * 9];

        for (int way = 0; way < N_WAYS; way++)
            for (int type = 0; type < 2; type++) {
                struct fixture f;
                double k[2][SAMPLES * SAMPLES * 9] = {{0}};
                float *k32 = (float *)k[0];
                const double tolerance = type ? 1e-5 : 1e-14;

                start(&f, number, (enum way)way, type ? NTK_F32 : NTK_F64);
                for (int t = 0; t < 2; t++) {
                    assert_ok(ctx, ntk_ctx_set_threads(ctx, t ? 1 : 3));
                    assert_ok(ctx, ntk_params_kernel(f.p, NTK_NTK, NTK_FULL, f.x, NULL, k[1 - t]));
                }
                assert_memory_equal(k[0], k[1], sizeof *k);
                if (way == 0 && type == 0)
                    memcpy(want, k[0], sizeof want);
                for (int64_t i = 0; i < SAMPLES * SAMPLES * f.outputs * f.outputs; i++)
                    assert_near(type ? (double)k32[i] : k[0][i], want[i], tolerance, 10);
                assert_ok(ctx, ntk_ctx_set_threads(ctx, 2));
                stop(&f);
            }
    }
}

static void training_goes_down_the_gradient(void **state)
{
    (void)state;
    for (int number = 0; number < NETWORKS; number++) {
        struct fixture f;
        double *y, *g, *before, out[SAMPLES * 3], loss[2], *theta;
        ntk_train_opts opts;
        ntk_train *train;

        start(&f, number, BY_VJP, NTK_F64);
        theta = ntk_params_theta(f.p);
        y = random_numbers(f.all, 3);
        g = random_numbers(f.count, 4);
        before = random_numbers(f.count, 5);
        memcpy(before, theta, (size_t)f.count * sizeof *theta);
        assert_ok(ctx, ntk_params_apply(f.p, f.x, out));
        for (int64_t i = 0; i < f.all; i++)
            out[i] -= y[i];
        assert_ok(ctx, ntk_params_vjp(f.p, f.x, out, g));
        ntk_train_opts_init(&opts);
        assert_ok(ctx, ntk_train_new(f.p, f.x, y, &opts, &train));
        assert_ok(ctx, ntk_train_run(train, 1, &loss[0]));
        for (int64_t i = 0; i < f.count; i++)
            assert_near(theta[i], before[i] - ntk_train_learning_rate(train) * g[i], 1e-13, 1);
        assert_ok(ctx, ntk_train_run(train, 200, NULL));
        assert_ok(ctx, ntk_train_run(train, 1, &loss[1]));
        assert_true(loss[1] < 0.2 * loss[0]);
        ntk_train_free(train);
        free(y);
        free(g);
        free(before);
        stop(&f);
    }
}

/* ---- what parameters a network has */

/* A step's arrays are drawn and listed, whatever the step: names, deviations, what is not trained. */
static void arrays_are_those_of_steps(void **state)
{
    struct fixture f;
    const ntk_param_array *a;
    const ntk_param_layer *layers;
    const double *theta;
    double squares = 0;

    (void)state;
    start(&f, 2, BY_VJP, NTK_F64);
    assert_int_equal(ntk_params_arrays(f.p, &a), 7);
    assert_string_equal(a[0].name, "00_Gain/a");
    assert_true(a[0].ndim == 1 && a[0].shape[0] == 60 && a[0].offset == 0 && a[0].trainable);
    assert_string_equal(a[1].name, "01_Dense/W");
    assert_true(a[1].offset == 60 && a[1].size == 300 && a[2].offset == 360);
    assert_true(!a[3].trainable && a[6].trainable);
    assert_int_equal(ntk_params_layers(f.p, &layers), 0); /* it has no net */
    theta = ntk_params_theta(f.p);
    for (int i = 0; i < 60; i++)
        squares += theta[i] * theta[i] / 60;
    assert_true(fabs(sqrt(squares) - 0.6) < 0.2); /* deviation 0.6 / sqrt(120) = 0.055 */
    stop(&f);
}

static void layers_have_their_arrays(void **state)
{
    /* FanOut and layers without parameters count; a repeat's as often as it says */
    static const int want[][3] = {{2, 0, 1}, {0}, {0}, {2, 2, -1}, {0}, {2, 3, -1}, {0}, {0}, {0}, {2, 4, 5}};
    const ntk_param_layer *layers;
    ntk_params *p;
    ntk_net *net;

    (void)state;
    assert_ok(ctx, ntk_net_parse(ctx,
                                 "serial(Dense(3, b_std=1), Relu(), FanOut(2), parallel(repeat(serial("
                                 "Dense(3), Erf()), 2), Identity()), FanInConcat(), Dense(2, b_std=1))",
                                 &net));
    assert_ok(ctx, ntk_params_new(ctx, net, (ntk_shape){.h = 1, .w = 1, .c = 4}, NTK_F64, 1, &p));
    assert_int_equal(ntk_params_layers(p, &layers), sizeof want / sizeof *want);
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        assert_int_equal(layers[k].n, want[k][0]);
        for (int i = 0; i < layers[k].n; i++)
            assert_int_equal(layers[k].arrays[i], want[k][1 + i]);
    }
    ntk_params_free(p);
    ntk_net_free(net);
}

/* ---- windows */

/* Against positions counted one by one from far to the left. */
static void windows_cover_positions(void **state)
{
    (void)state;
    for (int n = 1; n < 6; n++)
        for (int size = 1; size < 8; size++)
            for (int bits = 0; bits < 16; bits++) {
                const struct ntk_window_axis x = {.n = n,
                                                  .size = size,
                                                  .stride = 1 + (bits & 1) + (bits & 2),
                                                  .low = bits & 4 ? (size - 1) / 2 : 0,
                                                  .wrap = bits & 8};

                for (int q = 0; x.stride * q - x.low < n; q++) {
                    int first, last, position = 0;

                    ntk_window_inside(&x, q, &first, &last);
                    for (int k = -100 * n; k < x.stride * q - x.low; k++)
                        position = (position + 1) % n;
                    for (int a = 0; a < size; a++, position = (position + 1) % n) {
                        const int p = x.stride * q - x.low + a;
                        const bool inside = x.wrap || (p >= 0 && p < n);

                        assert_int_equal(ntk_window_position(&x, q, a), inside ? position : -1);
                        assert_true((a >= first && a < last) == inside);
                    }
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_face_that_is_missing_is_named),
        cmocka_unit_test(flags_are_true),
        cmocka_unit_test(derivatives_are_differences),
        cmocka_unit_test(kernels_are_products_of_derivatives),
        cmocka_unit_test(ways_threads_and_types),
        cmocka_unit_test(training_goes_down_the_gradient),
        cmocka_unit_test(arrays_are_those_of_steps),
        cmocka_unit_test(layers_have_their_arrays),
        cmocka_unit_test(windows_cover_positions),
    };

    return cmocka_run_group_tests_name("steps", tests, setup, teardown);
}
