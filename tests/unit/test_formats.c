/* SPDX-License-Identifier: MIT
 *
 * Files of models, parameters and checkpoints: those of every format (tests/golden/formats) give
 * what they gave when they were written; files with something wrong in them are refused by a
 * sentence that names it.
 */
#ifdef NTK_HDF5

#include <hdf5.h>
#include <unistd.h>

#include "base/h5.h"
#include "context.h"

#define FORMATS NTK_SOURCE_ROOT "/tests/golden/formats/"
#define N       5

static char work[] = "/tmp/ntk-formats-XXXXXX", path[64];

static int setup_directory(void **state)
{
    if (setup(state) != 0 || !mkdtemp(work))
        return -1;
    snprintf(path, sizeof path, "%s/file.h5", work);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* attributes that are replaced need not be there */
    return 0;
}

static int remove_directory(void **state)
{
    unlink(path);
    rmdir(work);
    return teardown(state);
}

/* ---- what files of earlier versions give */

static ntk_data *samples(void)
{
    ntk_data *x;

    assert_ok(ctx, ntk_data_load(ctx, FORMATS "samples.csv", NULL, &x));
    return x;
}

/* Standardised as the model's are. */
static ntk_data *scaled_for(const ntk_model *model)
{
    const ntk_scaler *scaler;
    ntk_targets targets;
    ntk_data *x = samples(), *scaled;

    ntk_model_encoding(model, &scaler, &targets);
    assert_int_equal(targets, NTK_CENTERED);
    assert_ok(ctx, ntk_scaler_apply(scaler, x, &scaled));
    ntk_data_free(x);
    return scaled;
}

/* By libntk 0.1.0 of format 1, with one file's predictions, `ntk predict --std`: formats.sh. */
static const double mean_of_class[N] = {0.494741226159541, -0.4986954912992025, 0.49847233312516925,
                                        -0.4996428497934158, -0.49673779470754087};
static const double deviation[N] = {0.0012797188617304257, 0.0006449113710073058,
                                    0.0006974695541211216, 0.0005742170010397551,
                                    0.0008327949473788005};

static void models_of_every_format(void **state)
{
    const char *const files[] = {FORMATS "model-1.h5",    FORMATS "factor-1.h5",   FORMATS "model-2.h5",
                                 FORMATS "factor-2.h5",   FORMATS "weighted-3.h5", FORMATS "weighted_factor-3.h5"};

    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        double mean[2 * N], variance[N];
        ntk_model *model;
        ntk_data *x;

        assert_ok(ctx, ntk_model_load(ctx, files[k], &model));
        x = scaled_for(model);
        assert_ok(ctx, ntk_model_predict(model, x, mean, variance));
        for (int i = 0; i < N; i++) {
            assert_near(mean[2 * i], mean_of_class[i], 1e-10, 1);
            assert_near(mean[2 * i + 1], -mean_of_class[i], 1e-10, 1);
            assert_near(sqrt(variance[i]), deviation[i], 1e-6, 0);
        }
        ntk_data_free(x);
        ntk_model_free(model);
    }
}

/* Of the same samples, all of them landmarks: the NTK's means as above; the NNGP's, and deviations, as `ntk predict --std` of
 * an exact fit has them. */
static void landmarks_of_every_format(void **state)
{
    static const double nngp[N] = {0.48921184350335245, -0.4975409162676898, 0.49708235902226877, -0.4995291320914318,
                                   -0.49313333616665417};
    static const double nngp_deviation[N] = {0.022342344538529957, 0.022453270647826207, 0.022451216510262172,
                                             0.02245981591941427, 0.02241938732292037};
    const char *const files[] = {FORMATS "landmarks-4.h5", FORMATS "landmarks_factor-4.h5"};

    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        double mean[2 * N], variance[N];
        ntk_model *model;
        ntk_data *x;

        assert_ok(ctx, ntk_model_load(ctx, files[k], &model));
        x = scaled_for(model);
        assert_ok(ctx, ntk_model_predict(model, x, mean, k ? variance : NULL));
        for (int i = 0; i < N; i++) {
            assert_near(mean[2 * i], k ? nngp[i] : mean_of_class[i], 1e-10, 1);
            if (k)
                assert_near(sqrt(variance[i]), nngp_deviation[i], 1e-8, 0);
        }
        ntk_data_free(x);
        ntk_model_free(model);
    }
}

