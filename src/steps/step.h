/* SPDX-License-Identifier: MIT
 *
 * step.h - what a step of a finite network is. One file a step, one entry in steps.def.
 *
 * The file is compiled as plain C, and once for each element type with NTK_REAL defined:
 *
 *     #include "steps/step.h"
 *     struct name { ... };                          its private struct, if it has one
 *     #ifdef NTK_REAL
 *     #include "steps/typed.h"
 *     ... static void forward(...), jvp, vjp
 *     const struct ntk_step_loops NTK_TYPED(ntk_loops_name) = {.forward = forward, ...};
 *     #else
 *     NTK_STEP_LOOPS(name)
 *     const struct ntk_step_class ntk_step_name = {.name = "name", NTK_STEP_TABLES(name)};
 *     ... void ntk_tape_name(...)                   its builder: tape.h
 *     #endif
 *
 * Arrays of values are [n][size of the value], row-major. theta and dtheta are the step's own
 * parameters alone, its arrays one after the other.
 */
#ifndef NTK_STEP_H
#define NTK_STEP_H

#include "simd/simd.h"
#include "steps/tape.h"

/* One step on n samples. */
struct ntk_run {
    const struct ntk_tape_step *step;
    const struct ntk_simd *simd;
    int threads;
    int64_t n;
    int64_t copies; /* cotangents of each sample: they are [n][copies][size] */
    const void *theta;
    void *scratch; /* ntk_step_loops.scratch bytes */
};

/* A block of samples of one side of a tangent kernel, at one step. */
struct ntk_side {
    int64_t n;
    const void *const *x; /* inputs; of ntk_finite.contract: not read */
    const void *g;        /* cotangents [n][copies][size]; of contract: derivatives [n][copies][n_theta] */
};

/* Where a step's share of the tangent kernel goes: sum over its parameters of
 * df[o]/dtheta(x1) df[o']/dtheta(x2), times factor. */
struct ntk_share {
    const struct ntk_tape_step *step;
    const struct ntk_simd *simd;
    int threads;
    const void *theta;
    bool symmetric; /* both sides are the same block: entries i <= j are enough */
    int64_t copies;
    bool blocks; /* all pairs of cotangents, [.][.][copies][copies]; else their sum */
    struct ntk_side side[2];
    void *k;            /* entry (i, j) at k + (i ld + j) stride, added to */
    int64_t ld, stride; /* elements */
    double factor;
    void *scratch; /* share_scratch bytes */
};

/* What a step does with samples, in one element type. Faces that may be NULL say so. */
struct ntk_step_loops {
    void (*forward)(const struct ntk_run *r, const void *const *x, void *y);
    /* dy from dx[k] (NULL: zero) and dtheta (NULL: zero). */
    void (*jvp)(const struct ntk_run *r, const void *const *x, const void *y, const void *const *dx,
                const void *dtheta, void *dy);
    /* dx[k] (NULL: not wanted), added to what is there if add[k]; dtheta += (NULL: not wanted;
     * needs copies = 1). */
    void (*vjp)(const struct ntk_run *r, const void *const *x, const void *y, const void *dy,
                void *const *dx, const bool *add, void *dtheta);
    /* Bytes of scratch of these and of differentiate; NULL: none. */
    size_t (*scratch)(const struct ntk_tape_step *step, int threads);

    /* The share of the tangent kernel, of a step with parameters: without the faces below these are
     * the products of derivatives, which vjp makes, one cotangent at a time (derivatives.c). */

    /* The derivatives, faster: what vjp adds to dtheta for each cotangent apart, that of cotangent c
     * of sample i to out + i per_sample + c per_copy numbers. NULL: by vjp. */
    void (*differentiate)(const struct ntk_run *r, const void *const *x, const void *y,
                          const void *g, int64_t per_sample, int64_t per_copy, void *out);
    /* Adds the share from inputs and cotangents, which are kept if that is cheaper. NULL: derivatives
     * are kept, always. */
    void (*share)(const struct ntk_share *s);
    size_t (*share_scratch)(const struct ntk_share *s); /* bytes; needed with share */
    /* Whether derivatives need fewer multiplications than share; needed with it. Pointers of s are
     * not set. */
    bool (*derivatives_are_cheaper)(const struct ntk_share *s);
};

struct ntk_step_class {
    const char *name;
    size_t size;      /* bytes of the private struct */
    bool linear;      /* in its inputs, up to a constant: a cotangent goes back alike for all samples */
    bool elementwise; /* it has one input, and y[i] is a function of x[i] alone */
    bool by_channel;  /* each parameter is of one channel of the output: others do not depend on it */
    const struct ntk_step_loops *f32, *f64;
};

#define NTK_STEP_LOOPS(name) \
    extern const struct ntk_step_loops ntk_loops_##name##_f32, ntk_loops_##name##_f64;
#define NTK_STEP_TABLES(name) .f32 = &ntk_loops_##name##_f32, .f64 = &ntk_loops_##name##_f64

#define STEP(name, parameters) extern const struct ntk_step_class ntk_step_##name;
#include "steps/steps.def"
#undef STEP

static inline const struct ntk_step_loops *ntk_step_loops(const struct ntk_tape_step *s,
                                                          ntk_dtype dtype)
{
    return dtype == NTK_F32 ? s->cls->f32 : s->cls->f64;
}

/* NTK_ENOTSUP, with the step and the face, if a required face is missing. */
ntk_status ntk_step_check(ntk_ctx *ctx, const struct ntk_step_class *cls);

#endif
