/* SPDX-License-Identifier: MIT
 *
 * What readers of files have in common: every element type in every array format, gzip, what a file is
 * by its first bytes; and text: separators, ends of lines, comments, encodings.
 */
#include <sys/stat.h>
#include <unistd.h>

#ifdef NTK_HDF5
#include <hdf5.h>
#endif

#include "files.h"

/* ---- files of arrays, byte by byte */

struct bytes {
    unsigned char b[2048];
    size_t n;
};

static void add(struct bytes *to, const void *b, size_t n)
{
    assert_true(n <= sizeof to->b - to->n);
    memcpy(to->b + to->n, b, n);
    to->n += n;
}

static void add_number(struct bytes *to, unsigned long v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        add(to, &(unsigned char){(unsigned char)(v >> 8 * k)}, 1);
}

/* A .npy of shape (1, 2). */
static struct bytes npy(const char *type, const void *values, size_t n)
{
    struct bytes file = {.n = 0};
    char header[128];

    snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': False, 'shape': (1, 2), }\n", type);
    add(&file, "\x93NUMPY\x01\x00", 8);
    add_number(&file, strlen(header), 2);
    add(&file, header, strlen(header));
    add(&file, values, n);
    return file;
}

struct member {
    const char *name;
    struct bytes body;
};

/* A zip archive whose members are stored. */
static struct bytes zip(const struct member *members, size_t n)
{
    struct bytes file = {.n = 0}, directory = {.n = 0};

    for (size_t k = 0; k < n; k++) {
        const struct member *m = &members[k];
        const unsigned long sum = crc32(0, m->body.b, (unsigned)m->body.n), at = file.n;

        for (int central = 0; central < 2; central++) {
            struct bytes *to = central ? &directory : &file;

            add(to, central ? "PK\1\2\x14" : "PK\3\4", central ? 6 : 4);
            add(to, "\x14\0\0\0\0\0\0\0\0\0", 10); /* version, flags, method, time */
            add_number(to, sum, 4);
            add_number(to, m->body.n, 4);
            add_number(to, m->body.n, 4);
            add_number(to, strlen(m->name), 2);
            add(to, "\0\0\0\0\0\0\0\0\0\0\0", central ? 12 : 2); /* no extra, comment, attributes */
            if (central)
                add_number(to, at, 4);
            add(to, m->name, strlen(m->name));
        }
        add(&file, m->body.b, m->body.n);
    }
    {
        const size_t at = file.n;

        add(&file, directory.b, directory.n);
        add(&file, "PK\5\6\0\0\0", 8);
        add_number(&file, n, 2);
        add_number(&file, n, 2);
        add_number(&file, directory.n, 4);
        add_number(&file, at, 4);
        add_number(&file, 0, 2);
    }
    return file;
}

static const char *write_npz(struct fixture *f, const struct member *members, size_t n)
{
    const struct bytes file = zip(members, n);

    return write_bytes(f, "a.npz", file.b, file.n);
}

static ntk_data *load_npz(struct fixture *f, const struct bytes *x, const ntk_load_opts *opts)
{
    return load(f, write_npz(f, &(struct member){"x.npy", *x}, 1), opts);
}

/* ---- element types */

struct type_case {
    const char *type, *bytes;
    size_t n;
    double want[2];
};

static const struct type_case types[] = {
    {"|b1", "\0\x01", 2, {0, 1}},
    {"|i1", "\x7f\x80", 2, {127, -128}},
    {"<i2", "\x01\x02\xff\xff", 4, {513, -1}},
    {">i2", "\x01\x02\xff\xff", 4, {258, -1}},
    {"<i4", "\x01\0\0\x01\xfe\xff\xff\xff", 8, {16777217, -2}},
    {">i4", "\x01\0\0\x01\xff\xff\xff\xfe", 8, {16777217, -2}},
    {"<i8", "\x05\0\0\0\0\0\0\0\xfb\xff\xff\xff\xff\xff\xff\xff", 16, {5, -5}},
    {">i8", "\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xfb", 16, {5, -5}},
    {"|u1", "\x7f\x80", 2, {127, 128}},
    {"<u2", "\x01\x02\xff\xff", 4, {513, 65535}},
    {">u2", "\x01\x02\xff\xff", 4, {258, 65535}},
    {"<u4", "\x01\0\0\0\xff\xff\xff\xff", 8, {1, 4294967295.0}},
    {">u4", "\0\0\0\x01\xff\xff\xff\xff", 8, {1, 4294967295.0}},
    {"<u8", "\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80", 16, {2, 9223372036854775808.0}},
    {">u8", "\0\0\0\0\0\0\0\x02\x80\0\0\0\0\0\0\0", 16, {2, 9223372036854775808.0}},
    {"<f2", "\0\x3e\x01\x80", 4, {1.5, -0x1p-24}},
    {">f2", "\x7b\xff\x03\xff", 4, {65504, 0x3ffp-24}},
    {"<f4", "\0\0\xc0\x3f\0\0\0\xc0", 8, {1.5, -2}},
    {">f4", "\x3f\xc0\0\0\xc0\0\0\0", 8, {1.5, -2}},
    /* 1 + 2^-24 lies between two floats, and goes to the even one. */
    {"<f8", "\0\0\0\x10\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", 16, {1 + 0x1p-24, -2}},
    {">f8", "\x3f\xf0\0\0\x10\0\0\0\xc0\0\0\0\0\0\0\0", 16, {1 + 0x1p-24, -2}},
};

