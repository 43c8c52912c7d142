/* SPDX-License-Identifier: MIT
 *
 * Readers against files that are written here, files that NumPy and h5py wrote
 * (tests/golden/data.py) and, where they are, the official data sets in ../shared/data; targets,
 * standardisation and writers.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define SHARED NTK_SOURCE_ROOT "/../shared/data/"

static void csv_fails(struct fixture *f, const char *text, const char *part)
{
    fails(f, NTK_EINVAL, part, write_text(f, "bad.csv", text), NULL);
}

/* What tests/golden/data.py puts into every file. */
static void assert_golden(const ntk_data *data)
{
    for (int64_t i = 0; i < data->n; i++)
        for (int64_t k = 0; k < ntk_features_of(data->shape); k++)
            assert_near(x_at(data, i, k), (double)i - (double)k / 4, 0, 1);
}

/* ------------------------------------------------------------------------------- in memory */

static void views_are_checked(void **state)
{
    struct fixture *f = *state;
    const ntk_shape image = {2, 1, 2, 2}, sequence = {1, 1, 2, 2}, odd = {0, 2, 1, 3}, vector = {0, 1, 1, 4};
    const ntk_shape huge = {2, INT64_MAX, 2, 1};
    double x[8] = {1, 2, 3, 4, 5, 6, nan(""), 8};
    ntk_data *data = NULL;

    assert_fails(f->ctx, NTK_EINVAL, "sample 1, feature [0][1][0] is nan",
                 ntk_data_view(f->ctx, x, NTK_F64, 2, image, &data));
    assert_fails(f->ctx, NTK_EINVAL, "sample 1, feature [1][0] is nan",
                 ntk_data_view(f->ctx, x, NTK_F64, 2, sequence, &data));
    x[6] = -HUGE_VAL;
    assert_fails(f->ctx, NTK_EINVAL, "sample 1, feature 2 is -inf",
                 ntk_data_view(f->ctx, x, NTK_F64, 2, vector, &data));
    assert_fails(f->ctx, NTK_ESHAPE, "{0, 2, 1, 3}",
                 ntk_data_view(f->ctx, x, NTK_F64, 1, odd, &data));
    /* whose positions are not multiplied */
    assert_fails(f->ctx, NTK_ESHAPE, "at most 2^31 - 1 numbers", ntk_data_view(f->ctx, x, NTK_F64, 1, huge, &data));
    assert_fails(f->ctx, NTK_EINVAL, "got 0", ntk_data_view(f->ctx, x, NTK_F64, 0, image, &data));
    assert_fails(f->ctx, NTK_EINVAL, "got 5",
                 ntk_data_view(f->ctx, x, (ntk_dtype)5, 1, image, &data));
    assert_fails(f->ctx, NTK_EINVAL, "NULL", ntk_data_view(f->ctx, NULL, NTK_F64, 1, image, &data));
    assert_null(data);
    x[6] = 7;
    assert_ok(f->ctx, ntk_data_view(f->ctx, x, NTK_F64, 2, image, &data));
    assert_ptr_equal(ntk_data_x(data), x);
    assert_null(ntk_data_y(data, NULL));
    ntk_data_flatten(data);
    assert_shape(data, 2, 0, 1, 1, 4);
    ntk_data_free(data);
    ntk_data_free(NULL);
}

static void slices_borrow(void **state)
{
    struct fixture *f = *state;
    ntk_data *all = load(f, write_text(f, "a.csv", "1,10\n2,20\n3,30\n4,40\n"), NULL), *part;
    int64_t outputs;

    assert_ok(f->ctx, ntk_data_slice(all, 1, 2, &part));
    assert_shape(part, 2, 0, 1, 1, 1);
    assert_ptr_equal(ntk_data_x(part), (const double *)ntk_data_x(all) + 1);
    assert_near(ntk_data_y(part, &outputs)[1], 30, 0, 1);
    ntk_data_free(part);
    assert_fails(f->ctx, NTK_EINVAL, "0..3", ntk_data_slice(all, 3, 2, &part));
    assert_fails(f->ctx, NTK_EINVAL, "sample -1", ntk_data_slice(all, -1, 2, &part));
    ntk_data_free(all);
}

static void sources_are_checked(void **state)
{
    struct fixture *f = *state;
    ntk_load_opts opts;

    ntk_load_opts_init(&opts);
    assert_int_equal(opts.dtype, NTK_F64);
    fails(f, NTK_EIO, "digit: No such file: expected digits[/train|/test]", "digit",
          NULL);
    fails(f, NTK_EIO, "none.csv: cannot open: No such file", path_of(f, "none.csv"), NULL);
    fails(f, NTK_EIO, "No such file", path_of(f, "none.npy"), NULL);
    fails(f, NTK_EIO, "No such file", path_of(f, "none.npz"), NULL);
    fails(f, NTK_EIO, "No such file", path_of(f, "none-images-idx3-ubyte"), NULL);
    fails(f, NTK_EINVAL, "/train or /test, got 'somewhere'", "mnist:somewhere", NULL);
    fails(f, NTK_EIO, "/none/train-images-idx3-ubyte.gz", "mnist:/none/train", NULL);
    fails(f, NTK_EIO, "/none/test_batch.bin: cannot open", "cifar10:/none/test", NULL);
    assert_int_equal(mkdir(path_of(f, "d.csv"), 0700), 0);
    fails(f, NTK_EIO, "Is a directory", f->path, NULL);
    opts.limit = -2;
    fails(f, NTK_EINVAL, "got -2", "digits", &opts);
    opts.limit = 0;
    opts.dtype = (ntk_dtype)2;
    fails(f, NTK_EINVAL, "got 2", "digits", &opts);
}

static void memory_is_bounded(void **state)
{
    struct fixture *f = *state;

    ntk_ctx_set_memory(f->ctx, 1797 * 64 * 4);
    fails(f, NTK_ENOMEM, "needs", "digits", NULL);
}

/* ------------------------------------------------------------------------------------- csv */

static void csv_without_a_header(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load(f, write_text(f, "a.csv", "1,2,3\r\n-4.5,+5e-1, 6 \r\n\r\n"), NULL);
    int64_t outputs;

    assert_shape(d, 2, 0, 1, 1, 2);
    assert_near(x_at(d, 1, 0), -4.5, 0, 1);
    assert_near(x_at(d, 1, 1), 0.5, 0, 1);
    assert_near(ntk_data_y(d, &outputs)[1], 6, 0, 1);
    assert_int_equal(outputs, 1);
    ntk_data_free(d);
}

static void csv_with_a_header(void **state)
{
    struct fixture *f = *state;
    const char *text = "\xef\xbb\xbf\"a \"\"1\"\"; x\";Class;b\n1;2;3\n\"4\";\"5\";6";
    const char *path = write_text(f, "a.csv", text);
    ntk_data *d = load(f, path, NULL);

    assert_shape(d, 2, 0, 1, 1, 2);
    assert_near(ntk_data_y(d, NULL)[1], 5, 0, 1);
    assert_near(x_at(d, 1, 1), 6, 0, 1);
    ntk_data_free(d);
    d = load(f, path, &LOAD_OPTS(.dtype = NTK_F32, .target = "a \"1\"; x", .limit = 1));
    assert_int_equal(ntk_data_dtype(d), NTK_F32);
    assert_shape(d, 1, 0, 1, 1, 2);
    assert_near(ntk_data_y(d, NULL)[0], 1, 0, 1);
    assert_near((double)((const float *)ntk_data_x(d))[1], 3, 0, 1);
    ntk_data_free(d);
}

