/* SPDX-License-Identifier: MIT
 *
 * random.c - counter-based random numbers (Philox4x32-10, Salmon et al. 2011): number i of a stream
 * is a function of seed, stream and i alone.
 */
#include <math.h>
#include <Random123/philox.h>

#include "finite/finite.h"

enum {
    NORMAL,
    PERMUTATION,
    NETWORK
}; /* streams of one seed have nothing in common between these */

static philox4x32_ctr_t draw(uint64_t seed, uint32_t use, uint32_t stream, uint64_t number)
{
    const philox4x32_ctr_t counter = {{(uint32_t)number, (uint32_t)(number >> 32), stream, use}};
    const philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};

    return philox4x32(counter, key);
}

/* In (0, 1]: 53 bits of two words, in the middle of their interval. */
static double uniform(uint32_t high, uint32_t low)
{
    const uint64_t bits = ((uint64_t)high << 32 | low) >> 11;

    return ((double)bits + 0.5) * 0x1p-53;
}

/* Numbers 2 k and 2 k + 1 of a stream (Box and Muller 1958). */
static void pair(uint64_t seed, uint32_t stream, int64_t k, double z[2])
{
    const philox4x32_ctr_t r = draw(seed, NORMAL, stream, (uint64_t)k);
    const double radius = sqrt(-2 * log(uniform(r.v[0], r.v[1])));
    const double angle = 2 * 3.14159265358979323846 * uniform(r.v[2], r.v[3]);

    z[0] = radius * cos(angle);
    z[1] = radius * sin(angle);
}

uint64_t ntk_network_seed(uint64_t seed, uint64_t network)
{
    const philox4x32_ctr_t r = draw(seed, NETWORK, 0, network);

    return (uint64_t)r.v[0] << 32 | r.v[1];
}

void ntk_random_normal(uint64_t seed, uint32_t stream, int64_t first, int64_t count, double *out)
{
    double z[2];

    for (int64_t i = first; i < first + count; i++) {
        if (i == first || i % 2 == 0)
            pair(seed, stream, i / 2, z);
        out[i - first] = z[i % 2];
    }
}

void ntk_random_permutation(uint64_t seed, uint32_t stream, int64_t n, int64_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) { /* Fisher and Yates 1938 */
        const philox4x32_ctr_t r = draw(seed, PERMUTATION, stream, (uint64_t)i);
        const int64_t at = (int64_t)(uniform(r.v[0], r.v[1]) * (double)(i + 1));
        const int64_t j = at > i ? i : at; /* the uniform number may be 1 */
        const int64_t other = out[j];

        out[j] = out[i];
        out[i] = other;
    }
}
