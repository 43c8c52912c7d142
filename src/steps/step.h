/* SPDX-License-Identifier: MIT
 *
 * step.h - what a kind of step does with samples: one file step_NAME.c each, one line in steps.def,
 * compiled once for each element type. Arrays are [n][size of the value], row-major.
 */
#ifndef NTK_STEP_H
#define NTK_STEP_H

#include "steps/tape.h"
#include "simd/simd.h"

/* One step on n samples. */
struct ntk_run {
    const struct ntk_tape_step *step;
    const struct ntk_simd *simd;
    int threads;
    int64_t n;
    int64_t copies; /* vjp: cotangents of each sample; dy and dx are [n][copies][size] */
    const void *theta;
    void *scratch; /* ntk_step_class.scratch bytes */
};

struct ntk_step_class {
    /* Bytes of scratch; NULL: none. */
    size_t (*scratch)(const struct ntk_tape_step *step, int threads);
    void (*forward)(const struct ntk_run *r, const void *const *x, void *y);
    /* dy from dx[k] (NULL: zero) and dtheta (NULL: zero). */
    void (*jvp)(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy);
    /* dx[k] (NULL: not wanted), added to what is there if add[k]; dtheta += (NULL: not wanted;
     * needs copies = 1). */
    void (*vjp)(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta);
};

/* A block of samples of one side of a tangent kernel, at one affine step. */
struct ntk_side {
    int64_t n;
    const void *x; /* [n][input size]; NULL: g are derivatives */
    const void *g; /* [n][copies][output size], cotangents; or [n][copies][derivative size] */
};

/* Numbers of an output's derivative with respect to the weights and biases of an affine step. */
static inline int64_t ntk_derivative_size(const struct ntk_tape_step *s)
{
    return (s->places * s->in_shape->c + (s->b >= 0)) * s->out_shape.c;
}

/* Where an affine step's share of the tangent kernel goes. */
struct ntk_share {
    const struct ntk_tape_step *step;
    const struct ntk_simd *simd;
    int threads;
    bool symmetric; /* both sides are the same block: entries i <= j are enough */
    int64_t copies;
    bool blocks; /* all pairs of cotangents, [.][.][copies][copies]; else their sum */
    struct ntk_side side[2];
    void *k;            /* entry (i, j) at k + (i ld + j) stride, added to */
    int64_t ld, stride; /* elements */
    double factor;
    void *scratch;
};

/* One element type's loops. */
struct ntk_finite {
    const struct ntk_step_class *step[NTK_N_STEPS];
    /* Whether derivatives need fewer multiplications than products of positions. */
    bool (*derivatives_are_cheaper)(const struct ntk_share *s);
    /* Derivatives of side[0]: of cotangent c of sample i at out + i per_sample + c per_copy
     * numbers. Needs the scratch of the step's class. */
    void (*differentiate)(const struct ntk_share *s, int64_t per_sample, int64_t per_copy,
                          void *out);
    /* Bytes of scratch of a share. */
    size_t (*share_scratch)(const struct ntk_share *s);
    void (*share)(const struct ntk_share *s);
    /* y = a x + b y for n numbers; y is not read if b is 0 */
    void (*combine)(int threads, int64_t n, double a, const void *x, double b, void *y);
    double (*dot)(int64_t n, const void *x, const void *y); /* in float64, in order */
    bool (*all_finite)(int64_t n, const void *x);
    /* out = x of either type */
    void (*convert)(int64_t n, const void *x, ntk_dtype from, void *out);
    /* k[n1][n2] = sum over c of a[n1][c] b[n2][c], times factor */
    void (*inner)(int threads, int64_t n1, int64_t n2, int64_t c, double factor, const void *a,
                  const void *b, void *k);
};
extern const struct ntk_finite ntk_finite_f32, ntk_finite_f64;

static inline const struct ntk_finite *ntk_finite_of(ntk_dtype dtype)
{
    return dtype == NTK_F32 ? &ntk_finite_f32 : &ntk_finite_f64;
}

#endif
