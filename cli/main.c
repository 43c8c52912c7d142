/* SPDX-License-Identifier: MIT
 *
 * main.c - the command line: ntk COMMAND [OPTIONS].
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define COMMAND(name, summary, words, options, example) \
    int cmd_##name(ntk_ctx *ctx, const struct args *args);
#include "commands.def"
#undef COMMAND

const struct command commands[] = {
#define COMMAND(name, summary, words, options, example) \
    {#name, summary, words, options, example, cmd_##name},
#include "commands.def"
#undef COMMAND
};
const size_t n_commands = sizeof commands / sizeof *commands;

static const char *command_name(size_t i) { return commands[i].name; }

static void help(FILE *f)
{
    fprintf(f, "ntk %s: exact kernels of infinitely wide neural networks (NNGP and NTK)\n\n"
               "usage: ntk COMMAND [OPTIONS]; 'ntk COMMAND --help' has each command's options\n\n",
            ntk_version());
    for (size_t i = 0; i < n_commands; i++)
        fprintf(f, "    %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(f, "\nexample: ntk eval --net 'fc(depth=3)' --train digits/train --test digits/test\n");
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* 8G, 500M, 1e9 */
static bool parse_bytes(const char *text, size_t *bytes)
{
    char *end;
    double x = strtod(text, &end);
    const char *units = "kMGT", *unit = *end ? strchr(units, *end) : NULL;

    if (end == text)
        return false;
    if (unit) {
        for (const char *u = units; u <= unit; u++)
            x *= 1024;
        end++;
    }
    if (!(x >= 1 && x < 1e18)) /* 0 is no bound */
        return false;
    *bytes = (size_t)x;
    return *end == '\0' || strcmp(end, "B") == 0 || strcmp(end, "iB") == 0;
}

static int configure(ntk_ctx *ctx, const struct args *a)
{
    size_t bytes;

    TRY(ctx, ntk_ctx_set_threads(ctx, a->threads < INT_MAX ? (int)a->threads : INT_MAX));
    if (a->isa)
        TRY(ctx, ntk_ctx_set_isa(ctx, a->isa));
    if (a->force && !a->backend)
        return usage("--force is for a slow --backend");
    if (a->backend)
        TRY(ctx, ntk_ctx_set_backend(ctx, a->backend, a->force));
    if (a->memory) {
        if (!parse_bytes(a->memory, &bytes))
            return usage("--memory must be like 8G or 500M, got '%s'", a->memory);
        ntk_ctx_set_memory(ctx, bytes);
    }
    return EXIT_OK;
}

static int run(const struct command *command, struct args *args)
{
    ntk_ctx *ctx;
    int code;

    if (ntk_ctx_new(&ctx) != NTK_OK)
        return usage("no memory");
    report_start(ctx, command->name, args->quiet);
    code = configure(ctx, args);
    if (code == EXIT_OK)
        code = ranks_join(ctx, command->name, args);
    if (code == EXIT_OK)
        code = check_files(args);
    if (code == EXIT_OK)
        code = store_dtype(ctx, args);
    if (code == EXIT_OK)
        code = command->run(ctx, args);
    ranks_end(ctx, code);
    ntk_ctx_free(ctx);
    return code;
}

/* A stream that is closed would give its number to the next file that is opened, and the report would go
 * there. Instead it leads where using it is an error. */
static void fill_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            return;
}

/* Standard output is a result: that it could not be written is an error. */
static int finish(int code)
{
    const bool bad = ferror(stdout);

    errno = 0;
    if (fclose(stdout) == 0 && !bad)
        return code;
    failed("cannot write standard output: %s", strerror(errno ? errno : EIO));
    return code == EXIT_OK ? EXIT_FAILED : code;
}

static int start(int argc, char **argv)
{
    const struct command *command;
    struct args args;
    int code;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ntk %s\n", ntk_version());
        return EXIT_OK;
    }
    command = find(argv[1]);
    if (!command) {
        const char *near = nearest(argv[1], n_commands, command_name);

        fprintf(stderr, "ntk: unknown command '%s'; %s%s%s\n", argv[1],
                near ? "did you mean '" : "'ntk --help' lists those there are", near ? near : "",
                near ? "'?" : "");
        return EXIT_USAGE;
    }
    report_start(NULL, command->name, false);
    code = options_parse(command, argc - 2, argv + 2, &args);
    if (code != EXIT_OK || args.help) {
        if (code == EXIT_OK)
            options_help(command, stdout);
        ranks_end(NULL, code);
        return code;
    }
    return run(command, &args);
}

int main(int argc, char **argv)
{
    fill_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like others */
    ranks_begin();
    return finish(start(argc, argv));
}
