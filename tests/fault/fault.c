/* SPDX-License-Identifier: MIT
 *
 * fault.c - a library for LD_PRELOAD that makes system calls fail.
 *
 *     NTK_FAULT=CALL:K:ACTION[,...]   the K-th CALL (from 1; K+: all from there on) meets ACTION:
 *                                     the name of an error (ENOSPC), SHORT (half is written),
 *                                     KILL (the process ends before the call)
 *     NTK_FAULT_LOG=FILE              a line for each fault that happened: "write 3 ENOSPC"
 *     NTK_FAULT_PROGRAM=NAME          the only program that is met; default: ntk
 *
 * CALL is one of the groups below. stdio's own streams call the kernel from inside libc and are not
 * seen: standard output is tested with /dev/full.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum call {
    CALL_OPEN,    /* open, openat, for writing */
    CALL_TMPFILE, /* those with O_TMPFILE */
    CALL_PROC,    /* faccessat in /proc */
    CALL_WRITE,   /* write, pwrite, posix_fallocate */
    CALL_FSYNC,   /* fsync, fdatasync */
    CALL_TRUNCATE,
    CALL_CHMOD, /* fchmod, fchown */
    CALL_LINK,
    CALL_RENAME,
    CALL_CLOSE, /* of a file that an open above has returned */
    CALL_ANY,   /* of these, but tmpfile and proc */
    N_CALLS
};
static const char *const names[N_CALLS] = {"open",   "tmpfile",  "proc",  "write",
                                           "fsync",  "truncate", "chmod", "link",
                                           "rename", "close",    "any"};

static const struct {
    const char *name;
    int number;
} errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EACCES", EACCES},
              {"EINTR", EINTR},   {"ENOENT", ENOENT}, {"EOPNOTSUPP", EOPNOTSUPP}};

static struct fault {
    long first, last;
    const char *error_name;
    int error;
    bool half, kill;
} faults[N_CALLS];
static atomic_long counts[N_CALLS];
static bool ours[1024]; /* descriptors that were opened for writing */

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}
#define NEXT(type, name) (__extension__(type) next(name))

/* CALL:K[+]:ACTION; what is misspelt ends the process, so that no test passes by it. */
static void read_fault(char *text)
{
    char *k = strchr(text, ':'), *action = k ? strchr(k + 1, ':') : NULL, *end;
    struct fault f = {0};

    if (!action)
        abort();
    *k++ = *action++ = '\0';
    f.first = strtol(k, &end, 10);
    f.last = *end == '+' ? __LONG_MAX__ : f.first;
    f.half = strcmp(action, "SHORT") == 0;
    f.kill = strcmp(action, "KILL") == 0;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(action, errors[i].name) == 0) {
            f.error = errors[i].number;
            f.error_name = errors[i].name;
        }
    for (int c = 0; c < N_CALLS; c++)
        if (strcmp(text, names[c]) == 0 && f.first > 0 && (f.half || f.kill || f.error)) {
            faults[c] = f;
            return;
        }
    abort();
}

__attribute__((constructor)) static void start(void)
{
    const char *list = getenv("NTK_FAULT"), *program = getenv("NTK_FAULT_PROGRAM");
    char copy[1000], *rest = copy;

    if (!list || strcmp(program_invocation_short_name, program ? program : "ntk") != 0)
        return;
    snprintf(copy, sizeof copy, "%s", list);
    while (rest)
        read_fault(strsep(&rest, ","));
}

static void log_fault(enum call c, long k, const char *action)
{
    const char *path = getenv("NTK_FAULT_LOG");
    char line[64];
    const int fd = path ? NEXT(int (*)(const char *, int, ...),
                               "open")(path, O_WRONLY | O_APPEND | O_CREAT, 0600)
                        : -1;

    if (fd < 0)
        return;
    snprintf(line, sizeof line, "%s %ld %s\n", names[c], k, action);
    if (NEXT(ssize_t(*)(int, const void *, size_t), "write")(fd, line, strlen(line)) < 0)
        abort();
    NEXT(int (*)(int), "close")(fd);
}

/* Counts a call as one of a group. Whether it fails, errno set; *half: it does half. */
static bool meets_as(enum call c, bool *half)
{
    const struct fault *f = &faults[c];
    const long k = f->first ? atomic_fetch_add(&counts[c], 1) + 1 : 0;

    if (!f->first || k < f->first || k > f->last)
        return false;
    log_fault(c, k, f->kill ? "KILL" : f->half ? "SHORT" : f->error_name);
    if (f->kill)
        raise(SIGKILL);
    if (f->half) {
        if (half)
            *half = true;
        return false;
    }
    errno = f->error;
    return true;
}

