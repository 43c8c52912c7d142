/* SPDX-License-Identifier: MIT
 *
 * The named parts of data beside x and y: weights, mask, edges; from every reader that has them, and through all that
 * is done to data.
 */
#include "files.h"

/* Three sequences of two positions with one channel; sample 0 has one edge, sample 1 none, sample 2 two. */
static const double x[] = {1, 2, 3, 4, 5, 6}, weights[] = {0.5, 0, 2}, noise[] = {0, 3, 0.25}, mask[] = {1, 1, 1, 0, 0, 1},
                    offsets[] = {0, 1, 1, 3}, edges[] = {0, 1, 1, 0, 1, 1};

enum { X, WEIGHTS, NOISE, MASK, OFFSETS, EDGES, ARRAYS };
static const ntk_array good[ARRAYS] = {
    [X] = {"x", x, NTK_F64, 3, {3, 2, 1}, NULL},
    [WEIGHTS] = {"weights", weights, NTK_F64, 1, {3}, NULL},
    [NOISE] = {"noise", noise, NTK_F64, 1, {3}, NULL},
    [MASK] = {"mask", mask, NTK_F64, 2, {3, 2}, NULL},
    [OFFSETS] = {"edge_offsets", offsets, NTK_F64, 1, {4}, NULL},
    [EDGES] = {"edges", edges, NTK_F64, 2, {3, 2}, NULL},
};

static const char *const files[] = {
    "a.npz",
#ifdef NTK_HDF5
    "a.h5",
#endif
};
#define FILES (sizeof files / sizeof *files)

static ntk_data *load_file(struct fixture *f, size_t k, int64_t limit)
{
    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), good, ARRAYS));
    return load(f, f->path, &LOAD_OPTS(.dtype = NTK_F32, .limit = limit));
}

/* Samples first ... first + n - 1 of what is above; edge offsets count from `origin`. */
static void assert_parts(const ntk_data *d, int64_t first, int64_t n, int64_t origin)
{
    const double *w = ntk_data_part(d, NTK_PART_WEIGHTS);
    const double *v = ntk_data_part(d, NTK_PART_NOISE);
    const unsigned char *m = ntk_data_part(d, NTK_PART_MASK);
    const int64_t *at = ntk_data_part(d, NTK_PART_EDGE_OFFSETS);
    const int32_t *e = ntk_data_part(d, NTK_PART_EDGES);

    assert_ptr_equal(ntk_data_part(d, NTK_PART_X), ntk_data_x(d));
    assert_null(ntk_data_part(d, NTK_PART_Y));
    assert_null(ntk_data_part(d, (ntk_part)99));
    assert_int_equal(ntk_data_n(d), n);
    assert_memory_equal(w, weights + first, (size_t)n * sizeof *w);
    assert_memory_equal(v, noise + first, (size_t)n * sizeof *v);
    for (int64_t k = 0; k < 2 * n; k++)
        assert_int_equal(m[k], mask[2 * first + k]);
    for (int64_t i = 0; i <= n; i++)
        assert_int_equal(at[i], (int64_t)offsets[first + i] - origin);
    for (int64_t k = 2 * at[0]; k < 2 * at[n]; k++)
        assert_int_equal(e[k], edges[k + 2 * origin]);
}

static void parts_are_read(void **state)
{
    struct fixture *f = *state;

    for (size_t k = 0; k < FILES; k++)
        for (int64_t limit = 0; limit <= 3; limit++) {
            ntk_data *d = load_file(f, k, limit);

            assert_parts(d, 0, limit ? limit : 3, 0);
            ntk_data_free(d);
        }
}

static void no_edges_at_all(void **state)
{
    struct fixture *f = *state;
    static const double none[4] = {0};
    ntk_array arrays[] = {good[X], good[OFFSETS], good[EDGES]};

    arrays[1].x = none;
    arrays[2].shape[0] = 0;
    for (size_t k = 0; k < FILES; k++) {
        ntk_data *d;

        assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), arrays, 3));
        d = load(f, f->path, NULL);
        assert_non_null(ntk_data_part(d, NTK_PART_EDGES));
        assert_int_equal(((const int64_t *)ntk_data_part(d, NTK_PART_EDGE_OFFSETS))[3], 0);
        ntk_data_free(d);
    }
}

