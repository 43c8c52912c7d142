/* SPDX-License-Identifier: MIT
 *
 * tape.c - building the steps of a finite network.
 */
#include <string.h>

#include "steps/step.h"

#define PARAMS_MAX ((int64_t)1 << 40)

static bool fail(struct ntk_tape *t)
{
    if (t->status == NTK_OK)
        t->status = ntk_fail(t->ctx, NTK_ENOMEM, "no memory for the network's steps");
    return false;
}

/* Room for one more item in an array of the arena's. */
static bool grow(struct ntk_tape *t, void *array, int n, int *capacity, size_t size)
{
    void **items = array, *more;

    if (n < *capacity)
        return true;
    more = ntk_arena_alloc(&t->arena, (size_t)*capacity * 2 + 16, size);
    if (!more)
        return fail(t);
    if (n)
        memcpy(more, *items, (size_t)n * size);
    *items = more;
    *capacity = *capacity * 2 + 16;
    return true;
}

static int new_value(struct ntk_tape *t, ntk_shape shape)
{
    if (!grow(t, &t->size, t->n_values, &t->values_capacity, sizeof *t->size))
        return 0;
    t->size[t->n_values] = ntk_features_of(shape);
    return t->n_values++;
}

void ntk_tape_start(struct ntk_tape *t, ntk_shape in)
{
    new_value(t, in);
}

void ntk_tape_free(struct ntk_tape *t)
{
    ntk_arena_free(&t->arena);
}

/* The first required face that a step does not have; NULL: it has all. */
static const char *missing(const struct ntk_step_loops *l)
{
    return !l                                        ? "loops"
           : !l->forward                             ? "forward"
           : !l->jvp                                 ? "jvp"
           : !l->vjp                                 ? "vjp"
           : l->share && !l->share_scratch           ? "share_scratch"
           : l->share && !l->derivatives_are_cheaper ? "derivatives_are_cheaper"
                                                     : NULL;
}

ntk_status ntk_step_check(ntk_ctx *ctx, const struct ntk_step_class *cls)
{
    const char *f32 = missing(cls->f32), *f64 = missing(cls->f64);

    if (!f32 && !f64)
        return NTK_OK;
    return ntk_fail(ctx, NTK_ENOTSUP, "finite networks: the step '%s' has no %s in float%d",
                    cls->name, f32 ? f32 : f64, f32 ? 32 : 64);
}

void *ntk_tape_alloc(struct ntk_tape *t, size_t count, size_t size)
{
    void *p = ntk_arena_alloc(&t->arena, count, size);

    if (!p)
        fail(t);
    return p;
}

struct ntk_tape_step *ntk_tape_append(struct ntk_tape *t, const struct ntk_step_class *cls,
                                      int n_in, const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s;

    if (t->status == NTK_OK)
        t->status = ntk_step_check(t->ctx, cls);
    if (t->status != NTK_OK || !grow(t, &t->steps, t->n, &t->capacity, sizeof *t->steps))
        return NULL;
    s = &t->steps[t->n];
    *s = (struct ntk_tape_step){
        .cls = cls, .n_in = n_in, .out_shape = out->shape, .theta = t->n_params};
    s->self = ntk_tape_alloc(t, 1, cls->size);
    s->in = ntk_tape_alloc(t, (size_t)n_in, sizeof *s->in);
    s->in_shape = ntk_tape_alloc(t, (size_t)n_in, sizeof *s->in_shape);
    if (!s->self || !s->in || !s->in_shape)
        return NULL;
    for (int k = 0; k < n_in; k++) {
        s->in[k] = in[k].value;
        s->in_shape[k] = in[k].shape;
    }
    s->out = out->value = new_value(t, out->shape);
    t->n++;
    return t->status == NTK_OK ? s : NULL;
}

/* ---- windows */

bool ntk_tape_places(struct ntk_tape *t, const struct ntk_window *w, ntk_shape in,
                     struct ntk_places *places)
{
    const struct ntk_window_axis rows = ntk_window_along(w, 0, (int)in.h),
                                 columns = ntk_window_along(w, 1, (int)in.w);
    const int64_t windows = (int64_t)w->out[0] * w->out[1];
    size_t count;

