/* SPDX-License-Identifier: MIT
 *
 * layer.h - what a layer is. One file per layer, one line in layers.def: `LAYER(dense)` for
 * dense.c, which defines `const struct ntk_layer ntk_layer_dense`.
 *
 * A layer says what it does to a shape, to random fields, and to the samples of a finite network.
 * It never allocates, threads or prints: its infinite-width rule is a few calls of the graph's
 * builders (ops/graph.h), its finite one of the tape's (steps/tape.h, steps/steps.def).
 */
#ifndef NTK_LAYER_H
#define NTK_LAYER_H

#include "base/class.h"
#include "ops/graph.h"
#include "steps/tape.h"

/* The random field that a layer puts out, in the limit of infinite width. */
struct ntk_field {
    ntk_shape shape;
    int sigma;       /* node of its covariance (NNGP) */
    int theta;       /* node of its tangent kernel; NTK_ZERO: nothing trained so far */
    bool gaussian;   /* affine in the last random weights: activations and sums need this */
    const int *roots; /* ascending numbers of the random weights that it is linear in, or a function */
    int n_roots;      /* of; root 0 is the input. Fields that share a root are correlated. */
};

struct ntk_layer {
    struct ntk_class base;
    bool many;      /* takes the branches of a parallel(...): FanIn layers; else one input */
    bool positions; /* its meaning depends on positions: images must not be flattened before it */
    bool (*wraps)(const void *self); /* its windows wrap around the image; NULL: it has none that do */

    /* Output shape from n_in input shapes; refuses what does not fit with ntk_fail_at. NULL: the
     * output has in[0]'s shape. */
    ntk_status (*shape)(const void *self, const struct ntk_where *at, int n_in, const ntk_shape *in,
                        ntk_shape *out);
    /* Infinite-width rule. *out comes as a copy of in[0] with the new shape and with the union of
     * the inputs' roots; the rule changes what changes. */
    ntk_status (*infinite)(const void *self, const struct ntk_where *at, struct ntk_graph *g,
                           int n_in, const struct ntk_field *in, struct ntk_field *out);
    /* Finite networks: appends the layer's steps to the tape; out comes with its shape. Fails with
     * NTK_ENOTSUP where parameters have no finite form; NULL: the layer has none. */
    ntk_status (*finite)(const void *self, const struct ntk_where *at, struct ntk_tape *t, int n_in,
                         const struct ntk_wire *in, struct ntk_wire *out);
};

/* The finite rule of layers that leave the numbers as they are. */
ntk_status ntk_finite_reshape(const void *self, const struct ntk_where *at, struct ntk_tape *t,
                              int n_in, const struct ntk_wire *in, struct ntk_wire *out);

/* Makes out the field of new, independent, zero-mean random weights: Gaussian, one new root. */
void ntk_field_new_root(struct ntk_graph *g, struct ntk_field *out);
/* True if a and b depend on common random weights; their cross-covariance is then not zero. */
bool ntk_fields_correlated(const struct ntk_field *a, const struct ntk_field *b);

/* True if the field is the input itself, untouched by random weights. */
static inline bool ntk_field_is_input(const struct ntk_field *f)
{
    return f->n_roots == 1 && f->roots[0] == 0;
}

/* Every layer, in the order of layers.def. */
extern const struct ntk_layer *const ntk_layers[];
extern const size_t ntk_n_layers;

#endif
