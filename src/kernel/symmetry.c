/* SPDX-License-Identifier: MIT
 *
 * symmetry.c - whether a kernel is the same between samples and between their copies, which sums over copies rely on.
 */
#include <math.h>
#include <stdlib.h>

#include "data/symmetry.h"
#include "kernel/compiled.h"

#define SAMPLES   5    /* that are looked at */
#define DEVIATION 1e-6 /* of the roots of variances: above what rounding does to images that are almost equal */

/* a, b [n][n]: K of samples, and of copies of them. */
static ntk_status compare(const ntk_kernel *k, int64_t n, const int64_t *rows, unsigned kinds, const double *a, const double *b)
{
    char text[NTK_SYMMETRY_TEXT];
    double most = 0;
    int64_t at = 0;

    for (int64_t i = 0; i < n * n; i++) {
        const double scale = sqrt(a[i / n * (n + 1)] * a[i % n * (n + 1)]);
        const double deviation = scale > 0 ? fabs(a[i] - b[i]) / scale : 0;

        at = deviation > most ? i : at;
        most = fmax(most, deviation);
    }
    if (most <= DEVIATION)
        return NTK_OK;
    return ntk_fail(k->ctx, NTK_EINVAL,
                    "the net has no such symmetry (%s): between copies of samples %lld and %lld its kernel is %g, not %g as "
                    "between them; windows must lie in an image as in its copies, and strides leave no remainder",
                    ntk_symmetry_text(kinds, text), (long long)rows[at / n], (long long)rows[at % n], b[at], a[at]);
}

/* out[m] is [n][n], of each output of the kernel. */
static ntk_status compare_copies(const ntk_kernel *k, const ntk_data *some, const int64_t *rows, double **a, double **b)
{
    const struct ntk_symmetry *g = some->symmetry;
    ntk_data *alone, *moved;
    ntk_status status;

    NTK_TRY(ntk_data_with(some, NULL, &alone));
    status = ntk_kernel_block(k, alone, (void *const *)a);
    for (int c = 1; c < g->copies && status == NTK_OK; c++) {
        ntk_data *copy;

        status = ntk_data_moved(alone, g, c, some->n, &moved); /* and those after it */
        if (status != NTK_OK)
            break;
        status = ntk_data_slice(moved, 0, some->n, &copy);
        if (status == NTK_OK) {
            status = ntk_kernel_block(k, copy, (void *const *)b);
            ntk_data_free(copy);
        }
        for (size_t m = 0; m < ntk_kernel_outputs(k) && status == NTK_OK; m++)
            status = compare(k, some->n, rows, g->kinds, a[m], b[m]);
        ntk_data_free(moved);
    }
    ntk_data_free(alone);
    return status;
}

ntk_status ntk_kernel_check_symmetry(const ntk_kernel *k, const ntk_data *x)
{
    const int64_t n = ntk_least(SAMPLES, x->n);
    const size_t outputs = ntk_kernel_outputs(k), each = SAMPLES * SAMPLES;
    double *numbers = ntk_alloc(k->ctx, 2 * outputs * each, sizeof *numbers);
    double **a = ntk_alloc(k->ctx, 2 * outputs, sizeof *a);
    int64_t rows[SAMPLES];
    ntk_data *some = NULL;
    ntk_status status = numbers && a ? NTK_OK : NTK_ENOMEM;

    for (int64_t i = 0; i < n; i++)
        rows[i] = n > 1 ? i * (x->n - 1) / (n - 1) : 0;
    for (size_t m = 0; a && numbers && m < 2 * outputs; m++)
        a[m] = numbers + m * each;
    if (status == NTK_OK)
        status = ntk_data_select(x, rows, n, &some);
    if (status == NTK_OK)
        status = compare_copies(k, some, rows, a, a + outputs);
    ntk_data_free(some);
    free(a);
    free(numbers);
    return status;
}
