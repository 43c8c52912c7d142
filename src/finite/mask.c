/* SPDX-License-Identifier: MIT
 *
 * mask.c - see mask.h.
 */
#include "finite/mask.h"

#include <math.h>
#include <stdlib.h>

static int consumers(const struct ntk_tape *t, int value)
{
    int n = 0;

    for (int k = 0; k < t->n; k++)
        for (int i = 0; i < t->steps[k].n_in; i++)
            n += t->steps[k].in[i] == value;
    return n;
}

/* Nothing else reaches its output, and cotangents go back alike for all samples. */
static bool linear(const struct ntk_tape_step *s)
{
    return s->cls->linear && s->n_in == 1;
}

int ntk_mask_step(const ntk_params *p)
{
    const struct ntk_tape *t = &p->tape;
    const struct ntk_tape_step *s, *before;
    int k = t->n - 1;

    while (k > 0 && linear(&t->steps[k]) && t->steps[k].in[0] == t->steps[k - 1].out)
        k--;
    if (k < 1 || k == t->n - 1 || !t->steps[k].cls->elementwise)
        return -1;
    s = &t->steps[k];
    before = s - 1;
    if (!before->trainable || !before->cls->by_channel || s->in[0] != before->out)
        return -1;
    return consumers(t, s->in[0]) == 1 && consumers(t, s->out) == 1 ? k : -1;
}

/* From the cotangents of one sample. */
static bool weights(const struct ntk_pass *pass, const struct ntk_tape_step *s, void *M)
{
    const int64_t size = ntk_features_of(s->out_shape), c = s->out_shape.c;
    const struct ntk_data B = {.x = pass->slots[pass->p->slot[s->out]], .dtype = pass->p->dtype};

    for (int64_t i = 0; i < size; i++) {
        double squares = 0;

        for (int64_t o = 0; o < pass->copies; o++) {
            const double b = ntk_data_get(&B, (size_t)(o * size + i));

            if (b != ntk_data_get(&B, (size_t)(o * size + i % c)))
                return false;
            squares += b * b;
        }
        ntk_store(M, pass->p->dtype, (size_t)i, sqrt(squares));
    }
    return true;
}

ntk_status ntk_mask_weights(const ntk_params *p, int step, const ntk_data *x, void *out, bool *same)
{
    const int64_t c = ntk_params_outputs(p);
    void *identity = ntk_alloc_zero(p->ctx, (size_t)(c * c), p->dtype);
    struct ntk_pass *pass = NULL;
    ntk_status status =
        identity ? ntk_pass_new(p, p->ctx->threads, 1, c, false, &pass) : NTK_ENOMEM;

    for (int64_t o = 0; o < c && identity; o++)
        ntk_store(identity, p->dtype, (size_t)(o * c + o), 1);
    if (status == NTK_OK) {
        ntk_pass_forward(pass, x, 0, 1);
        ntk_pass_back_start(pass, identity);
        for (int k = p->tape.n - 1; k > step; k--)
            ntk_pass_back_step(pass, k, NULL);
        *same = weights(pass, &p->tape.steps[step], out);
    }
    ntk_pass_free(pass);
    free(identity);
    return status;
}

void ntk_mask_cotangent(const struct ntk_pass *pass, int step, const void *M, void *work, void *out)
{
    const ntk_params *p = pass->p;
    const struct ntk_tape_step *s = &p->tape.steps[step];
    const size_t bytes = (size_t)ntk_features_of(s->out_shape) * p->dtype;
    const struct ntk_run r = ntk_pass_run(pass, step, 1);
    const void *x[] = {pass->value[s->in[0]]};
    const bool add[] = {false};

    for (int64_t i = 0; i < pass->n; i++)
        memcpy((char *)work + (size_t)i * bytes, M, bytes);
    ntk_step_loops(s, p->dtype)->vjp(&r, x, pass->value[s->out], work, (void *[]){out}, add, NULL);
}
