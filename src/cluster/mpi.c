/* SPDX-License-Identifier: MIT
 *
 * mpi.c - the ranks of an MPI communicator (base/ranks.h). All calls of MPI are made by the thread that uses the context,
 * but for the jobs that rank 0 deals: meanwhile a thread of its own answers the others, and no other one of it calls MPI.
 *
 * Bytes are counted at one end of each message. Of a broadcast every rank but the first receives all, of a sum every one
 * sends its own: trees send no more.
 */
#include "cluster/communicator.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MOST (1 << 27) /* numbers of one message: MPI counts in int */

static struct ntk_mpi *own(struct ntk_ranks *r) { return (struct ntk_mpi *)r; }

MPI_Comm ntk_mpi_comm(const ntk_ctx *ctx) { return own(ctx->ranks)->comm; }

void ntk_mpi_count(const ntk_ctx *ctx, double bytes) { ctx->ranks->sent += (int64_t)bytes; }

/* ---- collectives */

static void broadcast(struct ntk_ranks *r, void *x, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += COUNT_MOST) {
        const size_t n = bytes - at < COUNT_MOST ? bytes - at : COUNT_MOST;

        MPI_Bcast((char *)x + at, (int)n, MPI_BYTE, 0, own(r)->comm);
    }
    r->sent += r->rank > 0 ? (int64_t)bytes : 0;
}

/* On one rank, then to all: bits that each made for itself might differ. */
static void sum(struct ntk_ranks *r, size_t n, double *x)
{
    for (size_t at = 0; at < n; at += COUNT_MOST) {
        const int count = (int)(n - at < COUNT_MOST ? n - at : COUNT_MOST);

        MPI_Reduce(r->rank == 0 ? MPI_IN_PLACE : x + at, x + at, count, MPI_DOUBLE, MPI_SUM, 0, own(r)->comm);
    }
    r->sent += r->rank > 0 ? (int64_t)(n * sizeof *x) : 0;
    broadcast(r, x, n * sizeof *x);
}

static void gather(struct ntk_ranks *r, int flag, int *flags)
{
    MPI_Allgather(&flag, 1, MPI_INT, flags, 1, MPI_INT, own(r)->comm);
    r->sent += (r->ranks - 1) * (int64_t)sizeof flag;
}

struct failure {
    int status;
    char message[sizeof ((ntk_ctx *)NULL)->message];
};

static ntk_status agree(ntk_ctx *ctx, ntk_status status)
{
    struct ntk_ranks *r = ctx->ranks;
    struct failure f = {.status = status};
    int first = status == NTK_OK ? r->ranks : r->rank, of;

    MPI_Allreduce(&first, &of, 1, MPI_INT, MPI_MIN, own(r)->comm);
    r->sent += r->rank > 0 ? 2 * (int64_t)sizeof first : 0;
    if (of == r->ranks)
        return NTK_OK;
    if (of == r->rank && of > 0 && status != NTK_ECANCEL)
        ntk_fail_in(ctx, status, "rank %d of %d", r->rank, r->ranks);
    memcpy(f.message, ctx->message, sizeof f.message);
    MPI_Bcast(&f, (int)sizeof f, MPI_BYTE, of, own(r)->comm);
    ntk_fail(ctx, (ntk_status)f.status, "%s", f.message);
    r->agreed = true;
    return (ntk_status)f.status;
}

/* ---- jobs. A rank asks for the next one with what became of its last. */

enum { ASKS = 1, GETS = 2 };

struct request {
    int64_t done; /* -1: none yet */
    int64_t failed;
};

/* What rank 0 deals from; two of its threads do. */
struct deck {
    const struct ntk_dealing *d;
    struct ntk_mpi *r;
    pthread_mutex_t lock;
    int64_t next;
    bool stop;
    _Atomic bool closed; /* nobody else works any more */
};