static void csv_targets_are_chosen(void **state)
{
    struct fixture *f = *state;
    const char *path = write_text(f, "a.tsv", "a\tb\t\tc\n1\t2\t3\t4\n");
    ntk_load_opts opts = LOAD_OPTS(.dtype = NTK_F64, .target = "1");
    ntk_data *d = load(f, path, &opts);

    assert_near(ntk_data_y(d, NULL)[0], 2, 0, 1);
    assert_near(x_at(d, 0, 1), 3, 0, 1);
    ntk_data_free(d);
    opts.target = "none";
    d = load(f, path, &opts);
    assert_null(ntk_data_y(d, NULL));
    assert_shape(d, 1, 0, 1, 1, 4);
    ntk_data_free(d);
    opts.target = "4";
    fails(f, NTK_EINVAL, "no column '4' for the target: give a name, a number 0 to 3", path, &opts);
    opts.target = "C";
    fails(f, NTK_EINVAL, "the names are a, b, Unnamed: 2, c", path, &opts);
    opts.target = "1x";
    fails(f, NTK_EINVAL, "no column '1x'", path, &opts);
}

/* Whether the first line is a header, and what its columns are called. */
static void csv_headers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        int header;
        const char *first, *target;
    } cases[] = {
        {"a,b,c\n1,2,3\n", 1, "a", "c"},
        {"0,1,2\n5,6,7\n", 1, "0", "2"},           /* pandas */
        {",0,1\n0,5,6\n", 1, "Unnamed: 0", "1"},   /* with its index */
        {"0,1,kind\n5,6,red\n", 1, "0", "kind"},
        {"1,0,2\n5,6,7\n", 0, "0", "2"},
        {"0,2,3\n5,6,7\n", 0, "0", "2"},
        {"0.0,1.0,2.0\n5,6,7\n", 0, "0", "2"},
        {"5,6,red\n7,8,red\n", 0, "0", "2"},       /* iris as it is distributed */
        {"year,2019,y\n1,2,3\n", 1, "year", "y"},  /* a word over a number */
        {"a,,c\n1,2,3\n", 1, "a", "c"},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ntk_data *d = load(f, write_text(f, "a.csv", cases[k].text), NULL);
        const ntk_schema *s = ntk_data_schema(d);
        size_t n;

        assert_int_equal(ntk_schema_table(s)->header, cases[k].header);
        assert_int_equal(ntk_data_n(d), cases[k].header ? 1 : 2);
        assert_string_equal(ntk_schema_features(s, &n)[0], cases[k].first);
        assert_string_equal(ntk_schema_targets(s, &n)[0], cases[k].target);
        assert_int_equal(n, 1);
        ntk_data_free(d);
    }
}

static void csv_headers_as_told(void **state)
{
    struct fixture *f = *state;
    const char *path = write_text(f, "a.csv", "0,1,2\n5,6,7\n");
    ntk_data *d = load(f, path, &LOAD_OPTS(.dtype = NTK_F64, .header = NTK_HEADER_NO));

    assert_shape(d, 2, 0, 1, 1, 2);
    ntk_data_free(d);
    write_text(f, "a.csv", "1,2,1\n5,6,7\n");
    d = load(f, path, &LOAD_OPTS(.dtype = NTK_F64, .header = NTK_HEADER_YES, .target = "2"));
    assert_shape(d, 1, 0, 1, 1, 2);
    assert_near(ntk_data_y(d, NULL)[0], 6, 0, 1); /* the column called 2, not number 2 */
    ntk_data_free(d);
    fails(f, NTK_EINVAL, "line 1, column 0: 'a' is not a number", write_text(f, "a.csv", "a,b\n1,2\n"),
          &LOAD_OPTS(.dtype = NTK_F64, .header = NTK_HEADER_NO));
    fails(f, NTK_EINVAL, "header must be", f->path,
          &LOAD_OPTS(.dtype = NTK_F64, .header = (ntk_header)7));
}

static void csv_columns_are_chosen(void **state)
{
    struct fixture *f = *state;
    const char *path = write_text(f, "a.csv", "id,a,\"b,c\",d,e\nx,1,2,3,4\ny,5,6,7,8\n");
    const double both[] = {3, 1, 7, 5};
    ntk_load_opts opts = LOAD_OPTS(.dtype = NTK_F64, .drop = "id");
    ntk_data *d = load(f, path, &opts);

    assert_shape(d, 2, 0, 1, 1, 3);
    assert_near(ntk_data_y(d, NULL)[1], 8, 0, 1);
    assert_string_equal(ntk_schema_table(ntk_data_schema(d))->dropped[0], "id");
    ntk_data_free(d);
    opts = LOAD_OPTS(.dtype = NTK_F64, .target = "d,1", .features = "b,c");
    d = load(f, path, &opts);
    assert_shape(d, 2, 0, 1, 1, 1);
    assert_near(x_at(d, 1, 0), 6, 0, 1);
    for (int k = 0; k < 4; k++)
        assert_near(ntk_data_y(d, NULL)[k], both[k], 0, 1);
    ntk_data_free(d);
    opts = LOAD_OPTS(.dtype = NTK_F64, .drop = "id,e");
    d = load(f, path, &opts); /* the last that is left */
    assert_near(ntk_data_y(d, NULL)[0], 3, 0, 1);
    ntk_data_free(d);
    opts = LOAD_OPTS(.dtype = NTK_F64, .features = "a,e");
    fails(f, NTK_EINVAL, "column 'e' is named twice", path, &opts);
    opts = LOAD_OPTS(.dtype = NTK_F64, .drop = "f");
    fails(f, NTK_EINVAL, "no column 'f' for the columns to drop", path, &opts);
    opts = LOAD_OPTS(.dtype = NTK_F64, .drop = "e", .target = "e");
    fails(f, NTK_EINVAL, "column 'e' is a target, and to be dropped", path, &opts);
    fails(f, NTK_EINVAL, "'x' is not a number: encode words as numbers, or drop their column", path, NULL);
}

/* Commas part the names of a list, unless they are in quotes, as in a CSV. */
static void csv_lists_have_quotes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *list;
        int n;
        double first, last;
    } lists[] = {
        {"a,b", 1, 1, 1}, /* it is a name */
        {"\"a\",\"b\"", 2, 2, 3},
        {"\"a,b\",b", 2, 1, 3},
        {"b,\"a,b\"", 2, 3, 1},
        {"\"\"\"q\"\"\",\"1\"", 2, 4, 2},
    };
    static const char *const wrong[] = {"\"a", "\"a\"b", "b,\"", "\"a\"\""};
    const char *path = write_text(f, "a.csv", "\"a,b\",a,b,\"\"\"q\"\"\",y\n1,2,3,4,5\n");

    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        ntk_data *d = load(f, path, &LOAD_OPTS(.dtype = NTK_F64, .features = lists[k].list));

        assert_shape(d, 1, 0, 1, 1, lists[k].n);
        assert_near(x_at(d, 0, 0), lists[k].first, 0, 1);
        assert_near(x_at(d, 0, lists[k].n - 1), lists[k].last, 0, 1);
        ntk_data_free(d);
    }
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        fails(f, NTK_EINVAL, "a quote that is not closed before a comma", path,
              &LOAD_OPTS(.dtype = NTK_F64, .drop = wrong[k]));
    fails(f, NTK_EINVAL, "the names are \"a,b\", a, b, \"q\", y", path,
          &LOAD_OPTS(.dtype = NTK_F64, .drop = "\"b,a\""));
}

