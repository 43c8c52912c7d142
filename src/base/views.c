/* SPDX-License-Identifier: MIT
 *
 * views.c - see views.h.
 */
#include <string.h>

#include "base/views.h"

#define SIDE  4  /* of a square that is transposed in registers */
#define PATCH 16 /* rows that are written side by side: whole cache lines */

typedef void square_fn(const void *from, int64_t pitch, void *to, int64_t to_pitch);

/* 16 bytes, which every processor has; of wider ones compilers make worse than scalars. */
typedef float float4 __attribute__((vector_size(16)));
typedef double double2 __attribute__((vector_size(16)));

#ifdef __clang__
#define SHUFFLE(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t mask4 __attribute__((vector_size(16)));
typedef int64_t mask2 __attribute__((vector_size(16)));
#define SHUFFLE(mask, a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

static inline void transpose4(const float *from, int64_t pitch, float4 *out)
{
    float4 x[SIDE], a, b;

    for (int i = 0; i < SIDE; i++)
        memcpy(&x[i], from + i * pitch, sizeof x[i]);
    a = SHUFFLE(mask4, x[0], x[1], 0, 4, 1, 5);
    b = SHUFFLE(mask4, x[2], x[3], 0, 4, 1, 5);
    out[0] = SHUFFLE(mask4, a, b, 0, 1, 4, 5);
    out[1] = SHUFFLE(mask4, a, b, 2, 3, 6, 7);
    a = SHUFFLE(mask4, x[0], x[1], 2, 6, 3, 7);
    b = SHUFFLE(mask4, x[2], x[3], 2, 6, 3, 7);
    out[2] = SHUFFLE(mask4, a, b, 0, 1, 4, 5);
    out[3] = SHUFFLE(mask4, a, b, 2, 3, 6, 7);
}

static inline void square_f32(const void *from, int64_t pitch, void *to, int64_t to_pitch)
{
    float4 x[SIDE];

    transpose4(from, pitch, x);
    for (int i = 0; i < SIDE; i++)
        memcpy((float *)to + i * to_pitch, &x[i], sizeof x[i]);
}

static inline void square_wider(const void *from, int64_t pitch, void *to, int64_t to_pitch)
{
    float4 x[SIDE];

    transpose4(from, pitch, x);
    for (int i = 0; i < SIDE; i++) {
        const double2 low = {(double)x[i][0], (double)x[i][1]}, high = {(double)x[i][2], (double)x[i][3]};

        memcpy((double *)to + i * to_pitch, &low, sizeof low);
        memcpy((double *)to + i * to_pitch + 2, &high, sizeof high);
    }
}

static inline void square_f64(const void *from, int64_t pitch, void *to, int64_t to_pitch)
{
    for (int i = 0; i < SIDE; i += 2)
        for (int j = 0; j < SIDE; j += 2) {
            double *out = (double *)to + j * to_pitch + i;
            double2 x, y, z;

            memcpy(&x, (const double *)from + i * pitch + j, sizeof x);
            memcpy(&y, (const double *)from + (i + 1) * pitch + j, sizeof y);
            z = SHUFFLE(mask2, x, y, 0, 2);
            memcpy(out, &z, sizeof z);
            z = SHUFFLE(mask2, x, y, 1, 3);
            memcpy(out + to_pitch, &z, sizeof z);
        }
}

static void widen(int64_t n, const float *from, double *to)
{
    for (int64_t j = 0; j < n; j++)
        to[j] = (double)from[j];
}

void ntk_copy(int64_t rows, int64_t columns, struct ntk_view from, struct ntk_view to)
{
    for (int64_t i = 0; i < rows; i++) {
        const struct ntk_view in = ntk_view_at(from, i, 0), out = ntk_view_at(to, i, 0);

        if (from.dtype == to.dtype)
            memcpy(out.at, in.at, (size_t)columns * to.dtype);
        else
            widen(columns, in.at, out.at);
    }
}

/* From column j on, which no square has. */
static inline void rest(int64_t rows, int64_t j, int64_t columns, struct ntk_view from, struct ntk_view to)
{
    for (; j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            ntk_store(ntk_view_at(to, j, i).at, to.dtype, 0, ntk_number(ntk_view_at(from, i, j).at, from.dtype, 0));
}

static inline __attribute__((always_inline)) void squares(square_fn *square, int64_t rows, int64_t columns,
                                                          struct ntk_view from, struct ntk_view to)
{
    const int64_t down = SIDE * from.pitch * (int64_t)from.dtype, across = SIDE * (int64_t)to.dtype;

    for (int64_t j0 = 0; j0 < columns; j0 += PATCH) {
        const unsigned char *in = ntk_view_at(from, 0, j0).at;
        unsigned char *out = ntk_view_at(to, j0, 0).at;
        const int64_t n = columns - j0 < PATCH ? columns - j0 : PATCH;

        for (int64_t i = 0; i < rows; i += SIDE, in += down, out += across)
            for (int64_t j = 0; j < n; j += SIDE)
                square(in + j * (int64_t)from.dtype, from.pitch, out + j * to.pitch * (int64_t)to.dtype, to.pitch);
    }
}

void ntk_transpose(int64_t rows, int64_t columns, struct ntk_view from, struct ntk_view to)
{
    const int64_t r = rows / SIDE * SIDE, c = columns / SIDE * SIDE;

    if (to.dtype == NTK_F32)
        squares(square_f32, r, c, from, to);
    else if (from.dtype == NTK_F64)
        squares(square_f64, r, c, from, to);
    else
        squares(square_wider, r, c, from, to);
    rest(r, c, columns, from, to);
    rest(rows - r, 0, columns, ntk_view_at(from, r, 0), ntk_view_at(to, 0, r));
}
