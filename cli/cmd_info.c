/* SPDX-License-Identifier: MIT
 *
 * ntk info: what this build and this machine can do, or what is known of a file.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* OpenBLAS's names of cores that have AVX-512 (or, for the second list, AVX2). */
static bool core_in(const char *core, const char *list)
{
    return strstr(list, core) != NULL;
}

/* NULL, or what is wrong with BLAS's choice of code for this processor. */
static const char *blas_warning(void)
{
    const char *core = ntk_blas_core(), *isas = ntk_isa_available();
    const bool avx512 = core_in(core, "SkylakeX Cooperlake Sapphirerapids");
    const bool avx2 = avx512 || core_in(core, "Haswell Zen Excavator");

    if (getenv("OPENBLAS_L2_SIZE"))
        return "OPENBLAS_L2_SIZE is set: OpenBLAS may block its loops badly";
    if (strstr(isas, "avx512") && !avx512)
        return "OpenBLAS does not use this processor's AVX-512; OPENBLAS_CORETYPE=SkylakeX makes it";
    if (strstr(isas, "avx2") && !avx2)
        return "OpenBLAS does not use this processor's AVX2; OPENBLAS_CORETYPE=Haswell makes it";
    if (strcmp(ntk_blas_threading(), "pthreads") == 0)
        return "OpenBLAS's own threads compete with OpenMP's and slow solves down: on Debian, "
               "install libopenblas0-openmp";
    return NULL;
}

int cmd_info(ntk_ctx *ctx, const struct args *a);
int cmd_info(ntk_ctx *ctx, const struct args *a)
{
    const char *isa, *warning = blas_warning();

    if (a->model || a->params)
        return about_file(ctx, a);
    TRY(ctx, ntk_ctx_isa(ctx, &isa));
    if (a->json) {
        struct json j = {.f = stdout};

        json_open(&j, NULL, '{');
        json_text(&j, "version", ntk_version());
        json_text(&j, "features", ntk_features());
        json_text(&j, "isa", isa);
        json_text(&j, "isa_available", ntk_isa_available());
        json_text(&j, "backend", ntk_ctx_backend(ctx));
        json_text(&j, "backends", ntk_backend_names());
        json_integer(&j, "threads", ntk_ctx_threads(ctx));
        json_integer(&j, "memory", (int64_t)ntk_ctx_memory(ctx));
        json_text(&j, "blas_core", ntk_blas_core());
        json_text(&j, "blas_threading", ntk_blas_threading());
        json_text(&j, "warning", warning ? warning : "");
        json_close(&j, '}');
        putchar('\n');
        return EXIT_OK;
    }
    printf("version          %s\n", ntk_version());
    printf("features         %s\n", ntk_features());
    printf("instruction set  %s (of %s)\n", isa, ntk_isa_available());
    printf("backend          %s (of %s)\n", ntk_ctx_backend(ctx), ntk_backend_names());
    printf("threads          %d\n", ntk_ctx_threads(ctx));
    printf("memory           %.2f GiB\n", (double)ntk_ctx_memory(ctx) / 1073741824.0);
    printf("BLAS core        %s, %s threads\n", ntk_blas_core(), ntk_blas_threading());
    if (warning)
        printf("warning          %s\n", warning);
    return EXIT_OK;
}