/* What is wrong in one. */
static void damaged_landmarks(void **state)
{
    static const struct {
        const char *name;
        int64_t rows;
        double value;
        const char *why;
    } wrong[] = {{"whitening", N * (N + 1) / 2, (double)NAN, "whitening"},
                 {"inner", N * (N + 1) / 2, -1, "not positive"},
                 {"inner", 3, 1, "inner"}};

    (void)state;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        double numbers[N * (N + 1) / 2];
        const hsize_t size[] = {(hsize_t)wrong[k].rows, 1};
        char command[sizeof FORMATS + 200]; // the checkout's path may be long
        ntk_model *model;
        hid_t file, space, set;

        snprintf(command, sizeof command, "cp %slandmarks_factor-4.h5 %s && chmod u+w %s", FORMATS, path, path);
        assert_int_equal(system(command), 0);
        for (int i = 0; i < N * (N + 1) / 2; i++)
            numbers[i] = wrong[k].value;
        file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(H5Ldelete(file, wrong[k].name, H5P_DEFAULT) >= 0);
        space = H5Screate_simple(2, size, NULL);
        set = H5Dcreate2(file, wrong[k].name, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
        H5Dclose(set);
        H5Sclose(space);
        H5Fclose(file);
        assert_fails(ctx, NTK_EIO, wrong[k].why, ntk_model_load(ctx, path, &model));
    }
}

static void check_outputs(const ntk_params *p, const double *want)
{
    ntk_data *x = samples();
    double f[2 * N];

    assert_ok(ctx, ntk_params_apply(p, x, f));
    for (int i = 0; i < 2 * N; i++)
        assert_near(f[i], want[i], 1e-12, 1);
    ntk_data_free(x);
}

/* Of samples that stand for their mirror images: what a fit of the same samples gives. */
static void models_with_copies(void **state)
{
    static const char *const files[] = {FORMATS "symmetric-4.h5", FORMATS "symmetric_factor-4.h5"};
    double y[N * 2], mean[2 * N], variance[N], want[2 * N], deviation_squared[N];
    ntk_data *x = samples();
    ntk_fit_opts o;
    ntk_model *model;
    ntk_net *net;

    (void)state;
    ntk_fit_opts_init(&o);
    o.diag_reg = 1e-3;
    o.covariance = 1;
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(8, b_std=0.1), Relu(), Dense(1))", &net));
    assert_ok(ctx, ntk_data_targets(x, NTK_CENTERED, 2, y));
    assert_ok(ctx, ntk_data_set_image(x, (ntk_shape){1, 1, 2, 1}));
    assert_ok(ctx, ntk_data_set_symmetry(x, NTK_FLIP));
    assert_ok(ctx, ntk_model_fit(ctx, net, x, y, 2, &o, &model));
    assert_ok(ctx, ntk_model_predict(model, x, want, deviation_squared));
    ntk_model_free(model);
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        assert_ok(ctx, ntk_model_load(ctx, files[k], &model));
        assert_int_equal(ntk_data_symmetry(ntk_model_x(model), NULL), NTK_FLIP);
        assert_ok(ctx, ntk_model_predict(model, x, mean, variance));
        for (int i = 0; i < 2 * N; i++)
            assert_near(mean[i], want[i], 1e-9, 1);
        for (int i = 0; i < N; i++)
            assert_near(variance[i], deviation_squared[i], 1e-9, 1);
        ntk_model_free(model);
    }
    ntk_data_free(x);
    ntk_net_free(net);
}

static void parameters_of_every_format(void **state)
{
    static const double want[2 * N] = {
        0.2672096701220956,  0.13587053625642756, 0.22510189332245734,  0.09941424517493198,
        -0.2419391260281489, -0.1422430300286384, -0.26580589744638716, -0.14269697673569728,
        0.2669868613438071,  0.1394120353147481};
    const char *const files[] = {FORMATS "parameters-1.h5", FORMATS "parameters-2.h5",
                                 FORMATS "parameters-3.h5"};

    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        ntk_params *p;

        assert_ok(ctx, ntk_params_load(ctx, files[k], &p));
        assert_true(ntk_params_multiplier(p) == 0.5);
        assert_null(ntk_params_scaler(p)); /* drawn, not trained */
        check_outputs(p, want);
        ntk_params_free(p);
    }
}

static void note_warning(int level, const char *text, void *user)
{
    if (level == 1 && strstr(text, "does not say how samples were standardised"))
        ++*(int *)user;
}

/* Trained on standardised samples: format 3 keeps how, and the outputs are those of training; of a file of format 2
 * that cannot be known, and is said. */
