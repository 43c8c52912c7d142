/* SPDX-License-Identifier: MIT
 *
 * ranks.c - `mpirun -n R ntk ...`: the first process writes reports, notes and results, the others only why they failed, if
 * it did not fail as well.
 */
#define _GNU_SOURCE /* memfd_create */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define PATIENCE 2 /* seconds */

static struct {
    int rank, ranks; /* as who started it says; of one: this process is alone */
    int err;         /* standard error, where `said` stands in its place; -1 */
    int said;
    double sent;
} process = {.ranks = 1, .err = -1, .said = -1};

/* Open MPI, PMI of other starters, PMIx under Slurm. */
static void find_ranks(void)
{
    static const char *const names[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                           {"PMI_RANK", "PMI_SIZE"},
                                           {"PMIX_RANK", "SLURM_NTASKS"}};

    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const char *rank = getenv(names[k][0]), *ranks = getenv(names[k][1]);

        if (rank && ranks && atoi(ranks) > 1) {
            process.rank = atoi(rank);
            process.ranks = atoi(ranks);
            return;
        }
    }
}

void ranks_begin(void)
{
    int null;

    find_ranks();
    if (process.rank == 0)
        return;
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    process.said = memfd_create("ntk", MFD_CLOEXEC);
    process.err = fcntl(2, F_DUPFD_CLOEXEC, 3);
    if (null >= 0)
        dup2(null, 1);
    if (process.said >= 0 && process.err >= 0)
        dup2(process.said, 2);
}

bool ranks_lead(void) { return process.rank == 0; }

static bool is_one_of(const char *name, const char *a, const char *b, const char *c)
{
    return strcmp(name, a) == 0 || strcmp(name, b) == 0 || strcmp(name, c) == 0;
}

static bool shares(const char *command) { return is_one_of(command, "kernel", "eval", "fit"); }
static bool takes_products(const char *solver) { return is_one_of(solver, "scalapack", "cg", "lanczos"); }

int ranks_join(ntk_ctx *ctx, const char *command, struct args *a)
{
    if (process.ranks == 1)
        return EXIT_OK;
    a->quiet = a->quiet || process.rank > 0;
    if (!shares(command) || a->info || a->verify || a->mend)
        return usage("%d processes were started: kernel, eval and fit share their work, '%s' runs in one", process.ranks, command);
    if (strcmp(command, "kernel") == 0 && !a->kernel && !(a->out && ends_with(a->out, ".h5")))
        return usage("%d processes write a kernel to a store: --out must end with .h5", process.ranks);
    if (strcmp(command, "kernel") == 0 && a->kernel && a->out)
        return usage("%d processes write a kernel to a store: leave --out out, and read it with one process", process.ranks);
    if (a->solver && !takes_products(a->solver))
        return usage("%d processes solve by scalapack (default), cg or lanczos, got --solver %s", process.ranks, a->solver);
    if (a->leave_one_out || ridge_is_chosen(a) || !isinf(a->time))
        return usage("%d processes have no leave-one-out, which --loo and --diag-reg auto need, and no --time: take one",
                     process.ranks);
    TRY(ctx, ntk_ctx_join(ctx, NULL));
    report_start(ctx, command, a->quiet);
    if (strcmp(command, "kernel") != 0 && !a->solver)
        a->solver = "scalapack";
    note("%d ranks of %d threads", ntk_ctx_ranks(ctx), ntk_ctx_threads(ctx));
    return EXIT_OK;
}

void ranks_count(ntk_ctx *ctx)
{
    if (process.ranks > 1)
        process.sent = ntk_ctx_sent(ctx);
}

void ranks_say(struct json *j)
{
    if (process.ranks > 1 && j) {
        json_integer(j, "ranks", process.ranks);
        json_number(j, "sent_bytes", process.sent);
    } else if (process.ranks > 1) {
        note("%d ranks sent %.0f bytes", process.ranks, process.sent);
    }
}

/* A failure that all ranks have was said by the first one, which has ended the others by then. */
static void say_failure(void)
{
    char text[4000];
    ssize_t n;

    signal(SIGTERM, SIG_DFL);
    sleep(PATIENCE);
    fflush(stderr);
    n = pread(process.said, text, sizeof text, 0);
    dprintf(process.err, "ntk: rank %d of %d: %.*s", process.rank, process.ranks, n > 0 ? (int)n : 0, text);
}

/* Who starts processes ends all when one fails, and may not have read by then what was said. */
static void let_read(void)
{
    const struct timespec pause = {.tv_nsec = 300000000};

    fflush(stdout);
    nanosleep(&pause, NULL);
}

void ranks_end(ntk_ctx *ctx, int code)
{
    const bool joined = ctx && ntk_ctx_ranks(ctx) > 1;

    if (process.ranks == 1)
        return;
    if (code != EXIT_OK && process.err >= 0 && !(joined && ntk_ctx_agreed(ctx)))
        say_failure();
    if (code != EXIT_OK)
        let_read();
    if (joined)
        ntk_ctx_leave(ctx, code);
}
