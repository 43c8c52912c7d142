/* SPDX-License-Identifier: MIT
 *
 * Commands when memory runs out. The linker leads what the library and the commands allocate
 * through the functions below (--wrap); what HDF5, OpenBLAS and SUNDIALS allocate for themselves is
 * set aside: they crash when that fails. Every command runs once whole, which notes the first
 * allocation on each new way to a call; then once for each of those, which fails. The command must
 * end with a sentence about memory.
 */
#include <execinfo.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define SITES_MAX 4096
#define FRAMES    10 /* of the stack, that make a way */
#define FORMATS   NTK_SOURCE_ROOT "/tests/golden/formats/"

/* Shared with the processes that the commands run in. */
static struct watch {
    bool on;
    long failing; /* the allocation that fails, from 1; 0: none, ways to calls are noted for all
                     commands */
    long count;
    int n_sites;
    struct {
        uint64_t hash;
        long first;
    } sites[SITES_MAX];
} * watch;

static uint64_t way_here(void)
{
    void *frames[FRAMES];
    const int n = backtrace(frames, FRAMES);
    uint64_t h = 0xcbf29ce484222325u;

    for (int k = 0; k < n; k++)
        h = (h ^ (uint64_t)(uintptr_t)frames[k]) * 0x100000001b3u;
    return h;
}

static void note_site(void)
{
    const uint64_t hash = way_here();

    for (int k = 0; k < watch->n_sites; k++)
        if (watch->sites[k].hash == hash)
            return;
    if (watch->n_sites < SITES_MAX) {
        watch->sites[watch->n_sites].hash = hash;
        watch->sites[watch->n_sites++].first = watch->count;
    }
}

static bool fails(void)
{
    static bool inside;

    if (!watch || !watch->on || inside)
        return false;
    inside = true; /* backtrace allocates when it is first called */
    watch->count++;
    if (!watch->failing)
        note_site();
    inside = false;
    return watch->count == watch->failing;
}

#define WRAP(type, name, parameters, arguments)          \
    type __real_##name parameters;                       \
    type __wrap_##name parameters;                       \
    type __wrap_##name parameters                        \
    {                                                    \
        return fails() ? NULL : __real_##name arguments; \
    }
WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(void *, aligned_alloc, (size_t align, size_t n), (align, n))

/* A file to go on from, which stays at the end of a fit. */
#define KEPT "kept.h5"
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path) { return strcmp(path, KEPT) == 0 ? 0 : __real_unlink(path); }

/* _exit leaves out what a build with coverage has counted. */
static void write_counts(void)
{
#ifdef COVERAGE
    void __gcov_dump(void);

    __gcov_dump();
#endif
}

int __real_main(int argc, char **argv); /* the command line's */
int __wrap_main(void);

/* ---- one run of a command */

static char work[] = "/tmp/ntk-memory-XXXXXX";

/* In a process of its own: what is left of words between bars, as the command line's arguments. */
static void run_here(const char *command, long failing, unsigned seconds)
{
    char text[1000], *argv[40], *rest = text;
    int argc = 0;

    signal(SIGSEGV, SIG_DFL); /* the test framework's would go on as the test */
    if (chdir(work) != 0 || !freopen("out", "w", stdout) || !freopen("err", "w", stderr))
        _exit(99);
    snprintf(text, sizeof text, "ntk|%s|--threads|1", command);
    while ((argv[argc] = strsep(&rest, "|")))
        argc++;
    unlink("c.h5");
    watch->failing = failing;
    watch->count = 0;
    alarm(seconds);
    watch->on = true;
    argc = __real_main(argc, argv);
    watch->on = false;
    fflush(NULL);
    write_counts();
    _exit(argc); /* without a look for leaks: the process ends */
}

/* What a run before has computed into a store, this one computes again. */
static void remove_store(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -f '%s/store.h5' '%s/k.h5'", work, work);
    assert_int_equal(system(command), 0);
}