static void csv_words_are_labels(void **state)
{
    struct fixture *f = *state;
    const double want[] = {1, 0, 1};
    ntk_data *d = load(f, write_text(f, "a.csv", "a,kind\n1,rose\n2,iris\n3,rose\n"), NULL);
    const double *numbers = want;
    size_t n;

    for (int i = 0; i < 3; i++)
        assert_near(ntk_data_y(d, NULL)[i], want[i], 0, 1);
    assert_string_equal(ntk_schema_classes(ntk_data_schema(d), &n, &numbers)[0], "iris");
    assert_int_equal(n, 2);
    assert_null(numbers);
    ntk_data_free(d);
    csv_fails(f, "a,kind\n1,rose\n2,\n", "line 3, column 1 (kind): '' is empty");
    csv_fails(f, "a,kind\n1,rose\n2,NA\n", "'NA' is a missing value");
    csv_fails(f, "a,kind\n1,2\n2,rose\n", "'rose' is not a number, as the labels before it are");
}

/* Another table: by name, if both have names. */
static void csv_columns_are_matched(void **state)
{
    struct fixture *f = *state;
    ntk_data *train = load(f, write_text(f, "a.csv", "q,a,b\n1,2,3\n"),
                           &LOAD_OPTS(.dtype = NTK_F64, .target = "q"));
    ntk_load_opts like = LOAD_OPTS(.dtype = NTK_F64, .schema = ntk_data_schema(train));
    static const char *const same[] = {"q,a,b\n1,2,3\n", "b,id,q,a\n3,x,1,2\n", "1,2,3\n", "a,b\n2,3\n",
                                       "2,3\n"};
    ntk_data *d;

    for (int k = 0; k < 5; k++) {
        d = load(f, write_text(f, "b.csv", same[k]), &like);
        assert_shape(d, 1, 0, 1, 1, 2);
        assert_near(x_at(d, 0, 0), 2, 0, 1);
        assert_near(x_at(d, 0, 1), 3, 0, 1);
        if (k < 3)
            assert_near(ntk_data_y(d, NULL)[0], 1, 0, 1);
        else
            assert_null(ntk_data_y(d, NULL));
        assert_int_equal(ntk_schema_table(ntk_data_schema(d))->matched, k == 2 || k == 4 ? 2 : 1);
        ntk_data_free(d);
    }
    fails(f, NTK_EINVAL, "column 'b' of the training data is missing; the names are q, a, c",
          write_text(f, "b.csv", "q,a,c\n1,2,3\n"), &like);
    fails(f, NTK_EINVAL, "columns 0 and 2 are both called 'a'", write_text(f, "b.csv", "a,b,a\n1,2,3\n"),
          &like);
    fails(f, NTK_EINVAL, "columns 0 and 3 are both called 'q'",
          write_text(f, "b.csv", "q,a,b,q\n1,2,3,1\n"), &like);
    fails(f, NTK_EINVAL, "columns 'a', 'b' of the training data are missing",
          write_text(f, "b.csv", "q,c\n1,2\n"), &like);
    fails(f, NTK_EINVAL, "has 4 columns and no header; the training data had 3, of which 2 are features",
          write_text(f, "b.csv", "1,2,3,4\n"), &like);
    like.drop = "a";
    fails(f, NTK_EINVAL, "drop and features must not be given", f->path, &like);
    ntk_data_free(train);
}

static void csv_notes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *note;
    } cases[] = {
        {",a,y\n7,1,2\n8,2,1\n", "'Unnamed: 0' looks like an index"},
        {"i,a,y\n1,1,2\n2,2,1\n3,1,1\n", "'i' looks like an index"},
        {"a,b,y\n2,1,3\n1,2,3\n", "the target 'y' has one value"},
        {"a,b,\n2,1,3\n1,2,4\n", "no name in the header: it is 'Unnamed: 2'"},
        {"a,b,y\n0,1,2\n1,2,1\n3,1,1\n", NULL},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ntk_data *d = load(f, write_text(f, "a.csv", cases[k].text), NULL);
        const ntk_table *t = ntk_schema_table(ntk_data_schema(d));

        assert_int_equal(t->n_notes, cases[k].note ? 1 : 0);
        if (cases[k].note)
            assert_non_null(strstr(t->notes[0], cases[k].note));
        ntk_data_free(d);
    }
}

static void csv_errors_name_the_place(void **state)
{
    struct fixture *f = *state;

    csv_fails(f, "", "bad.csv: is empty");
    csv_fails(f, "\n \n", "is empty");
    csv_fails(f, "a,b\n", "has a header, but no rows");
    csv_fails(f, "1,2\n3,4\n5\n", "line 3 has 1 cells, the first line has 2");
    csv_fails(f, "1,2\n\n5,6,7\n", "line 3 has 3 cells");
    csv_fails(f, "a,b\n1,2\n3,x4\n", "line 3, column 1 (b): 'x4' is not a number");
    csv_fails(f, "1,2\n3,\n", "line 2, column 1: '' is empty");
    csv_fails(f, "1;2\n3;4,5\n", "'4,5' is not a number: decimals take a point");
    csv_fails(f, "1,2\nnan,4\n", "line 2, column 0: 'nan' is a missing value: leave the row");
    csv_fails(f, "1,2\n3,1e999\n", "'1e999' is not finite");
    csv_fails(f, "0,1,NA\n3,4,5\n", "line 1, column 2: 'NA' is a missing value");
    csv_fails(f, "1,NA\n3,4\n", "line 1, column 1: 'NA' is a missing value");
    csv_fails(f, "1,\"2\n3,4\n", "line 1: a quote is not closed");
    csv_fails(f, "1,\"2\"3\n", "line 1, column 1: text after a closing quote");
    csv_fails(f, "1\n2\n", "the only column");
    fails(f, NTK_EINVAL, "line 2 has a NUL byte", write_bytes(f, "bad.csv", "1,2\n3,\0\n", 8),
          NULL);
    fails(f, NTK_EINVAL, "sample 1, feature 0 is inf", write_text(f, "a.csv", "1,1\n1e40,1\n"),
          &LOAD_OPTS(.dtype = NTK_F32));
}

