/* SPDX-License-Identifier: MIT
 *
 * choose.c - the solver that a fit takes when none is asked for, by memory; and what to say where none fits.
 */
#include <string.h>

#include "kernel/kernel.h"
#include "predict/model.h"
#include "store/store.h"

#define MIXED_MOST 30000 /* samples whose factor in float32 takes less than a minute */

/* In Cholesky's stead, where its float64 factor does not fit into memory: half of that holds a float32 factor, and half a
 * float32 kernel, each entry of which conjugate gradients take as it is. */
static const char *smaller(const ntk_fit_opts *o, const struct ntk_task *t, size_t memory)
{
    ntk_fit_opts with = *o;

    with.solver = "mixed";
    return o->dtype == NTK_F64 && t->n <= MIXED_MOST && ntk_model_peak(&with, t->n, t->outputs) <= memory ? "mixed" : "cg";
}

/* ---- bytes beside the solver */

/* A store holds tiles: those that it computes at once, or one that is read, and its rows, turned. */
#define TURNED 64   /* rows of each thread */
#define SIDE   2048 /* of a tile at most */

static ntk_status of_store(ntk_ctx *ctx, const ntk_fit_opts *o, const ntk_kernel *kernel, int64_t n, struct ntk_choice *c)
{
    const size_t matrices = ntk_kernel_outputs(kernel);
    size_t tile = ntk_store_bytes(kernel, o->dtype, n, n) / matrices, rows = (size_t)ntk_least(n, SIDE), read;
    ntk_kernel_store *store;
    ntk_store_info info;
    bool whole = false;
    ntk_status status;

    ntk_store_info_init(&info);
    status = ntk_store_is_there(o->store) ? ntk_store_read(ctx, o->store, &store) : NTK_EIO;
    if (status == NTK_ENOMEM)
        return status;
    if (status == NTK_OK) { /* what is wrong, opening says */
        if (ntk_store_about(store, &info) == NTK_OK) {
            tile = (size_t)(info.tile_rows * info.tile_columns) * (size_t)info.dtype;
            rows = (size_t)info.tile_rows;
            whole = info.done == info.tiles;
        }
        ntk_store_free(store);
    }
    read = tile + (size_t)ntk_ctx_threads(ctx) * TURNED * rows * o->dtype;
    c->scratch = whole ? 0 : c->scratch + matrices * tile;
    c->scratch = c->scratch > read ? c->scratch : read;
    c->widened = o->dtype == NTK_F32 ? tile / NTK_F32 * NTK_F64 : 0;
    return NTK_OK;
}

static ntk_status find_scratch(ntk_ctx *ctx, const ntk_fit_opts *o, const struct ntk_task *t, struct ntk_choice *c)
{
    ntk_kernel *kernel;
    ntk_status status;

    NTK_TRY(ntk_kernel_new(ctx, &t->net, 1, ntk_model_want(o), o->dtype, t->x->shape, &kernel));
    status = ntk_kernel_scratch(kernel, t->x, NULL, &c->scratch);
    if (status == NTK_OK && o->store)
        status = of_store(ctx, o, kernel, t->n, c);
    ntk_kernel_free(kernel);
    return status;
}

/* ---- the choice */

void ntk_model_find_left(const ntk_ctx *ctx, const struct ntk_task *t, struct ntk_choice *c)
{
    const size_t bound = ntk_ctx_memory(ctx) + (ctx->memory ? 0 : t->freed);

    c->held = t->coming + (ctx->memory && ctx->held > t->freed ? ctx->held - t->freed : 0);
    c->left = c->held < bound ? bound - c->held : 0;
    c->bound = bound;
}

ntk_status ntk_model_choose_solver(ntk_ctx *ctx, const struct ntk_task *t, bool asked, ntk_fit_opts *own,
                                   struct ntk_choice *c)
{
    const size_t need = t->n > 0 ? ntk_model_peak(own, t->n, t->outputs) : 0;
    ntk_fit_opts other = *own;

    *c = (struct ntk_choice){.asked = asked, .scratch = t->scratch};
    ntk_model_find_left(ctx, t, c);
    if (t->net && t->x && (need > c->left / 4 || own->store)) /* it is not asked where it cannot matter */
        NTK_TRY(find_scratch(ctx, own, t, c));
    if (asked || strcmp(own->solver, "cholesky") != 0 || own->diag_reg == NTK_DIAG_REG_AUTO || need + c->scratch <= c->left)
        return NTK_OK;
    other.keep = 0; /* both keep the matrix themselves, or ask for it again */
    other.solver = smaller(own, t, c->left > c->scratch ? c->left - c->scratch : 0);
    if (ntk_model_peak(&other, t->n, t->outputs) >= need) /* of few samples */
        return NTK_OK;
    own->solver = other.solver;
    own->keep = 0;
    c->instead = true;
    ntk_format(c->reason, sizeof c->reason, "'cholesky' needs %.2f MiB, of %s memory %.2f MiB are left",
               (double)(need + c->scratch) / 0x1p20, ctx->memory ? "allowed" : "available", (double)c->left / 0x1p20);
    return NTK_OK;
}

/* ---- where nothing fits */

static size_t need_of(const ntk_fit_opts *o, const struct ntk_task *t, const struct ntk_choice *c)
{
    return ntk_model_peak(o, t->n, t->outputs) + c->scratch + (ntk_model_solver_class(o)->put ? 0 : c->widened);
}

/* Of all solvers that take such options. */
static size_t least_of(const ntk_fit_opts *own, const struct ntk_task *t, const struct ntk_choice *c, const char **least)
{
    size_t bytes = SIZE_MAX;

    for (size_t k = 0; k < ntk_n_solvers; k++) {
        ntk_fit_opts o = *own;

        if (ntk_solvers[k]->eigen && (o.weights || o.noise))
            continue;
        o.keep = 0;
        o.solver = ntk_solvers[k]->name;
        if (need_of(&o, t, c) < bytes) {
            bytes = need_of(&o, t, c);
            *least = o.solver;
        }
    }
    return bytes;
}

ntk_status ntk_model_check_choice(ntk_ctx *ctx, const ntk_fit_opts *own, const struct ntk_task *t, const struct ntk_choice *c)
{
    char need[32], have[32], enough[32];
    const char *least = NULL;
    size_t bytes;

    if (t->n <= 0 || own->finite_time || own->diag_reg == NTK_DIAG_REG_AUTO || ntk_model_total(own, t->n, t->outputs, c->scratch) <= c->left)
        return NTK_OK; /* eigenvectors and leave-one-out leave no choice, and say themselves what they need */
    bytes = least_of(own, t, c, &least);
    ntk_bytes_text(need_of(own, t, c) + c->held, need);
    ntk_bytes_text(bytes + c->held, enough);
    ntk_bytes_text(c->bound, have);
    if (strcmp(least, own->solver) == 0)
        return ntk_fail(ctx, NTK_ENOMEM, "a fit of %lld samples needs %s, by the solver '%s', which takes the least; %s are %s", (long long)t->n,
                        enough, least, have, ctx->memory ? "allowed" : "available");
    return ntk_fail(ctx, NTK_ENOMEM,
                    "a fit of %lld samples by the solver '%s' needs %s, %s are %s; the least that would do is %s, by the solver '%s'",
                    (long long)t->n, own->solver, need, have, ctx->memory ? "allowed" : "available", enough, least);
}