    if (w->size[0] > INT32_MAX / w->size[1] || windows > INT32_MAX / w->size[0] / w->size[1]) {
        t->status = ntk_fail(t->ctx, NTK_ENOTSUP,
                             "a finite network's window of %d x %d places at %lld "
                             "positions is too large",
                             w->size[0], w->size[1], (long long)windows);
        return false;
    }
    places->n = w->size[0] * w->size[1];
    count = (size_t)windows * (size_t)places->n;
    t->status =
        ntk_ctx_check_memory(t->ctx, count * sizeof *places->position, "a window's positions");
    if (t->status != NTK_OK)
        return false;
    places->position = ntk_tape_alloc(t, count, sizeof *places->position);
    for (int q = 0; q < (int)windows && places->position; q++)
        for (int a = 0; a < places->n; a++) {
            const int i = ntk_window_position(&rows, q / w->out[1], a / w->size[1]);
            const int j = ntk_window_position(&columns, q % w->out[1], a % w->size[1]);

            places->position[q * places->n + a] = i < 0 || j < 0 ? -1 : i * columns.n + j;
        }
    return places->position != NULL;
}

/* ---- parameters */

/* Lists an array among those of the tape, and gives it its numbers. */
static void list_array(struct ntk_tape *t, struct ntk_tape_step *s, const char *layer,
                       struct ntk_step_array *a)
{
    ntk_param_array *listed;

    a->at = s->n_theta;
    if (a->absent || !grow(t, &t->arrays, t->n_arrays, &t->arrays_capacity, sizeof *t->arrays))
        return;
    a->size = 1;
    for (int k = 0; k < a->ndim; k++) {
        if (a->shape[k] > (PARAMS_MAX - t->n_params) / a->size) {
            t->status =
                ntk_fail(t->ctx, NTK_ENOMEM, "%s: a finite network of more than %.2g parameters",
                         layer, (double)PARAMS_MAX);
            return;
        }
        a->size *= a->shape[k];
    }
    listed = &t->arrays[t->n_arrays++];
    *listed = (ntk_param_array){
        .ndim = a->ndim, .offset = t->n_params, .size = a->size, .trainable = s->trainable};
    for (int k = 0; k < a->ndim; k++)
        listed->shape[k] = a->shape[k];
    snprintf(listed->name, sizeof listed->name, "%02d_%s/%s", t->n_groups, layer, a->name);
    t->n_params += a->size;
    s->n_theta += a->size;
}

void ntk_tape_params(struct ntk_tape *t, const char *layer, bool trainable, int n,
                     const struct ntk_step_array *arrays)
{
    struct ntk_tape_step *s = &t->steps[t->n - 1];

    s->arrays = ntk_tape_alloc(t, (size_t)n, sizeof *s->arrays);
    if (!s->arrays)
        return;
    memcpy(s->arrays, arrays, (size_t)n * sizeof *arrays);
    s->n_arrays = n;
    s->trainable = trainable;
    for (int k = 0; k < n && t->status == NTK_OK; k++)
        list_array(t, s, layer, &s->arrays[k]);
    t->n_groups++;
}

void ntk_tape_layer(struct ntk_tape *t)
{
    int n = 0, *numbers;

    for (int k = t->layered; k < t->n; k++)
        n += t->steps[k].n_arrays;
    numbers = ntk_tape_alloc(t, (size_t)n, sizeof *numbers);
    if (!numbers || !grow(t, &t->layers, t->n_layers, &t->layers_capacity, sizeof *t->layers))
        return;
    t->layers[t->n_layers++] = (ntk_param_layer){.n = n, .arrays = numbers};
    for (; t->layered < t->n; t->layered++)
        for (int k = 0; k < t->steps[t->layered].n_arrays; k++)
            *numbers++ = t->steps[t->layered].arrays[k].absent ? -1 : t->listed++;
}
