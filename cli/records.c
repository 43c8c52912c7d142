/* SPDX-License-Identifier: MIT
 *
 * records.c - see records.h.
 */
#include "records.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

void records_init(struct records *r, ntk_ctx *ctx, int64_t most, int64_t n, int64_t m, int64_t c,
                  bool outputs, bool kernels)
{
    const ntk_array arrays[N_RECORD_KINDS] = {
        [AT_STEP] = {.name = "step", .ndim = 1},
        [AT_LOSS] = {.name = "loss", .ndim = 1},
        [AT_DISTANCE] = {.name = "distance", .ndim = 1},
        [AT_TRAIN] = {.name = "f_train", .ndim = 3, .shape = {0, n, c}},
        [AT_TEST] = {.name = "f_test", .ndim = 3, .shape = {0, m, c}},
        [AT_KERNEL] = {.name = "kernel", .ndim = 3, .shape = {0, n, n}},
    };
    const int64_t sizes[N_RECORD_KINDS] = {
        1, 1, 1, outputs ? n * c : 0, outputs ? m * c : 0, kernels ? n * n : 0};

    r->ctx = ctx;
    r->most = most;
    memcpy(r->array, arrays, sizeof arrays);
    memcpy(r->size, sizes, sizeof sizes);
}

void records_free(struct records *r)
{
    for (int k = 0; k < N_RECORD_KINDS; k++)
        free(r->x[k]);
    if (r->file.f)
        ntk_outfile_abort(&r->file);
}

int records_room(struct records *r)
{
    const int64_t room = r->room ? 2 * r->room : r->most;
    double numbers = 0;

    if (r->n < r->room)
        return EXIT_OK;
    for (int k = 0; k < N_RECORD_KINDS; k++)
        numbers += (double)room * (double)r->size[k];
    TRY(r->ctx, ntk_ctx_check_memory(r->ctx, ntk_bytes(numbers * sizeof(double)),
                                     "keeping the records (a larger --every makes fewer)"));
    for (int k = 0; k < N_RECORD_KINDS; k++) {
        const size_t size = (size_t)(room * r->size[k]) * sizeof(double);
        double *more = size ? realloc(r->x[k], size) : NULL;

        if (size && !more)
            return usage("no memory for the records; a larger --every makes fewer");
        r->x[k] = more;
    }
    r->room = room;
    return EXIT_OK;
}

double *records_at(const struct records *r, enum record_kind kind)
{
    return r->x[kind] + r->n * r->size[kind];
}

int records_add(struct records *r)
{
    int error;

    for (int k = 0; k < N_RECORD_KINDS && r->file.f; k++)
        if (r->size[k]) /* a kind that is not kept has no array */
            (void)!fwrite(records_at(r, (enum record_kind)k), sizeof(double), (size_t)r->size[k],
                          r->file.f);
    r->n++;
    error = r->file.f ? ntk_outfile_flush(&r->file, true) : 0; /* before the checkpoint is */
    if (error)
        return failed("the records beside the checkpoint cannot be written: %s", strerror(error));
    return EXIT_OK;
}

/* Records of steps before `step`; *end is where they end in the file. */
static int read_back(struct records *r, const char *path, FILE *from, int64_t step, long *end)
{
    int64_t size[N_RECORD_KINDS];

    if (fread(size, sizeof size, 1, from) != 1 || memcmp(size, r->size, sizeof size) != 0)
        return usage("%s has the records of another run: remove it, or the checkpoint too", path);
    for (*end = ftell(from);; *end = ftell(from)) {
        STEP(records_room(r));
        for (int k = 0; k < N_RECORD_KINDS; k++) {
            const size_t n = (size_t)r->size[k];

            if (fread(records_at(r, (enum record_kind)k), sizeof(double), n, from) != n)
                return EXIT_OK;
        }
        if (*records_at(r, AT_STEP) >= (double)step)
            return EXIT_OK;
        r->n++;
    }
}

void records_path(const char *checkpoint, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s.records", checkpoint);
}

int records_file(struct records *r, const char *path, int64_t step)
{
    FILE *from = step > 0 ? fopen(path, "rb") : NULL;
    int code = EXIT_OK, error;
    long end = 0;

    if (from) {
        code = read_back(r, path, from, step, &end);
        if (code == EXIT_OK && ferror(from))
            code = usage("%s cannot be read", path);
        fclose(from);
    } else if (step > 0) {
        note("records of the steps before %lld are not there", (long long)step);
    }
    STEP(code);
    error = ntk_outfile_append(path, end, &r->file);
    if (!error && end == 0) {
        (void)!fwrite(r->size, sizeof r->size, 1, r->file.f);
        error = ntk_outfile_flush(&r->file, false);
    }
    return error ? cannot_write(path, error) : EXIT_OK;
}

int records_write(ntk_ctx *ctx, struct records *r, const ntk_schema *schema, const char *path)
{
    ntk_array arrays[N_RECORD_KINDS + 1];
    size_t n = 0;

    for (int k = 0; k < N_RECORD_KINDS; k++) {
        if (!r->size[k])
            continue;
        arrays[n] = r->array[k];
        arrays[n].x = r->x[k];
        arrays[n].dtype = NTK_F64;
        arrays[n++].shape[0] = r->n;
    }
    n += outputs_array(schema, r->array[AT_TRAIN].shape[2], &arrays[n]);
    TRY(ctx, ntk_array_write(ctx, path, arrays, n));
    return EXIT_OK;
}
