/* SPDX-License-Identifier: MIT
 *
 * tape.h - a finite network as a list of steps from values to values.
 *
 * A value is what one sample has at one place of the net: h x w positions of c channels. Layers
 * append steps with the builders of steps.def (layer.h), src/finite runs them; step.h says what a
 * step is.
 */
#ifndef NTK_TAPE_H
#define NTK_TAPE_H

#include "base/window.h"

struct ntk_activation;
struct ntk_step_class;

/* Between layers: the number of a value and the shape that it is read in. */
struct ntk_wire {
    int value;
    ntk_shape shape;
};

/* One array of a step's parameters. */
struct ntk_step_array {
    const char *name; /* "W" */
    bool absent;      /* the step could have this array, and has not */
    int ndim;
    int64_t shape[4];
    double deviation;  /* its numbers are normal at the start, with mean 0 */
    double multiplier; /* of its numbers, where they are used */
    /* Set by the tape: the step's own numbers `at` ... `at + size - 1`. */
    int64_t at, size;
};

struct ntk_tape_step {
    const struct ntk_step_class *cls;
    void *self;         /* its private struct, cls->size bytes */
    int n_in, *in, out; /* values */
    ntk_shape *in_shape, out_shape;
    int n_arrays; /* of parameters */
    struct ntk_step_array *arrays;
    int64_t theta, n_theta; /* its own are theta[theta ... theta + n_theta - 1] */
    bool trainable;         /* they are trained, and have a share in the tangent kernel */
};

struct ntk_tape {
    ntk_ctx *ctx;
    struct ntk_arena arena;
    struct ntk_tape_step *steps;
    int n, capacity;
    int64_t *size; /* [n_values] numbers of a value; value 0 is the sample */
    int n_values, values_capacity;
    int out; /* the value that leaves the net */
    ntk_shape out_shape;
    int64_t n_params;
    ntk_param_array *arrays; /* those of all steps that are there */
    int n_arrays, arrays_capacity, n_groups;
    ntk_param_layer *layers; /* the same by the layers of the net */
    int n_layers, layers_capacity;
    int layered, listed; /* how many steps and arrays belong to those */
    ntk_status status;   /* first failure: the builders then do nothing */
};

/* Of a tape that is all zeros but its context: the sample. */
void ntk_tape_start(struct ntk_tape *t, ntk_shape in);
void ntk_tape_free(struct ntk_tape *t);
/* The end of a layer: the steps that were appended since the last one belong to it. */
void ntk_tape_layer(struct ntk_tape *t);

/* ---- what layers append */

/* Dense and Conv: z[q] = W_scale sum over places a of W_a x[p(q, a)] + b_scale b. */
struct ntk_affine {
    const struct ntk_window *window; /* NULL: one position, the same */
    double W_scale, b_scale;
    double W_std, b_std; /* at the start; b_std NAN: no biases */
    bool trainable;
};

#define STEP(name, parameters) void ntk_tape_##name parameters;
#include "steps/steps.def"
#undef STEP

/* The same numbers in another shape. */
static inline void ntk_tape_reshape(const struct ntk_wire *in, struct ntk_wire *out)
{
    out->value = in->value;
}

/* ---- what builders are made of: all set t->status if they fail */

/* A step, its private struct all zeros; NULL if it failed. It moves when the next is appended. */
struct ntk_tape_step *ntk_tape_append(struct ntk_tape *t, const struct ntk_step_class *cls,
                                      int n_in, const struct ntk_wire *in, struct ntk_wire *out);
/* The parameters of the step that was appended last. layer: in their names. */
void ntk_tape_params(struct ntk_tape *t, const char *layer, bool trainable, int n,
                     const struct ntk_step_array *arrays);
/* Zeros for a step's private struct, which are freed with the tape; NULL: no memory. */
void *ntk_tape_alloc(struct ntk_tape *t, size_t count, size_t size);

/* What windows cover. */
struct ntk_places {
    int n;             /* places of a window */
    int32_t *position; /* [windows][n] of the input, -1 outside; NULL: window q covers position q */
};
/* False if it failed. */
bool ntk_tape_places(struct ntk_tape *t, const struct ntk_window *w, ntk_shape in,
                     struct ntk_places *places);

#endif
