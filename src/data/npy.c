/* SPDX-License-Identifier: MIT
 *
 * npy.c - NumPy's array files: "\x93NUMPY", version, length of the header, the header (a Python
 * dictionary as text), the values. Format: NumPy Enhancement Proposal 1.
 */
#include <math.h>
#include <stdlib.h>

#include "data/data.h"
#include "data/npy.h"

#define HEADER_MAX 65536
static const bool host_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

/* What follows 'key': in the header; NULL if it is not there. */
static const char *value_of(const char *header, const char *key)
{
    const char *p = strstr(header, key);

    if (!p)
        return NULL;
    p += strlen(key);
    p += strspn(p, " ");
    if (*p != ':')
        return NULL;
    return p + 1 + strspn(p + 1, " ");
}

/* What values of a kind that is no number are. */
static const char *kind_text(char kind)
{
    return kind == 'O'                  ? "Python objects"
           : kind == 'U' || kind == 'S' ? "text"
           : kind == 'c'                ? "complex numbers"
           : kind == 'M' || kind == 'm' ? "times"
           : kind == '['                ? "records"
                                        : "not known";
}

static ntk_status parse_descr(ntk_ctx *ctx, const char *p, struct ntk_npy *npy)
{
    static const char types[] = "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8";
    const int length = p ? (int)strcspn(p, ",") : 0;
    char type[3] = "";

    if (p && (*p == '\'' || *p == '"') && strchr("<>=|", p[1]) && p[1] && p[2] && p[3] &&
        p[4] == *p)
        memcpy(type, p + 2, 2);
    if (!*type || *type == ' ' || type[1] == ' ' || !strstr(types, type))
        return ntk_fail(ctx, NTK_ENOTSUP, "values of type %.*s are %s: expected one of %s",
                        length < 60 ? length : 60, p ? p : "",
                        kind_text(!length ? ' ' : *p == '[' || length < 4 ? *p : p[2]), types);
    npy->kind = type[0];
    npy->size = type[1] - '0';
    npy->big = p[1] == '>' || (p[1] != '<' && host_big);
    return NTK_OK;
}

static ntk_status parse_shape(ntk_ctx *ctx, const char *p, struct ntk_npy *npy)
{
    if (!p || *p++ != '(')
        return ntk_fail(ctx, NTK_EINVAL, "its header has no shape");
    for (npy->ndim = 0;; npy->ndim++) {
        char *end;

        p += strspn(p, " ");
        if (*p == ')')
            return NTK_OK;
        if (npy->ndim == NTK_NPY_DIMS)
            return ntk_fail(ctx, NTK_ESHAPE, "its shape has more than %d sizes", NTK_NPY_DIMS);
        if (*p < '0' || *p > '9')
            return ntk_fail(ctx, NTK_EINVAL, "its header has no shape");
        npy->shape[npy->ndim] = strtoll(p, &end, 10);
        p = end + strspn(end, "L "); /* Python 2 wrote 3L */
        if (*p == ',')
            p++;
        else if (*p != ')')
            return ntk_fail(ctx, NTK_EINVAL, "its header has no shape");
    }
}

static ntk_status parse_header(ntk_ctx *ctx, const char *header, struct ntk_npy *npy)
{
    const char *order = value_of(header, "'fortran_order'");

    NTK_TRY(parse_descr(ctx, value_of(header, "'descr'"), npy));
    npy->fortran = order && strncmp(order, "True", 4) == 0;
    if (!order || (!npy->fortran && strncmp(order, "False", 5) != 0))
        return ntk_fail(ctx, NTK_EINVAL, "its header has no fortran_order");
    return parse_shape(ctx, value_of(header, "'shape'"), npy);
}

