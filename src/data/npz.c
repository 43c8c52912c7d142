/* SPDX-License-Identifier: MIT
 *
 * npz.c - several arrays in one zip archive, member NAME.npy for key NAME. Format: PKWARE's
 * APPNOTE.TXT, sections 4.3.7 (member), 4.3.12 (directory), 4.3.14 to 4.3.16 (its end), 4.5.3
 * (zip64: sizes of 4 GiB and more).
 */
#include <errno.h>
#include <stdlib.h>

#include "data/data.h"
#include "data/npy.h"
#include "data/parts.h"

#define EOCD_SIZE       22u
#define LOCATOR_SIZE    20u
#define EOCD64_SIZE     56u
#define ENTRY_SIZE      46u
#define LOCAL_SIZE      30u
#define NAME_MAX_LENGTH 64

static uint32_t le16(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}
static uint32_t le32(const unsigned char *p)
{
    return le16(p) | le16(p + 2) << 16;
}
static uint64_t le64(const unsigned char *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

struct member {
    bool found;
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size, offset;
};

struct archive {
    ntk_ctx *ctx;
    FILE *f;
    uint64_t file_size;
    uint64_t entries, directory_size, directory_at;
    struct member parts[NTK_N_PARTS];
    bool arrays;          /* some member is a .npy */
    struct ntk_text keys; /* all of them, for the message */
};

static ntk_status damaged(const struct archive *a, const char *what)
{
    return ntk_fail(a->ctx, NTK_EIO, "is not a whole npz (zip) file: %s", what);
}

static ntk_status read_at(const struct archive *a, uint64_t at, void *to, size_t n)
{
    if (at > a->file_size || n > a->file_size - at)
        return damaged(a, "it ends too early");
    if (fseeko(a->f, (off_t)at, SEEK_SET) != 0 || fread(to, 1, n, a->f) != n)
        return ntk_fail(a->ctx, NTK_EIO, "cannot read: %s", strerror(errno));
    return NTK_OK;
}

/* The directory's end is the last thing in the file, but for a comment of up to 65,535 bytes. */
static ntk_status find_end(const struct archive *a, unsigned char end[EOCD_SIZE], uint64_t *at)
{
    const size_t n = a->file_size < EOCD_SIZE + 65535u ? (size_t)a->file_size : EOCD_SIZE + 65535u;
    unsigned char *tail;
    ntk_status status;

    if (n < EOCD_SIZE)
        return damaged(a, "it is too short");
    tail = ntk_alloc(a->ctx, n, 1);
    if (!tail)
        return NTK_ENOMEM;
    status = read_at(a, a->file_size - n, tail, n);
    if (status == NTK_OK) {
        size_t k = n - EOCD_SIZE;

        while (k > 0 && memcmp(tail + k, "PK\5\6", 4) != 0)
            k--;
        if (memcmp(tail + k, "PK\5\6", 4) == 0) {
            memcpy(end, tail + k, EOCD_SIZE);
            *at = a->file_size - n + k;
        } else {
            status = damaged(a, "it has no directory");
        }
    }
    free(tail);
    return status;
}

static ntk_status find_directory(struct archive *a)
{
    unsigned char end[EOCD_SIZE] = {0}, locator[LOCATOR_SIZE], end64[EOCD64_SIZE];
    uint64_t at = 0;

    NTK_TRY(find_end(a, end, &at));
    a->entries = le16(end + 10);
    a->directory_size = le32(end + 12);
    a->directory_at = le32(end + 16);
    if (a->entries == 0xffff || a->directory_size == 0xffffffff || a->directory_at == 0xffffffff) {
        if (at < LOCATOR_SIZE)
            return damaged(a, "it has no zip64 directory");
        NTK_TRY(read_at(a, at - LOCATOR_SIZE, locator, LOCATOR_SIZE));
        if (memcmp(locator, "PK\6\7", 4) != 0)
            return damaged(a, "it has no zip64 directory");
        NTK_TRY(read_at(a, le64(locator + 8), end64, EOCD64_SIZE));
        if (memcmp(end64, "PK\6\6", 4) != 0)
            return damaged(a, "it has no zip64 directory");
        a->entries = le64(end64 + 32);
        a->directory_size = le64(end64 + 40);
        a->directory_at = le64(end64 + 48);
    }
    if (a->directory_at > a->file_size || a->directory_size > a->file_size - a->directory_at)
        return damaged(a, "its directory lies outside");
    return NTK_OK;
}

/* Numbers that do not fit their 32 bits (and are all ones) stand, in this order, in block 1. */
static bool read_zip64(const unsigned char *extra, size_t n, struct member *m)
{
    uint64_t *const wide[] = {&m->size, &m->packed, &m->offset};

    while (n >= 4) {
        const size_t length = le16(extra + 2);
        size_t at = 0;

        if (length > n - 4)
            return false;
        for (int k = 0; le16(extra) == 1 && k < 3; k++)
            if (*wide[k] == 0xffffffff) {
                if (length < at + 8)
                    return false;
                *wide[k] = le64(extra + 4 + at);
                at += 8;
            }
        extra += 4 + length;
        n -= 4 + length;
    }
    return true;
}

/* Whether a member of that name is the array `key` (NULL: none is). */
static bool is_key(const unsigned char *name, size_t n, const char *key)
{
    const size_t length = key ? strlen(key) : 0;

    return key && n == length + 4 && memcmp(name, key, length) == 0 && memcmp(name + length, ".npy", 4) == 0;
}

static void note_key(struct archive *a, const unsigned char *name, size_t n)
{
    const bool array = n > 4 && memcmp(name + n - 4, ".npy", 4) == 0;
    const int length = (int)(array ? n - 4 : n);

    a->arrays |= array;
    if (a->keys.n < 300)
        ntk_text_add(&a->keys, "%s%.*s", a->keys.n ? ", " : "",
                     length < NAME_MAX_LENGTH ? length : NAME_MAX_LENGTH, (const char *)name);
}

static ntk_status keep(struct archive *a, const struct member *m, ntk_part part)
{
    const struct ntk_part_kind *kind = &ntk_part_kinds[part];

    if (a->parts[part].found)
        return ntk_fail(a->ctx, NTK_EINVAL,
                        "has two arrays called %s%s%s, which of them is meant cannot be known: leave one out",
                        kind->name, kind->other ? " or " : "", kind->other ? kind->other : "");
    a->parts[part] = *m;
    return NTK_OK;
}

/* One entry of the directory; *used is its length. */
static ntk_status read_entry(struct archive *a, const unsigned char *p, size_t n, size_t *used)
{
    size_t name, extra;
    struct member m = {.found = true};

    if (n < ENTRY_SIZE || memcmp(p, "PK\1\2", 4) != 0)
        return damaged(a, "its directory is damaged");
    name = le16(p + 28);
    extra = le16(p + 30);
    *used = ENTRY_SIZE + name + extra + le16(p + 32);
    if (*used > n)
        return damaged(a, "its directory is damaged");
    m.flags = le16(p + 8);
    m.method = le16(p + 10);
    m.crc = le32(p + 16);
    m.packed = le32(p + 20);
    m.size = le32(p + 24);
    m.offset = le32(p + 42);
    if (!read_zip64(p + ENTRY_SIZE + name, extra, &m))
        return damaged(a, "its directory is damaged");
    note_key(a, p + ENTRY_SIZE, name);
    if (a->keys.failed)
        return ntk_fail(a->ctx, NTK_ENOMEM, "no memory for the names of its members");
    for (int k = 0; k < NTK_N_PARTS; k++)
        if (is_key(p + ENTRY_SIZE, name, ntk_part_kinds[k].name) || is_key(p + ENTRY_SIZE, name, ntk_part_kinds[k].other))
            return keep(a, &m, (ntk_part)k);
    return NTK_OK;
}

static ntk_status read_directory(struct archive *a)
{
    const size_t n = (size_t)a->directory_size;
    unsigned char *directory;
    size_t at = 0, used = 0;
    ntk_status status;

    NTK_TRY(ntk_ctx_check_memory(a->ctx, n, "the archive's directory"));
    directory = ntk_alloc(a->ctx, n, 1);
    if (!directory)
        return NTK_ENOMEM;
    status = read_at(a, a->directory_at, directory, n);
    for (uint64_t k = 0; status == NTK_OK && k < a->entries; k++) {
        status = read_entry(a, directory + at, n - at, &used);
        at += used;
    }
    free(directory);
    return status;
}

/* Opens a member and reads the header of its array. */
static ntk_status begin_member(const struct archive *a, const struct member *m,
                               struct ntk_stream *s, struct ntk_npy *npy)
{
    unsigned char local[LOCAL_SIZE];
    uint64_t at;
    ntk_status status;

    if (m->flags & 1)
        return ntk_fail(a->ctx, NTK_ENOTSUP, "is encrypted");
    if (m->method != 0 && m->method != 8)
        return ntk_fail(a->ctx, NTK_ENOTSUP,
                        "is compressed by method %u; known are 0 (stored) and 8 (deflated)",
                        m->method);
    NTK_TRY(read_at(a, m->offset, local, LOCAL_SIZE));
    at = m->offset + LOCAL_SIZE + le16(local + 26) + le16(local + 28);
    if (memcmp(local, "PK\3\4", 4) != 0 || at > a->file_size || m->packed > a->file_size - at ||
        (m->method == 0 && m->packed != m->size))
        return damaged(a, "a member lies outside");
    if (fseeko(a->f, (off_t)at, SEEK_SET) != 0)
        return ntk_fail(a->ctx, NTK_EIO, "cannot read: %s", strerror(errno));
    NTK_TRY(ntk_stream_member(a->ctx, a->f, m->method == 8, m->packed, m->size, m->crc, s));
    status = ntk_npy_begin(s, npy);
    if (status != NTK_OK)
        ntk_stream_end(s);
    return status;
}

/* An open member, for ntk_part_fill. */
struct array {
    struct ntk_stream s;
    struct ntk_npy npy;
};

static ntk_status read_rows(void *array, int64_t rows, void *out, ntk_dtype dtype)
{
    struct array *x = array;

    return ntk_npy_values(&x->s, &x->npy, rows, out, dtype);
}

static ntk_status read_part(const struct archive *a, ntk_part part, struct ntk_filling *f)
{
    struct array x;
    ntk_status status = begin_member(a, &a->parts[part], &x.s, &x.npy);

    if (status == NTK_OK) {
        status = ntk_part_fill(f, part, x.npy.ndim, x.npy.shape, read_rows, &x);
        ntk_stream_end(&x.s);
    }
    return status == NTK_OK ? NTK_OK : ntk_fail_in(a->ctx, status, "array %s", ntk_part_kinds[part].name);
}

static ntk_status read_archive(struct archive *a, struct ntk_filling *f)
{
    NTK_TRY(find_directory(a));
    NTK_TRY(read_directory(a));
    if (!a->arrays && a->keys.s)
        return ntk_fail(a->ctx, NTK_EINVAL, "is a zip file, but no npz: it has %s, and no arrays",
                        a->keys.s);
    if (!a->parts[NTK_PART_X].found)
        return ntk_fail(a->ctx, NTK_EINVAL, "has no array x; its keys are %s",
                        a->keys.s ? a->keys.s : "none");
    for (int k = 0; k < NTK_N_PARTS; k++)
        if (a->parts[k].found)
            NTK_TRY(read_part(a, (ntk_part)k, f));
    return ntk_parts_end(f);
}

static bool begins(const unsigned char *head, size_t n)
{
    return ntk_begins("PK\3\4", 4, head, n) || ntk_begins("PK\5\6", 4, head, n);
}

static bool called(const char *path)
{
    return ntk_is_called(path, ".npz");
}

static ntk_status read_stream(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    struct archive a = {.ctx = s->ctx, .f = s->f, .file_size = ntk_file_size(s->f)};
    struct ntk_filling f = {.ctx = s->ctx, .opts = opts};
    const ntk_status status = read_archive(&a, &f);

    (void)path;
    free(a.keys.s);
    if (status != NTK_OK) {
        ntk_data_free(f.data);
        return status;
    }
    *data = f.data;
    return NTK_OK;
}

const struct ntk_reader ntk_reader_npz = {
    .begins = begins,
    .called = called,
    .plain = "an npz",
    .files = ".npz",
    .read = read_stream,
};
