/* SPDX-License-Identifier: MIT
 *
 * report.c - messages, notes, progress, Ctrl-C.
 */
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static struct {
    const char *name;
    bool quiet, terminal;
    bool bar;            /* a bar stands on the terminal's current line */
    double start, shown; /* when this work began, when progress was last shown */
    double first, done;  /* what was done then, and is done: work may go on from a file */
    char what[40];
} state;

static volatile sig_atomic_t interrupted;

/* Work that cannot be asked (a decomposition, a slow disk) has had its second. Files appear whole or not at
 * all, so the process can end anywhere. */
static void on_late(int signal_number)
{
    static const char text[] = "\nntk: interrupted\n";
    const size_t from = state.bar ? 0 : 1; /* the bar's line is ended first */
    const ssize_t written = write(STDERR_FILENO, text + from, sizeof text - 1 - from);

    (void)signal_number, (void)written;
    _exit(EXIT_INTERRUPTED);
}

static void on_interrupt(int signal_number)
{
    interrupted = 1;
    signal(signal_number, SIG_DFL); /* a second Ctrl-C ends the process at once */
    alarm(1);
}

/* Who starts a command with a signal ignored, as nohup and shells do in the background, wants it so. */
static void catch(int signal_number)
{
    if (signal(signal_number, SIG_IGN) != SIG_IGN)
        signal(signal_number, on_interrupt);
}

static void clear_bar(void)
{
    if (state.bar)
        fprintf(stderr, "\r\033[K");
    state.bar = false;
}

__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list ap)
{
    clear_bar();
    fprintf(stderr, "ntk%s%s: ", state.name ? " " : "", state.name ? state.name : "");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int usage(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    fprintf(stderr, "try 'ntk %s --help'\n", state.name);
    return EXIT_USAGE;
}

int failed(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    return EXIT_FAILED;
}

const char *output_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard output" : path;
}

int cannot_write(const char *path, int error)
{
    failed("cannot write %s: %s", output_name(path), strerror(error));
    return EXIT_USAGE;
}

void note(const char *fmt, ...)
{
    va_list ap;

    if (state.quiet)
        return;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

int fail(const ntk_ctx *ctx, ntk_status status) { return fail_in(ctx, NULL, status); }

int fail_in(const ntk_ctx *ctx, const char *source, ntk_status status)
{
    const char *message = ntk_errmsg(ctx);

    clear_bar();
    fprintf(stderr, "ntk %s: %s%s%s\n", state.name, source ? source : "", source ? ": " : "",
            *message ? message : ntk_strstatus(status));
    switch (status) {
    case NTK_ECANCEL:
        return EXIT_INTERRUPTED;
    case NTK_ENUMERIC:
        return EXIT_FAILED;
    default:
        return EXIT_USAGE;
    }
}

static void on_log(int level, const char *text, void *user)
{
    (void)user;
    note(level > 0 ? "warning: %s" : "%s", text);
}

static void show_bar(const char *what, double done, double total, double left)
{
    const int width = 30, filled = (int)(width * done / total);

    fprintf(stderr, "\r[%.*s%.*s] %3.0f %% of %.0f %s, %.0f s left\033[K", filled,
            "##############################", width - filled, "..............................",
            100 * done / total, total, what, left);
    state.bar = true;
}

/* What comes after a comma is about how far it is. */
static bool same_work(const char *a, const char *b)
{
    const size_t n = strcspn(a, ",");

    return n == strcspn(b, ",") && strncmp(a, b, n) == 0;
}

/* A bar on a terminal, five times a second; elsewhere a line a minute. */
static int on_progress(const char *what, double done, double total, void *user)
{
    const double now = ntk_seconds();

    (void)user;
    if (!same_work(what, state.what) || done < state.done) {
        snprintf(state.what, sizeof state.what, "%s", what);
        state.start = state.shown = now;
        state.first = done;
    }
    state.done = done;
    if (!state.quiet && done > state.first && now - state.shown > (state.terminal ? 0.2 : 60)) {
        const double left = (now - state.start) * (total - done) / (done - state.first);

        state.shown = now;
        if (state.terminal)
            show_bar(what, done, total, left);
        else
            note("%.0f of %.0f %s, %.0f s left", done, total, what, left);
    }
    if (done >= total)
        clear_bar();
    if (interrupted)
        alarm(0); /* it ends by itself, perhaps with a checkpoint */
    return interrupted;
}

void report_start(ntk_ctx *ctx, const char *name, bool quiet)
{
    state.name = name;
    state.quiet = quiet;
    state.terminal = isatty(STDERR_FILENO);
    catch(SIGINT);
    catch(SIGTERM);
    signal(SIGALRM, on_late);
    if (ctx) {
        ntk_ctx_set_log(ctx, on_log, NULL);
        ntk_ctx_set_progress(ctx, on_progress, NULL);
    }
}

void say_memory(const char *what, size_t bytes)
{
    if (bytes > (size_t)1 << 30)
        note("%s needs %.1f GiB of memory", what, (double)bytes / (1024.0 * 1024 * 1024));
}