static void trained_parameters_keep_their_encoding(void **state)
{
    static const double mean[2] = {0.625, -0.05};
    static const double want[2 * N] = {
        -0.10915890926946856, 0.06736888135629679,  -0.012776143226729802, 0.23586934476223784,
        0.11838156030099684,  -0.23532059240026287, 0.17583427798231832,   -0.02287443934019386,
        -0.13010018958137173, 0.024007961142336477};
    const double *means, *deviations;
    const ntk_scaler *scaler;
    const char *const *classes;
    int warnings = 0;
    size_t n;
    ntk_params *p, *copy;
    ntk_data *x = samples(), *scaled;
    double f[2 * N];

    (void)state;
    ntk_ctx_set_log(ctx, note_warning, &warnings);
    assert_ok(ctx, ntk_params_load(ctx, FORMATS "trained-2.h5", &p));
    assert_int_equal(warnings, 1);
    assert_null(ntk_params_scaler(p));
    ntk_params_free(p);
    assert_ok(ctx, ntk_params_load(ctx, FORMATS "trained-3.h5", &p));
    assert_int_equal(warnings, 1);
    ntk_ctx_set_log(ctx, NULL, NULL);
    assert_ok(ctx, ntk_params_copy(p, &copy));
    ntk_params_free(p);
    scaler = ntk_params_scaler(copy);
    assert_int_equal(ntk_scaler_kind(scaler), NTK_STD_FEATURE);
    assert_int_equal(ntk_scaler_shape(scaler).c, 2);
    assert_int_equal(ntk_scaler_numbers(scaler, &means, &deviations), 2);
    for (int k = 0; k < 2; k++)
        assert_near(means[k], mean[k], 1e-14, 1);
    classes = ntk_schema_classes(ntk_params_schema(copy), &n, NULL);
    assert_int_equal(n, 2);
    assert_string_equal(classes[0], "no");
    assert_string_equal(classes[1], "yes");
    assert_ok(ctx, ntk_scaler_apply(scaler, x, &scaled));
    assert_ok(ctx, ntk_params_apply(copy, scaled, f));
    for (int i = 0; i < 2 * N; i++)
        assert_near(f[i], want[i], 1e-12, 1);
    ntk_data_free(scaled);
    ntk_data_free(x);
    ntk_params_free(copy);
}

/* A checkpoint is a file of parameters, too, and says that its samples were not standardised. */
static void unscaled_is_not_unknown(void **state)
{
    ntk_params *p;

    (void)state;
    assert_ok(ctx, ntk_params_load(ctx, FORMATS "checkpoint-3.h5", &p));
    assert_non_null(ntk_params_scaler(p));
    assert_int_equal(ntk_scaler_kind(ntk_params_scaler(p)), NTK_STD_NONE);
    ntk_params_free(p);
    assert_ok(ctx, ntk_params_load(ctx, FORMATS "checkpoint-2.h5", &p));
    assert_null(ntk_params_scaler(p));
    ntk_params_free(p);
}

/* The run of formats.sh at its start. */
struct run {
    ntk_params *p;
    ntk_data *x;
    double y[2 * N];
    ntk_train *train;
};

static void run_start(struct run *r, ntk_dtype dtype, double multiplier)
{
    ntk_net *net;
    ntk_train_opts opts;

    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(3, b_std=0.1), Erf(), Dense(2))", &net));
    assert_ok(ctx, ntk_params_new(ctx, net, (ntk_shape){0, 1, 1, 2}, dtype, 7, &r->p));
    ntk_net_free(net);
    assert_ok(ctx, ntk_params_set_multiplier(r->p, multiplier));
    r->x = samples();
    assert_ok(ctx, ntk_data_targets(r->x, NTK_CENTERED, 2, r->y));
    ntk_train_opts_init(&opts);
    opts.learning_rate = 0.1;
    opts.momentum = 0.5;
    opts.batch = 3;
    opts.seed = 7;
    assert_ok(ctx, ntk_train_new(r->p, r->x, r->y, &opts, &r->train));
}

static void run_stop(struct run *r)
{
    ntk_train_free(r->train);
    ntk_params_free(r->p);
    ntk_data_free(r->x);
}

static void checkpoints_of_every_format(void **state)
{
    static const double want[2 * N] = {
        -0.05399125613300834, -0.03432843367151055, -0.038149589401251904, 0.19492866045866408,
        0.20448436202229564,  -0.291572810130821,   0.11051820681156876,   0.05931463069656775,
        -0.0632484030052009,  -0.0675350406163329};
    const char *const files[] = {FORMATS "checkpoint-1.h5", FORMATS "checkpoint-2.h5",
                                 FORMATS "checkpoint-3.h5"};

    (void)state;
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        struct run r;

        run_start(&r, NTK_F64, 1);
        assert_ok(ctx, ntk_train_load(r.train, files[k]));
        assert_int_equal(ntk_train_step(r.train), 4);
        assert_ok(ctx, ntk_train_run(r.train, 2, NULL));
        check_outputs(r.p, want);
        run_stop(&r);
    }
}

/* ---- files with something wrong in them */