static void csv_grows(void **state)
{
    struct fixture *f = *state;
    struct ntk_text text = {0};
    ntk_data *d;

    for (int i = 0; i < 1000; i++)
        ntk_text_add(&text, "%d.25,%d\n", i, i % 10);
    d = load(f, write_text(f, "long.csv", text.s), NULL);
    assert_shape(d, 1000, 0, 1, 1, 1);
    for (int i = 0; i < 1000; i++) {
        assert_near(x_at(d, i, 0), i + 0.25, 0, 1);
        assert_near(ntk_data_y(d, NULL)[i], i % 10, 0, 1);
    }
    ntk_data_free(d);
    ntk_ctx_set_memory(f->ctx, 10000);
    fails(f, NTK_ENOMEM, "the table needs", f->path, NULL);
    free(text.s);
}

/* ----------------------------------------------------------------------------- npy and npz */

/* A file of version 1 with the header's dictionary and values as they are given. */
static const char *make_npy(struct fixture *f, const char *dictionary, const void *values, size_t n)
{
    unsigned char b[512] = "\x93NUMPY\x01\x00";
    const size_t length = strlen(dictionary);

    b[8] = (unsigned char)length;
    memcpy(b + 10, dictionary, length);
    memcpy(b + 10 + length, values, n);
    return write_bytes(f, "a.npy", b, 10 + length + n);
}

static const char *npy_of_type(struct fixture *f, const char *type, const void *values, size_t n)
{
    char dictionary[128];

    snprintf(dictionary, sizeof dictionary,
             "{'shape': (1, 2), 'fortran_order': False, 'descr': '%s'}\n", type);
    return make_npy(f, dictionary, values, n);
}

static void npy_types(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *bytes;
        size_t n;
        double want[2];
    } cases[] = {
        {"<f4", "\0\0\xc0\x3f\0\0\0\xc0", 8, {1.5, -2}},
        {">f4", "\x3f\xc0\0\0\xc0\0\0\0", 8, {1.5, -2}},
        {"<f8", "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0", 16, {1.5, -2}},
        {">f8", "\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16, {1.5, -2}},
        {"|i1", "\x7f\x80", 2, {127, -128}},
        {"<i2", "\x01\x02\xff\xff", 4, {513, -1}},
        {">i2", "\x01\x02\xff\xff", 4, {258, -1}},
        {"<i4", "\x01\0\0\0\xfe\xff\xff\xff", 8, {1, -2}},
        {">i8", "\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xfb", 16, {5, -5}},
        {"|u1", "\x7f\x80", 2, {127, 128}},
        {"<u2", "\x01\x02\xff\xff", 4, {513, 65535}},
        {">u4", "\0\0\0\x01\xff\xff\xff\xff", 8, {1, 4294967295.0}},
        {"<u8", "\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80", 16, {2, 9223372036854775808.0}},
        {"|b1", "\0\x01", 2, {0, 1}},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int pass = 0; pass < 2; pass++) {
            const ntk_load_opts opts = LOAD_OPTS(.dtype = pass ? NTK_F32 : NTK_F64);
            ntk_data *d = load(f, npy_of_type(f, cases[k].type, cases[k].bytes, cases[k].n), &opts);

            assert_shape(d, 1, 0, 1, 1, 2);
            assert_near(x_at(d, 0, 0), cases[k].want[0], 1e-7 * pass, 0);
            assert_near(x_at(d, 0, 1), cases[k].want[1], 1e-7 * pass, 0);
            ntk_data_free(d);
        }
}

static void npy_order(void **state)
{
    struct fixture *f = *state;
    const unsigned char values[] = {0, 1, 2, 3, 4, 5};
    const char *path =
        make_npy(f, "{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2), }     \n", values, 6);
    ntk_data *d = load(f, path, &LOAD_OPTS(.dtype = NTK_F64, .limit = 2));

    assert_shape(d, 2, 0, 1, 1, 2);
    assert_near(x_at(d, 0, 0), 0, 0, 1);
    assert_near(x_at(d, 0, 1), 3, 0, 1);
    assert_near(x_at(d, 1, 0), 1, 0, 1);
    assert_near(x_at(d, 1, 1), 4, 0, 1);
    ntk_data_free(d);
}

static void npy_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *dictionary, *message;
        ntk_status status;
    } cases[] = {
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1)}", "type '<c8'", NTK_ENOTSUP},
        {"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", "type [('a'",
         NTK_ENOTSUP},
        {"{'descr': '<f8', 'shape': (1, 1)}", "no fortran_order", NTK_EINVAL},
        {"{'descr': '<f8', 'fortran_order': False}", "no shape", NTK_EINVAL},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1; 1)}", "no shape", NTK_EINVAL},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", "shape (2,)", NTK_ESHAPE},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2)}", "shape (0, 2)", NTK_ESHAPE},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1)}",
         "shape (1, 1, 1, 1, 1)", NTK_ESHAPE},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1)}", "ends too early", NTK_EIO},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         "ends too early", NTK_EIO},
    };
    const double values[] = {1, 2};

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        fails(f, cases[k].status, cases[k].message,
              make_npy(f, cases[k].dictionary, values, sizeof values), NULL);
    fails(f, NTK_EINVAL, "is not an npy file", write_text(f, "a.npy", "1,2,3\n4,5,6\n"), NULL);
    fails(f, NTK_EIO, "ends too early", write_text(f, "a.npy", "\x93NUM"), NULL);
    fails(f, NTK_ENOTSUP, "version 9", write_text(f, "a.npy", "\x93NUMPY\x09\x01\x01\x01"), NULL);
}

static void npy_of_numpy(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {GOLDEN "version1.npy", GOLDEN "version2.npy",
                                        GOLDEN "version3.npy"};

    for (size_t k = 0; k < 3; k++) {
        ntk_data *d = load(f, files[k], NULL);

        assert_shape(d, 3, 2, 2, 2, 2);
        assert_golden(d);
        assert_null(ntk_data_y(d, NULL));
        ntk_data_free(d);
    }
}

static void npz_of_numpy(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load(f, GOLDEN "deflated.npz", NULL);
    int64_t outputs;

    assert_shape(d, 200, 0, 1, 1, 4);
    assert_golden(d);
    for (int i = 0; i < 200; i++)
        assert_near(ntk_data_y(d, NULL)[i], i % 3, 0, 1);
    ntk_data_free(d);
    d = load(f, GOLDEN "deflated.npz", &LOAD_OPTS(.dtype = NTK_F32, .limit = 7));
    assert_shape(d, 7, 0, 1, 1, 4);
    assert_golden(d);
    ntk_data_free(d);
    d = load(f, GOLDEN "stored.npz", NULL);
    assert_shape(d, 4, 1, 1, 3, 2);
    assert_golden(d);
    assert_near(ntk_data_y(d, &outputs)[5], 20, 0, 1);
    assert_int_equal(outputs, 2);
    ntk_data_free(d);
    fails(f, NTK_EINVAL, "has no array x; its keys are samples, labels", GOLDEN "other.npz", NULL);
}

/* Copies a golden file, then changes the byte at `at` (from the end if negative) or cuts there. */
static const char *spoil(struct fixture *f, const char *from, const char *to, long at, bool cut)
{
    static unsigned char b[8192];
    FILE *file = fopen(from, "rb");
    size_t n, k;

    assert_non_null(file);
    n = fread(b, 1, sizeof b, file);
    fclose(file);
    assert_true(n < sizeof b);
    k = at < 0 ? n - (size_t)-at : (size_t)at;
    b[k] ^= 0x55;
    return write_bytes(f, to, b, cut ? k : n);
}