static int64_t draw(struct deck *k)
{
    int64_t job = -1;

    pthread_mutex_lock(&k->lock);
    if (!k->stop && k->next < k->d->n)
        job = k->d->jobs[k->next++];
    pthread_mutex_unlock(&k->lock);
    return job;
}

static void stop(struct deck *k)
{
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_mutex_unlock(&k->lock);
}

static void answer(struct deck *k, int from, int *left)
{
    struct request request;
    int64_t job;

    MPI_Recv(&request, sizeof request / sizeof(int64_t), MPI_INT64_T, from, ASKS, k->r->comm, MPI_STATUS_IGNORE);
    if (request.failed)
        stop(k);
    else if (request.done >= 0 && k->d->elsewhere)
        k->d->elsewhere(k->d->user, request.done);
    job = draw(k);
    MPI_Send(&job, 1, MPI_INT64_T, from, GETS, k->r->comm);
    k->r->base.sent += (int64_t)sizeof request + (int64_t)sizeof job;
    *left -= job < 0;
}

static void *deal_to_others(void *deck)
{
    const struct timespec pause = {.tv_nsec = 200000};
    struct deck *k = deck;
    int left = k->r->base.ranks - 1;

    while (left > 0) {
        MPI_Status status;
        int asks;

        MPI_Iprobe(MPI_ANY_SOURCE, ASKS, k->r->comm, &asks, &status);
        if (asks)
            answer(k, status.MPI_SOURCE, &left);
        else
            nanosleep(&pause, NULL);
    }
    k->closed = true;
    return NULL;
}

static ntk_status work_and_deal(ntk_ctx *ctx, const struct ntk_dealing *d)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    struct deck k = {.d = d, .r = own(ctx->ranks), .lock = PTHREAD_MUTEX_INITIALIZER};
    ntk_status status = NTK_OK;
    pthread_t thread;
    int64_t job;

    if (pthread_create(&thread, NULL, deal_to_others, &k) != 0) { /* they are answered, and nothing else is done */
        k.stop = true;
        deal_to_others(&k);
        return ntk_fail(ctx, NTK_ENOMEM, "no memory for a thread");
    }
    while (status == NTK_OK && (job = draw(&k)) >= 0)
        status = d->work(d->user, job);
    if (status != NTK_OK)
        stop(&k);
    while (!k.closed) {
        nanosleep(&pause, NULL);
        if (status == NTK_OK && (status = ntk_poll(ctx)) != NTK_OK)
            stop(&k);
    }
    pthread_join(thread, NULL);
    return status;
}

static ntk_status ask_and_work(ntk_ctx *ctx, const struct ntk_dealing *d)
{
    MPI_Comm comm = own(ctx->ranks)->comm;
    struct request request = {.done = -1};
    ntk_status status = NTK_OK;

    for (;;) {
        int64_t job;

        MPI_Send(&request, sizeof request / sizeof(int64_t), MPI_INT64_T, 0, ASKS, comm);
        MPI_Recv(&job, 1, MPI_INT64_T, 0, GETS, comm, MPI_STATUS_IGNORE);
        if (job < 0)
            return status;
        status = d->work(d->user, job);
        request = (struct request){.done = job, .failed = status != NTK_OK};
    }
}

static ntk_status deal(ntk_ctx *ctx, const struct ntk_dealing *d)
{
    return agree(ctx, ctx->ranks->rank == 0 ? work_and_deal(ctx, d) : ask_and_work(ctx, d));
}

/* ---- joining and leaving */

int ntk_mpi_ranks = 1;
static bool ours; /* MPI was begun here */

/* The communicator stays, as freeing it is collective, and contexts are freed at any time. */
static void close_ranks(struct ntk_ranks *r) { free(r); }

static const struct ntk_ranks_class class = {
    .agree = agree, .broadcast = broadcast, .sum = sum, .gather = gather, .deal = deal, .close = close_ranks};

