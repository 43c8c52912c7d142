/* SPDX-License-Identifier: MIT
 *
 * machine.c - how much memory this process can still have: the machine's, that of the control groups
 * (containers, batch systems) it runs in, and its own address space.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/base.h"

#define NO_LIMIT SIZE_MAX

/* The number that follows `key` at the beginning of a line of a file (key "": the first line's); NO_LIMIT if
 * there is none ("max" is no number). */
static size_t number_in(const char *file, const char *key)
{
    const size_t length = strlen(key);
    size_t number = NO_LIMIT;
    char line[256];
    FILE *f = fopen(file, "r");

    while (f && fgets(line, sizeof line, f)) {
        char *end;
        unsigned long long n;

        if (strncmp(line, key, length) != 0)
            continue;
        n = strtoull(line + length, &end, 10);
        if (end != line + length && n < NO_LIMIT)
            number = (size_t)n;
        break;
    }
    if (f)
        fclose(f);
    return number;
}

/* What Linux estimates can be used without swapping; elsewhere the physical memory. */
static size_t of_machine(const char *root)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    char file[4096];
    size_t kib;

    snprintf(file, sizeof file, "%s/proc/meminfo", root);
    kib = number_in(file, "MemAvailable:");
    if (kib < NO_LIMIT / 1024)
        return kib * 1024;
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : NO_LIMIT;
}

/* One group's limit less what it holds, files that can be dropped not counted. */
static size_t of_group(const char *folder, const char *limit, const char *usage, const char *inactive,
                       const char *active)
{
    const char *const names[] = {limit, usage, "memory.stat", "memory.stat"};
    const char *const keys[] = {"", "", inactive, active};
    size_t v[4];

    for (int k = 0; k < 4; k++) {
        char file[8192];

        snprintf(file, sizeof file, "%s/%s", folder, names[k]);
        v[k] = number_in(file, keys[k]);
        if (k < 2 && v[k] == NO_LIMIT) /* most groups: the other files cost as much again */
            return NO_LIMIT;
    }
    for (int k = 2; k < 4; k++)
        v[1] -= v[k] < v[1] ? v[k] : 0;
    return v[0] > v[1] ? v[0] - v[1] : 0;
}

/* The least of a group and those it is in. path is cut. */
static size_t of_groups(const char *root, const char *mount, char *path, bool second_version)
{
    size_t least = NO_LIMIT;

    for (;;) {
        char folder[4096];
        char *slash;
        size_t now;

        snprintf(folder, sizeof folder, "%s%s%s", root, mount, path);
        now = second_version
                  ? of_group(folder, "memory.max", "memory.current", "inactive_file ", "active_file ")
                  : of_group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                             "total_inactive_file ", "total_active_file ");
        if (now < least)
            least = now;
        slash = strrchr(path, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

size_t ntk_address_space(void)
{
    const long page = sysconf(_SC_PAGE_SIZE);
    struct rlimit limit;
    size_t pages, used;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return NO_LIMIT;
    pages = number_in("/proc/self/statm", "");
    if (pages == NO_LIMIT || page < 0)
        return (size_t)limit.rlim_cur;
    used = pages * (size_t)page;
    return used < limit.rlim_cur ? (size_t)limit.rlim_cur - used : 0;
}

size_t ntk_machine_memory(const char *root)
{
    const size_t machine = of_machine(root), process = ntk_address_space();
    size_t least = machine < process ? machine : process;
    char line[2048], file[4096];
    FILE *f;

    snprintf(file, sizeof file, "%s/proc/self/cgroup", root);
    f = fopen(file, "r");
    while (f && fgets(line, sizeof line, f)) { /* NUMBER:CONTROLLERS:PATH */
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        const bool second_version = path && path == controllers + 1;
        size_t now;

        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (!second_version && !strstr(controllers, "memory"))
            continue;
        now = of_groups(root, second_version ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", path,
                        second_version);
        if (now < least)
            least = now;
    }
    if (f)
        fclose(f);
    return least;
}
