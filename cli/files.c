/* SPDX-License-Identifier: MIT
 *
 * files.c - files that commands write themselves, through base/outfile.h, and the plots that
 * gnuplot makes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "records.h"

int check_output(const char *path)
{
    int error;

    if (!path)
        return usage("--out is missing");
    error = ntk_outfile_check(path);
    return error ? usage("cannot write %s: %s", path, strerror(error)) : EXIT_OK;
}

static bool is_standard(const char *path) { return path && strcmp(path, "-") == 0; }

static bool same_file(const char *a, const char *b)
{
    return a && b && !is_standard(a) && !is_standard(b) && ntk_outfile_same(a, b);
}

/* The report and a result on one stream would be neither. */
static int check_report(const struct args *a)
{
    const bool out = is_standard(a->out), log = is_standard(a->log);

    if (a->json && (out || log))
        return usage("--json reports on standard output, where --%s goes, too: give it a file", out ? "out" : "log");
    return EXIT_OK;
}

int check_files(const struct args *a)
{
    char records[PATH_ROOM];
    const struct {
        const char *option, *path;
    } files[] = {{"out", a->out},       {"log", a->log},
                 {"record", a->record}, {"checkpoint", a->checkpoint},
                 {"checkpoint", a->checkpoint && a->record ? records : NULL},
                 {"params", a->params}, {"x", a->x},
                 {"x1", a->x1},         {"x2", a->x2},
                 {"train", a->train},   {"test", a->test},
                 {"model", a->model},   {"kernel", a->kernel}};
    enum {
        OUTPUTS = 5,
        PARAMS = OUTPUTS,
        ALL = sizeof files / sizeof *files
    };
    const bool trained = a->steps > 0; /* parameters may be trained where they are */

    STEP(check_report(a));
    if (a->checkpoint)
        records_path(a->checkpoint, records);
    for (int i = 0; i < OUTPUTS; i++) {
        for (int j = i + 1; j < ALL; j++)
            if (!(i == 0 && j == PARAMS && trained) && same_file(files[i].path, files[j].path))
                return usage("--%s is the file of --%s, %s, which would be lost", files[i].option,
                             files[j].option, files[i].path);
        for (size_t k = 0; k < a->n_nets; k++)
            if (a->nets[k][0] == '@' && same_file(files[i].path, a->nets[k] + 1))
                return usage("--%s is the file of --net, %s, which would be lost", files[i].option,
                             files[i].path);
    }
    for (int i = OUTPUTS; i < ALL; i++)
        for (int j = i + 1; j < ALL; j++)
            if (is_standard(files[i].path) && is_standard(files[j].path))
                return usage("--%s and --%s are both standard input, which can be read once",
                             files[i].option, files[j].option);
    return EXIT_OK;
}

int check_hdf5_output(const char *option, const char *path)
{
    if (path && strcmp(path, "-") == 0)
        return usage("--%s is an HDF5 file, which cannot be written to standard output", option);
    return check_output(path);
}

bool holds_several(const char *path)
{
    return ends_with(path, ".npz") || ends_with(path, ".h5");
}

int check_array_output(const char *path, size_t n, bool table)
{
    STEP(check_output(path));
    if (holds_several(path) || (table && ends_with(path, ".csv")))
        return EXIT_OK;
    if (n > 1)
        return usage("the result is %zu arrays: --out must end with %s.npz or .h5, got '%s'", n,
                     table ? ".csv, " : "", path);
    if (!ends_with(path, ".npy") && strcmp(path, "-") != 0)
        return usage("--out must end with %s.npy, .npz or .h5, or be -, got '%s'", table ? ".csv, " : "", path);
    return EXIT_OK;
}

int check_folder(const char *dir)
{
    if (strlen(dir) > FOLDER_MAX)
        return usage("the path of --out is too long");
    if (strcmp(dir, "-") == 0)
        return usage("--out is a folder, which standard output (-) is not");
    return EXIT_OK;
}

int file_open(const char *path, struct ntk_outfile *out)
{
    const int error = ntk_outfile_open(path, out);

    return error ? cannot_write(path, error) : EXIT_OK;
}

int file_close(const char *path, struct ntk_outfile *out, int code)
{
    int error;

    if (code != EXIT_OK) {
        ntk_outfile_abort(out);
        return code;
    }
    error = ntk_outfile_commit(out);
    return error ? cannot_write(path, error) : EXIT_OK;
}

/* ---- plots */

/* What gnuplot draws comes through a pipe, so that the picture is whole or not there. */
static bool copy_picture(FILE *from, FILE *to)
{
    char bytes[1 << 14];
    size_t n, all = 0;

    while ((n = fread(bytes, 1, sizeof bytes, from)) > 0) {
        (void)!fwrite(bytes, 1, n, to);
        all += n;
    }
    return all > 0;
}

int draw_plot(const char *dir, const char *script, const char *picture, const char *text,
              bool *drawn)
{
    char path[PATH_ROOM], command[PATH_ROOM];
    struct ntk_outfile out;
    FILE *from;

    snprintf(path, sizeof path, "%s/%s", dir, script);
    STEP(file_open(path, &out));
    fprintf(out.f, "# gnuplot %s\nif (!exists('to_pipe')) set output '%s'\n%s", script, picture,
            text);
    STEP(file_close(path, &out, EXIT_OK));

    snprintf(path, sizeof path, "%s/%s", dir, picture);
    STEP(file_open(path, &out));
    snprintf(command, sizeof command,
             "CDPATH= cd -- \"$NTK_PLOTS\" && exec gnuplot -e to_pipe=1 %s 2>/dev/null", script);
    fflush(stdout);
    from = setenv("NTK_PLOTS", dir, 1) == 0 ? popen(command, "r") : NULL;
    *drawn = from && copy_picture(from, out.f);
    if (from)
        *drawn = pclose(from) == 0 && *drawn;
    if (*drawn)
        return file_close(path, &out, EXIT_OK);
    ntk_outfile_abort(&out);
    return EXIT_OK;
}
