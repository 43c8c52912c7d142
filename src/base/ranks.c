/* SPDX-License-Identifier: MIT
 *
 * ranks.c - see ranks.h.
 */
#include "base/ranks.h"

#include <stdlib.h>
#include <string.h>

int ntk_ctx_rank(const ntk_ctx *ctx) { return ntk_rank(ctx); }
int ntk_ctx_ranks(const ntk_ctx *ctx) { return ntk_n_ranks(ctx); }

double ntk_ctx_sent(ntk_ctx *ctx)
{
    double all = ctx->ranks ? (double)ctx->ranks->sent : 0;

    ntk_ranks_sum(ctx, 1, &all);
    return all;
}

int ntk_ctx_agreed(const ntk_ctx *ctx) { return !ctx->ranks || ctx->ranks->agreed; }

ntk_status ntk_ctx_join_as(ntk_ctx *ctx, const ntk_ctx *other)
{
    if (ctx->ranks)
        return ntk_fail(ctx, NTK_EINVAL, "this context has joined already");
    if (!other->ranks)
        return NTK_OK;
    ctx->ranks = other->ranks;
    ctx->ranks->users++;
    if (!ctx->threads_asked)
        ctx->threads = other->threads;
    if (!ctx->memory)
        ntk_ctx_set_memory(ctx, other->memory);
    return NTK_OK;
}

bool ntk_ranks_leave(ntk_ctx *ctx)
{
    struct ntk_ranks *r = ctx->ranks;
    const bool last = r && --r->users == 0;

    ctx->ranks = NULL;
    if (last)
        r->class->close(r);
    return last;
}

ntk_status ntk_ranks_agree(ntk_ctx *ctx, ntk_status status)
{
    return ctx->ranks ? ctx->ranks->class->agree(ctx, status) : status;
}

void ntk_ranks_broadcast(ntk_ctx *ctx, void *x, size_t bytes)
{
    if (ctx->ranks && bytes > 0)
        ctx->ranks->class->broadcast(ctx->ranks, x, bytes);
}

void ntk_ranks_sum(ntk_ctx *ctx, size_t n, double *x)
{
    if (ctx->ranks && n > 0)
        ctx->ranks->class->sum(ctx->ranks, n, x);
}

ntk_status ntk_ranks_deal(ntk_ctx *ctx, const struct ntk_dealing *d)
{
    ntk_status status = NTK_OK;

    if (ctx->ranks)
        return ctx->ranks->class->deal(ctx, d);
    for (int64_t k = 0; k < d->n && status == NTK_OK; k++)
        status = d->work(d->user, d->jobs[k]);
    return status;
}

/* ---- the same text */

/* "rank 1", "ranks 1 and 3", "ranks 1, 2 and 3": those whose flag is set. */
static void list(int ranks, const int *flags, struct ntk_text *t)
{
    int left = 0, first = 1;

    for (int k = 0; k < ranks; k++)
        left += flags[k] != 0;
    ntk_text_add(t, left > 1 ? "ranks " : "rank ");
    for (int k = 0; k < ranks; k++)
        if (flags[k]) {
            ntk_text_add(t, "%s%d", first ? "" : left > 1 ? ", " : " and ", k);
            first = 0;
            left--;
        }
}

/* The first line that two texts do not share. */
static ntk_status differs(ntk_ctx *ctx, const int *flags, const char *own, const char *leader)
{
    struct ntk_text t = {0};
    ntk_status status;

    for (size_t n; *own && (n = strcspn(own, "\n")) == strcspn(leader, "\n") && strncmp(own, leader, n) == 0;
         own += n + (own[n] != 0), leader += n + (leader[n] != 0))
        if (!own[n] || !leader[n])
            break;
    list(ntk_n_ranks(ctx), flags, &t);
    status = ntk_fail(ctx, NTK_EINVAL,
                      "here '%.*s', on rank 0 '%.*s': all ranks must have the same data, nets, options and version; others than "
                      "rank 0 has %s",
                      (int)strcspn(own, "\n"), own, (int)strcspn(leader, "\n"), leader, t.failed ? "a rank" : t.s);
    free(t.s);
    return status;
}

ntk_status ntk_ranks_same(ntk_ctx *ctx, const char *text)
{
    size_t length = strlen(text) + 1;
    char *leader;
    int *flags;
    ntk_status status;

    if (!ctx->ranks)
        return NTK_OK;
    ntk_ranks_broadcast(ctx, &length, sizeof length);
    leader = ntk_alloc(ctx, length, 1);
    flags = ntk_alloc_zero(ctx, (size_t)ntk_n_ranks(ctx), sizeof *flags);
    status = ntk_ranks_agree(ctx, leader && flags ? NTK_OK : NTK_ENOMEM);
    if (status == NTK_OK) {
        if (ntk_rank(ctx) == 0)
            memcpy(leader, text, length);
        ntk_ranks_broadcast(ctx, leader, length);
        ctx->ranks->class->gather(ctx->ranks, strcmp(text, leader) != 0, flags);
        if (strcmp(text, leader) != 0)
            status = differs(ctx, flags, text, leader);
        status = ntk_ranks_agree(ctx, status);
    }
    free(flags);
    free(leader);
    return status;
}
