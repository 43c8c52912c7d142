/* SPDX-License-Identifier: MIT
 *
 * launch.c - the command `ntk`: sets what OpenMP reads when it is loaded, then becomes the program ntk-run, which
 * else would have to load its libraries, of which HDF5 has thirty, twice (main.c).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH 4096

/* Beside this program, as in a build folder; where it is installed from here, and as it was meant to be. */
static const char *const places[] = {"ntk-run", NTK_RUN, NTK_RUN_INSTALLED};

int main(int argc, char **argv)
{
    char path[PATH + 1024];
    const ssize_t n = readlink("/proc/self/exe", path, PATH);
    char *name;

    (void)argc;
    path[n > 0 ? n : 0] = 0;
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (!getenv("OMP_WAIT_POLICY"))
        setenv("GOMP_SPINCOUNT", "10000", 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const bool whole = places[i][0] == '/';

        if (!whole && name == path)
            continue; /* without /proc: not from the working directory */
        strcpy(whole ? path : name, places[i]);
        execv(path, argv);
        if (errno != ENOENT && errno != ENOTDIR)
            break;
    }
    fprintf(stderr, "ntk: %s: %s\n", path, strerror(errno));
    return 1;
}