/* Images, whose mask has two sizes; and flattened, which leaves it. */
static void masks_of_images(void **state)
{
    struct fixture *f = *state;
    const ntk_array arrays[] = {{"x", x, NTK_F64, 4, {1, 3, 2, 1}, NULL}, {"mask", mask, NTK_F64, 3, {1, 3, 2}, NULL}};

    for (size_t k = 0; k < FILES; k++) {
        ntk_data *d;
        const unsigned char *m;

        assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), arrays, 2));
        d = load(f, f->path, NULL);
        ntk_data_flatten(d);
        m = ntk_data_part(d, NTK_PART_MASK);
        for (int i = 0; i < 6; i++)
            assert_int_equal(m[i], mask[i]);
        ntk_data_free(d);
    }
}

static void slices_have_their_parts(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load_file(f, 0, 0), *slice, *of_slice;

    assert_ok(f->ctx, ntk_data_slice(d, 1, 2, &slice));
    assert_parts(slice, 1, 2, 0);
    ntk_data_flatten(slice);
    assert_ok(f->ctx, ntk_data_slice(slice, 1, 1, &of_slice));
    assert_parts(of_slice, 2, 1, 0);
    ntk_data_free(of_slice);
    ntk_data_free(slice);
    assert_parts(d, 0, 3, 0);
    ntk_data_free(d);
}

/* A copy has parts of its own, and they are counted while they are there. */
static void scaled_copies_have_them(void **state)
{
    struct fixture *f = *state;
    const size_t before = f->ctx->held;
    ntk_data *d = load_file(f, 0, 0), *slice, *scaled;
    ntk_scaler *scaler;

    assert_int_equal(f->ctx->held - before, sizeof(float[6]) + sizeof(double[6]) + 6 + sizeof(int64_t[4]) + sizeof(int32_t[6]));
    assert_ok(f->ctx, ntk_data_slice(d, 1, 2, &slice));
    assert_ok(f->ctx, ntk_scaler_fit(NTK_STD_FEATURE, slice, NULL, &scaler));
    assert_ok(f->ctx, ntk_scaler_apply(scaler, slice, &scaled));
    ntk_data_free(slice);
    ntk_data_free(d);
    assert_parts(scaled, 1, 2, 1);
    assert_int_equal(f->ctx->held - before, sizeof(float[4]) + sizeof(double[4]) + 4 + sizeof(int64_t[3]) + sizeof(int32_t[4]));
    ntk_data_free(scaled);
    assert_int_equal(f->ctx->held, before);
    ntk_scaler_free(scaler);
}

/* Mirror images would need mirrored masks. */
static void symmetries_refuse_them(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load_file(f, 0, 0);

    assert_fails(f->ctx, NTK_EINVAL, "with a mask or edges, which have no copies", ntk_data_set_symmetry(d, NTK_FLIP));
    ntk_data_flatten(d);
    assert_fails(f->ctx, NTK_EINVAL, "with a mask or edges, which have no copies", ntk_data_set_symmetry(d, NTK_FLIP));
    ntk_data_free(d);
}

