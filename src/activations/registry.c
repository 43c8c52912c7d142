/* SPDX-License-Identifier: MIT
 *
 * registry.c - the list of all activations.
 */
#include <math.h>
#include <ctype.h>

#include "activations/activation.h"

#define ACTIVATION(name)        extern const struct ntk_activation *const ntk_activations_##name[];
#define ACTIVATION_SERIES(name) ACTIVATION(name)
#include "activations/activations.def"
#undef ACTIVATION

static const struct ntk_activation *const *const files[] = {
#define ACTIVATION(name) ntk_activations_##name,
#include "activations/activations.def"
#undef ACTIVATION
#undef ACTIVATION_SERIES
    NULL,
};

size_t ntk_n_activations(void)
{
    size_t n = 0;

    for (const struct ntk_activation *const *const *file = files; *file; file++)
        for (const struct ntk_activation *const *act = *file; *act; act++)
            n++;
    return n;
}

const struct ntk_activation *ntk_activation_get(size_t i)
{
    for (const struct ntk_activation *const *const *file = files; *file; file++)
        for (const struct ntk_activation *const *act = *file; *act; act++)
            if (i-- == 0)
                return *act;
    return NULL;
}

ntk_status ntk_dual_largest(const struct ntk_where *at, const struct ntk_dual_range *range,
                            double largest, struct ntk_dual *dual)
{
    const double most = range->dtype == NTK_F32 ? 0x1p100 : 0x1p1000;

    dual->beyond = !(largest <= 0x1p100);
    if (largest > 0)
        dual->takes = fmin(dual->takes, range->q_max * (most / largest));
    if (largest <= 0x1p1000)
        return NTK_OK;
    return ntk_fail_at(at, NTK_ENUMERIC,
                       "the variance %g is too large for float64: scale the samples, or use a smaller "
                       "W_std or a LayerNorm",
                       range->q_max);
}

/* Equal but for case and underscores. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

const struct ntk_activation *ntk_activation_find(const char *name)
{
    for (const struct ntk_activation *const *const *file = files; *file; file++)
        for (const struct ntk_activation *const *act = *file; *act; act++)
            if (same_name(name, (*act)->base.name))
                return *act;
    return NULL;
}
