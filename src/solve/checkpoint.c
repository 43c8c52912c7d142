/* SPDX-License-Identifier: MIT
 *
 * checkpoint.c - see checkpoint.h. The file is HDF5: attributes `format`, `about`, `ridge` and `targets` (hashes), and
 * `solutions`, [m][n].
 */
#include "solve/checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

struct ntk_problem ntk_problem_of(int64_t n, int64_t m, const double *ridge, const double *y)
{
    return (struct ntk_problem){n, m, ntk_hash(ridge, (size_t)n * sizeof *ridge), ntk_hash(y, (size_t)(m * n) * sizeof *y)};
}

void ntk_checkpoint_drop(const struct ntk_checkpoint *c) { (void)unlink(c->path); }

/* ---- how often */

#define SELDOM 50  /* times as long as writing takes, at least, lies between, */
#define PAUSE  1   /* and so many seconds */
#define DISK   5e8 /* bytes a second, before the first is written */

void ntk_pace_begin(struct ntk_pace *p, double bytes) { *p = (struct ntk_pace){ntk_seconds(), bytes / DISK}; }

bool ntk_pace_due(const struct ntk_pace *p) { return ntk_seconds() - p->last > fmax(SELDOM * p->cost, PAUSE); }

void ntk_pace_wrote(struct ntk_pace *p, double start)
{
    p->last = ntk_seconds();
    p->cost = p->last - start;
}

/* ---- of no use */

/* The first line in which two texts differ, of either. */
static void find_difference(const char **a, const char **b)
{
    for (;;) {
        const size_t n = strcspn(*a, "\n"), m = strcspn(*b, "\n");

        if (n != m || strncmp(*a, *b, n) != 0 || !(*a)[n] || !(*b)[m])
            return;
        *a += n + 1;
        *b += m + 1;
    }
}

ntk_status ntk_checkpoint_refuse(ntk_ctx *ctx, const struct ntk_checkpoint *c, const char *what, const char *theirs)
{
    const char *a = theirs, *b = c->about;

    find_difference(&a, &b);
    if (!c->asked) {
        ntk_log(ctx, 0, "%s is of another %s: it is not read", c->path, what);
        return NTK_OK;
    }
    return ntk_fail(ctx, NTK_EINVAL, "it is of another %s: its %.*s; here, %.*s. Choose another file, or remove it", what,
                    (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

ntk_status ntk_checkpoint_read(ntk_ctx *ctx, ntk_status status)
{
    return status == NTK_EIO ? ntk_fail_in(ctx, status, "the fit cannot go on from its checkpoint; remove it to begin anew")
                             : status;
}

/* ---- files */

#ifdef NTK_HDF5

#include "base/h5.h"

#define KIND   "checkpoint of a solution"
#define FORMAT 1

static void problem_io(struct ntk_h5 *f, struct ntk_problem *p, bool write)
{
    ntk_h5_attribute(f, "ridge", H5T_NATIVE_UINT64, 1, &p->ridge, write);
    ntk_h5_attribute(f, "targets", H5T_NATIVE_UINT64, 1, &p->targets, write);
}

ntk_status ntk_checkpoint_save(ntk_ctx *ctx, const struct ntk_checkpoint *c, const struct ntk_problem *p, const double *x)
{
    struct ntk_h5 f = {.ctx = ctx};
    struct ntk_problem problem = *p; /* reading and writing share code that fills in */
    double *numbers = ntk_alloc(ctx, (size_t)(p->m * p->n), sizeof *numbers);
    ntk_status status = numbers ? ntk_h5_create(&f, c->path) : NTK_ENOMEM;

    if (status == NTK_OK) {
        memcpy(numbers, x, (size_t)(p->m * p->n) * sizeof *x);
        ntk_h5_write_format(&f, KIND, FORMAT);
        ntk_h5_write_text(&f, "about", c->about);
        problem_io(&f, &problem, true);
        ntk_h5_matrix(&f, "solutions", H5T_NATIVE_DOUBLE, p->m, p->n, numbers, true);
        status = ntk_h5_commit(&f, c->path);
    }
    free(numbers);
    return status;
}

/* Of an open file. */
static ntk_status read_solutions(struct ntk_h5 *f, const struct ntk_checkpoint *c, const struct ntk_problem *p, double *x,
                                 bool *there)
{
    struct ntk_problem found = {0};
    int64_t dims[2] = {0};
    char *about;
    ntk_status status = NTK_OK;

    (void)ntk_h5_read_format(f, KIND, FORMAT);
    about = ntk_h5_read_text(f, "about");
    problem_io(f, &found, false);
    if (!f->what && strcmp(about, c->about) != 0) {
        status = ntk_checkpoint_refuse(f->ctx, c, "kernel matrix", about);
    } else if (!f->what && ntk_h5_dims(f, "solutions", 2, dims)) {
        *there = dims[0] == p->m && dims[1] == p->n;
        if (*there)
            ntk_h5_matrix(f, "solutions", H5T_NATIVE_DOUBLE, p->m, p->n, x, false);
        if (*there)
            ntk_h5_wrong(f, "solutions", f->what || ntk_not_finite(x, p->m * p->n) < 0, "has a number that is not finite");
        if (!*there)
            ntk_log(f->ctx, 0, "%s is of %lld targets, here are %lld: it is not read", c->path, (long long)dims[0],
                    (long long)p->m);
        else if (found.ridge != p->ridge || found.targets != p->targets)
            ntk_log(f->ctx, 0, "begins with the solutions of %s, of %s", c->path,
                    found.targets != p->targets ? "other targets" : "another ridge");
        else
            ntk_log(f->ctx, 0, "goes on from %s", c->path);
    }
    free(about);
    return f->what ? NTK_EIO : status;
}

ntk_status ntk_checkpoint_load(ntk_ctx *ctx, const struct ntk_checkpoint *c, const struct ntk_problem *p, double *x,
                               bool *there)
{
    struct ntk_h5 f = {.ctx = ctx};
    ntk_status status;

    *there = false;
    if (access(c->path, F_OK) != 0)
        return NTK_OK;
    NTK_TRY(ntk_checkpoint_read(ctx, ntk_h5_open(&f, c->path, "the checkpoint")));
    status = ntk_checkpoint_read(ctx, ntk_h5_end(&f, c->path, "checkpoint", read_solutions(&f, c, p, x, there)));
    *there = *there && status == NTK_OK;
    return status;
}

#else

ntk_status ntk_checkpoint_save(ntk_ctx *ctx, const struct ntk_checkpoint *c, const struct ntk_problem *p, const double *x)
{
    (void)p, (void)x;
    return ntk_fail(ctx, NTK_ENOTSUP, "cannot write %s: this build has no HDF5", c->path);
}

ntk_status ntk_checkpoint_load(ntk_ctx *ctx, const struct ntk_checkpoint *c, const struct ntk_problem *p, double *x,
                               bool *there)
{
    (void)p, (void)x;
    *there = false;
    return access(c->path, F_OK) != 0
               ? NTK_OK
               : ntk_fail(ctx, NTK_ENOTSUP, "cannot read %s: this build has no HDF5", c->path);
}

#endif