/* Some samples in another order: parts of their own, counted and bounded. */
static void selected_samples_have_them(void **state)
{
    struct fixture *f = *state;
    static const int64_t rows[] = {2, 0};
    const size_t before = f->ctx->held;
    const size_t x_bytes = sizeof(float[4]), all = x_bytes + sizeof(double[4]) + 4 + sizeof(int64_t[3]) + sizeof(int32_t[6]);
    ntk_data *d = load_file(f, 0, 0), *selected;
    const size_t loaded = f->ctx->held - before;

    ntk_ctx_set_memory(f->ctx, f->ctx->held + all - 1);
    assert_fails(f->ctx, NTK_ENOMEM, "the data with all its parts", ntk_data_select(d, rows, 2, &selected));
    assert_int_equal(f->ctx->held - before, loaded);
    ntk_ctx_set_memory(f->ctx, 0);
    assert_ok(f->ctx, ntk_data_select(d, rows, 2, &selected));
    assert_int_equal(f->ctx->held - before, loaded + all);
    ntk_data_free(d);
    assert_int_equal(((const unsigned char *)ntk_data_part(selected, NTK_PART_MASK))[1], mask[5]);
    assert_memory_equal(ntk_data_part(selected, NTK_PART_WEIGHTS), ((double[]){weights[2], weights[0]}), sizeof(double[2]));
    assert_memory_equal(ntk_data_part(selected, NTK_PART_NOISE), ((double[]){noise[2], noise[0]}), sizeof(double[2]));
    assert_memory_equal(ntk_data_part(selected, NTK_PART_EDGE_OFFSETS), ((int64_t[]){0, 2, 3}), sizeof(int64_t[3]));
    assert_memory_equal(ntk_data_part(selected, NTK_PART_EDGES), ((int32_t[]){1, 0, 1, 1, 0, 1}), sizeof(int32_t[6]));
    ntk_data_free(selected);
    assert_int_equal(f->ctx->held, before);
}

static void memory_of_parts_is_bounded(void **state)
{
    struct fixture *f = *state;
    static double many[400];
    ntk_array arrays[] = {{"x", many, NTK_F64, 2, {400, 1}, NULL}, {"weights", many, NTK_F64, 1, {400}, NULL}};

    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "a.npz"), arrays, 2));
    ntk_ctx_set_memory(f->ctx, sizeof many + sizeof many / 2);
    fails(f, NTK_ENOMEM, "array weights: the data with all its parts needs", f->path, NULL);
    ntk_ctx_set_memory(f->ctx, 3 * sizeof many);
    ntk_data_free(load(f, f->path, NULL));
}

/* One array is another: its sizes, or the number at `at`. */
struct wrong {
    int array, ndim;
    int64_t shape[4];
    int at;
    double value;
    ntk_status status;
    const char *message;
};

static const struct wrong wrong[] = {
    {WEIGHTS, 1, {2}, -1, 0, NTK_ESHAPE, "weights must have the shape (3,) beside these samples, got (2,): it is the weight of each sample, [n]; call the array otherwise"},
    {WEIGHTS, 2, {3, 1}, -1, 0, NTK_ESHAPE, "weights must have the shape (3,)"},
    {WEIGHTS, 1, {3}, 1, -1, NTK_EINVAL, "the weight of sample 1 is -1: it must be finite and >= 0"},
    {WEIGHTS, 1, {3}, 2, HUGE_VAL, NTK_EINVAL, "the weight of sample 2 is inf"},
    {WEIGHTS, 0, {0}, -1, 0, NTK_ESHAPE, "got ()"},
    {NOISE, 1, {2}, -1, 0, NTK_ESHAPE, "noise must have the shape (3,) beside these samples, got (2,)"},
    {NOISE, 1, {3}, 1, -1, NTK_EINVAL, "the noise of sample 1 is -1: it must be finite and >= 0"},
    {NOISE, 1, {3}, 2, HUGE_VAL, NTK_EINVAL, "the noise of sample 2 is inf"},
    {MASK, 2, {2, 3}, -1, 0, NTK_ESHAPE, "mask must have the shape (3, 2) beside these samples, got (2, 3)"},
    {MASK, 3, {3, 2, 1}, -1, 0, NTK_ESHAPE, "mask must have the shape (3, 2)"},
    {MASK, 2, {3, 2}, 3, 0.5, NTK_EINVAL, "position 1 of sample 1 has the mask 0.5: expected 0 or 1"},
    {MASK, 2, {3, 2}, 3, (double)NAN, NTK_EINVAL, "the mask nan"},
    {OFFSETS, 1, {3}, -1, 0, NTK_ESHAPE, "edge_offsets must have the shape (4,)"},
    {OFFSETS, 1, {4}, 0, 1, NTK_EINVAL, "edge offset 0 is 1: offsets must begin at 0"},
    {OFFSETS, 1, {4}, 2, 0.5, NTK_EINVAL, "edge offset 2 is 0.5"},
    {OFFSETS, 1, {4}, 2, 0, NTK_EINVAL, "edge offset 2 is 0: offsets must be integers from 0 to 2^53, none less"},
    {OFFSETS, 1, {4}, 3, 4, NTK_ESHAPE, "edges must have the shape (4, 2) beside these samples, got (3, 2)"},
    {OFFSETS, 1, {4}, 3, 1e300, NTK_EINVAL, "edge offset 3 is 1e+300: offsets must be integers from 0 to 2^53"},
    {EDGES, 2, {2, 3}, -1, 0, NTK_ESHAPE, "edges must have the shape (3, 2)"},
    {EDGES, 2, {3, 2}, 5, 2, NTK_EINVAL, "edge 2 goes to position 2: samples have positions 0 to 1"},
    {EDGES, 2, {3, 2}, 2, -1, NTK_EINVAL, "edge 1 goes from position -1"},
    {X, 2, {3, 2}, -1, 0, NTK_ESHAPE, "mask is the positions that each sample has, [n][h][w] or [n][w], but samples of the shape [n][d] have no positions"},
};

