/* SPDX-License-Identifier: MIT
 *
 * sink.c - storing blocks in a full matrix.
 */
#include <string.h>

#include "engine/run.h"

#define PATCH 16 /* rows and columns transposed at once: whole cache lines on both sides */

#define MIRROR(type)                                                                              \
    for (int64_t p = 0; p < b->nj; p += PATCH)                                                    \
        for (int64_t q = 0; q < b->ni; q += PATCH)                                                \
            for (int64_t j = p; j < b->nj && j < p + PATCH; j++)                                  \
                for (int64_t i = q; i < b->ni && i < q + PATCH; i++)                              \
    ((type *)out)[(b->j0 + j) * n2 + b->i0 + i] = ((const type *)b->k)[i * b->ld + j]

int ntk_memory_sink_write(const ntk_block *b, void *user)
{
    const struct ntk_memory_sink *sink = user;
    const int64_t n2 = sink->n2;
    unsigned char *out = sink->out[b->output];
    const size_t size = sink->dtype;

    for (int64_t i = 0; i < b->ni; i++)
        memcpy(out + (size_t)((b->i0 + i) * n2 + b->j0) * size,
               (const unsigned char *)b->k + (size_t)(i * b->ld) * size, (size_t)b->nj * size);
    if (!sink->symmetric || b->i0 == b->j0)
        return 0;
    if (sink->dtype == NTK_F32) {
        MIRROR(float);
    } else {
        MIRROR(double);
    }
    return 0;
}
