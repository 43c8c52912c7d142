/* SPDX-License-Identifier: MIT
 *
 * test_networks.c - finite networks against neural-tangents: outputs and empirical tangent kernels
 * of the same parameters (tests/golden/finite.py).
 */
#include "context.h"
#include "golden.h"

#define TOLERANCE 1e-11 /* of the largest number; both compute in float64 */

static void compare(const char *net, const char *what, const double *got, const double *want, int n)
{
    double scale = 0;

    for (int i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= TOLERANCE * scale))
            fail_msg("%s: %s[%d] is %.17g, in the golden file %.17g", net, what, i, got[i],
                     want[i]);
}

/* A list of one, two or three sizes: a vector, a sequence or an image. */
static ntk_shape shape_of(const cJSON *sizes)
{
    int n;
    double *d = golden_numbers(sizes, &n);
    ntk_shape shape = {.spatial = n - 1, .h = 1, .w = 1, .c = (int64_t)d[n - 1]};

    if (n > 1)
        shape.w = (int64_t)d[n - 2];
    if (n > 2)
        shape.h = (int64_t)d[0];
    free(d);
    return shape;
}

static void one_network(const cJSON *item)
{
    const char *text = golden_text(item, "net");
    const ntk_shape shape = shape_of(cJSON_GetObjectItem(item, "shape"));
    int n_x, n_theta, n_f, n_ntk;
    double *x = golden_numbers(cJSON_GetObjectItem(item, "x"), &n_x);
    double *theta = golden_numbers(cJSON_GetObjectItem(item, "theta"), &n_theta);
    double *f = golden_numbers(cJSON_GetObjectItem(item, "f"), &n_f);
    double *kernel = golden_numbers(cJSON_GetObjectItem(item, "ntk"), &n_ntk);
    double *got = malloc((size_t)n_ntk * sizeof *got);
    ntk_params *p;
    ntk_data *data;
    ntk_net *net;

    assert_non_null(got);
    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    assert_ok(ctx,
              ntk_data_view(ctx, x, NTK_F64, n_x / (shape.h * shape.w * shape.c), shape, &data));
    assert_ok(ctx, ntk_params_new(ctx, net, shape, NTK_F64, 1, &p));
    assert_int_equal(ntk_params_count(p), n_theta);
    memcpy(ntk_params_theta(p), theta, (size_t)n_theta * sizeof *theta);
    assert_ok(ctx, ntk_params_apply(p, data, got));
    compare(text, "f", got, f, n_f);
    assert_ok(ctx, ntk_params_kernel(p, NTK_NTK, NTK_FULL, data, NULL, got));
    compare(text, "Theta", got, kernel, n_ntk);
    ntk_params_free(p);
    ntk_data_free(data);
    ntk_net_free(net);
    free(got);
    free(kernel);
    free(f);
    free(theta);
    free(x);
}

static void same_as_neural_tangents(void **state)
{
    cJSON *all = golden_read("finite.json");
    const cJSON *item;

    (void)state;
    assert_true(cJSON_GetArraySize(all) >= 10);
    cJSON_ArrayForEach(item, all) one_network(item);
    cJSON_Delete(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_neural_tangents),
    };

    return cmocka_run_group_tests_name("networks", tests, setup, teardown);
}
