/* SPDX-License-Identifier: MIT
 *
 * outfile.h - the one way out for every file that the library and the command write.
 *
 * A file is written where nobody sees it and gets its name when all of it is on disk: its name
 * always stands for the old file or the new one, whole, also after a crash. Symbolic links are
 * followed; a file that is there keeps its mode, and its owner and group where the system allows it (else its mode
 * gives nobody more than before). What is not a regular file (a pipe, a device), and what is reached through /proc
 * (/dev/stdout), is written in place.
 *
 * The first error of any step is remembered, nothing is written after it, and commit returns it:
 * nobody has to look before. All functions return 0 or a number of errno.h. They need no context
 * and no other file of the library, so that the command uses them too.
 */
#ifndef NTK_OUTFILE_H
#define NTK_OUTFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

enum ntk_outfile_kind {
    NTK_OUTFILE_STREAM,  /* standard output */
    NTK_OUTFILE_PLACE,   /* written in place, or at the end of what is there */
    NTK_OUTFILE_UNNAMED, /* a new file that has no name yet */
    NTK_OUTFILE_NAMED,   /* the same with a temporary name, where the file system knows no other way
                          */
};

/* Not to be moved between open and the end: the stream points to it. */
struct ntk_outfile {
    FILE *f;   /* to write to */
    int error; /* the first; 0: none */
    enum ntk_outfile_kind kind;
    int fd, folder; /* -1: none */
    bool regular;   /* else nothing is fsynced */
    bool replaces;  /* a file that is there, which is: */
    struct stat old;
    char name[NAME_MAX + 1]; /* in the folder */
    char temporary[32];      /* its name before it is in place; "": none */
};

/* "-" is standard output. */
int ntk_outfile_open(const char *path, struct ntk_outfile *out);
/* In place: a file, new or not, of which the first `keep` bytes stay; to be written on from there. "-" is standard
 * output here, too. */
int ntk_outfile_append(const char *path, int64_t keep, struct ntk_outfile *out);
/* Whether open would work; changes nothing. */
int ntk_outfile_check(const char *path);
/* Whether two paths lead to one file that is there, or that open would make. */
bool ntk_outfile_same(const char *a, const char *b);

/* n bytes at an offset, past the stream, of a file that was opened for it; read: zeros after its
 * end. */
void ntk_outfile_write_at(struct ntk_outfile *out, const void *bytes, size_t n, int64_t at);
void ntk_outfile_read_at(struct ntk_outfile *out, void *bytes, size_t n, int64_t at);
void ntk_outfile_truncate(struct ntk_outfile *out, int64_t n);
/* Remembers an error of the caller's, if it is the first. */
void ntk_outfile_fail(struct ntk_outfile *out, int error);

/* All of n bytes to a file that is open, at a place, or at < 0: where it is; short writes and signals are no errors. And
 * from it: *left, how many it has not; NULL: that is EIO. */
int ntk_write_all(int fd, const void *bytes, size_t n, int64_t at);
int ntk_read_all(int fd, void *bytes, size_t n, int64_t at, size_t *left);

/* Locks all of a file while it is open, for reading (F_RDLCK) or writing (F_WRLCK); false: another descriptor has it. A file system
 * without locks is fine. The lock is of a kind that HDF5's own readers do not ask for. */
bool ntk_file_lock(int fd, short type);

/* Hands the stream's bytes to the system, or sees them on disk, of a file that is written on. */
int ntk_outfile_flush(struct ntk_outfile *out, bool to_disk);
/* The end: puts the file in place, or drops it. The result is the first error of all. */
int ntk_outfile_commit(struct ntk_outfile *out);
void ntk_outfile_abort(struct ntk_outfile *out);

#endif