/* The header's announcement may be any number; what the file has is a bound. */
static ntk_status check_size(const struct ntk_stream *s, const struct ntk_npy *npy)
{
    uint64_t bytes = (uint64_t)npy->size;
    bool overflow = false;

    for (int k = 0; k < npy->ndim; k++)
        overflow |= __builtin_mul_overflow(bytes, (uint64_t)npy->shape[k], &bytes);
    if (overflow || bytes > s->left)
        return ntk_fail(s->ctx, NTK_EIO,
                        "ends too early: its header announces more values than the %llu bytes "
                        "after it hold",
                        (unsigned long long)s->left);
    return NTK_OK;
}

ntk_status ntk_npy_begin(struct ntk_stream *s, struct ntk_npy *npy)
{
    unsigned char start[12];
    char *header;
    size_t length;
    ntk_status status;

    *npy = (struct ntk_npy){0};
    NTK_TRY(ntk_stream_read(s, start, 10));
    if (memcmp(start, "\x93NUMPY", 6) != 0)
        return ntk_fail(s->ctx, NTK_EINVAL,
                        "is not an npy file: it does not begin with \\x93NUMPY");
    if (start[6] < 1 || start[6] > 3)
        return ntk_fail(s->ctx, NTK_ENOTSUP, "is an npy file of version %d; known are 1 to 3",
                        start[6]);
    length = start[8] + 256u * start[9];
    if (start[6] > 1) {
        NTK_TRY(ntk_stream_read(s, start + 10, 2));
        length += 65536u * start[10] + 16777216u * (size_t)start[11];
    }
    if (length > HEADER_MAX)
        return ntk_fail(s->ctx, NTK_EINVAL, "its header has %zu bytes; at most %d are expected",
                        length, HEADER_MAX);
    header = ntk_alloc(s->ctx, length + 1, 1);
    if (!header)
        return NTK_ENOMEM;
    header[length] = '\0';
    status = ntk_stream_read(s, header, length);
    if (status == NTK_OK)
        status = parse_header(s->ctx, header, npy);
    free(header);
    if (status == NTK_OK)
        status = check_size(s, npy);
    return status;
}