static void copy_file(const char *from)
{
    char buf[1 << 16];
    FILE *f = fopen(from, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    f = fopen(path, "wb");
    assert_int_equal(fwrite(buf, 1, n, f), n);
    fclose(f);
}

static hid_t type_of(char kind)
{
    return kind == 'd' ? H5T_NATIVE_DOUBLE : kind == 'c' ? H5T_NATIVE_CHAR : H5T_NATIVE_INT64;
}

static void set_attribute(hid_t f, const char *name, char kind, hsize_t n, const void *value)
{
    const hid_t space = H5Screate_simple(1, &n, NULL);
    hid_t a;

    H5Adelete(f, name);
    a = H5Acreate2(f, name, type_of(kind), space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(a, type_of(kind), value) >= 0);
    H5Aclose(a);
    H5Sclose(space);
}

/* The number at a place of a data set. */
static void set_number(hid_t f, const char *name, int at, double value)
{
    const hid_t d = H5Dopen2(f, name, H5P_DEFAULT);
    double x[64];

    assert_true(H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    x[at] = value;
    assert_true(H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(d);
}

/* Another data set in its place, of zeros that are not written, or compressed. */
static void set_sizes(hid_t f, const char *name, hsize_t rows, hsize_t columns, bool compressed)
{
    const hid_t space = H5Screate_simple(2, (hsize_t[]){rows, columns}, NULL);
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);

    if (compressed) {
        H5Pset_chunk(plist, 2,
                     (hsize_t[]){rows < 1024 ? rows : 1024, columns < 1024 ? columns : 1024});
        H5Pset_deflate(plist, 9);
    }
    H5Ldelete(f, name, H5P_DEFAULT);
    H5Dclose(H5Dcreate2(f, name, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    H5Pclose(plist);
    H5Sclose(space);
}

/* One thing changed in a copy of a file, and what is said of it. */
struct change {
    const char *file, *name;
    char how; /* d, i: an attribute's number; c: its text; n: the number `at` of a data set; x: no
               * data set; s: one of at x value, never written; z: compressed; 4: four integers */
    double value;
    int at;
    const char *text; /* c: the text */
    ntk_status status;
    const char *says;
};

static void make(const struct change *c)
{
    hid_t f;

    copy_file(c->file);
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(f >= 0);
    if (c->how == 'd')
        set_attribute(f, c->name, 'd', 1, &c->value);
    else if (c->how == 'i')
        set_attribute(f, c->name, 'i', 1, &(int64_t){(int64_t)c->value});
    else if (c->how == '4')
        set_attribute(f, c->name, 'i', 4,
                      (int64_t[]){c->at, c->at > 1 ? (int64_t)c->value : 1,
                                  c->at > 0 ? (int64_t)c->value : 1, (int64_t)c->value});
    else if (c->how == 'c')
        set_attribute(f, c->name, 'c', strlen(c->text) + 1, c->text);
    else if (c->how == 'n')
        set_number(f, c->name, c->at, c->value);
    else if (c->how == 'x')
        H5Ldelete(f, c->name, H5P_DEFAULT);
    else
        set_sizes(f, c->name, (hsize_t)c->at, (hsize_t)c->value, c->how == 'z');
    H5Fclose(f);
}

#define MODEL  FORMATS "model-2.h5"
#define FACTOR FORMATS "factor-2.h5"
#define PARAMS FORMATS "parameters-3.h5"
#define SCALED FORMATS "trained-3.h5"
#define CHECK  FORMATS "checkpoint-3.h5"
#define NAN_   ((double)NAN)
#define INF_   ((double)INFINITY)

/* Of the standardisation, in files of models and of parameters. */
#define WRONG_SCALERS(file)                                                                          \
    {file, "scaler_kind", 'i', 3, 0, NULL, NTK_EIO, "part 'scaler_kind' is none that there is"},     \
    {file, "scaler_kind", 'i', -2, 0, NULL, NTK_EIO, "part 'scaler_kind' is none that there is"},    \
    {file, "scaler_shape", '4', 2147483647, 0, NULL, NTK_EIO,                                        \
     "part 'scaler_shape' is not that of the samples"},                                              \
    {file, "scaler_shape", '4', 0, 0, NULL, NTK_EIO, "'scaler_shape' is not the shape of a sample"}, \
    {file, "scaler_mean", 'x', 0, 0, NULL, NTK_EIO, "'scaler_mean' is missing or does not fit"},     \
    {file, "scaler_mean", 'n', NAN_, 1, NULL, NTK_EIO,                                               \
     "'scaler_mean' has a number that is not finite"},                                               \
    {file, "scaler_deviation", 'n', INF_, 1, NULL, NTK_EIO,                                          \
     "'scaler_deviation' has a number that is not finite"},                                          \
    {file, "scaler_deviation", 'n', 0, 1, NULL, NTK_EIO,                                             \
     "'scaler_deviation' has a number that is not positive"},                                        \
    {file, "scaler_deviation", 'n', -1, 0, NULL, NTK_EIO,                                            \
     "'scaler_deviation' has a number that is not positive"},                                        \
    {file, "scaler_deviation", 's', 1, 1, NULL, NTK_EIO,                                             \
     "'scaler_deviation' is larger than the file"},                                                  \
    {file, "scaler_deviation", 'z', 1, 3, NULL, NTK_EIO,                                             \
     "'scaler_deviation' is missing or does not fit"}

static const struct change models[] = {
    {MODEL, "format", 'c', 0, 0, "libntk model 5", NTK_ENOTSUP,
     "its format is 'libntk model 5'; libntk " NTK_VERSION " reads up to 'libntk model 4'"},
    {MODEL, "format", 'c', 0, 0, "libntk model 0", NTK_EIO, "not 'libntk model NUMBER'"},
    {MODEL, "format", 'c', 0, 0, "libntk parameters 1", NTK_EIO, "not 'libntk model NUMBER'"},
    {MODEL, "net", 'c', 0, 0, "serial(Dense(8), Rellu())", NTK_EPARSE,
     "file.h5: line 1, column 18"},
    {MODEL, "posterior", 'i', 7, 0, NULL, NTK_EIO, "part 'posterior' is none that there is"},
    {MODEL, "posterior", 'd', 1, 0, NULL, NTK_EIO, "part 'posterior' is missing or does not fit"},
    {MODEL, "dtype", 'i', 5, 0, NULL, NTK_EIO, "part 'dtype' is neither 4 nor 8"},
    {MODEL, "x_dtype", 'i', 0, 0, NULL, NTK_EIO, "part 'x_dtype' is neither 4 nor 8"},
    {MODEL, "targets", 'i', -1, 0, NULL, NTK_EIO, "part 'targets' is none that there is"},
    {MODEL, "diag_reg", 'd', NAN_, 0, NULL, NTK_EIO, "part 'diag_reg' is not a number from 0 on"},
    {MODEL, "diag_reg", 'd', -1e-3, 0, NULL, NTK_EIO, "part 'diag_reg' is not a number from 0 on"},
    {MODEL, "shape", '4', 2, 3, NULL, NTK_EIO, "part 'shape' is not the shape of a sample"},
    {MODEL, "shape", '4', 4294967296, 2, NULL, NTK_EIO,
     "part 'shape' is not the shape of a sample"},
    {MODEL, "shape", '4', 3, 0, NULL, NTK_EIO, "part 'x' is missing or does not fit"},
    {MODEL, "x", 'x', 0, 0, NULL, NTK_EIO, "part 'x' is missing or does not fit"},
    {MODEL, "x", 's', 2, 1000000000, NULL, NTK_EIO, "part 'x' is larger than the file"},
    {MODEL, "x", 'z', 2, 1000000000, NULL, NTK_ENOMEM, "a part of the file needs 1"},
    {MODEL, "x", 'n', INF_, 3, NULL, NTK_EINVAL, "sample 1, feature 1 is inf"},
    {MODEL, "y", 's', 5, 2000000000, NULL, NTK_EIO, "part 'y' is larger than the file"},
    {MODEL, "y", 'n', NAN_, 9, NULL, NTK_EIO, "part 'y' has a number that is not finite"},
    {MODEL, "alpha", 'x', 0, 0, NULL, NTK_EIO, "part 'alpha' is missing or does not fit"},
    {MODEL, "alpha", 'n', NAN_, 2, NULL, NTK_EIO, "part 'alpha' has a number that is not finite"},
    {MODEL, "units", 'z', 2, 2, NULL, NTK_EIO, "part 'units' has a scale that is not above 0"},
    {MODEL, "units", 'z', 3, 2, NULL, NTK_EIO, "part 'units' is missing or does not fit"},
    {MODEL, "weights", 'z', 1, 5, NULL, NTK_EIO, "part 'weights' has a 0"},
    {MODEL, "noise", 'z', 1, 4, NULL, NTK_EIO, "part 'noise' is missing or does not fit"},
    WRONG_SCALERS(MODEL),
    {FACTOR, "ridge", 'd', NAN_, 0, NULL, NTK_EIO, "part 'ridge' is not a number from 0 on"},
    {FACTOR, "factor", 'n', NAN_, 7, NULL, NTK_EIO,
     "part 'factor' has a number that is not finite"},
    {FACTOR, "factor", 'n', 0, 0, NULL, NTK_EIO,
     "'factor' has a number on its diagonal that is not"},
    {FACTOR, "factor", 's', 1, 15, NULL, NTK_EIO, "part 'factor' is larger than the file"},
    {FACTOR, "nngp", 'x', 0, 0, NULL, NTK_EIO, "part 'nngp' is missing or does not fit"},
    {FACTOR, "nngp", 'n', INF_, 3, NULL, NTK_EIO, "part 'nngp' has a number that is not finite"},
    {FACTOR, "finite_time", 'i', 1, 0, NULL, NTK_EIO, "part 'vectors' is missing or does not fit"},
};

static void wrong_models_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        ntk_model *model = NULL;

        make(&models[k]);
        assert_fails(ctx, models[k].status, models[k].says, ntk_model_load(ctx, path, &model));
        assert_null(model);
    }
}

static const struct change parameters[] = {
    {PARAMS, "format", 'c', 0, 0, "libntk parameters 4", NTK_ENOTSUP,
     "its format is 'libntk parameters 4'; libntk " NTK_VERSION
     " reads up to 'libntk parameters 3'"},
    {PARAMS, "format", 'c', 0, 0, "libntk model 1", NTK_EIO, "not 'libntk parameters NUMBER'"},
    {PARAMS, "00_Dense/W", 'x', 0, 0, NULL, NTK_EIO,
     "part '00_Dense/W' is missing or does not fit"},
    {PARAMS, "01_Dense/W", 'x', 0, 0, NULL, NTK_EIO,
     "part '01_Dense/W' is missing or does not fit"},
    {PARAMS, "01_Dense/W", 's', 2, 3, NULL, NTK_EIO, "part '01_Dense/W' is larger than the file"},
    {PARAMS, "00_Dense/b", 'n', NAN_, 1, NULL, NTK_EIO,
     "'00_Dense/b' has a number that is not finite"},
    {PARAMS, "net", 'c', 0, 0, "fc(depth=3000)", NTK_EIO,
     "part '00_Dense/W' is missing or does not fit"},
    {PARAMS, "input_shape", '4', 2000000000, 0, NULL, NTK_EIO, "part '00_Dense/W' is missing or"},
    {PARAMS, "input_shape", '4', 3037000500, 1, NULL, NTK_EIO,
     "'input_shape' is not the shape of a"},
    {PARAMS, "dtype", 'i', 16, 0, NULL, NTK_EIO, "part 'dtype' is neither 4 nor 8"},
    {PARAMS, "multiplier", 'd', NAN_, 0, NULL, NTK_EIO, "part 'multiplier' is not positive"},
    {PARAMS, "multiplier", 'd', 0, 0, NULL, NTK_EIO, "part 'multiplier' is not positive"},
    WRONG_SCALERS(SCALED),
    {SCALED, "schema_names", 'x', 0, 0, NULL, NTK_EIO, "part 'schema_names' is missing or does not"},
    {SCALED, "class_names", 'x', 0, 0, NULL, NTK_EIO, "part 'class_names' is missing or does not fit"},
    {CHECK, "class_labels", 'n', 1, 0, NULL, NTK_EIO, "part 'class_labels' is not ascending"},
    {CHECK, "class_labels", 'n', NAN_, 1, NULL, NTK_EIO, "part 'class_labels' is not ascending"},
};

static void wrong_parameters_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof parameters / sizeof *parameters; k++) {
        ntk_params *p = NULL;

        make(&parameters[k]);
        ntk_ctx_set_memory(ctx, (size_t)64 << 20);
        assert_fails(ctx, parameters[k].status, parameters[k].says, ntk_params_load(ctx, path, &p));
        ntk_ctx_set_memory(ctx, 0);
        assert_null(p);
    }
}