#ifdef NTK_HDF5
/* As h5py makes it. */
static hid_t hdf5_type(const char *type)
{
    const size_t size = (size_t)(type[2] - '0');
    const signed char no = 0, yes = 1;
    hid_t t;

    if (type[1] == 'b') {
        t = H5Tenum_create(H5T_STD_I8LE);
        H5Tenum_insert(t, "FALSE", &no);
        H5Tenum_insert(t, "TRUE", &yes);
        return t;
    }
    t = H5Tcopy(type[1] == 'i' ? H5T_STD_I64LE : type[1] == 'u' ? H5T_STD_U64LE : H5T_IEEE_F64LE);
    if (type[1] == 'f' && size == 2) {
        H5Tset_fields(t, 15, 10, 5, 0, 10);
        H5Tset_ebias(t, 15);
    }
    if (type[1] == 'f' && size == 4) {
        H5Tset_fields(t, 31, 23, 8, 0, 23);
        H5Tset_ebias(t, 127);
    }
    if (size < 8)
        H5Tset_precision(t, 8 * size);
    H5Tset_size(t, size);
    H5Tset_order(t, type[0] == '>' ? H5T_ORDER_BE : H5T_ORDER_LE);
    return t;
}

/* Dataset `name` of shape (1, 2) in a file that is made or, if `more`, there. */
static const char *write_hdf5(struct fixture *f, const char *name, hid_t type, const void *values,
                              bool more)
{
    const char *path = path_of(f, "a.h5");
    const hid_t file = more ? H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT)
                            : H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(2, (hsize_t[]){1, 2}, NULL);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
    return path;
}

static ntk_data *load_hdf5(struct fixture *f, const struct type_case *c, const ntk_load_opts *opts)
{
    const hid_t type = hdf5_type(c->type);
    ntk_data *d = load(f, write_hdf5(f, "x", type, c->bytes, false), opts);

    H5Tclose(type);
    return d;
}
#endif

static void assert_values(ntk_data *d, const double *want)
{
    assert_shape(d, 1, 0, 1, 1, 2);
    for (int k = 0; k < 2; k++) {
        const double value = ntk_data_dtype(d) == NTK_F32 ? (double)(float)want[k] : want[k];

        assert_true(x_at(d, 0, k) == value);
    }
    ntk_data_free(d);
}

static void all_types_in_all_formats(void **state)
{
    struct fixture *f = *state;

    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (int pass = 0; pass < 2; pass++) {
            const struct type_case *c = &types[k];
            const ntk_load_opts opts = LOAD_OPTS(.dtype = pass ? NTK_F32 : NTK_F64);
            char type[8];
            struct bytes file;

            snprintf(type, sizeof type, "'%s'", c->type);
            file = npy(type, c->bytes, c->n);
            assert_values(load(f, write_bytes(f, "a.npy", file.b, file.n), &opts), c->want);
            write_gz(f, "a.npy.gz", file.b, (unsigned)file.n);
            assert_values(load(f, f->path, &opts), c->want);
            assert_values(load_npz(f, &file, &opts), c->want);
#ifdef NTK_HDF5
            assert_values(load_hdf5(f, c, &opts), c->want);
#endif
        }
}

