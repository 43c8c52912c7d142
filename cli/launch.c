/* SPDX-License-Identifier: MIT
 *
 * launch.c - the command `ntk`: OpenMP and OpenBLAS read their environment when they are loaded. So it is set here, and then
 * this becomes the program ntk-run, which loads its libraries, of which HDF5 alone has thirty, once.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/base/blas_choice.h"

#define PATH 4096

/* Beside this program, as in a build folder; where it is installed from here, and as it was meant to be. */
static const char *const places[] = {"ntk-run", NTK_RUN, NTK_RUN_INSTALLED};

/* Idle OpenMP threads spin for milliseconds by default, which beside any other load makes small solves many times slower; a
 * short spin costs nothing on a quiet machine. Some settings of OpenBLAS halve its speed: a benchmark runs without them. */
static void set_environment(const char *command)
{
    const char *core = ntk_blas_choice();

    if (!getenv("OMP_WAIT_POLICY"))
        setenv("GOMP_SPINCOUNT", "10000", 0);
    if (strcmp(command, "bench") == 0) {
        unsetenv("OPENBLAS_CORETYPE");
        unsetenv("OPENBLAS_L2_SIZE");
    }
    if (core)
        setenv("OPENBLAS_CORETYPE", core, 0);
}

int main(int argc, char **argv)
{
    char path[PATH + 1024];
    const ssize_t n = readlink("/proc/self/exe", path, PATH);
    char *name;

    set_environment(argc > 1 ? argv[1] : "");
    path[n > 0 ? n : 0] = 0;
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const bool whole = places[i][0] == '/';

        if (!whole && name == path)
            continue; /* without /proc: not from the working directory */
        strcpy(whole ? path : name, places[i]);
        execv(path, argv);
        if (errno != ENOENT && errno != ENOTDIR)
            break;
    }
    fprintf(stderr, "ntk: %s: %s; the program ntk-run, which does the work, belongs beside this one or into %s\n", path,
            strerror(errno), NTK_RUN_INSTALLED);
    return 1;
}