static const struct change checkpoints[] = {
    {CHECK, "format", 'c', 0, 0, "libntk parameters 4", NTK_ENOTSUP,
     "reads up to 'libntk parameters 3'"},
    {CHECK, "step", 'd', NAN_, 0, NULL, NTK_EIO, "part 'step' is not a number of steps"},
    {CHECK, "step", 'd', -1, 0, NULL, NTK_EIO, "part 'step' is not a number of steps"},
    {CHECK, "step", 'd', 2.5, 0, NULL, NTK_EIO, "part 'step' is not a number of steps"},
    {CHECK, "step", 'd', 1e300, 0, NULL, NTK_EIO, "part 'step' is not a number of steps"},
    {CHECK, "learning_rate", 'd', 0, 0, NULL, NTK_EIO, "part 'learning_rate' is not positive"},
    {CHECK, "first_loss", 'd', NAN_, 0, NULL, NTK_EIO, "part 'first_loss' is not finite"},
    {CHECK, "velocity", 'x', 0, 0, NULL, NTK_EIO, "part 'velocity' is missing or does not fit"},
    {CHECK, "velocity", 'n', NAN_, 14, NULL, NTK_EIO, "'velocity' has a number that is not finite"},
    {CHECK, "01_Dense/W", 'n', INF_, 5, NULL, NTK_EIO,
     "'01_Dense/W' has a number that is not finite"},
};

