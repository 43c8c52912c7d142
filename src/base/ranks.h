/* SPDX-License-Identifier: MIT
 *
 * ranks.h - processes that do a context's work together, numbered from 0: the ranks. A context that joined none of them is
 * rank 0 of 1, and all of this is then nothing, or a plain loop.
 *
 * All but the numbers and `deal`'s jobs is collective: every rank calls the same, in the same order. What may fail on one
 * rank only is followed by ntk_ranks_agree, so that all of them end, with one message. The way between processes is a
 * class; there is one, MPI's (cluster/mpi.c), in builds that have it.
 */
#ifndef NTK_RANKS_H
#define NTK_RANKS_H

#include "base/base.h"

struct ntk_ranks;

/* Jobs that ranks take as they come, of a list that is rank 0's. */
struct ntk_dealing {
    int64_t n;
    const int64_t *jobs;
    ntk_status (*work)(void *user, int64_t job);
    void (*elsewhere)(void *user, int64_t job); /* on rank 0, from another thread: another rank has done it; or NULL */
    void *user;
};

struct ntk_ranks_class {
    /* The failure of the first rank that has one, its message, too, to all. */
    ntk_status (*agree)(ntk_ctx *ctx, ntk_status status);
    void (*broadcast)(struct ntk_ranks *r, void *x, size_t bytes); /* from rank 0 */
    void (*sum)(struct ntk_ranks *r, size_t n, double *x);         /* the same bits on all ranks */
    /* flags [ranks] of all, from each one's own */
    void (*gather)(struct ntk_ranks *r, int own, int *flags);
    ntk_status (*deal)(ntk_ctx *ctx, const struct ntk_dealing *d);
    void (*close)(struct ntk_ranks *r);
};

struct ntk_ranks {
    const struct ntk_ranks_class *class;
    int rank, ranks;
    _Atomic int users;      /* contexts that are this rank */
    bool agreed;            /* the last failure is known to all */
    _Atomic int64_t sent;   /* bytes that came from, or went to, this rank and are counted here; none is counted twice */
};

static inline int ntk_rank(const ntk_ctx *c) { return c->ranks ? c->ranks->rank : 0; }
static inline int ntk_n_ranks(const ntk_ctx *c) { return c->ranks ? c->ranks->ranks : 1; }
/* Whether job number k of a fixed order is this rank's. */
static inline bool ntk_rank_has(const ntk_ctx *c, int64_t k) { return k % ntk_n_ranks(c) == ntk_rank(c); }

/* Of a context that goes, or works alone from here on; whether it was the last that was this rank. */
bool ntk_ranks_leave(ntk_ctx *ctx);
ntk_status ntk_ranks_agree(ntk_ctx *ctx, ntk_status status);
void ntk_ranks_broadcast(ntk_ctx *ctx, void *x, size_t bytes);
void ntk_ranks_sum(ntk_ctx *ctx, size_t n, double *x);
/* NTK_EINVAL unless all ranks have the same text, lines: says which have another than rank 0, and the first line. */
ntk_status ntk_ranks_same(ntk_ctx *ctx, const char *text);
/* Each job once; ends with an agreement. A rank that fails, or is cancelled, ends it. */
ntk_status ntk_ranks_deal(ntk_ctx *ctx, const struct ntk_dealing *d);

#endif