static void infinite_halves_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct bytes infinite = npy("'<f2'", "\0\x3c\0\xfc", 4), none = npy("'<f2'", "\x01\x7e\0\0", 4);

    fails(f, NTK_EINVAL, "sample 0, feature 1 is -inf", write_bytes(f, "a.npy", infinite.b, infinite.n),
          NULL);
    fails(f, NTK_EINVAL, "sample 0, feature 0 is nan", write_bytes(f, "a.npy", none.b, none.n), NULL);
}

static void other_types_are_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *type, *message;
    } cases[] = {
        {"'|O'", "array x: values of type '|O' are Python objects: expected one of b1"},
        {"'<U3'", "type '<U3' are text"},
        {"'|S12'", "type '|S12' are text"},
        {"'<c16'", "type '<c16' are complex numbers"},
        {"'<M8[ns]'", "type '<M8[ns]' are times"},
        {"[('a', '<f8'), ('b', '<f8')]", "type [('a' are records"},
        {"'<f16'", "type '<f16' are not known"},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct member x = {"x.npy", npy(cases[k].type, "0123456789abcdef", 16)};

        fails(f, NTK_ENOTSUP, cases[k].message, write_npz(f, &x, 1), NULL);
    }
}

#ifdef NTK_HDF5
static void other_types_of_hdf5_are_named(void **state)
{
    struct fixture *f = *state;
    hid_t type = H5Tcopy(H5T_C_S1);
    const signed char values[] = {0, 1};

    H5Tset_size(type, 3);
    fails(f, NTK_ENOTSUP, "dataset x has values that are text", write_hdf5(f, "x", type, "abcdef", false),
          NULL);
    H5Tclose(type);
    type = H5Tenum_create(H5T_STD_I8LE);
    H5Tenum_insert(type, "cat", &values[0]);
    H5Tenum_insert(type, "dog", &values[1]);
    fails(f, NTK_ENOTSUP, "are an enumeration", write_hdf5(f, "x", type, values, false), NULL);
    H5Tclose(type);
}

/* Rounded to float32 by blocks of whole chunks. */
static void large_hdf5(void **state)
{
    struct fixture *f = *state;
    enum { ROWS = 1000, COLUMNS = 400 };
    double *values = malloc((size_t)ROWS * COLUMNS * sizeof *values);
    const hid_t space = H5Screate_simple(2, (hsize_t[]){ROWS, COLUMNS}, NULL);
    const char *path = path_of(f, "large.h5");
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set;

    assert_non_null(values);
    for (int k = 0; k < ROWS * COLUMNS; k++)
        values[k] = k + 1.0 / 3;
    H5Pset_chunk(list, 2, (hsize_t[]){300, 100});
    H5Pset_deflate(list, 1);
    set = H5Dcreate2(file, "x", H5T_IEEE_F64BE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Pclose(list);
    H5Sclose(space);
    H5Fclose(file);
    for (int64_t limit = 0; limit < ROWS; limit += 950) {
        ntk_data *d = load(f, path, &LOAD_OPTS(.dtype = NTK_F32, .limit = limit));

        assert_shape(d, limit ? limit : ROWS, 0, 1, 1, COLUMNS);
        for (int64_t k = 0; k < d->n * COLUMNS; k++)
            assert_true(((const float *)d->x)[k] == (float)values[k]);
        ntk_data_free(d);
    }
    free(values);
}
#endif

static void two_of_a_name_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct bytes a = npy("'|u1'", "\1\2", 2), b = npy("'|u1'", "\3\4", 2);
    const struct member x_X[] = {{"x.npy", a}, {"X.npy", b}}, x_x[] = {{"x.npy", a}, {"x.npy", b}},
                        y_Y[] = {{"x.npy", a}, {"Y.npy", b}, {"y.npy", a}};

    fails(f, NTK_EINVAL, "has two arrays called x or X", write_npz(f, x_X, 2), NULL);
    fails(f, NTK_EINVAL, "has two arrays called x or X", write_npz(f, x_x, 2), NULL);
    fails(f, NTK_EINVAL, "has two arrays called y or Y", write_npz(f, y_Y, 3), NULL);
#ifdef NTK_HDF5
    write_hdf5(f, "x", H5T_STD_U8LE, "\1\2", false);
    fails(f, NTK_EINVAL, "has two datasets called x or X", write_hdf5(f, "X", H5T_STD_U8LE, "\1\2", true),
          NULL);
#endif
}

