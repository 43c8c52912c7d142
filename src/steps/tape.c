/* SPDX-License-Identifier: MIT
 *
 * tape.c - building the steps of a finite network.
 */
#include "steps/tape.h"

#include <math.h>
#include <string.h>

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

/* A step with inputs and output; NULL if there is no memory. */
static struct ntk_tape_step *append(struct ntk_tape *t, enum ntk_step_kind kind, int n_in,
                                    const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s;

    if (t->status != NTK_OK || !grow(t, &t->steps, t->n, &t->capacity, sizeof *t->steps))
        return NULL;
    s = &t->steps[t->n];
    *s = (struct ntk_tape_step){
        .kind = kind, .n_in = n_in, .out_shape = out->shape, .places = 1, .b = -1};
    s->in = ntk_arena_alloc(&t->arena, (size_t)n_in, sizeof *s->in);
    s->in_shape = ntk_arena_alloc(&t->arena, (size_t)n_in, sizeof *s->in_shape);
    if (!s->in || !s->in_shape) {
        fail(t);
        return NULL;
    }
    for (int k = 0; k < n_in; k++) {
        s->in[k] = in[k].value;
        s->in_shape[k] = in[k].shape;
    }
    s->out = out->value = new_value(t, out->shape);
    t->n++;
    return t->status == NTK_OK ? s : NULL;
}

/* The position along one axis that place a of window q covers; -1 outside. */
static int cover(const struct ntk_window *w, int axis, int q, int a, int n)
{
    const int p = w->stride[axis] * q - w->low[axis] + a;

    if (w->wrap)
        return (p % n + n) % n;
    return p < 0 || p >= n ? -1 : p;
}

static bool set_window(struct ntk_tape *t, struct ntk_tape_step *s, const struct ntk_window *w)
{
    const int64_t windows = (int64_t)w->out[0] * w->out[1];
    const int h = (int)s->in_shape[0].h, columns = (int)s->in_shape[0].w;

    if (w->size[0] > INT32_MAX / w->size[1] || windows > INT32_MAX / w->size[0] / w->size[1]) {
        t->status = ntk_fail(t->ctx, NTK_ENOTSUP,
                             "a finite network's window of %d x %d places at %lld "
                             "positions is too large",
                             w->size[0], w->size[1], (long long)windows);
        return false;
    }
    s->places = w->size[0] * w->size[1];
    t->status = ntk_ctx_check_memory(
        t->ctx, (size_t)windows * (size_t)s->places * sizeof *s->position, "a window's positions");
    if (t->status != NTK_OK)
        return false;
    s->position =
        ntk_arena_alloc(&t->arena, (size_t)windows * (size_t)s->places, sizeof *s->position);
    if (!s->position)
        return fail(t);
    for (int q = 0; q < (int)windows; q++)
        for (int a = 0; a < s->places; a++) {
            const int i = cover(w, 0, q / w->out[1], a / w->size[1], h);
            const int j = cover(w, 1, q % w->out[1], a % w->size[1], columns);

            s->position[q * s->places + a] = i < 0 || j < 0 ? -1 : i * columns + j;
        }
    return true;
}

/* ---- parameters */

static int64_t new_array(struct ntk_tape *t, const char *layer, const char *name, int ndim,
                         const int64_t *shape, bool trainable)
{
    ntk_param_array *a;
    int64_t size = 1;

    for (int k = 0; k < ndim; k++) {
        if (shape[k] > (PARAMS_MAX - t->n_params) / size) {
            t->status =
                ntk_fail(t->ctx, NTK_ENOMEM, "%s: a finite network of more than %.2g parameters",
                         layer, (double)PARAMS_MAX);
            return 0;
        }
        size *= shape[k];
    }
    if (!grow(t, &t->arrays, t->n_arrays, &t->arrays_capacity, sizeof *t->arrays))
        return 0;
    a = &t->arrays[t->n_arrays++];
    *a = (ntk_param_array){
        .ndim = ndim, .offset = t->n_params, .size = size, .trainable = trainable};
    for (int k = 0; k < ndim; k++)
        a->shape[k] = shape[k];
    snprintf(a->name, sizeof a->name, "%02d_%s/%s", t->n_groups, layer, name);
    t->n_params += size;
    return a->offset;
}

void ntk_tape_affine(struct ntk_tape *t, const char *name, const struct ntk_affine *a,
                     const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s = append(t, NTK_STEP_affine, 1, in, out);
    int64_t shape[4];
    int ndim = 0;

    if (!s)
        return;
    if (a->window && !set_window(t, s, a->window))
        return;
    if (a->window && in->shape.spatial == 2)
        shape[ndim++] = a->window->size[0];
    if (a->window)
        shape[ndim++] = a->window->size[1];
    shape[ndim++] = in->shape.c;
    shape[ndim++] = out->shape.c;
    s->affine = *a;
    s->affine.window = NULL; /* the caller's */
    s->W = new_array(t, name, "W", ndim, shape, a->trainable);
    if (!isnan(a->b_std))
        s->b = new_array(t, name, "b", 1, &out->shape.c, a->trainable);
    t->n_groups++;
}

/* ---- the others */

void ntk_tape_activation(struct ntk_tape *t, const struct ntk_activation *act, const void *self,
                         const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s = append(t, NTK_STEP_activation, 1, in, out);

    if (s) {
        s->act = act;
        s->self = self;
    }
}

void ntk_tape_pool(struct ntk_tape *t, const struct ntk_window *w, double scale,
                   const struct ntk_wire *in, struct ntk_wire *out)
{
    struct ntk_tape_step *s = append(t, NTK_STEP_pool, 1, in, out);
    const int64_t windows = ntk_positions(out->shape);

    if (!s || !set_window(t, s, w))
        return;
    s->weight = ntk_arena_alloc(&t->arena, (size_t)windows, sizeof *s->weight);
    if (!s->weight) {
        fail(t);
        return;
    }
    for (int64_t q = 0; q < windows; q++) {
        int inside = 0;

        for (int a = 0; a < s->places; a++)
            inside += s->position[q * s->places + a] >= 0;
        s->weight[q] = scale / (w->true_count ? inside : 1);
    }
}

void ntk_tape_norm(struct ntk_tape *t, int axes, double eps, const struct ntk_wire *in,
                   struct ntk_wire *out)
{
    struct ntk_tape_step *s = append(t, NTK_STEP_norm, 1, in, out);

    if (s) {
        s->axes = axes;
        s->eps = eps;
    }
}

void ntk_tape_join(struct ntk_tape *t, enum ntk_step_kind kind, int n_in, const struct ntk_wire *in,
                   struct ntk_wire *out)
{
    append(t, kind, n_in, in, out);
}
