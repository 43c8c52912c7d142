/* SPDX-License-Identifier: MIT
 *
 * window.c - see window.h.
 */
#include "base/window.h"

#define WRAPS_MOST 16

static ntk_status axis(const struct ntk_where *at, const char *what, int64_t size, int64_t stride,
                       int padding, int64_t n, struct ntk_window *w, int k)
{
    int64_t out, total;

    if (padding == NTK_VALID && size > n)
        return ntk_fail_at(at, NTK_ESHAPE,
                           "%s of %lld does not fit the input's %lld %s; make it smaller or use "
                           "padding='SAME'",
                           what, (long long)size, (long long)n, k ? "columns" : "rows");
    out = padding == NTK_VALID ? (n - size) / stride + 1 : (n + stride - 1) / stride;
    total = padding == NTK_VALID ? 0 : (out - 1) * stride + size - n;
    if (padding == NTK_CIRCULAR && size > WRAPS_MOST * n)
        return ntk_fail_at(
            at, NTK_ESHAPE,
            "%s of %lld wraps around the input's %lld %s more than %d times; make it "
            "smaller",
            what, (long long)size, (long long)n, k ? "columns" : "rows", WRAPS_MOST);
    w->size[k] = (int)size;
    w->stride[k] = (int)stride;
    w->low[k] = total > 0 ? (int)(total / 2) : 0;
    w->out[k] = (int)out;
    return NTK_OK;
}

ntk_status ntk_window_make(const struct ntk_where *at, const char *what,
                           const struct ntk_integers *size, const struct ntk_integers *strides,
                           int padding, ntk_shape in, struct ntk_window *w)
{
    const int64_t n[] = {in.h, in.w};
    char text[64];

    *w = (struct ntk_window){.wrap = padding == NTK_CIRCULAR};
    if (in.spatial == 0)
        return ntk_fail_at(
            at, NTK_ESHAPE,
            "needs samples with positions, [w][c] or [h][w][c], its input is a vector "
            "of %lld",
            (long long)in.c);
    if (size->n != in.spatial)
        return ntk_fail_at(at, NTK_ESHAPE, "%s has %d number%s, the input (%s) has %d spatial ax%s",
                           what, size->n, size->n == 1 ? "" : "s", ntk_shape_text(in, text),
                           in.spatial, in.spatial == 1 ? "is" : "es");
    if (strides->n && strides->n != in.spatial)
        return ntk_fail_at(at, NTK_ESHAPE,
                           "strides has %d number%s, the input (%s) has %d spatial ax%s",
                           strides->n, strides->n == 1 ? "" : "s", ntk_shape_text(in, text),
                           in.spatial, in.spatial == 1 ? "is" : "es");
    for (int k = 0; k < 2; k++) {
        const int from = k - (2 - in.spatial); /* a sequence's only axis is its columns */

        if (from < 0)
            NTK_TRY(axis(at, what, 1, 1, NTK_VALID, n[k], w, k));
        else
            NTK_TRY(axis(at, what, size->v[from], strides->n ? strides->v[from] : 1, padding, n[k],
                         w, k));
    }
    return NTK_OK;
}

ntk_shape ntk_window_shape(const struct ntk_window *w, ntk_shape in, int64_t channels)
{
    return (ntk_shape){.spatial = in.spatial, .h = w->out[0], .w = w->out[1], .c = channels};
}