static void archives_without_arrays(void **state)
{
    struct fixture *f = *state;
    const struct member m = {"train.csv", {.b = "1,2\n", .n = 4}};

    fails(f, NTK_EINVAL, "is a zip file, but no npz: it has train.csv, and no arrays", write_npz(f, &m, 1),
          NULL);
}

/* Nothing after an array is passed over in silence. */
static void longer_files_are_refused(void **state)
{
    struct fixture *f = *state;
    struct bytes file = npy("'|u1'", "\1\2\3", 3);
    static const unsigned char images[] = {0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7};

    fails(f, NTK_EIO, "is longer than its array", write_bytes(f, "a.npy", file.b, file.n), NULL);
    write_gz(f, "a.npy.gz", file.b, (unsigned)file.n);
    fails(f, NTK_EIO, "is longer than its array", f->path, NULL);
    fails(f, NTK_EIO, "array x: is longer", write_npz(f, &(struct member){"x.npy", file}, 1), NULL);
    fails(f, NTK_EIO, "is longer than its images", write_bytes(f, "a.idx", images, sizeof images), NULL);
    ntk_data_free(load(f, write_bytes(f, "a.idx", images, sizeof images - 1), NULL));
}

/* ---- gzip, and what a file is */

static const char table[] = "a,b,y\n1,2,3\n4,5,6\n";

static void assert_table(ntk_data *d)
{
    assert_shape(d, 2, 0, 1, 1, 2);
    for (int k = 0; k < 4; k++)
        assert_true(x_at(d, 0, k) == 1 + k + k / 2);
    assert_true(ntk_data_y(d, NULL)[0] == 3 && ntk_data_y(d, NULL)[1] == 6);
    ntk_data_free(d);
}

/* Whatever the name, in whatever case. */
static void tables_are_known_by_content(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a.csv", "a.CSV", "a.txt", "a.data", "a", "a.tsv", "a.Dat"};
    static const char *const packed[] = {"a.csv.gz", "A.CSV.GZ", "a.txt.gz", "a.csv", "b"};

    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        assert_table(load(f, write_text(f, names[k], table), NULL));
    for (size_t k = 0; k < sizeof packed / sizeof *packed; k++) {
        write_gz(f, packed[k], table, sizeof table - 1);
        assert_table(load(f, f->path, NULL));
    }
}

/* A gzip file may have several members one after the other, and zeros after them. */
static void gzip_members(void **state)
{
    struct fixture *f = *state;
    unsigned char b[512] = {0};
    size_t n = 0;

    for (int part = 0; part < 2; part++) {
        FILE *file;

        write_gz(f, "part", part ? table + 8 : table, part ? sizeof table - 9 : 8);
        file = fopen(f->path, "rb");
        assert_non_null(file);
        n += fread(b + n, 1, sizeof b - n, file);
        fclose(file);
    }
    assert_table(load(f, write_bytes(f, "a.csv.gz", b, n), NULL));
    assert_table(load(f, write_bytes(f, "a.csv.gz", b, n + 30), NULL));
    fails(f, NTK_EIO, "the compressed data end too early", write_bytes(f, "a.csv.gz", b, n - 5), NULL);
    memcpy(b + n, "1,", 2);
    fails(f, NTK_EIO, "the compressed data are damaged: incorrect header check",
          write_bytes(f, "a.csv.gz", b, n + 2), NULL);
    b[n - 5] ^= 1; /* the sum */
    fails(f, NTK_EIO, "the compressed data are damaged: incorrect data check",
          write_bytes(f, "a.csv.gz", b, n), NULL);
}

static void damaged_gzip_of_an_array(void **state)
{
    struct fixture *f = *state;
    const struct bytes file = npy("'|u1'", "\1\2", 2);
    unsigned char b[512];
    FILE *packed;
    size_t n;

    write_gz(f, "a.npy.gz", file.b, (unsigned)file.n);
    packed = fopen(f->path, "rb");
    assert_non_null(packed);
    n = fread(b, 1, sizeof b, packed);
    fclose(packed);
    b[n - 5] ^= 1;
    fails(f, NTK_EIO, "incorrect data check", write_bytes(f, "a.npy.gz", b, n), NULL);
}