static void what_is_wrong_is_said(void **state)
{
    struct fixture *f = *state;

    for (size_t k = 0; k < FILES; k++)
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            const struct wrong *w = &wrong[j];
            ntk_array arrays[ARRAYS];
            double values[6];

            memcpy(arrays, good, sizeof good);
            memcpy(values, good[w->array].x, (size_t)(w->array <= NOISE ? 3 : w->array == OFFSETS ? 4 : 6) * sizeof *values);
            if (w->at >= 0)
                values[w->at] = w->value;
            arrays[w->array].x = values;
            arrays[w->array].ndim = w->ndim;
            memcpy(arrays[w->array].shape, w->shape, sizeof w->shape);
            assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), arrays, ARRAYS));
            fails(f, w->status, w->message, f->path, NULL);
        }
}

static void parts_that_need_each_other(void **state)
{
    struct fixture *f = *state;

    for (size_t k = 0; k < FILES; k++) {
        assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), good, OFFSETS + 1));
        fails(f, NTK_EINVAL, "there are edge_offsets, but no edges", f->path, NULL);
        assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), (ntk_array[]){good[X], good[EDGES]}, 2));
        fails(f, NTK_EINVAL, "there are edges, but no edge_offsets", f->path, NULL);
    }
}

/* Arrays of other names are none of data's. */
static void other_arrays_are_passed_over(void **state)
{
    struct fixture *f = *state;
    ntk_array arrays[] = {good[X], good[WEIGHTS]};

    arrays[1].name = "sample_weights";
    arrays[1].shape[0] = 2;
    for (size_t k = 0; k < FILES; k++) {
        ntk_data *d;

        assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, files[k]), arrays, 2));
        d = load(f, f->path, NULL);
        assert_null(ntk_data_part(d, NTK_PART_WEIGHTS));
        assert_null(ntk_data_part(d, NTK_PART_MASK));
        ntk_data_free(d);
    }
}

/* ---- tables */

static ntk_data *load_table(struct fixture *f, const char *text, const ntk_load_opts *opts)
{
    return load(f, write_text(f, "a.csv", text), opts);
}

static void table_fails(struct fixture *f, const char *message, const char *text, const ntk_load_opts *opts)
{
    fails(f, NTK_EINVAL, message, write_text(f, "a.csv", text), opts);
}