static void npz_errors(void **state)
{
    struct fixture *f = *state;
    const double x[] = {1, 2, 3, 4}, y[] = {1, 2, 3};
    const ntk_array arrays[] = {{"x", x, NTK_F64, 2, {2, 2}, NULL}, {"y", y, NTK_F64, 1, {3}, NULL}};

    fails(f, NTK_EIO, "no directory", spoil(f, GOLDEN "stored.npz", "a.npz", -30, true), NULL);
    fails(f, NTK_EIO, "too short", write_text(f, "a.npz", "PK"), NULL);
    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "b.npz"), arrays, 2));
    fails(f, NTK_ESHAPE, "b.npz: array y: targets y must be [n]", f->path, NULL);
    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "b.npz"), arrays, 1));
    fails(f, NTK_EIO, "array x: damaged: its checksum",
          spoil(f, f->path, "c.npz", 30 + 5 + 128 + 3, false), NULL);
}

/* Every way to cut or change a file must end in data or in a message. */
static void damage_is_survived(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {GOLDEN "deflated.npz", GOLDEN "version2.npy"};
    static const char *const names[] = {"d.npz", "d.npy"};

    ntk_ctx_set_memory(f->ctx, 1 << 20);
    for (size_t k = 0; k < 2; k++)
        for (long at = 0; at < 300; at++)
            for (int cut = 0; cut < 2; cut++) {
                const char *path = spoil(f, files[k], names[k], at - 150, cut);
                ntk_data *d = NULL;

                if (ntk_data_load(f->ctx, path, NULL, &d) != NTK_OK)
                    assert_non_null(strstr(ntk_errmsg(f->ctx), names[k]));
                ntk_data_free(d);
            }
}

/* ------------------------------------------------------------------------------------ HDF5 */

static void hdf5(void **state)
{
    struct fixture *f = *state;
#ifdef NTK_HDF5
    const double values[] = {1, 2, 3, 4, 5, 6};
    const ntk_array arrays[] = {{"x", values, NTK_F64, 2, {3, 2}, NULL}, {"y", values, NTK_F64, 1, {3}, NULL}};
    ntk_data *d = load(f, GOLDEN "xy.h5", &LOAD_OPTS(.dtype = NTK_F64, .limit = 4));

    assert_shape(d, 4, 2, 2, 2, 3);
    assert_golden(d);
    assert_near(ntk_data_y(d, NULL)[2], 2, 0, 1);
    ntk_data_free(d);
    fails(f, NTK_EINVAL, "has no dataset x; its keys are labels, samples", GOLDEN "other.h5", NULL);
    fails(f, NTK_EIO, "not a whole HDF5 file", write_text(f, "a.h5", "no"), NULL);
    fails(f, NTK_EIO, "No such file", path_of(f, "none.h5"), NULL);
    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "b.h5"), arrays, 2));
    d = load(f, f->path, NULL);
    assert_shape(d, 3, 0, 1, 1, 2);
    assert_near(x_at(d, 2, 1), 6, 0, 1);
    assert_near(ntk_data_y(d, NULL)[2], 3, 0, 1);
    ntk_data_free(d);
#else
    fails(f, NTK_ENOTSUP, "no HDF5", GOLDEN "xy.h5", NULL);
#endif
}

/* --------------------------------------------------------------- idx, CIFAR-10, the digits */

static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2,  0,   0,
                                       0, 1, 0, 0, 0, 2, 0, 51, 255, 102};
static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 3};

static void idx(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load(f, write_bytes(f, "t10k-images-idx3-ubyte", images, sizeof images), NULL);
    char source[128];
    int64_t classes = 0;

    assert_shape(d, 2, 2, 1, 2, 1);
    assert_near(x_at(d, 0, 1), 51 / 255.0, 0, 1);
    assert_near(x_at(d, 1, 0), 1, 0, 1);
    assert_null(ntk_data_y(d, NULL));
    ntk_data_free(d);
    snprintf(source, sizeof source, "mnist:%s/test", f->dir);
    fails(f, NTK_EIO, "no labels beside", source, NULL);
    write_gz(f, "t10k-labels-idx1-ubyte.gz", labels, sizeof labels);
    d = load(f, source, &LOAD_OPTS(.dtype = NTK_F32, .limit = 1));
    assert_shape(d, 1, 2, 1, 2, 1);
    assert_near(ntk_data_y(d, NULL)[0], 7, 0, 1);
    assert_true(((const float *)ntk_data_x(d))[1] == (float)(51 / 255.0));
    assert_ok(f->ctx, ntk_data_classes(d, &classes));
    assert_int_equal(classes, 10); /* MNIST has ten */
    ntk_data_free(d);
    d = load(f, path_of(f, "t10k-images-idx3-ubyte"), &LOAD_OPTS(.dtype = NTK_F64, .limit = 1));
    assert_ok(f->ctx, ntk_data_classes(d, &classes));
    assert_int_equal(classes, 2); /* the file's labels, 3 and 7 */
    ntk_data_free(d);
    write_gz(f, "train-images-idx3-ubyte.gz", images, sizeof images);
    write_bytes(f, "train-labels-idx1-ubyte", labels, sizeof labels);
    snprintf(source, sizeof source, "mnist:%s/train", f->dir);
    d = load(f, source, NULL);
    assert_near(x_at(d, 1, 1), 0.4, 1e-15, 1);
    assert_near(ntk_data_y(d, NULL)[1], 3, 0, 1);
    ntk_data_free(d);
}

static void idx_errors(void **state)
{
    struct fixture *f = *state;
    unsigned char b[sizeof images];

    memcpy(b, images, sizeof b);
    fails(f, NTK_EIO, "ends too early: 1 bytes are missing",
          write_bytes(f, "a-idx3-ubyte", b, sizeof b - 1), NULL);
    fails(f, NTK_ESHAPE, "has labels", write_bytes(f, "a-labels-idx1-ubyte", labels, sizeof labels),
          NULL);
    b[2] = 0x0d;
    fails(f, NTK_ENOTSUP, "type 0x0d", write_bytes(f, "a-idx3-ubyte", b, sizeof b), NULL);
    b[0] = 'P';
    fails(f, NTK_EINVAL, "begins with 50 00", write_bytes(f, "a-idx3-ubyte", b, sizeof b), NULL);
    write_bytes(f, "b-images-idx3-ubyte", images, sizeof images);
    write_bytes(f, "b-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\x01\x05", 9);
    fails(f, NTK_ESHAPE, "each of the 2 images", path_of(f, "b-images-idx3-ubyte"), NULL);
}