static void arrays_are_known_by_content(void **state)
{
    struct fixture *f = *state;
    const struct bytes array = npy("'|u1'", "\1\2", 2), archive = zip(&(struct member){"x.npy", array}, 1);
    const double want[] = {1, 2};

    assert_values(load(f, write_bytes(f, "a.data", array.b, array.n), NULL), want);
    assert_values(load(f, write_bytes(f, "a.NPY", array.b, array.n), NULL), want);
    assert_values(load(f, write_bytes(f, "a.NpZ", archive.b, archive.n), NULL), want);
    fails(f, NTK_EINVAL, "is not an npy file", write_text(f, "a.NPY", table), NULL);
    fails(f, NTK_EIO, "is not a whole npz", write_text(f, "a.NPZ", table), NULL);
    write_gz(f, "a.npz.gz", archive.b, (unsigned)archive.n);
    fails(f, NTK_ENOTSUP, "is an npz that is compressed: unpack it with gunzip", f->path, NULL);
}

static void other_kinds_are_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes, *name;
        size_t n;
    } cases[] = {
        {"PAR1\x15\0", "is a Parquet file, which is not read", 6},
        {"BZh91AY", "compressed by bzip2", 7},
        {"\xfd""7zXZ\0", "compressed by xz", 6},
        {"\x80\4\x95\0", "a Python pickle", 4},
        {"\xd0\xcf\x11\xe0\xa1", "a spreadsheet", 5},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        fails(f, NTK_ENOTSUP, cases[k].name, write_bytes(f, "a.csv", cases[k].bytes, cases[k].n), NULL);
}

static void pipes(void **state)
{
    struct fixture *f = *state;
    const struct bytes archive = zip(&(struct member){"x.npy", npy("'|u1'", "\1\2", 2)}, 1);
    char command[512];

    write_gz(f, "a.csv.gz", table, sizeof table - 1);
    write_bytes(f, "a.npz", archive.b, archive.n);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(mkfifo(path_of(f, k ? "two" : "one"), 0600), 0);
        snprintf(command, sizeof command, "timeout 20 sh -c 'cat %s/%s > %s' > /dev/null &", f->dir, k ? "a.npz" : "a.csv.gz", f->path);
        assert_int_equal(system(command), 0);
        if (k)
            fails(f, NTK_ENOTSUP, "is no regular file, which an npz must be", f->path, NULL);
        else
            assert_table(load(f, f->path, NULL));
    }
}

/* ---- text */

static void separators(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "a,b,y\n1,2,3\n4,5,6\n",       "a;b;y\n1;2;3\n4;5;6\n",
        "a\tb\ty\n1\t2\t3\n4\t5\t6\n", "a|b|y\n1|2|3\n4|5|6\n",
        "a b y\n1 2 3\n4 5 6\n",       "  a  b \t y \n 1   2 3\n4\t5   6  \n",
        "1 2 3\n4 5 6",                "1, 2, 3\n4 ,5 , 6\n",
        "sep=;\na;b;y\n1;2;3\n4;5;6\n", "SEP=|\r\n1|2|3\r\n4|5|6\r\n",
        "sep=\t\n1\t2\t3\n4\t5\t6\n",
        /* The first one that parts the two first lines alike. */
        "a|x,b;m,y\n1,2,3\n4,5,6\n",   "\"a;1\",b c,\"y\"\n1,2,3\n4,5,6\n",
        /* Separators after the last cell, too. */
        "a,b,y,\n1,2,3,\n4,5,6,\n",    "1;2;3;\n4;5;6;\n",
        "1\t2\t3\t\n4\t5\t6\t\n",
    };

    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        assert_table(load(f, write_text(f, "a.txt", texts[k]), NULL));
    assert_table(load(f, write_text(f, "a.txt", "a b,c,y\n1,2,3\n4,5,6\n"), NULL));
}

static void separators_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"1;2\n3;4,5\n", "line 2, column 1: '4,5' is not a number: decimals take a point"},
        {"1,5;2,5\n3,5;4,5\n", "line 1, column 0: '1,5' is not a number: decimals take a point"},
        {"\"1,000\",2\n\"3,000\",4\n", "'1,000' is not a number: decimals take a point, thousands nothing"},
        {"1 2 3\n4 5\n", "line 2 has 2 cells"},
        {"1,2,\n3,4,5\n6,7,8\n", "line 1, column 2: '' is empty"},
        {"1,2,\n3,4,\n5,6,7\n", "line 3 has 3 cells"},
        {"1,2 3,4\n5,6 7,8\n", "'2 3' is not a number"},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        fails(f, NTK_EINVAL, cases[k].message, write_text(f, "a.csv", cases[k].text), NULL);
}