static int run(const char *command, long failing, unsigned seconds)
{
    int status = 0;
    pid_t pid;

    if (strncmp(command, "kernel|", 7) == 0)
        remove_store();
    pid = fork();
    if (pid == 0)
        run_here(command, failing, seconds);
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static const char *said(void)
{
    static char text[4096];
    char path[64];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/err", work);
    f = fopen(path, "r");
    n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

/* A sentence of ours, not a sanitizer's report. Only what is kept on the way may fail, and the command not. */
static bool says_no_memory(int code)
{
    const char *text = said();

    return (code != 0 || strstr(text, "is not kept on the way")) && strstr(text, "memory") && !strstr(text, "Sanitizer") &&
           !strstr(text, "runtime error");
}

/* ---- the commands */

#define DATA    NTK_SOURCE_ROOT "/tests/golden/data/"
#define SAMPLES FORMATS "samples.csv"
#define TRAIN   "|--train|" SAMPLES "|--test|" SAMPLES "|--quiet"
#define DENSE   "serial(Dense(3, W_std=1.5, b_std=0.1), Erf(), Dense(2))"
#define CONV                                                                                     \
    "serial(Conv(2, (3, 3), padding='SAME'), Relu(), AvgPool((2, 2), (2, 2)), Conv(2, (2, 2)), " \
    "GlobalAvgPool(), Dense(2))"
#define BRANCHES                                                                             \
    "serial(Dense(4), FanOut(2), parallel(serial(Relu(), Dense(4)), Dense(4)), FanInSum(), " \
    "LayerNorm(), Tanh(), Dense(2))"
#define LONG_RUN 1   /* seconds of a command's first run that are looked at */
#define MOST     300 /* seconds of a run that should fail */

#define LANDMARKS                                                                                                      \
    "eval|--net|fc(depth=1)|--train|" SAMPLES "|--test|" SAMPLES "|--diag-reg|0.01|--solver|landmarks|--landmarks|3|" \
    "--checkpoint|"

struct command {
    const char *words;
    bool is_long;      /* only its beginning is looked at */
    const char *needs; /* of ntk_features() */
};
static struct command commands[] = {
    {"kernel|--net|" BRANCHES "|--net|fc(depth=2)|--get|both|--x1|" SAMPLES "|--x2|" SAMPLES
     "|--test-limit|2|--out|k.npz",
     false, ""},
    {"kernel|--net|" DENSE "|--x1|" SAMPLES "|--x2|" SAMPLES
     "|--get|both|--dtype|float32|--out|k.npz",
     false, ""},
    {"kernel|--net|" CONV "|--x1|digits/test|--train-limit|3|--out|k.npy", false, ""},
    {"kernel|--net|cntk(depth=2)|--x1|digits/test|--x2|digits/"
     "train|--train-limit|3|--test-limit|2|--dtype|float32|--out|k.h5",
     false, "hdf5"},
    {"kernel|--net|" BRANCHES "|--get|both|--x1|" SAMPLES "|--out|store.h5", false, "hdf5"},
    {"kernel|--net|fc(depth=1)|--x1|" DATA "deflated.npz|--out|k.npy", false, ""},
    {"kernel|--net|fc(depth=1)|--x1|" DATA "xy.h5|--out|k.npy", false, "hdf5"},
    {"kernel|--net|fc(depth=1)|--x1|" DATA "version2.npy|--out|k.npy", false, ""},
    {"eval|--net|" BRANCHES TRAIN "|--loo|--diag-reg|0.01", false, ""},
    {"eval|--net|fc(depth=1)|--net|fc(depth=2)" TRAIN, false, ""},
    {"eval|--net|fc(depth=1)" TRAIN "|--time|2|--json", false, ""},
    {"eval|--net|fc(depth=1)" TRAIN "|--diag-reg|0.01|--solver|cg|--rank|2", false, ""},
    {"eval|--net|fc(depth=1)" TRAIN "|--diag-reg|0.01|--solver|mixed", false, ""},
    {"features|--net|fc(depth=1,b_std=0)" TRAIN "|--count|20|--diag-reg|0.01|--out|phi.npy", false, ""},
    {"eval|--net|fc(depth=1)" TRAIN "|--diag-reg|0.01|--solver|out-of-core|--loo", false, ""},
    {"eval|--net|fc(depth=1)" TRAIN "|--diag-reg|0.01|--solver|out-of-core|--kernel|f.h5", false, "hdf5"},
    {"plan|--net|fc(depth=1)" TRAIN, false, ""},
    {"plan|--net|cntk(depth=2)|--train|20|--input-shape|4,4,1|--json", false, ""},
    {"eval|--net|fc(depth=1)|--train|digits/train|--test|digits/test|--train-limit|30|--test-limit|3|--diag-reg|auto|--loo|"
     "--solver|landmarks|--landmarks|3",
     false, ""},
    {"eval|--net|fc(depth=1)" TRAIN "|--diag-reg|0.01|--solver|landmarks|--landmarks|3|--dtype|float32", false, ""},
    {LANDMARKS "c.h5", false, "hdf5"},
    {LANDMARKS KEPT, false, "hdf5"},
    {"predict|--model|" FORMATS "landmarks_factor-4.h5|--x|" SAMPLES "|--std|--out|p.npz|--quiet", false, "hdf5"},
    {"fit|--net|fc(depth=1)|--train|" SAMPLES "|--factor|--out|m.h5|--quiet", false, "hdf5"},
    {"predict|--model|" FORMATS "factor-2.h5|--x|" SAMPLES "|--std|--out|p.npz|--quiet", false,
     "hdf5"},
    {"predict|--model|" FORMATS "model-2.h5|--x|" SAMPLES "|--std|--out|p.h5|--quiet", false,
     "hdf5"},
    {"dynamics|--net|fc(depth=1)" TRAIN "|--times|0,1,inf|--std|--out|d.npz", false, ""},
    {"dynamics|--net|fc(depth=1)" TRAIN "|--times|0.1,1|--loss|xent|--targets|onehot", false,
     "sundials"},
    {"dynamics|--params|" FORMATS "parameters-2.h5" TRAIN "|--times|1|--standardize|none", false,
     "hdf5"},
    {"init|--net|" BRANCHES "|--input-shape|2|--out|i.h5", false, "hdf5"},
    {"apply|--params|" FORMATS "parameters-2.h5|--x|" SAMPLES "|--out|a.npy", false, "hdf5"},
    {"apply|--params|" FORMATS "trained-3.h5|--x|" SAMPLES "|--out|a.npz", false, "hdf5"},
    {"apply|--net|" CONV "|--x|digits/test|--test-limit|3|--out|a.npy", false, ""},
    {"empirical|--net|" CONV "|--x1|digits/test|--train-limit|3|--full|--out|k.npy", false, ""},
    {"empirical|--net|" DENSE "|--x1|" SAMPLES "|--x2|" SAMPLES "|--networks|3|--out|k.npz", false,
     ""},
    {"empirical|--net|" DENSE "|--x1|" SAMPLES "|--get|nngp|--diagonal|--out|k.npy", false, ""},
    {"train|--net|" DENSE TRAIN "|--steps|4|--batch|2|--momentum|0.5|--checkpoint|c.h5|--log|l.csv|"
                                "--record|r.npz|--kernels|--out|t.h5",
     false, "hdf5"},
    {"train|--net|serial(Dense(3, b_std=0.1), Erf(), Dense(2))" TRAIN
     "|--standardize|none|--momentum|0.5|--lr|0.1|--seed|7|--batch|3|--steps|5|--checkpoint|"
     "resumed.h5|--out|t.h5",
     false, "hdf5"},
    {"layers|Dense", false, ""},
    {"net|--net|" BRANCHES "|--net|" DENSE "|--input-shape|2|--graph", false, ""},
    {"net|--net|" CONV "|--input-shape|8,8,3|--graph|dot|--json", false, ""},
    {"nets|fc", false, ""},
    {"info", false, ""},
    {"bench|kernel|--n|8|--d|3|--repeat|1", false, ""},
    {"bench|predict|--n|8|--m|4|--d|3|--repeat|1", true, ""},
    {"bench|empirical|--n|4|--d|3|--repeat|1", true, ""},
    {"demo|--out|demo", true, ""},
    {"lab|targets|--quick|--out|lab", true, ""},
    {"lab|init|--quick|--out|lab", true, ""},
    {"lab|lazy|--quick|--out|lab", true, ""},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void memory_runs_out(void **state)
{
    const struct command *c = *state;
    const int known = watch->n_sites, step = c->is_long ? 3 : 1;
    int status;

    if (!strstr(ntk_features(), c->needs))
        skip();
    status = run(c->words, 0, c->is_long ? LONG_RUN : MOST);
    if (!c->is_long && status != 0)
        fail_msg("without a fault: status %x, %s", (unsigned)status, said());
    for (int k = known; k < watch->n_sites; k += step) {
        status = run(c->words, watch->sites[k].first, MOST);
        if (strncmp(c->words, "plan|", 5) == 0 && watch->count < watch->sites[k].first)
            continue; /* how often it measures is a matter of the clock: this time not so often */
        if (!WIFEXITED(status) || !says_no_memory(WEXITSTATUS(status)))
            fail_msg("allocation %ld of %s: status %x, '%s'", watch->sites[k].first, c->words,
                     (unsigned)status, said());
    }
}

/* A checkpoint to go on from. */
static void copy_checkpoint(void)
{
    char bytes[1 << 14], path[64];
    FILE *f = fopen(FORMATS "checkpoint-2.h5", "rb");
    const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;

    if (f)
        fclose(f);
    snprintf(path, sizeof path, "%s/resumed.h5", work);
    f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        exit(1);
}

static void remove_work(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -r '%s'", work);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", work);
}

int __wrap_main(void)
{
    struct CMUnitTest tests[N_COMMANDS] = {{0}};
    int failed;

    watch = mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (watch == MAP_FAILED || !mkdtemp(work))
        return 1;
    copy_checkpoint();
    if (strstr(ntk_features(), "hdf5") && run(LANDMARKS KEPT, LONG_MAX, MOST) != 0)
        return 1;
    for (size_t k = 0; k < N_COMMANDS; k++)
        tests[k] = (struct CMUnitTest){
            .name = commands[k].words, .test_func = memory_runs_out, .initial_state = &commands[k]};
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_work();
    return failed;
}