static void cifar10(void **state)
{
    struct fixture *f = *state;
    static unsigned char records[2][3073];
    char source[128];
    ntk_data *d;

    for (int p = 0; p < 3072; p++)
        records[1][1 + p] = (unsigned char)(p / 1024 * 100 + p % 1024 % 32);
    records[0][0] = 9;
    write_bytes(f, "data_batch_1.bin", records, sizeof records);
    write_bytes(f, "test_batch.bin", records, 3073);
    snprintf(source, sizeof source, "cifar10:%s/test", f->dir);
    d = load(f, source, NULL);
    assert_shape(d, 1, 2, 32, 32, 3);
    assert_near(ntk_data_y(d, NULL)[0], 9, 0, 1);
    ntk_data_free(d);
    snprintf(source, sizeof source, "cifar10:%s/train", f->dir);
    d = load(f, source, &LOAD_OPTS(.dtype = NTK_F64, .limit = 2));
    for (int c = 0; c < 3; c++)
        assert_near(x_at(d, 1, (5 * 32 + 7) * 3 + c), (c * 100 + 7) / 255.0, 0, 1);
    ntk_data_free(d);
    fails(f, NTK_EIO, "data_batch_2.bin: cannot open", source, NULL);
    records[1][0] = 10;
    write_bytes(f, "data_batch_1.bin", records, sizeof records);
    fails(f, NTK_EINVAL, "data_batch_1.bin: record 1 has label 10", source,
          &LOAD_OPTS(.dtype = NTK_F64, .limit = 2));
    write_bytes(f, "data_batch_1.bin", records, 3072);
    fails(f, NTK_EINVAL, "has 3072 bytes", source, NULL);
}

static double sum(const ntk_data *d)
{
    double total = 0;

    for (int64_t k = 0; k < d->n * ntk_features_of(d->shape); k++)
        total += ntk_data_get(d, (size_t)k);
    return total;
}

static void digits(void **state)
{
    struct fixture *f = *state;
    ntk_data *all = load(f, "digits", NULL), *train = load(f, "digits/train", NULL),
             *test = load(f, "digits/test", &LOAD_OPTS(.dtype = NTK_F32));
    int64_t classes = 0;

    assert_shape(all, 1797, 2, 8, 8, 1);
    assert_shape(train, 1297, 2, 8, 8, 1);
    assert_shape(test, 500, 2, 8, 8, 1);
    assert_near(sum(all) * 16, 561718, 0, 1); /* scikit-learn's load_digits().data.sum() */
    assert_near(sum(train) + sum(test), sum(all), 0, 1);
    assert_near(x_at(all, 0, 2), 5 / 16.0, 0, 1);
    assert_near(x_at(test, 499, 60), x_at(all, 1796, 60), 0, 1);
    assert_near(ntk_data_y(all, NULL)[1796], 8, 0, 1);
    assert_ok(f->ctx, ntk_data_classes(all, &classes));
    assert_int_equal(classes, 10);
    ntk_data_free(all);
    ntk_data_free(train);
    ntk_data_free(test);
}

static void official_mnist(void **state)
{
    struct fixture *f = *state;
    int64_t count[10] = {0}, want[] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
    ntk_data *d;

    if (access(SHARED "mnist", F_OK) != 0)
        skip();
    d = load(f, "mnist:" SHARED "mnist/train", &LOAD_OPTS(.dtype = NTK_F32));
    assert_shape(d, 60000, 2, 28, 28, 1);
    for (int64_t i = 0; i < 60000; i++)
        count[(int)ntk_data_y(d, NULL)[i]]++;
    assert_memory_equal(count, want, sizeof want);
    assert_near(sum(d) / (60000 * 784), 0.1306604762738429, 1e-7, 0);
    ntk_data_free(d);
}

static void official_cifar10(void **state)
{
    struct fixture *f = *state;
    const double mean[] = {0.4914, 0.4822, 0.4465}, deviation[] = {0.2470, 0.2435, 0.2616};
    ntk_scaler *scaler;
    ntk_data *d;

    if (access(SHARED "cifar10", F_OK) != 0)
        skip();
    d = load(f, "cifar10:" SHARED "cifar10/train", &LOAD_OPTS(.dtype = NTK_F32));
    assert_shape(d, 50000, 2, 32, 32, 3);
    assert_ok(f->ctx, ntk_scaler_fit(NTK_STD_CHANNEL, d, NULL, &scaler));
    for (int c = 0; c < 3; c++) {
        assert_near(scaler->mean[c], mean[c], 5e-5, 1);
        assert_near(scaler->deviation[c], deviation[c], 5e-5, 1);
    }
    ntk_scaler_free(scaler);
    ntk_data_free(d);
}

/* ------------------------------------------------------------- targets and standardisation */

static void targets(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load(f, write_text(f, "a.csv", "0,2\n0,0\n0,1\n"), NULL);
    double y[12];
    int64_t classes = 0;

    assert_ok(f->ctx, ntk_data_classes(d, &classes));
    assert_int_equal(classes, 3);
    assert_ok(f->ctx, ntk_data_targets(d, NTK_ONEHOT, 4, y));
    for (int k = 0; k < 12; k++)
        assert_near(y[k], k == 2 || k == 4 || k == 9, 0, 1);
    assert_ok(f->ctx, ntk_data_targets(d, NTK_CENTERED, 4, y));
    for (int k = 0; k < 12; k++)
        assert_near(y[k], (k == 2 || k == 4 || k == 9) - 0.25, 0, 1);
    assert_ok(f->ctx, ntk_data_targets(d, NTK_RAW, 0, y));
    assert_near(y[0], 2, 0, 1);
    assert_fails(f->ctx, NTK_EINVAL, "3 classes of labels, targets for 2", ntk_data_targets(d, NTK_ONEHOT, 2, y));
    ntk_data_free(d);
}

static void labels_are_checked(void **state)
{
    struct fixture *f = *state;
    int64_t classes = 77;
    ntk_data *d;

    d = load(f, GOLDEN "version1.npy", NULL);
    assert_fails(f->ctx, NTK_EINVAL, "no labels", ntk_data_classes(d, &classes));
    assert_int_equal(classes, 77);
    ntk_data_free(d);
    d = load(f, GOLDEN "stored.npz", NULL);
    assert_fails(f->ctx, NTK_EINVAL, "the targets have 2", ntk_data_classes(d, &classes));
    ntk_data_free(d);
}

/* Classes are the distinct labels, whatever their values. */
static void classes_are_the_distinct_labels(void **state)
{
    struct fixture *f = *state;
    const char *text = "0,3\n0,200000002\n0,-1.5\n0,3\n";
    const int place[] = {1, 2, 0, 1};
    ntk_data *d = load(f, write_text(f, "a.csv", text), NULL);
    ntk_schema *s;
    const double *numbers;
    double y[12];
    int64_t classes = 0;
    size_t n = 0;

    assert_ok(f->ctx, ntk_data_classes(d, &classes));
    assert_int_equal(classes, 3);
    assert_ok(f->ctx, ntk_data_targets(d, NTK_ONEHOT, 3, y));
    for (int k = 0; k < 12; k++)
        assert_near(y[k], k % 3 == place[k / 3], 0, 1);
    assert_ok(f->ctx, ntk_schema_new(d, NTK_CENTERED, &s));
    assert_string_equal(ntk_schema_classes(s, &n, &numbers)[0], "-1.5");
    assert_string_equal(ntk_schema_classes(s, &n, NULL)[2], "200000002");
    assert_int_equal(n, 3);
    assert_near(numbers[1], 3, 0, 1);
    ntk_schema_free(s);
    ntk_data_free(d);
}