static void ends_of_lines(void **state)
{
    struct fixture *f = *state;
    static const char *const ends[] = {"\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r"};

    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
        for (int last = 0; last < 2; last++) {
            char text[64], message[64];

            snprintf(text, sizeof text, "a,b,y%s1,2,3%s4,5,6%s", ends[k], ends[k], last ? ends[k] : "");
            assert_table(load(f, write_text(f, "a.csv", text), NULL));
            snprintf(text, sizeof text, "a,b,y%s1,2,3%s4,5%s", ends[k], ends[k], last ? ends[k] : "");
            snprintf(message, sizeof message, "line %d has 2 cells", k < 3 ? 3 : 5);
            fails(f, NTK_EINVAL, message, write_text(f, "a.csv", text), NULL);
        }
}

static void comments(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "# made by \"hand, 3\" o'clock\na,b,y\n1,2,3\n# 5\" wide\n4,5,6\n# end",
        "# title\n\n#second\n1 2 3\n\n  # 7 8 9\n4 5 6\n",
        "sep=;\n# title\n1;2;3\n4;5;6\n",
    };

    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        assert_table(load(f, write_text(f, "a.csv", texts[k]), NULL));
    fails(f, NTK_EINVAL, "is empty", write_text(f, "a.csv", "# nothing\n#\n"), NULL);
}

/* As numpy.savetxt writes it. */
static void headers_in_comments(void **state)
{
    struct fixture *f = *state;
    static const char *const headers[] = {"# y,a,b\n3,1,2\n6,4,5\n", "#y,a,b\n\n3,1,2\n6,4,5\n",
                                          "# first\n# y a b\n3 1 2\n6 4 5\n",
                                          "#y\ta\tb\n3\t1\t2\n6\t4\t5\n"};
    static const char *const none[] = {"# y,a,b,c\n1,2,3\n4,5,6\n", "# y,2,3\n1,2,3\n4,5,6\n",
                                       "# y,c,d\na,b,y\n1,2,3\n4,5,6\n", "# -,--,-\n1,2,3\n4,5,6\n"};

    assert_table(load(f, write_text(f, "a.txt", "# y,a,\xc3\xa4\xc3\xa4\n3,1,2\n6,4,5\n"), NULL));
    for (size_t k = 0; k < 4; k++) {
        assert_table(load(f, write_text(f, "a.txt", headers[k]), NULL));
        assert_table(load(f, write_text(f, "a.txt", none[k]), NULL));
    }
}

static void quotes(void **state)
{
    struct fixture *f = *state;

    /* A quote within a cell is a character: it does not hide the ends of lines. */
    assert_table(load(f, write_text(f, "a.csv", "5\" wide,b,y\n1,2,3\n4,5,6\n"), NULL));
    assert_table(load(f, write_text(f, "a.csv", "\"a\"\"\n,\", \"b\" ,y\n\"1\", \"2\",3\n4,5,6\n"), NULL));
    assert_table(load(f, write_text(f, "a.csv", "\"a 1\" \"b 2\"\ty\n\"1\"  2 3\n4 5 \"6\"\n"), NULL));
    fails(f, NTK_EINVAL, "line 4 has 1 cells", write_text(f, "a.csv", "\"a\n,\",y\n1,2\n3\n"), NULL);
    fails(f, NTK_EINVAL, "line 2: a quote is not closed", write_text(f, "a.csv", "1,2\n\"3,4\n5,6\n"), NULL);
    fails(f, NTK_EINVAL, "line 2, column 0: text after a closing quote",
          write_text(f, "a.csv", "1,2\n\"3\"4,5\n"), NULL);
}