/* The names of its columns of weights and noise; NULL: none. */
static void assert_own(const ntk_schema *schema, const char *of_weights, const char *of_noise)
{
    const ntk_table *t = ntk_schema_table(schema);

    assert_non_null(t);
    assert_int_equal(t->weights != NULL, of_weights != NULL);
    assert_int_equal(t->noise != NULL, of_noise != NULL);
    assert_true(!of_weights || strcmp(t->weights, of_weights) == 0);
    assert_true(!of_noise || strcmp(t->noise, of_noise) == 0);
}

/* Beyond 64 rows the table grows. */
static void columns_of_weights(void **state)
{
    struct fixture *f = *state;
    char text[4096] = "a,b,w\n";
    ntk_schema *copy;
    ntk_data *d;

    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), 32, "%d,%d,%d.5\n", i, 2 * i, i);
    d = load_table(f, text, &LOAD_OPTS(.dtype = NTK_F64, .weights = "w"));
    assert_shape(d, 100, 0, 1, 1, 1);
    for (int i = 0; i < 100; i++) {
        assert_near(x_at(d, i, 0), i, 0, 1);
        assert_near(ntk_data_y(d, NULL)[i], 2 * i, 0, 1);
        assert_near(((const double *)ntk_data_part(d, NTK_PART_WEIGHTS))[i], i + 0.5, 0, 1);
    }
    assert_int_equal(ntk_schema_table(ntk_data_schema(d))->n_dropped, 0);
    assert_own(ntk_data_schema(d), "w", NULL);
    assert_int_equal(ntk_schema_new(d, NTK_RAW, &copy), NTK_OK);
    ntk_data_free(d);
    assert_own(copy, "w", NULL);
    ntk_schema_free(copy);
    d = load_table(f, text, &LOAD_OPTS(.dtype = NTK_F64, .weights = "2", .noise = "a", .target = "none"));
    assert_own(ntk_data_schema(d), "w", "a");
    ntk_data_free(d);
    d = load_table(f, "1,2,3\n4,5,6\n", &LOAD_OPTS(.dtype = NTK_F64, .weights = "0", .target = "none"));
    assert_shape(d, 2, 0, 1, 1, 2);
    assert_near(((const double *)ntk_data_part(d, NTK_PART_WEIGHTS))[1], 4, 0, 1);
    ntk_data_free(d);
    d = load_table(f, "a,weights\n1,-2\n", NULL);
    assert_null(ntk_data_part(d, NTK_PART_WEIGHTS)); /* not named by the caller */
    ntk_data_free(d);
}

static void weights_beside_a_schema(void **state)
{
    struct fixture *f = *state;
    ntk_data *train = load_table(f, "a,w,y\n1,2,3\n4,5,6\n", &LOAD_OPTS(.dtype = NTK_F64, .weights = "w"));
    ntk_load_opts opts = LOAD_OPTS(.dtype = NTK_F64, .weights = "w", .schema = ntk_data_schema(train));
    ntk_data *test = load_table(f, "w,y,a\n7,8,9\n", &opts);

    assert_shape(test, 1, 0, 1, 1, 1);
    assert_near(x_at(test, 0, 0), 9, 0, 1);
    assert_near(ntk_data_y(test, NULL)[0], 8, 0, 1);
    assert_near(((const double *)ntk_data_part(test, NTK_PART_WEIGHTS))[0], 7, 0, 1);
    ntk_data_free(test);
    opts.weights = "a";
    table_fails(f, "column 'a' has the weights: it cannot be a feature too", "w,y,a\n7,8,9\n", &opts);
    ntk_data_free(train);
}

static void wrong_columns_of_weights(void **state)
{
    struct fixture *f = *state;
    const char *text = "a,b,w\n1,2,3\n";

    table_fails(f, "no column 'v' for the weights: give a name, a number 0 to 2; the names are a, b, w", text,
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "v"));
    table_fails(f, "column 'w' has the weights, and is to be dropped", text,
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "w", .drop = "w"));
    table_fails(f, "column 'w' has the weights: it cannot be a target too", text,
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "w", .target = "w"));
    table_fails(f, "column 'a' has the weights: it cannot be a feature too", text,
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "a", .features = "a"));
    table_fails(f, "line 2, column 2 (w): '-3' is less than 0: weights and noise must be >= 0", "a,b,w\n1,2,-3\n",
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "w"));
    table_fails(f, "line 3, column 2 (w): 'x' is not a number", "a,b,w\n1,2,3\n1,2,x\n",
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "w"));
}