/* Those that are not the training data's count as none, and are off in all classes. */
static void other_labels_are_numbered(void **state)
{
    struct fixture *f = *state;
    ntk_data *train = load(f, write_text(f, "a.csv", "0,b\n0,c\n0,10\n"), NULL), *test;
    const double want[] = {-1, 2, 0};
    double y[9];
    int64_t unseen = 0;
    ntk_schema *s;

    assert_ok(f->ctx, ntk_schema_new(train, NTK_ONEHOT, &s));
    test = load(f, write_text(f, "b.csv", "0,a\n0,c\n0,10\n"), NULL);
    assert_ok(f->ctx, ntk_schema_number(s, test, &unseen));
    assert_int_equal(unseen, 1);
    for (int i = 0; i < 3; i++)
        assert_near(ntk_data_y(test, NULL)[i], want[i], 0, 1);
    assert_ok(f->ctx, ntk_data_targets(test, NTK_ONEHOT, 3, y));
    for (int k = 0; k < 9; k++)
        assert_near(y[k], k == 5 || k == 6, 0, 1);
    assert_ok(f->ctx, ntk_schema_number(s, test, &unseen)); /* again: they are numbers now */
    assert_near(ntk_data_y(test, NULL)[1], 2, 0, 1);
    assert_int_equal(unseen, 1);
    ntk_data_free(test);
    test = load(f, write_text(f, "b.csv", "0,10.0\n0,11\n"), NULL); /* numbers among words */
    assert_ok(f->ctx, ntk_schema_number(s, test, NULL));
    assert_near(ntk_data_y(test, NULL)[0], 0, 0, 1);
    assert_near(ntk_data_y(test, NULL)[1], -1, 0, 1);
    ntk_data_free(test);
    assert_fails(f->ctx, NTK_EINVAL, "are words, such as '10'",
                 ntk_data_targets(train, NTK_RAW, 1, y));
    test = load(f, write_text(f, "b.csv", "5,1,2\n6,2,1\n"), &LOAD_OPTS(.dtype = NTK_F64, .target = "1,2"));
    unseen = -7;
    assert_fails(f->ctx, NTK_EINVAL, "one number per sample", ntk_schema_number(s, test, &unseen));
    assert_int_equal(unseen, -7);
    ntk_data_free(test);
    ntk_schema_free(s);
    ntk_data_free(train);
}

static void few_digits_have_ten_classes(void **state)
{
    struct fixture *f = *state;
    ntk_data *d = load(f, "digits", &LOAD_OPTS(.dtype = NTK_F64, .limit = 3)), *part;
    int64_t classes = 0;

    assert_ok(f->ctx, ntk_data_slice(d, 1, 2, &part));
    assert_ok(f->ctx, ntk_data_classes(part, &classes));
    assert_int_equal(classes, 10);
    ntk_data_free(part);
    ntk_data_free(d);
}

static void features_are_standardised(void **state)
{
    struct fixture *f = *state;
    ntk_data *train = load(f, write_text(f, "a.csv", "1,0.1,0\n3,0.1,1\n5,0.1,2\n"), NULL);
    ntk_data *test = load(f, write_text(f, "b.csv", "4,1.1,0\n"), NULL), *scaled;
    ntk_data *images_of = load(f, GOLDEN "version1.npy", NULL);
    ntk_scaler *scaler;
    const double deviation = sqrt(8.0 / 3);

    assert_ok(f->ctx, ntk_scaler_fit(NTK_STD_FEATURE, train, NULL, &scaler));
    assert_ok(f->ctx, ntk_scaler_apply(scaler, train, &scaled));
    for (int i = 0; i < 3; i++) {
        assert_near(x_at(scaled, i, 0), (2 * i - 2) / deviation, 1e-15, 1);
        assert_near(x_at(scaled, i, 1), 0, 0, 1); /* a constant, exactly */
        assert_near(ntk_data_y(scaled, NULL)[i], i, 0, 1);
    }
    ntk_data_free(scaled);
    assert_ok(f->ctx, ntk_scaler_apply(scaler, test, &scaled));
    assert_near(x_at(scaled, 0, 0), 1 / deviation, 1e-15, 1);
    assert_near(x_at(scaled, 0, 1), 1, 1e-15, 1);
    ntk_data_free(scaled);
    assert_fails(f->ctx, NTK_ESHAPE, "samples are 2 x 2 x 2, the standardisation was learned on 2",
                 ntk_scaler_apply(scaler, images_of, &scaled));
    ntk_scaler_free(scaler);
    ntk_data_free(train);
    train = load(f, write_text(f, "c.csv", "1e300,1,0\n-1e300,2,1\n"), NULL); /* squares overflow */
    assert_fails(f->ctx, NTK_ENUMERIC, "feature 0 cannot be standardised: its mean is 0, its deviation inf",
                 ntk_scaler_fit(NTK_STD_FEATURE, train, NULL, &scaler));
    assert_fails(f->ctx, NTK_EINVAL, "got 9", ntk_scaler_fit((ntk_standardize)9, train, NULL, &scaler));
    ntk_data_free(images_of);
    ntk_data_free(train);
    ntk_data_free(test);
}

static void channels_are_standardised(void **state)
{
    struct fixture *f = *state;
    const ntk_shape shape = {1, 1, 2, 2};
    const float x[] = {1, 10, 2, 10, 3, 10, 6, 10};
    ntk_data *d, *scaled;
    ntk_scaler *scaler;

    assert_ok(f->ctx, ntk_data_view(f->ctx, x, NTK_F32, 2, shape, &d));
    assert_ok(f->ctx, ntk_scaler_fit(NTK_STD_CHANNEL, d, NULL, &scaler));
    assert_ok(f->ctx, ntk_scaler_apply(scaler, d, &scaled));
    for (int k = 0; k < 4; k++) {
        assert_near(ntk_data_get(scaled, (size_t)(2 * k)), ((double)x[2 * k] - 3) / sqrt(3.5), 1e-7,
                    1);
        assert_near(ntk_data_get(scaled, (size_t)(2 * k + 1)), 0, 0, 1);
    }
    ntk_scaler_free(scaler);
    ntk_data_free(scaled);
    assert_ok(f->ctx, ntk_scaler_fit(NTK_STD_NONE, d, NULL, &scaler));
    assert_ok(f->ctx, ntk_scaler_apply(scaler, d, &scaled));
    assert_memory_equal(ntk_data_x(scaled), x, sizeof x);
    ntk_scaler_free(scaler);
    ntk_data_free(scaled);
    ntk_data_free(d);
}

/* --------------------------------------------------------------------------------- writers */

static void arrays_come_back(void **state)
{
    struct fixture *f = *state;
    const float x[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const double y[] = {8, 9};
    const ntk_array arrays[] = {{"x", x, NTK_F32, 4, {2, 2, 1, 2}, NULL},
                                {"y", y, NTK_F64, 1, {2}, NULL},
                                {"s", y, NTK_F64, 0, {0}, NULL},
                                {"e", NULL, NTK_F64, 1, {0}, NULL}};
    ntk_data *d;

    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "a.npy"), arrays, 1));
    d = load(f, f->path, &LOAD_OPTS(.dtype = NTK_F32));
    assert_shape(d, 2, 2, 2, 1, 2);
    assert_memory_equal(ntk_data_x(d), x, sizeof x);
    ntk_data_free(d);
    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "a.npz"), arrays, 4));
    d = load(f, f->path, NULL);
    assert_near(x_at(d, 1, 3), 7, 0, 1);
    assert_memory_equal(ntk_data_y(d, NULL), y, sizeof y);
    ntk_data_free(d);
}

