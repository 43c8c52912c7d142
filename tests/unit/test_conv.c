/* SPDX-License-Identifier: MIT
 *
 * test_conv.c - kernels of nets with positions.
 */
#include "arch/arch.h"
#include "context.h"
#include "golden.h"

#define SAMPLES 4

struct conv_case {
    const char *net;
    ntk_shape shape;
    double *x;       /* [SAMPLES][h][w][c] */
    double *want[2]; /* NNGP, NTK: [SAMPLES][SAMPLES] */
    int n;           /* numbers in x */
};

static struct conv_case read_case(const cJSON *item)
{
    struct conv_case c = {.net = golden_text(item, "net")};
    int n;
    double *shape = golden_numbers(cJSON_GetObjectItem(item, "x_shape"), &n);

    c.shape = n == 4 ? (ntk_shape){2, (int64_t)shape[1], (int64_t)shape[2], (int64_t)shape[3]}
                     : (ntk_shape){1, 1, (int64_t)shape[1], (int64_t)shape[2]};
    free(shape);
    c.x = golden_numbers(cJSON_GetObjectItem(item, "x"), &c.n);
    c.want[0] = golden_numbers(cJSON_GetObjectItem(item, "nngp"), &n);
    assert_int_equal(n, SAMPLES * SAMPLES);
    c.want[1] = golden_numbers(cJSON_GetObjectItem(item, "ntk"), &n);
    assert_int_equal(n, SAMPLES * SAMPLES);
    return c;
}

static void free_case(struct conv_case *c)
{
    free(c->x);
    free(c->want[0]);
    free(c->want[1]);
}

/* Samples 0 and 2 are equal, 3 is almost the same: there correlations near 1 lose up to half of the
 * digits in activations with a kink, whatever computes them from covariances. */
static bool nearly_equal(int i, int j) { return i != j && (i == 3 || j == 3) && i != 1 && j != 1; }

/* Largest errors relative to the largest entry: of ordinary entries, and of nearly equal samples. */
static void compare(const double *got, const double *want, double worst[2])
{
    double scale = 0;

    for (int i = 0; i < SAMPLES * SAMPLES; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int i = 0; i < SAMPLES * SAMPLES; i++) {
        double *w = &worst[nearly_equal(i / SAMPLES, i % SAMPLES)];

        *w = fmax(*w, fabs(got[i] - want[i]) / (scale > 0 ? scale : 1));
    }
}

/* Of both kernels. two: as the kernel between two sets. */
static void error_of(const struct conv_case *c, ntk_dtype dtype, bool two, double worst[2])
{
    double got[2][SAMPLES * SAMPLES];
    float single[2][SAMPLES * SAMPLES];
    void *out[] = {dtype == NTK_F64 ? (void *)got[0] : (void *)single[0],
                   dtype == NTK_F64 ? (void *)got[1] : (void *)single[1]};
    double *copy = malloc((size_t)c->n * sizeof *copy);
    const ntk_net *nets[1];
    ntk_data *x, *y;
    ntk_kernel *k;
    ntk_net *net;

    assert_non_null(copy);
    memcpy(copy, c->x, (size_t)c->n * sizeof *copy);
    assert_ok(ctx, ntk_net_parse(ctx, c->net, &net));
    nets[0] = net;
    assert_ok(ctx, ntk_kernel_new(ctx, nets, 1, NTK_NNGP | NTK_NTK, dtype, c->shape, &k));
    assert_ok(ctx, ntk_data_view(ctx, c->x, NTK_F64, SAMPLES, c->shape, &x));
    assert_ok(ctx, ntk_data_view(ctx, copy, NTK_F64, SAMPLES, c->shape, &y));
    assert_ok(ctx, ntk_kernel_compute(k, x, two ? y : NULL, out));
    for (int m = 0; m < 2; m++) {
        for (int i = 0; dtype == NTK_F32 && i < SAMPLES * SAMPLES; i++)
            got[m][i] = (double)single[m][i];
        compare(got[m], c->want[m], worst);
    }
    ntk_data_free(x);
    ntk_data_free(y);
    ntk_kernel_free(k);
    ntk_net_free(net);
    free(copy);
}

/* Brute force (tests/golden/conv.py); between two sets Dropout sees no sample with itself. */
static void golden(void **state)
{
    cJSON *json = golden_read("conv.json");
    const cJSON *item;
    int bad = 0;

    (void)state;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "nets"))
    {
        struct conv_case c = read_case(item);

        for (int two = 0; two < 2; two++) {
            double e64[2] = {0}, e32[2] = {0};

            if (two && strstr(c.net, "Dropout"))
                continue;
            error_of(&c, NTK_F64, two, e64);
            error_of(&c, NTK_F32, two, e32);
            if (!(e64[0] < 2e-14) || !(e64[1] < 2e-9) || !(e32[0] < 1e-6) || !(e32[1] < 1e-4)) {
                print_message("%.1e %.1e, %.1e %.1e %s %s\n", e64[0], e64[1], e32[0], e32[1],
                              two ? "(two sets)" : "", c.net);
                bad++;
            }
        }
        free_case(&c);
    }
    cJSON_Delete(json);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
    };

    return cmocka_run_group_tests_name("conv", tests, setup, teardown);
}