static void encodings(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes, *message;
        size_t n;
    } cases[] = {
        {"\xff\xfe""1\0,\0""2\0\n\0", "is UTF-16 text: save it as UTF-8, or convert it with iconv -f UTF-16", 10},
        {"\xfe\xff\0""1\0,\0""2\0\n", "is UTF-16 text", 10},
        {"1\0,\0""2\0\n\0", "is UTF-16LE text", 8},
        {"\0""1\0,\0""2\0\n", "is UTF-16BE text", 8},
        {"\xff\xfe\0\0""1\0\0\0", "is UTF-32 text", 8},
        {"1,2\n3,4\n5,\0\n", "line 3 has a NUL byte", 12},
        {"l\xe4nge,y\n1,2\n", "line 1 is not UTF-8 text (it has the byte e4): convert the file", 12},
        {"#a\n# l\xe4nge,y\n1,2\n", "line 2 is not UTF-8 text", 17},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        fails(f, NTK_EINVAL, cases[k].message, write_bytes(f, "a.csv", cases[k].bytes, cases[k].n), NULL);
    assert_table(load(f, write_text(f, "a.csv", "\xef\xbb\xbf""1,2,3\n4,5,6\n"), NULL));
    assert_table(load(f, write_text(f, "a.csv", "# l\xe4nge\nl\xc3\xa4nge,\xe2\x82\xac,y\n1,2,3\n4,5,6\n"), NULL));
    assert_table(load(f, write_text(f, "a.csv", "\xef\xbb\xbfsep=;\n1;2;3\n4;5;6\n"), NULL));
}

static void cells_that_are_no_numbers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *cell, *message;
    } cases[] = {
        {"", "'' is empty, where a number should be: leave the row (or the column) out, or fill it in"},
        {"NA", "'NA' is a missing value: leave the row"},
        {"NaN", "'NaN' is a missing value"},
        {"?", "'?' is a missing value"},
        {"null", "'null' is a missing value"},
        {"inf", "'inf' is not finite"},
        {"-Infinity", "'-Infinity' is not finite"},
        {"1e999", "'1e999' is not finite"},
        {"0x10", "'0x10' is not a number"},
        {"-0X1p3", "'-0X1p3' is not a number"},
        {"1_000", "'1_000' is not a number"},
        {"1 000", "'1 000' is not a number"},
        {"1d5", "'1d5' is not a number"},
        {"5%", "'5%' is not a number"},
    };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[64], message[160];

        snprintf(text, sizeof text, "a,b,y\n1,2,3\n4,%s,6\n", cases[k].cell);
        snprintf(message, sizeof message, "line 3, column 1 (b): %s", cases[k].message);
        fails(f, NTK_EINVAL, message, write_text(f, "a.csv", text), NULL);
    }
    assert_table(load(f, write_text(f, "a.csv", "+1.,.2e1,3E0\n4e-0,0050e-1,006.000\n"), NULL));
}

/* Lines longer than any buffer, and a quoted cell across buffers. */
static void long_lines(void **state)
{
    struct fixture *f = *state;
    enum { COLUMNS = 30000 };
    struct ntk_text text = {0};
    ntk_data *d;

    ntk_text_add(&text, "\"");
    for (int k = 0; k < COLUMNS; k++)
        ntk_text_add(&text, "long\n");
    ntk_text_add(&text, "\"");
    for (int k = 1; k < COLUMNS; k++)
        ntk_text_add(&text, ",x%d", k);
    for (int i = 0; i < 3; i++) {
        ntk_text_add(&text, "\r");
        for (int k = 0; k < COLUMNS; k++)
            ntk_text_add(&text, "%s%d.5", k ? "," : "", i * k);
    }
    d = load(f, write_text(f, "a.csv", text.s), &LOAD_OPTS(.dtype = NTK_F64, .target = "none"));
    assert_shape(d, 3, 0, 1, 1, COLUMNS);
    for (int k = 0; k < COLUMNS; k++)
        assert_true(x_at(d, 2, k) == 2 * k + 0.5);
    ntk_data_free(d);
    ntk_ctx_set_memory(f->ctx, 100000);
    fails(f, NTK_ENOMEM, "a line needs", f->path, NULL);
    free(text.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_types_in_all_formats),
        TEST(infinite_halves_are_refused),
        TEST(other_types_are_named),
#ifdef NTK_HDF5
        TEST(other_types_of_hdf5_are_named),
        TEST(large_hdf5),
#endif
        TEST(two_of_a_name_are_refused),
        TEST(archives_without_arrays),
        TEST(longer_files_are_refused),
        TEST(tables_are_known_by_content),
        TEST(gzip_members),
        TEST(damaged_gzip_of_an_array),
        TEST(arrays_are_known_by_content),
        TEST(other_kinds_are_named),
        TEST(pipes),
        TEST(separators),
        TEST(separators_that_do_not_fit),
        TEST(ends_of_lines),
        TEST(comments),
        TEST(headers_in_comments),
        TEST(quotes),
        TEST(encodings),
        TEST(cells_that_are_no_numbers),
        TEST(long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