/* given: a communicator, which is nobody's before MPI begins. Two libraries in one process know nothing of each other. */
static ntk_status begin(ntk_ctx *ctx, bool given)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int begun, over, level, length;

    MPI_Finalized(&over);
    if (over)
        return ntk_fail(ctx, NTK_EINVAL, "MPI has ended in this process");
    MPI_Initialized(&begun);
    if (!begun && given) {
        MPI_Get_library_version(library, &length);
        return ntk_fail(ctx, NTK_EINVAL,
                        "a communicator is given, but MPI has not begun here, in %.*s: it must begin before, and not in "
                        "another MPI library", (int)strcspn(library, ",\n"), library);
    }
    if (!begun) {
        MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
        ours = true;
    }
    MPI_Query_thread(&level);
    return level >= MPI_THREAD_SERIALIZED
               ? NTK_OK
               : ntk_fail(ctx, NTK_ENOTSUP, "MPI was begun so that one thread may call it; it must be MPI_THREAD_SERIALIZED");
}

/* Processors and memory of a host are its ranks' in equal parts, where nothing was asked for. One that is bound to fewer has
 * those. */
static void share_host(ntk_ctx *ctx, MPI_Comm comm)
{
    const int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    MPI_Comm host;
    int here, most;

    MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &here);
    MPI_Comm_free(&host);
    most = processors / here > 1 ? processors / here : 1;
    if (!ctx->memory && here > 1)
        ntk_ctx_set_memory(ctx, ntk_ctx_memory(ctx) / (size_t)here);
    if (ctx->threads_asked || getenv("OMP_NUM_THREADS"))
        return;
    if (ctx->threads < most)
        ntk_log(ctx, 0, "each rank may use %d of the host's %d processors; %d would be its share: see mpirun --bind-to none",
                ctx->threads, processors, most);
    else
        ctx->threads = most;
}

static ntk_status check_group(ntk_ctx *ctx, MPI_Comm comm)
{
    int between = 0;

    if (comm != MPI_COMM_NULL)
        MPI_Comm_test_inter(comm, &between);
    if (comm != MPI_COMM_NULL && !between)
        return NTK_OK;
    return ntk_fail(ctx, NTK_EINVAL, "the communicator must be one of a group, got %s", between ? "one between two" : "none");
}

static ntk_status join(ntk_ctx *ctx, MPI_Comm comm)
{
    struct ntk_mpi *m;

    NTK_TRY(check_group(ctx, comm));
    m = ntk_alloc_zero(ctx, 1, sizeof *m);
    if (!m)
        return NTK_ENOMEM;
    MPI_Comm_dup(comm, &m->comm);
    MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_ARE_FATAL); /* nobody asks what calls return */
    m->base.class = &class;
    m->base.users = 1;
    MPI_Comm_rank(m->comm, &m->base.rank);
    MPI_Comm_size(m->comm, &m->base.ranks);
    ctx->ranks = &m->base;
    ntk_mpi_ranks = m->base.ranks;
    share_host(ctx, m->comm);
    return NTK_OK;
}

ntk_status ntk_ctx_join(ntk_ctx *ctx, void *communicator)
{
    if (ctx->ranks)
        return ntk_fail(ctx, NTK_EINVAL, "this context has joined already");
    NTK_TRY(begin(ctx, communicator != NULL));
    return join(ctx, communicator ? *(MPI_Comm *)communicator : MPI_COMM_WORLD);
}

ntk_status ntk_mpi_alone(ntk_ctx *ctx)
{
    NTK_TRY(begin(ctx, false));
    return join(ctx, MPI_COMM_SELF);
}

void ntk_ctx_leave(ntk_ctx *ctx, int code)
{
    if (code && !ntk_ctx_agreed(ctx))
        MPI_Abort(MPI_COMM_WORLD, code);
    if (ntk_ranks_leave(ctx) && ours)
        MPI_Finalize();
}