/* A weight of 2 is the row twice, of 0 no row; all numbers here are exact. */
static void weights_in_standardisation(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load_table(f, "1,7\n5,7\n900,-3\n3,7\n", &LOAD_OPTS(.dtype = NTK_F64, .target = "none"));
    const double some[] = {1, 2, 0, 1}, large[] = {5e307, 1e308, 0, 5e307}, zeros[4] = {0}, bad[] = {1, -1, 0, 0};
    const double *mean, *deviation;
    ntk_scaler *scaler;

    for (int k = 0; k < 2; k++) {
        assert_ok(f->ctx, ntk_scaler_fit(NTK_STD_FEATURE, d, k ? large : some, &scaler));
        assert_int_equal(ntk_scaler_numbers(scaler, &mean, &deviation), 2);
        assert_near(mean[0], 3.5, 0, 1); /* of 1, 5, 5, 3 */
        assert_near(deviation[0], sqrt(2.75), 1e-15, 1);
        assert_near(mean[1], 7, 0, 1); /* a constant, of the rows that count */
        assert_near(deviation[1], 1, 0, 1);
        ntk_scaler_free(scaler);
    }
    assert_fails(f->ctx, NTK_EINVAL, "weights must not all be 0", ntk_scaler_fit(NTK_STD_FEATURE, d, zeros, &scaler));
    assert_fails(f->ctx, NTK_EINVAL, "that of sample 1 is -1", ntk_scaler_fit(NTK_STD_FEATURE, d, bad, &scaler));
    ntk_data_free(d);
}

static void columns_of_noise(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load_table(f, "a,s,b,w\n1,0.5,3,2\n4,0,6,1\n", &LOAD_OPTS(.dtype = NTK_F64, .weights = "w", .noise = "s"));

    assert_shape(d, 2, 0, 1, 1, 1);
    assert_near(ntk_data_y(d, NULL)[1], 6, 0, 1);
    assert_memory_equal(ntk_data_part(d, NTK_PART_NOISE), ((double[]){0.5, 0}), sizeof(double[2]));
    assert_memory_equal(ntk_data_part(d, NTK_PART_WEIGHTS), ((double[]){2, 1}), sizeof(double[2]));
    ntk_data_free(d);
    table_fails(f, "no column 'v' for the noise", "a,s\n1,2\n", &LOAD_OPTS(.dtype = NTK_F64, .noise = "v"));
    table_fails(f, "column 's' has the weights: it cannot have the noise too", "a,s\n1,2\n",
                &LOAD_OPTS(.dtype = NTK_F64, .weights = "s", .noise = "s"));
    table_fails(f, "column 's' has the noise: it cannot be a target too", "a,s\n1,2\n",
                &LOAD_OPTS(.dtype = NTK_F64, .noise = "s", .target = "s"));
    table_fails(f, "line 2, column 2 (s): '-2' is less than 0: weights and noise must be >= 0", "a,b,s\n1,2,-2\n",
                &LOAD_OPTS(.dtype = NTK_F64, .noise = "s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_are_read),
        TEST(no_edges_at_all),
        TEST(masks_of_images),
        TEST(slices_have_their_parts),
        TEST(scaled_copies_have_them),
        TEST(selected_samples_have_them),
        TEST(symmetries_refuse_them),
        TEST(memory_of_parts_is_bounded),
        TEST(what_is_wrong_is_said),
        TEST(parts_that_need_each_other),
        TEST(other_arrays_are_passed_over),
        TEST(columns_of_weights),
        TEST(weights_beside_a_schema),
        TEST(wrong_columns_of_weights),
        TEST(weights_in_standardisation),
        TEST(columns_of_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
