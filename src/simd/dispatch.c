/* SPDX-License-Identifier: MIT
 *
 * dispatch.c - which instruction sets are built in, which of them this processor runs, and which is
 * used. Compiled without instruction set flags. The build defines NTK_HAVE_<isa> for those it made.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "simd/simd.h"

static bool runs_always(void) { return true; }

#define ISA(isa, runs, half) extern const struct ntk_simd ntk_simd_##isa##_f32, ntk_simd_##isa##_f64;
#include "simd/isas.def"
#undef ISA

enum place {
#define ISA(isa, runs, half) PLACE_##isa,
#include "simd/isas.def"
#undef ISA
};

static const struct built {
    struct ntk_isa isa;
    bool (*runs)(void);
} built[] = {
#define ISA(name, runs, halves)                                                                        \
    {{#name, &ntk_simd_##name##_f32, &ntk_simd_##name##_f64, PLACE_##name,                             \
      (halves) ? &built[PLACE_##name + 1].isa : NULL},                                                 \
     runs},
#include "simd/isas.def"
#undef ISA
};
static const size_t n_built = sizeof built / sizeof *built;

/* The same names in the same order: the list of those that work is an end of this text. */
static const char names[] =
#define ISA(isa, runs, half) ", " #isa
#include "simd/isas.def"
#undef ISA
    ;

const char *ntk_isa_available(void)
{
    size_t i = 0;

    while (!built[i].runs())
        i++;
    return strstr(names, built[i].isa.name);
}

ntk_status ntk_ctx_set_isa(ntk_ctx *ctx, const char *isa)
{
    const char *from_environment = isa ? NULL : getenv("NTK_ISA");
    const char *name = from_environment && *from_environment ? from_environment : isa;

    for (size_t i = 0; i < n_built; i++)
        if (built[i].runs() && (!name || strcmp(name, built[i].isa.name) == 0)) {
            ctx->isa = &built[i].isa;
            return NTK_OK;
        }
    return ntk_fail(ctx, NTK_ENOTSUP, "%s'%s' is not one of those that work here: %s",
                    from_environment ? "NTK_ISA: instruction set " : "instruction set ", name,
                    ntk_isa_available());
}

ntk_status ntk_isa_resolve(ntk_ctx *ctx) { return ctx->isa ? NTK_OK : ntk_ctx_set_isa(ctx, NULL); }

ntk_status ntk_ctx_isa(ntk_ctx *ctx, const char **isa)
{
    NTK_TRY(ntk_isa_resolve(ctx));
    *isa = ctx->isa->name;
    return NTK_OK;
}

ntk_status ntk_ctx_peak(ntk_ctx *ctx, ntk_dtype dtype, double *rate, int *lanes)
{
    const size_t rounds = 100000;
    const struct ntk_simd *simd;
    volatile double sink;
    double best = 0;

    NTK_TRY(ntk_isa_resolve(ctx));
    simd = ntk_simd_of(ctx->isa, dtype);
    for (int k = 0; k < 20; k++) {
        const double start = ntk_seconds();
        double now;

        sink = simd->peak(rounds);
        now = NTK_PEAK_CHAINS * (double)rounds / (ntk_seconds() - start);
        best = now > best ? now : best;
    }
    (void)sink;
    *rate = best;
    *lanes = (int)simd->lanes;
    return NTK_OK;
}