static void wrong_checkpoints_are_refused(void **state)
{
    struct run r;
    double before[15];

    (void)state;
    run_start(&r, NTK_F64, 1);
    memcpy(before, ntk_params_theta(r.p), sizeof before);
    for (size_t k = 0; k < sizeof checkpoints / sizeof *checkpoints; k++) {
        make(&checkpoints[k]);
        assert_fails(ctx, checkpoints[k].status, checkpoints[k].says,
                     ntk_train_load(r.train, path));
        assert_memory_equal(before, ntk_params_theta(r.p), sizeof before);
        assert_int_equal(ntk_train_step(r.train), 0);
    }
    run_stop(&r);
}

/* Of the same net and options, but other numbers. */
static void checkpoints_of_other_types_are_refused(void **state)
{
    struct run r;

    (void)state;
    run_start(&r, NTK_F32, 1);
    assert_fails(ctx, NTK_EINVAL, "float64, multiplier 1; now", ntk_train_load(r.train, CHECK));
    run_stop(&r);
    run_start(&r, NTK_F64, 0.5);
    assert_fails(ctx, NTK_EINVAL, "float64, multiplier 0.5", ntk_train_load(r.train, CHECK));
    run_stop(&r);
}

/* A model whose parts were compressed since, as h5repack does it, is the same model. */
static void compressed_models_are_read(void **state)
{
    double y[2 * N];
    hid_t f, d;
    ntk_model *model;

    (void)state;
    copy_file(MODEL);
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    d = H5Dopen2(f, "y", H5P_DEFAULT);
    H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, y);
    H5Dclose(d);
    set_sizes(f, "y", 2, N, true);
    d = H5Dopen2(f, "y", H5P_DEFAULT);
    H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, y);
    H5Dclose(d);
    H5Fclose(f);
    assert_ok(ctx, ntk_model_load(ctx, path, &model));
    assert_int_equal(ntk_model_outputs(model), 2);
    ntk_model_free(model);
}