/* A float16 (IEEE 754 binary16). */
static double half(unsigned bits)
{
    const int exponent = bits >> 10 & 31;
    const double mantissa = bits & 1023, sign = bits & 0x8000 ? -1 : 1;

    if (exponent == 31)
        return mantissa > 0 ? (double)NAN : sign * HUGE_VAL;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static double value(const unsigned char *p, const struct ntk_npy *npy)
{
    const int size = npy->size;
    uint64_t bits = 0;
    uint32_t word;
    float f;
    double d;

    for (int k = 0; k < size; k++)
        bits |= (uint64_t)p[npy->big ? size - 1 - k : k] << (8 * k);
    if (npy->kind == 'b')
        return bits != 0;
    if (npy->kind == 'i')
        return (double)((int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size));
    if (npy->kind == 'u')
        return (double)bits;
    if (size == 2)
        return half((unsigned)bits);
    if (size == 8) {
        memcpy(&d, &bits, 8);
        return d;
    }
    word = (uint32_t)bits;
    memcpy(&f, &word, 4);
    return (double)f;
}

/* Where values go that come in the order of the file. */
struct cursor {
    const struct ntk_npy *npy;
    int64_t rows;
    int64_t index[NTK_NPY_DIMS];
    size_t stride[NTK_NPY_DIMS]; /* in C order */
    size_t next;                 /* C order: where the next value goes */
};

static void begin_cursor(struct cursor *c, const struct ntk_npy *npy, int64_t rows)
{
    size_t stride = 1;

    *c = (struct cursor){.npy = npy, .rows = rows};
    for (int k = npy->ndim - 1; k >= 0; k--) {
        c->stride[k] = stride;
        stride *= (size_t)npy->shape[k];
    }
}

/* Fortran order: the first index runs fastest; rows past the wanted ones are dropped. */
static void put_fortran(struct cursor *c, double v, void *out, ntk_dtype dtype)
{
    size_t at = 0;

    for (int k = 0; k < c->npy->ndim; k++)
        at += (size_t)c->index[k] * c->stride[k];
    if (c->index[0] < c->rows)
        ntk_store(out, dtype, at, v);
    for (int k = 0; k < c->npy->ndim; k++) {
        if (++c->index[k] < c->npy->shape[k])
            break;
        c->index[k] = 0;
    }
}

static ntk_status read_values(struct ntk_stream *s, const struct ntk_npy *npy, int64_t rows,
                              void *out, ntk_dtype dtype)
{
    unsigned char chunk[8192];
    const size_t size = (size_t)npy->size, per_chunk = sizeof chunk / size;
    struct cursor c;
    size_t total = (size_t)(npy->fortran ? npy->shape[0] : rows);

    begin_cursor(&c, npy, rows);
    for (int k = 1; k < npy->ndim; k++)
        total *= (size_t)npy->shape[k];
    if (npy->kind == 'f' && size == dtype && npy->big == host_big && !npy->fortran)
        return ntk_stream_read(s, out, total * size);
    while (total > 0) {
        const size_t n = total < per_chunk ? total : per_chunk;

        NTK_TRY(ntk_stream_read(s, chunk, n * size));
        for (size_t k = 0; k < n; k++) {
            const double v = value(chunk + k * size, npy);

            if (npy->fortran)
                put_fortran(&c, v, out, dtype);
            else
                ntk_store(out, dtype, c.next++, v);
        }
        total -= n;
    }
    return NTK_OK;
}

ntk_status ntk_npy_values(struct ntk_stream *s, const struct ntk_npy *npy, int64_t rows, void *out,
                          ntk_dtype dtype)
{
    NTK_TRY(read_values(s, npy, rows, out, dtype));
    return rows == npy->shape[0] || npy->fortran ? ntk_stream_finish(s, "array") : NTK_OK;
}

static bool begins(const unsigned char *head, size_t n)
{
    return ntk_begins("\x93NUMPY", 6, head, n);
}

static bool called(const char *path)
{
    return ntk_is_called(path, ".npy");
}

static ntk_status read_stream(struct ntk_stream *s, const char *path, const ntk_load_opts *opts, ntk_data **data)
{
    ntk_ctx *ctx = s->ctx;
    struct ntk_npy npy;
    ntk_shape shape;
    int64_t n;
    ntk_data *d;
    ntk_status status;

    (void)path;
    NTK_TRY(ntk_npy_begin(s, &npy));
    NTK_TRY(ntk_dims_to_samples(ctx, npy.ndim, npy.shape, &n, &shape));
    n = ntk_limited(opts, n);
    NTK_TRY(ntk_data_alloc(ctx, opts->dtype, n, shape, &d));
    status = ntk_npy_values(s, &npy, n, d->owned_x, opts->dtype);
    if (status != NTK_OK) {
        ntk_data_free(d);
        return status;
    }
    *data = d;
    return NTK_OK;
}

const struct ntk_reader ntk_reader_npy = {
    .begins = begins,
    .called = called,
    .files = ".npy (either may be gzipped)",
    .read = read_stream,
};

size_t ntk_npy_header(const ntk_array *a, char *header)
{
    const size_t size = NTK_NPY_HEADER;
    size_t n = 10, end;

    n += (size_t)snprintf(header + n, size - n,
                          "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                          host_big ? '>' : '<', a->words ? 'U' : 'f',
                          a->words ? (int)a->dtype / (int)sizeof(uint32_t) : (int)a->dtype);
    for (int k = 0; k < a->ndim; k++)
        n +=
            (size_t)snprintf(header + n, size - n, "%s%lld", k ? ", " : "", (long long)a->shape[k]);
    n += (size_t)snprintf(header + n, size - n, "%s), }", a->ndim == 1 ? "," : "");
    end = ntk_round_up(n + 1, 64);
    memset(header + n, ' ', end - 1 - n);
    header[end - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((end - 10) & 0xff);
    header[9] = (char)((end - 10) >> 8);
    return end;
}
