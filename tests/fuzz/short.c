/* SPDX-License-Identifier: MIT
 *
 * A fuzz target run for a short time, without libFuzzer: short SECONDS FILE ... changes some bytes
 * of each file in turn, the same ones in every run, and feeds the target. A crash or a standstill
 * inside a library that is not ours is counted, and its input set aside; any other ends with the
 * input's name and code 1.
 */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MOST  65536
#define BATCH      64 /* inputs of one process */
#define STANDSTILL 10 /* seconds */
#define THEIRS     77

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static uint64_t state;

static uint64_t draw(uint64_t below) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* Numbers that sizes and values should not be. */
static uint64_t remarkable(void)
{
    static const double reals[] = {0, -1, 1e308, -1e-300, 1.5};
    static const uint64_t integers[] = {0,
                                        1,
                                        2,
                                        255,
                                        65535,
                                        1u << 31,
                                        (1u << 31) - 1,
                                        UINT32_MAX,
                                        1ull << 32,
                                        1ull << 60,
                                        INT64_MAX,
                                        1ull << 63,
                                        UINT64_MAX,
                                        0x7ff0000000000000u,
                                        0x7ff8000000000000u};
    uint64_t bits;

    if (draw(3) > 0)
        return integers[draw(sizeof integers / sizeof *integers)];
    memcpy(&bits, &reals[draw(5)], sizeof bits);
    return bits;
}

/* Input number k of a file. */
static void mutate(uint64_t k, uint8_t *bytes, size_t n)
{
    state = k * 0x2545f4914f6cdd1du;
    for (uint64_t changes = 1 + draw(4); changes > 0 && n > 8; changes--) {
        const uint64_t value = remarkable(), width = (uint64_t)1 << draw(4);
        const size_t at = (size_t)draw(n - 8) & ~(size_t)(draw(2) ? width - 1 : 0);

        if (draw(3) == 0)
            bytes[at] ^= (uint8_t)(1u << draw(8));
        else
            memcpy(bytes + at, &value, width);
    }
}

/* Whether the innermost function that is not of the C library or of a sanitizer is of HDF5. */
static bool in_hdf5(void)
{
    void *frames[64];
    const int n = backtrace(frames, 64);

    for (int k = 0; k < n; k++) {
        Dl_info info;

        if (!dladdr(frames[k], &info) || !info.dli_fname)
            continue;
        if (strstr(info.dli_fname, "libhdf5"))
            return true;
        if (info.dli_sname && strncmp(info.dli_sname, "LLVMFuzzer", 10) == 0)
            return false;
    }
    return false;
}

static void on_signal(int signal_number)
{
    _exit(in_hdf5() ? THEIRS : signal_number);
}

/* What a sanitizer calls when it has found something; it ends the process afterwards. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void on_report(void)
{
    if (in_hdf5())
        _exit(THEIRS);
}

static void run_batch(const uint8_t *bytes, size_t n, uint64_t from, uint64_t to)
{
    static uint8_t copy[SIZE_MOST];
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGALRM};

    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(on_report);
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
        signal(signals[k], on_signal);
    for (uint64_t k = from; k < to; k++) {
        memcpy(copy, bytes, n);
        if (k > 0)
            mutate(k, copy, n);
        alarm(STANDSTILL);
        LLVMFuzzerTestOneInput(copy, n);
    }
    _exit(0);
}

/* Code of a process that runs inputs from ... to - 1. */
static int run(const uint8_t *bytes, size_t n, uint64_t from, uint64_t to, bool quiet)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0 && quiet && !freopen("/dev/null", "w", stderr))
        abort();
    if (pid == 0)
        run_batch(bytes, n, from, to);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + status;
}

static uint64_t theirs;

/* A batch; if it ends early, its inputs one by one. */
static bool feed(const char *file, const uint8_t *bytes, size_t n, uint64_t from)
{
    if (run(bytes, n, from, from + BATCH, true) == 0)
        return true;
    for (uint64_t k = from; k < from + BATCH; k++) {
        const int code = run(bytes, n, k, k + 1, true);

        if (code == THEIRS) {
            theirs++;
            printf("set aside, inside HDF5: input %llu of %s\n", (unsigned long long)k, file);
        } else if (code != 0) {
            printf("input %llu of %s: code %d\n", (unsigned long long)k, file, code);
            run(bytes, n, k, k + 1, false); /* with what the sanitizers say */
            return false;
        }
    }
    return true;
}

static size_t read_file(const char *path, uint8_t *bytes)
{
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(bytes, 1, SIZE_MOST, f) : 0;

    if (f)
        fclose(f);
    return n;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[SIZE_MOST];
    const time_t end = time(NULL) + (argc > 2 ? atoi(argv[1]) : 0);
    uint64_t from = 0, inputs = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: short SECONDS FILE ...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    do {
        for (int k = 2; k < argc; k++) {
            const size_t n = read_file(argv[k], bytes);

            if (n == 0 || !feed(argv[k], bytes, n, from))
                return 1;
            inputs += BATCH;
        }
        from += BATCH;
    } while (time(NULL) < end);
    printf("%llu inputs, %llu of them set aside\n", (unsigned long long)inputs,
           (unsigned long long)theirs);
    return 0;
}