static void targets_are_finite(void **state)
{
    struct fixture *f = *state;
    const double x[] = {0, 1, 2, 3}, y[] = {4, 5, 6, HUGE_VAL};
    const ntk_array arrays[] = {{"x", x, NTK_F64, 2, {2, 2}, NULL}, {"y", y, NTK_F64, 2, {2, 2}, NULL}};

    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "a.npz"), arrays, 2));
    fails(f, NTK_EINVAL, "target 1 of sample 1 is inf: targets must be finite", f->path, NULL);
}

/* Quotes around what would else be another field, or none; they are doubled within. */
static void csv_words_are_quoted(void **state)
{
    struct fixture *f = *state;
    static const char *const words[] = {"plain", "a,b", "say \"x\"", "", " led", "two;parts"};
    const double number[] = {0, 1, 2, 3, 4, 5};
    const ntk_column columns[] = {{.name = "n", .x = number, .stride = 1},
                                  {.name = "the, name", .x = number, .stride = 1, .words = words}};
    char text[200] = "";
    FILE *in;

    assert_ok(f->ctx, ntk_csv_write(f->ctx, path_of(f, "w.csv"), columns, 2, 6));
    in = fopen(f->path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    assert_string_equal(text, "n,\"the, name\"\n0,plain\n1,\"a,b\"\n2,\"say \"\"x\"\"\"\n3,\"\"\n"
                              "4,\" led\"\n5,\"two;parts\"\n");
    assert_fails(f->ctx, NTK_EINVAL, "no column", ntk_csv_write(f->ctx, f->path, columns, 0, 6));
    assert_fails(f->ctx, NTK_EINVAL, "path is NULL", ntk_csv_write(f->ctx, NULL, columns, 2, 6));
}

/* Texts are of one width: UTF-32 to NumPy, what is not UTF-8 replaced. */
static void words_are_written(void **state)
{
    struct fixture *f = *state;
    static const char *const words[] = {"a,b", "", "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80", "\xffz"};
    const uint32_t want[] = {'a', ',', 'b', 0, 0, 0, 0xe9, 0x65e5, 0x1f600, 0xfffd, 'z', 0};
    const ntk_array array = {.name = "classes", .ndim = 1, .shape = {4}, .words = words};
    char file[4096];
    size_t n;
    FILE *in;

    assert_ok(f->ctx, ntk_array_write(f->ctx, path_of(f, "w.npy"), &array, 1));
    in = fopen(f->path, "rb");
    n = fread(file, 1, sizeof file - 1, in);
    fclose(in);
    file[n] = '\0';
    assert_non_null(strstr(file + 10, "U3', 'fortran_order': False, 'shape': (4,), }"));
    assert_int_equal(n, 128 + sizeof want);
    assert_memory_equal(file + 128, want, sizeof want);
}

/* Sizes and offsets of 4 GiB and more, by calling far less of them large. */
static void large_archives(void **state)
{
    struct fixture *f = *state;
    static const uint64_t from[] = {0, 1, 200, 300};
    const double x[] = {1, 2, 3, 4}, y[] = {5, 6};
    const ntk_array arrays[] = {{"y", y, NTK_F64, 1, {2}, NULL}, {"x", x, NTK_F64, 2, {2, 2}, NULL}};

    for (size_t k = 0; k < sizeof from / sizeof *from; k++) {
        FILE *file = fopen(path_of(f, "a.npz"), "wb");
        ntk_data *d;

        assert_non_null(file);
        assert_int_equal(ntk_write_npz(file, arrays, 2, from[k]), NTK_OK);
        assert_int_equal(fclose(file), 0);
        d = load(f, f->path, NULL);
        assert_memory_equal(ntk_data_x(d), x, sizeof x);
        assert_memory_equal(ntk_data_y(d, NULL), y, sizeof y);
        ntk_data_free(d);
    }
}

static void write_errors(void **state)
{
    struct fixture *f = *state;
    const double x[] = {1};
    ntk_array a[] = {{"x", x, NTK_F64, 1, {1}, NULL}, {"x", x, NTK_F64, 1, {1}, NULL}};

    assert_fails(f->ctx, NTK_EINVAL, "out.txt: expected a name that ends with .npy",
                 ntk_array_write(f->ctx, "out.txt", a, 1));
    assert_fails(f->ctx, NTK_EINVAL, "can hold one array, not 2",
                 ntk_array_write(f->ctx, path_of(f, "a.npy"), a, 2));
    assert_fails(f->ctx, NTK_EINVAL, "two arrays have the name 'x'",
                 ntk_array_write(f->ctx, path_of(f, "a.npz"), a, 2));
    assert_fails(f->ctx, NTK_EIO, "No such file", ntk_array_write(f->ctx, "/none/a.npy", a, 1));
    assert_fails(f->ctx, NTK_EINVAL, "no array", ntk_array_write(f->ctx, f->path, a, 0));
    a[0].shape[0] = -1;
    assert_fails(f->ctx, NTK_EINVAL, "shape[0] must be >= 0, got -1",
                 ntk_array_write(f->ctx, f->path, a, 1));
    a[0].ndim = 5;
    assert_fails(f->ctx, NTK_EINVAL, "got 5", ntk_array_write(f->ctx, f->path, a, 1));
    assert_int_equal(access(path_of(f, "a.npy"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(views_are_checked),
        TEST(slices_borrow),
        TEST(sources_are_checked),
        TEST(memory_is_bounded),
        TEST(csv_without_a_header),
        TEST(csv_with_a_header),
        TEST(csv_targets_are_chosen),
        TEST(csv_headers),
        TEST(csv_headers_as_told),
        TEST(csv_columns_are_chosen),
        TEST(csv_lists_have_quotes),
        TEST(csv_words_are_labels),
        TEST(csv_columns_are_matched),
        TEST(csv_notes),
        TEST(csv_errors_name_the_place),
        TEST(csv_grows),
        TEST(npy_types),
        TEST(npy_order),
        TEST(npy_errors),
        TEST(npy_of_numpy),
        TEST(npz_of_numpy),
        TEST(npz_errors),
        TEST(damage_is_survived),
        TEST(hdf5),
        TEST(idx),
        TEST(idx_errors),
        TEST(cifar10),
        TEST(digits),
        TEST(official_mnist),
        TEST(official_cifar10),
        TEST(targets),
        TEST(labels_are_checked),
        TEST(classes_are_the_distinct_labels),
        TEST(other_labels_are_numbered),
        TEST(few_digits_have_ten_classes),
        TEST(features_are_standardised),
        TEST(channels_are_standardised),
        TEST(arrays_come_back),
        TEST(targets_are_finite),
        TEST(csv_words_are_quoted),
        TEST(words_are_written),
        TEST(large_archives),
        TEST(write_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
