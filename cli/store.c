/* SPDX-License-Identifier: MIT
 *
 * store.c - stores of kernels as commands use them: their type, what they are, whether they are right.
 */
#include <unistd.h>

#include "cli.h"

int store_dtype(ntk_ctx *ctx, struct args *a)
{
    ntk_store_info info;
    ntk_kernel_store *store;
    ntk_status status;

    if (!a->kernel || a->dtype || access(a->kernel, F_OK) != 0)
        return EXIT_OK;
    ntk_store_info_init(&info);
    TRY(ctx, ntk_store_read(ctx, a->kernel, &store));
    status = ntk_store_about(store, &info);
    ntk_store_free(store);
    TRY(ctx, status);
    a->dtype = info.dtype == NTK_F32 ? "float32" : "float64";
    if (info.dtype == NTK_F32)
        note("%s has entries in float32, some 7 digits each: of a matrix of condition c predictions keep about 7 - log10(c)",
             a->kernel);
    return EXIT_OK;
}

static void print_info(const ntk_kernel_store *store, const ntk_store_info *i)
{
    fputs(ntk_store_text(store), stdout);
    printf("made by: %s\n", ntk_store_made_by(store));
    printf("tiles: %lld x %lld", (long long)i->tile_rows, (long long)i->tile_columns);
    if (i->m)
        printf(", of the test part %lld x %lld", (long long)i->test_tile_rows, (long long)i->test_tile_columns);
    printf("; %lld of %lld are there%s\n", (long long)i->done, (long long)i->tiles,
           i->done == i->tiles ? "" : ": the command that made it goes on with it");
}

static void print_json(const ntk_kernel_store *store, const ntk_store_info *i)
{
    struct json j = {.f = stdout};

    json_open(&j, NULL, '{');
    json_text(&j, "about", ntk_store_text(store));
    json_text(&j, "made_by", ntk_store_made_by(store));
    json_integer(&j, "n1", i->n1);
    json_integer(&j, "n2", i->n2);
    json_integer(&j, "test", i->m);
    json_bool(&j, "symmetric", i->symmetric);
    json_integer(&j, "matrices", i->matrices);
    json_text(&j, "dtype", i->dtype == NTK_F32 ? "float32" : "float64");
    json_integer(&j, "tiles", i->tiles);
    json_integer(&j, "done", i->done);
    json_close(&j, '}');
    putchar('\n');
}

int store_info(ntk_ctx *ctx, const struct args *a)
{
    ntk_store_info info;
    ntk_kernel_store *store;
    ntk_status status;

    ntk_store_info_init(&info);
    TRY(ctx, ntk_store_read(ctx, a->info, &store));
    status = ntk_store_about(store, &info);
    if (status == NTK_OK && a->json)
        print_json(store, &info);
    else if (status == NTK_OK)
        print_info(store, &info);
    ntk_store_free(store);
    TRY(ctx, status);
    return EXIT_OK;
}

static void say_wrong(const struct args *a, int64_t wrong)
{
    struct json j = {.f = stdout};

    if (!a->json)
        return;
    json_open(&j, NULL, '{');
    json_integer(&j, "wrong", wrong);
    json_close(&j, '}');
    putchar('\n');
}

int store_verify(ntk_ctx *ctx, const struct args *a)
{
    int64_t wrong = 0;
    const ntk_status status = ntk_store_verify(ctx, a->verify, &wrong);

    if (status == NTK_OK || wrong)
        say_wrong(a, wrong);
    if (status == NTK_OK) {
        note("%s: all tiles that are there are right", a->verify);
        return EXIT_OK;
    }
    if (wrong > 1)
        note("%s: %lld tiles are wrong, of which this is the first", a->verify, (long long)wrong);
    fail(ctx, status);
    return wrong ? EXIT_FAILED : EXIT_USAGE;
}

int store_mend(ntk_ctx *ctx, const struct args *a)
{
    int64_t wrong = 0;

    TRY(ctx, ntk_store_mend(ctx, a->mend, &wrong));
    say_wrong(a, wrong);
    if (wrong == 0)
        note("%s: all tiles that are there are right", a->mend);
    else
        note("%s: %lld tile%s taken out; the command that made it computes %s again", a->mend, (long long)wrong,
             wrong == 1 ? " is" : "s are", wrong == 1 ? "it" : "them");
    return EXIT_OK;
}