/* ---- samples in HDF5 files */

static void samples_that_are_not_in_the_file(void **state)
{
    ntk_data *x;
    hid_t f;

    (void)state;
    f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    set_sizes(f, "x", 1000000, 100, false);
    H5Fclose(f);
    assert_fails(ctx, NTK_EIO, "dataset x is larger than the file",
                 ntk_data_load(ctx, path, NULL, &x));
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    set_sizes(f, "x", (hsize_t)1 << 40, (hsize_t)1 << 40, true);
    H5Fclose(f);
    assert_fails(ctx, NTK_ESHAPE, "at most 2^31 - 1 numbers", ntk_data_load(ctx, path, NULL, &x));
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    set_sizes(f, "x", (hsize_t)1 << 40, 2, true);
    H5Fclose(f);
    assert_fails(ctx, NTK_ENOMEM, "the data needs", ntk_data_load(ctx, path, NULL, &x));
}

/* ---- what HDF5 has no room for */

enum { LONG_NET = 800, LAYER_TEXT = 100 };

/* More than 64 KiB, which an attribute cannot hold. */
static ntk_net *long_net(void)
{
    char *text = malloc(LONG_NET * LAYER_TEXT), *at = text;
    ntk_net *net;

    at += sprintf(at, "serial(");
    for (int k = 0; k < LONG_NET; k++)
        at += sprintf(at, "Dense(1, W_std=1.0000000000000%03d, b_std=0.0000000123456789%03d, parameterization='standard'), ",
                      k + 2, k);
    sprintf(at, "Dense(1))");
    assert_ok(ctx, ntk_net_parse(ctx, text, &net));
    free(text);
    assert_ok(ctx, ntk_net_print(net, &text));
    assert_true(strlen(text) > 65536);
    ntk_text_free(text);
    return net;
}

