/* SPDX-License-Identifier: MIT
 *
 * instructions.c - what each instruction means, for all entries (p, p') of a pair; those on windows: windows.c.
 */
#include <math.h>

#include "backend/reference/reference.h"
#include "engine/prepare.h"

static size_t positions(const struct ntk_reference_node *n) { return ntk_node_positions(n->v); }

static long double *out(const struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    return ntk_reference_table(x, n->node);
}

static const long double *in(const struct ntk_reference_pair *x, const struct ntk_reference_node *n, int k)
{
    return ntk_reference_table(x, n->v->in[k]);
}

/* x[p] . x'[p'] / c, c the numbers of a position */
void ntk_reference_FIRST(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    const size_t m = positions(n), features = x->s[0]->features, c = features / m;

    for (size_t p = 0; p < m; p++)
        for (size_t q = 0; q < m; q++) {
            const size_t at = (size_t)x->i[0] * features + p * c, at2 = (size_t)x->i[1] * features + q * c;
            long double sum = 0;

            for (size_t k = 0; k < c; k++)
                sum += (long double)ntk_sample_number(x->s[0], at + k) * (long double)ntk_sample_number(x->s[1], at2 + k);
            out(x, n)[p * m + q] = sum / (long double)c;
        }
}

void ntk_reference_MIX(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    for (size_t e = 0; e < positions(n) * positions(n); e++) {
        long double sum = n->run.constant;

        for (int k = 0; k < n->v->n_in; k++)
            sum += n->run.coef[k] * in(x, n, k)[e];
        out(x, n)[e] = sum;
    }
}

void ntk_reference_PRODUCT(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    for (size_t e = 0; e < positions(n) * positions(n); e++) {
        long double product = 1;

        for (int k = 0; k < n->v->n_in; k++)
            product *= in(x, n, k)[e];
        out(x, n)[e] = product;
    }
}

static void dual_entry(struct ntk_reference_pair *x, const struct ntk_reference_node *n, size_t p, size_t q)
{
    const size_t m = positions(n);
    const int sigma = n->v->in[0];
    long double both[2];

    if (!ntk_reference_dual(&x->c->rule, n->run.act, n->run.self, ntk_reference_own(x, 0, sigma)[p],
                            ntk_reference_own(x, 1, sigma)[q], in(x, n, 0)[p * m + q], &both[0], &both[1]))
        x->failed = n->run.act;
    out(x, n)[p * m + q] = both[n->v->result];
    if (n->other >= 0)
        ntk_reference_table(x, n->other)[p * m + q] = both[!n->v->result];
}

/* Both moments at once. A sample's table with itself is symmetric. */
void ntk_reference_DUAL(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    const size_t m = positions(n);

    if (n->other >= 0 && n->other < n->node)
        return;
    for (size_t p = 0; p < m && !x->failed; p++)
        for (size_t q = x->same ? p : 0; q < m && !x->failed; q++)
            dual_entry(x, n, p, q);
    for (size_t p = 0; p < m && x->same; p++)
        for (size_t q = 0; q < p; q++) {
            out(x, n)[p * m + q] = out(x, n)[q * m + p];
            if (n->other >= 0)
                ntk_reference_table(x, n->other)[p * m + q] = ntk_reference_table(x, n->other)[q * m + p];
        }
}

/* 1 / sqrt(q + constant) at position p of one of the samples, q its variances averaged over axes; 0 if that is 0 */
static long double inverse_root(const struct ntk_reference_pair *x, const struct ntk_reference_node *n, int which, size_t p)
{
    const size_t h = (size_t)n->v->h, w = (size_t)n->v->w;
    const long double *q = ntk_reference_own(x, which, n->v->in[n->v->n_in - 1]);
    long double sum = 0;
    int count = 0;

    for (size_t i = 0; i < h; i++)
        for (size_t j = 0; j < w; j++)
            if ((n->run.axes & NTK_AXIS_H || i == p / w) && (n->run.axes & NTK_AXIS_W || j == p % w)) {
                sum += q[i * w + j];
                count++;
            }
    sum = sum / count + n->run.constant;
    return sum > 0 ? 1 / sqrtl(sum) : 0;
}

void ntk_reference_SCALE(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    const size_t m = positions(n);

    for (size_t p = 0; p < m; p++)
        for (size_t q = 0; q < m; q++)
            out(x, n)[p * m + q] = in(x, n, 0)[p * m + q] * inverse_root(x, n, 0, p) * inverse_root(x, n, 1, q);
}

void ntk_reference_COPY(struct ntk_reference_pair *x, const struct ntk_reference_node *n)
{
    const size_t m = positions(n);

    for (size_t p = 0; p < m; p++)
        for (size_t q = 0; q < m; q++)
            out(x, n)[p * m + q] = in(x, n, 0)[p * m + q] * (x->same && p == q ? n->run.constant : 1);
}
