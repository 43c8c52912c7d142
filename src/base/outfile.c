/* SPDX-License-Identifier: MIT
 *
 * outfile.c - see outfile.h.
 *
 * A new file is an O_TMPFILE, which ends with the process. linkat gives it a name; since that
 * cannot replace a file, it is a temporary one if there is an old file, and rename puts it in
 * place. Where the file system has no O_TMPFILE the temporary name is there from the start. A
 * process holds a lock (flock) on what has such a name: whoever makes the next one in that folder
 * removes those without a lock, which a killed process has left.
 */
#define _GNU_SOURCE /* O_TMPFILE, fopencookie */
#include "base/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as many as the kernel follows */

void ntk_outfile_fail(struct ntk_outfile *out, int error)
{
    if (!out->error)
        out->error = error;
}

/* ---- bytes */

int ntk_write_all(int fd, const void *bytes, size_t n, int64_t at)
{
    const char *p = bytes;

    while (n > 0) {
        const ssize_t got = at < 0 ? write(fd, p, n) : pwrite(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        p += got;
        n -= (size_t)got;
        at = at < 0 ? at : at + got;
    }
    return 0;
}

int ntk_read_all(int fd, void *bytes, size_t n, int64_t at, size_t *left)
{
    char *p = bytes;
    ssize_t got = 1;

    while (n > 0 && got != 0) {
        got = pread(fd, p, n, (off_t)at);
        if (got < 0 && errno != EINTR)
            return errno;
        if (got > 0) {
            p += got;
            n -= (size_t)got;
            at += got;
        }
    }
    if (left)
        *left = n;
    return n > 0 && !left ? EIO : 0;
}

bool ntk_file_lock(int fd, short type)
{
    struct flock all = {.l_type = type, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &all) == 0 || (errno != EAGAIN && errno != EACCES);
}

/* For stdio: 0 is its sign of an error. */
static ssize_t stream_write(void *user, const char *bytes, size_t n)
{
    struct ntk_outfile *out = user;

    if (!out->error)
        out->error = ntk_write_all(out->fd, bytes, n, -1);
    return out->error ? 0 : (ssize_t)n;
}

void ntk_outfile_write_at(struct ntk_outfile *out, const void *bytes, size_t n, int64_t at)
{
    if (!out->error)
        out->error = ntk_write_all(out->fd, bytes, n, at);
}

void ntk_outfile_read_at(struct ntk_outfile *out, void *bytes, size_t n, int64_t at)
{
    size_t left = n;

    if (!out->error)
        out->error = ntk_read_all(out->fd, bytes, n, at, &left);
    memset((char *)bytes + (n - left), 0, left);
}

void ntk_outfile_truncate(struct ntk_outfile *out, int64_t n)
{
    if (!out->error && out->regular && ftruncate(out->fd, (off_t)n) != 0)
        out->error = errno;
}

/* Some file systems cannot sync, folders above all (EINVAL). */
static int sync_to_disk(int fd)
{
    int done;

    do
        done = fsync(fd);
    while (done != 0 && errno == EINTR);
    return done == 0 || errno == EINVAL ? 0 : errno;
}

/* ---- where a path leads */

static bool in_proc(int folder)
{
    struct statfs s;

    return fstatfs(folder, &s) == 0 && s.f_type == PROC_SUPER_MAGIC;
}

/* Opens the folder and names what is in it, links followed, but not those of /proc, whose text need
 * not be a path. */
static int find(struct ntk_outfile *out, const char *path)
{
    char at[PATH_MAX], link[PATH_MAX];
    ssize_t n;

    if (strlen(path) >= sizeof at)
        return ENAMETOOLONG;
    strcpy(at, path);
    for (int links = 0; links < LINKS_MAX; links++) {
        char *slash = strrchr(at, '/');
        const char *name = slash ? slash + 1 : at, *folder = !slash ? "." : slash == at ? "/" : at;
        const int from = out->folder >= 0 ? out->folder : AT_FDCWD;
        int fd;

        if (strlen(name) > NAME_MAX)
            return ENAMETOOLONG;
        strcpy(out->name, name);
        if (slash && slash > at)
            *slash = '\0';
        fd = openat(from, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == EACCES) /* it may be written to all the same */
            fd = openat(from, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return errno;
        if (out->folder >= 0)
            close(out->folder);
        out->folder = fd;
        n = readlinkat(fd, out->name, link, sizeof link - 1);
        if (n < 0)
            return errno == EINVAL || errno == ENOENT ? 0 : errno; /* no link: the end */
        if (in_proc(fd))
            return 0;
        link[n] = '\0';
        strcpy(at, link);
    }
    return ELOOP;
}

/* Where the file goes, and how. stat comes first: it asks the kernel whether links may be followed.
 */
static int decide(const char *path, struct ntk_outfile *out)
{
    int error;

    *out = (struct ntk_outfile){.kind = NTK_OUTFILE_PLACE, .fd = -1, .folder = -1};
    out->replaces = stat(path, &out->old) == 0;
    if (!out->replaces && errno != ENOENT)
        return errno;
    if (out->replaces && S_ISDIR(out->old.st_mode))
        return EISDIR;
    out->regular = !out->replaces || S_ISREG(out->old.st_mode);
    if (!out->regular)
        return 0;
    error = find(out, path);
    if (error)
        return error;
    if (!*out->name)
        return *path ? EISDIR : ENOENT;
    if (in_proc(out->folder))
        return 0;
    if (out->replaces && faccessat(out->folder, out->name, W_OK, 0) != 0)
        return errno;
    out->kind = NTK_OUTFILE_UNNAMED;
    return 0;
}

/* ---- new files */

#define PREFIX ".ntk-"
#define DIGITS 16 /* of a random number */

static int choose_name(struct ntk_outfile *out)
{
    unsigned long long number;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return errno;
    snprintf(out->temporary, sizeof out->temporary, PREFIX "%0*llx", DIGITS, number);
    return 0;
}

static bool is_temporary(const char *name)
{
    const size_t n = strlen(PREFIX);

    return strncmp(name, PREFIX, n) == 0 && strspn(name + n, "0123456789abcdef") == DIGITS &&
           name[n + DIGITS] == '\0';
}

/* What killed processes have left in the folder: no process has a lock on it. */
static void remove_leftovers(int folder)
{
    const int list = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = list < 0 ? NULL : fdopendir(list);

    if (!d) {
        if (list >= 0)
            close(list);
        return;
    }
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        int fd;

        if (!is_temporary(e->d_name))
            continue;
        fd = openat(folder, e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(folder, e->d_name, 0);
        close(fd);
    }
    closedir(d);
}

/* Without a lock, if another process is about to remove it. (A file system without locks is fine:
 * then nobody gets one, and nothing is removed.) */
static bool is_locked(int fd)
{
    struct stat now;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return false;
    return fstat(fd, &now) == 0 && now.st_nlink > 0;
}

static int open_named(struct ntk_outfile *out, mode_t mode)
{
    out->kind = NTK_OUTFILE_NAMED;
    remove_leftovers(out->folder);
    for (int tries = 0; tries < 100; tries++) {
        const int error = choose_name(out);

        if (error)
            return error;
        out->fd = openat(out->folder, out->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
        if (out->fd >= 0 && is_locked(out->fd))
            return 0;
        if (out->fd < 0 && errno != EEXIST) {
            out->temporary[0] = '\0';
            return errno;
        }
        if (out->fd >= 0) {
            unlinkat(out->folder, out->temporary, 0);
            close(out->fd);
        }
        out->temporary[0] = '\0';
        out->fd = -1;
    }
    return EAGAIN;
}

/* linkat finds an unnamed file in /proc. */
static void proc_path(int fd, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

/* What replaces a file is the user's alone until it has the old one's mode. */
static int open_new(struct ntk_outfile *out)
{
    const mode_t mode = out->replaces ? 0600 : 0666;
    char path[32];

    out->fd = openat(out->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (out->fd < 0)
        return open_named(out, mode);
    proc_path(out->fd, path);
    if (faccessat(AT_FDCWD, path, F_OK, 0) == 0) {
        flock(out->fd, LOCK_EX | LOCK_NB); /* for the moment in which it has a temporary name */
        return 0;
    }
    close(out->fd);
    out->fd = -1;
    return open_named(out, mode);
}

/* ---- opening */

static int open_stream(struct ntk_outfile *out)
{
    out->f = fopencookie(out, "w", (cookie_io_functions_t){.write = stream_write});
    return out->f ? 0 : errno;
}

/* Ends an open that went wrong. */
static int give_up(struct ntk_outfile *out, int error)
{
    if (error)
        ntk_outfile_abort(out);
    return error;
}

static int open_standard_output(struct ntk_outfile *out)
{
    *out = (struct ntk_outfile){.fd = STDOUT_FILENO, .folder = -1};
    fflush(stdout); /* what it holds comes first */
    return give_up(out, open_stream(out));
}

int ntk_outfile_open(const char *path, struct ntk_outfile *out)
{
    int error;

    if (strcmp(path, "-") == 0)
        return open_standard_output(out);
    error = decide(path, out);
    if (!error && out->kind == NTK_OUTFILE_UNNAMED) {
        error = open_new(out);
    } else if (!error) {
        out->fd = open(path, (out->regular ? O_RDWR | O_TRUNC : O_WRONLY) | O_NOCTTY | O_CLOEXEC);
        error = out->fd < 0 ? errno : 0;
    }
    return give_up(out, error ? error : open_stream(out));
}

int ntk_outfile_append(const char *path, int64_t keep, struct ntk_outfile *out)
{
    int error;

    if (strcmp(path, "-") == 0)
        return open_standard_output(out);
    error = decide(path, out);
    if (!error) {
        out->kind = NTK_OUTFILE_PLACE;
        out->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
        error = out->fd < 0 ? errno : 0;
    }
    if (!error)
        ntk_outfile_truncate(out, keep);
    return give_up(out, error ? error : out->error ? out->error : open_stream(out));
}

int ntk_outfile_check(const char *path)
{
    struct ntk_outfile out;
    int error;

    if (strcmp(path, "-") == 0)
        return 0;
    error = decide(path, &out);
    if (!error && out.kind == NTK_OUTFILE_UNNAMED)
        error = open_new(&out);
    else if (!error && access(path, W_OK) != 0)
        error = errno;
    ntk_outfile_abort(&out);
    return error;
}

bool ntk_outfile_same(const char *a, const char *b)
{
    const char *const paths[2] = {a, b};
    struct ntk_outfile out[2] = {{.folder = -1}, {.folder = -1}};
    struct stat file[2], folder[2];
    bool same = true;

    if (stat(a, &file[0]) == 0 && stat(b, &file[1]) == 0) /* hard links are one file, too */
        return S_ISREG(file[0].st_mode) && file[0].st_dev == file[1].st_dev && file[0].st_ino == file[1].st_ino;
    for (int k = 0; k < 2; k++) {
        same = same && find(&out[k], paths[k]) == 0 && fstat(out[k].folder, &folder[k]) == 0;
        if (out[k].folder >= 0)
            close(out[k].folder);
    }
    return same && folder[0].st_dev == folder[1].st_dev && folder[0].st_ino == folder[1].st_ino &&
           strcmp(out[0].name, out[1].name) == 0;
}

/* ---- the end */

static int link_as(const struct ntk_outfile *out, const char *name)
{
    char path[32];

    proc_path(out->fd, path);
    return linkat(AT_FDCWD, path, out->folder, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

/* Where the group is another now, who was in the old one is one of the others, and the new one was: both may do
 * what both could. */
static mode_t mode_without_group(mode_t mode)
{
    const mode_t both = mode & (mode >> 3) & 07;

    return (mode & (S_ISUID | S_ISVTX | S_IRWXU)) | both << 3 | both;
}

/* Owner, group and mode of the old file. Whoever may not give files away keeps his own as owner and, unless
 * he is in the old group, as group; a file system without modes refuses to set one. */
static int like_the_old(const struct ntk_outfile *out)
{
    mode_t mode = out->old.st_mode & 07777;
    struct stat now;

    if (fchown(out->fd, out->old.st_uid, out->old.st_gid) != 0)
        (void)!fchown(out->fd, (uid_t)-1, out->old.st_gid);
    if (fstat(out->fd, &now) != 0)
        return errno;
    if (now.st_uid != out->old.st_uid)
        mode &= ~(mode_t)S_ISUID;
    if (now.st_gid != out->old.st_gid)
        mode = mode_without_group(mode);
    if ((now.st_mode & 07777) != mode && fchmod(out->fd, mode) != 0 && errno != EPERM)
        return errno;
    return 0;
}

/* A temporary name for what has none. */
static int name_it(struct ntk_outfile *out)
{
    int error;

    remove_leftovers(out->folder);
    do {
        error = choose_name(out);
        if (!error)
            error = link_as(out, out->temporary);
    } while (error == EEXIST);
    if (error)
        out->temporary[0] = '\0';
    return error;
}

/* The file is on disk: gives it its name. */
static int put_in_place(struct ntk_outfile *out)
{
    int error = 0;

    if (out->kind == NTK_OUTFILE_UNNAMED) {
        error = out->replaces ? EEXIST : link_as(out, out->name);
        if (error != EEXIST)
            return error;
        error = name_it(out);
        if (error)
            return error;
    }
    if (renameat(out->folder, out->temporary, out->folder, out->name) != 0)
        return errno;
    out->temporary[0] = '\0';
    return 0;
}

static int sync_folder(const struct ntk_outfile *out)
{
    const int error = sync_to_disk(out->folder);

    if (error != EBADF) /* a folder that may be written to but not read: all of the file system */
        return error;
    return syncfs(out->fd) == 0 ? 0 : errno;
}

int ntk_outfile_flush(struct ntk_outfile *out, bool to_disk)
{
    if (fflush(out->f) != 0 || ferror(out->f))
        ntk_outfile_fail(out, EIO); /* unless stream_write knows better */
    if (!out->error && to_disk && out->regular)
        out->error = sync_to_disk(out->fd);
    return out->error;
}

int ntk_outfile_commit(struct ntk_outfile *out)
{
    const bool is_new = out->kind == NTK_OUTFILE_UNNAMED || out->kind == NTK_OUTFILE_NAMED;
    int error;

    ntk_outfile_flush(out, false);
    if (!out->error && is_new && out->replaces)
        out->error = like_the_old(out);
    ntk_outfile_flush(out, true);
    if (!out->error && is_new)
        out->error = put_in_place(out);
    if (!out->error && out->regular)
        out->error = sync_folder(out);
    error = out->error;
    if (out->kind != NTK_OUTFILE_STREAM) {
        if (close(out->fd) != 0 && errno != EINTR && !error)
            error = errno;
        out->fd = -1;
    }
    ntk_outfile_abort(out);
    return error;
}

void ntk_outfile_abort(struct ntk_outfile *out)
{
    ntk_outfile_fail(out, ECANCELED); /* what the stream still holds is not written */
    if (out->f)
        fclose(out->f);
    if (out->temporary[0])
        unlinkat(out->folder, out->temporary, 0);
    if (out->fd >= 0 && out->kind != NTK_OUTFILE_STREAM)
        close(out->fd);
    if (out->folder >= 0)
        close(out->folder);
    *out = (struct ntk_outfile){.fd = -1, .folder = -1};
}