static void long_nets_are_saved(void **state)
{
    const double x[] = {1, 2, 3, -1}, y[] = {1, -1};
    double f[2], again[2];
    ntk_net *net = long_net();
    ntk_data *data;
    ntk_params *params, *loaded;
    ntk_train *train;
    ntk_train_opts t;
    ntk_model *model, *loaded_model;
    ntk_fit_opts o;

    (void)state;
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 2, (ntk_shape){0, 1, 1, 2}, &data));
    assert_ok(ctx, ntk_params_new(ctx, net, (ntk_shape){0, 1, 1, 2}, NTK_F64, 1, &params));
    assert_ok(ctx, ntk_params_save(params, path));
    assert_ok(ctx, ntk_params_load(ctx, path, &loaded));
    assert_ok(ctx, ntk_params_apply(params, data, f));
    assert_ok(ctx, ntk_params_apply(loaded, data, again));
    assert_memory_equal(f, again, sizeof f);
    ntk_train_opts_init(&t);
    t.learning_rate = 1e-6;
    assert_ok(ctx, ntk_train_new(params, data, y, &t, &train));
    assert_ok(ctx, ntk_train_save(train, path));
    assert_ok(ctx, ntk_train_load(train, path));
    ntk_train_free(train);
    ntk_params_free(params);
    ntk_params_free(loaded);
    ntk_fit_opts_init(&o);
    o.diag_reg = 0.1;
    assert_ok(ctx, ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    assert_ok(ctx, ntk_model_save(model, path, 0));
    assert_ok(ctx, ntk_model_load(ctx, path, &loaded_model));
    assert_ok(ctx, ntk_model_predict(model, data, f, NULL));
    assert_ok(ctx, ntk_model_predict(loaded_model, data, again, NULL));
    assert_memory_equal(f, again, sizeof f);
    ntk_model_free(model);
    ntk_model_free(loaded_model);
    ntk_data_free(data);
    ntk_net_free(net);
}

/* ---- HDF5 without memory */

/* A filter that lets everything through, but has no memory to read it. */
static size_t no_memory(unsigned flags, size_t n, const unsigned *values, size_t bytes, size_t *room,
                        void **buffer)
{
    (void)n, (void)values, (void)room, (void)buffer;
    if (!(flags & H5Z_FLAG_REVERSE))
        return bytes;
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, H5E_DATASET, H5E_NOSPACE,
             "memory allocation failed");
    return 0;
}

static const H5Z_class2_t without_memory = {
    .version = H5Z_CLASS_T_VERS, .id = 300, .encoder_present = 1, .decoder_present = 1,
    .name = "without memory", .filter = no_memory};

static void write_without_memory(void)
{
    const hsize_t n[] = {2, 2};
    const double x[] = {1, 2, 3, 4};
    const hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(2, n, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set;

    assert_true(H5Zregister(&without_memory) >= 0);
    H5Pset_chunk(plist, 2, n);
    H5Pset_filter(plist, 300, H5Z_FLAG_MANDATORY, 0, NULL);
    set = H5Dcreate2(f, "x", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
    assert_true(H5Fclose(f) >= 0);
}

/* What failed for lack of memory is remembered, though HDF5 forgets it with the next call. */
static void lack_of_memory_is_remembered(void **state)
{
    double x[4];

    (void)state;
    write_without_memory();
    for (int noticed = 0; noticed < 2; noticed++) { /* a part that need not be there is not noticed */
        struct ntk_h5 f = {.ctx = ctx};
        hid_t set;

        assert_ok(ctx, ntk_h5_open(&f, path, "the test"));
        set = H5Dopen2(f.id, "x", H5P_DEFAULT);
        assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0);
        assert_true(H5Dclose(set) >= 0);
        if (noticed)
            assert_true(ntk_h5_broken(&f, "x", false));
        assert_fails(ctx, NTK_ENOMEM, "no memory for the part", ntk_h5_end(&f, path, "test", NTK_OK));
    }
    {
        ntk_data *data;

        assert_fails(ctx, NTK_ENOMEM, "no memory to read the file", ntk_data_load(ctx, path, NULL, &data));
    }
    H5Zunregister(300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_nets_are_saved),
        cmocka_unit_test(lack_of_memory_is_remembered),
        cmocka_unit_test(models_of_every_format),
        cmocka_unit_test(landmarks_of_every_format),
        cmocka_unit_test(damaged_landmarks),
        cmocka_unit_test(models_with_copies),
        cmocka_unit_test(parameters_of_every_format),
        cmocka_unit_test(trained_parameters_keep_their_encoding),
        cmocka_unit_test(unscaled_is_not_unknown),
        cmocka_unit_test(checkpoints_of_every_format),
        cmocka_unit_test(wrong_models_are_refused),
        cmocka_unit_test(wrong_parameters_are_refused),
        cmocka_unit_test(wrong_checkpoints_are_refused),
        cmocka_unit_test(checkpoints_of_other_types_are_refused),
        cmocka_unit_test(compressed_models_are_read),
        cmocka_unit_test(samples_that_are_not_in_the_file),
    };

    return cmocka_run_group_tests(tests, setup_directory, remove_directory);
}

#else

int main(void)
{
    return 0;
}

#endif
