/* SPDX-License-Identifier: MIT
 *
 * same.c - ranks that fit together do the same: net, samples, targets, options.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "predict/model.h"

static uint64_t hash_of(const double *x, int64_t n) { return x ? ntk_hash(x, (size_t)n * sizeof *x) : 0; }

static ntk_status describe(const ntk_model *m, char **about)
{
    const ntk_net *net = m->net;

    *about = NULL;
    return m->net ? ntk_store_describe(m->ctx, &net, 1, ntk_model_want(&m->opts), m->opts.dtype, m->x, NULL, NULL, about) : NTK_OK;
}

ntk_status ntk_model_same(const ntk_model *m)
{
    const ntk_fit_opts *o = &m->opts;
    struct ntk_text t = {0};
    char by[NTK_STORE_BY], *about;
    ntk_status status;

    if (ntk_n_ranks(m->ctx) == 1)
        return NTK_OK;
    status = describe(m, &about);
    ntk_store_by(m->ctx, by);
    ntk_text_add(&t, "%stargets: %lld columns, hash %016llx\n", about ? about : "", (long long)m->outputs,
                 (unsigned long long)hash_of(m->y, m->outputs * m->n));
    ntk_text_add(&t, "weights, noise: hashes %016llx, %016llx\n", (unsigned long long)hash_of(m->weights, m->n),
                 (unsigned long long)hash_of(m->noise, m->n));
    ntk_text_add(&t, "ridge %.17g%s, solver %s, tolerance %g, rank %lld, store %s\n%s\n", o->diag_reg,
                 o->diag_reg_absolute ? " absolute" : "", o->solver, o->tolerance, (long long)o->rank,
                 m->store ? m->store : "none", by);
    if (m->checkpoint)
        ntk_text_add(&t, "checkpoint %s\n", m->checkpoint);
    free(about);
    if (status == NTK_OK && t.failed)
        status = ntk_fail(m->ctx, NTK_ENOMEM, "no memory for the description of a model");
    status = ntk_ranks_agree(m->ctx, status);
    if (status == NTK_OK)
        status = ntk_ranks_same(m->ctx, t.s);
    free(t.s);
    return status;
}

ntk_status ntk_test_same(const ntk_model *m, const ntk_data *x)
{
    const size_t bytes = (size_t)x->n * (size_t)ntk_features_of(x->shape) * x->dtype;
    char text[100];

    if (ntk_n_ranks(m->ctx) == 1)
        return NTK_OK;
    snprintf(text, sizeof text, "%lld test samples, hash %016llx", (long long)x->n, (unsigned long long)ntk_hash(x->x, bytes));
    return ntk_ranks_same(m->ctx, text);
}
