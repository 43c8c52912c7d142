/* SPDX-License-Identifier: MIT
 *
 * tape.h - a finite network as a list of steps from values to values.
 *
 * A value is what one sample has at one place of the net: h x w positions of c channels. Layers
 * append steps with the builders below (layer.h), src/finite runs them: there each kind of step is
 * one file, which knows its forward pass, its derivatives and its share of the tangent kernel.
 */
#ifndef NTK_TAPE_H
#define NTK_TAPE_H

#include "base/window.h"

struct ntk_activation;

enum ntk_step_kind {
#define STEP(name) NTK_STEP_##name,
#include "steps/steps.def"
#undef STEP
    NTK_N_STEPS
};

/* Between layers: the number of a value and the shape that it is read in. */
struct ntk_wire {
    int value;
    ntk_shape shape;
};

/* Dense and Conv: z[q] = scale sum over places a of W_a x[p(q, a)] + bias_scale b. */
struct ntk_affine {
    const struct ntk_window *window; /* NULL: one position, the same */
    double scale, bias_scale;
    double W_std, b_std; /* at the start; b_std NAN: no biases */
    bool trainable;
};

struct ntk_tape_step {
    enum ntk_step_kind kind;
    int n_in, *in, out; /* values */
    ntk_shape *in_shape, out_shape;

    /* affine, pool: windows. position[q][a] is the input position of place a of window q, -1
     * outside; NULL: q itself. */
    int places;
    int32_t *position;
    struct ntk_affine affine;
    int64_t W, b; /* offsets in theta: W [places * c_in][c_out], b [c_out]; b < 0: none */

    const struct ntk_activation *act;
    const void *self; /* its parameters; they are the net's */

    double *weight; /* pool: [out positions], what the window's sum is multiplied with */
    int axes;       /* norm: positions normalised together, NTK_AXIS_ bits */
    double eps;
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
    ntk_param_array *arrays;
    int n_arrays, arrays_capacity, n_groups;
    ntk_status status; /* first failure: the builders then do nothing */
};

/* Of a tape that is all zeros but its context: the sample. */
void ntk_tape_start(struct ntk_tape *t, ntk_shape in);
void ntk_tape_free(struct ntk_tape *t);

/* Builders: out->shape is given, out->value is set. name is the layer's, for its parameters. */
void ntk_tape_affine(struct ntk_tape *t, const char *name, const struct ntk_affine *a,
                     const struct ntk_wire *in, struct ntk_wire *out);
void ntk_tape_activation(struct ntk_tape *t, const struct ntk_activation *act, const void *self,
                         const struct ntk_wire *in, struct ntk_wire *out);
/* Sums over windows times scale; with true_count over the number of positions inside, too. */
void ntk_tape_pool(struct ntk_tape *t, const struct ntk_window *w, double scale,
                   const struct ntk_wire *in, struct ntk_wire *out);
void ntk_tape_norm(struct ntk_tape *t, int axes, double eps, const struct ntk_wire *in,
                   struct ntk_wire *out);
/* sum, product: of n_in values alike; concat: along the channels. */
void ntk_tape_join(struct ntk_tape *t, enum ntk_step_kind kind, int n_in, const struct ntk_wire *in,
                   struct ntk_wire *out);
/* The same numbers in another shape. */
static inline void ntk_tape_reshape(const struct ntk_wire *in, struct ntk_wire *out)
{
    out->value = in->value;
}

#endif