static bool meets(enum call c, bool *half)
{
    if (half)
        *half = false;
    return meets_as(c, half) || (c != CALL_TMPFILE && c != CALL_PROC && meets_as(CALL_ANY, half));
}

/* ---- the calls */

static int opened(int fd)
{
    if (fd >= 0 && fd < (int)(sizeof ours / sizeof *ours))
        ours[fd] = true;
    return fd;
}

/* What a build with coverage counts is written when the program has ended: not a file of its own. */
static bool is_counts(const char *path)
{
    const size_t n = strlen(path);

    return n > 5 && strcmp(path + n - 5, ".gcda") == 0;
}

static int open_as(const char *call, int dir, const char *path, int flags, mode_t mode)
{
    const bool writes = (flags & O_ACCMODE) != O_RDONLY && !is_counts(path), unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    int fd;

    if ((unnamed && meets(CALL_TMPFILE, NULL)) || (writes && meets(CALL_OPEN, NULL)))
        return -1;
    fd = strncmp(call, "openat", 6) == 0
             ? NEXT(int (*)(int, const char *, int, ...), call)(dir, path, flags, mode)
             : NEXT(int (*)(const char *, int, ...), call)(path, flags, mode);
    return writes ? opened(fd) : fd;
}

#define OPEN(call, parameters, dir)                                \
    int call parameters;                                           \
    int call parameters                                            \
    {                                                              \
        mode_t mode = 0;                                           \
        va_list ap;                                                \
                                                                   \
        va_start(ap, flags);                                       \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) \
            mode = va_arg(ap, mode_t);                             \
        va_end(ap);                                                \
        return open_as(#call, dir, path, flags, mode);             \
    }
OPEN(open, (const char *path, int flags, ...), 0)
OPEN(open64, (const char *path, int flags, ...), 0)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

#define WRITE(call, parameters, arguments)                   \
    ssize_t call parameters;                                 \
    ssize_t call parameters                                  \
    {                                                        \
        bool half;                                           \
                                                             \
        if (meets(CALL_WRITE, &half))                        \
            return -1;                                       \
        n = half && n > 1 ? n / 2 : n;                       \
        return NEXT(ssize_t(*) parameters, #call) arguments; \
    }
WRITE(write, (int fd, const void *bytes, size_t n), (fd, bytes, n))
WRITE(pwrite, (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at))
WRITE(pwrite64, (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at))

#define CALL(group, call, parameters, arguments)                                   \
    int call parameters;                                                           \
    int call parameters                                                            \
    {                                                                              \
        return meets(group, NULL) ? -1 : NEXT(int(*) parameters, #call) arguments; \
    }
CALL(CALL_FSYNC, fsync, (int fd), (fd))
CALL(CALL_FSYNC, fdatasync, (int fd), (fd))
CALL(CALL_TRUNCATE, ftruncate, (int fd, off_t n), (fd, n))
CALL(CALL_TRUNCATE, ftruncate64, (int fd, off_t n), (fd, n))
CALL(CALL_CHMOD, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(CALL_CHMOD, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
CALL(CALL_RENAME, rename, (const char *from, const char *to), (from, to))
CALL(CALL_RENAME, renameat, (int at, const char *from, int by, const char *to), (at, from, by, to))
CALL(CALL_LINK, linkat, (int at, const char *from, int by, const char *to, int flags),
     (at, from, by, to, flags))

static int allocate(const char *call, int fd, off_t at, off_t n)
{
    return meets(CALL_WRITE, NULL) ? errno : NEXT(int (*)(int, off_t, off_t), call)(fd, at, n);
}
int posix_fallocate(int fd, off_t at, off_t n) { return allocate("posix_fallocate", fd, at, n); }
int posix_fallocate64(int fd, off_t at, off_t n);
int posix_fallocate64(int fd, off_t at, off_t n) { return allocate("posix_fallocate64", fd, at, n); }

int faccessat(int at, const char *path, int mode, int flags)
{
    if (strncmp(path, "/proc/", 6) == 0 && meets(CALL_PROC, NULL))
        return -1;
    return NEXT(int (*)(int, const char *, int, int), "faccessat")(at, path, mode, flags);
}

/* A file is closed even if that fails. */
int close(int fd)
{
    const bool writes = fd >= 0 && fd < (int)(sizeof ours / sizeof *ours) && ours[fd];
    const bool fails = writes && meets(CALL_CLOSE, NULL);
    const int error = errno, done = NEXT(int (*)(int), "close")(fd);

    if (writes)
        ours[fd] = false;
    if (!fails)
        return done;
    errno = error;
    return -1;
}
