/* SPDX-License-Identifier: MIT
 *
 * files.h - tests of what is read from files: a directory of their own, files in it.
 */
#ifndef NTK_TEST_FILES_H
#define NTK_TEST_FILES_H

#include <stdio.h>
#include <zlib.h>

#include "data/data.h"
#include "test.h"

#define GOLDEN NTK_SOURCE_ROOT "/tests/golden/data/"

struct fixture {
    ntk_ctx *ctx;
    char dir[64];
    char path[256]; /* of the last file */
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f || ntk_ctx_new(&f->ctx) != NTK_OK)
        return -1;
    strcpy(f->dir, "/tmp/ntk-test-XXXXXX");
    *state = f;
    return mkdtemp(f->dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", f->dir);
    ntk_ctx_free(f->ctx);
    free(f);
    return system(command);
}

static inline const char *path_of(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    return f->path;
}

static inline const char *write_bytes(struct fixture *f, const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(path_of(f, name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    return f->path;
}

static inline const char *write_text(struct fixture *f, const char *name, const char *text)
{
    return write_bytes(f, name, text, strlen(text));
}

static inline ntk_data *load(struct fixture *f, const char *source, const ntk_load_opts *opts)
{
    ntk_data *data = NULL;

    assert_ok(f->ctx, ntk_data_load(f->ctx, source, opts, &data));
    return data;
}

static inline void fails(struct fixture *f, ntk_status status, const char *part, const char *source,
                  const ntk_load_opts *opts)
{
    ntk_data *data = NULL;

    assert_fails(f->ctx, status, part, ntk_data_load(f->ctx, source, opts, &data));
    assert_null(data);
}

static inline void write_gz(struct fixture *f, const char *name, const void *bytes, unsigned n)
{
    gzFile file = gzopen(path_of(f, name), "wb");

    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, n), n);
    assert_int_equal(gzclose(file), Z_OK);
}

static inline void assert_shape(const ntk_data *data, int64_t n, int spatial, int64_t h, int64_t w,
                         int64_t c)
{
    const ntk_shape s = ntk_data_shape(data);

    assert_int_equal(ntk_data_n(data), n);
    assert_int_equal(s.spatial, spatial);
    assert_int_equal(s.h, h);
    assert_int_equal(s.w, w);
    assert_int_equal(s.c, c);
}

static inline double x_at(const ntk_data *data, int64_t i, int64_t k)
{
    return ntk_data_get(data, (size_t)(i * ntk_features_of(data->shape) + k));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
